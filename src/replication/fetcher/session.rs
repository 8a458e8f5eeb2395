//! The follower's end of a fetch session (KIP-227). Pure.
//!
//! Invariants:
//! - `known` is what the leader believes that this follower wants, once it has answered the request that said so;
//! - after any doubt (no answer, a refusal, an answer that does not fit) the next request is full, and names the old
//!   session so that the leader can drop it.
//!
//! A leader without sessions (Fetch before version 7) never gives an id: every request is full then.
//! Source: Kafka 2.8.2, `org.apache.kafka.clients.FetchSessionHandler`.

use crate::common::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use std::collections::HashMap;

/// "No session".
const NO_SESSION: i32 = 0;
/// Asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// What a follower wants of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchPosition {
    /// In which it follows; fences (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    /// Its log end.
    pub fetch_offset: Offset,
    /// Its log start.
    pub log_start_offset: Offset,
    /// Epoch of its last record, if the leader is to tell where logs part (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// A fetch request, as far as the session decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionFetch {
    /// 0: none.
    pub session_id: i32,
    /// 0: make a new one.
    pub session_epoch: i32,
    /// In order.
    pub partitions: Vec<(TopicPartition, FetchPosition)>,
    /// Not wanted any more.
    pub forgotten: Vec<TopicPartition>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct FetcherSession {
    id: i32,
    epoch: i32,
    known: HashMap<TopicPartition, FetchPosition>,
}

impl FetcherSession {
    /// True if the next request has to name every partition.
    pub fn is_full(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    /// What the request under way (or the session) says of a partition.
    pub fn known(&self, name: &TopicPartition) -> Option<&FetchPosition> {
        self.known.get(name)
    }

    /// The next request, if it is full. None if there is nothing to ask for.
    pub fn full(&mut self, wanted: Vec<(TopicPartition, FetchPosition)>) -> Option<SessionFetch> {
        assert!(self.is_full());
        self.known = wanted.iter().cloned().collect();
        let fetch = SessionFetch { partitions: wanted, ..self.header() };
        (!fetch.partitions.is_empty()).then_some(fetch)
    }

    /// The next request, if it is incremental: `touched` are the partitions of which something may have changed,
    /// with what is wanted of them now. None if there is nothing to ask for.
    pub fn incremental(
        &mut self,
        touched: impl IntoIterator<Item = (TopicPartition, Option<FetchPosition>)>,
    ) -> Option<SessionFetch> {
        assert!(!self.is_full());
        let mut fetch = self.header();
        for (name, wanted) in touched {
            match wanted {
                Some(position) if self.known.get(&name) == Some(&position) => {}
                Some(position) => {
                    self.known.insert(name.clone(), position);
                    fetch.partitions.push((name, position));
                }
                None if self.known.remove(&name).is_some() => fetch.forgotten.push(name),
                None => {}
            }
        }
        (!self.known.is_empty() || !fetch.forgotten.is_empty()).then_some(fetch)
    }

    fn header(&self) -> SessionFetch {
        SessionFetch { session_id: self.id, session_epoch: self.epoch, ..Default::default() }
    }

    /// Takes the head of an answer in, `answered` being the partitions in it. False if its partitions mean nothing.
    pub fn answered<'a>(
        &mut self,
        error: ErrorCode,
        session_id: i32,
        answered: impl ExactSizeIterator<Item = &'a TopicPartition>,
    ) -> bool {
        match error {
            ErrorCode::None => {}
            ErrorCode::FetchSessionIdNotFound => {
                self.forget();
                return false;
            }
            _ => {
                self.failed();
                return false;
            }
        }
        let (count, mut stray) = (answered.len(), false);
        for name in answered {
            stray |= !self.known.contains_key(name);
        }
        if stray || (self.is_full() && count < self.known.len()) {
            // A full answer names everything; a throttled one may be empty (KIP-219).
            self.failed();
            return false;
        }
        if session_id == NO_SESSION {
            self.forget();
        } else if self.is_full() {
            (self.id, self.epoch) = (session_id, 1);
        } else {
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
        true
    }

    /// There was no answer, or it is not known whether there was one.
    pub fn failed(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    /// The leader has no session.
    fn forget(&mut self) {
        (self.id, self.epoch) = (NO_SESSION, INITIAL_EPOCH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn at(fetch_offset: i64) -> FetchPosition {
        FetchPosition { current_leader_epoch: 1, fetch_offset, log_start_offset: 0, last_fetched_epoch: None }
    }

    fn answer(session: &mut FetcherSession, id: i32, partitions: &[i32]) -> bool {
        let names: Vec<_> = partitions.iter().map(|p| name(*p)).collect();
        session.answered(ErrorCode::None, id, names.iter())
    }

    #[test]
    fn a_session_names_only_what_changed() {
        let mut session = FetcherSession::default();
        assert_eq!(session.full(Vec::new()), None);
        let fetch = session.full(vec![(name(0), at(5)), (name(1), at(7))]).expect("a request");
        assert_eq!((fetch.session_id, fetch.session_epoch, fetch.partitions.len()), (0, 0, 2));
        assert!(answer(&mut session, 99, &[0, 1]));
        let fetch = session.incremental([(name(0), Some(at(6))), (name(1), Some(at(7)))]).expect("a request");
        assert_eq!((fetch.session_id, fetch.session_epoch), (99, 1));
        assert_eq!(fetch.partitions, [(name(0), at(6))]);
        assert!(answer(&mut session, 99, &[]));
        let fetch = session.incremental([(name(0), None), (name(2), Some(at(0)))]).expect("a request");
        assert_eq!((fetch.session_epoch, &fetch.forgotten[..]), (2, &[name(0)][..]));
        assert_eq!(fetch.partitions, [(name(2), at(0))]);
        assert!(answer(&mut session, 99, &[2]));
        let last = session.incremental([(name(1), None), (name(2), None)]).expect("tells the leader");
        assert_eq!(last.forgotten.len(), 2);
        assert!(answer(&mut session, 99, &[]));
        assert_eq!(session.incremental([]), None, "nothing to ask for");
    }

    #[test]
    fn after_any_doubt_the_request_is_full() {
        let mut session = FetcherSession::default();
        let wanted = vec![(name(0), at(5)), (name(1), at(7))];
        session.full(wanted.clone()).expect("a request");
        assert!(!answer(&mut session, 99, &[0]), "a full answer is full");
        session.full(wanted.clone()).expect("a request");
        assert!(answer(&mut session, 99, &[0, 1]));
        assert!(!answer(&mut session, 99, &[4]), "not asked for");
        let fetch = session.full(wanted.clone()).expect("a request");
        assert_eq!((fetch.session_id, fetch.session_epoch), (99, 0), "the old session may go");
        assert!(answer(&mut session, 100, &[0, 1]));
        assert!(!session.answered(ErrorCode::FetchSessionIdNotFound, 0, [].iter()));
        let fetch = session.full(wanted.clone()).expect("a request");
        assert_eq!((fetch.session_id, fetch.session_epoch), (0, 0));
        assert!(answer(&mut session, 0, &[0, 1]), "no session to be had");
        assert!(session.is_full());
        session.full(wanted).expect("a request");
        assert!(answer(&mut session, 7, &[0, 1]));
        session.epoch = i32::MAX;
        assert!(answer(&mut session, 7, &[]));
        assert_eq!(session.epoch, 1, "not 0: that would be full");
    }
}
