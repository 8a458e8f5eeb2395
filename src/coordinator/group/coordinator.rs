//! The driver of the groups that this broker coordinates: takes requests to their shard, and does what it wants done.
//!
//! A step runs under the mutex of its [`Slot`]; what it wants stored is appended in the order of the steps once that is
//! released, each append awaited by a task of its own, so that a client that leaves stops nothing half-way.

use super::join::JoinRequest;
use super::membership::MemberRef;
use super::moving::OffsetPlaces;
use super::offsets::{Fence, OffsetStore, OffsetsStorage};
use super::records::RecordFormat;
use super::shard::{CommitRequest, FetchedOffset, Shard};
use super::slot::{Due, Owned, Slot};
use super::step::{Answer, Caller, GroupSettings, Step, join_refusal, sync_refusal};
use super::sync::SyncRequest;
use super::timers::Timers;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::common::{ErrorCode, ProducerId, TopicPartition, clock, java_hash};
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;
use crate::protocol::messages::describe_groups::DescribedGroup;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::sync_group::SyncGroupResponse;
use crate::record::Compression;
use crate::replication::partition::RequiredAcks;
use bytestring::ByteString;
use log::info;
use std::collections::HashMap;
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

pub(super) const LOG: &str = "kafka.coordinator.group.GroupMetadataManager";
/// Partitions that are read at a time.
const LOADS_MAX: usize = 2;

/// What a coordinator needs.
pub struct GroupDeps {
    /// Its part of the configuration.
    pub config: Arc<BrokerConfig>,
    /// Which topics there are.
    pub metadata: Arc<MetadataCache>,
    /// Who knows where the cluster keeps committed offsets.
    pub places: OffsetPlaces,
    /// Offsets in ZooKeeper: those of OffsetCommit and OffsetFetch version 0, or all.
    pub store: Arc<dyn OffsetStore>,
}

/// See the module.
pub struct GroupCoordinator {
    pub(super) settings: GroupSettings,
    pub(super) format: RecordFormat,
    pub(super) commit_timeout_ms: i64,
    /// What an append to `__consumer_offsets` waits for; none where `offsets.commit.required.acks` is a number that no
    /// append knows (Kafka allows those up to the replication factor, and fails every append with them).
    pub(super) acks: Option<RequiredAcks>,
    pub(super) load_buffer_bytes: usize,
    pub(super) places: OffsetPlaces,
    pub(super) store: Arc<dyn OffsetStore>,
    pub(super) background: Handle,
    pub(super) loads: Arc<Semaphore>,
    pub(super) slots: RwLock<HashMap<i32, Arc<Slot>>>,
    metadata: Arc<MetadataCache>,
    partitions_configured: i32,
    timers: Arc<Timers>,
}

/// The answer to a request, if it is there already.
pub enum Reply {
    /// It is.
    Now(Answer),
    /// It comes.
    Later(oneshot::Receiver<Answer>),
}

impl Reply {
    fn of(mut receiver: oneshot::Receiver<Answer>) -> Reply {
        match receiver.try_recv() {
            Ok(answer) => Reply::Now(answer),
            Err(_) => Reply::Later(receiver),
        }
    }
}

/// The answer as one to JoinGroup; NOT_COORDINATOR if the coordinator is gone.
pub fn join_answer(answer: Option<Answer>) -> JoinGroupResponse {
    match answer {
        Some(Answer::Join(response)) => *response,
        _ => join_refusal(&ByteString::new(), ErrorCode::NotCoordinator),
    }
}

/// The answer as one to SyncGroup.
pub fn sync_answer(answer: Option<Answer>) -> SyncGroupResponse {
    match answer {
        Some(Answer::Sync(response)) => response,
        _ => sync_refusal(ErrorCode::NotCoordinator),
    }
}

/// The answer as one to a commit.
pub fn commit_answer(answer: Option<Answer>) -> ErrorCode {
    match answer {
        Some(Answer::Commit(code)) => code,
        _ => ErrorCode::NotCoordinator,
    }
}

/// What becomes of a commit.
pub enum Committing {
    /// Codes of all offsets, in order.
    Done(Vec<ErrorCode>),
    /// NONE stands for the answer that comes.
    Storing(Vec<ErrorCode>, oneshot::Receiver<Answer>),
}

/// A group in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedGroup {
    /// Its id.
    pub id: ByteString,
    /// Empty if it never had members.
    pub protocol_type: ByteString,
    /// Kafka's name of its state.
    pub state: &'static str,
}

impl GroupCoordinator {
    /// Starts timers and expiry on the runtime of the caller; they end when the coordinator is dropped.
    pub fn start(deps: GroupDeps) -> Arc<GroupCoordinator> {
        let config = &deps.config;
        let compression = i16::try_from(config.offsets_topic_compression_codec).unwrap_or_default();
        let coordinator = Arc::new(GroupCoordinator {
            settings: GroupSettings {
                session_timeout_ms_min: config.group_min_session_timeout_ms,
                session_timeout_ms_max: config.group_max_session_timeout_ms,
                initial_rebalance_delay_ms: i64::from(config.group_initial_rebalance_delay_ms),
                group_size_max: config.group_max_size.max(0) as usize,
                metadata_size_max: config.offset_metadata_max_bytes.max(0) as usize,
                offsets_retention_ms: i64::from(config.offsets_retention_minutes) * 60_000,
            },
            format: RecordFormat {
                ibp: config.inter_broker_protocol_version,
                compression: Compression::from_attributes(compression).unwrap_or_default(),
            },
            commit_timeout_ms: i64::from(config.offsets_commit_timeout_ms),
            acks: match config.offsets_commit_required_acks {
                -1 => Some(RequiredAcks::All),
                // Its place in the log is needed either way.
                0 | 1 => Some(RequiredAcks::Leader),
                _ => None,
            },
            load_buffer_bytes: config.offsets_load_buffer_size.max(1) as usize,
            places: deps.places,
            store: deps.store,
            background: Handle::current(),
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
            slots: RwLock::default(),
            metadata: deps.metadata,
            partitions_configured: config.offsets_topic_num_partitions,
            timers: Arc::default(),
        });
        tokio::spawn(wake(Arc::downgrade(&coordinator), Arc::clone(&coordinator.timers)));
        let interval = Duration::from_millis(config.offsets_retention_check_interval_ms.max(1) as u64);
        tokio::spawn(expire(Arc::downgrade(&coordinator), interval));
        info!(target: "kafka.coordinator.group.GroupCoordinator", "[GroupCoordinator {}]: Startup complete.", config.broker_id);
        coordinator
    }

    /// The partition of `__consumer_offsets` that holds a group. While there is no such topic, as many partitions count
    /// as it would get.
    pub fn partition_of(&self, group: &str) -> i32 {
        let cluster = self.metadata.current();
        let partitions = cluster.topic(GROUP_METADATA_TOPIC).map(|topic| topic.partitions.len() as i32);
        java_hash::partition_of(group, partitions.unwrap_or(self.partitions_configured))
    }

    /// Where the committed offsets of a group are; of one that is not coordinated here, where they were at the start.
    pub fn storage_of(&self, group: &str) -> OffsetsStorage {
        let slot = self.slot(self.partition_of(group));
        let storage = slot.and_then(|slot| slot.read(Shard::storage).ok());
        storage.unwrap_or_else(|| self.places.at_start())
    }

    /// True if some groups that are coordinated here have their offsets in ZooKeeper.
    pub fn has_offsets_in_store(&self) -> bool {
        let is_there =
            |slot: Arc<Slot>| slot.read(Shard::storage).is_ok_and(|s| s == OffsetsStorage::ZooKeeper);
        self.all_slots().into_iter().any(is_there)
    }

    /// The offsets in ZooKeeper, for version 0 of OffsetCommit and OffsetFetch.
    pub fn zookeeper_offsets(&self) -> &Arc<dyn OffsetStore> {
        &self.store
    }

    pub(super) fn slot(&self, partition: i32) -> Option<Arc<Slot>> {
        self.slots.read().expect("no panic while the slots are locked").get(&partition).cloned()
    }

    pub(super) fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().expect("no panic while the slots are locked").values().cloned().collect()
    }

    /// The slot of a group. Most APIs refuse the empty name; those that read and write offsets do not.
    fn slot_of(&self, group: &str, may_be_empty: bool) -> Result<Arc<Slot>, ErrorCode> {
        if group.is_empty() && !may_be_empty {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.slot(self.partition_of(group)).ok_or(ErrorCode::NotCoordinator)
    }

    /// Answers, timers and appends that a step has left.
    pub(super) fn serve(self: &Arc<Self>, slot: &Arc<Slot>, mut due: Due) {
        due.answer();
        if !due.wakes.is_empty() {
            self.timers.add(slot.partition, std::mem::take(&mut due.wakes));
        }
        if due.stores {
            slot.drain_outbox(|job| self.perform(slot, job));
        }
    }

    fn step<R>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        act: impl FnOnce(&mut Owned, &mut Step<'_>) -> R,
    ) -> Result<R, ErrorCode> {
        let (result, due) = slot.step(&self.settings, act)?;
        self.serve(slot, due);
        Ok(result)
    }

    fn ask(
        self: &Arc<Self>,
        group: &str,
        act: impl FnOnce(&mut Owned, Caller, &mut Step<'_>),
    ) -> Result<Reply, ErrorCode> {
        let slot = self.slot_of(group, false)?;
        let receiver = self.step(&slot, |owned, step| {
            let (caller, receiver) = owned.caller();
            act(owned, caller, step);
            receiver
        })?;
        Ok(Reply::of(receiver))
    }

    /// JoinGroup.
    pub fn join(self: &Arc<Self>, group: &ByteString, request: JoinRequest) -> Reply {
        let member_id = request.member_id.clone();
        self.ask(group, |owned, caller, step| owned.shard.join(group, request, caller, step))
            .unwrap_or_else(|code| Reply::Now(Answer::Join(Box::new(join_refusal(&member_id, code)))))
    }

    /// SyncGroup. While the group is loaded, the rebalance that the member speaks of is lost.
    pub fn sync(self: &Arc<Self>, group: &ByteString, request: SyncRequest) -> Reply {
        self.ask(group, |owned, caller, step| owned.shard.sync(group, request, caller, step)).unwrap_or_else(
            |code| {
                let told = match code {
                    ErrorCode::CoordinatorLoadInProgress => ErrorCode::RebalanceInProgress,
                    other => other,
                };
                Reply::Now(Answer::Sync(sync_refusal(told)))
            },
        )
    }

    /// Heartbeat. While the group is loaded, every member passes for alive.
    pub fn heartbeat(self: &Arc<Self>, group: &str, member: &MemberRef, generation: i32) -> ErrorCode {
        let beat = || {
            let slot = self.slot_of(group, false)?;
            self.step(&slot, |owned, step| owned.shard.heartbeat(group, member, generation, step))?
        };
        match beat() {
            Ok(()) | Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Err(code) => code,
        }
    }

    /// LeaveGroup; a code for each member, or one for all.
    pub fn leave(self: &Arc<Self>, group: &str, members: &[MemberRef]) -> Result<Vec<ErrorCode>, ErrorCode> {
        let slot = self.slot_of(group, false)?;
        let left = self.step(&slot, |owned, step| owned.shard.leave(group, members, step))?;
        Ok(left.into_iter().map(|result| result.err().unwrap_or(ErrorCode::None)).collect())
    }

    /// OffsetCommit from version 1 on, and TxnOffsetCommit.
    pub fn commit(self: &Arc<Self>, group: &ByteString, request: CommitRequest) -> Committing {
        let count = request.offsets.len();
        let may_be_empty = request.producer.is_none();
        let stepped = self.slot_of(group, may_be_empty).and_then(|slot| {
            self.step(&slot, |owned, step| {
                let (caller, receiver) = owned.caller();
                let codes = owned.shard.commit(group, request, caller, step);
                let stores = codes.iter().any(|code| code.is_none());
                if !stores {
                    owned.callers.remove(caller.0);
                }
                (codes, stores.then_some(receiver))
            })
        });
        match stepped {
            Err(code) => Committing::Done(vec![code; count]),
            Ok((codes, None)) => Committing::Done(codes),
            Ok((codes, Some(receiver))) => Committing::Storing(codes, receiver),
        }
    }

    /// Checks that this broker coordinates the group.
    pub fn check(&self, group: &str) -> Result<(), ErrorCode> {
        self.slot_of(group, true)?.check()
    }

    /// As whom this broker may change the offsets of a group outside of `__consumer_offsets`. Who judges by the group
    /// takes it before, so that a coordinator that was replaced meanwhile is refused.
    pub fn fence_of(&self, group: &str) -> Result<Fence, ErrorCode> {
        self.slot_of(group, true)?.fence()
    }

    /// OffsetFetch from memory: all that is known of `partitions`. Where offsets are in ZooKeeper, only whether they
    /// are stable.
    pub fn fetch(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        require_stable: bool,
    ) -> Result<Vec<FetchedOffset>, ErrorCode> {
        self.slot_of(group, true)?.read(|shard| shard.fetch(group, partitions, require_stable))
    }

    /// OffsetFetch from memory, of all partitions.
    pub fn fetch_all(
        &self,
        group: &str,
        require_stable: bool,
    ) -> Result<Vec<(TopicPartition, FetchedOffset)>, ErrorCode> {
        self.slot_of(group, true)?.read(|shard| shard.fetch_all(group, require_stable))
    }

    /// DescribeGroups, for one group; a group that is not there is `Dead`.
    pub fn describe(&self, group: &ByteString) -> DescribedGroup {
        let unknown = DescribedGroup {
            group_id: group.clone(),
            group_state: ByteString::from_static("Dead"),
            ..Default::default()
        };
        let described = self.slot_of(group, true).and_then(|slot| {
            slot.read(|shard| shard.group(group).map_or(unknown, super::describe::describe))
        });
        described.unwrap_or_else(|code| DescribedGroup {
            error_code: code.code(),
            group_id: group.clone(),
            ..Default::default()
        })
    }

    /// ListGroups: the groups of this broker; the code says whether some are still to be loaded.
    pub fn list(&self) -> (ErrorCode, Vec<ListedGroup>) {
        let (mut code, mut groups) = (ErrorCode::None, Vec::new());
        for slot in self.all_slots() {
            let listed = slot.read(|shard| {
                let listed = shard.groups().map(|group| ListedGroup {
                    id: group.id().clone(),
                    protocol_type: group.protocol_type(),
                    state: group.state().name(),
                });
                listed.collect::<Vec<_>>()
            });
            match listed {
                Ok(listed) => groups.extend(listed),
                Err(ErrorCode::CoordinatorLoadInProgress) => code = ErrorCode::CoordinatorLoadInProgress,
                Err(_) => {}
            }
        }
        (code, groups)
    }

    /// DeleteGroups in `__consumer_offsets`, for one group.
    pub fn delete(self: &Arc<Self>, group: &str) -> Result<(), ErrorCode> {
        let slot = self.slot_of(group, true)?;
        self.step(&slot, |owned, step| owned.shard.delete(group, step))?
    }

    /// OffsetDelete in `__consumer_offsets`; NONE where the offset may go, or is gone.
    pub fn delete_offsets(
        self: &Arc<Self>,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let slot = self.slot_of(group, false)?;
        self.step(&slot, |owned, step| owned.shard.delete_offsets(group, partitions, step))?
    }

    /// The marker that ends a transaction is committed in these partitions of `__consumer_offsets`: the offsets that it
    /// has brought become visible, or are forgotten.
    pub fn complete_transaction(
        self: &Arc<Self>,
        producer_id: ProducerId,
        partitions: &[i32],
        committed: bool,
    ) {
        for slot in partitions.iter().filter_map(|partition| self.slot(*partition)) {
            let due = slot.end_transaction(producer_id, committed, &self.settings);
            self.serve(&slot, due);
        }
    }

    /// These topics are gone, and so are the offsets of their partitions.
    pub fn topics_deleted(self: &Arc<Self>, topics: &[ByteString]) {
        if topics.is_empty() {
            return;
        }
        self.forget_topics_in_store(topics);
        for slot in self.all_slots() {
            let removed = self.step(&slot, |owned, step| owned.shard.remove_partitions_of(topics, step));
            if removed.is_ok_and(|count| count > 0) {
                info!(target: LOG, "Removed offsets associated with deleted topics: {topics:?}");
            }
        }
    }

    fn wake(self: &Arc<Self>, at_ms: i64, partition: i32, group: &str) {
        if let Some(slot) = self.slot(partition) {
            // Without a shard there is nothing to wake.
            let _ = self.step(&slot, |owned, step| owned.shard.tick(group, at_ms, step));
        }
    }

    fn expire(self: &Arc<Self>) {
        let started_ms = clock::monotonic_ms();
        let mut count = 0;
        for slot in self.all_slots() {
            let Ok(storage) = slot.read(Shard::storage) else { continue };
            count += match storage {
                OffsetsStorage::Kafka => {
                    self.step(&slot, |owned, step| owned.shard.expire_offsets(step)).unwrap_or(0)
                }
                OffsetsStorage::ZooKeeper => {
                    self.expire_in_store(&slot);
                    0
                }
            };
        }
        if count > 0 {
            let took_ms = clock::monotonic_ms() - started_ms;
            info!(target: LOG, "Removed {count} expired offsets in {took_ms} milliseconds.");
        }
    }
}

async fn wake(coordinator: Weak<GroupCoordinator>, timers: Arc<Timers>) {
    loop {
        let due = timers.due().await;
        let Some(alive) = coordinator.upgrade() else { return };
        for (at_ms, partition, group) in due {
            alive.wake(at_ms, partition, &group);
        }
    }
}

async fn expire(coordinator: Weak<GroupCoordinator>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(alive) = coordinator.upgrade() else { return };
        alive.expire();
    }
}
