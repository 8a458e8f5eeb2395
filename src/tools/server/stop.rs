//! `kafka-server-stop.sh` and `zookeeper-server-stop.sh`: signals every matching process of this host, as
//! Kafka's scripts do (`SIGNAL` in the environment, else TERM). Surplus words are ignored, because
//! tutorials write `kafka-server-stop.sh stop`; `--broker-id N` picks one broker.

use crate::tools::{Outcome, Stop};
use std::path::PathBuf;

/// A process and its words.
struct Process {
    pid: i32,
    words: Vec<String>,
}

/// Stops brokers, of Apache Kafka as well.
pub fn kafka(args: &[String]) -> Outcome {
    let only = match args.iter().position(|word| word == "--broker-id") {
        Some(at) => match args.get(at + 1).and_then(|id| id.parse::<i32>().ok()) {
            Some(id) => Some(id),
            None => {
                err_line!("--broker-id needs a number");
                return Err(Stop::Exit(1));
            }
        },
        None => None,
    };
    let is_broker = |process: &Process| {
        process.words.iter().any(|word| word == super::run_class::SERVER_CLASS)
            && process.words.iter().any(|word| word.contains("java"))
            && only.is_none_or(|id| broker_id(process) == Some(id))
    };
    signal_all(is_broker, "No kafka server to stop")
}

/// Stops ZooKeeper servers.
pub fn zookeeper(_args: &[String]) -> Outcome {
    let is_zookeeper = |process: &Process| {
        process.words.iter().any(|word| word.contains("java"))
            && process.words.iter().any(|word| word.ends_with(".QuorumPeerMain"))
    };
    signal_all(is_zookeeper, "No zookeeper server to stop")
}

fn signal_all(is_meant: impl Fn(&Process) -> bool, none: &str) -> Outcome {
    let signal = match std::env::var("SIGNAL").ok().filter(|name| !name.is_empty()) {
        None => libc::SIGTERM,
        Some(name) => signal_number(&name).ok_or_else(|| {
            err_line!("kill: {name}: invalid signal specification");
            Stop::Exit(1)
        })?,
    };
    let meant: Vec<Process> = processes().into_iter().filter(is_meant).collect();
    if meant.is_empty() {
        out_line!("{none}");
        return Err(Stop::Exit(1));
    }
    let mut all_reached = true;
    for process in meant {
        // SAFETY: sends a signal to a process id, touches no memory.
        if unsafe { libc::kill(process.pid, signal) } != 0 {
            err_line!("kill: ({}) - {}", process.pid, std::io::Error::last_os_error());
            all_reached = false;
        }
    }
    if all_reached { Ok(()) } else { Err(Stop::Exit(1)) }
}

fn signal_number(name: &str) -> Option<i32> {
    match name.trim_start_matches("SIG") {
        "TERM" => Some(libc::SIGTERM),
        "KILL" => Some(libc::SIGKILL),
        "INT" => Some(libc::SIGINT),
        "HUP" => Some(libc::SIGHUP),
        "QUIT" => Some(libc::SIGQUIT),
        number => number.parse().ok().filter(|number| (1..65).contains(number)),
    }
}

/// Every other process whose command line can be read. Unlike `ps`, /proc cuts no line short.
fn processes() -> Vec<Process> {
    let own = std::process::id() as i32;
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let words = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>();
            (pid != own).then_some(Process { pid, words })
        })
        .collect()
}

/// `broker.id` of a broker's command line: the last override, else its properties file.
fn broker_id(process: &Process) -> Option<i32> {
    let at = process.words.iter().position(|word| word == super::run_class::SERVER_CLASS)?;
    let words = &process.words[at + 1..];
    let overridden = words.iter().rev().find_map(|word| word.strip_prefix("broker.id="));
    if let Some(id) = overridden {
        return id.trim().parse().ok();
    }
    let file = PathBuf::from(format!("/proc/{}/cwd", process.pid)).join(words.first()?);
    let text = std::fs::read_to_string(file).ok()?;
    let id = text.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "broker.id").then_some(value)
    })?;
    id.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_or_number() {
        assert_eq!(signal_number("TERM"), Some(libc::SIGTERM));
        assert_eq!(signal_number("SIGKILL"), Some(libc::SIGKILL));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("nosuch"), None);
    }

    #[test]
    fn the_last_override_is_the_broker_s_id() {
        let words = ["kafka-server", "kafka.Kafka", "s.properties", "--override", "broker.id=7"];
        let process = Process { pid: 1, words: words.map(str::to_string).to_vec() };
        assert_eq!(broker_id(&process), Some(7));
    }
}
