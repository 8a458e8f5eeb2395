//! Leaders that change their ISRs through the controller (KIP-497, AlterIsr).
//!
//! Source: `KafkaController.processAlterIsr`. Stricter than Kafka 2.8.2 in one respect: an ISR that is empty,
//! names a broker twice or one that is no replica, or leaves out the leader is refused with
//! INVALID_REQUEST, since writing it would break what every reader of the znode relies on.

use super::context::{BrokerIds, LeaderAndIsr};
use super::effect::{Reply, ZkWrite};
use super::event::{IsrChange, WriteOutcome};
use super::logging::controller_log;
use super::machine::Machine;
use crate::common::{BrokerId, ErrorCode, TopicPartition};
use std::collections::BTreeMap;

type Results = BTreeMap<TopicPartition, Result<LeaderAndIsr, ErrorCode>>;

impl Machine {
    /// Writes the ISRs on condition of the leader's znode versions; a leader epoch does not change.
    pub(super) fn alter_isr(&mut self, broker: BrokerId, broker_epoch: i64, changes: Vec<IsrChange>) {
        if self.context.broker(broker).is_none_or(|b| b.epoch != broker_epoch) {
            controller_log!(
                info,
                self,
                "Ignoring AlterIsr due to stale broker epoch {broker_epoch} for broker {broker}"
            );
            return self.reply(Reply::AlterIsr(Err(ErrorCode::StaleBrokerEpoch)));
        }
        let mut results = Results::new();
        let mut accepted = BTreeMap::new();
        for change in changes {
            let tp = change.partition.clone();
            match self.check_isr_change(broker, change) {
                Ok(Some(next)) => {
                    accepted.insert(tp, next);
                }
                Ok(None) => {
                    let state = self.context.leader_and_isr(&tp).cloned();
                    results.insert(tp, state.ok_or(ErrorCode::UnknownTopicOrPartition));
                }
                Err(code) => {
                    results.insert(tp, Err(code));
                }
            }
        }
        let writes = accepted.iter().map(|(tp, s)| ZkWrite::SetState(tp.clone(), s.clone())).collect();
        self.write(writes, move |m, outcomes| m.isrs_written(accepted, outcomes, results));
    }

    /// The state to write, or `None` if it is as wanted already.
    fn check_isr_change(
        &self,
        broker: BrokerId,
        change: IsrChange,
    ) -> Result<Option<LeaderAndIsr>, ErrorCode> {
        let tp = &change.partition;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let partition = self.context.partition(tp).ok_or(unknown)?;
        let current = partition.leader_and_isr.as_ref().ok_or(unknown)?;
        if change.leader_epoch != current.leader_epoch || current.leader != broker {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        let mut unique = change.isr.clone();
        unique.sort_unstable();
        unique.dedup();
        let known = |id: &BrokerId| partition.assignment.replicas.contains(id) || current.isr.contains(id);
        if unique.len() != change.isr.len() || !unique.contains(&broker) || !unique.iter().all(known) {
            return Err(ErrorCode::InvalidRequest);
        }
        if change.isr == current.isr.as_slice() {
            return Ok(None);
        }
        Ok(Some(LeaderAndIsr {
            leader: current.leader,
            leader_epoch: current.leader_epoch,
            isr: BrokerIds::from_vec(change.isr),
            controller_epoch: self.epoch(),
            zk_version: change.zk_version,
        }))
    }

    fn isrs_written(
        &mut self,
        accepted: BTreeMap<TopicPartition, LeaderAndIsr>,
        outcomes: Vec<WriteOutcome>,
        mut results: Results,
    ) {
        let event = self.event_number;
        for ((tp, mut state), outcome) in accepted.into_iter().zip(outcomes) {
            let result = match outcome {
                WriteOutcome::Done(version) => {
                    state.zk_version = version;
                    self.context.put_leader_and_isr(&tp, state.clone(), event);
                    Ok(state)
                }
                WriteOutcome::BadVersion => {
                    controller_log!(
                        info,
                        self,
                        "Failed to update ISR to {state} for partition {tp}, bad ZK version."
                    );
                    Err(ErrorCode::InvalidUpdateVersion)
                }
                _ => Err(ErrorCode::UnknownTopicOrPartition),
            };
            results.insert(tp, result);
        }
        let everybody = self.context.broker_ids();
        let partitions: Vec<_> = results.keys().cloned().collect();
        self.send_update_metadata(&everybody, &partitions);
        self.reply(Reply::AlterIsr(Ok(results.into_iter().collect())));
        partitions.iter().for_each(|tp| self.isr_changed(tp));
    }
}
