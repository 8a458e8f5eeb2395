//! ApiVersions (key 18). Tells which APIs and versions the broker speaks; the first request of nearly
//! every client. v3 is flexible and names the client's software (KIP-511); it may add features (KIP-584).
//! The response header is v0 always, and an unknown version is answered in v0.

use bytestring::ByteString;

schema! {
    /// Asks for versions.
    message ApiVersionsRequest 0..=3, flexible 3 {
        client_software_name: ByteString, 3..;
        client_software_version: ByteString, 3..;
    }
}

schema! {
    /// The versions, and the cluster's features.
    message ApiVersionsResponse 0..=3, flexible 3 {
        error_code: i16, 0..;
        api_keys: Vec<ApiVersion>, 0..;
        throttle_time_ms: i32, 1..;
        supported_features: Vec<SupportedFeatureKey>, 3.., tag 0;
        finalized_features_epoch: i64, 3.., tag 1, default -1;
        finalized_features: Vec<FinalizedFeatureKey>, 3.., tag 2;
    }

    /// An element of [`ApiVersionsResponse::api_keys`].
    struct ApiVersion {
        api_key: i16, 0..;
        min_version: i16, 0..;
        max_version: i16, 0..;
    }

    /// An element of [`ApiVersionsResponse::supported_features`].
    struct SupportedFeatureKey {
        name: ByteString, 3..;
        min_version: i16, 3..;
        max_version: i16, 3..;
    }

    /// An element of [`ApiVersionsResponse::finalized_features`].
    struct FinalizedFeatureKey {
        name: ByteString, 3..;
        max_version_level: i16, 3..;
        min_version_level: i16, 3..;
    }
}
