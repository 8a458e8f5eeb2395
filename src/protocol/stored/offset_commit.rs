//! A committed offset in `__consumer_offsets`. Kafka writes key v1, and value v1 if the commit carries its own
//! expiry or inter.broker.protocol.version is below 2.1-IV0, v2 below 2.1-IV1, else v3 (leader epochs).

use bytestring::ByteString;

schema! {
    /// Names the group and the partition.
    message OffsetCommitKey 0..=1 {
        group: ByteString, 0..=1;
        topic: ByteString, 0..=1;
        partition: i32, 0..=1;
    }
}

schema! {
    /// The offset.
    message OffsetCommitValue 0..=3 {
        offset: i64, 0..;
        leader_epoch: i32, 3.., default -1;
        metadata: ByteString, 0..;
        commit_timestamp: i64, 0..;
        expire_timestamp: i64, 1..=1, default -1;
    }
}
