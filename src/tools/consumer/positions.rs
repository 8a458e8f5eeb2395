//! The partitions that a consumer reads, and how far it is in each.
//!
//! Invariant: `next` runs ahead of `consumed` by the records that wait in `Consumer::ready`; only `consumed` is
//! committed.

use super::Start;
use super::offsets::{Place, Places};
use crate::common::{BrokerId, Offset, TopicPartition};
use std::collections::BTreeMap;

/// What is known of a partition that is read.
pub struct Position {
    /// Its leader, if it is known.
    pub leader: Option<BrokerId>,
    /// The next offset to fetch; `None` until it is looked up.
    pub next: Option<Offset>,
    /// True if the group's commit has the first word about `next`.
    pub wants_committed: bool,
    /// Where to look it up.
    pub start: Start,
    /// True while an answer about it is under way.
    pub is_fetching: bool,
    /// Records that were fetched and not given out.
    pub buffered: usize,
    /// Where the caller stands.
    pub consumed: Option<Place>,
}

impl Position {
    /// A partition that was not looked at.
    pub fn new(leader: Option<BrokerId>, wants_committed: bool, start: Start) -> Position {
        let mut position = Position {
            leader,
            next: None,
            wants_committed,
            start,
            is_fetching: false,
            buffered: 0,
            consumed: None,
        };
        if let Start::At(offset) = start {
            position.go_to(Place { offset, leader_epoch: None });
        }
        position
    }

    /// Goes on from a place, whatever was there before.
    pub fn go_to(&mut self, place: Place) {
        self.next = Some(place.offset);
        self.consumed = Some(place);
        self.wants_committed = false;
        self.buffered = 0;
    }

    /// The offset that may be asked for now.
    pub fn to_fetch(&self) -> Option<Offset> {
        self.next.filter(|_| !self.is_fetching && self.buffered == 0)
    }

    /// A record was given out.
    pub fn consume(&mut self, offset: Offset, leader_epoch: i32) {
        self.buffered = self.buffered.saturating_sub(1);
        // After the last one, what holds no records (markers) is passed too.
        let end = self.next.filter(|_| self.buffered == 0).unwrap_or(offset + 1);
        let leader_epoch = Some(leader_epoch).filter(|epoch| *epoch >= 0);
        self.consumed = Some(Place { offset: end, leader_epoch });
    }

    /// A fetch went through without a record.
    pub fn skip_to(&mut self, next: Offset) {
        self.next = Some(next);
        if self.buffered == 0
            && let Some(place) = &mut self.consumed
        {
            place.offset = next;
        }
    }
}

/// By partition.
pub type Positions = BTreeMap<TopicPartition, Position>;

/// What may be committed of all partitions.
pub fn consumed(positions: &Positions) -> Places {
    positions
        .iter()
        .filter_map(|(key, position)| position.consumed.map(|place| (key.clone(), place)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_out_is_committed() {
        let key = TopicPartition::new("t", 0);
        let mut position = Position::new(Some(1), true, Start::Earliest);
        assert_eq!(position.to_fetch(), None);
        position.go_to(Place { offset: 5, leader_epoch: Some(2) });
        assert_eq!(position.to_fetch(), Some(5));
        // Two records, then a marker.
        position.next = Some(8);
        position.buffered = 2;
        assert_eq!(position.to_fetch(), None, "not before the buffer is empty");
        let mut positions = Positions::from([(key.clone(), position)]);
        assert_eq!(consumed(&positions)[&key], Place { offset: 5, leader_epoch: Some(2) });
        let position = positions.get_mut(&key).unwrap();
        position.consume(5, 3);
        assert_eq!(position.consumed, Some(Place { offset: 6, leader_epoch: Some(3) }));
        position.consume(6, 3);
        assert_eq!(position.consumed, Some(Place { offset: 8, leader_epoch: Some(3) }));
        position.skip_to(9);
        assert_eq!(position.consumed.unwrap().offset, 9);
    }
}
