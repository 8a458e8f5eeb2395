//! AlterConfigs, versions 0-2, on any broker. Replaces all settings of a resource.
//!
//! A resource that is neither a topic nor a broker spoils the whole request. So does a null value, with
//! UNKNOWN_SERVER_ERROR and without a message: Kafka 2.8.2 fails before it comes to its own check.

use super::{AdminContext, outcome};
use crate::admin::AdminError;
use crate::admin::configs::ResourceType;
use crate::common::ErrorCode;
use crate::config::Settings;
use crate::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

/// Replaces the settings.
pub async fn handle(context: AdminContext<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let whole = refusal_of_all(&request.resources);
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let result = match &whole {
            Some(error) => Err(error.clone()),
            None => alter(context, &resource, request.validate_only).await,
        };
        let (error_code, error_message) = outcome(&result);
        responses.push(AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..Default::default()
        });
    }
    AlterConfigsResponse { responses, ..Default::default() }
}

fn refusal_of_all(resources: &[AlterConfigsResource]) -> Option<AdminError> {
    let mut configs = resources.iter().flat_map(|resource| &resource.configs);
    if configs.any(|config| config.value.is_none()) {
        return Some(ErrorCode::UnknownServerError.into());
    }
    resources.iter().find_map(|resource| match ResourceType::parse(resource.resource_type) {
        Some(ResourceType::Topic | ResourceType::Broker) => None,
        Some(ResourceType::BrokerLogger) => Some(AdminError::invalid_request(
            "AlterConfigs is deprecated and does not support the resource type BROKER_LOGGER",
        )),
        None => {
            let name = ResourceType::name_of(resource.resource_type);
            Some(AdminError::invalid_request(format!("Unexpected resource type {name}")))
        }
    })
}

async fn alter(
    context: AdminContext<'_>,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), AdminError> {
    let Some(kind) = ResourceType::parse(resource.resource_type) else {
        return Err(ErrorCode::InvalidRequest.into());
    };
    let text = |value: &Option<_>| value.as_ref().map(ToString::to_string);
    let settings: Settings =
        resource.configs.iter().filter_map(|c| Some((c.name.to_string(), text(&c.value)?))).collect();
    let cluster = context.metadata.current();
    context.admin.alter(kind, &resource.resource_name, settings, &cluster, validate_only).await
}
