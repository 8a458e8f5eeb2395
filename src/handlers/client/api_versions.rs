//! ApiVersions, versions 0-3 (KIP-35, KIP-511).
//!
//! An unknown version is answered in version 0 with UNSUPPORTED_VERSION and this API's own range.

use crate::common::ErrorCode;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::table::TABLE;
use crate::network::Dispatch;
use crate::protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
};
use crate::protocol::{ApiKey, encode_response};

/// Lists what is served.
pub fn handle(broker: &Broker, call: &Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let names = [&request.client_software_name, &request.client_software_version];
    if call.version >= 3 && !names.iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    let mut response = ApiVersionsResponse {
        api_keys: TABLE.iter().map(|a| range(a.key, a.max_version)).collect(),
        ..Default::default()
    };
    if let Some(finalized) = broker.features.current() {
        response.finalized_features_epoch = finalized.epoch;
        let features = finalized.features.iter().map(|(name, levels)| FinalizedFeatureKey {
            name: name.as_str().into(),
            min_version_level: levels.min_version_level,
            max_version_level: levels.max_version_level,
            ..Default::default()
        });
        response.finalized_features = features.collect();
    }
    response
}

/// Answers a version that does not exist.
pub fn refuse_version(call: &Call) -> Dispatch {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![range(ApiKey::ApiVersions, ApiKey::ApiVersions.max_version())],
        ..Default::default()
    };
    Dispatch::reply(encode_response(call.correlation_id, ApiKey::ApiVersions, 0, &response))
}

fn range(key: ApiKey, max_version: i16) -> ApiVersion {
    ApiVersion { api_key: key as i16, min_version: 0, max_version, ..Default::default() }
}

/// Letters and digits, with `-` and `.` inside.
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    outer(name.chars().next()) && outer(name.chars().next_back()) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names() {
        for good in ["a", "apache-kafka-java", "2.8.2", "a--b"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
