//! `kafka-run-class.sh [-daemon] [-name servicename] [-loggc] classname [opts]` and the start scripts.
//!
//! `kafka.Kafka` becomes the process `kafka-server -D… kafka.Kafka opts`: `kafka.Kafka` as a word of its
//! own and `java` somewhere in the line, because stop scripts of other installations look for
//! `ps ax | grep ' kafka\.Kafka ' | grep java`. The server skips its words up to `kafka.Kafka`.

use crate::common::clock;
use crate::tools::output::timestamp;
use crate::tools::{Outcome, Stop};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The broker's class.
pub const SERVER_CLASS: &str = "kafka.Kafka";
/// A word with `java` in it; says at the same time that there is none.
const JAVA_WORD: &str = "-Djava.vm.name=none";
/// Settings of a JVM, accepted and without effect.
const JVM_VARIABLES: &[&str] = &[
    "KAFKA_HEAP_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_JMX_OPTS",
    "JMX_PORT",
];

/// How a class is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) is_daemon: bool,
    /// `-name`: the daemon's output goes to `$LOG_DIR/NAME.out`.
    pub(super) name: Option<String>,
    pub(super) class: String,
    pub(super) args: Vec<String>,
}

impl Launch {
    /// Reads the words after the script's path; `None` if there is no class.
    fn parse(words: &[String]) -> Option<Launch> {
        let mut launch = Launch::default();
        let mut words = words.iter();
        loop {
            match words.next()?.as_str() {
                "-name" => launch.name = Some(words.next()?.clone()),
                "-loggc" => {}
                "-daemon" => launch.is_daemon = true,
                class => {
                    launch.class = class.to_string();
                    launch.args = words.cloned().collect();
                    return Some(launch);
                }
            }
        }
    }
}

/// Runs a class; the first word is the path of `kafka-run-class.sh`.
pub fn run(args: &[String]) -> Outcome {
    let script = args.first().map_or("kafka-run-class.sh", String::as_str);
    let Some(launch) = Launch::parse(args.get(1..).unwrap_or_default()) else {
        out_line!("USAGE: {script} [-daemon] [-name servicename] [-loggc] classname [opts]");
        return Err(Stop::Exit(1));
    };
    start(Path::new(script), launch)
}

/// The path of a script, which is the first word, and the words behind it; without any its usage.
pub(super) fn words_of_script<'a>(
    args: &'a [String],
    name: &'a str,
    usage: &str,
) -> Result<(&'a str, &'a [String]), Stop> {
    let script = args.first().map_or(name, String::as_str);
    match args.get(1..).unwrap_or_default() {
        [] => {
            out_line!("USAGE: {script} {usage}");
            Err(Stop::Exit(1))
        }
        words => Ok((script, words)),
    }
}

/// `kafka-server-start.sh [-daemon] server.properties [--override property=value]*`; the first word is the
/// script's path.
pub fn server_start(args: &[String]) -> Outcome {
    let (script, words) = words_of_script(
        args,
        "kafka-server-start.sh",
        "[-daemon] server.properties [--override property=value]*",
    )?;
    let is_daemon = words[0] == "-daemon";
    let extra = std::env::var("EXTRA_ARGS").unwrap_or_else(|_| "-name kafkaServer -loggc".to_string());
    let mut all: Vec<String> = extra.split_whitespace().map(str::to_string).collect();
    all.push(SERVER_CLASS.to_string());
    all.extend_from_slice(&words[is_daemon as usize..]);
    let mut launch = Launch::parse(&all).unwrap_or_default();
    launch.is_daemon |= is_daemon;
    start(Path::new(script), launch)
}

/// Runs a class: the broker, a command of ours, or what a JVM finds.
pub(super) fn start(script: &Path, launch: Launch) -> Outcome {
    let base = script.parent().unwrap_or(Path::new(".")).join("..");
    let base = base.canonicalize().unwrap_or(base);
    let log_dir = std::env::var_os("LOG_DIR").map_or_else(|| base.join("logs"), PathBuf::from);
    if launch.class == SERVER_CLASS {
        let mut command = Command::new(beside_this_binary("kafka-server"));
        command.arg(JAVA_WORD);
        command.arg(format!("-Dkafka.logs.dir={}", log_dir.display()));
        command.arg(SERVER_CLASS).args(&launch.args);
        command.env("LOG_DIR", &log_dir);
        if std::fs::create_dir_all(&log_dir).is_err() {
            err_line!("kafka-server-start.sh: cannot create the log directory {}", log_dir.display());
        }
        return launch_server(command, &launch, &log_dir);
    }
    if !crate::tools::is_known(&launch.class) {
        let command = super::java::command(&base, &launch)?;
        return if launch.is_daemon {
            daemonize(command, &log_dir, launch.name.as_deref())
        } else {
            replace_this_process(command)
        };
    }
    if launch.is_daemon {
        let mut command = Command::new(beside_this_binary("kafka-tools"));
        command.arg(&launch.class).args(&launch.args);
        return daemonize(command, &log_dir, launch.name.as_deref());
    }
    let mut words = vec![launch.class];
    words.extend(launch.args);
    match crate::tools::main(&words) {
        0 => Ok(()),
        code => Err(Stop::Exit(code)),
    }
}

fn replace_this_process(mut command: Command) -> Outcome {
    crate::tools::output::flush();
    let error = command.exec();
    Err(cannot_start(&command, &error))
}

fn launch_server(command: Command, launch: &Launch, log_dir: &Path) -> Outcome {
    if launch.is_daemon {
        return daemonize(command, log_dir, launch.name.as_deref());
    }
    if let Some(line) = ignored_settings() {
        out_line!("{line}");
    }
    replace_this_process(command)
}

/// Starts `command` so that nothing ties it to the caller: own session, no inherited descriptor, output to
/// `$LOG_DIR/NAME.out`. A remote shell that started it can end.
fn daemonize(mut command: Command, log_dir: &Path, name: Option<&str>) -> Outcome {
    let output = match name {
        Some(name) => log_dir.join(format!("{name}.out")),
        None => PathBuf::from("/dev/null"),
    };
    let open = || -> std::io::Result<(File, File)> {
        std::fs::create_dir_all(log_dir)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&output)?;
        if let Some(line) = ignored_settings() {
            writeln!(file, "{line}")?;
        }
        Ok((file.try_clone()?, file))
    };
    let (stdout, stderr) = open().map_err(|error| {
        err_line!("cannot write {}: {error}", output.display());
        Stop::Exit(1)
    })?;
    close_on_exec_above_stderr();
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    // SAFETY: between fork and exec only the async-signal-safe `setsid` is called.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    command.spawn().map(drop).map_err(|error| cannot_start(&command, &error))
}

/// Marks every descriptor that was inherited beyond stdin, stdout and stderr.
fn close_on_exec_above_stderr() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    for entry in entries.flatten() {
        if let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
            && fd > 2
        {
            // SAFETY: sets a flag of a descriptor number; a number that is closed by now only fails.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Stop {
    err_line!("cannot start {}: {error}", command.get_program().to_string_lossy());
    Stop::Exit(1)
}

fn beside_this_binary(name: &str) -> PathBuf {
    std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name))).unwrap_or_else(|| name.into())
}

/// One line about the JVM settings of the environment, if there are any.
fn ignored_settings() -> Option<String> {
    let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let names: Vec<&str> = JVM_VARIABLES.iter().filter(is_set).copied().collect();
    if names.is_empty() {
        return None;
    }
    let now = timestamp(clock::now_ms());
    let names = names.join(", ");
    Some(format!("[{now}] INFO {names}: no effect, this broker runs without a JVM ({SERVER_CLASS}$)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Launch> {
        Launch::parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_before_the_class_only() {
        let launch = parse("-name kafkaServer -loggc -daemon kafka.Kafka s.properties -daemon").unwrap();
        assert_eq!(launch.name.as_deref(), Some("kafkaServer"));
        assert!(launch.is_daemon);
        assert_eq!(launch.class, SERVER_CLASS);
        assert_eq!(launch.args, ["s.properties", "-daemon"]);
        assert_eq!(parse("-daemon"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn foreign_stop_scripts_find_the_server() {
        // ps ax | grep ' kafka\.Kafka ' | grep java
        let line = format!("kafka-server {JAVA_WORD} -Dkafka.logs.dir=/l {SERVER_CLASS} server.properties");
        assert!(line.contains(" kafka.Kafka ") && line.contains("java"));
    }
}
