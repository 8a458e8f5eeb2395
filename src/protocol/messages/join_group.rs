//! JoinGroup (key 11). Enters a group and waits for the others. v1 adds the time to wait for them, apart
//! from the session timeout (KIP-62), v4 makes a new member come back with the id that it was given
//! (KIP-394), v5 adds static membership (KIP-345), v6 is flexible, v7 names the protocol's type in the
//! answer (KIP-559).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Asks to join.
    message JoinGroupRequest 0..=7, flexible 6 {
        group_id: ByteString, 0..;
        session_timeout_ms: i32, 0..;
        /// -1 in v0: the session timeout counts.
        rebalance_timeout_ms: i32, 1.., default -1;
        /// Empty for a new member.
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 5.., default None;
        protocol_type: ByteString, 0..;
        protocols: Vec<JoinGroupRequestProtocol>, 0..;
    }

    /// An element of [`JoinGroupRequest::protocols`].
    struct JoinGroupRequestProtocol {
        name: ByteString, 0..;
        metadata: Bytes, 0..;
    }
}

schema! {
    /// The generation, its leader and, for the leader, its members.
    message JoinGroupResponse 0..=7, flexible 6 {
        throttle_time_ms: i32, 2..;
        error_code: i16, 0..;
        generation_id: i32, 0.., default -1;
        protocol_type: Option<ByteString>, 7.., default None;
        protocol_name: Option<ByteString>, 0.., nullable 7..;
        leader: ByteString, 0..;
        member_id: ByteString, 0..;
        /// For the leader only, else empty.
        members: Vec<JoinGroupResponseMember>, 0..;
    }

    /// An element of [`JoinGroupResponse::members`].
    struct JoinGroupResponseMember {
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 5.., default None;
        metadata: Bytes, 0..;
    }
}
