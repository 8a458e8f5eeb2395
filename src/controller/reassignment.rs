//! Moves replicas between brokers (KIP-455), asked for by API or by `/admin/reassign_partitions`.
//!
//! ```text
//! U  replicas that an earlier reassignment was adding and this one does not want leave the ISR and delete their logs;
//!    the topic's znode gets replicas = target + origin, adding = target - origin, removing = origin - target
//! A  target not in sync yet: one leader epoch further, all replicas are told, those to be added are started
//! B  target in sync: those added are online; the leader moves into the target if it must; those to be removed
//!    leave the ISR and delete their logs; the topic's znode gets replicas = target
//! ```
//! The topic's znode is the record of it all, so another controller can go on at any point. Phase B
//! begins when the ISR holds the target: seen in AlterIsr, in the state's znode (watched while leaders write ISRs
//! themselves), or in a notification. Partitions of one request go through the phases together.
//!
//! Invariants: a reassignment never leaves a partition with replicas outside target and origin, nor an ISR with a
//! member that is no replica; its origin stays whole until the target is in sync and leads. Unlike Kafka 2.8.2: in U
//! the topic's znode is written last, not first; a leader that U stops is replaced in A; whatever would delete the last
//! in-sync copy is refused, and so is a znode that asks for no replicas at all, for one twice or for a negative id; and
//! if nobody of the target can lead when B begins, it waits instead of taking the origin away.
//!
//! Source: `KafkaController.onPartitionReassignment`.

use super::context::{LeaderAndIsr, ReplicaAssignment};
use super::effect::{ReassignmentError, ReassignmentResults, Reply, ZkRead, ZkWrite};
use super::event::{TopicNode, WriteOutcome, ZkValue};
use super::leader_election::Election;
use super::logging::{Listed, controller_log, state_change_log};
use super::machine::{Machine, one, step};
use super::states::{PartitionState, ReplicaState};
use crate::common::ids::NO_LEADER;
use crate::common::{BrokerId, ErrorCode, TopicPartition};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// Wanted assignments.
type Wanted = BTreeMap<TopicPartition, ReplicaAssignment>;

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ReassignmentError> {
    Err(ReassignmentError { code, message: Some(message.into()) })
}

/// Requests.
impl Machine {
    /// Starts, changes or (no replicas) cancels reassignments; replies per partition once they are under way.
    pub(super) fn alter_reassignments(&mut self, asked: Vec<(TopicPartition, Option<Vec<BrokerId>>)>) {
        let mut results = ReassignmentResults::new();
        let mut wanted = Wanted::new();
        for (tp, target) in asked {
            match self.build_reassignment(&tp, target) {
                Ok(assignment) => drop(wanted.insert(tp, assignment)),
                Err(error) => results.push((tp, Err(error))),
            }
        }
        let taken_over: BTreeSet<_> = wanted.keys().cloned().collect();
        let accepted = taken_over.clone();
        self.plan([
            // The latest word counts, whichever way it came.
            step(move |m| m.forget_in_znode(taken_over, false)),
            step(move |m| m.reassign(wanted)),
            step(move |m| {
                let mut failed = std::mem::take(&mut m.failed_reassignments);
                results.extend(accepted.into_iter().map(|tp| {
                    let result = failed.remove(&tp).map_or(Ok(()), Err);
                    (tp, result)
                }));
                m.reply(Reply::AlterReassignments(Ok(results)));
            }),
        ]);
    }

    /// Replies with the reassignments under way, of these partitions or of all.
    pub(super) fn list_reassignments(&mut self, partitions: Option<Vec<TopicPartition>>) {
        let partitions = partitions.unwrap_or_else(|| self.context.reassigning().cloned().collect());
        let ongoing = partitions.into_iter().filter_map(|tp| {
            let assignment = self.context.partition(&tp)?.assignment.clone();
            assignment.is_being_reassigned().then_some((tp, assignment))
        });
        let ongoing = ongoing.collect();
        self.reply(Reply::ListReassignments(Ok(ongoing)));
    }

    fn build_reassignment(
        &self,
        tp: &TopicPartition,
        target: Option<Vec<BrokerId>>,
    ) -> Result<ReplicaAssignment, ReassignmentError> {
        let current = self.context.partition(tp).map(|p| p.assignment.clone()).unwrap_or_default();
        if let Some(target) = &target {
            self.check_target(&current, target)?;
        }
        let wanted = match target {
            Some(target) => current.reassigned_to(&target),
            None if current.is_being_reassigned() => current.reassigned_to(&current.origin()),
            None => {
                return refuse(
                    ErrorCode::NoReassignmentInProgress,
                    ErrorCode::NoReassignmentInProgress.message(),
                );
            }
        };
        if current.replicas.is_empty() || self.context.is_queued_for_deletion(&tp.topic) {
            return refuse(ErrorCode::UnknownTopicOrPartition, "The partition does not exist.");
        }
        match self.takes_last_copy(tp, &wanted) {
            true => Err(last_copy()),
            false => Ok(wanted),
        }
    }

    /// True if all in-sync replicas are among those that an assignment has no place for.
    fn takes_last_copy(&self, tp: &TopicPartition, wanted: &ReplicaAssignment) -> bool {
        let state = self.context.leader_and_isr(tp);
        state.is_some_and(|s| !s.isr.iter().any(|id| wanted.replicas.contains(id)))
    }

    fn check_target(
        &self,
        current: &ReplicaAssignment,
        target: &[BrokerId],
    ) -> Result<(), ReassignmentError> {
        if let Some(why) = malformed(target) {
            return refuse(ErrorCode::InvalidReplicaAssignment, why);
        }
        let adding = current.reassigned_to(target).adding;
        let live: Vec<BrokerId> =
            self.context.broker_ids().into_iter().filter(|id| self.context.is_live(*id)).collect();
        if adding.iter().all(|id| live.contains(id)) {
            return Ok(());
        }
        refuse(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "Replica assignment has brokers that are not alive. Replica list: ArrayBuffer({}), live broker list: \
                 Set({})",
                shown(&adding),
                shown(&live)
            ),
        )
    }

    /// `/admin/reassign_partitions` came or changed; also looked at when taking office, and then followed by all other
    /// reassignments under way.
    pub(super) fn reassignments_changed(&mut self, takes_office: bool) {
        self.read(vec![ZkRead::Reassignments], move |m, values| {
            let ZkValue::Reassignments(found) = one(values) else { unreachable!("asked for reassignments") };
            let mut wanted = Wanted::new();
            let mut refused = BTreeSet::new();
            for (tp, target) in found.into_iter().flatten() {
                let current = m.context.partition(&tp).map(|p| p.assignment.clone()).unwrap_or_default();
                // The node is rewritten when part of it is done: the rest is under way.
                if !takes_office && current.is_being_reassigned() && current.target().as_slice() == target {
                    continue;
                }
                let unknown = current.replicas.is_empty() || m.context.is_queued_for_deletion(&tp.topic);
                let is_safe = || !m.takes_last_copy(&tp, &current.reassigned_to(&target));
                if unknown || malformed(&target).is_some() || !is_safe() {
                    controller_log!(warn, m, "Refused reassignment of {tp} to {}", shown(&target));
                    refused.insert(tp);
                } else {
                    let assignment = current.reassigned_to(&target);
                    wanted.insert(tp, assignment);
                }
            }
            let others = m.context.reassigning().filter(|tp| takes_office && !wanted.contains_key(*tp));
            let others = others.cloned().collect();
            m.plan([
                step(move |m| m.reassign(wanted)),
                step(move |m| m.advance_reassignments(others)),
                step(move |m| {
                    refused.extend(std::mem::take(&mut m.failed_reassignments).into_keys());
                    m.forget_in_znode(refused, false);
                }),
            ]);
        });
    }

    /// Takes partitions out of `/admin/reassign_partitions`, if it is there; with `only_done`, those whose replicas
    /// are now what it asks for.
    fn forget_in_znode(&mut self, partitions: BTreeSet<TopicPartition>, only_done: bool) {
        if partitions.is_empty() {
            return;
        }
        self.read(vec![ZkRead::Reassignments], move |m, values| {
            let ZkValue::Reassignments(found) = one(values) else { unreachable!("asked for reassignments") };
            let Some(found) = found else { return };
            let is_over = |(tp, target): &(TopicPartition, Vec<BrokerId>)| {
                let is_done = || {
                    let replicas = m.context.partition(tp).map(|p| &p.assignment.replicas);
                    replicas.is_some_and(|replicas| replicas.as_slice() == target)
                };
                partitions.contains(tp) && (!only_done || is_done())
            };
            let rest: Vec<_> = found.iter().filter(|entry| !is_over(entry)).cloned().collect();
            let write = match rest.len() {
                0 => ZkWrite::DeleteReassignments,
                left if left == found.len() => return,
                _ => ZkWrite::SetReassignments(rest),
            };
            m.write(vec![write], |_, _| {});
        });
    }
}

fn last_copy() -> ReassignmentError {
    let message = "All in-sync replicas are among those that would be removed and deleted.";
    ReassignmentError { code: ErrorCode::InvalidReplicaAssignment, message: Some(message.to_string()) }
}

/// Why no partition can have these replicas.
fn malformed(target: &[BrokerId]) -> Option<String> {
    let unique: BTreeSet<_> = target.iter().collect();
    if target.is_empty() {
        Some("Empty replica list specified in partition reassignment.".to_string())
    } else if unique.len() != target.len() {
        let list = shown(target);
        Some(format!("Duplicate replica ids in partition reassignment replica list: ArrayBuffer({list})"))
    } else if target.iter().any(|id| *id < 0) {
        Some(format!("Invalid broker id in replica list: ArrayBuffer({})", shown(target)))
    } else {
        None
    }
}

fn shown(ids: &[BrokerId]) -> String {
    ids.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(", ")
}

/// Phase U.
impl Machine {
    fn reassign(&mut self, wanted: Wanted) {
        let mut changed = Wanted::new();
        let mut unneeded = Vec::new();
        for (tp, assignment) in &wanted {
            let Some(partition) = self.context.partition(tp).filter(|p| p.assignment != *assignment) else {
                continue;
            };
            let goes = |id: &&BrokerId| !assignment.replicas.contains(id);
            unneeded.extend(partition.assignment.replicas.iter().filter(goes).map(|id| (tp.clone(), *id)));
            changed.insert(tp.clone(), assignment.clone());
        }
        let partitions: Vec<_> = wanted.into_keys().collect();
        self.plan([
            step(move |m| m.stop_replicas(unneeded)),
            step(move |m| {
                changed.retain(|tp, _| !m.failed_reassignments.contains_key(tp));
                m.write_assignments(changed);
            }),
            step(move |m| {
                let failed = &m.failed_reassignments;
                let partitions = partitions.into_iter().filter(|tp| !failed.contains_key(tp)).collect();
                m.advance_reassignments(partitions);
            }),
        ]);
    }

    /// Writes the assignments into the znodes of their topics, then takes them over.
    fn write_assignments(&mut self, changed: Wanted) {
        let mut by_topic: BTreeMap<ByteString, Wanted> = BTreeMap::new();
        for (tp, assignment) in changed {
            by_topic.entry(tp.topic.clone()).or_default().insert(tp, assignment);
        }
        let mut writes = Vec::with_capacity(by_topic.len());
        for (name, changed) in &by_topic {
            let Some(topic) = self.context.topic(name) else { continue };
            let mut partitions: BTreeMap<_, _> =
                topic.partitions.iter().map(|(number, p)| (*number, p.assignment.clone())).collect();
            partitions.extend(changed.iter().map(|(tp, assignment)| (tp.partition, assignment.clone())));
            let node = TopicNode { id: topic.id, partitions };
            writes.push(ZkWrite::SetTopic { topic: name.clone(), node });
        }
        self.write(writes, move |m, outcomes| {
            for ((name, changed), outcome) in by_topic.into_iter().zip(outcomes) {
                for (tp, assignment) in changed {
                    if let WriteOutcome::Done(_) = outcome {
                        controller_log!(
                            info,
                            m,
                            "Successfully updated assignment of partition {tp} to {assignment}"
                        );
                        m.context.put_assignment(&tp, assignment);
                    } else {
                        controller_log!(
                            error,
                            m,
                            "The assignment of topic {name} was not written: {outcome:?}"
                        );
                        m.reassignment_failed(tp);
                    }
                }
            }
        });
    }

    fn reassignment_failed(&mut self, tp: TopicPartition) {
        let error = ReassignmentError { code: ErrorCode::UnknownServerError, message: None };
        self.failed_reassignments.insert(tp, error);
    }

    /// Stops replicas that are no part of the assignment any more, and deletes their logs.
    fn stop_replicas(&mut self, replicas: Vec<(TopicPartition, BrokerId)>) {
        if replicas.is_empty() {
            return;
        }
        let stopped = replicas.clone();
        self.plan([
            step(move |m| m.move_replicas(stopped, ReplicaState::Offline)),
            step(move |m| m.delete_stopped(replicas)),
        ]);
    }

    /// Deletes the logs of replicas that left the ISR. One that could not, being the last in it by now, goes on.
    fn delete_stopped(&mut self, replicas: Vec<(TopicPartition, BrokerId)>) {
        let (needed, stopped): (Vec<_>, Vec<_>) = replicas.into_iter().partition(|(tp, broker)| {
            self.context.leader_and_isr(tp).is_some_and(|s| s.isr.contains(broker))
        });
        for (tp, broker) in &needed {
            controller_log!(warn, self, "Replica {broker} is all that is in sync of {tp}: it stays");
            self.failed_reassignments.insert(tp.clone(), last_copy());
        }
        let led = needed.iter().map(|(tp, _)| tp.clone()).collect();
        let election = Some(Election::Offline { allow_unclean: false });
        let [started, deleted, gone] = std::array::from_fn(|_| stopped.clone());
        self.plan([
            step(move |m| m.move_replicas(started, ReplicaState::DeletionStarted)),
            // As in Kafka nobody waits for the answers: the log of a broker that is away stays on its disk.
            step(move |m| m.move_replicas(deleted, ReplicaState::DeletionSuccessful)),
            step(move |m| m.move_replicas(gone, ReplicaState::NonExistent)),
            step(move |m| m.move_replicas(needed, ReplicaState::Online)),
            step(move |m| m.move_partitions(led, PartitionState::Online, election)),
        ]);
    }
}

/// Which phase comes next.
impl Machine {
    /// Reads the states of these partitions and goes on with A or B.
    pub(super) fn advance_reassignments(&mut self, partitions: Vec<TopicPartition>) {
        let watched = !self.config.uses_alter_isr;
        let read = |tp: TopicPartition| match watched {
            true => ZkRead::WatchedPartitionState(tp),
            false => ZkRead::PartitionState(tp),
        };
        let reads = partitions.iter().cloned().map(read).collect();
        self.read(reads, move |m, values| {
            let (mut done, mut begun) = (Vec::new(), Vec::new());
            for (tp, value) in partitions.into_iter().zip(values) {
                if let Err(reason) = m.take_state(&tp, value) {
                    controller_log!(error, m, "Error completing reassignment of partition {tp}: {reason}");
                    m.reassignment_failed(tp);
                } else if m.is_target_in_sync(&tp) {
                    done.push(tp);
                } else {
                    begun.push(tp);
                }
            }
            m.plan([
                step(move |m| m.start_reassignments(begun)),
                step(move |m| m.complete_reassignments(done)),
            ]);
        });
    }

    /// The ISR of a partition changed, as the context has it: at the end of the event in hand, its reassignment may be
    /// done.
    pub(super) fn isr_changed(&mut self, tp: &TopicPartition) {
        if self.context.is_reassigning(tp) {
            self.reassignments_to_check.push(tp.clone());
        }
    }

    /// Completes what can be completed of the reassignments whose ISR changed.
    pub(super) fn check_reassignments(&mut self) {
        let mut changed = std::mem::take(&mut self.reassignments_to_check);
        changed.sort();
        changed.dedup();
        changed.retain(|tp| self.context.is_reassigning(tp) && self.is_target_in_sync(tp));
        self.complete_reassignments(changed);
    }

    /// The watched state of a partition that is reassigned changed.
    pub(super) fn reassigned_state_changed(&mut self, tp: TopicPartition) {
        if !self.context.is_reassigning(&tp) {
            return;
        }
        self.read(vec![ZkRead::WatchedPartitionState(tp.clone())], move |m, values| {
            match m.take_state(&tp, one(values)) {
                Ok(()) => m.isr_changed(&tp),
                Err(reason) => controller_log!(error, m, "State of {tp}: {reason}"),
            }
        });
    }

    /// Brokers came: reassignments that wait for them go on.
    pub(super) fn resume_reassignments_to(&mut self, brokers: &[BrokerId]) {
        let waits = |tp: &&TopicPartition| {
            let partition = self.context.partition(tp);
            partition.is_some_and(|p| p.assignment.target().iter().any(|id| brokers.contains(id)))
        };
        let partitions = self.context.reassigning().filter(waits).cloned().collect();
        self.advance_reassignments(partitions);
    }

    fn is_target_in_sync(&self, tp: &TopicPartition) -> bool {
        let Some(partition) = self.context.partition(tp) else { return false };
        let Some(state) = &partition.leader_and_isr else { return false };
        let assignment = &partition.assignment;
        !assignment.is_being_reassigned() || assignment.target().iter().all(|id| state.isr.contains(id))
    }
}

/// Phase A.
impl Machine {
    fn start_reassignments(&mut self, partitions: Vec<TopicPartition>) {
        let leaderless = |tp: &&TopicPartition| {
            let state = self.context.leader_and_isr(tp);
            state.is_some_and(|s| s.leader == NO_LEADER)
        };
        let leaderless = partitions.iter().filter(leaderless).cloned().collect();
        let election = Some(Election::Offline { allow_unclean: false });
        self.plan([
            step(move |m| m.move_partitions(leaderless, PartitionState::Online, election)),
            step(move |m| m.raise_leader_epochs(partitions)),
            step(Machine::flush_batch),
        ]);
    }

    /// Same leader, same ISR, one epoch further: so the leader learns of the replicas. The batch is left to the caller.
    fn raise_leader_epochs(&mut self, partitions: Vec<TopicPartition>) {
        let mut pending: Vec<(TopicPartition, LeaderAndIsr)> = Vec::with_capacity(partitions.len());
        for tp in partitions {
            if let Some(current) = self.context.leader_and_isr(&tp) {
                let next = current.succeed(current.leader, current.isr.clone(), self.epoch());
                pending.push((tp, next));
            }
        }
        let writes = pending.iter().map(|(tp, next)| ZkWrite::SetState(tp.clone(), next.clone())).collect();
        self.write(writes, move |m, outcomes| {
            let event = m.event_number;
            let mut changed = Vec::new();
            for ((tp, mut next), outcome) in pending.into_iter().zip(outcomes) {
                match outcome {
                    WriteOutcome::Done(version) => {
                        next.zk_version = version;
                        m.context.put_leader_and_isr(&tp, next, event);
                        m.tell_of_assignment(&tp);
                    }
                    WriteOutcome::BadVersion => changed.push(tp),
                    other => {
                        state_change_log!(
                            error,
                            m.id_and_epoch(),
                            "The leader epoch of {tp} was not raised: {other:?}"
                        );
                        m.reassignment_failed(tp);
                    }
                }
            }
            m.reread_and_raise(changed);
        });
    }

    fn tell_of_assignment(&mut self, tp: &TopicPartition) {
        let Some(partition) = self.context.partition(tp) else { return };
        let assignment = partition.assignment.clone();
        self.batch.add_leader_and_isr(&assignment.origin(), tp, false);
        // New replicas may be put into any log directory that works.
        self.batch.add_leader_and_isr(&assignment.adding, tp, true);
        for broker in assignment.adding {
            if self.context.replica_state(tp, broker) == ReplicaState::NonExistent {
                self.context.set_replica_state(tp, broker, ReplicaState::New);
            }
        }
    }

    fn reread_and_raise(&mut self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let reads = partitions.iter().cloned().map(ZkRead::PartitionState).collect();
        self.read(reads, move |m, values| {
            let mut known = Vec::with_capacity(partitions.len());
            for (tp, value) in partitions.into_iter().zip(values) {
                match m.take_state(&tp, value) {
                    Ok(()) => known.push(tp),
                    Err(reason) => {
                        controller_log!(
                            error,
                            m,
                            "Error completing reassignment of partition {tp}: {reason}"
                        );
                        m.reassignment_failed(tp);
                    }
                }
            }
            m.raise_leader_epochs(known);
        });
    }
}

/// Phase B.
impl Machine {
    fn complete_reassignments(&mut self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let mut added = Vec::new();
        let mut before = Wanted::new();
        for tp in partitions {
            let Some(partition) = self.context.partition(&tp) else { continue };
            let assignment = partition.assignment.clone();
            controller_log!(
                info,
                self,
                "Target replicas {} have all caught up with the leader for reassigning partition {tp}",
                Listed(&assignment.target())
            );
            added.extend(assignment.adding.iter().map(|id| (tp.clone(), *id)));
            before.insert(tp, assignment);
        }
        self.plan([
            step(move |m| m.move_replicas(added, ReplicaState::Online)),
            step(move |m| m.move_leaders_into_targets(before)),
        ]);
    }

    /// From here on only the target counts, in memory.
    fn move_leaders_into_targets(&mut self, before: Wanted) {
        let (mut elect, mut keep) = (Vec::new(), Vec::new());
        for (tp, assignment) in &before {
            let target = assignment.target();
            let leader = self.context.leader_and_isr(tp).map(|s| s.leader);
            let stays =
                leader.is_some_and(|id| target.contains(&id) && self.context.is_replica_online(tp, id));
            self.context.put_assignment(tp, ReplicaAssignment::new(target));
            if stays {
                keep.push(tp.clone());
            } else {
                elect.push(tp.clone());
            }
        }
        self.plan([
            step(move |m| m.move_partitions(elect, PartitionState::Online, Some(Election::Reassign))),
            step(move |m| m.raise_leader_epochs(keep)),
            step(Machine::flush_batch),
            step(move |m| m.remove_origins(before)),
        ]);
    }

    fn remove_origins(&mut self, before: Wanted) {
        let mut removed = Vec::new();
        let mut partitions = BTreeSet::new();
        // A request for what is there already changes no znode of a topic.
        let mut done = Wanted::new();
        for (tp, assignment) in before {
            let target = assignment.target();
            let leader = self.context.leader_and_isr(&tp).map(|s| s.leader);
            if assignment.is_being_reassigned() && leader.is_none_or(|id| !target.contains(&id)) {
                controller_log!(
                    warn,
                    self,
                    "Nobody of {} can lead {tp} now: its reassignment waits",
                    Listed(&target)
                );
                self.context.put_assignment(&tp, assignment);
                continue;
            }
            removed.extend(assignment.removing.iter().map(|id| (tp.clone(), *id)));
            partitions.insert(tp.clone());
            if assignment.is_being_reassigned() {
                done.insert(tp, ReplicaAssignment::new(target));
            }
        }
        let told: Vec<_> = partitions.iter().cloned().collect();
        let topics: BTreeSet<ByteString> = partitions.iter().map(|tp| tp.topic.clone()).collect();
        self.plan([
            step(move |m| m.stop_replicas(removed)),
            step(move |m| m.write_assignments(done)),
            step(move |m| m.forget_in_znode(partitions, true)),
            step(move |m| {
                let everybody = m.context.broker_ids();
                m.send_update_metadata(&everybody, &told);
                m.resume_deletions(topics);
            }),
        ]);
    }
}
