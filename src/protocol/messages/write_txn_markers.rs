//! WriteTxnMarkers (key 27).

use bytestring::ByteString;

schema! {
    /// Request.
    message WriteTxnMarkersRequest 0..=1, flexible 1 {
        markers: Vec<WritableTxnMarker>, 0..;
    }

    /// An element of [`WriteTxnMarkersRequest::markers`].
    struct WritableTxnMarker {
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        transaction_result: bool, 0..;
        topics: Vec<WritableTxnMarkerTopic>, 0..;
        coordinator_epoch: i32, 0..;
    }

    /// An element of [`WritableTxnMarker::topics`].
    struct WritableTxnMarkerTopic {
        name: ByteString, 0..;
        partition_indexes: Vec<i32>, 0..;
    }
}

schema! {
    /// Response.
    message WriteTxnMarkersResponse 0..=1, flexible 1 {
        markers: Vec<WritableTxnMarkerResult>, 0..;
    }

    /// An element of [`WriteTxnMarkersResponse::markers`].
    struct WritableTxnMarkerResult {
        producer_id: i64, 0..;
        topics: Vec<WritableTxnMarkerTopicResult>, 0..;
    }

    /// An element of [`WritableTxnMarkerResult::topics`].
    struct WritableTxnMarkerTopicResult {
        name: ByteString, 0..;
        partitions: Vec<WritableTxnMarkerPartitionResult>, 0..;
    }

    /// An element of [`WritableTxnMarkerTopicResult::partitions`].
    struct WritableTxnMarkerPartitionResult {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
