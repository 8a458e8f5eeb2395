//! What brokers report: changed ISRs, failed log directories, answers to requests.
//!
//! Source: `KafkaController.processIsrChangeNotification`, `processLogDirEventNotification`,
//! `processLeaderAndIsrResponseReceived`, `processTopicDeletionStopReplicaResponseReceived`.

use super::effect::{ControlBody, ControlResponse, ZkRead, ZkWrite};
use super::event::{BrokerResponse, ZkValue};
use super::logging::{Listed, controller_log, state_change_log};
use super::machine::{Machine, one, step};
use super::request_batch::deleted_by;
use super::states::ReplicaState;
use crate::common::{BrokerId, ErrorCode, TopicPartition, Uuid};
use crate::protocol::messages::leader_and_isr::{LeaderAndIsrRequest, LeaderAndIsrResponse};
use crate::protocol::messages::stop_replica::{StopReplicaRequest, StopReplicaResponse};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

impl Machine {
    /// Leaders changed ISRs in ZooKeeper: read the states, tell everybody, drop the notifications.
    pub(super) fn isr_changes_arrived(&mut self) {
        self.read(vec![ZkRead::IsrChanges], |m, values| {
            let ZkValue::IsrChanges(changes) = one(values) else { unreachable!("asked for ISR changes") };
            let mut partitions: BTreeSet<TopicPartition> = BTreeSet::new();
            let mut processed = Vec::with_capacity(changes.len());
            for (node, changed) in changes {
                processed.push(ZkWrite::DeleteIsrChange(node));
                partitions.extend(changed.into_iter().filter(|tp| m.context.partition(tp).is_some()));
            }
            let partitions: Vec<_> = partitions.into_iter().collect();
            m.plan([
                step(move |m| m.refresh_states(partitions)),
                step(move |m| m.write(processed, |_, _| {})),
            ]);
        });
    }

    fn refresh_states(&mut self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let reads = partitions.iter().cloned().map(ZkRead::PartitionState).collect();
        self.read(reads, move |m, values| {
            for (tp, value) in partitions.iter().zip(values) {
                if let Err(reason) = m.take_state(tp, value) {
                    state_change_log!(error, m.id_and_epoch(), "ISR change of {tp} ignored: {reason}");
                }
            }
            let everybody = m.context.broker_ids();
            m.send_update_metadata(&everybody, &partitions);
            partitions.iter().for_each(|tp| m.isr_changed(tp));
        });
    }

    /// Brokers lost log directories: LeaderAndIsr makes them say which replicas are gone.
    pub(super) fn log_dir_events_arrived(&mut self) {
        self.read(vec![ZkRead::LogDirEvents], |m, values| {
            let ZkValue::LogDirEvents(events) = one(values) else { unreachable!("asked for log dir events") };
            let brokers: BTreeSet<BrokerId> = events.iter().filter_map(|(_, broker)| *broker).collect();
            let processed = events.into_iter().map(|(node, _)| ZkWrite::DeleteLogDirEvent(node)).collect();
            if !brokers.is_empty() {
                controller_log!(info, m, "Handling log directory failure for brokers {}", Listed(&brokers));
            }
            let replicas = brokers
                .iter()
                .flat_map(|id| m.context.partitions_on(*id).map(move |tp| (tp.clone(), *id)))
                .collect();
            m.plan([
                step(move |m| m.move_replicas(replicas, ReplicaState::Online)),
                step(move |m| m.write(processed, |_, _| {})),
            ]);
        });
    }

    /// A broker answered. Answers to an earlier controller or from an earlier life of the broker are void.
    pub(super) fn response_received(&mut self, received: BrokerResponse) {
        let BrokerResponse { broker, broker_epoch, controller_epoch, request, response } = received;
        let current = self.context.broker(broker).is_some_and(|b| b.epoch == broker_epoch);
        if controller_epoch != self.epoch() || !current {
            return;
        }
        match (&request.body, response) {
            (ControlBody::LeaderAndIsr(request), ControlResponse::LeaderAndIsr(response)) => {
                self.leader_and_isr_answered(broker, request, &response)
            }
            (ControlBody::StopReplica(request), ControlResponse::StopReplica(response)) => {
                self.stop_replica_answered(broker, request, &response)
            }
            (ControlBody::UpdateMetadata(_), ControlResponse::UpdateMetadata(response)) => {
                if response.error_code != ErrorCode::None.code() {
                    let code = ErrorCode::from_code(response.error_code);
                    state_change_log!(
                        error,
                        self.id_and_epoch(),
                        "Received error {code} in UpdateMetadata response from broker {broker}"
                    );
                }
            }
            (request, response) => {
                state_change_log!(
                    error,
                    self.id_and_epoch(),
                    "Broker {broker} answered {request:?} with {response:?}"
                )
            }
        }
    }

    fn leader_and_isr_answered(
        &mut self,
        broker: BrokerId,
        request: &LeaderAndIsrRequest,
        response: &LeaderAndIsrResponse,
    ) {
        if response.error_code != ErrorCode::None.code() {
            let code = ErrorCode::from_code(response.error_code);
            state_change_log!(
                error,
                self.id_and_epoch(),
                "Received error {code} in LeaderAndIsr response from broker {broker}"
            );
            return;
        }
        let mut lost = Vec::new();
        for (tp, code) in partition_errors(request, response) {
            if code == ErrorCode::KafkaStorageError.code() {
                if self.context.set_dir_offline(&tp, broker, true) {
                    lost.push((tp, broker));
                }
            } else if code == ErrorCode::None.code() {
                self.context.set_dir_offline(&tp, broker, false);
            }
        }
        if !lost.is_empty() {
            let partitions = lost.iter().map(|(tp, _)| tp);
            state_change_log!(
                info,
                self.id_and_epoch(),
                "Mark replicas {} on broker {broker} as offline",
                Listed(partitions)
            );
            self.replicas_went_offline(lost);
        }
    }

    fn stop_replica_answered(
        &mut self,
        broker: BrokerId,
        request: &StopReplicaRequest,
        response: &StopReplicaResponse,
    ) {
        let deleted = deleted_by(request);
        let failed_whole = response.error_code != ErrorCode::None.code();
        let (mut gone, mut failed) = (Vec::new(), Vec::new());
        for answer in &response.partition_errors {
            let tp = TopicPartition { topic: answer.topic_name.clone(), partition: answer.partition_index };
            let deleting = self.context.topic(&tp.topic).is_some_and(|t| t.deletion_started);
            if !deleting || !deleted.contains(&tp) {
                continue;
            }
            if failed_whole || answer.error_code != ErrorCode::None.code() {
                failed.push((tp, broker));
            } else {
                gone.push((tp, broker));
            }
        }
        self.plan([
            step(move |m| m.fail_replica_deletion(failed)),
            step(move |m| {
                if !gone.is_empty() {
                    m.complete_replica_deletion(gone);
                }
            }),
        ]);
    }
}

/// Per partition the error code; from version 5 on the response names topics by id.
fn partition_errors(
    request: &LeaderAndIsrRequest,
    response: &LeaderAndIsrResponse,
) -> Vec<(TopicPartition, i16)> {
    let names: BTreeMap<Uuid, &ByteString> =
        request.topic_states.iter().map(|t| (t.topic_id, &t.topic_name)).collect();
    let mut errors = Vec::new();
    for answer in &response.partition_errors {
        let tp = TopicPartition { topic: answer.topic_name.clone(), partition: answer.partition_index };
        errors.push((tp, answer.error_code));
    }
    for topic in &response.topics {
        let Some(name) = names.get(&topic.topic_id) else { continue };
        for answer in &topic.partition_errors {
            let tp = TopicPartition { topic: (*name).clone(), partition: answer.partition_index };
            errors.push((tp, answer.error_code));
        }
    }
    errors
}
