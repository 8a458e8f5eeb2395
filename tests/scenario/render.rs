//! Effects as text: ZooKeeper writes as lines of the captures of Kafka, requests in a short form.

use ottla::common::{ErrorCode, TopicPartition};
use ottla::controller::ReassignmentError;
use ottla::controller::context::{LeaderAndIsr, ReplicaAssignment};
use ottla::controller::effect::{ControlBody, Effect, Reply, ZkWrite};
use ottla::controller::event::{TopicNode, WriteOutcome};
use std::collections::BTreeMap;

fn state_json(state: &LeaderAndIsr) -> String {
    format!(
        r#"{{"controller_epoch":{},"leader":{},"version":1,"leader_epoch":{},"isr":{}}}"#,
        state.controller_epoch,
        state.leader,
        state.leader_epoch,
        list(&state.isr)
    )
}

fn list(ids: &[i32]) -> String {
    format!("[{}]", ids.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
}

fn replicas_json(
    partitions: &BTreeMap<i32, ReplicaAssignment>,
    pick: fn(&ReplicaAssignment) -> &[i32],
    keep_empty: bool,
) -> String {
    let entries = partitions.iter().filter(|(_, a)| keep_empty || !pick(a).is_empty());
    let entries: Vec<_> = entries.map(|(n, a)| format!("\"{n}\":{}", list(pick(a)))).collect();
    format!("{{{}}}", entries.join(","))
}

/// A topic's znode, the id masked as in the captures.
pub fn topic_json(node: &TopicNode) -> String {
    let id = if node.id.is_some() { r#""topic_id":"{TOPIC_ID}","# } else { "" };
    format!(
        r#"{{"partitions":{},{id}"adding_replicas":{},"removing_replicas":{},"version":3}}"#,
        replicas_json(&node.partitions, |a| &a.replicas, true),
        replicas_json(&node.partitions, |a| &a.adding, false),
        replicas_json(&node.partitions, |a| &a.removing, false),
    )
}

/// A write as it stands in a capture; failed ones have no path there.
pub fn write(write: &ZkWrite, outcome: WriteOutcome) -> String {
    let version = match outcome {
        WriteOutcome::Done(version) => version,
        WriteOutcome::Exists => return "error -110".to_string(),
        WriteOutcome::Absent => return "error -101".to_string(),
        WriteOutcome::BadVersion => return "error -103".to_string(),
        WriteOutcome::Refused => return "refused".to_string(),
    };
    let topics = "/brokers/topics";
    match write {
        ZkWrite::SetTopic { topic, node } => format!("set {topics}/{topic} v{version} {}", topic_json(node)),
        ZkWrite::CreatePartitions(t) => format!("create P {topics}/{t}/partitions null"),
        ZkWrite::CreatePartition(tp) => {
            format!("create P {topics}/{}/partitions/{} null", tp.topic, tp.partition)
        }
        ZkWrite::CreateState(tp, state) => {
            let (topic, number) = (&tp.topic, tp.partition);
            format!("create P {topics}/{topic}/partitions/{number}/state {}", state_json(state))
        }
        ZkWrite::SetState(tp, state) => {
            let (topic, number) = (&tp.topic, tp.partition);
            format!("set {topics}/{topic}/partitions/{number}/state v{version} {}", state_json(state))
        }
        ZkWrite::DeleteTopic(t) => format!("delete {topics}/{t}"),
        ZkWrite::DeleteTopicConfig(t) => format!("delete /config/topics/{t}"),
        ZkWrite::DeleteTopicDeletion(t) => format!("delete /admin/delete_topics/{t}"),
        ZkWrite::DeleteIsrChange(n) => format!("delete /isr_change_notification/{n}"),
        ZkWrite::DeleteLogDirEvent(n) => format!("delete /log_dir_event_notification/{n}"),
        ZkWrite::DeletePreferredElection => "delete /admin/preferred_replica_election".to_string(),
        ZkWrite::SetReassignments(rest) => {
            let entries: Vec<_> = rest.iter().map(|(tp, ids)| format!("{tp} {}", list(ids))).collect();
            format!("set /admin/reassign_partitions {}", entries.join(" "))
        }
        ZkWrite::DeleteReassignments => "delete /admin/reassign_partitions".to_string(),
        ZkWrite::DeleteController => "delete /controller".to_string(),
    }
}

/// Everything but ZooKeeper requests, which the world logs when it performs them.
pub fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Zk { .. } => return None,
        Effect::AddBroker(b) => format!("add broker {} epoch {}", b.id, b.epoch),
        Effect::RemoveBroker(id) => format!("remove broker {id}"),
        Effect::Send { broker, request, .. } => {
            format!("to {broker}: v{} {}", request.version, body(&request.body))
        }
        Effect::SetTimer { timer, after_ms } => format!("timer {timer:?} in {after_ms} ms"),
        Effect::Activated(epoch) => format!("controller, epoch {epoch}"),
        Effect::Resigned => "resigned".to_string(),
        Effect::Reply { reply, .. } => reply_text(reply),
    })
}

fn body(body: &ControlBody) -> String {
    let mut text = String::new();
    match body {
        ControlBody::LeaderAndIsr(r) => {
            text += &format!("LeaderAndIsr epoch {} broker epoch {}", r.controller_epoch, r.broker_epoch);
            let grouped = r.topic_states.iter().flat_map(|t| {
                t.partition_states.iter().map(move |s| (&t.topic_name, s, !t.topic_id.is_zero()))
            });
            let single = r.ungrouped_partition_states.iter().map(|s| (&s.topic_name, s, false));
            for (topic, s, has_id) in grouped.chain(single) {
                text += &format!(
                    "\n  {topic}-{} leader {} epoch {} isr {} replicas {} v{}{}{}{}",
                    s.partition_index,
                    s.leader,
                    s.leader_epoch,
                    list(&s.isr),
                    list(&s.replicas),
                    s.zk_version,
                    if s.is_new { " new" } else { "" },
                    if has_id { "" } else { " without id" },
                    moving(&s.adding_replicas, &s.removing_replicas),
                );
            }
            let leaders: Vec<_> = r.live_leaders.iter().map(|l| l.broker_id).collect();
            text += &format!("\n  live leaders {}", list(&leaders));
        }
        ControlBody::UpdateMetadata(r) => {
            let live: Vec<_> = r.live_brokers.iter().map(|b| b.id).collect();
            text += &format!("UpdateMetadata brokers {}", list(&live));
            let grouped = r
                .topic_states
                .iter()
                .flat_map(|t| t.partition_states.iter().map(move |s| (&t.topic_name, s)));
            for (topic, s) in grouped.chain(r.ungrouped_partition_states.iter().map(|s| (&s.topic_name, s))) {
                text += &format!(
                    "\n  {topic}-{} leader {} epoch {} isr {} replicas {} offline {}",
                    s.partition_index,
                    s.leader,
                    s.leader_epoch,
                    list(&s.isr),
                    list(&s.replicas),
                    list(&s.offline_replicas)
                );
            }
        }
        ControlBody::StopReplica(r) => {
            text += "StopReplica";
            for (topic, s) in
                r.topic_states.iter().flat_map(|t| t.partition_states.iter().map(move |s| (&t.topic_name, s)))
            {
                let delete = if s.delete_partition { " delete" } else { "" };
                text += &format!(" {topic}-{}@{}{delete}", s.partition_index, s.leader_epoch);
            }
            let delete = if r.delete_partitions { " delete" } else { "" };
            for t in &r.topics {
                text += &format!(" {}{}{delete}", t.name, list(&t.partition_indexes));
            }
            for p in &r.ungrouped_partitions {
                text += &format!(" {}-{}{delete}", p.topic_name, p.partition_index);
            }
        }
    }
    text
}

fn moving(adding: &[i32], removing: &[i32]) -> String {
    if adding.is_empty() && removing.is_empty() {
        return String::new();
    }
    format!(" adding {} removing {}", list(adding), list(removing))
}

/// A reply's verdict on each partition, or on all of them.
type PerPartition<T> = Result<Vec<(TopicPartition, Result<T, ErrorCode>)>, ErrorCode>;

fn reply_text(reply: &Reply) -> String {
    fn per_partition<T>(result: &PerPartition<T>, show: impl Fn(&T) -> String) -> String {
        match result {
            Err(code) => code.name().to_string(),
            Ok(entries) => entries
                .iter()
                .map(|(tp, r)| match r {
                    Ok(value) => format!("{tp}: {}", show(value)),
                    Err(code) => format!("{tp}: {code}"),
                })
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
    match reply {
        Reply::ControlledShutdown(Ok(remaining)) => {
            let names: Vec<_> = remaining.iter().map(TopicPartition::to_string).collect();
            format!("reply: still leads [{}]", names.join(","))
        }
        Reply::ControlledShutdown(Err(code)) => format!("reply: {code}"),
        Reply::ElectLeaders(r) => format!("reply: {}", per_partition(r, |leader| format!("leader {leader}"))),
        Reply::AlterIsr(r) => {
            format!("reply: {}", per_partition(r, |s| format!("isr {} v{}", list(&s.isr), s.zk_version)))
        }
        Reply::AlterReassignments(Ok(results)) => {
            let show = |(tp, result): &(TopicPartition, Result<(), ReassignmentError>)| match result {
                Ok(()) => format!("{tp}: started"),
                Err(error) => format!("{tp}: {} {}", error.code, error.message.as_deref().unwrap_or("-")),
            };
            format!("reply: {}", results.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Reply::ListReassignments(Ok(ongoing)) => {
            let show = |(tp, a): &(TopicPartition, ReplicaAssignment)| {
                format!(
                    "{tp} {} adding {} removing {}",
                    list(&a.replicas),
                    list(&a.adding),
                    list(&a.removing)
                )
            };
            format!("reply: {}", ongoing.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Reply::AlterReassignments(Err(code)) | Reply::ListReassignments(Err(code)) => {
            format!("reply: {code}")
        }
    }
}
