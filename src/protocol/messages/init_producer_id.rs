//! InitProducerId (key 22).

use bytestring::ByteString;

schema! {
    /// Request.
    message InitProducerIdRequest 0..=4, flexible 2 {
        transactional_id: Option<ByteString>, 0..;
        transaction_timeout_ms: i32, 0..;
        producer_id: i64, 3.., default -1;
        producer_epoch: i16, 3.., default -1;
    }
}

schema! {
    /// Response.
    message InitProducerIdResponse 0..=4, flexible 2 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64, 0.., default -1;
        producer_epoch: i16, 0..;
    }
}
