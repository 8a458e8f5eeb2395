//! From a frame to a handler and back.

use super::admin::AdminContext;
use super::throttle::{Measured, client_of};
use super::{client, table};
use crate::admin::Admin;
use crate::admin::log_dirs::{LogDir, LogOnDisk};
use crate::common::{BrokerId, ErrorCode};
use crate::config::BrokerConfig;
use crate::config::endpoint::Endpoint;
use crate::controller::ControllerHandle;
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::transaction::TransactionCoordinator;
use crate::metadata::{FinalizedFeatures, MetadataCache, ProducerIds};
use crate::network::{ConnectionInfo, Dispatch, Outcome, Service};
use crate::protocol::{
    ApiKey, ApiRequest, Frame, Message, Reader, RequestHeader, decode_request_header, encode_response,
};
use crate::quota::client::{ClientQuotas, MutationQuota};
use crate::replication::fetch_session::FetchSessions;
use crate::replication::{ReplicaManager, drain};
use crate::storage::LogManager;
use bytes::Bytes;
use bytestring::ByteString;
use log::{Level, log_enabled, trace};
use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The collaborators of all handlers.
pub struct Broker {
    /// This broker.
    pub id: BrokerId,
    /// Epoch of its registration (czxid), for the fence of KIP-380.
    pub epoch: std::sync::atomic::AtomicI64,
    /// The cluster's id.
    pub cluster_id: ByteString,
    /// Its configuration.
    pub config: Arc<BrokerConfig>,
    /// Where it is reached, as it is registered: host names and ports are known.
    pub endpoints: Vec<Endpoint>,
    /// What the controller said.
    pub metadata: Arc<MetadataCache>,
    /// The partitions.
    pub replicas: Arc<ReplicaManager>,
    /// What clients may take.
    pub quotas: ClientQuotas,
    /// Fetch sessions.
    pub sessions: FetchSessions,
    /// Finalized features of the cluster.
    pub features: FinalizedFeatures,
    /// Ids for idempotent producers.
    pub producer_ids: Arc<ProducerIds>,
    /// The transactional ids that this broker coordinates.
    pub transactions: Arc<TransactionCoordinator>,
    /// The groups that this broker coordinates.
    pub groups: Arc<GroupCoordinator>,
    /// Topics and configurations.
    pub admin: Admin,
    /// The log directories.
    pub logs: Arc<LogManager>,
    /// The controller of this process; none until it is started, which is before anything is accepted.
    pub controller: OnceLock<ControllerHandle>,
    /// Where work goes that is not a connection's own.
    pub background: tokio::runtime::Handle,
}

/// What a handler knows about its request besides the message.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which API.
    pub api: ApiKey,
    /// Its version.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<ByteString>,
    /// Who asks.
    pub connection: Arc<ConnectionInfo>,
}

impl Broker {
    /// Makes a topic that a request needs; counts for its client, who is not refused for it.
    pub async fn auto_create(&self, call: &Call, name: &str) -> ErrorCode {
        let quota = MutationQuota::of(&self.quotas.mutations, client_of(&call.client_id), false);
        self.admin.auto_create(name, &self.metadata.current(), &quota).await
    }

    /// What the handlers of administration need.
    pub fn admin_context<'a>(&'a self, call: &'a Call) -> AdminContext<'a> {
        AdminContext {
            admin: &self.admin,
            metadata: &self.metadata,
            is_controller: self.metadata.current().controller_id == Some(self.id),
            quotas: &self.quotas,
            version: call.version,
            client: client_of(&call.client_id),
        }
    }

    /// The log directories with the logs of this broker's partitions.
    pub fn log_dirs(&self) -> Vec<LogDir> {
        let mut logs: HashMap<Arc<Path>, Vec<LogOnDisk>> = HashMap::new();
        for partition in self.replicas.all() {
            partition.with_state(|state| {
                let Some(log) = state.log.as_ref() else { return };
                let high_watermark = state.machine.high_watermark().offset;
                logs.entry(Arc::clone(log.log_dir())).or_default().push(LogOnDisk {
                    topic_partition: partition.name.clone(),
                    size_bytes: log.size_bytes() as i64,
                    offset_lag: (high_watermark - log.log_end_offset()).max(0),
                    is_future: false,
                });
                let Some(future) = state.future_log() else { return };
                logs.entry(Arc::clone(future.log_dir())).or_default().push(LogOnDisk {
                    topic_partition: partition.name.clone(),
                    size_bytes: future.size_bytes() as i64,
                    offset_lag: log.log_end_offset() - future.log_end_offset(),
                    is_future: true,
                });
            });
        }
        let shown = self.logs.directories().into_iter().map(|(path, online)| LogDir {
            path: path.display().to_string(),
            logs: online.then(|| logs.remove(&path).unwrap_or_default()),
        });
        shown.collect()
    }
}

impl Call {
    fn new(api: ApiKey, header: RequestHeader, connection: &Arc<ConnectionInfo>) -> Call {
        Call {
            api,
            version: header.api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            connection: Arc::clone(connection),
        }
    }

    /// A response as it goes out.
    pub fn respond<M: Message>(&self, response: &M) -> Frame {
        encode_response(self.correlation_id, self.api, self.version, response)
    }

    /// The answer to bytes that are no request; Kafka's words.
    fn unreadable(&self, error: impl std::fmt::Display) -> Dispatch {
        Dispatch::close(format!(
            "Error getting request for apiKey: {}, apiVersion: {}, connectionId: {}, listenerName: ListenerName({}), principal: User:ANONYMOUS: {error}",
            self.api.name(),
            self.version,
            self.connection.id,
            self.connection.listener
        ))
    }
}

/// A handler that answers at once.
pub fn answer<R: ApiRequest>(
    broker: &Arc<Broker>,
    call: Call,
    body: &mut Reader,
    handle: impl FnOnce(&Broker, &Call, R) -> R::Response,
) -> Dispatch {
    match R::decode(body, call.version) {
        Ok(request) => Dispatch::reply(call.respond(&handle(broker, &call, request))),
        Err(error) => call.unreadable(error),
    }
}

/// A handler that dispatches by itself.
pub fn dispatch_with<R: ApiRequest>(
    broker: &Arc<Broker>,
    call: Call,
    body: &mut Reader,
    handle: impl FnOnce(&Arc<Broker>, Call, R) -> Dispatch,
) -> Dispatch {
    match R::decode(body, call.version) {
        Ok(request) => handle(broker, call, request),
        Err(error) => call.unreadable(error),
    }
}

/// A handler that awaits, [`in_background`].
pub fn answer_later<R, F>(
    broker: &Arc<Broker>,
    call: Call,
    body: &mut Reader,
    handle: impl FnOnce(Arc<Broker>, Call, R) -> F,
) -> Dispatch
where
    R: ApiRequest,
    F: Future<Output = R::Response> + Send + 'static,
{
    let request = match R::decode(body, call.version) {
        Ok(request) => request,
        Err(error) => return call.unreadable(error),
    };
    let work = handle(Arc::clone(broker), call.clone(), request);
    in_background(broker, async move { Outcome::Reply(call.respond(&work.await)) })
}

/// Work that a client that leaves does not stop half-way.
pub fn in_background(broker: &Broker, work: impl Future<Output = Outcome> + Send + 'static) -> Dispatch {
    let task = broker.background.spawn(work);
    Dispatch::Pending(Box::pin(async move {
        task.await.unwrap_or_else(|error| Outcome::Close(format!("the handler failed: {error}")))
    }))
}

/// The broker as a connection sees it.
pub struct Dispatcher {
    broker: Arc<Broker>,
}

impl Dispatcher {
    /// Serves `broker`.
    pub fn new(broker: Arc<Broker>) -> Dispatcher {
        Dispatcher { broker }
    }
}

impl Service for Dispatcher {
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Dispatch {
        let size_bytes = frame.len();
        let guess = frame.first_chunk::<2>().map_or(-1, |head| i16::from_be_bytes(*head));
        let mut body = Reader::new(frame);
        let (header, api) = match decode_request_header(&mut body) {
            Ok(decoded) => decoded,
            Err(_) => {
                return Dispatch::close(format!(
                    "Error parsing request header. Our best guess of the apiKey is: {guess}"
                ));
            }
        };
        let call = Call::new(api, header, connection);
        if log_enabled!(target: "kafka.request.logger", Level::Trace) {
            trace!(target: "kafka.request.logger", "{} v{} correlation {} from {}",
                api.name(), call.version, call.correlation_id, connection.id);
        }
        let Some(entry) = table::find(api) else {
            return Dispatch::close(format!("Received request api key {} which is not enabled", api.name()));
        };
        if !(entry.min_version..=entry.max_version).contains(&call.version) {
            if api == ApiKey::ApiVersions {
                return client::api_versions::refuse_version(&call);
            }
            return call.unreadable(format_args!("unsupported version {}", call.version));
        }
        let Some(measured) = Measured::begin(&self.broker, &call, &body, size_bytes) else {
            return (entry.handle)(&self.broker, call, &mut body);
        };
        let dispatched = (entry.handle)(&self.broker, call, &mut body);
        measured.end(&self.broker, dispatched)
    }

    fn start_worker(&self) {
        drain::start_on_this_worker();
    }
}

impl From<ErrorCode> for Outcome {
    /// For requests without an answer: the connection ends and says why in the log.
    fn from(code: ErrorCode) -> Outcome {
        Outcome::Close(format!("request failed with {}", code.name()))
    }
}
