//! What the polling thread and the heartbeat thread share of a membership: the connection to the group's
//! coordinator, and the generation that both speak for.
//!
//! Invariants: `generation` is -1 unless the member is or was in a group; `is_in` says that it is, and only then
//! heartbeats go out. Whoever learns that the member is out of its generation says so here; the polling thread
//! joins again.

use super::settings::GroupSettings;
use crate::common::{ErrorCode, clock};
use crate::protocol::ApiRequest;
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::tools::client::{Address, CallError, Connection, Settings};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytestring::ByteString;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Logger of Kafka's class that does this.
pub const LOGGER: &str = "org.apache.kafka.clients.consumer.internals.ConsumerCoordinator";
/// `OffsetCommitRequest.DEFAULT_GENERATION_ID`
pub const NO_GENERATION: i32 = -1;

/// The shared state, and the lock around it.
pub struct Shared {
    /// What the client is told.
    pub client: Settings,
    /// What it is told about its group.
    pub group: GroupSettings,
    link: Mutex<Link>,
    changed: Condvar,
}

/// The shared state.
pub struct Link {
    /// Where the coordinator is; `None`: to be asked for.
    pub address: Option<Address>,
    /// The connection to it.
    pub connection: Option<Connection>,
    /// True between the end of a rebalance and the loss of the generation.
    pub is_in: bool,
    /// The generation, or -1.
    pub generation: i32,
    /// As the coordinator named this member; empty before.
    pub member_id: ByteString,
    /// True if the member has to join, again or for the first time.
    pub must_join: bool,
    /// What makes going on impossible.
    pub failure: Option<Exception>,
    /// When the polling thread was last seen.
    pub polled_ms: i64,
    heartbeat_due_ms: i64,
    is_closed: bool,
}

impl Shared {
    /// Not connected, not in the group.
    pub fn new(client: Settings, group: GroupSettings) -> Shared {
        let link = Link {
            address: None,
            connection: None,
            is_in: false,
            generation: NO_GENERATION,
            member_id: ByteString::new(),
            must_join: true,
            failure: None,
            polled_ms: clock::monotonic_ms(),
            heartbeat_due_ms: 0,
            is_closed: false,
        };
        Shared { client, group, link: Mutex::new(link), changed: Condvar::new() }
    }

    /// Takes the lock.
    pub fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member is in `generation` from now on.
    pub fn enter(&self, link: &mut Link) {
        link.is_in = true;
        link.must_join = false;
        link.heartbeat_due_ms = clock::monotonic_ms() + self.group.heartbeat_interval_ms;
        self.changed.notify_all();
    }

    /// Ends the heartbeat thread.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The heartbeat thread: runs until [`Shared::close`].
    pub fn send_heartbeats(&self) {
        let mut link = self.lock();
        while !link.is_closed {
            let now = clock::monotonic_ms();
            let idle_ms = now - link.polled_ms;
            if link.is_in && idle_ms > i64::from(self.group.max_poll_interval_ms) {
                self.leave_because_idle(&mut link, idle_ms);
            } else if link.is_in && now >= link.heartbeat_due_ms {
                self.send_heartbeat(&mut link, now);
            }
            let wait_ms = if link.is_in { (link.heartbeat_due_ms - now).clamp(1, 1_000) } else { 1_000 };
            let waited = self.changed.wait_timeout(link, Duration::from_millis(wait_ms as u64));
            link = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn leave_because_idle(&self, link: &mut Link, idle_ms: i64) {
        let text = format!(
            "[{}] Leaving the group: nothing was polled for {idle_ms} ms, which is longer than max.poll.interval.ms",
            self.client.name
        );
        log(Level::Warn, &text, LOGGER);
        // The coordinator finds out by itself if this does not reach it.
        let _ = self.leave(link);
        link.forget_generation();
    }

    fn send_heartbeat(&self, link: &mut Link, now_ms: i64) {
        link.heartbeat_due_ms = now_ms + self.group.heartbeat_interval_ms;
        let request = HeartbeatRequest {
            group_id: self.group.id.clone(),
            generation_id: link.generation,
            member_id: link.member_id.clone(),
            group_instance_id: self.group.instance_id.clone(),
            ..Default::default()
        };
        match self.call(link, &request) {
            Ok(response) => self.take_heartbeat(link, ErrorCode::from_code(response.error_code)),
            // Sooner than at the next interval: a new connection is tried.
            Err(_) => link.heartbeat_due_ms = now_ms + self.client.retry_backoff_ms.max(1),
        }
    }

    fn take_heartbeat(&self, link: &mut Link, code: ErrorCode) {
        match code {
            ErrorCode::None => {}
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => link.forget_coordinator(),
            ErrorCode::RebalanceInProgress => link.must_join = true,
            ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId => link.forget_generation(),
            code => link.failure = Some(self.exception(code)),
        }
    }

    /// The exception that Kafka's client raises for an error that concerns the group.
    pub fn exception(&self, code: ErrorCode) -> Exception {
        match code {
            ErrorCode::GroupAuthorizationFailed => {
                Exception::of_error(code, Some(&format!("Not authorized to access group: {}", self.group.id)))
            }
            ErrorCode::GroupMaxSizeReached => Exception::of_error(
                code,
                Some(&format!(
                    "Consumer group {} already has the configured maximum number of members.",
                    self.group.id
                )),
            ),
            code => Exception::of_error(code, None),
        }
    }

    /// Asks the coordinator; a connection that fails is forgotten, one that is missing is made.
    pub fn call<R: ApiRequest>(&self, link: &mut Link, request: &R) -> Result<R::Response, CallError> {
        let timeout_ms = self.client.request_timeout_ms;
        let answer = self.connection(link).and_then(|connection| connection.call(request, timeout_ms));
        if matches!(answer, Err(CallError::Io(_) | CallError::TimedOut | CallError::Decode(_))) {
            link.connection = None;
        }
        answer
    }

    /// The connection to the coordinator, made if its address is known.
    pub fn connection<'a>(&self, link: &'a mut Link) -> Result<&'a mut Connection, CallError> {
        if link.connection.is_none() {
            let not_connected = || CallError::Io(std::io::ErrorKind::NotConnected.into());
            let address = link.address.as_ref().ok_or_else(not_connected)?;
            let timeout_ms = self.client.request_timeout_ms;
            match Connection::open(address, &self.client.client_id, timeout_ms) {
                Ok(connection) => link.connection = Some(connection),
                Err(error) => {
                    link.address = None;
                    return Err(error);
                }
            }
        }
        link.connection.as_mut().ok_or(CallError::TimedOut)
    }

    /// Says goodbye to the coordinator.
    pub fn leave(&self, link: &mut Link) -> Result<(), CallError> {
        let member = MemberIdentity { member_id: link.member_id.clone(), ..Default::default() };
        let request = LeaveGroupRequest {
            group_id: self.group.id.clone(),
            member_id: link.member_id.clone(),
            members: vec![member],
            ..Default::default()
        };
        link.is_in = false;
        self.call(link, &request).map(drop)
    }
}

impl Link {
    /// The generation is over for this member, which is unknown to the coordinator from now on.
    pub fn forget_generation(&mut self) {
        self.is_in = false;
        self.must_join = true;
        self.generation = NO_GENERATION;
        self.member_id = ByteString::new();
    }

    /// The coordinator moved.
    pub fn forget_coordinator(&mut self) {
        self.address = None;
        self.connection = None;
    }
}
