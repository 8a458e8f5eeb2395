//! DescribeConfigs, versions 0-4, on any broker.
//!
//! A broker shows itself and the cluster's dynamic defaults (empty name), not other brokers. A resource of an unknown
//! type spoils the whole request. `is_default` of version 0 is always false, as in Kafka 2.8.2.

use super::{AdminContext, outcome};
use crate::admin::configs::ResourceType;
use crate::admin::configs::describe::Wish;
use crate::common::ErrorCode;
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse, DescribeConfigsResult,
};
use bytestring::ByteString;

/// Shows the configurations.
pub async fn handle(context: AdminContext<'_>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let is_known = |resource: &DescribeConfigsResource| ResourceType::parse(resource.resource_type).is_some();
    let all_known = request.resources.iter().all(is_known);
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let wish = Wish {
            keys: resource.configuration_keys.as_deref(),
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        results.push(match ResourceType::parse(resource.resource_type) {
            Some(kind) if all_known => describe(context, kind, resource, &wish).await,
            _ => invalid(resource),
        });
    }
    DescribeConfigsResponse { results, ..Default::default() }
}

fn invalid(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    let code = ErrorCode::InvalidRequest;
    DescribeConfigsResult {
        error_code: code.code(),
        error_message: Some(ByteString::from_static(code.message())),
        ..empty(resource)
    }
}

fn empty(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}

async fn describe(
    context: AdminContext<'_>,
    kind: ResourceType,
    resource: &DescribeConfigsResource,
    wish: &Wish<'_>,
) -> DescribeConfigsResult {
    let cluster = context.metadata.current();
    let mut result = empty(resource);
    let described = context.admin.describe(kind, &resource.resource_name, wish, &cluster).await;
    match described {
        Ok(configs) => result.configs = configs,
        // Without a message: the field keeps its empty default, as in Kafka.
        Err(error) if error.code == ErrorCode::UnknownTopicOrPartition => {
            result.error_code = error.code.code()
        }
        Err(error) => (result.error_code, result.error_message) = outcome::<()>(&Err(error)),
    }
    result
}
