//! Heartbeat (key 12). Keeps a member in its group. v3 adds the static member's id (KIP-345), v4 is
//! flexible.

use bytestring::ByteString;

schema! {
    /// Says that a member is alive.
    message HeartbeatRequest 0..=4, flexible 4 {
        group_id: ByteString, 0..;
        generation_id: i32, 0..;
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 3.., default None;
    }
}

schema! {
    /// Whether it still belongs.
    message HeartbeatResponse 0..=4, flexible 4 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
    }
}
