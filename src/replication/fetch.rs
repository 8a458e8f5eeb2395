//! Fetch: a set of partitions, read from where each stands, answered when there is enough or time is over.
//!
//! The set looks only at partitions that are *due*: new ones, ones whose offset the client moved, ones that
//! still have data, and ones that were marked because their partition moved ([`super::watch`]). An idle
//! partition is looked at once and then costs nothing. The same code serves a single request and a session
//! that lives for days ([`super::fetch_session`]).

mod look;

use super::error::PartitionError;
use super::partition::{Partition, Reader};
use super::watch::{WatchId, Watcher};
use crate::common::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::storage::{LogPosition, LogRead, ReadPlan};
use bytestring::ByteString;
use look::{look_at, note_follower};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a client asks of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionRequest {
    /// Topic.
    pub topic: ByteString,
    /// Partition number.
    pub partition: i32,
    /// The leader epoch that the client knows, -1 if none.
    pub current_leader_epoch: LeaderEpoch,
    /// First offset wanted.
    pub fetch_offset: Offset,
    /// The epoch of the record before that, -1 if the client does not say (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// Bytes wanted at most.
    pub bytes_max: usize,
    /// Where the log of a follower begins, -1 if a consumer asks.
    pub log_start_offset: Offset,
}

/// Where a consumer is (KIP-392).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// Its rack.
    pub rack: ByteString,
    /// The listener that it came through: replicas are offered only if they have it.
    pub listener: String,
}

/// What holds for the whole request.
#[derive(Clone, Debug)]
pub struct FetchLimits {
    /// Answer as soon as this many bytes are there.
    pub bytes_min: usize,
    /// Answer with no more than this (but see `one_batch_at_least`).
    pub bytes_max: usize,
    /// The first partition with data returns a whole batch, whatever its size (request version 3 and up).
    pub one_batch_at_least: bool,
    /// Stop at the last stable offset and tell of aborted transactions.
    pub read_committed: bool,
    /// A replica that does not lead may answer, too (KIP-392).
    pub from_any_replica: bool,
    /// Where the consumer is, if it may be sent to a replica that is near.
    pub location: Option<Arc<Location>>,
}

/// What a partition answers.
#[derive(Clone, Debug)]
pub struct PartitionAnswer {
    /// Topic.
    pub topic: ByteString,
    /// Partition number.
    pub partition: i32,
    /// Why there is nothing.
    pub error: Option<FetchError>,
    /// End of the committed records, -1 with an error.
    pub high_watermark: Offset,
    /// End of the decided transactions, -1 with an error.
    pub last_stable_offset: Offset,
    /// First offset of the log, -1 with an error.
    pub log_start_offset: Offset,
    /// What was read; none if there is nothing.
    pub read: Option<LogRead>,
    /// The client's log is not a prefix of ours: the last epoch that both may share, and its end here.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Read from this replica (KIP-392).
    pub preferred_replica: Option<BrokerId>,
}

/// A refusal, or a partition that is not here.
#[derive(Clone, Debug)]
pub enum FetchError {
    /// Another broker hosts the partition.
    NotHosted,
    /// The cluster has no such partition.
    Unknown,
    /// The partition refused.
    Refused(PartitionError),
}

/// Finds hosted partitions.
pub trait PartitionSource: Send + Sync {
    /// The partition, if this broker hosts it.
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>>;

    /// True if the cluster has such a partition, wherever.
    fn is_known(&self, topic: &str, partition: i32) -> bool;

    /// True if followers of the partition that are not in sync have got more than their share lately.
    fn holds_back(&self, _: &TopicPartition) -> bool {
        false
    }

    /// True if followers are to hear of a high watermark as soon as it moves.
    fn tells_high_watermarks(&self) -> bool {
        false
    }

    /// True if a live broker is in the rack, and can be reached as its consumer reaches this one.
    fn is_near(&self, _: BrokerId, _: &Location) -> bool {
        false
    }
}

/// Where a partition stood when it was last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start_offset: Offset,
}

const UNKNOWN: Standing = Standing { high_watermark: -1, last_stable_offset: -1, log_start_offset: -1 };

impl Standing {
    /// True if a session's client must hear of it (KIP-227).
    fn is_news_after(&self, told: &Standing) -> bool {
        self.high_watermark != told.high_watermark || self.log_start_offset != told.log_start_offset
    }
}

/// Who looks, and for what.
struct Looker<'a> {
    source: &'a dyn PartitionSource,
    watcher: &'a Arc<Watcher>,
    reader: Reader,
    limits: &'a FetchLimits,
}

struct Member {
    request: PartitionRequest,
    partition: Option<Arc<Partition>>,
    watch: Option<WatchId>,
    /// In the queue of due members.
    due: bool,
    /// In the queue of ready members.
    listed: bool,
    standing: Standing,
    /// What the client was last told, of sessions.
    told: Standing,
    /// Answers come in ascending order; who was in an answer goes to the end of the line, so that all get room.
    rank: u64,
    /// Where `fetch_offset` lies, as far as known: saves the index lookup.
    hint: Option<LogPosition>,
    found: Found,
}

enum Found {
    Nothing,
    Data {
        plan: ReadPlan,
        bytes: usize,
    },
    Diverging(LeaderEpoch, Offset),
    /// Data, but not for this follower at this moment.
    HeldBack,
    /// Another replica is nearer.
    Elsewhere(BrokerId),
    Error(FetchError),
}

/// A set of partitions to read from.
pub struct FetchSet {
    source: Arc<dyn PartitionSource>,
    watcher: Arc<Watcher>,
    reader: Reader,
    members: slab::Slab<Member>,
    by_name: HashMap<(ByteString, i32), u32>,
    due: VecDeque<u32>,
    /// Members with data, an error, or a standing that the client does not know.
    ready: Vec<u32>,
    next_rank: u64,
}

impl FetchSet {
    /// An empty set of `reader`, who is the same in all its requests.
    pub fn new(source: Arc<dyn PartitionSource>, reader: Reader) -> FetchSet {
        FetchSet {
            source,
            watcher: Watcher::new(),
            reader,
            members: slab::Slab::new(),
            by_name: HashMap::new(),
            due: VecDeque::new(),
            ready: Vec::new(),
            next_rank: 0,
        }
    }

    /// Adds a partition, or moves one that is there.
    pub fn put(&mut self, request: PartitionRequest) {
        let name = (request.topic.clone(), request.partition);
        if let Some(&key) = self.by_name.get(&name) {
            let member = &mut self.members[key as usize];
            if member.request.fetch_offset != request.fetch_offset {
                member.hint = member.hint.filter(|hint| hint.offset == request.fetch_offset);
            }
            member.request = PartitionRequest { topic: member.request.topic.clone(), ..request };
            self.make_due(key);
            return;
        }
        let partition = self.source.find(&request.topic, request.partition);
        let key = self.members.insert(Member {
            request,
            partition,
            watch: None,
            due: false,
            listed: false,
            standing: UNKNOWN,
            told: UNKNOWN,
            rank: self.next_rank,
            hint: None,
            found: Found::Nothing,
        }) as u32;
        self.next_rank += 1;
        self.by_name.insert(name, key);
        self.make_due(key);
    }

    /// Removes a partition.
    pub fn remove(&mut self, topic: &ByteString, partition: i32) {
        let Some(key) = self.by_name.remove(&(topic.clone(), partition)) else { return };
        let member = self.members.remove(key as usize);
        member.unwatch(self.reader);
        self.due.retain(|due| *due != key);
        self.ready.retain(|ready| *ready != key);
    }

    /// An answer was not sent: what it told of a partition is still news.
    pub fn untell(&mut self, topic: &ByteString, partition: i32) {
        if let Some(&key) = self.by_name.get(&(topic.clone(), partition)) {
            self.members[key as usize].told = UNKNOWN;
            self.make_due(key);
        }
    }

    /// Who reads.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True without partitions.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn make_due(&mut self, key: u32) {
        let member = &mut self.members[key as usize];
        if !member.due {
            member.due = true;
            self.due.push_back(key);
        }
    }

    /// Looks at everything due. Ready when the request can be answered before its time is over.
    pub fn poll_enough(&mut self, limits: &FetchLimits, cx: &mut Context<'_>) -> Poll<()> {
        // Marks first: what is due may be enough by itself, time and again, and the marked must have their turn.
        let mut marked = self.watcher.take_marked();
        loop {
            self.note_marked(marked);
            self.look(limits);
            if self.is_enough(limits) {
                return Poll::Ready(());
            }
            marked = self.watcher.take_marked_or_wait(cx.waker());
            if marked.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Looks at everything due, without waiting.
    pub fn look_once(&mut self, limits: &FetchLimits) {
        let marked = self.watcher.take_marked();
        self.note_marked(marked);
        self.look(limits);
    }

    fn note_marked(&mut self, marked: Vec<u32>) {
        for key in marked {
            // A key may be stale: its partition has left the set since.
            if self.members.contains(key as usize) {
                self.make_due(key);
            }
        }
    }

    fn look(&mut self, limits: &FetchLimits) {
        while let Some(key) = self.due.pop_front() {
            let member = &mut self.members[key as usize];
            member.due = false;
            member.look(
                &Looker { source: &*self.source, watcher: &self.watcher, reader: self.reader, limits },
                key,
            );
            let is_ready = member.has_something();
            if is_ready && !member.listed {
                self.ready.push(key);
            } else if member.listed && !is_ready {
                self.ready.retain(|ready| *ready != key);
            }
            member.listed = is_ready;
        }
    }

    /// Kafka's rule (`ReplicaManager.fetchMessages`): enough bytes, an error, or nothing that could bring bytes. A
    /// partition that the cluster does not have is no error here: it would make its client ask without a pause.
    fn is_enough(&self, limits: &FetchLimits) -> bool {
        let (mut bytes, mut unknown) = (0, 0);
        for key in &self.ready {
            let member = &self.members[*key as usize];
            match &member.found {
                Found::Error(FetchError::Unknown) => unknown += 1,
                Found::Error(_) | Found::Diverging(..) | Found::Elsewhere(_) => return true,
                Found::Data { bytes: there, .. } => bytes += (*there).min(member.request.bytes_max),
                Found::Nothing | Found::HeldBack if self.is_urgent(member) => return true,
                Found::Nothing | Found::HeldBack => {}
            }
            if bytes >= limits.bytes_min {
                return true;
            }
        }
        bytes >= limits.bytes_min || unknown == self.members.len()
    }

    /// A follower hears at once that records were deleted, as whoever deleted them waits for it; and what is committed,
    /// if consumers read from it.
    fn is_urgent(&self, member: &Member) -> bool {
        let (now, told) = (&member.standing, &member.told);
        self.reader != Reader::Consumer
            && told.log_start_offset >= 0
            && (now.log_start_offset > told.log_start_offset
                || (now.high_watermark > told.high_watermark && self.source.tells_high_watermarks()))
    }

    /// Reads, and answers with every partition (`all`), or with those that have news. First those that were answered
    /// the longest time ago, so that a full answer leaves nobody out for ever; unknown partitions come last.
    pub fn answer(&mut self, limits: &FetchLimits, all: bool) -> Vec<PartitionAnswer> {
        let mut answers = Vec::with_capacity(if all { self.members.len() } else { self.ready.len() });
        let mut left = limits.bytes_max;
        let mut one_batch = limits.one_batch_at_least;
        let mut line = std::mem::take(&mut self.ready);
        if all {
            line.clear();
            line.extend(self.members.iter().map(|(key, _)| key as u32));
        }
        if line.len() > 1 {
            line.sort_unstable_by_key(|key| self.members[*key as usize].place_in_line());
        }
        for key in line {
            let member = &mut self.members[key as usize];
            if !matches!(member.found, Found::Nothing) && !member.due {
                // It is looked at again at the next request: there may be more.
                member.due = true;
                self.due.push_back(key);
            }
            let answer = member.read(&mut left, &mut one_batch);
            let has_news = answer.error.is_some()
                || answer.read.is_some()
                || answer.diverging.is_some()
                || answer.preferred_replica.is_some()
                || member.standing.is_news_after(&member.told);
            member.listed = false;
            if all || has_news {
                // Who has to cut its log first does not listen to the rest.
                member.told = if answer.diverging.is_some() { UNKNOWN } else { member.standing };
                member.rank = self.next_rank;
                self.next_rank += 1;
                answers.push(answer);
            }
        }
        answers
    }
}

impl Drop for FetchSet {
    fn drop(&mut self) {
        for (_, member) in &self.members {
            member.unwatch(self.reader);
        }
    }
}

impl Member {
    /// True if it may have something for an answer.
    fn has_something(&self) -> bool {
        !matches!(self.found, Found::Nothing) || self.standing.is_news_after(&self.told)
    }

    fn place_in_line(&self) -> (bool, u64) {
        (matches!(self.found, Found::Error(FetchError::Unknown)), self.rank)
    }

    fn unwatch(&self, reader: Reader) {
        if let (Some(partition), Some(watch)) = (&self.partition, self.watch) {
            partition.unwatch(watch, reader);
        }
    }

    /// Sees where the partition stands and plans the read; watches it in any case, so that nothing is missed.
    fn look(&mut self, looker: &Looker<'_>, key: u32) {
        if let Some(partition) = self.partition.clone()
            && self.look_into(&partition, looker, key)
        {
            return;
        }
        // Unknown until now, or deleted and perhaps made anew since it was found.
        self.unwatch(looker.reader);
        (self.watch, self.hint) = (None, None);
        self.partition = looker.source.find(&self.request.topic, self.request.partition);
        let Some(partition) = self.partition.clone() else {
            let is_known = looker.source.is_known(&self.request.topic, self.request.partition);
            self.found = Found::Error(if is_known { FetchError::NotHosted } else { FetchError::Unknown });
            self.standing = UNKNOWN;
            return;
        };
        if !self.look_into(&partition, looker, key) {
            self.standing = UNKNOWN;
            self.found = Found::Error(FetchError::Refused(PartitionError::StorageFailed));
        }
    }

    /// False if the partition has no log any more.
    fn look_into(&mut self, partition: &Partition, looker: &Looker<'_>, key: u32) -> bool {
        let (request, hint, known) = (&self.request, self.hint, self.watch);
        let held_back = looker.reader != Reader::Consumer && looker.source.holds_back(&partition.name);
        let looked = partition.with_due(|state, due| {
            state.log.as_ref()?;
            let watch = state.watch(looker.reader, known, looker.watcher, key);
            let looked = look_at(state, request, hint, looker, held_back);
            let wanted = match (&looked, looker.reader) {
                (Ok((_, Found::Diverging(..), _)) | Err(_), _) | (_, Reader::Consumer) => None,
                (Ok(_), Reader::Follower(id)) => Some(note_follower(state, due, request, hint, id)),
            };
            Some((watch, looked, wanted))
        });
        let Some((watch, mut looked, wanted)) = looked else { return false };
        self.watch = Some(watch);
        match wanted {
            None | Some(Ok(None)) => {}
            Some(Ok(Some((change, words)))) => partition.want(change, &words),
            Some(Err(error)) => {
                log::warn!(target: "kafka.server.ReplicaManager", "Fetch of {}: {error}; it waits for its records", partition.name);
                if let Ok((_, Found::Data { bytes, .. }, _)) = &mut looked {
                    // What Apache Kafka does, too: they are not enough for an answer, but go out with it.
                    *bytes = 0;
                }
            }
        }
        match looked {
            Ok((standing, found, hint)) => {
                self.standing = standing;
                self.found = found;
                self.hint = hint;
            }
            Err(error) => {
                self.standing = UNKNOWN;
                self.found = Found::Error(FetchError::Refused(error));
            }
        }
        true
    }

    fn read(&mut self, left: &mut usize, one_batch: &mut bool) -> PartitionAnswer {
        match std::mem::replace(&mut self.found, Found::Nothing) {
            Found::Nothing | Found::HeldBack => self.blank(None),
            Found::Elsewhere(id) => PartitionAnswer { preferred_replica: Some(id), ..self.blank(None) },
            Found::Error(error) => self.blank(Some(error)),
            Found::Diverging(epoch, end_offset) => {
                PartitionAnswer { diverging: Some((epoch, end_offset)), ..self.blank(None) }
            }
            Found::Data { plan, .. } => {
                let limit = self.request.bytes_max.min(*left);
                if limit == 0 && !*one_batch {
                    return self.blank(None);
                }
                match plan.execute(limit, *one_batch) {
                    Ok(read) if read.size_bytes() == 0 => self.blank(None),
                    Ok(read) => {
                        *one_batch = false;
                        *left = left.saturating_sub(read.size_bytes());
                        self.hint = read.next;
                        PartitionAnswer { read: Some(read), ..self.blank(None) }
                    }
                    Err(error) => {
                        log::error!(target: "kafka.server.ReplicaManager",
                            "Error processing fetch of {}-{}: {error}", self.request.topic, self.request.partition);
                        self.blank(Some(FetchError::Refused(PartitionError::StorageFailed)))
                    }
                }
            }
        }
    }

    fn blank(&self, error: Option<FetchError>) -> PartitionAnswer {
        let standing = if error.is_some() { UNKNOWN } else { self.standing };
        PartitionAnswer {
            topic: self.request.topic.clone(),
            partition: self.request.partition,
            error,
            high_watermark: standing.high_watermark,
            last_stable_offset: standing.last_stable_offset,
            log_start_offset: standing.log_start_offset,
            read: None,
            diverging: None,
            preferred_replica: None,
        }
    }
}

#[cfg(test)]
mod tests;
