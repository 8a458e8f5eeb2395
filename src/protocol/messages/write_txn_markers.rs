//! WriteTxnMarkers (key 27). A transaction coordinator makes partition leaders append commit or abort
//! markers (KIP-98). v1 is flexible.

use bytestring::ByteString;

schema! {
    /// The markers.
    message WriteTxnMarkersRequest 0..=1, flexible 1 {
        markers: Vec<WritableTxnMarker>, 0..;
    }

    /// An element of [`WriteTxnMarkersRequest::markers`].
    struct WritableTxnMarker {
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        /// True: commit; false: abort.
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
    /// What became of each marker.
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
