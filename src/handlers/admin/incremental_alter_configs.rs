//! IncrementalAlterConfigs, versions 0-1, on any broker. Edits single keys of topics, brokers and log levels.
//!
//! A resource of an unknown type spoils the whole request.

use super::{AdminContext, outcome};
use crate::admin::AdminError;
use crate::admin::configs::ResourceType;
use crate::admin::configs::alter::{Edit, Op};
use crate::common::ErrorCode;
use crate::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use std::collections::HashSet;

/// Edits the settings.
pub async fn handle(
    context: AdminContext<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let is_known = |resource: &AlterConfigsResource| ResourceType::parse(resource.resource_type).is_some();
    let all_known = request.resources.iter().all(is_known);
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in last_of_each(request.resources) {
        let result = match all_known {
            true => edit(context, &resource, request.validate_only).await,
            false => Err(AdminError::invalid_request("Unexpected resource type UNKNOWN")),
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
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

/// Of a resource that stands twice in a request, Kafka sees the last only.
fn last_of_each(mut resources: Vec<AlterConfigsResource>) -> Vec<AlterConfigsResource> {
    let mut seen = HashSet::new();
    resources.reverse();
    resources.retain(|resource| seen.insert((resource.resource_type, resource.resource_name.clone())));
    resources.reverse();
    resources
}

async fn edit(
    context: AdminContext<'_>,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), AdminError> {
    let Some(kind) = ResourceType::parse(resource.resource_type) else {
        return Err(ErrorCode::InvalidRequest.into());
    };
    let edits: Vec<Edit<'_>> = resource
        .configs
        .iter()
        .map(|c| Edit { name: &c.name, op: Op::parse(c.config_operation), value: c.value.as_deref() })
        .collect();
    let cluster = context.metadata.current();
    context.admin.edit(kind, &resource.resource_name, &edits, &cluster, validate_only).await
}
