//! InitProducerId (key 22). Gives a producer its id and epoch (KIP-98). v2 is flexible, v3 lets a
//! producer go on with the id that it has (KIP-360), v4 knows PRODUCER_FENCED (KIP-588).

use bytestring::ByteString;

schema! {
    /// Asks for an id; the transactional id is null for a producer that is idempotent only.
    message InitProducerIdRequest 0..=4, flexible 2 {
        transactional_id: Option<ByteString>, 0..;
        transaction_timeout_ms: i32, 0..;
        /// The id to go on with, or -1.
        producer_id: i64, 3.., default -1;
        producer_epoch: i16, 3.., default -1;
    }
}

schema! {
    /// The id and the epoch.
    message InitProducerIdResponse 0..=4, flexible 2 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64, 0.., default -1;
        producer_epoch: i16, 0..;
    }
}
