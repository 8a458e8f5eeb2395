//! UpdateFeatures (key 57).

use bytestring::ByteString;

schema! {
    /// Request.
    message UpdateFeaturesRequest 0..=0, flexible 0 {
        timeout_ms: i32, 0.., default 60000;
        feature_updates: Vec<FeatureUpdateKey>, 0..;
    }

    /// An element of [`UpdateFeaturesRequest::feature_updates`].
    struct FeatureUpdateKey {
        feature: ByteString, 0..;
        max_version_level: i16, 0..;
        allow_downgrade: bool, 0..;
    }
}

schema! {
    /// Response.
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
