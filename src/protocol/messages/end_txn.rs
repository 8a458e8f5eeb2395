//! EndTxn (key 26).

use bytestring::ByteString;

schema! {
    /// Request.
    message EndTxnRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        committed: bool, 0..;
    }
}

schema! {
    /// Response.
    message EndTxnResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
