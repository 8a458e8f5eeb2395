//! AddOffsetsToTxn (key 25).

use bytestring::ByteString;

schema! {
    /// Request.
    message AddOffsetsToTxnRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        group_id: ByteString, 0..;
    }
}

schema! {
    /// Response.
    message AddOffsetsToTxnResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
