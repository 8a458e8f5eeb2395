//! OffsetFetch (key 9). Reads a group's offsets, in v0 from ZooKeeper. Null topics, from v2, mean all
//! that the group has; v2 also adds an error for the group, v5 leader epochs (KIP-320), v6 is flexible,
//! v7 lets a reader insist on offsets without a transaction pending on them (KIP-447).

use bytestring::ByteString;

schema! {
    /// Asks for offsets.
    message OffsetFetchRequest 0..=7, flexible 6 {
        group_id: ByteString, 0..;
        topics: Option<Vec<OffsetFetchRequestTopic>>, 0.., nullable 2..;
        require_stable: bool, 7..;
    }

    /// An element of [`OffsetFetchRequest::topics`].
    struct OffsetFetchRequestTopic {
        name: ByteString, 0..;
        partition_indexes: Vec<i32>, 0..;
    }
}

schema! {
    /// The offsets; -1 where there is none.
    message OffsetFetchResponse 0..=7, flexible 6 {
        throttle_time_ms: i32, 3..;
        topics: Vec<OffsetFetchResponseTopic>, 0..;
        error_code: i16, 2..;
    }

    /// An element of [`OffsetFetchResponse::topics`].
    struct OffsetFetchResponseTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetFetchResponsePartition>, 0..;
    }

    /// An element of [`OffsetFetchResponseTopic::partitions`].
    struct OffsetFetchResponsePartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 5.., default -1;
        metadata: Option<ByteString>, 0..;
        error_code: i16, 0..;
    }
}
