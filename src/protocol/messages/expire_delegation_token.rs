//! ExpireDelegationToken (key 40).

use bytes::Bytes;

schema! {
    /// Request.
    message ExpireDelegationTokenRequest 0..=2, flexible 2 {
        hmac: Bytes, 0..;
        expiry_time_period_ms: i64, 0..;
    }
}

schema! {
    /// Response.
    message ExpireDelegationTokenResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        expiry_timestamp_ms: i64, 0..;
        throttle_time_ms: i32, 0..;
    }
}
