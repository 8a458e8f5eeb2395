//! ControlledShutdown (key 7).

use bytestring::ByteString;

schema! {
    /// Request.
    message ControlledShutdownRequest 0..=3, flexible 3 {
        broker_id: i32, 0..;
        broker_epoch: i64, 2.., default -1;
    }
}

schema! {
    /// Response.
    message ControlledShutdownResponse 0..=3, flexible 3 {
        error_code: i16, 0..;
        remaining_partitions: Vec<RemainingPartition>, 0..;
    }

    /// An element of [`ControlledShutdownResponse::remaining_partitions`].
    struct RemainingPartition {
        topic_name: ByteString, 0..;
        partition_index: i32, 0..;
    }
}
