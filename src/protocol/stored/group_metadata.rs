//! A group in `__consumer_offsets`. Kafka writes value v0 below inter.broker.protocol.version 0.10.1, v1
//! (rebalance timeouts) below 2.1, v2 (the time of the last change) below 2.3, else v3 (static members).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Names the group.
    message GroupMetadataKey 2..=2 {
        group: ByteString, 2..=2;
    }
}

schema! {
    /// The group; without members it is empty.
    message GroupMetadataValue 0..=3 {
        /// Empty, like null in memory, before the first member joined.
        protocol_type: ByteString, 0..;
        generation: i32, 0..;
        protocol: Option<ByteString>, 0..;
        leader: Option<ByteString>, 0..;
        current_state_timestamp: i64, 2.., default -1;
        members: Vec<MemberMetadata>, 0..;
    }

    /// An element of [`GroupMetadataValue::members`].
    struct MemberMetadata {
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 3.., default None;
        client_id: ByteString, 0..;
        client_host: ByteString, 0..;
        /// In milliseconds; in v0 the session timeout counts.
        rebalance_timeout: i32, 1..;
        /// In milliseconds.
        session_timeout: i32, 0..;
        /// The member's metadata for the group's protocol.
        subscription: Bytes, 0..;
        assignment: Bytes, 0..;
    }
}
