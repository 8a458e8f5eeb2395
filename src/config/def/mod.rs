//! Every configuration key, one row each: name, type, default, allowed values, importance, whether it can change
//! at run time, whether it has an effect in this release, and what it is for.
//!
//! ```text
//! "name": Type = default, allowed values, importance, update mode, effect => "what it is for";
//! ```
//!
//! Source: Kafka 2.8.2, `kafka.server.KafkaConfig` and `kafka.log.LogConfig` (names, types, defaults, ranges),
//! `kafka.server.DynamicBrokerConfig` (update modes). `docs/configuration.md` is generated from these rows.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Declares a table of [`KeyDef`]s.
macro_rules! keys {
    (@default null) => { None };
    (@default $text:literal) => { Some($text) };
    ($(#[$doc:meta])* pub $table:ident {
        $($name:literal: $kind:ident = $default:tt, $valid:expr, $importance:ident, $update:ident, $effect:ident
            => $about:literal;)*
    }) => {
        $(#[$doc])*
        pub const $table: &[KeyDef] = &[$(KeyDef {
            name: $name,
            kind: Kind::$kind,
            default: keys!(@default $default),
            valid: $valid,
            importance: Importance::$importance,
            update: Update::$update,
            effect: Effect::$effect,
            doc: $about,
        },)*];
    };
}

mod prelude {
    pub(super) use super::Valid::*;
    pub(super) use super::{Effect, Importance, KeyDef, Kind, Update};
}

pub mod coordinator;
pub mod dynamic;
pub mod general;
pub mod log;
pub mod network;
pub mod quota;
pub mod replication;
pub mod security;
pub mod topic;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    /// Comma separated.
    List,
    /// A Java class. This broker loads none: only names that it knows are accepted.
    Class,
    /// Never shown.
    Password,
}

impl Kind {
    /// Kafka's name, such as `INT`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }
}

/// Which values are allowed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Valid {
    /// All of the type.
    Any,
    /// Numbers from this one.
    AtLeast(i64),
    /// Numbers from the first to the second.
    Between(i64, i64),
    /// These words.
    OneOf(&'static [&'static str]),
    /// Lists of these words.
    EachOf(&'static [&'static str]),
    /// A release, see [`super::IbpVersion`].
    Version,
    /// Lists of `partition:broker`, or `*`.
    ThrottledReplicas,
}

/// How much an operator has to care.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Whether a key can change while the broker runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// Only at start.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker, or for all as a default.
    ClusterWide,
}

/// What a key does in this release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// What it says.
    Now,
    /// Nothing yet; the broker says so at start if it is set.
    Later,
    /// Nothing, because what it tunes does not exist here; the broker says so at start if it is set.
    Nothing,
    /// Setting it to anything but its default is an error: ignoring it would weaken the cluster or a policy.
    Refused,
    /// Belongs to KRaft; known, hidden from DescribeConfigs as in Kafka, without effect.
    Kraft,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct KeyDef {
    /// As in the file, `log.segment.bytes`.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The default as text; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// The allowed values.
    pub valid: Valid,
    /// How much to care.
    pub importance: Importance,
    /// When it can change.
    pub update: Update,
    /// What it does in this release.
    pub effect: Effect,
    /// What it is for.
    pub doc: &'static str,
}

/// The tables of broker keys with their titles, in the order of the documentation.
pub const GROUPS: &[(&str, &[KeyDef])] = &[
    ("Identity and threads", general::GENERAL),
    ("Connection to ZooKeeper", general::ZOOKEEPER),
    ("Listeners and connections", network::NETWORK),
    ("Logs on disk", log::LOG),
    ("Replication and controller", replication::REPLICATION),
    ("Fetch", coordinator::FETCH),
    ("Groups, committed offsets, transactions", coordinator::COORDINATOR),
    ("Quotas", coordinator::QUOTA),
    ("TLS and SASL", security::SECURITY),
    ("Delegation tokens and encrypted passwords", security::TOKENS),
    ("Metrics", coordinator::METRICS),
    ("KRaft", general::KRAFT),
    ("KRaft quorum", security::QUORUM),
];

/// Every key of `server.properties`.
pub fn broker_keys() -> impl Iterator<Item = &'static KeyDef> {
    GROUPS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The broker key of a name, without listener prefix.
pub fn broker_key(name: &str) -> Option<&'static KeyDef> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static KeyDef>> = OnceLock::new();
    BY_NAME.get_or_init(|| broker_keys().map(|key| (key.name, key)).collect()).get(name).copied()
}

/// The topic key of a name.
pub fn topic_key(name: &str) -> Option<&'static KeyDef> {
    topic::TOPIC.iter().map(|row| &row.key).find(|key| key.name == name)
}

/// The key behind `listener.name.LISTENER.` or, for SASL, `listener.name.LISTENER.MECHANISM.`, if the name is of
/// that form and the key may be set per listener.
pub fn listener_key(name: &str) -> Option<&'static KeyDef> {
    let base = listener_base_name(name)?;
    broker_key(base).or_else(|| {
        LISTENER_MECHANISM_KEYS.iter().find(|key| base.ends_with(*key)).and_then(|key| broker_key(key))
    })
}

/// What follows `listener.name.LISTENER.`.
pub fn listener_base_name(name: &str) -> Option<&str> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    (!base.is_empty()).then_some(base)
}

/// Keys that are set per listener and SASL mechanism.
pub const LISTENER_MECHANISM_KEYS: &[&str] = &[
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

impl KeyDef {
    /// True for what Kafka calls internal: KRaft's keys.
    pub fn is_internal(&self) -> bool {
        self.effect == Effect::Kraft || matches!(self.name, "process.roles" | "node.id")
    }

    /// True for keys that Kafka does not have.
    pub fn is_own(&self) -> bool {
        self.name == "offsets.storage"
    }

    /// The allowed values as Kafka's documentation writes them; empty if all are.
    pub fn valid_values(&self) -> String {
        match self.valid {
            Valid::Any => String::new(),
            Valid::AtLeast(min) => format!("[{min},...]"),
            Valid::Between(min, max) => format!("[{min},...,{max}]"),
            Valid::OneOf(words) | Valid::EachOf(words) => format!("[{}]", words.join(", ")),
            Valid::Version => "a release, see below".to_string(),
            Valid::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_string(),
        }
    }
}
