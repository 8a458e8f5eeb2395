//! `kafka-reassign-partitions.sh` (`kafka.admin.ReassignPartitionsCommand`): moves replicas between brokers, and
//! between the log directories of a broker, through a broker or, as older tools do, by a znode.

mod bootstrap;
mod log_dirs;
mod old;
mod plan;
mod throttles;
mod zookeeper;

use super::client::Admin;
use super::exception::Exception;
use super::options::Options;
use super::zookeeper::with_client;
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION, json, load_properties};
use crate::common::BrokerId;
use crate::config::properties::Properties;
use crate::zk::ZkError;
use crate::zk::replica_placement::BrokerRack;
use crate::zk::topic_admin::{self, TopicAdminError};
use plan::{Replicas, propose, show_generated};

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];

/// Why the command ends early.
enum Failure {
    /// Its message is all that is said.
    Terse(String),
    /// Message and stack.
    Thrown(Exception),
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Failure {
        Failure::Thrown(exception)
    }
}

impl From<ZkError> for Failure {
    fn from(error: ZkError) -> Failure {
        Failure::Thrown(error.into())
    }
}

impl From<TopicAdminError> for Failure {
    fn from(error: TopicAdminError) -> Failure {
        Failure::Thrown(error.into())
    }
}

/// The end of `--generate`: proposes an assignment to those `live` brokers that are `wanted`, and shows it.
fn propose_to(
    current: &Replicas,
    mut live: Vec<BrokerRack>,
    wanted: &[BrokerId],
    options: &Options,
) -> Result<(), Exception> {
    live.retain(|broker| wanted.contains(&broker.id));
    let racks = match options.has("disable-rack-aware") {
        true => topic_admin::without_racks(live),
        false => topic_admin::with_racks(live)?,
    };
    show_generated(current, &propose(current, &racks)?);
    Ok(())
}

fn failed(message: impl Into<String>) -> Exception {
    Exception::new("kafka.common.AdminCommandFailedException", message)
}

/// "s", but not after one.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-reassign-partitions.sh.txt"),
        include_str!("../usage/2.8.2/kafka-reassign-partitions.sh.txt"),
    );
    let options = table.parse(args)?;
    // The older tool knows neither --cancel nor --list.
    let is_older = choice.shape == Shape::V1_1_1 && !options.has("cancel") && !options.has("list");
    if is_older {
        old::check(&options)?;
        return old::run(&options);
    }
    check(&options)?;
    act(&options).map_err(|failure| {
        match failure {
            Failure::Terse(message) => out_line!("{message}"),
            Failure::Thrown(exception) => {
                out_line!("Error: {}", exception.message_or_null());
                out_line!("{exception}\n");
            }
        }
        Stop::Exit(1)
    })
}

/// What an action needs, and what else it takes.
fn arguments(action: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match action {
        "verify" => (
            &["reassignment-json-file"],
            &["bootstrap-server", "command-config", "preserve-throttles", "zookeeper"],
        ),
        "generate" => (
            &["topics-to-move-json-file", "broker-list"],
            &["bootstrap-server", "command-config", "disable-rack-aware", "zookeeper"],
        ),
        "execute" => (
            &["reassignment-json-file"],
            &[
                "additional",
                "bootstrap-server",
                "command-config",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "zookeeper",
            ],
        ),
        "cancel" => (
            &["reassignment-json-file"],
            &["bootstrap-server", "command-config", "preserve-throttles", "timeout"],
        ),
        _ => (&[], &["bootstrap-server", "command-config"]),
    }
}

fn check(options: &Options) -> Result<(), Stop> {
    if options.is_empty() || options.has("help") {
        return Err(options.usage("This tool helps to move topic partitions between replicas."));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Err(Stop::Exit(0));
    }
    let given: Vec<&str> = ACTIONS.into_iter().filter(|action| options.has(action)).collect();
    let [action] = given.as_slice() else {
        let actions = ACTIONS.map(|action| format!("--{action}")).join(", ");
        return Err(options.usage(format!("Command must include exactly one action: {actions}")));
    };
    if !options.has("zookeeper") && !options.has("bootstrap-server") {
        return Err(options.usage("Please specify --bootstrap-server"));
    }
    let (required, permitted) = arguments(action);
    options.check_required(required)?;
    for (name, _) in options.given() {
        if name != *action && !required.contains(&name) && !permitted.contains(&name) {
            let message = format!("Option \"[{name}]\" can't be used with action \"[{action}]\"");
            return Err(options.usage(message));
        }
    }
    let with_broker_only = ["additional", "command-config", "replica-alter-log-dirs-throttle", "timeout"];
    match with_broker_only.iter().find(|name| options.has(name) && !options.has("bootstrap-server")) {
        Some(name) => {
            let message = format!("You must specify --bootstrap-server when using \"[{name}]\"");
            Err(Exception::new("java.lang.RuntimeException", message).into())
        }
        None => Ok(()),
    }
}

fn act(options: &Options) -> Result<(), Failure> {
    let file = |option: &str| json::read_file(options.value(option)?.unwrap_or_default());
    if let Some(servers) = options.value("bootstrap-server")? {
        if options.has("zookeeper") {
            out_line!(
                "Warning: ignoring deprecated --zookeeper option because --bootstrap-server was specified.  The \
                 --zookeeper option will be removed in a future version of Kafka."
            );
        }
        let mut properties = match options.value("command-config")? {
            Some(file) => load_properties(file)?,
            None => Properties::new(),
        };
        if properties.get("client.id").is_none() {
            properties.set("client.id", "reassign-partitions-tool");
        }
        let mut admin = Admin::new(servers, &properties)?;
        if options.has("verify") {
            return bootstrap::verify(&mut admin, options, &file("reassignment-json-file")?);
        } else if options.has("generate") {
            return bootstrap::generate(&mut admin, options, &file("topics-to-move-json-file")?);
        } else if options.has("execute") {
            return bootstrap::execute(&mut admin, options, &file("reassignment-json-file")?);
        } else if options.has("cancel") {
            return bootstrap::cancel(&mut admin, options, &file("reassignment-json-file")?);
        }
        return bootstrap::list(&mut admin);
    }
    out_line!("Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.");
    let servers = options.value("zookeeper")?.unwrap_or_default();
    let text = match options.has("generate") {
        true => file("topics-to-move-json-file")?,
        false => file("reassignment-json-file")?,
    };
    with_client(servers, async |zk| {
        if options.has("verify") {
            zookeeper::verify(&zk, options, &text).await
        } else if options.has("generate") {
            zookeeper::generate(&zk, options, &text).await
        } else {
            zookeeper::execute(&zk, options, &text).await
        }
    })?
}
