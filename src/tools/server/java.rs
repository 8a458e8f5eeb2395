//! Classes that are no command of ours, out of an Apache Kafka or ZooKeeper installation, if there is one.

use super::run_class::{Launch, start, words_of_script};
use crate::tools::{Outcome, Stop, zookeeper_shell};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps ZooKeeper.
const DEBIAN_JARS: &[&str] = &["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"];
const ZOOKEEPER: &str = "org.apache.zookeeper.";
/// Kafka's shell, and ZooKeeper's own that it extends.
const SHELL: (&str, &str) =
    ("org.apache.zookeeper.ZooKeeperMainWithTlsSupportForKafka", "org.apache.zookeeper.ZooKeeperMain");
/// Classes of Kafka 2.8.2 that its scripts name and that are no commands of ours.
const ELSEWHERE: &[&str] = &[
    "kafka.tools.ClusterTool",
    "kafka.tools.MirrorMaker",
    "kafka.tools.StorageTool",
    "kafka.tools.StreamsResetter",
];
/// Heap of a command that says nothing about it.
const HEAP: &str = "-Xmx256M";

/// `zookeeper-server-start.sh [-daemon] zookeeper.properties`; the first word is the script's path.
pub fn zookeeper_start(args: &[String]) -> Outcome {
    let (script, words) =
        words_of_script(args, "zookeeper-server-start.sh", "[-daemon] zookeeper.properties")?;
    let is_daemon = words[0] == "-daemon";
    let launch = Launch {
        is_daemon,
        name: Some("zookeeper".to_string()),
        class: "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_string(),
        args: words[usize::from(is_daemon)..].to_vec(),
    };
    start(Path::new(script), launch)
}

/// `zookeeper-shell.sh zookeeper_host:port[/path] [args...]`; the first word is the script's path. What our own shell
/// does not do, ZooKeeper's does.
pub fn zookeeper_shell(args: &[String]) -> Outcome {
    let (script, words) = words_of_script(
        args,
        "zookeeper-shell.sh",
        "zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]",
    )?;
    if !zookeeper_shell::is_for_java(words) {
        return zookeeper_shell::run(words);
    }
    let mut args = vec!["-server".to_string()];
    args.extend_from_slice(words);
    let launch = Launch { class: SHELL.0.to_string(), args, ..Launch::default() };
    start(Path::new(script), launch)
}

/// The command that runs a class in a JVM; says why there is none.
pub fn command(base: &Path, launch: &Launch) -> Result<Command, Stop> {
    let Some((classpath, is_debian)) = classpath(base, &launch.class) else {
        return Err(cannot(
            &launch.class,
            "no jars of Apache Kafka were found: set KAFKA_HOME to its folder",
        ));
    };
    let Some(java) = find_java() else {
        return Err(cannot(&launch.class, "no java was found: install a JVM or set JAVA_HOME"));
    };
    let mut command = Command::new(java);
    let options = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_string());
    for words in [options("KAFKA_HEAP_OPTS", HEAP), options("KAFKA_OPTS", "")] {
        command.args(words.split_whitespace());
    }
    if is_debian {
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    }
    let class = if is_debian && launch.class == SHELL.0 { SHELL.1 } else { &launch.class };
    command.arg("-cp").arg(classpath).arg(class).args(&launch.args);
    Ok(command)
}

/// The two lines of Java, and for a class that exists somewhere a third: what to do.
fn cannot(class: &str, why: &str) -> Stop {
    err_line!("Error: Could not find or load main class {class}");
    err_line!("Caused by: java.lang.ClassNotFoundException: {class}");
    let is_apache =
        ["kafka.admin.", "org.apache.kafka.", ZOOKEEPER].iter().any(|start| class.starts_with(start))
            || ELSEWHERE.contains(&class);
    if is_apache {
        err_line!("kafka-run-class.sh: {class} is no command of this installation, and {why}");
    }
    Stop::Exit(1)
}

/// Jars of Apache Kafka in `libs` beside the scripts or in `KAFKA_HOME`, or in `CLASSPATH`; for ZooKeeper's classes
/// also those of Debian (then true).
fn classpath(base: &Path, class: &str) -> Option<(String, bool)> {
    let home = std::env::var_os("KAFKA_HOME").map(PathBuf::from);
    let libs = [Some(base.to_path_buf()), home].into_iter().flatten().map(|dir| dir.join("libs"));
    let mut path: Vec<String> =
        libs.filter(|dir| has_jars(dir)).map(|dir| format!("{}/*", dir.display())).collect();
    path.extend(std::env::var("CLASSPATH").ok().filter(|path| !path.is_empty()));
    if !path.is_empty() {
        return Some((path.join(":"), false));
    }
    let is_there = DEBIAN_JARS.iter().all(|jar| Path::new(jar).exists());
    (class.starts_with(ZOOKEEPER) && is_there).then(|| (DEBIAN_JARS.join(":"), true))
}

fn has_jars(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".jar"))
}

fn find_java() -> Option<PathBuf> {
    match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(PathBuf::from(home).join("bin/java")).filter(|java| java.exists()),
        None => std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|dir| dir.join("java"))
            .find(|java| java.exists()),
    }
}
