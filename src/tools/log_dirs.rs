//! `kafka-log-dirs.sh` (`kafka.admin.LogDirsCommand`): what lies in the log directories of brokers, as JSON.

use super::client::Admin;
use super::exception::Exception;
use super::{Outcome, ShapeChoice, VERSION, load_properties};
use crate::common::{BrokerId, ErrorCode};
use crate::config::properties::Properties;
use crate::protocol::messages::describe_log_dirs::DescribeLogDirsResult;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let text = include_str!("usage/2.8.2/kafka-log-dirs.sh.txt");
    let options = ShapeChoice::of_environment(args).table(text, text).parse(args)?;
    if options.is_empty() || options.has("help") {
        return Err(options.usage("This tool helps to query log directory usage on the specified brokers."));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["bootstrap-server", "describe"])?;
    let mut properties = match options.value("command-config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    if properties.get("client.id").is_none() {
        properties.set("client.id", "log-dirs-tool");
    }
    let mut admin = Admin::new(options.value("bootstrap-server")?.unwrap_or_default(), &properties)?;
    let topics: Vec<&str> =
        options.value("topic-list")?.unwrap_or_default().split(',').filter(|t| !t.is_empty()).collect();
    let brokers = match options.value("broker-list")? {
        Some(list) => parse_ids(list)?,
        None => {
            admin.list_topics(true)?;
            admin.live_brokers()
        }
    };
    out_line!("Querying brokers for log directories information");
    let mut described = Vec::new();
    let mut seen = BTreeSet::new();
    for broker in brokers.iter().filter(|broker| seen.insert(**broker)) {
        let dirs = admin.describe_log_dirs(*broker, None)?;
        let dirs: Vec<Value> = dirs.iter().map(|dir| describe(dir, &topics)).collect();
        described.push(json!({ "broker": broker, "logDirs": dirs }));
    }
    let names: Vec<String> = brokers.iter().map(BrokerId::to_string).collect();
    out_line!("Received log directory information from brokers {}", names.join(","));
    out_line!("{}", json!({ "version": 1, "brokers": described }));
    Ok(())
}

fn parse_ids(list: &str) -> Result<Vec<BrokerId>, Exception> {
    let parse = |id: &str| {
        id.parse().map_err(|_| {
            Exception::new("java.lang.NumberFormatException", format!("For input string: \"{id}\""))
        })
    };
    list.split(',').filter(|id| !id.is_empty()).map(parse).collect()
}

fn describe(dir: &DescribeLogDirsResult, topics: &[&str]) -> Value {
    let mut partitions = Vec::new();
    for topic in dir.topics.iter().filter(|topic| topics.is_empty() || topics.contains(&&*topic.name)) {
        partitions.extend(topic.partitions.iter().map(|partition| {
            json!({
                "partition": format!("{}-{}", topic.name, partition.partition_index),
                "size": partition.partition_size,
                "offsetLag": partition.offset_lag,
                "isFuture": partition.is_future_key,
            })
        }));
    }
    let error = match ErrorCode::from_code(dir.error_code) {
        ErrorCode::None => Value::Null,
        code => Value::String(Exception::of_error(code, None).class),
    };
    json!({ "logDir": &*dir.log_dir, "error": error, "partitions": partitions })
}
