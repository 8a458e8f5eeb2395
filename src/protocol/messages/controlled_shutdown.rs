//! ControlledShutdown (key 7). A broker asks the controller to move its leaderships away before it stops.
//! v0 has a request header without client id, v2 adds the broker epoch (KIP-380), v3 is flexible.

use bytestring::ByteString;

schema! {
    /// Announces a stop.
    message ControlledShutdownRequest 0..=3, flexible 3 {
        broker_id: i32, 0..;
        broker_epoch: i64, 2.., default -1;
    }
}

schema! {
    /// The partitions that the broker still leads.
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
