//! One life of one broker: what a process has in memory. Its directory and its ZooKeeper session may outlive it.

use super::control::Control;
use super::disk::{self, Entry};
use super::follower::Fetcher;
use super::leader::{Parked, Unanswered};
use super::setup::{Setup, TOPIC};
use ottla::common::{BrokerId, TopicPartition};
use ottla::config::{BrokerConfig, Endpoint, IbpVersion, SecurityProtocol, TopicConfig};
use ottla::metadata::MetadataCache;
use ottla::replication::fetch_session::FetchSessions;
use ottla::replication::replica_manager::{ReplicaContext, WantedIsr, log_config};
use ottla::replication::{ClusterPartitions, Partition, ReplicaManager};
use ottla::storage::{LogManager, LogManagerOptions, StorageError};
use ottla::zk::data::BrokerRegistration;
use ottla::zk::data::broker::version_for;
use ottla::zk::registration::Registrar;
use ottla::zk::{ZkClient, ZkError};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::mpsc;

type Work = Box<dyn FnOnce() + Send>;
type Registering = Pin<Box<dyn Future<Output = (Registrar, Result<i64, ZkError>)>>>;

/// Where the broker stands with ZooKeeper.
enum Registration {
    Idle(Registrar),
    /// With the session in which the controller will write.
    UnderWay(Registering, ZkClient),
    Moving,
}

pub struct Broker {
    pub id: BrokerId,
    /// Broker epoch; 0 until it is registered.
    pub epoch: i64,
    pub config: Arc<BrokerConfig>,
    pub replicas: Arc<ReplicaManager>,
    logs: Arc<LogManager>,
    pub metadata: Arc<MetadataCache>,
    pub sessions: FetchSessions,
    /// Fetches that wait here, and those of them to look at.
    pub parked: BTreeMap<u64, Parked>,
    pub woken: Arc<Mutex<Vec<u64>>>,
    pub unanswered: Vec<Unanswered>,
    pub wanted: mpsc::UnboundedReceiver<WantedIsr>,
    pub failures: mpsc::UnboundedReceiver<StorageError>,
    /// What blocking threads have to do.
    pub blocking: Arc<Mutex<VecDeque<Work>>>,
    pub blocking_is_due: bool,
    pub zk: ZkClient,
    pub sessions_seen: u64,
    registration: Registration,
    pub control: Control,
    /// By leader, and where each partition is.
    pub fetchers: BTreeMap<BrokerId, Fetcher>,
    pub places: BTreeMap<TopicPartition, BrokerId>,
    /// Largest controller epoch that it has obeyed.
    pub controller_epoch: i32,
    /// Changes of ISRs that the controller was asked for.
    pub asked_isr: BTreeMap<u64, WantedIsr>,
}

impl Broker {
    pub fn start(id: BrokerId, directory: &Path, setup: &Setup, zk: ZkClient) -> Broker {
        let config = setup.config(id);
        let defaults = Arc::new(TopicConfig::defaults(&config));
        let options = LogManagerOptions {
            log_dirs: vec![directory.to_path_buf()],
            failed_dirs: Vec::new(),
            recovery_threads_per_data_dir: 1,
            producer_expiration_ms: 1 << 40,
            keep_partition_metadata: config.inter_broker_protocol_version.has_topic_ids(),
        };
        let of_log = Arc::new(log_config(&defaults));
        let logs =
            LogManager::open(&options, &|_| Arc::clone(&of_log)).expect("a directory that is left as it was");
        let logs = Arc::new(logs);
        let (high_watermarks, errors) = logs.read_high_watermarks();
        assert!(errors.is_empty(), "{errors:?}");
        let (failures_in, failures) = mpsc::unbounded_channel();
        let (isr_changes, wanted) = mpsc::unbounded_channel();
        let blocking: Arc<Mutex<VecDeque<Work>>> = Arc::default();
        let queue = Arc::clone(&blocking);
        let context = ReplicaContext {
            broker_id: id,
            zstd_allowed: config.inter_broker_protocol_version >= IbpVersion::V2_1_IV0,
            run_blocking: Box::new(move |work| queue.lock().expect("one thread").push_back(work)),
            replica_lag_ms_max: config.replica_lag_time_max_ms,
            reads_near: false,
            failures: failures_in,
            isr_changes,
        };
        let replicas = Arc::new(ReplicaManager::new(context, Arc::clone(&logs), defaults, high_watermarks));
        let metadata = Arc::new(MetadataCache::default());
        let source = ClusterPartitions { hosted: Arc::clone(&replicas), cluster: Arc::clone(&metadata) };
        let mut broker = Broker {
            id,
            epoch: 0,
            replicas,
            logs,
            metadata,
            sessions: FetchSessions::new(Arc::new(source), 100),
            parked: BTreeMap::new(),
            woken: Arc::default(),
            unanswered: Vec::new(),
            wanted,
            failures,
            blocking,
            blocking_is_due: false,
            sessions_seen: zk.status().sessions,
            registration: Registration::Idle(Registrar::new(zk.clone(), id)),
            control: Control::new(&config, &zk),
            fetchers: BTreeMap::new(),
            places: BTreeMap::new(),
            controller_epoch: 0,
            asked_isr: BTreeMap::new(),
            config,
            zk,
        };
        broker.register();
        broker
    }

    /// Begins to register, in the session that there is now.
    pub fn register(&mut self) {
        let registration = BrokerRegistration {
            version: version_for(self.config.inter_broker_protocol_version),
            endpoints: vec![Endpoint {
                listener_name: "PLAINTEXT".to_string(),
                security_protocol: SecurityProtocol::Plaintext,
                host: format!("h{}", self.id),
                port: 9092,
            }],
            rack: None,
            jmx_port: -1,
            timestamp_ms: 0,
            features: BTreeMap::new(),
        };
        let mut registrar = match std::mem::replace(&mut self.registration, Registration::Moving) {
            Registration::Idle(registrar) => registrar,
            // It was lost with its session; the next one forgets that it tried.
            Registration::UnderWay(..) | Registration::Moving => Registrar::new(self.zk.clone(), self.id),
        };
        let session = self.zk.in_this_session();
        let registering = Box::pin(async move {
            let epoch = registrar.register(&registration).await;
            (registrar, epoch)
        });
        self.registration = Registration::UnderWay(registering, session);
    }

    /// Goes on with registering. Gives the session once it has succeeded.
    pub fn poll_registration(&mut self) -> Option<ZkClient> {
        let Registration::UnderWay(registering, session) = &mut self.registration else { return None };
        let Poll::Ready((registrar, registered)) =
            registering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            return None;
        };
        let session = session.clone();
        self.registration = Registration::Idle(registrar);
        match registered {
            Ok(epoch) => {
                self.epoch = epoch;
                Some(session)
            }
            Err(_) => {
                self.register();
                None
            }
        }
    }

    pub fn partition(&self, partition: i32) -> Option<Arc<Partition>> {
        self.replicas.find(TOPIC, partition)
    }

    /// What stands in the log of a partition from an offset on.
    pub fn entries(&self, partition: i32, from: i64) -> Vec<Entry> {
        self.partition(partition).map_or(Vec::new(), |partition| disk::entries(&partition, from))
    }

    pub fn checkpoint(&self) {
        self.logs.write_high_watermarks(self.replicas.high_watermarks()).expect("a working disk");
        self.replicas.write_recovery_points();
    }

    /// Ends as after SIGTERM.
    pub fn shut_down(&self) {
        let high_watermarks = self.replicas.high_watermarks();
        self.logs.shut_down(self.replicas.close(), high_watermarks).expect("a working disk");
    }
}
