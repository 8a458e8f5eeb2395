//! One group: who its members are, in which generation, and what they agreed on. Pure: no I/O, no clock, no lock.
//!
//! ```text
//!            join                    all joined, or time is over
//! Empty ──────────────► PreparingRebalance ──────────────► CompletingRebalance
//!   ▲                     │            ▲ ▲                        │
//!   └─────────────────────┘            │ └── member leaves, ──────┤ leader's assignment stored
//!     nobody is left                   │     joins, fails         ▼
//!                                      └──────────────────────  Stable
//! ```
//!
//! Invariants, checked by [`Group::check`]:
//! - `Empty` has no members; `CompletingRebalance` and `Stable` have some, a leader among them, and a protocol;
//! - `joining` and `owing_sync` count the members that wait in JoinGroup and those that owe a SyncGroup;
//! - `supported[p]` is the number of members that support `p`; some protocol is supported by all;
//! - every static member is found under its instance id;
//! - every request has at most one answer, and whoever leaves the group is answered first;
//! - the generation grows with every completed rebalance.
//!
//! A group that is gone (Kafka's state Dead) is simply not there.
//!
//! The steps are in `join`, `sync`, `membership` and `commits`. Source of the rules: Kafka 2.8.2,
//! `kafka.coordinator.group` (`GroupCoordinator`, `GroupMetadata`, `DelayedJoin`, `DelayedSync`, `DelayedHeartbeat`).

use super::commits::GroupOffsets;
use super::member::Member;
use super::step::{Effect, GroupRef, Now, Purpose, Step};
use crate::common::ErrorCode;
use crate::protocol::Message;
use crate::protocol::Reader;
use crate::protocol::stored::consumer_protocol::ConsumerProtocolSubscription;
use crate::protocol::stored::group_metadata::{GroupMetadataValue, MemberMetadata};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Protocol type of consumers.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";
pub(super) const LOG: &str = "kafka.coordinator.group.GroupCoordinator";
pub(super) const NEVER: i64 = i64::MAX;

/// What a group does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It has no members; committed offsets linger.
    Empty,
    /// Members are to join.
    PreparingRebalance,
    /// The leader is to assign.
    CompletingRebalance,
    /// Members work.
    Stable,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    fn may_follow(self, before: State) -> bool {
        match self {
            State::PreparingRebalance => before != State::PreparingRebalance,
            State::CompletingRebalance | State::Empty => before == State::PreparingRebalance,
            State::Stable => before == State::CompletingRebalance,
        }
    }
}

/// When a rebalance stops to wait for members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JoinWait {
    /// `group.initial.rebalance.delay.ms` for a group that was empty: goes on while members come.
    Initial { until_ms: i64, delay_ms: i64, remaining_ms: i64 },
    /// Until all known members have joined again.
    Members { until_ms: i64 },
}

impl JoinWait {
    pub(super) fn until_ms(self) -> i64 {
        match self {
            JoinWait::Initial { until_ms, .. } | JoinWait::Members { until_ms } => until_ms,
        }
    }
}

/// A group.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    pub(super) name: GroupRef,
    pub(super) state: State,
    /// When it entered the state (wall clock); none if a record of an old version did not say.
    pub(super) state_since_ms: Option<i64>,
    pub(super) protocol_type: Option<ByteString>,
    pub(super) protocol: Option<ByteString>,
    pub(super) generation: i32,
    pub(super) leader: Option<ByteString>,
    pub(super) members: BTreeMap<ByteString, Member>,
    /// Member ids by instance id.
    pub(super) static_members: HashMap<ByteString, ByteString>,
    /// Ids that were given and not used yet (KIP-394), and when they are forgotten.
    pub(super) pending_members: HashMap<ByteString, i64>,
    pub(super) supported: HashMap<ByteString, usize>,
    pub(super) joining: usize,
    pub(super) owing_sync: usize,
    pub(super) member_came: bool,
    pub(super) join_wait: Option<JoinWait>,
    pub(super) sync_deadline_ms: Option<i64>,
    /// None: not known, so any.
    pub(super) subscribed_topics: Option<HashSet<ByteString>>,
    pub(super) offsets: GroupOffsets,
    /// It had offsets of a transaction: then Kafka shows it, even empty, until it looks for expired offsets.
    pub(super) had_transaction: bool,
    /// No deadline is earlier than this.
    pub(super) wake_ms: i64,
    /// The driver knows of this time.
    armed_ms: i64,
}

impl Group {
    /// A group without members.
    pub fn new(name: GroupRef, now: Now) -> Group {
        Group {
            name,
            state: State::Empty,
            state_since_ms: Some(now.wall_ms),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            pending_members: HashMap::new(),
            supported: HashMap::new(),
            joining: 0,
            owing_sync: 0,
            member_came: false,
            join_wait: None,
            sync_deadline_ms: None,
            subscribed_topics: None,
            offsets: GroupOffsets::default(),
            had_transaction: false,
            wake_ms: NEVER,
            armed_ms: NEVER,
        }
    }

    /// Its id.
    pub fn id(&self) -> &ByteString {
        &self.name.id
    }

    /// What it does.
    pub fn state(&self) -> State {
        self.state
    }

    /// The current generation.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// The members by id.
    pub fn members(&self) -> &BTreeMap<ByteString, Member> {
        &self.members
    }

    /// The leader's id.
    pub fn leader(&self) -> Option<&ByteString> {
        self.leader.as_ref()
    }

    /// Type of its protocols, empty if it has none.
    pub fn protocol_type(&self) -> ByteString {
        self.protocol_type.clone().unwrap_or_default()
    }

    /// The protocol of this generation.
    pub fn protocol(&self) -> Option<&ByteString> {
        self.protocol.as_ref()
    }

    /// True for a group of consumers.
    pub fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref().is_some_and(|kind| kind == CONSUMER_PROTOCOL_TYPE)
    }

    /// True if members consume the topic, or may do so.
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed_topics.as_ref().is_none_or(|topics| topics.contains(topic))
    }

    /// True if nobody is in it and no offset is kept with it.
    pub(super) fn is_unused(&self) -> bool {
        self.state == State::Empty && self.pending_members.is_empty() && !self.offsets.has_any()
    }

    /// True if nobody could miss it.
    pub(super) fn is_pristine(&self) -> bool {
        self.generation == 0 && self.is_unused() && !self.had_transaction
    }

    pub(super) fn transition(&mut self, to: State, now: Now) {
        assert!(to.may_follow(self.state), "{}: {:?} after {:?}", self.name.id, to, self.state);
        self.state = to;
        self.state_since_ms = Some(now.wall_ms);
    }

    /// Something is due at `at_ms`.
    pub(super) fn arm(&mut self, at_ms: i64) {
        self.wake_ms = self.wake_ms.min(at_ms);
    }

    /// The time that the driver must wake this group at, if it does not know it yet.
    pub(super) fn take_wake(&mut self) -> Option<i64> {
        if self.wake_ms >= self.armed_ms {
            return None;
        }
        self.armed_ms = self.wake_ms;
        Some(self.wake_ms)
    }

    /// True if the driver's call at `at_ms` is the one that was asked for last.
    pub(super) fn disarm(&mut self, at_ms: i64) -> bool {
        let expected = self.armed_ms == at_ms;
        if expected {
            self.armed_ms = NEVER;
        }
        expected
    }

    /// Restarts a member's session.
    pub(super) fn renew_session(&mut self, member_id: &ByteString, step: &Step<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            let at_ms = step.after(i64::from(member.session_timeout_ms));
            member.expires_ms = Some(at_ms);
            self.arm(at_ms);
        }
    }

    /// FENCED_INSTANCE_ID if another member has taken this instance id over.
    pub(super) fn check_instance(
        &self,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> Result<(), ErrorCode> {
        let owner = instance_id.and_then(|instance| self.static_members.get(instance));
        if owner.is_some_and(|owner| owner != member_id) {
            log::error!(target: LOG, "given member.id {member_id} is identified as a known static member {}, but not matching the expected member.id in group {}",
                instance_id.map_or("", |id| id), self.name.id);
            return Err(ErrorCode::FencedInstanceId);
        }
        Ok(())
    }

    /// The longest that a member may take to join.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0).max(0)
    }

    pub(super) fn count_protocols(&mut self, protocols: &[(ByteString, Bytes)], added: bool) {
        for (name, _) in protocols {
            if added {
                *self.supported.entry(name.clone()).or_default() += 1;
            } else if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// True if a member of this kind has a protocol in common with all others.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(ByteString, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref().is_some_and(|own| own == protocol_type)
            && protocols.iter().any(|(name, _)| self.supported.get(name) == Some(&self.members.len()))
    }

    /// The protocol that most members prefer among those that all support; of equals the first by name.
    pub(super) fn select_protocol(&self) -> Option<ByteString> {
        let mut votes: BTreeMap<&ByteString, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name);
            if let Some(choice) = names.find(|name| self.supported.get(*name) == Some(&self.members.len())) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// What the members subscribe to; none if this is no group of consumers or cannot be read.
    pub(super) fn find_subscribed_topics(&self) -> Option<HashSet<ByteString>> {
        if !self.is_consumer_group() {
            return None;
        }
        let mut topics = HashSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(self.protocol.as_ref()?)?;
            let mut reader = Reader::new(metadata.clone());
            // Every version begins with what version 0 is.
            let subscription = reader
                .i16()
                .and_then(|_| ConsumerProtocolSubscription::decode(&mut reader, 0))
                .inspect_err(|error| log::warn!(target: LOG, "Failed to parse Consumer Protocol of group {}: {error}. Consumer group coordinator is not aware of the subscribed topics.", self.name.id))
                .ok()?;
            topics.extend(subscription.topics);
        }
        Some(topics)
    }

    /// The record of the group; assignments that are missing are empty.
    pub(super) fn record(&self, assignments: Option<&BTreeMap<ByteString, Bytes>>) -> GroupMetadataValue {
        let protocol = self.protocol.clone().unwrap_or_default();
        let member = |(id, member): (&ByteString, &Member)| MemberMetadata {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(&protocol).cloned().unwrap_or_default(),
            assignment: match assignments {
                Some(assignments) => assignments.get(id).cloned().unwrap_or_default(),
                None => member.assignment.clone(),
            },
            ..Default::default()
        };
        GroupMetadataValue {
            protocol_type: self.protocol_type(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            members: self.members.iter().map(member).collect(),
            ..Default::default()
        }
    }

    pub(super) fn store(
        &self,
        assignments: Option<&BTreeMap<ByteString, Bytes>>,
        purpose: Purpose,
        step: &mut Step<'_>,
    ) {
        let value = self.record(assignments);
        step.effects.push(Effect::StoreGroup { group: self.name.clone(), value, purpose });
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.monotonic_ms;
        if now_ms < self.wake_ms {
            return;
        }
        let pending = self.pending_members.len();
        self.pending_members.retain(|_, until_ms| *until_ms > now_ms);
        if self.pending_members.len() < pending && self.state == State::PreparingRebalance {
            self.try_complete_join(step);
        }
        self.expire_sessions(step);
        if self.sync_deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
            self.expire_sync(step);
        }
        if self.join_wait.is_some_and(|wait| wait.until_ms() <= now_ms) {
            self.join_time_is_over(step);
        }
        let sessions = self.members.values().filter_map(|member| member.expires_ms);
        let others = [self.sync_deadline_ms, self.join_wait.map(JoinWait::until_ms)];
        let all = sessions.chain(self.pending_members.values().copied()).chain(others.into_iter().flatten());
        self.wake_ms = all.min().unwrap_or(NEVER);
    }

    /// Panics if an invariant does not hold; for tests, whose cost it has.
    pub fn check(&self) {
        let members = &self.members;
        match self.state {
            State::Empty => assert!(members.is_empty(), "an empty group with members"),
            State::PreparingRebalance => assert!(self.join_wait.is_some(), "nothing ends the rebalance"),
            State::CompletingRebalance | State::Stable => {
                let leader = self.leader.as_ref().expect("a leader");
                assert!(members.contains_key(leader), "the leader is a member");
                let protocol = self.protocol.as_ref().expect("a protocol");
                assert!(members.values().all(|m| m.metadata(protocol).is_some()), "all have the protocol");
            }
        }
        assert_eq!(self.joining, members.values().filter(|m| m.joining.is_some()).count());
        assert_eq!(self.owing_sync, members.values().filter(|m| m.owes_sync).count());
        let mut supported: HashMap<ByteString, usize> = HashMap::new();
        for (name, _) in members.values().flat_map(|m| &m.protocols) {
            *supported.entry(name.clone()).or_default() += 1;
        }
        assert_eq!(supported, self.supported);
        assert!(members.is_empty() || supported.values().any(|count| *count == members.len()));
        let instances = members.iter().filter_map(|(id, m)| m.instance_id.clone().map(|i| (i, id.clone())));
        assert_eq!(instances.collect::<HashMap<_, _>>(), self.static_members);
        for member in members.values() {
            let alive = member.is_waiting() || member.expires_ms.is_some_and(|at| at >= self.wake_ms);
            assert!(alive, "a member whose absence nobody would notice");
            assert!(member.syncing.is_none() || self.state == State::CompletingRebalance);
        }
    }
}
