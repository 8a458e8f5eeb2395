//! A consumer, as it sees things.

use super::world::PARTITIONS;
use bytes::Bytes;
use bytestring::ByteString;
use ottla::common::ErrorCode;
use ottla::protocol::messages::join_group::JoinGroupResponse;
use ottla::protocol::messages::sync_group::SyncGroupResponse;

pub const SESSION_TIMEOUT_MS: i32 = 6_000;
pub const REBALANCE_TIMEOUT_MS: i32 = 8_000;
/// How long it waits for an answer.
const PATIENCE_MS: i64 = 12_000;

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It wants to join.
    Outside,
    /// It has asked to.
    Joining,
    /// It has joined and must sync.
    Joined,
    /// It has asked for its assignment.
    Syncing,
    /// It has one.
    Working,
    /// It has crashed, left, or was fenced.
    Gone,
}

/// What it asks of the coordinator.
#[derive(Clone, PartialEq, Debug)]
pub enum Ask {
    Join,
    Sync(Vec<(ByteString, Bytes)>),
    Heartbeat,
    Leave,
    /// Partition and value, each.
    Commit(Vec<(i32, i64)>),
    /// The same as part of its transaction.
    TransactionalCommit(Vec<(i32, i64)>),
}

pub struct Consumer {
    pub name: String,
    pub instance: Option<ByteString>,
    /// Speaks JoinGroup from version 4 on.
    pub is_new_style: bool,
    pub protocols: Vec<(ByteString, Bytes)>,
    pub producer_id: i64,
    pub phase: Phase,
    pub member_id: ByteString,
    pub generation: i32,
    pub assignment: Vec<i32>,
    assigns: Option<Vec<(ByteString, Bytes)>>,
    /// The request that it waits for.
    pub waits_for: Option<u64>,
    waits_until_ms: i64,
    heartbeat_due_ms: i64,
    /// It does nothing until then: a long pause of its machine.
    pub paused_until_ms: i64,
    /// Values of its open transaction.
    pub open: Vec<i64>,
    /// Commits of its open transaction without a good answer.
    pub unconfirmed: usize,
}

pub fn encode(partitions: &[i32]) -> Bytes {
    partitions.iter().flat_map(|p| p.to_be_bytes()).collect::<Vec<u8>>().into()
}

pub fn decode(assignment: &[u8]) -> Vec<i32> {
    assignment.chunks_exact(4).map(|c| i32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect()
}

impl Consumer {
    pub fn new(name: String, instance: Option<&str>, producer_id: i64, range_first: bool) -> Consumer {
        let protocol = |name: &'static str| {
            (ByteString::from_static(name), Bytes::from_static(b"\0\0\0\0\0\0\xff\xff\xff\xff"))
        };
        let mut protocols = vec![protocol("range"), protocol("roundrobin")];
        if !range_first {
            protocols.reverse();
        }
        Consumer {
            is_new_style: producer_id % 3 != 0,
            name,
            instance: instance.map(ByteString::from),
            protocols,
            producer_id,
            phase: Phase::Outside,
            member_id: ByteString::new(),
            generation: -1,
            assignment: Vec::new(),
            assigns: None,
            waits_for: None,
            waits_until_ms: 0,
            heartbeat_due_ms: 0,
            paused_until_ms: 0,
            open: Vec::new(),
            unconfirmed: 0,
        }
    }

    pub fn is_alive(&self) -> bool {
        self.phase != Phase::Gone
    }

    pub fn works(&self) -> bool {
        self.phase == Phase::Working
    }

    /// By what name it owns partitions: a static member's stay with its instance.
    pub fn owner(&self) -> String {
        self.instance.as_ref().unwrap_or(&self.member_id).to_string()
    }

    /// What it wants now, besides commits.
    pub fn wants(&mut self, now_ms: i64) -> Option<Ask> {
        if now_ms < self.paused_until_ms || !self.is_alive() {
            return None;
        }
        if self.waits_for.is_some() {
            if now_ms < self.waits_until_ms {
                return None;
            }
            self.waits_for = None;
            self.phase = Phase::Outside;
        }
        match self.phase {
            Phase::Outside => Some(Ask::Join),
            Phase::Joined => Some(Ask::Sync(self.assigns.clone().unwrap_or_default())),
            Phase::Working if now_ms >= self.heartbeat_due_ms => {
                self.heartbeat_due_ms = now_ms + 1_500;
                Some(Ask::Heartbeat)
            }
            _ => None,
        }
    }

    /// It has sent a request. Only one that changes its phase holds up everything else.
    pub fn sent(&mut self, id: u64, ask: &Ask, now_ms: i64) {
        match ask {
            Ask::Join => self.phase = Phase::Joining,
            Ask::Sync(_) => self.phase = Phase::Syncing,
            _ => return,
        }
        self.waits_for = Some(id);
        self.waits_until_ms = now_ms + PATIENCE_MS;
    }

    pub fn hear_join(&mut self, response: &JoinGroupResponse) {
        self.waits_for = None;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                self.phase = Phase::Joined;
                self.member_id = response.member_id.clone();
                self.generation = response.generation_id;
                let leads = response.leader == self.member_id && !response.members.is_empty();
                self.assigns = leads.then(|| {
                    let count = response.members.len() as i32;
                    let share = |at: i32| (0..PARTITIONS).filter(|p| p % count == at).collect::<Vec<i32>>();
                    let member = |(at, m): (i32, &ByteString)| (m.clone(), encode(&share(at)));
                    (0..).zip(response.members.iter().map(|m| &m.member_id)).map(member).collect()
                });
            }
            ErrorCode::MemberIdRequired => {
                self.member_id = response.member_id.clone();
                self.phase = Phase::Outside;
            }
            code => self.hear_code(code),
        }
    }

    pub fn hear_sync(&mut self, response: &SyncGroupResponse, now_ms: i64) {
        self.waits_for = None;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                self.phase = Phase::Working;
                self.assignment = decode(&response.assignment);
                self.heartbeat_due_ms = now_ms + 1_500;
            }
            code => self.hear_code(code),
        }
    }

    pub fn hear_code(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::FencedInstanceId => self.phase = Phase::Gone,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                self.phase = Phase::Outside;
                if code == ErrorCode::UnknownMemberId {
                    self.member_id = ByteString::new();
                }
            }
            ErrorCode::RebalanceInProgress => self.phase = Phase::Outside,
            ErrorCode::None => {}
            // The coordinator is not there: what was to be done is done again.
            _ => match self.phase {
                Phase::Joining => self.phase = Phase::Outside,
                Phase::Syncing => self.phase = Phase::Joined,
                _ => {}
            },
        }
    }
}
