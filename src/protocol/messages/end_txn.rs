//! EndTxn (key 26). Commits or aborts a transaction (KIP-98). v2 knows PRODUCER_FENCED (KIP-588), v3 is
//! flexible.

use bytestring::ByteString;

schema! {
    /// Says how it ends.
    message EndTxnRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        /// True: commit; false: abort.
        committed: bool, 0..;
    }
}

schema! {
    /// Whether that has begun.
    message EndTxnResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
