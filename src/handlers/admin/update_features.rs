//! UpdateFeatures, version 0, on the controller (KIP-584).
//!
//! The answer waits until this broker knows the new features; if that takes too long, FEATURE_UPDATE_FAILED, although
//! they are written.

use crate::admin::AdminError;
use crate::admin::features::FeatureUpdate;
use crate::common::{ErrorCode, clock};
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::update_features::{
    UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use bytestring::ByteString;
use std::sync::Arc;

/// Updates them.
pub async fn handle(broker: Arc<Broker>, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    if broker.metadata.current().controller_id != Some(broker.id) {
        let code = ErrorCode::NotController;
        return refused(code, code.message());
    }
    if !broker.config.inter_broker_protocol_version.has_feature_versioning() {
        return refused(ErrorCode::InvalidRequest, "Feature versioning system is disabled.");
    }
    let updates: Vec<FeatureUpdate> = request
        .feature_updates
        .into_iter()
        .map(|update| FeatureUpdate {
            feature: update.feature.to_string(),
            max_version_level: update.max_version_level,
            allow_downgrade: update.allow_downgrade,
        })
        .collect();
    let (mut results, written) = broker.admin.update_features(&updates).await;
    if let Some(version) = written
        && !broker
            .features
            .wait_for(i64::from(version), clock::deadline_after_ms(i64::from(request.timeout_ms)))
            .await
    {
        let failed =
            AdminError::new(ErrorCode::FeatureUpdateFailed, ErrorCode::FeatureUpdateFailed.message());
        results.iter_mut().filter(|(_, result)| result.is_ok()).for_each(|(_, r)| *r = Err(failed.clone()));
    }
    let results = results.into_iter().map(|(feature, result)| {
        let (code, message) = match result {
            Ok(()) => (ErrorCode::None, Some(ErrorCode::None.name().to_string())),
            Err(error) => (error.code, error.message),
        };
        UpdatableFeatureResult {
            feature: feature.into(),
            error_code: code.code(),
            error_message: message.map(ByteString::from),
            ..Default::default()
        }
    });
    UpdateFeaturesResponse { error_message: None, results: results.collect(), ..Default::default() }
}

fn refused(code: ErrorCode, message: &'static str) -> UpdateFeaturesResponse {
    let error_message = Some(ByteString::from_static(message));
    UpdateFeaturesResponse { error_code: code.code(), error_message, ..Default::default() }
}
