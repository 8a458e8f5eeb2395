//! FindCoordinator (key 10).

use bytestring::ByteString;

schema! {
    /// Request.
    message FindCoordinatorRequest 0..=3, flexible 3 {
        key: ByteString, 0..;
        key_type: i8, 1..;
    }
}

schema! {
    /// Response.
    message FindCoordinatorResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 1..;
        node_id: i32, 0..;
        host: ByteString, 0..;
        port: i32, 0..;
    }
}
