//! Reassignments through a broker (KIP-455).

use super::plan::{Plan, Replicas, parse_generate, show_current};
use super::throttles::{self, Moves};
use super::{Failure, failed, log_dirs, plural, propose_to};
use crate::common::{BrokerId, ErrorCode, TopicPartition};
use crate::tools::client::Admin;
use crate::tools::client::admin_configs::{Resource, ResourceKind};
use crate::tools::exception::Exception;
use crate::tools::json;
use crate::tools::options::Options;
use crate::zk::replica_placement::BrokerRack;
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override \
                        this and create a new partition assignment in addition to the existing one. The --additional \
                        flag can also be used to change the throttle by resubmitting the current reassignment.";
pub const VERIFY_PERIODICALLY: &str = "Warning: You must run --verify periodically, until the reassignment completes, to \
                                       ensure the throttle is removed.";

/// The replicas of the partitions of a topic, or why there are none.
type Found = Result<Vec<Vec<BrokerId>>, Exception>;

/// What a future throws.
pub fn executed(cause: Exception) -> Exception {
    Exception::new("java.util.concurrent.ExecutionException", cause.first_line()).caused_by(cause)
}

/// The replicas of all partitions of the topics; a topic that does not exist has an error.
fn replicas_of(admin: &mut Admin, topics: &[String]) -> Result<BTreeMap<String, Found>, Exception> {
    let names: Vec<ByteString> = topics.iter().map(|topic| topic.as_str().into()).collect();
    let mut all = BTreeMap::new();
    if names.is_empty() {
        return Ok(all);
    }
    for mut topic in admin.topic_metadata(&names)? {
        topic.partitions.sort_by_key(|partition| partition.partition_index);
        let replicas = match ErrorCode::from_code(topic.error_code) {
            ErrorCode::None => Ok(topic.partitions.into_iter().map(|p| p.replica_nodes).collect()),
            code => Err(Exception::of_error(code, None)),
        };
        all.insert(topic.name.to_string(), replicas);
    }
    Ok(all)
}

/// The replicas of existing topics; fails if one does not exist.
fn current(admin: &mut Admin, topics: &[String]) -> Result<Replicas, Exception> {
    let mut current = Replicas::new();
    for (topic, replicas) in replicas_of(admin, topics)? {
        let name = ByteString::from(topic);
        for (partition, replicas) in replicas.map_err(executed)?.into_iter().enumerate() {
            current.insert(TopicPartition::new(name.clone(), partition as i32), replicas);
        }
    }
    Ok(current)
}

fn live(admin: &mut Admin) -> Result<Vec<BrokerId>, Exception> {
    admin.list_topics(true)?;
    Ok(admin.live_brokers())
}

/// `--verify`
pub fn verify(admin: &mut Admin, options: &Options, text: &str) -> Result<(), Failure> {
    let plan = Plan::parse(text)?;
    let ongoing = admin.ongoing_reassignments(None).map_err(executed)?;
    let is_ongoing = |tp: &TopicPartition| ongoing.iter().any(|(other, _)| other == tp);
    let replicas = plan.replicas();
    let mut topics: Vec<String> =
        replicas.keys().filter(|tp| !is_ongoing(tp)).map(|tp| tp.topic.to_string()).collect();
    topics.dedup();
    let known = replicas_of(admin, &topics)?;
    out_line!("Status of partition reassignment:");
    for (tp, target) in &replicas {
        if is_ongoing(tp) {
            out_line!("Reassignment of partition {tp} is still in progress.");
            continue;
        }
        let found = match known.get(&*tp.topic) {
            Some(Ok(partitions)) => partitions.get(tp.partition as usize).cloned().unwrap_or_default(),
            Some(Err(error)) if !error.is(ErrorCode::UnknownTopicOrPartition) => {
                return Err(executed(error.clone()).into());
            }
            _ => Vec::new(),
        };
        say_status(tp, &found, target);
    }
    let moving = log_dirs::verify(admin, &plan.log_dirs)?;
    if ongoing.is_empty() && !moving && !options.has("preserve-throttles") {
        clear_throttles(admin, &plan)?;
    }
    Ok(())
}

/// A partition that is not being moved.
pub fn say_status(tp: &TopicPartition, current: &[BrokerId], target: &[BrokerId]) {
    if current == target {
        out_line!("Reassignment of partition {tp} is complete.");
    } else {
        out_line!(
            "There is no active reassignment of partition {tp}, but replica set is {} rather than {}.",
            json::joined(current, ","),
            json::joined(target, ",")
        );
    }
}

fn clear_throttles(admin: &mut Admin, plan: &Plan) -> Result<(), Exception> {
    let mut brokers: BTreeSet<BrokerId> = live(admin)?.into_iter().collect();
    brokers.extend(plan.partitions.iter().flat_map(|(_, replicas)| replicas));
    let topics = plan.topics();
    let (of_brokers, of_topics) = throttles::say_clearing(&brokers, &topics);
    out_line!("{of_brokers}");
    let edits = throttles::OF_BROKERS.map(|key| (key, None));
    for broker in brokers {
        let resource = Resource { kind: ResourceKind::Broker, name: &broker.to_string() };
        admin.edit_config(&resource, &edits)?;
    }
    out_line!("{of_topics}");
    let edits = throttles::OF_TOPICS.map(|key| (key, None));
    for topic in topics {
        admin.edit_config(&Resource { kind: ResourceKind::Topic, name: &topic }, &edits)?;
    }
    Ok(())
}

/// `--generate`
pub fn generate(admin: &mut Admin, options: &Options, text: &str) -> Result<(), Failure> {
    let (brokers, topics) = parse_generate(text, options.value("broker-list")?.unwrap_or_default())?;
    let current = current(admin, &topics)?;
    admin.list_topics(true)?;
    let live = admin.broker_racks()?.into_iter().map(|(id, rack)| BrokerRack { id, rack }).collect();
    Ok(propose_to(&current, live, &brokers, options)?)
}

/// `--execute`
pub fn execute(admin: &mut Admin, options: &Options, text: &str) -> Result<(), Failure> {
    let plan = Plan::parse(text)?;
    plan.check("Partition reassignment list cannot be empty")?;
    let proposed = plan.replicas();
    let ongoing = admin.ongoing_reassignments(None).map_err(executed)?;
    if !options.has("additional") && !ongoing.is_empty() {
        return Err(Failure::Terse(EXISTING.to_string()));
    }
    let live = live(admin)?;
    if let Some(id) = proposed.values().flatten().find(|id| !live.contains(id)) {
        return Err(failed(format!("Unknown broker id {id}")).into());
    }
    let mut current = current(admin, &plan.topics())?;
    current.retain(|tp, _| proposed.contains_key(tp));
    show_current(&current);
    let throttle = options.number::<i64>("throttle")?.unwrap_or(-1);
    let log_dir_throttle = options.number::<i64>("replica-alter-log-dirs-throttle")?.unwrap_or(-1);
    if throttle >= 0 || log_dir_throttle >= 0 {
        out_line!("{VERIFY_PERIODICALLY}");
    }
    if throttle >= 0 {
        let mut moves = Moves::default();
        for (tp, r) in ongoing {
            moves.add_ongoing(tp, &r.replicas, &r.adding_replicas);
        }
        if let Some(tp) = proposed.keys().find(|tp| !current.contains_key(tp)) {
            let message = format!("Trying to reassign a topic partition {tp} with 0 replicas");
            return Err(Exception::new("java.lang.RuntimeException", message).into());
        }
        moves.add_proposed(&proposed, &current);
        set_throttles(admin, &moves, throttle)?;
        out_line!("The inter-broker throttle limit was set to {throttle} B/s");
    }
    if log_dir_throttle >= 0 {
        let brokers: BTreeSet<BrokerId> = plan.log_dirs.keys().map(|(broker, _)| *broker).collect();
        let rate = log_dir_throttle.to_string();
        for broker in brokers {
            let resource = Resource { kind: ResourceKind::Broker, name: &broker.to_string() };
            admin.edit_config(&resource, &[(throttles::LOG_DIR_RATE, Some(&rate))])?;
        }
        out_line!("The replica-alter-dir throttle limit was set to {log_dir_throttle} B/s");
    }
    let targets: Vec<_> =
        proposed.iter().map(|(tp, replicas)| (tp.clone(), Some(replicas.clone()))).collect();
    alter(admin, targets, "Error reassigning partition(s):")?;
    let names: Vec<&TopicPartition> = proposed.keys().collect();
    out_line!(
        "Successfully started partition reassignment{} for {}",
        plural(names.len()),
        json::joined(&names, ",")
    );
    let timeout_ms = options.number::<i64>("timeout")?.unwrap_or(log_dirs::TIMEOUT_MS);
    log_dirs::execute(admin, plan.log_dirs, timeout_ms)
}

fn set_throttles(admin: &mut Admin, moves: &Moves, rate: i64) -> Result<(), Exception> {
    for (topic, (leaders, followers)) in moves.by_topic() {
        let edits = [
            (throttles::LEADER_REPLICAS, Some(leaders.as_str())),
            (throttles::FOLLOWER_REPLICAS, Some(followers.as_str())),
        ];
        admin.edit_config(&Resource { kind: ResourceKind::Topic, name: &topic }, &edits)?;
    }
    let rate = rate.to_string();
    let edits =
        [(throttles::LEADER_RATE, Some(rate.as_str())), (throttles::FOLLOWER_RATE, Some(rate.as_str()))];
    for broker in moves.brokers() {
        let resource = Resource { kind: ResourceKind::Broker, name: &broker.to_string() };
        admin.edit_config(&resource, &edits)?;
    }
    Ok(())
}

fn alter(
    admin: &mut Admin,
    targets: Vec<(TopicPartition, Option<Vec<BrokerId>>)>,
    heading: &str,
) -> Result<(), Failure> {
    let results = admin.alter_reassignments(targets)?;
    let mut errors: Vec<(TopicPartition, Exception)> =
        results.into_iter().filter_map(|(tp, result)| Some((tp, result.err()?))).collect();
    if errors.is_empty() {
        return Ok(());
    }
    errors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let lines: Vec<String> = errors.iter().map(|(tp, e)| format!("{tp}: {}", e.message_or_null())).collect();
    Err(Failure::Terse(format!("{heading}\n{}", lines.join("\n"))))
}

/// `--cancel`
pub fn cancel(admin: &mut Admin, options: &Options, text: &str) -> Result<(), Failure> {
    let plan = Plan::parse(text)?;
    let partitions: Vec<TopicPartition> = plan.replicas().into_keys().collect();
    let ongoing = admin.ongoing_reassignments(Some(&partitions)).map_err(executed)?;
    let mut active: Vec<TopicPartition> = ongoing
        .into_iter()
        .filter(|(_, r)| !r.adding_replicas.is_empty() || !r.removing_replicas.is_empty())
        .map(|(tp, _)| tp)
        .collect();
    active.sort();
    if active.is_empty() {
        out_line!("None of the specified partition reassignments are active.");
    } else {
        let targets = active.iter().map(|tp| (tp.clone(), None)).collect();
        let s = plural(active.len());
        alter(admin, targets, &format!("Error cancelling partition reassignment{s} for:"))?;
        out_line!("Successfully cancelled partition reassignment{s} for: {}", json::joined(&active, ","));
    }
    let timeout_ms = options.number::<i64>("timeout")?.unwrap_or(log_dirs::TIMEOUT_MS);
    log_dirs::cancel(admin, &plan.log_dirs, timeout_ms)?;
    if !options.has("preserve-throttles") {
        clear_throttles(admin, &plan)?;
    }
    Ok(())
}

/// `--list`
pub fn list(admin: &mut Admin) -> Result<(), Failure> {
    let mut ongoing = admin.ongoing_reassignments(None).map_err(executed)?;
    ongoing.sort_by(|(a, _), (b, _)| a.cmp(b));
    if ongoing.is_empty() {
        out_line!("No partition reassignments found.");
        return Ok(());
    }
    out_line!("Current partition reassignments:");
    for (tp, r) in ongoing {
        let part = |name: &str, ids: &[BrokerId]| match ids.is_empty() {
            true => String::new(),
            false => format!(" {name}: {}.", json::joined(ids, ",")),
        };
        out_line!(
            "{tp}: replicas: {}.{}{}",
            json::joined(&r.replicas, ","),
            part("adding", &r.adding_replicas),
            part("removing", &r.removing_replicas)
        );
    }
    Ok(())
}
