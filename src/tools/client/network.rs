//! The brokers of a cluster and the connections to them.

use super::{Address, CallError, Connection};
use crate::common::{BrokerId, clock};
use crate::config::properties::Properties;
use crate::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const LOGGER: &str = "org.apache.kafka.clients.NetworkClient";
/// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`
const RECONNECT_BACKOFF_MS: (i64, i64) = (50, 1_000);
/// A broker may take so long for its first answer, however short the caller's step is.
const OPEN_MS_MIN: i64 = 2_000;

/// Which of Kafka's clients a tool imitates in what it logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// `AdminClient`: says nothing when a bootstrap broker goes away.
    Admin,
    /// The Scala `AdminClient` of 1.1.1, which names neither itself nor addresses.
    OldAdmin,
    /// Producer or consumer.
    Data,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it introduces itself in its log lines: `AdminClient clientId=adminclient-1`.
    pub name: String,
    /// Which lines it logs.
    pub kind: ClientKind,
    /// `client.id`
    pub client_id: ByteString,
    /// `bootstrap.servers`
    pub bootstrap: Vec<Address>,
    /// `request.timeout.ms`
    pub request_timeout_ms: i64,
    /// `retry.backoff.ms`
    pub retry_backoff_ms: i64,
}

/// Connections by broker, and who the brokers are.
pub struct Network {
    settings: Settings,
    bootstrap_next: usize,
    bootstrap_connection: Option<Connection>,
    connections: HashMap<BrokerId, Connection>,
    nodes: BTreeMap<BrokerId, Address>,
    controller_id: BrokerId,
    attempts_failed: u32,
    /// No bootstrap attempt before this moment of the monotonic clock.
    bootstrap_not_before_ms: i64,
    /// By broker: failed attempts in a row, and no attempt before.
    nodes_not_before: HashMap<BrokerId, (u32, i64)>,
}

impl Network {
    /// Connects to nobody yet.
    pub fn new(settings: Settings) -> Network {
        Network {
            settings,
            bootstrap_next: 0,
            bootstrap_connection: None,
            connections: HashMap::new(),
            nodes: BTreeMap::new(),
            controller_id: -1,
            attempts_failed: 0,
            bootstrap_not_before_ms: 0,
            nodes_not_before: HashMap::new(),
        }
    }

    /// When the next attempt to reach a bootstrap broker is due, on the monotonic clock.
    pub fn bootstrap_not_before_ms(&self) -> i64 {
        self.bootstrap_not_before_ms
    }

    /// What the client was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The brokers of the last metadata.
    pub fn nodes(&self) -> &BTreeMap<BrokerId, Address> {
        &self.nodes
    }

    /// The controller of the last metadata, or -1.
    pub fn controller_id(&self) -> BrokerId {
        self.controller_id
    }

    /// Asks some broker for metadata: of all topics (`None`) or of these. Tries until `deadline_ms` of the
    /// monotonic clock; `None` if nobody answered.
    pub fn metadata(
        &mut self,
        topics: Option<&[ByteString]>,
        allow_auto_topic_creation: bool,
        deadline_ms: i64,
    ) -> Option<MetadataResponse> {
        let request = MetadataRequest {
            topics: topics.map(|names| {
                let topic = |name: &ByteString| MetadataRequestTopic {
                    name: Some(name.clone()),
                    ..Default::default()
                };
                names.iter().map(topic).collect()
            }),
            allow_auto_topic_creation,
            ..Default::default()
        };
        let timeout_ms = self.settings.request_timeout_ms;
        loop {
            let (id, connection) = self.any(deadline_ms)?;
            match connection.call(&request, timeout_ms) {
                Ok(response) => {
                    self.learn(&response);
                    return Some(response);
                }
                Err(_) => self.disconnect(id),
            }
        }
    }

    /// Takes over brokers and controller, and the bootstrap connection as that of its broker.
    pub fn learn(&mut self, response: &MetadataResponse) {
        self.controller_id = response.controller_id;
        self.nodes = response
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                Some((broker.node_id, Address { host: broker.host.to_string(), port }))
            })
            .collect();
        let nodes = &self.nodes;
        self.connections.retain(|id, connection| nodes.get(id) == Some(connection.address()));
        if let Some(connection) = &self.bootstrap_connection
            && let Some((id, _)) = self.nodes.iter().find(|(_, address)| *address == connection.address())
            && !self.connections.contains_key(id)
            && let Some(connection) = self.bootstrap_connection.take()
        {
            self.connections.insert(*id, connection);
        }
    }

    /// A connection to some broker. Tries until the deadline, saying on stderr what it cannot reach.
    pub fn any(&mut self, deadline_ms: i64) -> Option<(BrokerId, &mut Connection)> {
        if let Some(id) = self.connections.keys().next().copied() {
            return self.connections.get_mut(&id).map(|connection| (id, connection));
        }
        while self.bootstrap_connection.is_none() {
            self.back_off(deadline_ms)?;
            let index = self.bootstrap_next % self.settings.bootstrap.len();
            self.bootstrap_next += 1;
            // Kafka numbers bootstrap brokers -1, -2, …
            let id = -1 - index as BrokerId;
            let address = self.settings.bootstrap[index].clone();
            self.bootstrap_connection = self.open(id, &address, deadline_ms);
        }
        self.bootstrap_connection.as_mut().map(|connection| (-1, connection))
    }

    /// A new connection to one of the bootstrap brokers, tried once.
    pub fn bootstrap(&mut self, index: usize, deadline_ms: i64) -> Option<&mut Connection> {
        let address = self.settings.bootstrap.get(index)?.clone();
        self.bootstrap_connection = self.open(-1 - index as BrokerId, &address, deadline_ms);
        self.bootstrap_connection.as_mut()
    }

    /// A connection to one broker; `None` if it is unknown or unreachable now.
    pub fn node(&mut self, id: BrokerId, deadline_ms: i64) -> Option<&mut Connection> {
        if !self.connections.contains_key(&id) {
            let address = self.nodes.get(&id)?.clone();
            let now = clock::monotonic_ms();
            let (failed, not_before_ms) = self.nodes_not_before.get(&id).copied().unwrap_or((0, 0));
            if now < not_before_ms {
                return None;
            }
            match self.open(id, &address, deadline_ms) {
                Some(connection) => {
                    self.nodes_not_before.remove(&id);
                    self.connections.insert(id, connection);
                }
                None => {
                    self.nodes_not_before.insert(id, (failed + 1, now + backoff_ms(failed + 1)));
                    return None;
                }
            }
        }
        self.connections.get_mut(&id)
    }

    /// A connection that exists already.
    pub fn connected(&mut self, id: BrokerId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// Forgets the connection of a broker (-1: that of the bootstrap).
    pub fn disconnect(&mut self, id: BrokerId) {
        if id < 0 {
            self.bootstrap_connection = None;
        } else {
            self.connections.remove(&id);
        }
    }

    /// Asks one broker and waits up to `request.timeout.ms`; a connection that failed is forgotten.
    pub fn call<R: crate::protocol::ApiRequest>(
        &mut self,
        id: BrokerId,
        request: &R,
        deadline_ms: i64,
    ) -> Result<R::Response, CallError> {
        let timeout_ms = self.settings.request_timeout_ms;
        let connection =
            self.node(id, deadline_ms).ok_or(CallError::Io(std::io::ErrorKind::NotConnected.into()))?;
        let answer = connection.call(request, timeout_ms);
        if matches!(answer, Err(CallError::Io(_) | CallError::TimedOut | CallError::Decode(_))) {
            self.disconnect(id);
        }
        answer
    }

    fn open(&mut self, id: BrokerId, address: &Address, deadline_ms: i64) -> Option<Connection> {
        let left_ms = (deadline_ms - clock::monotonic_ms()).max(OPEN_MS_MIN);
        let timeout_ms = self.settings.request_timeout_ms.min(left_ms);
        match Connection::open(address, &self.settings.client_id, timeout_ms) {
            Ok(connection) => {
                if id < 0 {
                    self.attempts_failed = 0;
                }
                Some(connection)
            }
            Err(error) => {
                if id < 0 {
                    self.attempts_failed += 1;
                    self.bootstrap_not_before_ms = clock::monotonic_ms() + backoff_ms(self.attempts_failed);
                }
                self.say_unreachable(id, address, &error);
                None
            }
        }
    }

    fn say_unreachable(&self, id: BrokerId, address: &Address, error: &CallError) {
        let name = &self.settings.name;
        let what = match error {
            _ if self.settings.kind == ClientKind::OldAdmin => {
                format!("Connection to node {id} could not be established. Broker may not be available.")
            }
            CallError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => format!(
                "[{name}] Connection to node {id} ({}) terminated during authentication. This may happen due \
                 to any of the following reasons: (1) Authentication failed due to invalid credentials with \
                 brokers older than 1.0.0, (2) Firewall blocking Kafka TLS traffic (eg it may only allow \
                 HTTPS traffic), (3) Transient network issue.",
                address.java_text()
            ),
            _ => format!(
                "[{name}] Connection to node {id} ({}) could not be established. Broker may not be available.",
                address.java_text()
            ),
        };
        log(Level::Warn, &what, LOGGER);
        if id < 0 && self.settings.kind == ClientKind::Data {
            let text = format!("[{name}] Bootstrap broker {address} (id: {id} rack: null) disconnected");
            log(Level::Warn, &text, LOGGER);
        }
    }

    /// Waits until another attempt is due; `None` at the deadline.
    fn back_off(&self, deadline_ms: i64) -> Option<()> {
        loop {
            let now = clock::monotonic_ms();
            if now >= deadline_ms {
                return None;
            }
            let wait = self.bootstrap_not_before_ms.min(deadline_ms) - now;
            if wait <= 0 {
                return Some(());
            }
            std::thread::sleep(Duration::from_millis(wait as u64));
        }
    }
}

/// Time between attempts after `failed` of them.
fn backoff_ms(failed: u32) -> i64 {
    let (first, most) = RECONNECT_BACKOFF_MS;
    (first << failed.saturating_sub(1).min(10)).min(most)
}

/// Refuses what these clients cannot do yet, instead of talking plain text to a TLS listener.
pub fn check_security(properties: &Properties) -> Result<(), Exception> {
    match properties.get("security.protocol").map(str::trim) {
        None | Some("PLAINTEXT") => Ok(()),
        Some(other) => Err(Exception::new(
            "org.apache.kafka.common.config.ConfigException",
            format!(
                "Invalid value {other} for configuration security.protocol: these tools speak PLAINTEXT only"
            ),
        )),
    }
}

/// A `ConfigException` about one property.
pub fn bad_value(key: &str, value: &str, why: &str) -> Exception {
    Exception::new(
        "org.apache.kafka.common.config.ConfigException",
        format!("Invalid value {value} for configuration {key}: {why}"),
    )
}

/// A number of a client's properties, or its default. Bad numbers are `ConfigException`s.
pub fn number(properties: &Properties, key: &str, default: i64) -> Result<i64, Exception> {
    let Some(text) = properties.get(key) else { return Ok(default) };
    text.trim().parse().map_err(|_| bad_value(key, text, "Not a number of type INT"))
}
