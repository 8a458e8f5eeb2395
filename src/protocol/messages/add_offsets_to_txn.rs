//! AddOffsetsToTxn (key 25). Adds a group's offsets to a transaction (KIP-98). v2 knows PRODUCER_FENCED
//! (KIP-588), v3 is flexible.

use bytestring::ByteString;

schema! {
    /// Names the group.
    message AddOffsetsToTxnRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        group_id: ByteString, 0..;
    }
}

schema! {
    /// Whether it was added.
    message AddOffsetsToTxnResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
