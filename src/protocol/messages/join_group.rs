//! JoinGroup (key 11).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Request.
    message JoinGroupRequest 0..=7, flexible 6 {
        group_id: ByteString, 0..;
        session_timeout_ms: i32, 0..;
        rebalance_timeout_ms: i32, 1.., default -1;
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
    /// Response.
    message JoinGroupResponse 0..=7, flexible 6 {
        throttle_time_ms: i32, 2..;
        error_code: i16, 0..;
        generation_id: i32, 0.., default -1;
        protocol_type: Option<ByteString>, 7.., default None;
        protocol_name: Option<ByteString>, 0.., nullable 7..;
        leader: ByteString, 0..;
        member_id: ByteString, 0..;
        members: Vec<JoinGroupResponseMember>, 0..;
    }

    /// An element of [`JoinGroupResponse::members`].
    struct JoinGroupResponseMember {
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 5.., default None;
        metadata: Bytes, 0..;
    }
}
