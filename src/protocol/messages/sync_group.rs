//! SyncGroup (key 14). Brings the leader's assignments to the coordinator and each member's to the
//! member. v3 adds the static member's id (KIP-345), v4 is flexible, v5 lets both sides check the
//! protocol (KIP-559).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Hands in assignments, or none.
    message SyncGroupRequest 0..=5, flexible 4 {
        group_id: ByteString, 0..;
        generation_id: i32, 0..;
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 3.., default None;
        protocol_type: Option<ByteString>, 5.., default None;
        protocol_name: Option<ByteString>, 5.., default None;
        assignments: Vec<SyncGroupRequestAssignment>, 0..;
    }

    /// An element of [`SyncGroupRequest::assignments`].
    struct SyncGroupRequestAssignment {
        member_id: ByteString, 0..;
        assignment: Bytes, 0..;
    }
}

schema! {
    /// The member's assignment.
    message SyncGroupResponse 0..=5, flexible 4 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        protocol_type: Option<ByteString>, 5.., default None;
        protocol_name: Option<ByteString>, 5.., default None;
        assignment: Bytes, 0..;
    }
}
