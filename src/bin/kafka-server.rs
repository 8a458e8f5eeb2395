//! Starts a broker: `kafka-server server.properties [--override property=value]*`.

use log::warn;
use ottla::common::halt;
use ottla::config;
use ottla::server::broker::{Ended, run};
use ottla::server::command_line::{CLASS, Command, START_SCRIPT_USAGE, Source, USAGE, parse};
use ottla::server::logging;
use std::path::PathBuf;
use std::process::ExitCode;

const TARGET: &str = "kafka.Kafka$";
/// 128 + SIGTERM: what a JVM that a signal ended says.
const EXIT_AFTER_SIGNAL: u8 = 143;

/// A worker serves hundreds of requests between two looks at the sockets, with a dozen small allocations each: glibc's
/// per-thread cache holds seven of a size, and what lies behind it costs a quarter of a small produce's instructions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The start script names Kafka's class: whoever uses it sees what Kafka prints.
    let as_java = arguments.iter().any(|argument| argument == CLASS);
    match parse(&arguments) {
        Ok(Command::Usage) => {
            eprintln!("{}", if as_java { START_SCRIPT_USAGE } else { USAGE });
            ExitCode::FAILURE
        }
        Ok(Command::Version) if as_java => {
            println!("{}", ottla::tools::VERSION);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("2.8.2 (ottla {})", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::CheckConfig(source)) => check(&source),
        Ok(Command::Run(source)) => start(&source),
        Err(line) => {
            start_logging();
            fatal(&line);
            ExitCode::FAILURE
        }
    }
}

fn start_logging() {
    // kafka-server-start.sh sets LOG_DIR; without it there is only standard output.
    let folder = std::env::var_os("LOG_DIR").map(PathBuf::from);
    if let Err(failed) = logging::start(folder.as_deref()) {
        let folder = folder.unwrap_or_default();
        eprintln!(
            "Cannot write log files to {}: {failed}; logging to standard output only.",
            folder.display()
        );
        let _ = logging::start(None);
    }
    halt::log_panics();
}

fn check(source: &Source) -> ExitCode {
    let report = config::check(&source.path, &source.overrides);
    for line in &report.lines {
        println!("{line}");
    }
    ExitCode::from(u8::try_from(report.exit_status).unwrap_or(1))
}

fn start(source: &Source) -> ExitCode {
    start_logging();
    let (loaded, warnings) = match config::load(&source.path, &source.overrides) {
        Ok(loaded) => loaded,
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(|e| place(e.java_line(), e.origin.as_ref())).collect();
            fatal(&lines.join("\n"));
            return ExitCode::FAILURE;
        }
    };
    for warning in warnings {
        warn!(target: "org.apache.kafka.common.config.AbstractConfig", "{warning}");
    }
    match run(loaded) {
        Ended::Stopped => ExitCode::from(EXIT_AFTER_SIGNAL),
        Ended::Failed => ExitCode::FAILURE,
    }
}

fn place(line: String, origin: Option<&config::properties::Origin>) -> String {
    match origin {
        // Where Java has its stack: the exception's line stays Kafka's.
        Some(origin) => format!("{line}\n\tat {origin}"),
        None => line,
    }
}

fn fatal(lines: &str) {
    logging::error_with_trace(TARGET, "Exiting Kafka due to fatal exception", lines);
}
