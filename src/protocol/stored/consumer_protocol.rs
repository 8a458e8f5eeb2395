//! What consumers put into the opaque bytes of JoinGroup and SyncGroup (protocol type `consumer`). Later
//! versions only append: a reader takes a version that it does not know for its newest
//! ([`crate::protocol::decode_forward_compatible`]).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// What a member wants.
    message ConsumerProtocolSubscription 0..=1 {
        topics: Vec<ByteString>, 0..;
        user_data: Option<Bytes>, 0.., default None;
        /// For cooperative assignors (KIP-429).
        owned_partitions: Vec<TopicPartition>, 1..;
    }

    /// An element of [`ConsumerProtocolSubscription::owned_partitions`] and of
    /// [`ConsumerProtocolAssignment::assigned_partitions`].
    struct TopicPartition {
        topic: ByteString, 0..;
        partitions: Vec<i32>, 0..;
    }
}

schema! {
    /// What a member gets.
    message ConsumerProtocolAssignment 0..=1 {
        assigned_partitions: Vec<TopicPartition>, 0..;
        user_data: Option<Bytes>, 0.., default None;
    }
}
