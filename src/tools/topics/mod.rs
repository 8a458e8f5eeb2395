//! `kafka-topics.sh` (`kafka.admin.TopicCommand`): creates, lists, describes, alters and deletes topics,
//! through a broker (`--bootstrap-server`) or in ZooKeeper itself (`--zookeeper`).

mod bootstrap;
mod description;
mod request;
mod zookeeper;

use super::exception::Exception;
use super::options::Options;
use super::output::{Level, log};
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION};
use crate::config::ConfigError;
use crate::config::def::topic_key;
use crate::config::validate_topic_overrides;
use request::Request;

const LOGGER: &str = "kafka.admin.TopicCommand$";
const ACTIONS: [&str; 5] = ["list", "describe", "create", "alter", "delete"];
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-topics.sh.txt"),
        include_str!("../usage/2.8.2/kafka-topics.sh.txt"),
    );
    let options = table.parse(args)?;
    check(&options, choice)?;
    let request = Request { options, shape: choice.shape };
    let done = match request.options.value("zookeeper")? {
        Some(_) => zookeeper::run(&request),
        None => bootstrap::run(&request),
    };
    done.map_err(|failure| match failure {
        Failure::Start(exception) => Stop::Uncaught(exception),
        Failure::Run(exception) => {
            out_line!("Error while executing topic command : {}", exception.message_or_null());
            log(Level::Error, &format!("{exception}\n"), LOGGER);
            Stop::Exit(1)
        }
    })
}

/// Where the command failed: before it had a connection, or after.
enum Failure {
    Start(Exception),
    Run(Exception),
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Failure {
        Failure::Run(exception)
    }
}

/// The names of `all` without those of `except`.
fn without<'a>(all: &[&'a str], except: &[&str]) -> Vec<&'a str> {
    all.iter().filter(|name| !except.contains(name)).copied().collect()
}

fn check(options: &Options, choice: ShapeChoice) -> Result<(), Stop> {
    if options.is_empty() {
        return Err(options.usage("Create, delete, describe, or change a topic."));
    }
    let is_newer = choice.shape == Shape::V2_8_2;
    // 1.1.1 has a --help that it never looks at.
    if is_newer && options.has("help") {
        return Err(options.usage("This tool helps to create, delete, describe, or change a topic."));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Err(Stop::Exit(0));
    }
    if ACTIONS.iter().filter(|action| options.has(action)).count() != 1 {
        let actions =
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
        return Err(options.usage(actions));
    }
    if is_newer && options.has("bootstrap-server") == options.has("zookeeper") {
        let message = "Only one of --bootstrap-server or --zookeeper must be specified";
        return Err(Exception::illegal_argument(message).into());
    }
    if !is_newer {
        options.check_required(&["zookeeper"])?;
        options.check_invalid("zookeeper", &["bootstrap-server"], choice.shape)?;
    }
    check_required(options, is_newer)?;
    check_combinations(options, choice.shape)
}

fn check_required(options: &Options, is_newer: bool) -> Result<(), Stop> {
    let has_topic_filter_only = options.has("list") || options.has("describe");
    if !has_topic_filter_only || (is_newer && options.has("describe") && options.has("if-exists")) {
        options.check_required(&["topic"])?;
    }
    if options.has("create") && !options.has("replica-assignment") && options.has("zookeeper") {
        options.check_required(&["partitions", "replication-factor"])?;
    }
    if options.has("bootstrap-server") && options.has("alter") {
        if options.has("config") {
            return Err(options.usage(
                "Option combination \"[bootstrap-server],[config]\" can't be used with option \"[alter]\" (the \
                 kafka-configs CLI supports altering topic configs with a --bootstrap-server option)",
            ));
        }
        options.check_required(&["partitions"])?;
    }
    Ok(())
}

fn check_combinations(options: &Options, shape: Shape) -> Result<(), Stop> {
    let actions_but = |kept: &[&str]| without(&["alter", "create", "describe", "list", "delete"], kept);
    let check = |used: &str, invalid: &[&str]| options.check_invalid(used, invalid, shape);
    check("config", &actions_but(&["alter", "create"]))?;
    check("delete-config", &[actions_but(&["alter"]), vec!["bootstrap-server"]].concat())?;
    check("partitions", &actions_but(&["alter", "create"]))?;
    check("replication-factor", &actions_but(&["create"]))?;
    check("replica-assignment", &actions_but(&["create", "alter"]))?;
    if options.has("create") {
        check("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        let mut invalid = actions_but(&["describe"]);
        invalid.extend(without(&REPORTS, &[report]));
        invalid.push("topics-with-overrides");
        if report.contains("min-isr") {
            invalid.push("zookeeper");
        }
        check(report, &invalid)?;
    }
    check("topics-with-overrides", &[actions_but(&["describe"]), REPORTS.to_vec()].concat())?;
    let with_if_exists: &[&str] = match shape {
        Shape::V1_1_1 => &["alter", "delete"],
        Shape::V2_8_2 => &["alter", "delete", "describe"],
    };
    check("if-exists", &actions_but(with_if_exists))?;
    check("if-not-exists", &actions_but(&["create"]))?;
    check("exclude-internal", &actions_but(&["list", "describe"]))
}

/// Refuses unknown topic configurations and bad values of known ones.
fn check_configs(configs: &[(String, String)]) -> Result<(), Exception> {
    validate_topic_overrides(configs.iter().map(|(k, v)| (k.as_str(), v.as_str()))).map_err(config_exception)
}

/// Refuses names that are no topic configurations.
fn check_config_names(names: &[&str]) -> Result<(), Exception> {
    match names.iter().find(|name| topic_key(name).is_none()) {
        Some(name) => {
            Err(Exception::api("InvalidConfigurationException", format!("Unknown topic config name: {name}")))
        }
        None => Ok(()),
    }
}

fn config_exception(error: ConfigError) -> Exception {
    Exception::new(error.exception.class_name(), error.message)
}
