//! A broker from its first log line to its last.
//!
//! Order of the start, as in Kafka (`kafka.server.KafkaServer.startup`): ZooKeeper, skeleton, cluster id; directories
//! and `meta.properties`; logs; sockets bound; registration; controller; requests. Nothing is accepted before all
//! of it stands, and nothing is left half-open if a step fails. The stop goes the other way.

use super::alter_isr::ControllerLink;
use super::built::Built;
use super::cleaning::Cleaning;
use super::connection_quotas;
use super::parts::{self, Parts};
use super::startup::StartupError;
use super::{housekeeping, logging};
use crate::config::BrokerConfig;
use crate::handlers::Broker;
use crate::network::limits::ConnectionLimits;
use crate::network::worker::Workers;
use crate::replication::isr_writer::IsrWriter;
use crate::zk::ZkClient;
use log::{error, info};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

const TARGET: &str = "kafka.server.KafkaServer";
/// Threads of the background runtime: ZooKeeper, controller, admin calls, timers.
const BACKGROUND_THREADS: usize = 2;
/// Idle threads for blocking work end after this.
const BLOCKING_IDLE: Duration = Duration::from_secs(5);

/// How a broker ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By a signal, in order.
    Stopped,
    /// By an error, which has been logged.
    Failed,
}

/// Runs a broker until a signal ends it.
pub fn run(config: BrokerConfig) -> Ended {
    let runtime = Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .thread_name("background")
        .thread_keep_alive(BLOCKING_IDLE)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(failed) => {
            error!(target: TARGET, "Cannot start threads: {failed}");
            return Ended::Failed;
        }
    };
    let result = runtime.block_on(live(config));
    // Blocking work that is still under way (a flush, a deletion) must not hold up the exit.
    runtime.shutdown_background();
    result
}

/// The signals that end a broker.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn register() -> std::io::Result<Signals> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        info!(target: "org.apache.kafka.common.utils.LoggingSignalHandler", "Registered signal handlers for TERM, INT, HUP");
        Ok(signals)
    }

    async fn wait(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => "SIGHUP",
        };
        info!(target: "org.apache.kafka.common.utils.LoggingSignalHandler", "Terminating process due to signal {name}");
    }
}

async fn live(config: BrokerConfig) -> Ended {
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(failed) => {
            error!(target: TARGET, "Cannot take signals: {failed}");
            return Ended::Failed;
        }
    };
    info!(target: TARGET, "starting");
    let built = Arc::new(Built::default());
    let started = tokio::select! {
        started = RunningBroker::start(config, Arc::clone(&built)) => started,
        () = signals.wait() => {
            info!(target: TARGET, "{}shutting down before it has started", built.name());
            built.take_down(None).await;
            return Ended::Stopped;
        }
    };
    let broker = match started {
        Ok(broker) => broker,
        Err(failed) if failed.halts => {
            error!(target: "kafka.log.LogManager", "{}", failed.message);
            built.close_zk().await;
            return Ended::Failed;
        }
        Err(failed) => {
            let name = failed.broker_id.map_or(String::new(), |id| format!("[KafkaServer id={id}] "));
            let message = format!("{name}Fatal error during KafkaServer startup. Prepare to shutdown");
            logging::error_with_trace(TARGET, &message, &failed.to_string());
            info!(target: TARGET, "{name}shutting down");
            built.take_down(None).await;
            error!(target: "kafka.Kafka$", "Exiting Kafka.");
            return Ended::Failed;
        }
    };
    tokio::select! {
        () = signals.wait() => {}
        () = broker.failed.closed() => {
            // All log directories are gone: there is nothing to shut down in order.
            return Ended::Failed;
        }
    }
    broker.stop().await;
    Ended::Stopped
}

/// A broker that has started.
struct RunningBroker {
    id: i32,
    zk: ZkClient,
    built: Arc<Built>,
    broker: Arc<Broker>,
    workers: Workers,
    tasks: Vec<JoinHandle<()>>,
    /// Closed once no log directory is left.
    failed: housekeeping::Alive,
}

impl RunningBroker {
    async fn start(config: BrokerConfig, built: Arc<Built>) -> Result<RunningBroker, StartupError> {
        let started_ms = crate::common::clock::monotonic_ms();
        let parts = parts::assemble(config, &built).await?;
        let Parts { config, zk, logs, listeners, broker, controller, session_events, registrar, .. } = parts;
        let id = config.broker_id;
        // With the dynamic settings as they are now.
        let current = broker.admin.config();
        let workers = parts::start_workers(&current, &broker)?;
        let limits = ConnectionLimits::new(connection_quotas::limit_settings(&current));
        connection_quotas::load(&broker, &limits).await;
        let mut tasks = parts::accept(&limits, listeners, &workers);
        tasks.push(tokio::spawn(super::session::follow(
            zk.clone(),
            session_events,
            registrar,
            Arc::clone(&broker),
            controller,
        )));
        let cleaning = Cleaning::new(Arc::clone(&broker.replicas), Arc::clone(&logs));
        built.has_cleaning(&cleaning);
        cleaning.configure(&broker.admin.config());
        let changes =
            super::config_changes::follow(zk.clone(), Arc::clone(&broker), limits, Arc::clone(&cleaning));
        tasks.push(tokio::spawn(changes));
        tasks.extend(super::offsets_storage::start(&zk, parts.offsets_storage, &broker));
        if config.inter_broker_protocol_version.has_feature_versioning() {
            let (zk, broker) = (zk.clone(), Arc::clone(&broker));
            tasks.push(tokio::spawn(async move { broker.features.follow(zk).await }));
        }
        let lag_max = Duration::from_millis(config.replica_lag_time_max_ms.max(0) as u64);
        let writer = IsrWriter {
            zk: zk.clone(),
            replicas: Arc::clone(&broker.replicas),
            controller: ControllerLink::if_it_writes_isrs(&broker),
        };
        tasks.push(tokio::spawn(writer.run(parts.isr_changes, lag_max)));
        let keeper = housekeeping::Keeper {
            config: Arc::clone(&config),
            zk: zk.clone(),
            logs: Arc::clone(&logs),
            replicas: Arc::clone(&broker.replicas),
            cleaning,
        };
        let (mut kept, failed) = housekeeping::start(keeper, parts.failures);
        tasks.append(&mut kept);
        let took_ms = crate::common::clock::monotonic_ms() - started_ms;
        info!(target: "org.apache.kafka.common.utils.AppInfoParser", "Kafka version: 2.8.2 (Ottla {}), started in {took_ms} ms", env!("CARGO_PKG_VERSION"));
        info!(target: TARGET, "[KafkaServer id={id}] started");
        Ok(RunningBroker { id, zk, built, broker, workers, tasks, failed })
    }

    /// Stops in order: leadership, copying, ZooKeeper and requests, logs (flushed, checkpointed, marked clean).
    async fn stop(self) {
        let id = self.id;
        info!(target: TARGET, "[KafkaServer id={id}] shutting down");
        self.broker.replicas.follow_no_more();
        super::controlled_shutdown::run(&self.broker, &self.zk).await;
        for task in &self.tasks {
            task.abort();
        }
        self.built.take_down(Some(self.workers)).await;
    }
}
