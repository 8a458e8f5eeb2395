//! A transaction in `__transaction_state` (KIP-98).

use bytestring::ByteString;

schema! {
    /// Names the transaction.
    message TransactionLogKey 0..=0 {
        transactional_id: ByteString, 0..=0;
    }
}

schema! {
    /// The state of the transaction.
    message TransactionLogValue 0..=0 {
        producer_id: i64, 0..=0;
        producer_epoch: i16, 0..=0;
        transaction_timeout_ms: i32, 0..=0;
        /// 0 Empty, 1 Ongoing, 2 PrepareCommit, 3 PrepareAbort, 4 CompleteCommit, 5 CompleteAbort, 6 Dead,
        /// 7 PrepareEpochFence.
        transaction_status: i8, 0..=0;
        /// Null in the state Empty.
        transaction_partitions: Option<Vec<PartitionsSchema>>, 0..=0;
        transaction_last_update_timestamp_ms: i64, 0..=0;
        transaction_start_timestamp_ms: i64, 0..=0;
    }

    /// An element of [`TransactionLogValue::transaction_partitions`].
    struct PartitionsSchema {
        topic: ByteString, 0..=0;
        partition_ids: Vec<i32>, 0..=0;
    }
}
