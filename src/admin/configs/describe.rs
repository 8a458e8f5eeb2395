//! What DescribeConfigs shows. Source: Kafka 2.8.2, `kafka.server.ConfigHelper`.
//!
//! Every entry has the list of places where its value could come from, the strongest first: the topic, this broker's
//! dynamic settings, the cluster's, the file, the default. Its source is that of the first. Values of passwords and
//! of keys whose type nobody knows are hidden.

use super::super::AdminError;
use crate::config::def::{self, KeyDef, Kind, Update, dynamic::DYNAMIC_ONLY};
use crate::config::synonyms::{broker_synonyms, topic_synonyms};
use crate::config::{DynamicBrokerConfig, Scope, Settings, TopicConfig, Value};
use crate::protocol::messages::create_topics::CreatableTopicConfigs;
use crate::protocol::messages::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of `ConfigSource`.
mod source {
    pub const TOPIC: i8 = 1;
    pub const DYNAMIC_BROKER: i8 = 2;
    pub const DYNAMIC_CLUSTER: i8 = 3;
    pub const FILE: i8 = 4;
    pub const DEFAULT: i8 = 5;
    pub const LOGGER: i8 = 6;
}

/// What a request wants to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Only these keys; `None` or none: all.
    pub keys: Option<&'a [ByteString]>,
    /// All places of a value.
    pub synonyms: bool,
    /// What a key is for.
    pub documentation: bool,
}

impl Wish<'_> {
    fn wants(&self, name: &str) -> bool {
        self.keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| &**key == name))
    }
}

/// One value before the wish is applied.
struct Entry<'a> {
    name: &'a str,
    key: Option<&'a KeyDef>,
    value: Option<String>,
    read_only: bool,
    places: Vec<DescribeConfigsSynonym>,
}

impl Entry<'_> {
    fn show(self, wish: &Wish<'_>) -> DescribeConfigsResourceResult {
        let is_sensitive = is_sensitive(self.key);
        DescribeConfigsResourceResult {
            name: ByteString::from(self.name),
            value: self.value.filter(|_| !is_sensitive).map(ByteString::from),
            read_only: self.read_only,
            config_source: self.places.first().map_or(source::DEFAULT, |place| place.source),
            is_sensitive,
            synonyms: if wish.synonyms { self.places } else { Vec::new() },
            config_type: self.key.map_or(0, |key| type_number(key.kind)),
            documentation: self
                .key
                .filter(|_| wish.documentation)
                .map(|key| ByteString::from_static(key.doc)),
            ..Default::default()
        }
    }
}

fn is_sensitive(key: Option<&KeyDef>) -> bool {
    key.is_none_or(|key| key.kind == Kind::Password)
}

/// Numbers of `ConfigType`.
fn type_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}

/// The row that gives a broker key its type; a `listener.name.` key has that of the key it overrides.
fn broker_row(name: &str) -> Option<&'static KeyDef> {
    let exact =
        |name: &str| def::broker_key(name).or_else(|| DYNAMIC_ONLY.iter().find(|key| key.name == name));
    exact(name).or_else(|| broker_synonyms(name, true).iter().find_map(|name| def::broker_key(name)))
}

/// Where the value of a broker key could come from. Stronger synonyms that stand before `name` itself do not count.
fn places(
    config: &DynamicBrokerConfig,
    name: &str,
    synonyms: &[String],
    is_sensitive: bool,
) -> Vec<DescribeConfigsSynonym> {
    let mut places = Vec::new();
    let mut add = |name: &str, value: &str, source: i8| {
        places.push(DescribeConfigsSynonym {
            name: ByteString::from(name),
            value: (!is_sensitive).then(|| ByteString::from(value)),
            source,
            ..Default::default()
        });
    };
    for (scope, source) in
        [(Scope::Broker, source::DYNAMIC_BROKER), (Scope::Cluster, source::DYNAMIC_CLUSTER)]
    {
        for synonym in synonyms {
            if let Some(value) = config.settings(scope).get(synonym) {
                add(synonym, value, source);
            }
        }
    }
    for synonym in synonyms {
        if let Some(value) = config.file().originals().get(synonym) {
            add(synonym, value, source::FILE);
        }
    }
    for synonym in synonyms {
        if let Some(value) = def::broker_key(synonym).and_then(|key| key.default) {
            add(synonym, value, source::DEFAULT);
        }
    }
    places.into_iter().skip_while(|place| &*place.name != name).collect()
}

/// The configuration of a topic with these settings of its own.
pub fn topic(
    config: &DynamicBrokerConfig,
    settings: &Settings,
    wish: &Wish<'_>,
) -> Vec<DescribeConfigsResourceResult> {
    topic_entries(config, settings, wish).into_iter().map(|entry| entry.show(wish)).collect()
}

/// The configuration of a new topic, as CreateTopics answers it.
pub fn created_topic(config: &DynamicBrokerConfig, settings: &Settings) -> Vec<CreatableTopicConfigs> {
    let wish = Wish::default();
    let shown = topic(config, settings, &wish).into_iter().map(|entry| CreatableTopicConfigs {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.config_source,
        is_sensitive: entry.is_sensitive,
        ..Default::default()
    });
    shown.collect()
}

fn topic_entries<'a>(
    config: &DynamicBrokerConfig,
    settings: &'a Settings,
    wish: &Wish<'_>,
) -> Vec<Entry<'a>> {
    let defaults = TopicConfig::default_texts(config.current());
    let known = def::topic::TOPIC.iter().map(|row| row.key.name);
    let names: BTreeSet<&str> = known.chain(settings.keys().map(String::as_str)).collect();
    let entry = |name: &'a str| {
        let key = def::topic_key(name);
        let own = settings.get(name);
        let parsed = |text: &String| {
            key.and_then(|key| key.parse(text).ok()).map_or_else(|| text.clone(), |value| value.to_text())
        };
        let value = own.map(parsed).or_else(|| defaults.get(name).cloned());
        let synonyms: Vec<String> = topic_synonyms(name).iter().map(ToString::to_string).collect();
        let is_sensitive = is_sensitive(key);
        let mut all = match synonyms.first() {
            Some(first) => places(config, first, &synonyms, is_sensitive),
            None => Vec::new(),
        };
        if own.is_some() {
            let value = value.clone().filter(|_| !is_sensitive).map(ByteString::from);
            let name = ByteString::from(name);
            all.insert(
                0,
                DescribeConfigsSynonym { name, value, source: source::TOPIC, ..Default::default() },
            );
        }
        Entry { name, key, value, read_only: false, places: all }
    };
    names.into_iter().filter(|name| wish.wants(name)).map(entry).collect()
}

/// The configuration of this broker. As in Kafka, its internal keys show only once a dynamic setting was in force; keys
/// that Kafka does not have show if they are given.
pub fn broker(config: &DynamicBrokerConfig, wish: &Wish<'_>) -> Vec<DescribeConfigsResourceResult> {
    let current = config.current();
    let given: BTreeMap<&str, &str> = current.originals().iter().collect();
    let is_shown = |key: &&def::KeyDef| !key.is_own() && (config.has_changed() || !key.is_internal());
    let shown = def::broker_keys().filter(is_shown).map(|key| key.name);
    let names: BTreeSet<&str> = shown.chain(given.keys().copied()).collect();
    let entry = |name: &str| {
        let value = match def::broker_key(name) {
            Some(_) => current.value(name).map(Value::to_text),
            None => given.get(name).map(ToString::to_string),
        };
        broker_entry(config, name, value, Scope::Broker).show(wish)
    };
    names.into_iter().filter(|name| wish.wants(name)).map(entry).collect()
}

/// The settings that all brokers have as dynamic defaults.
pub fn cluster_default(config: &DynamicBrokerConfig, wish: &Wish<'_>) -> Vec<DescribeConfigsResourceResult> {
    let settings = config.settings(Scope::Cluster).iter().filter(|(name, _)| wish.wants(name));
    settings
        .map(|(name, value)| broker_entry(config, name, Some(value.clone()), Scope::Cluster).show(wish))
        .collect()
}

fn broker_entry<'a>(
    config: &DynamicBrokerConfig,
    name: &'a str,
    value: Option<String>,
    scope: Scope,
) -> Entry<'a> {
    let key = broker_row(name);
    let mut places = places(config, name, &broker_synonyms(name, true), is_sensitive(key));
    if scope == Scope::Cluster {
        places.retain(|place| place.source == source::DYNAMIC_CLUSTER);
    }
    let read_only = def::broker_key(name).is_none_or(|key| key.update == Update::ReadOnly);
    Entry { name, key, value, read_only, places }
}

/// Log levels.
pub fn loggers(levels: &BTreeMap<String, String>, wish: &Wish<'_>) -> Vec<DescribeConfigsResourceResult> {
    let shown = levels.iter().filter(|(name, _)| wish.wants(name)).map(|(name, level)| {
        DescribeConfigsResourceResult {
            name: ByteString::from(name.as_str()),
            value: Some(ByteString::from(level.as_str())),
            config_source: source::LOGGER,
            ..Default::default()
        }
    });
    shown.collect()
}

/// The settings of a resource, or why they are not shown.
pub type Described = Result<Vec<DescribeConfigsResourceResult>, AdminError>;
