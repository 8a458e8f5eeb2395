//! The parts of a broker, built in the order of the start.

use super::built::Built;
use super::log_levels::LEVELS;
use super::startup::StartupError;
use super::transport::ServerTransport;
use super::{client_quotas, config_changes, coordinators, offsets_storage, session};
use crate::admin::Admin;
use crate::common::{BrokerId, Offset, TopicPartition};
use crate::config::{BrokerConfig, IbpVersion, Scope, SecurityProtocol, TopicConfig};
use crate::controller::config::ControllerConfig;
use crate::controller::{Controller, ControllerDeps, ControllerHandle};
use crate::handlers::{Broker, Dispatcher};
use crate::metadata::{FinalizedFeatures, MetadataCache};
use crate::network::acceptor::{Listener, ListenerSettings};
use crate::network::connection::ConnectionSettings;
use crate::network::limits::ConnectionLimits;
use crate::network::worker::Workers;
use crate::quota::replication::ReplicationQuota;
use crate::replication::fetch_session::FetchSessions;
use crate::replication::fetcher::{FetcherContext, Fetchers};
use crate::replication::mover::{Mover, MoverContext};
use crate::replication::replica_manager::{
    ReplicaContext, ReplicationQuotas, TopicConfigs, WantedIsr, on_threads_of,
};
use crate::replication::{ClusterPartitions, ReplicaManager, replica_manager};
use crate::storage::{LogConfig, LogManager, LogManagerOptions, StorageError, meta_properties};
use crate::zk::data::offsets_storage::OffsetsStorageNode;
use crate::zk::registration::Registrar;
use crate::zk::{SessionEvents, ZkClient, ZkConfig, ZkError, broker_id, cluster_id, paths, skeleton};
use bytestring::ByteString;
use log::{error, info};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const TARGET: &str = "kafka.server.KafkaServer";

/// What a started broker consists of.
pub struct Parts {
    /// With the broker's final id.
    pub config: Arc<BrokerConfig>,
    /// The session.
    pub zk: ZkClient,
    /// Directories and unclaimed logs.
    pub logs: Arc<LogManager>,
    /// Bound, not yet accepting.
    pub listeners: Vec<Listener>,
    /// The handlers' collaborators.
    pub broker: Arc<Broker>,
    /// The controller of this process.
    pub controller: ControllerHandle,
    /// From before the first registration.
    pub session_events: SessionEvents,
    /// For registering again.
    pub registrar: Registrar,
    /// Failed directories.
    pub failures: mpsc::UnboundedReceiver<StorageError>,
    /// Where the cluster keeps committed offsets.
    pub offsets_storage: OffsetsStorageNode,
    /// ISRs to be written.
    pub isr_changes: mpsc::UnboundedReceiver<WantedIsr>,
}

/// Builds everything up to the controller; nothing accepts yet. What has to be taken down again, whatever becomes of
/// the start, stands in `built` from its first moment on.
pub async fn assemble(config: BrokerConfig, built: &Built) -> Result<Parts, StartupError> {
    let zk = connect(&config).await?;
    built.has_zk(&zk);
    skeleton::create(&zk).await?;
    let cluster = cluster_id::get_or_create(&zk).await?;
    info!(target: TARGET, "Cluster ID = {cluster}");
    let (config, directories) = identify(&zk, config, &cluster).await?;
    config_changes::log_values(&config);
    let id = config.broker_id;
    built.has_id(id);
    build(&zk, Arc::new(config), directories, cluster, built).await.map_err(|error| error.of_broker(id))
}

async fn connect(config: &BrokerConfig) -> Result<ZkClient, StartupError> {
    info!(target: TARGET, "Connecting to zookeeper on {}", config.zookeeper_connect);
    let zk = ZkClient::connect(ZkConfig {
        session_timeout_ms: config.zookeeper_session_timeout_ms,
        connection_timeout_ms: config.zookeeper_connection_timeout_ms,
        max_in_flight_requests: config.zookeeper_max_in_flight_requests,
        max_in_flight_reads: config.zookeeper_max_in_flight_reads(),
        ..ZkConfig::new(config.zookeeper_connect.clone())
    });
    let zk = zk.await.inspect_err(|failed| {
        if *failed.cause() == ZkError::ConnectionTimeout {
            error!(target: TARGET, "No ZooKeeper serves on {} (zookeeper.connect): no answer within {} ms",
                config.zookeeper_connect, config.zookeeper_connection_timeout_ms);
        }
    })?;
    info!(target: "kafka.zookeeper.ZooKeeperClient", "[ZooKeeperClient Kafka server] Connected.");
    Ok(zk)
}

async fn build(
    zk: &ZkClient,
    config: Arc<BrokerConfig>,
    directories: FailedDirs,
    cluster: String,
    built: &Built,
) -> Result<Parts, StartupError> {
    let offsets_storage = offsets_storage::decide(zk, &config).await?;
    let admin = Admin::new(zk.clone(), Arc::clone(&config)).with_loggers(Arc::new(&LEVELS));
    let configs = all_topic_configs(zk, &admin).await?;
    let (failure_sender, failures) = mpsc::unbounded_channel();
    let (isr_sender, isr_changes) = mpsc::unbounded_channel();
    let (logs, high_watermarks) = load_logs(&config, directories, configs, failure_sender.clone()).await?;
    built.has_logs(&logs);
    let listeners = bind(&config)?;
    let session_events = zk.session_events();
    let session = zk.in_this_session();
    let mut registrar = Registrar::new(zk.clone(), config.broker_id);
    let endpoints = session::endpoints(&config, &listeners).map_err(StartupError::kafka)?;
    offsets_storage::mark_as_own(zk, config.broker_id).await?;
    let epoch = session::register(zk, &mut registrar, &config, &endpoints).await?;
    write_meta_properties(&logs, config.broker_id, cluster.clone()).await?;
    let replicas = replica_manager(&config, &logs, high_watermarks, (failure_sender, isr_sender));
    built.has_replicas(&replicas);
    let transport = Arc::new(ServerTransport::new(&config));
    let metadata = Arc::new(MetadataCache::default());
    replicas.follow_with(fetchers(&config, &metadata, &replicas));
    replicas.move_with(mover(&config, &logs, &replicas));
    let partitions = ClusterPartitions { hosted: Arc::clone(&replicas), cluster: Arc::clone(&metadata) };
    let started = coordinators::start(zk, &config, &metadata, &replicas, offsets_storage.storage).await?;
    let broker = Arc::new(Broker {
        id: config.broker_id,
        epoch: AtomicI64::new(epoch),
        cluster_id: ByteString::from(cluster),
        config: Arc::clone(&config),
        endpoints,
        metadata,
        quotas: client_quotas::of(&config),
        sessions: fetch_sessions(&config, partitions),
        replicas,
        features: FinalizedFeatures::default(),
        producer_ids: started.producer_ids,
        transactions: started.transactions,
        groups: started.groups,
        admin,
        logs: Arc::clone(&logs),
        controller: OnceLock::new(),
        background: Handle::current(),
    });
    read_settings(&broker).await;
    transport.connect(Arc::clone(&broker));
    started.markers.connect(Arc::clone(&broker));
    let controller_config = ControllerConfig::new(&broker.admin.config());
    let controller = Controller::start(ControllerDeps { config: controller_config, zk: session, transport });
    built.has_controller(&controller);
    // Nobody else sets it.
    let _ = broker.controller.set(controller.clone());
    Ok(Parts {
        config,
        zk: zk.clone(),
        logs,
        listeners,
        broker,
        controller,
        session_events,
        registrar,
        failures,
        offsets_storage,
        isr_changes,
    })
}

/// What ZooKeeper says of this broker and its clients.
async fn read_settings(broker: &Broker) {
    config_changes::reload_broker(broker, Scope::Cluster).await;
    config_changes::reload_broker(broker, Scope::Broker).await;
    client_quotas::load(broker).await;
}

fn replica_manager(
    config: &BrokerConfig,
    logs: &Arc<LogManager>,
    high_watermarks: HighWatermarks,
    (failures, isr_changes): (mpsc::UnboundedSender<StorageError>, mpsc::UnboundedSender<WantedIsr>),
) -> Arc<ReplicaManager> {
    let context = ReplicaContext {
        broker_id: config.broker_id,
        zstd_allowed: config.inter_broker_protocol_version >= IbpVersion::V2_1_IV0,
        run_blocking: on_threads_of(Handle::current()),
        replica_lag_ms_max: config.replica_lag_time_max_ms,
        reads_near: config.reads_near(),
        failures,
        isr_changes,
    };
    let defaults = Arc::new(TopicConfig::defaults(config));
    let quota = |windows, seconds| Arc::new(ReplicationQuota::new(windows, seconds));
    let (windows, seconds) =
        (config.replication_quota_window_num, config.replication_quota_window_size_seconds);
    let moves = quota(
        config.alter_log_dirs_replication_quota_window_num,
        config.alter_log_dirs_replication_quota_window_size_seconds,
    );
    let quotas =
        ReplicationQuotas { leader: quota(windows, seconds), follower: quota(windows, seconds), moves };
    let replicas = ReplicaManager::new(context, Arc::clone(logs), defaults, high_watermarks);
    Arc::new(replicas.with_quotas(quotas))
}

/// What copies from leaders.
fn fetchers(
    config: &Arc<BrokerConfig>,
    metadata: &Arc<MetadataCache>,
    replicas: &Arc<ReplicaManager>,
) -> Fetchers {
    let all = Arc::downgrade(replicas);
    let write_recovery_points = move || {
        if let Some(replicas) = all.upgrade() {
            replicas.write_recovery_points();
        }
    };
    Fetchers::new(FetcherContext {
        config: Arc::clone(config),
        metadata: Arc::clone(metadata),
        quota: Arc::clone(&replicas.quotas.follower),
        write_recovery_points: Box::new(write_recovery_points),
    })
}

/// What copies logs to other directories.
fn mover(config: &BrokerConfig, logs: &Arc<LogManager>, replicas: &Arc<ReplicaManager>) -> Mover {
    let all = Arc::downgrade(replicas);
    let write_checkpoints = move || {
        if let Some(replicas) = all.upgrade() {
            replicas.write_recovery_points();
            replicas.write_log_starts();
        }
    };
    let threads_max = config.num_replica_alter_log_dirs_threads;
    Mover::new(MoverContext {
        logs: Arc::clone(logs),
        quota: Arc::clone(&replicas.quotas.moves),
        threads_max: threads_max.map_or(config.log_dirs.len(), |count| count.max(1) as usize),
        bytes_max: config.replica_fetch_max_bytes.max(1) as usize,
        backoff: Duration::from_millis(config.replica_fetch_backoff_ms.max(1) as u64),
        write_checkpoints: Box::new(write_checkpoints),
    })
}

async fn write_meta_properties(
    logs: &Arc<LogManager>,
    broker_id: BrokerId,
    cluster: String,
) -> Result<(), StartupError> {
    let logs = Arc::clone(logs);
    Ok(blocking(move || logs.write_meta_properties(&cluster, broker_id)).await??)
}

fn fetch_sessions(config: &BrokerConfig, partitions: ClusterPartitions) -> FetchSessions {
    let slots = config.max_incremental_fetch_session_cache_slots.max(0) as usize;
    FetchSessions::new(Arc::new(partitions), slots)
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, StartupError> {
    tokio::task::spawn_blocking(work).await.map_err(StartupError::kafka)
}

/// Directories whose `meta.properties` could not be read.
type FailedDirs = Vec<PathBuf>;

/// Checks what the directories say of cluster and broker; the broker's id is the configured one, the stored one, or a
/// new one. Nothing is written yet.
async fn identify(
    zk: &ZkClient,
    config: BrokerConfig,
    cluster: &str,
) -> Result<(BrokerConfig, FailedDirs), StartupError> {
    let dirs: Vec<PathBuf> = config.log_dirs.iter().map(PathBuf::from).collect();
    let (stored, failed) = blocking(move || meta_properties::read(&dirs)).await??;
    stored.check_cluster_id(cluster)?;
    let id = match stored.check_broker_id(config.broker_id)? {
        Some(id) => id,
        None if config.broker_id_generation_enable => {
            broker_id::generate(zk, config.reserved_broker_max_id).await?
        }
        None => {
            let message = "broker.id is not set and broker.id.generation.enable is false";
            return Err(StartupError::new("kafka.common.GenerateBrokerIdException", message));
        }
    };
    let config = if id == config.broker_id { config } else { config.with_broker_id(id) };
    Ok((config, failed.into_iter().map(|(dir, _)| dir).collect()))
}

/// Settings of every topic that has some: logs are opened with them.
async fn all_topic_configs(zk: &ZkClient, admin: &Admin) -> Result<TopicConfigs, StartupError> {
    let names = zk.children(&paths::config_entities("topics")).await?;
    Ok(admin.topic_configs(names.into_iter().map(ByteString::from).collect()).await)
}

type HighWatermarks = HashMap<TopicPartition, Offset>;

async fn load_logs(
    config: &Arc<BrokerConfig>,
    failed_dirs: FailedDirs,
    configs: TopicConfigs,
    failures: mpsc::UnboundedSender<StorageError>,
) -> Result<(Arc<LogManager>, HighWatermarks), StartupError> {
    let defaults = Arc::new(replica_manager::log_config(&TopicConfig::defaults(config)));
    let configs: HashMap<ByteString, Arc<LogConfig>> = configs
        .into_iter()
        .map(|(topic, config)| (topic, Arc::new(replica_manager::log_config(&config))))
        .collect();
    let options = LogManagerOptions {
        log_dirs: config.log_dirs.iter().map(PathBuf::from).collect(),
        failed_dirs,
        recovery_threads_per_data_dir: config.num_recovery_threads_per_data_dir.max(1) as usize,
        producer_expiration_ms: i64::from(config.transactional_id_expiration_ms),
        keep_partition_metadata: config.inter_broker_protocol_version.has_topic_ids(),
    };
    let load = move || {
        let config_of = |topic: &str| Arc::clone(configs.get(topic).unwrap_or(&defaults));
        let logs = LogManager::open(&options, &config_of)?;
        let (high_watermarks, errors) = logs.read_high_watermarks();
        for error in errors {
            // The channel outlives the start.
            let _ = failures.send(error);
        }
        Ok::<_, StartupError>((logs, high_watermarks))
    };
    let (logs, high_watermarks) = blocking(load).await??;
    Ok((Arc::new(logs), high_watermarks))
}

fn bind(config: &BrokerConfig) -> Result<Vec<Listener>, StartupError> {
    let connection = ConnectionSettings {
        frame_bytes_max: config.socket_request_max_bytes.max(0) as usize,
        idle_ms_max: config.connections_max_idle_ms,
    };
    let mut listeners = Vec::new();
    for endpoint in config.data_plane_listeners() {
        if endpoint.security_protocol != SecurityProtocol::Plaintext {
            return Err(StartupError::kafka(format!(
                "Listener {} uses {}, which is not in this release: only PLAINTEXT is",
                endpoint.listener_name,
                endpoint.security_protocol.name()
            )));
        }
        let settings = ListenerSettings {
            name: endpoint.listener_name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port as u16,
            send_buffer_bytes: config.socket_send_buffer_bytes,
            receive_buffer_bytes: config.socket_receive_buffer_bytes,
            connection: connection.clone(),
        };
        listeners.push(Listener::bind(settings).map_err(StartupError::kafka)?);
    }
    Ok(listeners)
}

/// Starts the threads that serve connections: `num.network.threads` of them, but not more than there are cores.
pub fn start_workers(config: &BrokerConfig, broker: &Arc<Broker>) -> Result<Workers, StartupError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = (config.num_network_threads.max(1) as usize).min(cores);
    Ok(Workers::start(count, Arc::new(Dispatcher::new(Arc::clone(broker))))?)
}

/// Lets the listeners accept.
pub fn accept(
    limits: &Arc<ConnectionLimits>,
    listeners: Vec<Listener>,
    workers: &Workers,
) -> Vec<JoinHandle<()>> {
    let run = |listener: Listener| {
        let (limits, queues) = (Arc::clone(limits), workers.queues());
        tokio::spawn(async move {
            if let Err(failed) = listener.run(limits, queues).await {
                error!(target: "kafka.network.Acceptor", "Cannot accept connections: {failed}");
            }
        })
    };
    listeners.into_iter().map(run).collect()
}
