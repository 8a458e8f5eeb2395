//! UpdateFeatures (key 57). Sets the finalized feature levels of the cluster, on the controller
//! (KIP-584). Flexible from the start.

use bytestring::ByteString;

schema! {
    /// The levels.
    message UpdateFeaturesRequest 0..=0, flexible 0 {
        timeout_ms: i32, 0.., default 60000;
        feature_updates: Vec<FeatureUpdateKey>, 0..;
    }

    /// An element of [`UpdateFeaturesRequest::feature_updates`].
    struct FeatureUpdateKey {
        feature: ByteString, 0..;
        max_version_level: i16, 0..;
        /// Without it the level only grows; with it a level of 0 deletes the feature.
        allow_downgrade: bool, 0..;
    }
}

schema! {
    /// What became of each feature.
    message UpdateFeaturesResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        results: Vec<UpdatableFeatureResult>, 0..;
    }

    /// An element of [`UpdateFeaturesResponse::results`].
    struct UpdatableFeatureResult {
        feature: ByteString, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
    }
}
