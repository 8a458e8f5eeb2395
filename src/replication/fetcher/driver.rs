//! The thread of a fetcher: one connection to its leader, one request under way.
//!
//! Versions of requests are those of `inter.broker.protocol.version`; leaders are not asked what they speak.
//! Source: Kafka 2.8.2, `ReplicaFetcherBlockingSend.scala`. Different here: a fetch that waits at the leader is given
//! up, with its connection, when partitions come that it does not name. They would wait with it for up to
//! `replica.fetch.wait.max.ms`, and the high watermark of their leader with them.

use super::machine::{FetcherMachine, MachineSettings};
use super::messages::{
    Ask, EpochQuestion, FetchQuestion, Fetched, FollowerLog, LogFailure, LogView, OffsetQuestion, Throttle,
};
use super::{FetcherContext, Follow, requests};
use crate::common::{BrokerId, LeaderEpoch, Offset, TopicPartition, clock};
use crate::config::{BrokerConfig, SecurityProtocol};
use crate::network::peer::{PeerConnection, PeerSettings};
use crate::protocol::{ApiRequest, client};
use crate::quota::replication::ReplicationQuota;
use crate::replication::partition::Partition;
use bytestring::ByteString;
use log::{debug, error, info, warn};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

const TARGET: &str = "kafka.server.ReplicaFetcherThread";
/// A fetch that is interrupted may still be answered for so long.
const GRACE_MS: i64 = 5;

/// One of the fetchers for a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FetcherName {
    /// The leader.
    pub leader: BrokerId,
    /// From 0 to `num.replica.fetchers`.
    pub number: u32,
}

/// What a fetcher is told. It ends when nobody can tell it anything any more.
pub enum Command {
    /// Follow these.
    Add(Vec<Follow>),
    /// Do not follow this any more.
    Remove(TopicPartition),
}

/// See the module.
pub struct Driver {
    context: Arc<FetcherContext>,
    name: FetcherName,
    commands: mpsc::UnboundedReceiver<Command>,
}

/// A replica, as the machine sees it.
struct FollowedLog {
    partition: Arc<Partition>,
    context: Arc<FetcherContext>,
    /// A log was cut: recovery points are to be written before the next request.
    cut: Rc<Cell<bool>>,
}

impl FollowerLog for FollowedLog {
    fn look(&self, leader_epoch: LeaderEpoch) -> Result<LogView, LogFailure> {
        self.partition.look_as_follower(leader_epoch)
    }

    fn end_offset_for_epoch(
        &self,
        leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, LogFailure> {
        self.partition.epoch_end_as_follower(leader_epoch, epoch)
    }

    fn append(&self, leader_epoch: LeaderEpoch, fetched: &Fetched) -> Result<LogView, LogFailure> {
        // Replicas in sync count, too: it is the whole traffic that is bounded.
        if self.context.quota.is_throttled(&self.partition.name) {
            self.context.quota.record(fetched.records.len(), clock::monotonic_ms());
        }
        self.partition.append_as_follower(leader_epoch, fetched, || (self.context.write_recovery_points)())
    }

    fn truncate_to(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        self.cut.set(true);
        self.partition.truncate_as_follower(leader_epoch, offset)
    }

    fn restart_at(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        self.cut.set(true);
        self.partition.restart_as_follower(leader_epoch, offset)
    }
}

/// The follower's quota at one moment.
struct AtThisMoment<'a>(&'a ReplicationQuota, i64);

impl Throttle for AtThisMoment<'_> {
    fn holds_back(&self, name: &TopicPartition) -> bool {
        self.0.is_throttled(name) && self.0.is_exceeded(self.1)
    }
}

impl Driver {
    pub(super) fn new(
        context: Arc<FetcherContext>,
        name: FetcherName,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Driver {
        Driver { context, name, commands }
    }

    /// Runs until the sender of the commands is dropped.
    pub(super) fn run(self) {
        let config = &self.context.config;
        let ident = format!(
            "[ReplicaFetcher replicaId={}, leaderId={}, fetcherId={}] ",
            config.broker_id, self.name.leader, self.name.number
        );
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(failed) => return error!(target: TARGET, "{ident}Cannot start: {failed}"),
        };
        info!(target: TARGET, "{ident}Starting");
        let protocol = config.inter_broker_protocol_version;
        let machine = FetcherMachine::new(MachineSettings {
            ident: ident.clone(),
            truncates_on_fetch: protocol.truncates_on_fetch(),
            asks_epochs: protocol.offset_for_leader_epoch_version().is_some(),
            backoff_ms: i64::from(config.replica_fetch_backoff_ms),
            wait_ms_max: i64::from(config.replica_fetch_wait_max_ms),
        });
        let link = Link {
            client_id: format!("broker-{}-fetcher-{}", config.broker_id, self.name.number).into(),
            context: Arc::clone(&self.context),
            leader: self.name.leader,
            open: None,
        };
        let running =
            Running { machine, link, ident, context: self.context, cut: Rc::default(), complained: false };
        runtime.block_on(running.live(self.commands));
    }
}

enum Exchanged<T> {
    Answer(T),
    GivenUp,
    /// The machine knows.
    Failed,
}

struct Running {
    machine: FetcherMachine<FollowedLog>,
    link: Link,
    ident: String,
    context: Arc<FetcherContext>,
    cut: Rc<Cell<bool>>,
    /// The last request failed and the log says so.
    complained: bool,
}

impl Running {
    async fn live(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => {
                        self.obey(command);
                    }
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        return info!(target: TARGET, "{}Stopped", self.ident);
                    }
                }
            }
            let now_ms = clock::monotonic_ms();
            let ask = self.machine.next(now_ms, &AtThisMoment(&self.context.quota, now_ms));
            self.after_cuts();
            match ask {
                Ask::Wait(until) => {
                    if let Some(command) = self.wait(until, &mut commands).await {
                        self.obey(command);
                    }
                }
                Ask::Fetch(question) => self.fetch(&question, &mut commands).await,
                Ask::Epochs(questions) => self.ask_epochs(questions, &mut commands).await,
                Ask::Offsets(questions) => self.ask_offsets(questions, &mut commands).await,
            }
            self.after_cuts();
        }
    }

    /// True if partitions came.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Remove(name) => {
                self.machine.remove(&name);
                false
            }
            Command::Add(follows) => {
                for Follow { partition, leader_epoch, .. } in follows {
                    let name = partition.name.clone();
                    let (context, cut) = (Arc::clone(&self.context), Rc::clone(&self.cut));
                    self.machine.add(name, leader_epoch, FollowedLog { partition, context, cut });
                }
                true
            }
        }
    }

    /// Until something is due or told, or the leader has become known.
    async fn wait(
        &mut self,
        until: Option<i64>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<Command> {
        let mut changes = self.context.metadata.subscribe();
        let was_known = self.link.address().is_some();
        let command = tokio::select! {
            command = commands.recv() => command,
            () = sleep(until) => None,
            _ = changes.changed(), if !was_known => None,
        };
        if !was_known && self.link.address().is_some() {
            self.machine.on_reachable();
        }
        command
    }

    async fn fetch(&mut self, question: &FetchQuestion, commands: &mut mpsc::UnboundedReceiver<Command>) {
        let request = requests::fetch(question, &self.context.config);
        let version = self.context.config.inter_broker_protocol_version.fetch_version();
        match self.exchange(version, &request, Some(GRACE_MS), commands).await {
            Exchanged::Answer(response) => {
                self.machine.on_fetched(requests::fetched(response), clock::monotonic_ms());
            }
            Exchanged::GivenUp => self.machine.on_interrupted(),
            Exchanged::Failed => {}
        }
    }

    async fn ask_epochs(
        &mut self,
        questions: Vec<EpochQuestion>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) {
        let config = &self.context.config;
        let version = config.inter_broker_protocol_version.offset_for_leader_epoch_version().unwrap_or(0);
        let request = requests::epochs(&questions, config.broker_id);
        if let Exchanged::Answer(response) = self.exchange(version, &request, None, commands).await {
            self.machine.on_epochs(requests::epoch_ends(questions, response), clock::monotonic_ms());
        }
    }

    async fn ask_offsets(
        &mut self,
        questions: Vec<OffsetQuestion>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) {
        let config = &self.context.config;
        let version = config.inter_broker_protocol_version.list_offsets_version();
        let request = requests::offsets(&questions, config.broker_id);
        if let Exchanged::Answer(response) = self.exchange(version, &request, None, commands).await {
            self.machine.on_offsets(requests::listed(questions, response), clock::monotonic_ms());
        }
    }

    /// Asks the leader, and obeys meanwhile. With a grace, the question is given up so long after partitions came.
    async fn exchange<R: ApiRequest>(
        &mut self,
        version: i16,
        request: &R,
        grace_ms: Option<i64>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Exchanged<R::Response> {
        let disconnected = self.link.without_connection();
        let mut link = std::mem::replace(&mut self.link, disconnected);
        let answered = {
            let exchange = async {
                let answer = link.ask(version, request).await;
                (answer, link)
            };
            tokio::pin!(exchange);
            let mut deadline = None;
            loop {
                tokio::select! {
                    biased;
                    answered = &mut exchange => break Some(answered),
                    command = commands.recv() => match command {
                        Some(command) => {
                            let came = self.obey(command);
                            if let (true, None, Some(grace_ms)) = (came, deadline, grace_ms) {
                                deadline = Some(clock::monotonic_ms() + grace_ms);
                            }
                        }
                        // Nobody is left to tell anything: the end.
                        None => break None,
                    },
                    () = sleep(deadline), if deadline.is_some() => break None,
                }
            }
        };
        let Some((answer, link)) = answered else { return Exchanged::GivenUp };
        self.link = link;
        match answer {
            Ok(response) => {
                self.complained = false;
                Exchanged::Answer(response)
            }
            Err(why) => {
                self.failed(&why);
                Exchanged::Failed
            }
        }
    }

    fn failed(&mut self, why: &str) {
        // Once, not every second while a leader is down.
        if std::mem::replace(&mut self.complained, true) {
            debug!(target: TARGET, "{}Error when sending a request to the leader: {why}", self.ident);
        } else {
            warn!(target: TARGET, "{}Error when sending a request to the leader: {why}. Trying again every {} ms.",
                self.ident, self.context.config.replica_fetch_backoff_ms);
        }
        self.machine.on_failed(clock::monotonic_ms());
    }

    fn after_cuts(&self) {
        if self.cut.replace(false) {
            (self.context.write_recovery_points)();
        }
    }
}

async fn sleep(until_ms: Option<i64>) {
    match until_ms {
        Some(until) => {
            let after_ms = until - clock::monotonic_ms();
            sleep_until(Instant::from_std(clock::deadline_after_ms(after_ms))).await;
        }
        None => std::future::pending().await,
    }
}

/// The connection to the leader, opened when it is needed.
struct Link {
    context: Arc<FetcherContext>,
    leader: BrokerId,
    client_id: ByteString,
    open: Option<(PeerConnection, i32)>,
}

impl Link {
    fn without_connection(&self) -> Link {
        Link {
            context: Arc::clone(&self.context),
            leader: self.leader,
            client_id: self.client_id.clone(),
            open: None,
        }
    }

    /// Sends a request, gives its answer. After an error, and if it is dropped half-way, the connection is closed: a
    /// late answer would be taken for the next one.
    async fn ask<R: ApiRequest>(&mut self, version: i16, request: &R) -> Result<R::Response, String> {
        let timeout_ms = i64::from(self.context.config.replica_socket_timeout_ms);
        let (mut connection, correlation_id) = match self.open.take() {
            Some(open) => open,
            None => (within(timeout_ms, self.connect()).await?, 0),
        };
        let frame = client::encode_request(correlation_id, Some(&self.client_id), version, request);
        let exchange = async { connection.exchange(&frame).await.map_err(|error| error.to_string()) };
        let answer = within(timeout_ms, exchange).await?;
        let (answered_id, response) = client::decode_response::<R>(answer, version)
            .map_err(|error| format!("unreadable answer: {error}"))?;
        if answered_id != correlation_id {
            return Err(format!("answer {answered_id} to request {correlation_id}"));
        }
        self.open = Some((connection, correlation_id.wrapping_add(1)));
        Ok(response)
    }

    fn address(&self) -> Option<(ByteString, i32, i16)> {
        let cluster = self.context.metadata.current();
        let endpoint =
            cluster.brokers.get(&self.leader)?.endpoint(&self.context.config.inter_broker_listener_name)?;
        Some((endpoint.host.clone(), endpoint.port, endpoint.security_protocol))
    }

    async fn connect(&self) -> Result<PeerConnection, String> {
        let (host, port, protocol) = self.address().ok_or_else(|| {
            format!(
                "broker {} is not alive, or has no listener {}",
                self.leader, self.context.config.inter_broker_listener_name
            )
        })?;
        if protocol != SecurityProtocol::Plaintext.id() {
            return Err("its listener is not PLAINTEXT, which is all that this release speaks".to_string());
        }
        let port = u16::try_from(port).map_err(|_| format!("{port} is no port"))?;
        let settings = peer_settings(&self.context.config);
        let opened = PeerConnection::open_with(&host, port, &settings).await;
        opened.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))
    }
}

fn peer_settings(config: &BrokerConfig) -> PeerSettings {
    // A batch of any size comes whole, in whatever `message.max.bytes` its leader allows.
    PeerSettings {
        receive_buffer_bytes: config.replica_socket_receive_buffer_bytes,
        frame_bytes_max: i32::MAX as usize,
    }
}

async fn within<T>(ms: i64, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let deadline = Instant::from_std(clock::deadline_after_ms(ms));
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(format!("no answer within {ms} ms")))
}
