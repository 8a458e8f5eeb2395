//! The partitions of this broker: assigned by the controller, found by the handlers.

mod moves;
mod settings;

pub use moves::MoveError;
use settings::append_settings;
pub use settings::log_config;

use super::coordination::PartitionListener;
use super::error::PartitionError;
use super::fetch::{Location, PartitionSource};
use super::fetcher::{Fetchers, Follow};
use super::mover::Mover;
use super::partition::Partition;
use super::partition_machine::{Decision, IsrChange, LeadershipState};
use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch, Offset, TopicPartition, Uuid, clock};
use crate::config::TopicConfig;
use crate::metadata::MetadataCache;
use crate::quota::replication::ReplicationQuota;
use crate::storage::{CreateError, Log, LogManager, LogState, StorageError};
use bytestring::ByteString;
use log::{error, info, warn};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use tokio::sync::mpsc;

/// Takes work that blocks on the disk and returns at once.
pub type RunBlocking = Box<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// The blocking threads of a runtime.
pub fn on_threads_of(runtime: tokio::runtime::Handle) -> RunBlocking {
    Box::new(move |work| drop(runtime.spawn_blocking(work)))
}

/// What partitions share.
pub struct ReplicaContext {
    /// This broker.
    pub broker_id: BrokerId,
    /// `inter.broker.protocol.version` is 2.1 or newer (KIP-110).
    pub zstd_allowed: bool,
    /// Where blocking work goes.
    pub run_blocking: RunBlocking,
    /// `replica.lag.time.max.ms`
    pub replica_lag_ms_max: i64,
    /// Consumers read from followers, too (KIP-392): these hear of a high watermark as soon as it moves.
    pub reads_near: bool,
    /// Failed directories, on their way to whoever takes them offline.
    pub failures: mpsc::UnboundedSender<StorageError>,
    /// Changes of ISRs, on their way to whoever writes them.
    pub isr_changes: mpsc::UnboundedSender<WantedIsr>,
}

/// A change of an ISR that its leader wants.
#[derive(Clone, Debug)]
pub struct WantedIsr {
    /// The partition.
    pub name: TopicPartition,
    /// The change.
    pub change: IsrChange,
}

impl ReplicaContext {
    pub(super) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        (self.run_blocking)(Box::new(work));
    }

    pub(super) fn isr_wanted(&self, name: &TopicPartition, change: IsrChange) {
        // Without a receiver the broker is stopping.
        let _ = self.isr_changes.send(WantedIsr { name: name.clone(), change });
    }

    pub(super) fn storage_failed(&self, failure: &StorageError) {
        // Without a receiver the broker is stopping.
        let _ = self.failures.send(failure.clone());
    }
}

/// A controller's decision about one partition.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The partition.
    pub name: TopicPartition,
    /// Its topic's id, if the controller knows it.
    pub topic_id: Option<Uuid>,
    /// The decision.
    pub state: LeadershipState,
    /// The partition has just been made: its log may be created wherever there is room.
    pub is_new: bool,
}

/// Why a decision was not applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssignmentError {
    /// Its epoch is not newer.
    Stale,
    /// This broker is not among the replicas.
    NotAReplica,
    /// The log is on, or may be on, a failed directory.
    StorageFailed,
    /// The log belongs to another topic of the same name.
    OtherTopicId,
}

/// An order to give up a partition.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The partition.
    pub name: TopicPartition,
    /// Fence: -2 while the topic is deleted, -1 none.
    pub leader_epoch: LeaderEpoch,
    /// Delete its log, too.
    pub delete: bool,
}

/// Why a partition was not given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopError {
    /// The order is older than what is known.
    Fenced,
    /// Its directory failed.
    StorageFailed,
}

/// -2: the topic is being deleted; -1: the sender gives no epoch.
const UNFENCED_EPOCHS: [LeaderEpoch; 2] = [-2, -1];

/// Settings of topics, by name; a topic that is missing has the broker's defaults.
pub type TopicConfigs = HashMap<ByteString, Arc<TopicConfig>>;

type Topics = HashMap<ByteString, Vec<Option<Arc<Partition>>>>;

/// Throttles of replication (KIP-73).
#[derive(Clone, Default)]
pub struct ReplicationQuotas {
    /// For what is sent to throttled followers that are not in sync.
    pub leader: Arc<ReplicationQuota>,
    /// For what throttled replicas that are not in sync fetch.
    pub follower: Arc<ReplicationQuota>,
    /// For what is copied between directories, whatever it is.
    pub moves: Arc<ReplicationQuota>,
}

/// See the module.
pub struct ReplicaManager {
    context: Arc<ReplicaContext>,
    logs: Arc<LogManager>,
    default_config: Arc<TopicConfig>,
    topics: RwLock<Topics>,
    /// Decisions are applied one request after the other.
    applying: Mutex<()>,
    controller_epoch: AtomicI32,
    high_watermarks: HashMap<TopicPartition, Offset>,
    listeners: RwLock<Vec<(&'static str, Arc<dyn PartitionListener>)>>,
    /// What replication may take of the network.
    pub quotas: ReplicationQuotas,
    /// None in a process that copies nothing.
    fetchers: OnceLock<Fetchers>,
    /// None in a process that moves nothing.
    mover: OnceLock<Mover>,
    /// Recovery points are collected and written by one at a time: older ones must not overwrite newer ones.
    checkpointing: Mutex<()>,
}

impl ReplicaManager {
    /// Over loaded logs. `high_watermarks` are those of the checkpoints.
    pub fn new(
        context: ReplicaContext,
        logs: Arc<LogManager>,
        default_config: Arc<TopicConfig>,
        high_watermarks: HashMap<TopicPartition, Offset>,
    ) -> ReplicaManager {
        ReplicaManager {
            context: Arc::new(context),
            logs,
            default_config,
            topics: RwLock::default(),
            applying: Mutex::new(()),
            controller_epoch: AtomicI32::new(0),
            high_watermarks,
            listeners: RwLock::default(),
            quotas: ReplicationQuotas::default(),
            fetchers: OnceLock::new(),
            mover: OnceLock::new(),
            checkpointing: Mutex::new(()),
        }
    }

    /// With throttles whose windows are configured.
    pub fn with_quotas(self, quotas: ReplicationQuotas) -> ReplicaManager {
        ReplicaManager { quotas, ..self }
    }

    fn throttle(&self, topic: &str, config: &TopicConfig) {
        let (topic, id) = (ByteString::from(topic), self.context.broker_id);
        self.quotas.leader.set_throttled(&topic, &config.leader_replication_throttled_replicas, id);
        self.quotas.follower.set_throttled(&topic, &config.follower_replication_throttled_replicas, id);
    }

    /// Has partitions that others lead copied from them. Called once, before the controller's first decision arrives.
    pub fn follow_with(&self, fetchers: Fetchers) {
        // A second call would change nothing.
        let _ = self.fetchers.set(fetchers);
    }

    /// A stop has begun: a leadership that is given up does not make this broker copy from its successor, which would
    /// take it back into the ISR.
    pub fn follow_no_more(&self) {
        if let Some(fetchers) = self.fetchers.get() {
            fetchers.close();
        }
    }

    /// Ends the copying, before the logs are closed.
    pub fn stop_following(&self) {
        if let Some(fetchers) = self.fetchers.get() {
            fetchers.stop();
        }
    }

    /// Writes the recovery points of all logs. Blocks on the disk.
    pub fn write_recovery_points(&self) {
        let _one_at_a_time = self.checkpointing.lock().expect("no panic while recovery points are written");
        let states = self.log_states();
        if let Err(failure) = self.logs.write_recovery_points(&states) {
            self.context.storage_failed(&failure);
        }
    }

    /// What checkpoints need of all logs, those included that move to another directory.
    pub fn log_states(&self) -> Vec<LogState> {
        let mut states = Vec::new();
        for partition in self.all() {
            partition.with_state(|state| states.extend(state.logs().map(Log::state)));
        }
        states
    }

    /// Writes the log starts of all logs. Blocks on the disk.
    pub fn write_log_starts(&self) {
        if let Err(failure) = self.logs.write_log_starts(&self.log_states()) {
            self.context.storage_failed(&failure);
        }
    }

    /// Has `listener` told what becomes of the partitions of `topic`. Called before the controller's first
    /// decision arrives.
    pub fn listen(&self, topic: &'static str, listener: Arc<dyn PartitionListener>) {
        self.listeners.write().expect("no panic while listeners are locked").push((topic, listener));
    }

    fn tell(&self, name: &TopicPartition, what: impl Fn(&dyn PartitionListener)) {
        let listeners = self.listeners.read().expect("no panic while listeners are locked");
        for (_, listener) in listeners.iter().filter(|(topic, _)| *topic == &*name.topic) {
            what(&**listener);
        }
    }

    /// A partition, if this broker hosts it.
    pub fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(partition).ok()?;
        self.read().get(topic)?.get(index)?.clone()
    }

    /// All partitions.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.read().values().flatten().flatten().cloned().collect()
    }

    /// Names of all topics with a partition here.
    pub fn topics(&self) -> Vec<ByteString> {
        self.read().keys().cloned().collect()
    }

    /// True if the epoch is at least the last seen one, which it replaces.
    pub fn note_controller_epoch(&self, epoch: ControllerEpoch) -> bool {
        self.controller_epoch.fetch_max(epoch, Ordering::AcqRel) <= epoch
    }

    /// Applies decisions, each for itself. Blocks on the disk.
    pub fn apply(
        &self,
        assignments: Vec<Assignment>,
        configs: &TopicConfigs,
    ) -> Vec<(TopicPartition, Option<Uuid>, Result<(), AssignmentError>)> {
        let _one_at_a_time = self.applying.lock().expect("no panic while decisions are applied");
        let apply = |assignment: Assignment| {
            let result = self.apply_one(&assignment, configs);
            if let Err(error) = &result {
                info!(target: "state.change.logger", "[Broker id={}] Decision for {} not applied: {error:?}",
                    self.context.broker_id, assignment.name);
            }
            (assignment.name, assignment.topic_id, result)
        };
        let applied: Vec<_> = assignments.into_iter().map(apply).collect();
        self.follow(&applied);
        applied
    }

    /// Gives followers to fetchers and takes leaders from them.
    fn follow(&self, applied: &[(TopicPartition, Option<Uuid>, Result<(), AssignmentError>)]) {
        let Some(fetchers) = self.fetchers.get() else { return };
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (name, _, _) in applied.iter().filter(|(_, _, result)| result.is_ok()) {
            let Some(partition) = self.find(&name.topic, name.partition) else { continue };
            match Follow::of(partition) {
                Some(follow) => added.push(follow),
                None => removed.push(name.clone()),
            }
        }
        fetchers.change(&removed, added);
    }

    /// `num.replica.fetchers` from now on.
    pub fn set_replica_fetchers(&self, count: i32) {
        let _one_at_a_time = self.applying.lock().expect("no panic while decisions are applied");
        let Some(fetchers) = self.fetchers.get() else { return };
        if fetchers.set_count(count) {
            fetchers.change(&[], self.all().into_iter().filter_map(Follow::of).collect());
        }
    }

    fn stop_following_one(&self, name: &TopicPartition) {
        if let Some(fetchers) = self.fetchers.get() {
            fetchers.change(std::slice::from_ref(name), Vec::new());
        }
    }

    fn apply_one(&self, assignment: &Assignment, configs: &TopicConfigs) -> Result<(), AssignmentError> {
        if !assignment.state.replicas.contains(&self.context.broker_id) {
            return Err(AssignmentError::NotAReplica);
        }
        let name = &assignment.name;
        let partition = match self.find(&name.topic, name.partition) {
            Some(partition) => partition,
            None => self.open(assignment, configs.get(&name.topic).unwrap_or(&self.default_config))?,
        };
        // Before the epochs: when the controller has heard of a failed directory, it repeats what it has decided, and
        // learns from the answers which replicas are gone.
        if partition.with_state(|state| state.log.is_none()) {
            return Err(AssignmentError::StorageFailed);
        }
        self.check_topic_id(&partition, assignment.topic_id)?;
        let decided = if assignment.state.leader == self.context.broker_id {
            partition.become_leader(&assignment.state)
        } else {
            partition.become_follower(&assignment.state)
        };
        match decided {
            Ok(Decision::Accepted) => {
                self.tell_role(partition, &assignment.state);
                Ok(())
            }
            Ok(Decision::Stale) => Err(AssignmentError::Stale),
            Ok(Decision::NotAReplica) => Err(AssignmentError::NotAReplica),
            Err(_) => Err(AssignmentError::StorageFailed),
        }
    }

    fn tell_role(&self, partition: Arc<Partition>, decision: &LeadershipState) {
        let (name, epoch) = (partition.name.clone(), decision.leader_epoch);
        let leads = decision.leader == self.context.broker_id;
        self.tell(&name, |listener| match leads {
            true => listener.became_leader(Arc::clone(&partition), epoch),
            false => listener.became_follower(name.partition, epoch),
        });
    }

    fn check_topic_id(&self, partition: &Partition, topic_id: Option<Uuid>) -> Result<(), AssignmentError> {
        let Some(topic_id) = topic_id else { return Ok(()) };
        partition.with_state(|state| {
            let Some(log) = state.log.as_mut() else { return Err(AssignmentError::StorageFailed) };
            if log.topic_id().is_zero() {
                return log.assign_topic_id(topic_id).map_err(|failure| {
                    self.context.storage_failed(&failure);
                    AssignmentError::StorageFailed
                });
            }
            if log.topic_id() == topic_id { Ok(()) } else { Err(AssignmentError::OtherTopicId) }
        })
    }

    fn open(&self, assignment: &Assignment, config: &TopicConfig) -> Result<Arc<Partition>, AssignmentError> {
        let name = &assignment.name;
        self.throttle(&name.topic, config);
        let log_config = Arc::new(log_config(config));
        let log = self.logs.get_or_create(name, &log_config, assignment.is_new).map_err(|error| {
            error!(target: "kafka.server.ReplicaManager", "Cannot open the log of {name}: {error}");
            if let CreateError::Storage(failure) = &error {
                self.context.storage_failed(failure);
            }
            AssignmentError::StorageFailed
        })?;
        let high_watermark = self.high_watermarks.get(name).copied().unwrap_or(0);
        let settings = append_settings(name, config, self.context.zstd_allowed);
        let partition =
            Partition::new(name.clone(), log, high_watermark, settings, Arc::clone(&self.context));
        let index = usize::try_from(name.partition).map_err(|_| AssignmentError::NotAReplica)?;
        let mut topics = self.topics.write().expect("no panic while the partitions are locked");
        let slots = topics.entry(name.topic.clone()).or_default();
        if slots.len() <= index {
            slots.resize(index + 1, None);
        }
        slots[index] = Some(Arc::clone(&partition));
        drop(topics);
        self.resume_move(&partition);
        Ok(partition)
    }

    /// Gives up partitions. Blocks on the disk.
    pub fn stop(&self, stops: Vec<Stop>) -> Vec<(TopicPartition, Result<(), StopError>)> {
        let _one_at_a_time = self.applying.lock().expect("no panic while decisions are applied");
        stops.into_iter().map(|stop| (stop.name.clone(), self.stop_one(&stop))).collect()
    }

    fn stop_one(&self, stop: &Stop) -> Result<(), StopError> {
        let Some(partition) = self.find(&stop.name.topic, stop.name.partition) else {
            if stop.delete {
                self.logs.delete_unclaimed(&stop.name).map_err(|failure| self.stop_failed(&failure))?;
            }
            return Ok(());
        };
        let current = partition.with_state(|state| state.machine.leader_epoch());
        if !UNFENCED_EPOCHS.contains(&stop.leader_epoch) && stop.leader_epoch <= current {
            return Err(StopError::Fenced);
        }
        self.stop_following_one(&stop.name);
        if !stop.delete {
            return Ok(());
        }
        let log = partition.take_log(&PartitionError::NotLeader).ok_or(StopError::StorageFailed)?;
        self.drop_future(&partition);
        self.forget(&stop.name);
        self.tell(&stop.name, |listener| listener.stopped(stop.name.partition));
        self.logs.delete(log).map_err(|failure| self.stop_failed(&failure))
    }

    fn stop_failed(&self, failure: &StorageError) -> StopError {
        self.context.storage_failed(failure);
        StopError::StorageFailed
    }

    fn forget(&self, name: &TopicPartition) {
        let mut topics = self.topics.write().expect("no panic while the partitions are locked");
        let Some(slots) = topics.get_mut(&name.topic) else { return };
        if let Some(slot) = usize::try_from(name.partition).ok().and_then(|index| slots.get_mut(index)) {
            *slot = None;
        }
        if slots.iter().all(Option::is_none) {
            topics.remove(&name.topic);
        }
    }

    /// Puts a topic's changed settings into force.
    pub fn set_topic_config(&self, topic: &str, config: &TopicConfig) {
        let partitions: Vec<_> = self.read().get(topic).into_iter().flatten().flatten().cloned().collect();
        self.throttle(topic, config);
        let log_config = Arc::new(log_config(config));
        for partition in partitions {
            partition.set_settings(append_settings(&partition.name, config, self.context.zstd_allowed));
            let updated = partition.with_state(|state| {
                let update = |log: &mut Log| log.update_config(Arc::clone(&log_config));
                state.future_log_mut().map_or(Ok(()), update)?;
                state.log.as_mut().map_or(Ok(()), update)
            });
            if let Err(failure) = updated {
                self.context.storage_failed(&failure);
            }
        }
    }

    /// Takes all partitions of a failed directory offline; gives their names.
    pub fn fail_directory(&self, directory: &Path) -> Vec<TopicPartition> {
        let mut failed = Vec::new();
        for partition in self.all() {
            let there = partition.with_state(|state| match state.log.as_ref() {
                Some(log) => **log.log_dir() == *directory,
                None => false,
            });
            if !there {
                if partition.moves_to().is_some_and(|to| *to == *directory) {
                    drop(partition.take_future());
                }
                continue;
            }
            drop(partition.take_log(&PartitionError::StorageFailed));
            self.leave_future(&partition, directory);
            self.stop_following_one(&partition.name);
            self.tell(&partition.name, |listener| listener.stopped(partition.name.partition));
            failed.push(partition.name.clone());
        }
        if !failed.is_empty() {
            warn!(target: "kafka.server.ReplicaManager", "[ReplicaManager broker={}] Broker {} stopped serving {} partitions because they are in the failed log directory {}.",
                self.context.broker_id, self.context.broker_id, failed.len(), directory.display());
        }
        failed
    }

    /// High watermarks of all partitions, by directory, for the checkpoints.
    pub fn high_watermarks(&self) -> HashMap<Arc<Path>, Vec<(TopicPartition, Offset)>> {
        let mut found: HashMap<Arc<Path>, Vec<_>> = HashMap::new();
        for partition in self.all() {
            partition.with_state(|state| {
                if let Some(log) = state.log.as_ref() {
                    let entry = (partition.name.clone(), state.machine.high_watermark().offset);
                    found.entry(Arc::clone(log.log_dir())).or_default().push(entry);
                }
            });
        }
        found
    }

    /// Takes every log out, for the end of the broker.
    pub fn close(&self) -> Vec<Log> {
        let all = self.all();
        let both = all
            .iter()
            .flat_map(|partition| [partition.take_log(&PartitionError::NotLeader), partition.take_future()]);
        both.flatten().collect()
    }

    /// Where failures of directories are reported.
    pub fn report_failure(&self, failure: &StorageError) {
        self.context.storage_failed(failure);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Topics> {
        self.topics.read().expect("no panic while the partitions are locked")
    }
}

/// Hosted partitions, and whether others are somewhere in the cluster.
pub struct ClusterPartitions {
    /// Those of this broker.
    pub hosted: Arc<ReplicaManager>,
    /// Those of all brokers.
    pub cluster: Arc<MetadataCache>,
}

impl PartitionSource for ClusterPartitions {
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.hosted.find(topic, partition)
    }

    fn is_known(&self, topic: &str, partition: i32) -> bool {
        self.cluster.current().partition(topic, partition).is_some()
    }

    fn holds_back(&self, name: &TopicPartition) -> bool {
        let quota = &self.hosted.quotas.leader;
        quota.is_throttled(name) && quota.is_exceeded(clock::monotonic_ms())
    }

    fn tells_high_watermarks(&self) -> bool {
        self.hosted.context.reads_near
    }

    fn is_near(&self, id: BrokerId, location: &Location) -> bool {
        let cluster = self.cluster.current();
        let Some(broker) = cluster.brokers.get(&id) else { return false };
        broker.rack.as_ref() == Some(&location.rack) && broker.endpoint(&location.listener).is_some()
    }
}
