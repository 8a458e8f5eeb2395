//! Admin calls about configurations, quotas and credentials.

use super::admin::{Admin, check};
use crate::common::{BrokerId, ErrorCode};
use crate::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntryData as QuotaAlteration,
};
use crate::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as ReplacedResource, AlterableConfig as ReplacedConfig,
};
use crate::protocol::messages::alter_user_scram_credentials::AlterUserScramCredentialsRequest;
use crate::protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, EntryData as QuotaEntry,
};
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use crate::protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResult as ScramResult, UserName,
};
use crate::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::tools::exception::Exception;
use bytestring::ByteString;

/// How long a question may take, `get(30, SECONDS)` in Kafka's tools.
const ASK_MS: i64 = 30_000;

/// Types of resources on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A broker, or with an empty name the default of all.
    Broker = 4,
    /// The loggers of a broker.
    BrokerLogger = 8,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Its type.
    pub kind: ResourceKind,
    /// Its name.
    pub name: &'a str,
}

impl Resource<'_> {
    /// The broker that answers for it; `None`: any does.
    fn broker(&self) -> Option<BrokerId> {
        match self.kind {
            ResourceKind::Topic => None,
            ResourceKind::Broker | ResourceKind::BrokerLogger => self.name.parse().ok(),
        }
    }
}

/// What comes out of a Java future: the cause in an `ExecutionException`, but nothing of it if the wait was over.
fn executed(cause: Exception) -> Exception {
    if cause.class.ends_with(".TimeoutException") && cause.message_or_null().starts_with("Call(") {
        return Exception::bare("java.util.concurrent.TimeoutException");
    }
    Exception::new("java.util.concurrent.ExecutionException", cause.first_line()).caused_by(cause)
}

impl Admin {
    /// The settings of a resource, in the order of the answer.
    pub fn describe_config(
        &mut self,
        resource: &Resource<'_>,
        include_synonyms: bool,
    ) -> Result<Vec<DescribeConfigsResourceResult>, Exception> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: resource.name.into(),
                configuration_keys: None,
                ..Default::default()
            }],
            include_synonyms,
            ..Default::default()
        };
        let broker = resource.broker();
        let response = self.call_broker("describeConfigs", broker, &request, ASK_MS).map_err(executed)?;
        let mut configs = Vec::new();
        for result in response.results {
            check(result.error_code, result.error_message.as_ref()).map_err(executed)?;
            configs.extend(result.configs);
        }
        Ok(configs)
    }

    /// Edits settings: keys with a value are set, keys without are deleted.
    pub fn edit_config(
        &mut self,
        resource: &Resource<'_>,
        edits: &[(&str, Option<&str>)],
    ) -> Result<(), Exception> {
        let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
            name: (*name).into(),
            config_operation: i8::from(value.is_none()),
            value: Some(value.unwrap_or_default().into()),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: resource.name.into(),
                configs: edits.iter().map(config).collect(),
                ..Default::default()
            }],
            validate_only: false,
            ..Default::default()
        };
        let broker = resource.broker();
        let response =
            self.call_broker("incrementalAlterConfigs", broker, &request, ASK_MS).map_err(executed)?;
        let mut results = response.responses.iter();
        results.try_for_each(|r| check(r.error_code, r.error_message.as_ref())).map_err(executed)
    }

    /// Replaces all settings.
    pub fn replace_config(
        &mut self,
        resource: &Resource<'_>,
        settings: &[(String, String)],
    ) -> Result<(), Exception> {
        let config = |(name, value): &(String, String)| ReplacedConfig {
            name: name.as_str().into(),
            value: Some(value.as_str().into()),
            ..Default::default()
        };
        let request = AlterConfigsRequest {
            resources: vec![ReplacedResource {
                resource_type: resource.kind as i8,
                resource_name: resource.name.into(),
                configs: settings.iter().map(config).collect(),
                ..Default::default()
            }],
            validate_only: false,
            ..Default::default()
        };
        let broker = resource.broker();
        let response = self.call_broker("alterConfigs", broker, &request, ASK_MS).map_err(executed)?;
        let mut results = response.responses.iter();
        results.try_for_each(|r| check(r.error_code, r.error_message.as_ref())).map_err(executed)
    }

    /// Quotas of the entities that match these components and have no others.
    pub fn describe_quotas(&mut self, components: Vec<ComponentData>) -> Result<Vec<QuotaEntry>, Exception> {
        let request = DescribeClientQuotasRequest { components, strict: true, ..Default::default() };
        let response = self.call_broker("describeClientQuotas", None, &request, ASK_MS).map_err(executed)?;
        check(response.error_code, response.error_message.as_ref()).map_err(executed)?;
        Ok(response.entries.unwrap_or_default())
    }

    /// Who has SCRAM credentials, of these users or (none named) of all: those with an answer, in its order.
    pub fn describe_scram(&mut self, users: &[String]) -> Result<Vec<ScramResult>, Exception> {
        let name = |user: &String| UserName { name: user.as_str().into(), ..Default::default() };
        let users = Some(users.iter().map(name).collect());
        let request = DescribeUserScramCredentialsRequest { users, ..Default::default() };
        let name = "describeUserScramCredentials";
        let response = self.call_broker(name, None, &request, ASK_MS).map_err(executed)?;
        check(response.error_code, response.error_message.as_ref()).map_err(executed)?;
        let mut results = response.results;
        results.retain(|result| result.error_code != ErrorCode::ResourceNotFound.code());
        let mut failed = results.iter().map(|r| check(r.error_code, r.error_message.as_ref()));
        failed.try_for_each(|result| result).map_err(executed)?;
        Ok(results)
    }

    /// Gives and takes SCRAM credentials of one user.
    pub fn alter_scram(&mut self, request: &AlterUserScramCredentialsRequest) -> Result<(), Exception> {
        let code = ErrorCode::NotController.code();
        let response = self.call_controller("alterUserScramCredentials", request, |response| {
            response.results.iter().any(|result| result.error_code == code)
        });
        let response = response.map_err(executed)?;
        let mut results = response.results.iter();
        results.try_for_each(|r| check(r.error_code, r.error_message.as_ref())).map_err(executed)
    }

    /// Edits the quotas of one entity.
    pub fn alter_quotas(&mut self, alteration: QuotaAlteration) -> Result<(), Exception> {
        let request = AlterClientQuotasRequest {
            entries: vec![alteration],
            validate_only: false,
            ..Default::default()
        };
        let patience_ms = self.api_timeout_ms();
        let response =
            self.call_broker("alterClientQuotas", None, &request, patience_ms).map_err(executed)?;
        let message = |text: &Option<ByteString>| text.clone();
        let mut results = response.entries.iter();
        results.try_for_each(|r| check(r.error_code, message(&r.error_message).as_ref())).map_err(executed)
    }
}
