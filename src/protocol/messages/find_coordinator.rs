//! FindCoordinator (key 10). Finds the broker that coordinates a group or, from v1 on, a transactional id
//! (KIP-98). v1 also adds the error message, v3 is flexible.

use bytestring::ByteString;

schema! {
    /// Asks for a coordinator.
    message FindCoordinatorRequest 0..=3, flexible 3 {
        key: ByteString, 0..;
        /// 0: group; 1: transactional id.
        key_type: i8, 1..;
    }
}

schema! {
    /// Where it is.
    message FindCoordinatorResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 1..;
        node_id: i32, 0..;
        host: ByteString, 0..;
        port: i32, 0..;
    }
}
