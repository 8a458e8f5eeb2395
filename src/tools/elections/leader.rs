//! `kafka-leader-election.sh`

use super::{Words, elect, parse};
use crate::common::TopicPartition;
use crate::config::properties::Properties;
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::options::Options;
use crate::tools::{Outcome, ShapeChoice, Stop, VERSION, json, load_properties};

/// `default.api.timeout.ms` of this tool, and its `request.timeout.ms`.
const TIMEOUTS_MS: (&str, &str) = ("30000", "15000");

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let text = include_str!("../usage/2.8.2/kafka-leader-election.sh.txt");
    let options = ShapeChoice::of_environment(args).table(text, text).parse(args)?;
    if options.is_empty() || options.has("help") {
        return Err(options.usage(
            "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported \
             are preferred replicas and unclean replicas.",
        ));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    check(&options)?;
    let (number, words) = election_type(options.value("election-type")?.unwrap_or_default())?;
    let partitions = partitions(&options)?;
    let mut properties = match options.value("admin.config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    properties.set("default.api.timeout.ms", TIMEOUTS_MS.0);
    properties.set("request.timeout.ms", TIMEOUTS_MS.1);
    let mut admin = Admin::new(options.value("bootstrap-server")?.unwrap_or_default(), &properties)?;
    Ok(elect(&mut admin, number, partitions.as_deref(), &words)?)
}

/// Number and words of a type.
fn election_type(name: &str) -> Result<(i8, Words), Exception> {
    let words =
        |succeeded, failed| Words { succeeded, failed, already: "Valid replica", replicas: "replica(s) " };
    match name {
        name if name.eq_ignore_ascii_case("preferred") => Ok((
            0,
            words(
                "Successfully completed leader election (PREFERRED)",
                "Error completing leader election (PREFERRED)",
            ),
        )),
        name if name.eq_ignore_ascii_case("unclean") => Ok((
            1,
            words(
                "Successfully completed leader election (UNCLEAN)",
                "Error completing leader election (UNCLEAN)",
            ),
        )),
        other => Err(Exception::new(
            "joptsimple.OptionArgumentConversionException",
            format!("Cannot parse argument '{other}' of option election-type"),
        )),
    }
}

fn check(options: &Options) -> Result<(), Stop> {
    let refuse = |message: String| {
        Err(Stop::Uncaught(Exception::new("kafka.common.AdminCommandFailedException", message)))
    };
    let required = ["election-type", "bootstrap-server"];
    let missing: Vec<&str> = required.into_iter().filter(|name| !options.has(name)).collect();
    if !missing.is_empty() {
        return refuse(format!("Missing required option(s): {}", missing.join(", ")));
    }
    let which = ["topic", "all-topic-partitions", "path-to-json-file"];
    if which.iter().filter(|name| options.has(name)).count() != 1 {
        return refuse(format!(
            "One and only one of the following options is required: {}",
            which.join(", ")
        ));
    }
    match (options.has("topic"), options.has("partition")) {
        (true, false) => refuse("Missing required option(s): partition".to_string()),
        (false, true) => refuse("Option partition is only allowed if topic is used".to_string()),
        _ => Ok(()),
    }
}

/// The partitions that are meant; `None`: all.
fn partitions(options: &Options) -> Result<Option<Vec<TopicPartition>>, Exception> {
    if let Some(path) = options.value("path-to-json-file")? {
        let text = json::read_file(path)?;
        return parse(&text, "Replica election data", "missing \"partitions\" field").map(Some);
    }
    match (options.value("topic")?, options.number::<i32>("partition")?) {
        (Some(topic), Some(partition)) => Ok(Some(vec![TopicPartition::new(topic.to_string(), partition)])),
        _ => Ok(None),
    }
}
