//! The calls of Kafka's `AdminClient` that the tools make, with its retries, deadlines and exceptions.

use super::CallError;
use super::address::parse_bootstrap;
use super::network::{ClientKind, Network, Settings, check_security, number};
use crate::common::{BrokerId, ErrorCode, clock};
use crate::config::properties::Properties;
use crate::protocol::ApiRequest;
use crate::protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use crate::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use crate::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics, OngoingTopicReassignment,
};
use crate::protocol::messages::metadata::MetadataResponseTopic;
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::HashMap;
use std::time::Duration;

/// `ConfigResource.Type.TOPIC`
const TOPIC_RESOURCE: i8 = 2;

/// A client for administration.
pub struct Admin {
    network: Network,
    /// `default.api.timeout.ms`
    api_timeout_ms: i64,
}

/// One call: until when it may be tried, and how often it was.
pub(super) struct Attempts {
    name: &'static str,
    pub(super) deadline_ms: i64,
    pub(super) made: u32,
}

impl Admin {
    /// A client of `bootstrap` with the properties of `--command-config`.
    pub fn new(bootstrap: &str, properties: &Properties) -> Result<Admin, Exception> {
        Admin::create(bootstrap, properties, ClientKind::Admin).map_err(|cause| {
            let class = "org.apache.kafka.common.KafkaException";
            Exception::new(class, "Failed to create new KafkaAdminClient").caused_by(cause)
        })
    }

    /// The same in what 1.1.1 logs.
    pub fn of_1_1_1(bootstrap: &str, properties: &Properties) -> Result<Admin, Exception> {
        Admin::create(bootstrap, properties, ClientKind::OldAdmin)
    }

    fn create(bootstrap: &str, properties: &Properties, kind: ClientKind) -> Result<Admin, Exception> {
        check_security(properties)?;
        let request_timeout_ms = number(properties, "request.timeout.ms", 30_000)?;
        let api_timeout_ms = match properties.get("default.api.timeout.ms") {
            None => request_timeout_ms.max(60_000),
            Some(_) => number(properties, "default.api.timeout.ms", 0)?,
        };
        if api_timeout_ms < request_timeout_ms {
            return Err(Exception::new(
                "org.apache.kafka.common.config.ConfigException",
                "The specified value of default.api.timeout.ms must be no smaller than the value of \
                 request.timeout.ms.",
            ));
        }
        let client_id = properties.get("client.id").filter(|id| !id.is_empty()).unwrap_or("adminclient-1");
        let settings = Settings {
            name: format!("AdminClient clientId={client_id}"),
            kind,
            client_id: client_id.into(),
            bootstrap: parse_bootstrap(bootstrap)?,
            request_timeout_ms,
            retry_backoff_ms: number(properties, "retry.backoff.ms", 100)?,
        };
        Ok(Admin { network: Network::new(settings), api_timeout_ms })
    }

    /// The connections, for calls that this client lacks.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// How long a call may take, in place of `default.api.timeout.ms`.
    pub fn set_timeout_ms(&mut self, timeout_ms: i64) {
        self.api_timeout_ms = timeout_ms;
    }

    /// Asks one broker (`None`: any), and again if that fails, for `patience_ms`.
    pub(super) fn call_broker<R: ApiRequest>(
        &mut self,
        name: &'static str,
        broker: Option<BrokerId>,
        request: &R,
        patience_ms: i64,
    ) -> Result<R::Response, Exception> {
        let mut attempts = Attempts { name, deadline_ms: clock::monotonic_ms() + patience_ms, made: 0 };
        loop {
            let answer = match broker {
                Some(id) => self.call_node(id, request, &mut attempts),
                None => self.call_any(request, &mut attempts),
            };
            match answer {
                Some(Ok(response)) => return Ok(response),
                Some(Err(CallError::Unsupported(key))) => return Err(unsupported(key.name())),
                Some(Err(_)) | None => {}
            }
            if clock::monotonic_ms() >= attempts.deadline_ms {
                return Err(self.no_node(&attempts));
            }
            std::thread::sleep(Duration::from_millis(self.network.settings().retry_backoff_ms.max(1) as u64));
        }
    }

    fn call_any<R: ApiRequest>(
        &mut self,
        request: &R,
        attempts: &mut Attempts,
    ) -> Option<Result<R::Response, CallError>> {
        let timeout_ms = self.network.settings().request_timeout_ms;
        let (id, connection) = self.network.any(attempts.deadline_ms)?;
        attempts.made += 1;
        let answer = connection.call(request, timeout_ms);
        if matches!(answer, Err(CallError::Io(_) | CallError::TimedOut | CallError::Decode(_))) {
            self.network.disconnect(id);
        }
        Some(answer)
    }

    fn call_node<R: ApiRequest>(
        &mut self,
        id: BrokerId,
        request: &R,
        attempts: &mut Attempts,
    ) -> Option<Result<R::Response, CallError>> {
        if !self.network.nodes().contains_key(&id) {
            self.network.metadata(Some(&[]), false, attempts.deadline_ms)?;
        }
        if !self.network.nodes().contains_key(&id) {
            return None;
        }
        attempts.made += 1;
        Some(self.network.call(id, request, attempts.deadline_ms))
    }

    pub(super) fn begin(&self, name: &'static str) -> Attempts {
        Attempts { name, deadline_ms: clock::monotonic_ms() + self.api_timeout_ms, made: 0 }
    }

    /// The exception of a call that came to its deadline.
    pub(super) fn timed_out(&self, attempts: &Attempts, cause: &str) -> Exception {
        let now = clock::now_ms();
        let tries = attempts.made.max(1);
        let deadline = now + attempts.deadline_ms - clock::monotonic_ms();
        Exception::timeout(format!(
            "Call(callName={}, deadlineMs={deadline}, tries={tries}, nextAllowedTryMs={}) timed out at {now} \
             after {tries} attempt(s)",
            attempts.name,
            now + self.network.settings().retry_backoff_ms,
        ))
        .caused_by(Exception::timeout(cause))
    }

    pub(super) fn no_node(&self, attempts: &Attempts) -> Exception {
        self.timed_out(attempts, &format!("Timed out waiting for a node assignment. Call: {}", attempts.name))
    }

    /// Metadata of all topics (`None`) or of these.
    pub(super) fn metadata(
        &mut self,
        name: &'static str,
        topics: Option<&[ByteString]>,
    ) -> Result<Vec<MetadataResponseTopic>, Exception> {
        let attempts = self.begin(name);
        match self.network.metadata(topics, false, attempts.deadline_ms) {
            Some(response) => Ok(response.topics),
            None => Err(self.no_node(&attempts)),
        }
    }

    /// Names of all topics, sorted; internal ones only if asked for.
    pub fn list_topics(&mut self, with_internal: bool) -> Result<Vec<ByteString>, Exception> {
        let topics = self.metadata("listTopics", None)?;
        let mut names: Vec<ByteString> = topics
            .into_iter()
            .filter(|topic| with_internal || !topic.is_internal)
            .map(|topic| topic.name)
            .collect();
        names.sort();
        Ok(names)
    }

    /// The brokers that live.
    pub fn live_brokers(&self) -> Vec<BrokerId> {
        self.network.nodes().keys().copied().collect()
    }

    /// Metadata of topics; fails if one of them has an error.
    pub fn describe_topics(&mut self, names: &[ByteString]) -> Result<Vec<MetadataResponseTopic>, Exception> {
        let topics = self.metadata("describeTopics", Some(names))?;
        for topic in &topics {
            check(topic.error_code, None)?;
        }
        Ok(topics)
    }

    /// Asks the controller until it answers as such.
    pub(super) fn call_controller<R: ApiRequest>(
        &mut self,
        name: &'static str,
        request: &R,
        is_not_controller: impl Fn(&R::Response) -> bool,
    ) -> Result<R::Response, Exception> {
        let mut attempts = self.begin(name);
        loop {
            if self.network.controller_id() < 0 || attempts.made > 0 {
                self.network
                    .metadata(Some(&[]), false, attempts.deadline_ms)
                    .ok_or_else(|| self.no_node(&attempts))?;
            }
            let controller = self.network.controller_id();
            if controller >= 0 {
                attempts.made += 1;
                match self.network.call(controller, request, attempts.deadline_ms) {
                    Ok(response) if !is_not_controller(&response) => return Ok(response),
                    Err(CallError::Unsupported(key)) => return Err(unsupported(key.name())),
                    Ok(_) | Err(_) => {}
                }
            }
            if clock::monotonic_ms() >= attempts.deadline_ms {
                return Err(self.no_node(&attempts));
            }
            std::thread::sleep(Duration::from_millis(self.network.settings().retry_backoff_ms.max(1) as u64));
            attempts.made = attempts.made.max(1);
        }
    }

    /// `default.api.timeout.ms`
    pub(super) fn api_timeout_ms(&self) -> i64 {
        self.api_timeout_ms
    }

    /// Time that a broker may take for a request whose effect it waits for.
    pub(super) fn wait_ms(&self) -> i32 {
        i32::try_from(self.network.settings().request_timeout_ms).unwrap_or(i32::MAX)
    }

    /// Creates a topic.
    pub fn create_topic(&mut self, topic: CreatableTopic) -> Result<(), Exception> {
        let timeout_ms = self.wait_ms();
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms,
            validate_only: false,
            ..Default::default()
        };
        let response = self.call_controller("createTopics", &request, |response| {
            response.topics.iter().any(|topic| is_not_controller(topic.error_code))
        })?;
        response.topics.iter().try_for_each(|topic| check(topic.error_code, topic.error_message.as_ref()))
    }

    /// Adds partitions.
    pub fn create_partitions(&mut self, topics: Vec<CreatePartitionsTopic>) -> Result<(), Exception> {
        let timeout_ms = self.wait_ms();
        let request =
            CreatePartitionsRequest { topics, timeout_ms, validate_only: false, ..Default::default() };
        let response = self.call_controller("createPartitions", &request, |response| {
            response.results.iter().any(|topic| is_not_controller(topic.error_code))
        })?;
        response.results.iter().try_for_each(|topic| check(topic.error_code, topic.error_message.as_ref()))
    }

    /// Deletes topics.
    pub fn delete_topics(&mut self, names: &[ByteString]) -> Result<(), Exception> {
        let state = |name: &ByteString| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(state).collect(),
            topic_names: names.to_vec(),
            timeout_ms: self.wait_ms(),
            ..Default::default()
        };
        let response = self.call_controller("deleteTopics", &request, |response| {
            response.responses.iter().any(|topic| is_not_controller(topic.error_code))
        })?;
        response.responses.iter().try_for_each(|topic| check(topic.error_code, topic.error_message.as_ref()))
    }

    /// Configurations of topics. A topic that could not be described has an error instead.
    #[allow(clippy::type_complexity, reason = "one use")]
    pub fn describe_topic_configs(
        &mut self,
        names: &[ByteString],
    ) -> Result<HashMap<ByteString, Result<Vec<DescribeConfigsResourceResult>, Exception>>, Exception> {
        let resource = |name: &ByteString| DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: name.clone(),
            configuration_keys: None,
            ..Default::default()
        };
        let request =
            DescribeConfigsRequest { resources: names.iter().map(resource).collect(), ..Default::default() };
        let attempts = self.begin("describeConfigs");
        let timeout_ms = self.network.settings().request_timeout_ms;
        loop {
            let Some((id, connection)) = self.network.any(attempts.deadline_ms) else {
                return Err(self.no_node(&attempts));
            };
            match connection.call(&request, timeout_ms) {
                Ok(response) => {
                    let configs =
                        |result: crate::protocol::messages::describe_configs::DescribeConfigsResult| {
                            let checked = check(result.error_code, result.error_message.as_ref());
                            (result.resource_name, checked.map(|()| result.configs))
                        };
                    return Ok(response.results.into_iter().map(configs).collect());
                }
                Err(CallError::Unsupported(key)) => return Err(unsupported(key.name())),
                Err(_) => self.network.disconnect(id),
            }
        }
    }

    /// Reassignments under way for the partitions of these topics; none if the broker does not know the call
    /// or forbids it.
    pub fn list_reassignments(
        &mut self,
        topics: Vec<ListPartitionReassignmentsTopics>,
    ) -> Result<Vec<OngoingTopicReassignment>, Exception> {
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: self.wait_ms(),
            topics: Some(topics),
            ..Default::default()
        };
        let answer = self.call_controller("listPartitionReassignments", &request, |response| {
            is_not_controller(response.error_code)
        });
        match answer.and_then(|response| {
            check(response.error_code, response.error_message.as_ref()).map(|()| response.topics)
        }) {
            Err(error) if error.is(ErrorCode::UnsupportedVersion) => Ok(Vec::new()),
            Err(error) if error.is(ErrorCode::ClusterAuthorizationFailed) => Ok(Vec::new()),
            other => other,
        }
    }
}

pub(super) fn is_not_controller(code: i16) -> bool {
    ErrorCode::from_code(code) == ErrorCode::NotController
}

/// An error code as the exception that the Java client throws.
pub fn check(code: i16, message: Option<&ByteString>) -> Result<(), Exception> {
    match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        code => Err(Exception::of_error(code, message.map(|text| &**text))),
    }
}

pub(super) fn unsupported(api: &str) -> Exception {
    Exception::of_error(ErrorCode::UnsupportedVersion, Some(&format!("The broker does not support {api}")))
}
