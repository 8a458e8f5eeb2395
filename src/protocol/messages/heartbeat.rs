//! Heartbeat (key 12).

use bytestring::ByteString;

schema! {
    /// Request.
    message HeartbeatRequest 0..=4, flexible 4 {
        group_id: ByteString, 0..;
        generation_id: i32, 0..;
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 3.., default None;
    }
}

schema! {
    /// Response.
    message HeartbeatResponse 0..=4, flexible 4 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
    }
}
