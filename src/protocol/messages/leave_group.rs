//! LeaveGroup (key 13).

use bytestring::ByteString;

schema! {
    /// Request.
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
    /// Response.
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
