//! One member of a group.

use super::step::Caller;
use bytes::Bytes;
use bytestring::ByteString;

/// How long a new member may wait in its first JoinGroup: it has no id yet and cannot send heartbeats, and nobody
/// would notice that it is gone.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// A member; its id is the key under which the group keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<ByteString>,
    /// What the client calls itself.
    pub client_id: ByteString,
    /// Where it is, in the form `/ADDRESS`.
    pub client_host: ByteString,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Names and metadata of the protocols that it supports, the preferred one first; no name twice.
    pub protocols: Vec<(ByteString, Bytes)>,
    /// What the leader assigned.
    pub assignment: Bytes,
    /// Its JoinGroup that waits.
    pub(super) joining: Option<Caller>,
    /// Its SyncGroup that waits.
    pub(super) syncing: Option<Caller>,
    /// True until its first rebalance is complete.
    pub(super) is_new: bool,
    /// In this generation it has not sent SyncGroup yet.
    pub(super) owes_sync: bool,
    /// When its session is over; none while a request of it waits.
    pub(super) expires_ms: Option<i64>,
}

impl Member {
    /// The metadata for a protocol.
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, metadata)| metadata)
    }

    /// True if `protocols` is what the group knows already.
    pub(super) fn matches(&self, protocols: &[(ByteString, Bytes)]) -> bool {
        self.protocols == protocols
    }

    /// True if a request of it waits: it is alive, whatever its heartbeats say.
    pub(super) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

/// Protocols as they are kept: copied, and each name once.
pub(super) fn distinct_protocols(
    protocols: impl IntoIterator<Item = (ByteString, Bytes)>,
) -> Vec<(ByteString, Bytes)> {
    let mut kept: Vec<(ByteString, Bytes)> = Vec::new();
    for (name, metadata) in protocols {
        if !kept.iter().any(|(known, _)| *known == name) {
            kept.push((super::step::own_text(&name), super::step::own_bytes(&metadata)));
        }
    }
    kept
}
