//! `kafka-configs.sh` (`kafka.admin.ConfigCommand`): settings of topics, brokers, loggers, clients, users and
//! addresses, through a broker (`--bootstrap-server`) or in ZooKeeper itself (`--zookeeper`).
//!
//! Left out: passwords in broker settings that are stored by `--zookeeper`, since nothing here reads them.

mod changes;
mod entity;
mod quotas;
mod resources;
mod scram;
mod zookeeper;

use super::client::Admin;
use super::exception::Exception;
use super::options::Options;
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION, load_properties};
use crate::config::properties::Properties;
use entity::{BROKER, BROKER_LOGGER, CLIENT, IP, TOPIC, USER};
use std::net::ToSocketAddrs;

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-configs.sh.txt"),
        include_str!("../usage/2.8.2/kafka-configs.sh.txt"),
    );
    let done = match table.parse(args) {
        Ok(options) => act(&Command { options, shape: choice.shape }),
        Err(error) => Err(error.into()),
    };
    done.map_err(|stop| match stop {
        Stop::Uncaught(exception) => {
            if is_about_usage(&exception, choice.shape) {
                err_line!("{}", exception.message_or_null());
            } else {
                err_line!("Error while executing config command with args '{}'", args.join(" "));
                err_line!("{exception}");
            }
            Stop::Exit(1)
        }
        other => other,
    })
}

/// Exceptions of which the message alone is shown. What a broker throws is wrapped in another one.
fn is_about_usage(exception: &Exception, shape: Shape) -> bool {
    let class = exception.class.as_str();
    let arguments = ["java.lang.IllegalArgumentException", "java.lang.NumberFormatException"];
    class.starts_with("joptsimple.") || arguments.contains(&class) || class == invalid_config_class(shape)
}

fn invalid_config_class(shape: Shape) -> &'static str {
    match shape {
        Shape::V1_1_1 => "kafka.common.InvalidConfigException",
        Shape::V2_8_2 => "org.apache.kafka.common.errors.InvalidConfigurationException",
    }
}

/// A failed `require`.
fn requirement(message: impl std::fmt::Display) -> Exception {
    Exception::illegal_argument(format!("requirement failed: {message}"))
}

/// A command line that was read.
struct Command {
    options: Options,
    shape: Shape,
}

impl Command {
    fn has(&self, name: &str) -> bool {
        self.options.has(name)
    }

    /// "A key to be deleted is not there", and the like.
    fn invalid_config(&self, message: impl Into<String>) -> Exception {
        Exception::new(invalid_config_class(self.shape), message)
    }

    fn is_newer(&self) -> bool {
        self.shape == Shape::V2_8_2
    }
}

fn act(command: &Command) -> Outcome {
    let options = &command.options;
    if command.is_newer() {
        if options.is_empty() || options.has("help") {
            return Err(options.usage(
                "This tool helps to manipulate and describe entity config for a topic, client, user, broker or ip",
            ));
        }
        if options.has("version") {
            out_line!("{VERSION}");
            return Ok(());
        }
        check(command)?;
    } else {
        if options.is_empty() {
            return Err(options.usage("Add/Remove entity config for a topic, client, user or broker"));
        }
        check_1_1_1(command)?;
    }
    if let Some(servers) = options.value("zookeeper")? {
        if command.is_newer() {
            out_line!("Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.");
            out_line!("Use --bootstrap-server instead to specify a broker to connect to.");
        }
        return Ok(zookeeper::run(command, servers)?);
    }
    let properties = match options.value("command-config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    let mut admin = Admin::new(options.value("bootstrap-server")?.unwrap_or_default(), &properties)?;
    let (types, names) = (command.entity_types(), command.entity_names()?);
    if options.has("alter") && types.len() != names.len() {
        return Err(
            Exception::illegal_argument("An entity name must be specified for every entity type").into()
        );
    }
    let head = types.first().map_or("", String::as_str);
    match (head, options.has("alter")) {
        (TOPIC | BROKER | BROKER_LOGGER, true) => resources::alter(command, &mut admin, head, &names[0])?,
        (TOPIC | BROKER | BROKER_LOGGER, false) => {
            resources::describe(command, &mut admin, head, names.first().map(String::as_str))?;
        }
        (_, true) => quotas::alter(command, &mut admin, &types, &names)?,
        (_, false) => quotas::describe(&mut admin, &types, &names)?,
    }
    if options.has("alter") {
        say_altered(command, head, &names[0]);
    }
    Ok(())
}

fn say_altered(command: &Command, entity_type: &str, name: &str) {
    let singular = &entity_type[..entity_type.len() - 1];
    match (command.is_newer(), name.is_empty()) {
        (true, false) => out_line!("Completed updating config for {singular} {name}."),
        (true, true) => out_line!("Completed updating default config for {entity_type} in the cluster."),
        (false, false) => out_line!("Completed updating config for {singular}: {name}."),
        (false, true) => out_line!("Completed updating default config for {entity_type} in the cluster,"),
    }
}

/// One action, and nothing that does not go with it.
fn check_action(options: &Options, shape: Shape) -> Result<(), Stop> {
    if options.has("alter") == options.has("describe") {
        return Err(options.usage("Command must include exactly one action: --describe, --alter"));
    }
    options.check_invalid("describe", &["add-config", "delete-config"], shape)
}

fn check(command: &Command) -> Result<(), Stop> {
    let options = &command.options;
    check_action(options, command.shape)?;
    check_entity_types(command)?;
    let named = ["entity-name", "entity-type", "entity-default"].iter().any(|name| options.has(name));
    if named && entity::FLAGS.iter().any(|(flag, _)| options.has(flag)) {
        let message =
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags";
        return Err(Exception::illegal_argument(message).into());
    }
    let message = match (options.has("bootstrap-server"), options.has("zookeeper")) {
        (false, false) => "One of the required --bootstrap-server or --zookeeper arguments must be specified",
        (true, true) => "Only one of --bootstrap-server or --zookeeper must be specified",
        (false, true) if options.has("all") => "--bootstrap-server must be specified for --all",
        _ => "",
    };
    if !message.is_empty() {
        return Err(Exception::illegal_argument(message).into());
    }
    check_names(command)?;
    check_changes(command)
}

fn check_entity_types(command: &Command) -> Result<(), Stop> {
    let refuse = |message: String| Err(Exception::illegal_argument(message).into());
    let types = command.entity_types();
    let twice: Vec<&str> = types
        .iter()
        .enumerate()
        .filter(|(i, kind)| types[..*i].contains(kind))
        .map(|(_, kind)| kind.as_str())
        .collect();
    if !twice.is_empty() {
        return refuse(format!("Duplicate entity type(s) specified: {}", twice.join(",")));
    }
    let mut allowed = vec![TOPIC, CLIENT, USER, BROKER, IP];
    let mut with = "--zookeeper";
    if command.has("bootstrap-server") {
        allowed.push(BROKER_LOGGER);
        with = "--bootstrap-server";
    }
    if let Some(kind) = types.iter().find(|kind| !allowed.contains(&kind.as_str())) {
        let allowed = allowed.join(",");
        return refuse(format!(
            "Invalid entity type {kind}, the entity type must be one of {allowed} with the {with} argument"
        ));
    }
    if types.is_empty() {
        return refuse("At least one entity type must be specified".to_string());
    }
    if types.len() > 1 && !types.iter().all(|kind| [USER, CLIENT].contains(&kind.as_str())) {
        return refuse("Only 'users' and 'clients' entity types may be specified together".to_string());
    }
    Ok(())
}

fn check_names(command: &Command) -> Result<(), Stop> {
    let options = &command.options;
    let refuse = |message: String| Err(Exception::illegal_argument(message).into());
    let types = command.entity_types();
    let names = command.entity_names()?;
    let is = |kind: &str| types.iter().any(|given| given == kind);
    let has_name = names.iter().any(|name| !name.is_empty());
    let has_default = names.iter().any(String::is_empty);
    let given = |flags: &[&str]| {
        flags.iter().filter_map(|flag| options.value(flag).transpose()).collect::<Result<Vec<_>, _>>()
    };
    if has_name && (is(BROKER) || is(BROKER_LOGGER)) {
        for id in given(&["entity-name", "broker", "broker-logger"])? {
            if id.parse::<i32>().is_err() {
                let head = &types[0];
                return refuse(format!(
                    "The entity name for {head} must be a valid integer broker id, but it is: {id}"
                ));
            }
        }
    }
    if has_name && is(IP) {
        for host in given(&["entity-name", "ip"])? {
            if host != entity::DEFAULT && (host, 0).to_socket_addrs().is_err() {
                return refuse(format!(
                    "The entity name for {} must be a valid IP or resolvable host, but it is: {host}",
                    types[0]
                ));
            }
        }
    }
    let all = types.join(",");
    if options.has("describe") && is(BROKER_LOGGER) && !has_name {
        return refuse(format!("an entity name must be specified with --describe of {all}"));
    }
    if !options.has("alter") {
        return Ok(());
    }
    if [USER, CLIENT, BROKER, IP].iter().any(|kind| is(kind)) {
        if !has_name && !has_default {
            return refuse(
                "an entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
                    .to_string(),
            );
        }
    } else if !has_name {
        return refuse(format!("an entity name must be specified with --alter of {all}"));
    }
    Ok(())
}

fn check_changes(command: &Command) -> Result<(), Stop> {
    if !command.has("alter") {
        return Ok(());
    }
    let (add, file, delete) =
        (command.has("add-config"), command.has("add-config-file"), command.has("delete-config"));
    if add && file {
        let message = "Only one of --add-config or --add-config-file must be specified";
        return Err(Exception::illegal_argument(message).into());
    }
    if !add && !file && !delete {
        let message = "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter";
        return Err(Exception::illegal_argument(message).into());
    }
    Ok(())
}

fn check_1_1_1(command: &Command) -> Result<(), Stop> {
    let options = &command.options;
    let refuse = |message: String| Err(Exception::illegal_argument(message).into());
    check_action(options, command.shape)?;
    let types = command.entity_types();
    let is = |kind: &str| types.iter().any(|given| given == kind);
    if options.has("bootstrap-server") == options.has("zookeeper") {
        return refuse("Only one of --bootstrap-server or --zookeeper must be specified".to_string());
    }
    if is(CLIENT) || is(TOPIC) || is(USER) {
        options.check_required(&["zookeeper"])?;
    }
    if options.has("alter") {
        let names = command.entity_names()?;
        if is(USER) || is(CLIENT) || is(BROKER) {
            if names.is_empty() {
                return refuse(
                    "--entity-name or --entity-default must be specified with --alter of users, clients or brokers"
                        .to_string(),
                );
            }
        } else if names.iter().all(String::is_empty) {
            return refuse(format!(
                "--entity-name must be specified with --alter of Buffer({})",
                types.join(", ")
            ));
        }
        if !["add-config", "add-config-file", "delete-config"].iter().any(|name| options.has(name)) {
            return refuse(
                "At least one of --add-config or --delete-config must be specified with --alter".to_string(),
            );
        }
    }
    let known = [TOPIC, CLIENT, USER, BROKER, IP];
    if let Some(kind) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
        return refuse(format!(
            "Invalid entity-type {kind}, --entity-type must be one of List(topics, clients, users, brokers)"
        ));
    }
    if types.is_empty() {
        return refuse("At least one --entity-type must be specified".to_string());
    }
    if types.len() > 1 && !types.iter().all(|kind| [USER, CLIENT].contains(&kind.as_str())) {
        return refuse("Only 'users' and 'clients' entity types may be specified together".to_string());
    }
    if options.has("bootstrap-server") && command.entity_names()?.is_empty() {
        return refuse(
            "At least one of --entity-name or --entity-default must be specified with --bootstrap-server"
                .to_string(),
        );
    }
    Ok(())
}
