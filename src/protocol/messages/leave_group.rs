//! LeaveGroup (key 13). Takes members out of a group: one up to v2, many from v3 on, where static members
//! leave by instance id (KIP-345). v4 is flexible.

use bytestring::ByteString;

schema! {
    /// Asks to leave.
    message LeaveGroupRequest 0..=4, flexible 4 {
        group_id: ByteString, 0..;
        member_id: ByteString, 0..=2;
        members: Vec<MemberIdentity>, 3..;
    }

    /// An element of [`LeaveGroupRequest::members`].
    struct MemberIdentity {
        member_id: ByteString, 3..;
        group_instance_id: Option<ByteString>, 3.., default None;
    }
}

schema! {
    /// What became of each member.
    message LeaveGroupResponse 0..=4, flexible 4 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        members: Vec<MemberResponse>, 3..;
    }

    /// An element of [`LeaveGroupResponse::members`].
    struct MemberResponse {
        member_id: ByteString, 3..;
        group_instance_id: Option<ByteString>, 3..;
        error_code: i16, 3..;
    }
}
