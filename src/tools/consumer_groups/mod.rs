//! `kafka-consumer-groups.sh` (`kafka.admin.ConsumerGroupCommand`): lists, describes, resets and deletes groups,
//! through a broker (`--bootstrap-server`), or those of the old consumers in ZooKeeper (`--zookeeper`).

mod csv;
mod describe;
mod groups;
mod reset;
mod times;
mod zookeeper;

use super::client::Admin;
use super::exception::Exception;
use super::options::Options;
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION, load_properties, output};
use crate::config::Properties;
use bytestring::ByteString;

const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];
/// Reset scenarios, in the order in which the tool checks them against each other.
const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];
/// The same in the order of Scala's hash set, which messages show.
const SCENARIOS_HASHED: [&str; 8] = [
    "by-duration",
    "to-offset",
    "from-file",
    "to-datetime",
    "to-earliest",
    "to-current",
    "shift-by",
    "to-latest",
];
/// What is to be described.
const ASPECTS: [&str; 3] = ["members", "offsets", "state"];
/// `--timeout`
const TIMEOUT_MS: i64 = 5_000;

/// A checked command line.
struct Request {
    options: Options,
    shape: Shape,
}

impl Request {
    fn has(&self, name: &str) -> bool {
        self.options.has(name)
    }

    fn usage(&self, message: impl Into<String>) -> Stop {
        self.options.usage(message)
    }

    /// The groups of `--group`, or all of them.
    fn groups(&self, admin: &mut Admin) -> Result<Vec<ByteString>, Stop> {
        if !self.has("all-groups") {
            return Ok(self.options.values("group").into_iter().map(ByteString::from).collect());
        }
        let listed = admin.list_groups(&[]).map_err(|cause| self.failed(cause))?;
        Ok(listed.into_iter().map(|group| group.id).collect())
    }

    /// What the admin client's future of 2.8.2 throws for a cause; 1.1.1 has no futures.
    fn failed(&self, cause: Exception) -> Stop {
        Stop::Uncaught(match self.shape {
            Shape::V1_1_1 => cause,
            Shape::V2_8_2 => execution_exception(cause),
        })
    }

    /// Says on stdout what went wrong; scripts look for it there.
    fn say_error(&self, message: &str) {
        match self.shape {
            Shape::V1_1_1 => out_line!("Error: {message}"),
            Shape::V2_8_2 => out_line!("\nError: {message}"),
        }
    }

    fn properties(&self) -> Result<Properties, Exception> {
        match self.options.value("command-config")? {
            Some(file) => load_properties(file),
            None => Ok(Properties::new()),
        }
    }
}

/// `java.util.concurrent.ExecutionException`, whose message is its cause.
fn execution_exception(cause: Exception) -> Exception {
    Exception::new("java.util.concurrent.ExecutionException", cause.first_line()).caused_by(cause)
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-consumer-groups.sh.txt"),
        include_str!("../usage/2.8.2/kafka-consumer-groups.sh.txt"),
    );
    let shape = choice.shape;
    if shape == Shape::V1_1_1 && args.is_empty() {
        return Err(table.usage(
            "List all consumer groups, describe a consumer group, delete consumer group info, or reset consumer \
             group offsets.",
        ));
    }
    let options = table.parse(args)?;
    let request = Request { options, shape };
    check_availability(&request)?;
    match shape {
        Shape::V1_1_1 => check_1_1_1(&request)?,
        Shape::V2_8_2 => check_2_8_2(&request)?,
    }
    let done = match request.options.value("zookeeper")? {
        Some(connect) => zookeeper::run(&request, connect),
        None => {
            let bootstrap = request.options.value("bootstrap-server")?.unwrap_or_default();
            let properties = request.properties()?;
            let admin = match shape {
                Shape::V1_1_1 => Admin::of_1_1_1(bootstrap, &properties)?,
                Shape::V2_8_2 => Admin::new(bootstrap, &properties)?,
            };
            act(&request, admin)
        }
    };
    match done {
        Err(Stop::Uncaught(exception)) => say_failure(&request, exception),
        done => done,
    }
}

/// What ends the command in the middle of its work; the exit code is 0 all the same.
fn say_failure(request: &Request, exception: Exception) -> Outcome {
    let is_argument = ["java.lang.IllegalArgumentException", "java.lang.NumberFormatException"]
        .contains(&exception.class.as_str());
    if is_argument && request.shape == Shape::V2_8_2 {
        return Err(request.usage(exception.message_or_null()));
    }
    let message = exception.message_or_null();
    request.say_error(&format!("Executing consumer group command failed due to {message}"));
    if request.shape == Shape::V2_8_2 {
        output::flush();
        err_line!("{exception}");
    }
    Ok(())
}

fn act(request: &Request, mut admin: Admin) -> Outcome {
    admin.set_timeout_ms(request.options.number("timeout")?.unwrap_or(TIMEOUT_MS));
    let admin = &mut admin;
    if request.has("list") {
        groups::list(request, admin)
    } else if request.has("describe") {
        describe::run(request, admin)
    } else if request.has("delete") {
        groups::delete(request, admin)
    } else if request.has("reset-offsets") {
        reset::run(request, admin)
    } else {
        groups::delete_offsets(request, admin)
    }
}

/// jopt-simple's `availableIf`.
fn check_availability(request: &Request) -> Result<(), Stop> {
    let is_described = request.has("describe");
    let is_listed = request.has("list") && request.shape == Shape::V2_8_2;
    let is_old = request.has("zookeeper");
    for name in ["members", "verbose", "offsets", "state"] {
        let is_available = (is_described && !is_old) || (name == "state" && is_listed);
        if request.has(name) && !is_available {
            return Err(unavailable(&[name]));
        }
    }
    let given: Vec<&str> = ASPECTS.into_iter().filter(|name| request.has(name)).collect();
    if request.shape == Shape::V1_1_1 && given.len() > 1 {
        return Err(unavailable(&given));
    }
    Ok(())
}

fn unavailable(names: &[&str]) -> Stop {
    let message =
        format!("Option(s) [{}] are unavailable given other options on the command line", names.join(", "));
    Exception::new("joptsimple.UnavailableOptionException", message).into()
}

fn one_action(request: &Request, actions: &[&str]) -> Result<(), Stop> {
    if actions.iter().filter(|action| request.has(action)).count() == 1 {
        return Ok(());
    }
    let list: Vec<String> = actions.iter().map(|action| format!("--{action}")).collect();
    Err(request.usage(format!("Command must include exactly one action: {}", list.join(", "))))
}

fn check_2_8_2(request: &Request) -> Result<(), Stop> {
    let options = &request.options;
    options.check_required(&["bootstrap-server"])?;
    let has_scope = request.has("group") || request.has("all-groups");
    let takes_scope = |action: &str| {
        request.usage(format!("Option [{action}] takes one of these options: [group], [all-groups]"))
    };
    if request.has("describe") {
        if !has_scope {
            return Err(takes_scope("describe"));
        }
        if ASPECTS.iter().filter(|aspect| request.has(aspect)).count() > 1 {
            let message =
                "Option [describe] takes at most one of these options: [members], [offsets], [state]";
            return Err(request.usage(message));
        }
        if options.value("state")?.is_some() {
            return Err(request.usage("Option [describe] does not take a value for [state]"));
        }
    }
    if request.has("delete") {
        if !has_scope {
            return Err(takes_scope("delete"));
        }
        if request.has("topic") {
            return Err(request.usage(
                "The consumer does not support topic-specific offset deletion from a consumer group.",
            ));
        }
    }
    if request.has("delete-offsets") && !(request.has("group") && request.has("topic")) {
        return Err(request.usage("Option [delete-offsets] takes the following options: [group], [topic]"));
    }
    if request.has("reset-offsets") {
        check_execution(request)?;
        if !has_scope {
            return Err(takes_scope("reset-offsets"));
        }
        check_scenarios(request)?;
    }
    options.check_invalid("group", &["all-groups"], request.shape)?;
    options.check_invalid("group", &["list"], request.shape)?;
    options.check_invalid("topic", &["list", "describe"], request.shape)?;
    if options.is_empty() || request.has("help") {
        return Err(request.usage(
            "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or \
             reset consumer group offsets.",
        ));
    }
    if request.has("version") {
        out_line!("{VERSION}");
        return Err(Stop::Exit(0));
    }
    one_action(request, &ACTIONS)
}

fn check_1_1_1(request: &Request) -> Result<(), Stop> {
    let options = &request.options;
    one_action(request, &ACTIONS[..4])?;
    if request.has("zookeeper") {
        for other in ["bootstrap-server", "new-consumer"] {
            if request.has(other) {
                return Err(request.usage(format!("Option [{other}] is not valid with [zookeeper].")));
            }
        }
    } else {
        options.check_required(&["bootstrap-server"])?;
        if request.has("new-consumer") {
            err_line!(
                "The [new-consumer] option is deprecated and will be removed in a future major release.The new \
                 consumer is used by default if the [bootstrap-server] option is provided."
            );
        }
        if request.has("delete") && request.has("topic") {
            return Err(request.usage(
                "When deleting a consumer group the option [topic] is only valid with [zookeeper]. The new consumer \
                 does not support topic-specific offset deletion from a consumer group.",
            ));
        }
    }
    if request.has("describe") {
        options.check_required(&["group"])?;
    }
    if request.has("delete") && !request.has("group") && !request.has("topic") {
        return Err(request.usage("Option [delete] either takes [group], [topic], or both"));
    }
    if request.has("reset-offsets") {
        check_execution(request)?;
        options.check_required(&["group"])?;
        check_scenarios(request)?;
    }
    options.check_invalid("group", &["list"], request.shape)?;
    options.check_invalid("topic", &["list", "describe"], request.shape)?;
    let kind = match request.has("zookeeper") {
        true => {
            "only show information about consumers that use ZooKeeper (not those using the Java consumer API)"
        }
        false => "not show information about old Zookeeper-based consumers",
    };
    err_line!("Note: This will {kind}.");
    Ok(())
}

/// `--dry-run` or `--execute`; without either one a warning.
fn check_execution(request: &Request) -> Result<(), Stop> {
    let (dry_run, execute) = (request.has("dry-run"), request.has("execute"));
    if dry_run && execute {
        return Err(request.usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]"));
    }
    if !dry_run && !execute {
        let start = match request.shape {
            Shape::V1_1_1 => "",
            Shape::V2_8_2 => "No action will be performed as the --execute option is missing.",
        };
        err_line!(
            "WARN: {start}In a future major release, the default behavior of this command will be to prompt the user \
             before executing the reset rather than doing a dry run. You should add the --dry-run option explicitly \
             if you are scripting this command and want to keep the current default behavior without prompting."
        );
    }
    Ok(())
}

fn check_scenarios(request: &Request) -> Result<(), Stop> {
    for scenario in SCENARIOS {
        let others: Vec<&str> = SCENARIOS_HASHED.into_iter().filter(|other| *other != scenario).collect();
        request.options.check_invalid(scenario, &others, request.shape)?;
    }
    Ok(())
}
