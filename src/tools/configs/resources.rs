//! Settings of topics, brokers and loggers through a broker.

use super::Command;
use super::entity::{BROKER, BROKER_LOGGER, TOPIC};
use crate::common::topic_name;
use crate::protocol::messages::describe_configs::DescribeConfigsResourceResult;
use crate::tools::client::Admin;
use crate::tools::client::admin_configs::{Resource, ResourceKind};
use crate::tools::exception::Exception;
use crate::tools::java::{hash_map_order, string_hash};

/// Names of `ConfigSource` by number.
const SOURCES: [&str; 7] = [
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
];
const DYNAMIC_TOPIC: i8 = 1;
const DYNAMIC_BROKER: i8 = 2;
const DYNAMIC_DEFAULT: i8 = 3;

fn source(number: i8) -> &'static str {
    usize::try_from(number).ok().and_then(|number| SOURCES.get(number)).copied().unwrap_or(SOURCES[0])
}

/// The settings of an entity: all, or those that were changed for it.
fn configs(
    admin: &mut Admin,
    kind: &str,
    name: &str,
    synonyms: bool,
    all: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Exception> {
    let is_number = || match name.parse::<i32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Exception::illegal_argument(format!(
            "The entity name for {kind} must be a valid integer broker id, found: {name}"
        ))),
    };
    let own_source = match kind {
        TOPIC => {
            if !name.is_empty() {
                topic_name::validate(name)
                    .map_err(|why| Exception::api("InvalidTopicException", why.to_string()))?;
            }
            Some(DYNAMIC_TOPIC)
        }
        BROKER if name.is_empty() => Some(DYNAMIC_DEFAULT),
        BROKER => is_number().map(|()| Some(DYNAMIC_BROKER))?,
        _ => is_number().map(|()| None)?,
    };
    let mut found = admin.describe_config(&resource(kind, name), synonyms)?;
    // Java keeps them in a map of the default size.
    found = hash_map_order(found, None, |config| string_hash(&config.name));
    found.retain(|config| all || own_source.is_none_or(|source| config.config_source == source));
    Ok(found)
}

fn resource<'a>(kind: &str, name: &'a str) -> Resource<'a> {
    let kind = match kind {
        TOPIC => ResourceKind::Topic,
        BROKER_LOGGER => ResourceKind::BrokerLogger,
        _ => ResourceKind::Broker,
    };
    Resource { kind, name }
}

/// `--describe`.
pub fn describe(
    command: &Command,
    admin: &mut Admin,
    kind: &str,
    name: Option<&str>,
) -> Result<(), Exception> {
    let all = command.has("all");
    let names = match (name, kind) {
        (Some(name), _) => vec![name.to_string()],
        (None, TOPIC) => {
            let topics = admin.list_topics(true)?.iter().map(ToString::to_string).collect();
            hash_map_order(topics, None, |name: &String| string_hash(name))
        }
        (None, _) => {
            admin.list_topics(true)?;
            let ids = admin.live_brokers().into_iter().map(|id| id.to_string());
            ids.chain([String::new()]).collect()
        }
    };
    for name in names {
        let singular = &kind[..kind.len() - 1];
        match (command.is_newer(), name.is_empty()) {
            (true, true) => out_line!("Default configs for {kind} in the cluster are:"),
            (true, false) => {
                let which = if all { "All" } else { "Dynamic" };
                out_line!("{which} configs for {singular} {name} are:");
            }
            (false, true) => out_line!("Default config for {kind} in the cluster are:"),
            (false, false) => out_line!("Configs for {singular} {name} are:"),
        }
        for config in configs(admin, kind, &name, true, all)? {
            show(&config);
        }
    }
    Ok(())
}

fn show(config: &DescribeConfigsResourceResult) {
    let text = |value: Option<&str>| value.unwrap_or("null").to_string();
    let synonyms: Vec<String> = config
        .synonyms
        .iter()
        .map(|s| format!("{}:{}={}", source(s.source), s.name, text(s.value.as_deref())))
        .collect();
    out_line!(
        "  {}={} sensitive={} synonyms={{{}}}",
        config.name,
        text(config.value.as_deref()),
        config.is_sensitive,
        synonyms.join(", ")
    );
}

/// `--alter`.
pub fn alter(command: &Command, admin: &mut Admin, kind: &str, name: &str) -> Result<(), Exception> {
    let (added, deleted) = (command.added()?, command.deleted());
    let old = configs(admin, kind, name, kind == BROKER_LOGGER, false)?;
    let is_there = |key: &str| old.iter().any(|config| &*config.name == key);
    let mut missing: Vec<&str> = deleted.iter().map(String::as_str).filter(|key| !is_there(key)).collect();
    if kind == BROKER_LOGGER {
        missing.extend(added.iter().map(|(key, _)| key.as_str()).filter(|key| !is_there(key)));
    }
    if !missing.is_empty() {
        let what = if kind == BROKER_LOGGER { "broker logger(s)" } else { "config(s)" };
        return Err(command.invalid_config(format!("Invalid {what}: {}", missing.join(","))));
    }
    if kind == BROKER {
        return replace_broker_settings(command, admin, name, &old);
    }
    let sets = added.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
    let edits: Vec<(&str, Option<&str>)> =
        sets.chain(deleted.iter().map(|key| (key.as_str(), None))).collect();
    admin.edit_config(&resource(kind, name), &edits)
}

/// Brokers before 2.3 have no edits, so the tool sends all settings; it cannot know those that are hidden.
fn replace_broker_settings(
    command: &Command,
    admin: &mut Admin,
    name: &str,
    old: &[DescribeConfigsResourceResult],
) -> Result<(), Exception> {
    let mut entries: Vec<(String, Option<String>)> =
        old.iter().map(|c| (c.name.to_string(), c.value.as_ref().map(ToString::to_string))).collect();
    for (key, value) in command.added()? {
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = Some(value),
            None => entries.push((key, Some(value))),
        }
    }
    let deleted = command.deleted();
    entries.retain(|(key, _)| !deleted.contains(key));
    let hidden: Vec<&str> =
        entries.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()).collect();
    if !hidden.is_empty() {
        return Err(command.invalid_config(format!(
            "All sensitive broker config entries must be specified for --alter, missing entries: Set({})",
            hidden.join(", ")
        )));
    }
    let settings: Vec<(String, String)> =
        entries.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
    admin.replace_config(&resource(BROKER, name), &settings)
}
