//! Replicas in memory, and what their leaders answer.

use super::*;
use crate::common::{BrokerId, ErrorCode};
use crate::replication::fetcher::messages::{FetchAnswer, Fetched, FetchedPartition};
use crate::replication::fetcher::session::SessionFetch;
use crate::replication::fetcher::truncation::EpochEnd;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::cell::RefCell;
use std::rc::Rc;

/// Records that one fetch may take.
const RECORDS_MAX: usize = 3;

/// One record: the epoch in which it was appended, and a value.
pub(super) type Record = (LeaderEpoch, i64);

#[derive(Clone, Debug, Default)]
pub(super) struct Replica {
    pub(super) start: Offset,
    pub(super) records: Vec<Record>,
    /// Epochs with their first offsets.
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
    pub(super) high_watermark: Offset,
    /// In which it leads or follows; -1 after a restart.
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) leads: bool,
    pub(super) broken: bool,
    /// As leader: the others' log ends, as of their fetches.
    pub(super) remote: HashMap<BrokerId, Offset>,
    pub(super) isr: Vec<BrokerId>,
    pub(super) epoch_start: Offset,
}

impl Replica {
    pub(super) fn end(&self) -> Offset {
        self.start + self.records.len() as Offset
    }

    pub(super) fn record(&self, offset: Offset) -> Option<Record> {
        self.records.get(usize::try_from(offset - self.start).ok()?).copied()
    }

    pub(super) fn view(&self) -> LogView {
        LogView {
            log_start_offset: self.start,
            log_end_offset: self.end(),
            high_watermark: self.high_watermark,
            latest_epoch: self.epochs.last().map(|entry| entry.0),
        }
    }

    pub(super) fn push(&mut self, record: Record) {
        self.assign(record.0, self.end());
        self.records.push(record);
    }

    pub(super) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.epochs.last().is_some_and(|last| last.0 == epoch) {
            return;
        }
        self.epochs.retain(|entry| entry.0 < epoch && entry.1 < start);
        self.epochs.push((epoch, start));
    }

    /// As `LeaderEpochCache::end_offset_for`.
    pub(super) fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.epochs.last()?.0;
        if epoch == -1 || epoch > latest {
            return None;
        }
        if epoch == latest {
            return Some((epoch, self.end()));
        }
        let higher = self.epochs.partition_point(|entry| entry.0 <= epoch);
        let found = if higher == 0 { epoch } else { self.epochs[higher - 1].0 };
        Some((found, self.epochs[higher].1))
    }

    pub(super) fn cut(&mut self, offset: Offset) {
        if offset < self.end() {
            self.records.truncate(usize::try_from(offset - self.start).unwrap_or(0));
            self.start = self.start.min(offset);
        }
        let end = self.end();
        self.epochs.retain(|entry| entry.1 < end);
        self.high_watermark = self.high_watermark.clamp(self.start, end);
    }

    pub(super) fn raise_start(&mut self, offset: Offset) {
        if offset <= self.start {
            return;
        }
        self.records.drain(..(offset - self.start) as usize);
        self.start = offset;
        let covered = self.epochs.iter().take_while(|entry| entry.1 <= offset).count();
        if covered > 0 {
            self.epochs.drain(..covered - 1);
            self.epochs[0].1 = offset;
        }
    }

    /// As leader: commits what all in-sync replicas have.
    pub(super) fn commit(&mut self, own: BrokerId) {
        let others = self.isr.iter().filter(|id| **id != own);
        let ends: Option<Vec<Offset>> = others.map(|id| self.remote.get(id).copied()).collect();
        if let Some(ends) = ends {
            let committed = ends.into_iter().chain([self.end()]).min().unwrap_or(0);
            self.high_watermark = self.high_watermark.max(committed);
        }
    }

    pub(super) fn check_epoch(&self, asked: LeaderEpoch) -> ErrorCode {
        if asked < self.leader_epoch {
            ErrorCode::FencedLeaderEpoch
        } else if asked > self.leader_epoch {
            ErrorCode::UnknownLeaderEpoch
        } else if !self.leads {
            ErrorCode::NotLeaderOrFollower
        } else {
            ErrorCode::None
        }
    }

    /// A follower's fetch, as in `handlers/client/fetch`.
    pub(super) fn fetch(&mut self, name: &TopicPartition, asked: &FetchPosition) -> FetchedPartition {
        let mut answer = FetchedPartition {
            name: name.clone(),
            error: self.check_epoch(asked.current_leader_epoch),
            high_watermark: self.high_watermark,
            log_start_offset: self.start,
            diverging: None,
            records: Bytes::new(),
        };
        if answer.error != ErrorCode::None {
            return answer;
        }
        let offset = asked.fetch_offset;
        if let Some(epoch) = asked.last_fetched_epoch {
            match self.epoch_end(epoch).filter(|_| offset >= self.start) {
                None => {
                    answer.error = ErrorCode::OffsetOutOfRange;
                    return answer;
                }
                Some((leader_epoch, end_offset)) if leader_epoch < epoch || end_offset < offset => {
                    answer.diverging = Some(EpochEnd { leader_epoch, end_offset });
                    return answer;
                }
                Some(_) => {}
            }
        }
        if offset < self.start || offset > self.end() {
            answer.error = ErrorCode::OffsetOutOfRange;
            return answer;
        }
        let from = (offset - self.start) as usize;
        answer.records = encode(offset, &self.records[from..self.records.len().min(from + RECORDS_MAX)]);
        answer
    }
}

pub(super) fn encode(base: Offset, records: &[Record]) -> Bytes {
    let mut bytes = BytesMut::new();
    for (at, (epoch, value)) in records.iter().enumerate() {
        bytes.put_i64(base + at as Offset);
        bytes.put_i32(*epoch);
        bytes.put_i64(*value);
    }
    bytes.freeze()
}

/// The log of a follower, shared with the test.
#[derive(Clone, Debug, Default)]
pub(super) struct Handle(pub(super) Rc<RefCell<Replica>>);

impl Handle {
    fn change<T>(&self, epoch: LeaderEpoch, change: impl FnOnce(&mut Replica) -> T) -> Result<T, LogFailure> {
        let mut replica = self.0.borrow_mut();
        if replica.broken {
            return Err(LogFailure::Storage);
        }
        if replica.leads || replica.leader_epoch != epoch {
            return Err(LogFailure::NotFollowing);
        }
        Ok(change(&mut replica))
    }
}

impl FollowerLog for Handle {
    fn look(&self, leader_epoch: LeaderEpoch) -> Result<LogView, LogFailure> {
        self.change(leader_epoch, |replica| replica.view())
    }

    fn end_offset_for_epoch(
        &self,
        leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, LogFailure> {
        self.change(leader_epoch, |replica| replica.epoch_end(epoch))
    }

    fn append(&self, leader_epoch: LeaderEpoch, fetched: &Fetched) -> Result<LogView, LogFailure> {
        self.change(leader_epoch, |replica| {
            let mut bytes = fetched.records.clone();
            assert_eq!(fetched.fetch_offset, replica.end(), "fetched for the log end");
            while bytes.len() >= 20 {
                if bytes.get_i64() != replica.end() {
                    return Err(LogFailure::Rejected("out of order".to_string()));
                }
                let epoch = bytes.get_i32();
                replica.push((epoch, bytes.get_i64()));
            }
            let committed = fetched.high_watermark.min(replica.end());
            replica.high_watermark = replica.high_watermark.max(committed);
            replica.raise_start(fetched.log_start_offset.min(replica.high_watermark));
            Ok(replica.view())
        })?
    }

    fn truncate_to(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        self.change(leader_epoch, |replica| {
            replica.cut(offset);
            replica.view()
        })
    }

    fn restart_at(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        self.change(leader_epoch, |replica| {
            (replica.start, replica.high_watermark) = (offset, offset);
            replica.records.clear();
            replica.epochs.clear();
            replica.view()
        })
    }
}

/// The sessions of one leader (KIP-227), for one process of it.
#[derive(Default)]
pub(super) struct Sessions {
    next: i32,
    open: HashMap<i32, Session>,
}

#[derive(Default)]
struct Session {
    epoch: i32,
    order: Vec<TopicPartition>,
    wanted: HashMap<TopicPartition, FetchPosition>,
    told: HashMap<TopicPartition, (Offset, Offset)>,
}

impl Sessions {
    /// Answers a request; `look` is asked for every partition of the session.
    pub(super) fn fetch(
        &mut self,
        request: &SessionFetch,
        mut look: impl FnMut(&TopicPartition, &FetchPosition) -> FetchedPartition,
    ) -> FetchAnswer {
        let refuse = |error| FetchAnswer { error, session_id: 0, partitions: Vec::new() };
        let full = request.session_epoch == 0;
        let id = if full {
            self.open.remove(&request.session_id);
            self.next += 1;
            self.open.insert(self.next, Session::default());
            self.next
        } else {
            request.session_id
        };
        let Some(session) = self.open.get_mut(&id) else { return refuse(ErrorCode::FetchSessionIdNotFound) };
        if session.epoch != request.session_epoch {
            return refuse(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.epoch += 1;
        for (name, position) in &request.partitions {
            if session.wanted.insert(name.clone(), *position).is_none() {
                session.order.push(name.clone());
            }
        }
        for name in &request.forgotten {
            assert!(session.wanted.remove(name).is_some(), "forgets what was never asked for");
            session.told.remove(name);
            session.order.retain(|other| other != name);
        }
        let mut answer = FetchAnswer { error: ErrorCode::None, session_id: id, partitions: Vec::new() };
        for name in &session.order {
            let found = look(name, &session.wanted[name]);
            let standing = (found.high_watermark, found.log_start_offset);
            let is_news = found.error != ErrorCode::None
                || found.diverging.is_some()
                || !found.records.is_empty()
                || session.told.insert(name.clone(), standing) != Some(standing);
            if full || is_news {
                answer.partitions.push(found);
            }
        }
        answer
    }
}
