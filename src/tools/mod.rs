//! The command line tools, one binary for all of them: `kafka-tools NAME args…`, where NAME is one of
//! Kafka's class names. `bin/*.sh` carry the names people type.
//!
//! A tool is a function from its words to how it ended. It sees floors 0 to 2 only: what it knows of a
//! cluster it asks for, over the wire or from ZooKeeper.

#[macro_use]
pub mod output;
pub mod argparse;
pub mod broker_api_versions;
pub mod client;
pub mod configs;
pub mod console_consumer;
pub mod console_producer;
pub mod consumer;
pub mod consumer_groups;
pub mod delete_records;
pub mod deserializer;
pub mod dump_log;
pub mod elections;
pub mod events;
pub mod exception;
pub mod get_offsets;
pub mod include_list;
pub mod internal_topics;
pub mod java;
pub mod json;
pub mod log_dirs;
pub mod metrics;
pub mod offsets_migrate;
pub mod old_consumer;
pub mod options;
pub mod perf;
pub mod producer;
pub mod reassign;
pub mod replica_verification;
pub mod server;
pub mod signals;
pub mod throttler;
pub mod topics;
pub mod verifiable_consumer;
pub mod verifiable_producer;
pub mod zookeeper;
pub mod zookeeper_shell;

use exception::Exception;

/// Whose output a tool imitates: scripts parse it. `KAFKA_TOOLS_VERSION` forces one; else tools that talk
/// to ZooKeeper print what 1.1.1 prints, all others what 2.8.2 prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Apache Kafka 1.1.1
    V1_1_1,
    /// Apache Kafka 2.8.2
    V2_8_2,
}

/// The shape of one run, and whether the user forced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeChoice {
    /// The shape to print.
    pub shape: Shape,
    /// True if `KAFKA_TOOLS_VERSION` names it: then only that version's options are accepted.
    pub is_forced: bool,
}

impl ShapeChoice {
    /// Chooses by `KAFKA_TOOLS_VERSION` (`forced`), else by whether `--zookeeper` is among the words.
    pub fn of(forced: Option<&str>, args: &[String]) -> ShapeChoice {
        match forced {
            Some("1.1.1") => ShapeChoice { shape: Shape::V1_1_1, is_forced: true },
            Some("2.8.2") => ShapeChoice { shape: Shape::V2_8_2, is_forced: true },
            _ => {
                let is_zookeeper = |word: &String| {
                    let name = word.split('=').next().unwrap_or(word);
                    name == "--zookeeper" || name == "-zookeeper"
                };
                let shape = if args.iter().any(is_zookeeper) { Shape::V1_1_1 } else { Shape::V2_8_2 };
                ShapeChoice { shape, is_forced: false }
            }
        }
    }

    /// The choice of this process.
    pub fn of_environment(args: &[String]) -> ShapeChoice {
        ShapeChoice::of(std::env::var("KAFKA_TOOLS_VERSION").ok().as_deref(), args)
    }

    /// The option table of the shape. Unless the shape is forced, the other version's options are
    /// accepted as well.
    pub fn table(self, of_1_1_1: &'static str, of_2_8_2: &'static str) -> options::OptionTable {
        let (own, other) = match self.shape {
            Shape::V1_1_1 => (of_1_1_1, of_2_8_2),
            Shape::V2_8_2 => (of_2_8_2, of_1_1_1),
        };
        let table = options::OptionTable::new(own);
        if self.is_forced { table } else { table.and_of(other) }
    }
}

/// How a tool ends before its work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Message and option table on stderr, exit code 1.
    Usage {
        /// The line above the table.
        message: String,
        /// The option table.
        table: &'static str,
    },
    /// `Exception in thread "main" …` on stderr, exit code 1.
    Uncaught(Exception),
    /// Everything is said already.
    Exit(i32),
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Stop {
        Stop::Uncaught(exception)
    }
}

/// What a tool comes to; `Ok` is exit code 0.
pub type Outcome = Result<(), Stop>;

/// What `--version` prints: the version whose behaviour this is.
pub const VERSION: &str = "2.8.2 (Commit:3146c6ff4a24cc24)";

/// A tool by its class name.
struct Tool {
    class: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TOOLS: &[Tool] = &[
    Tool { class: "kafka.admin.ConfigCommand", run: configs::run },
    Tool { class: "kafka.admin.ConsumerGroupCommand", run: consumer_groups::run },
    Tool { class: "kafka.admin.BrokerApiVersionsCommand", run: broker_api_versions::run },
    Tool { class: "kafka.admin.DeleteRecordsCommand", run: delete_records::run },
    Tool { class: "kafka.admin.LeaderElectionCommand", run: elections::leader::run },
    Tool { class: "kafka.admin.LogDirsCommand", run: log_dirs::run },
    Tool { class: "kafka.admin.PreferredReplicaLeaderElectionCommand", run: elections::preferred::run },
    Tool { class: "kafka.admin.ReassignPartitionsCommand", run: reassign::run },
    Tool { class: "kafka.admin.TopicCommand", run: topics::run },
    Tool { class: "kafka.tools.ConsoleConsumer", run: console_consumer::run },
    Tool { class: "kafka.tools.ConsoleProducer", run: console_producer::run },
    Tool { class: "kafka.tools.ConsumerPerformance", run: perf::consumer::run },
    Tool { class: "kafka.tools.DumpLogSegments", run: dump_log::run },
    Tool { class: "kafka.tools.GetOffsetShell", run: get_offsets::run },
    Tool { class: "kafka.tools.ReplicaVerificationTool", run: replica_verification::run },
    Tool { class: "ottla.tools.OffsetsMigrate", run: offsets_migrate::run },
    Tool { class: "org.apache.kafka.tools.ProducerPerformance", run: perf::producer::run },
    Tool { class: "org.apache.kafka.tools.VerifiableConsumer", run: verifiable_consumer::run },
    Tool { class: "org.apache.kafka.tools.VerifiableProducer", run: verifiable_producer::run },
    Tool { class: "kafka-run-class.sh", run: server::run_class::run },
    Tool { class: "kafka-server-start.sh", run: server::run_class::server_start },
    Tool { class: "kafka-server-stop.sh", run: server::stop::kafka },
    Tool { class: "zookeeper-server-start.sh", run: server::zookeeper_start },
    Tool { class: "zookeeper-server-stop.sh", run: server::stop::zookeeper },
    Tool { class: "zookeeper-shell.sh", run: server::zookeeper_shell },
];

/// True if `class` is a command of ours.
pub fn is_known(class: &str) -> bool {
    TOOLS.iter().any(|tool| tool.class == class)
}

/// Reads a properties file that an option names.
pub fn load_properties(file: &str) -> Result<crate::config::properties::Properties, Exception> {
    crate::config::properties::Properties::read(std::path::Path::new(file)).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::NotFound => Exception::new("java.nio.file.NoSuchFileException", file),
            _ => Exception::new("java.io.IOException", format!("{file}: {error}")),
        }
    })
}

/// Runs the tool that the first word names. Returns the exit code.
pub fn main(args: &[String]) -> i32 {
    let Some((name, args)) = args.split_first() else {
        err_line!("USAGE: kafka-tools CLASS [args]*; CLASS is one of");
        for tool in TOOLS {
            err_line!("  {}", tool.class);
        }
        return 1;
    };
    let outcome = match TOOLS.iter().find(|tool| tool.class == name) {
        Some(tool) => (tool.run)(args),
        None => {
            err_line!("Error: Could not find or load main class {name}");
            err_line!("Caused by: java.lang.ClassNotFoundException: {name}");
            Err(Stop::Exit(1))
        }
    };
    let code = match outcome {
        Ok(()) => 0,
        Err(Stop::Exit(code)) => code,
        Err(Stop::Usage { message, table }) => {
            err_line!("{message}");
            output::err(format_args!("{table}"));
            1
        }
        Err(Stop::Uncaught(exception)) => {
            err_line!("Exception in thread \"main\" {exception}");
            1
        }
    };
    output::flush();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zookeeper_means_the_older_shape_unless_forced() {
        let choose = |forced, word: &str| ShapeChoice::of(forced, &[word.to_string()]).shape;
        assert_eq!(choose(None, "--zookeeper=h:1"), Shape::V1_1_1);
        assert_eq!(choose(None, "-zookeeper"), Shape::V1_1_1);
        assert_eq!(choose(None, "--bootstrap-server"), Shape::V2_8_2);
        assert_eq!(choose(Some("2.8.2"), "--zookeeper"), Shape::V2_8_2);
        assert_eq!(choose(Some("1.1.1"), "--list"), Shape::V1_1_1);
    }
}
