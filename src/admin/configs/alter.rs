//! Edits of settings. Source: Kafka 2.8.2, `ZkAdminManager.incrementalAlterConfigs`.

use super::super::AdminError;
use super::ResourceType;
use crate::common::ErrorCode;
use crate::config::def::{self, KeyDef, Kind};
use crate::config::{ConfigError, Exception, Settings};
use std::collections::BTreeMap;

/// What is done to a key: `AlterConfigOp.OpType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// 0: gives it a value.
    Set,
    /// 1: takes its value away.
    Delete,
    /// 2: adds to a list.
    Append,
    /// 3: takes from a list.
    Subtract,
}

impl Op {
    /// The operation of a number.
    pub fn parse(number: i8) -> Option<Op> {
        match number {
            0 => Some(Op::Set),
            1 => Some(Op::Delete),
            2 => Some(Op::Append),
            3 => Some(Op::Subtract),
            _ => None,
        }
    }

    fn name(op: Option<Op>) -> &'static str {
        match op {
            Some(Op::Set) => "SET",
            Some(Op::Delete) => "DELETE",
            Some(Op::Append) => "APPEND",
            Some(Op::Subtract) => "SUBTRACT",
            None => "null",
        }
    }
}

/// One edit; `op` is `None` for a number that nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edit<'a> {
    /// The key.
    pub name: &'a str,
    /// What to do.
    pub op: Option<Op>,
    /// The value.
    pub value: Option<&'a str>,
}

/// Checks that need no key's row: no key twice, no null but to delete.
pub fn validate_edits(edits: &[Edit<'_>]) -> Result<(), AdminError> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for edit in edits {
        *counts.entry(edit.name).or_default() += 1;
    }
    let twice: Vec<&str> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    if !twice.is_empty() {
        let names = twice.join(",");
        return Err(AdminError::invalid_request(format!("Error due to duplicate config keys : {names}")));
    }
    let is_null = |edit: &&Edit<'_>| edit.value.is_none() && edit.op != Some(Op::Delete);
    let nulls = edits.iter().filter(is_null).map(|edit| format!("{}:{}", Op::name(edit.op), edit.name));
    let nulls: Vec<String> = nulls.collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(AdminError::invalid_request(format!("Null value not supported for : {}", nulls.join(","))))
}

/// The settings after the edits.
pub fn apply_edits(
    resource: ResourceType,
    edits: &[Edit<'_>],
    mut settings: Settings,
) -> Result<Settings, AdminError> {
    for edit in edits {
        let name = edit.name.to_string();
        match (edit.op, edit.value) {
            (Some(Op::Delete), _) => drop(settings.remove(edit.name)),
            (Some(Op::Set), Some(value)) => drop(settings.insert(name, value.to_string())),
            (Some(op @ (Op::Append | Op::Subtract)), Some(value)) => {
                let key = list_key(resource, edit.name, op)?;
                let old = settings.get(edit.name).map(String::as_str).or(key.default).unwrap_or_default();
                let list = edited_list(op, old, value);
                settings.insert(name, list);
            }
            // Kafka does not expect an operation that it does not know.
            _ => return Err(ErrorCode::UnknownServerError.into()),
        }
    }
    Ok(settings)
}

fn list_key(resource: ResourceType, name: &str, op: Op) -> Result<&'static KeyDef, AdminError> {
    let key = match resource {
        ResourceType::Topic => def::topic_key(name),
        ResourceType::Broker | ResourceType::BrokerLogger => def::broker_key(name),
    };
    // Kafka does not expect a key without a row here.
    let key = key.ok_or(ErrorCode::UnknownServerError)?;
    if key.kind == Kind::List {
        return Ok(key);
    }
    let verb = if op == Op::Append { "append" } else { "subtract" };
    let message = format!("Config value {verb} is not allowed for config key: {name}");
    Err(AdminError::invalid_request(message))
}

/// Kafka keeps the empty item that an empty list splits into; here it goes.
fn edited_list(op: Op, old: &str, change: &str) -> String {
    let items = |text: &str| -> Vec<String> {
        text.split(',').filter(|item| !item.is_empty()).map(str::to_string).collect()
    };
    let mut list = items(old);
    for item in items(change) {
        if op == Op::Append {
            list.push(item);
        } else if let Some(at) = list.iter().position(|other| *other == item) {
            list.remove(at);
        }
    }
    list.join(",")
}

/// In the order of Kafka's message.
const LEVELS: [&str; 6] = ["TRACE", "ERROR", "INFO", "FATAL", "DEBUG", "WARN"];

/// The logger above all.
pub const ROOT_LOGGER: &str = "root";

/// Checks edits of log levels. A refused value is a [`ConfigError`], another refusal an [`AdminError`].
pub fn validate_logger_edits(
    edits: &[Edit<'_>],
    levels: &BTreeMap<String, String>,
) -> Result<Result<(), ConfigError>, AdminError> {
    let config = |message: String| Ok(Err(ConfigError::new(Exception::Config, None, message)));
    for edit in edits {
        let name = edit.name;
        let exists = levels.contains_key(name);
        match (edit.op, edit.value) {
            (Some(Op::Set | Op::Delete), _) if !exists => {
                return config(format!("Logger {name} does not exist!"));
            }
            (Some(Op::Set), Some(level)) if !LEVELS.contains(&level) => {
                return config(format!(
                    "Cannot set the log level of {name} to {level} as it is not a supported log level. Valid log \
                     levels are {}",
                    LEVELS.join(", ")
                ));
            }
            (Some(Op::Delete), _) if name == ROOT_LOGGER => {
                let message = format!("Removing the log level of the {ROOT_LOGGER} logger is not allowed");
                return Err(AdminError::invalid_request(message));
            }
            (op @ Some(Op::Append | Op::Subtract), _) => {
                let op = Op::name(op);
                let message = format!("{op} operation is not allowed for the BROKER_LOGGER resource");
                return Err(AdminError::invalid_request(message));
            }
            (None, _) => return Err(ErrorCode::UnknownServerError.into()),
            _ => {}
        }
    }
    Ok(Ok(()))
}
