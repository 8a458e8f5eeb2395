//! `zookeeper-shell.sh`: what lies in ZooKeeper, as the command line of ZooKeeper 3.5 shows it (the one in Kafka 2.8.2);
//! `get` and `set` speak as that of 3.4 where `KAFKA_TOOLS_VERSION=1.1.1`. One command from the arguments, or many from
//! stdin, without a prompt.
//!
//! Known here: `ls`, `ls2`, `get`, `set`, `create`, `delete`, `deleteall`, `rmr`, `stat`, `sync`, `history`,
//! `printwatches`, `close`, `quit`. The others, watches, containers and nodes with a time to live are left to
//! ZooKeeper's own shell, in a JVM. A node without data and one with empty data both show as `null`.

mod line;

use super::zookeeper::with_client;
use super::{Outcome, Shape, ShapeChoice, Stop};
use crate::common::clock;
use crate::zk::{CreateMode, Stat, ZkClient, ZkError};
use line::{Flags, split};

const USAGE: &str = include_str!("usage/2.8.2/zookeeper-shell.sh.txt");
/// Exit code of a command that nobody knows.
const NOT_FOUND: i32 = 127;
/// Lines that `history` shows.
const HISTORY_MAX: usize = 11;
/// Commands that only ZooKeeper's own shell has.
const ELSEWHERE: &[&str] = &[
    "addauth",
    "config",
    "connect",
    "delquota",
    "getAcl",
    "listquota",
    "reconfig",
    "redo",
    "removewatches",
    "setAcl",
    "setquota",
];

/// Why a command failed: what stderr says, and the exit code.
#[derive(Debug, PartialEq, Eq)]
struct Failed(String, i32);

impl Failed {
    fn new(message: impl Into<String>) -> Failed {
        Failed(message.into(), 1)
    }

    /// ZooKeeper's words for an error about `path`.
    fn of(error: &ZkError, path: &str) -> Failed {
        Failed::new(match error {
            ZkError::NoNode { .. } => format!("Node does not exist: {path}"),
            ZkError::NodeExists { .. } => format!("Node already exists: {path}"),
            ZkError::NotEmpty { .. } => format!("Node not empty: {path}"),
            ZkError::BadVersion { .. } => format!("version No is not valid : {path}"),
            ZkError::NoChildrenForEphemerals { .. } => format!("Ephemerals cannot have children: {path}"),
            ZkError::NoAuth { .. } => format!("Authentication is not valid : {path}"),
            ZkError::InvalidAcl { .. } => format!("Acl is not valid : {path}"),
            ZkError::BadArgument(why) => why.clone(),
            other => other.to_string(),
        })
    }
}

/// True if the words want something that this shell does not do.
pub fn is_for_java(words: &[String]) -> bool {
    let rest = words.get(1..).unwrap_or_default();
    let has = |flag: &str| rest.iter().any(|word| word == flag);
    has("-zk-tls-config-file")
        || rest.first().is_some_and(|command| ELSEWHERE.contains(&command.as_str()))
        || (rest.first().is_some_and(|command| command == "create") && (has("-c") || has("-t")))
}

/// Runs the shell: the first word names the servers, the others are a command.
pub fn run(words: &[String]) -> Outcome {
    let (servers, command) = words.split_first().ok_or(Stop::Exit(1))?;
    out_line!("Connecting to {servers}");
    let shape = ShapeChoice::of_environment(&[]).shape;
    if let [name, ..] = command
        && !line::is_known(name)
    {
        return Err(Stop::Exit(not_found(name)));
    }
    if command.is_empty() {
        out_line!("Welcome to ZooKeeper!\nJLine support is disabled");
    }
    let code = with_client(servers, async |zk| {
        let mut shell = Shell { zk, shape, history: Vec::new(), closed: false };
        watcher("SyncConnected");
        match command {
            [] => shell.converse().await,
            _ => shell.perform(command).await,
        }
    });
    match code {
        Ok(0) => Ok(()),
        Ok(code) => Err(Stop::Exit(code)),
        Err(_) => {
            let path = command.iter().find(|word| word.starts_with('/')).map_or("/", String::as_str);
            err_line!("KeeperErrorCode = ConnectionLoss for {path}");
            Err(Stop::Exit(1))
        }
    }
}

/// The next line of stdin. The session lives on while nobody types.
async fn next_line() -> Option<String> {
    let read = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).ok().filter(|count| *count > 0).map(|_| line)
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// What a session tells of itself.
fn watcher(state: &str) {
    out_line!("\nWATCHER::\n\nWatchedEvent state:{state} type:None path:null");
}

fn not_found(name: &str) -> i32 {
    super::output::err(format_args!("{USAGE}"));
    err_line!("Command not found: Command not found {name}");
    NOT_FOUND
}

struct Shell {
    zk: ZkClient,
    shape: Shape,
    history: Vec<String>,
    closed: bool,
}

impl Shell {
    /// Commands from stdin, until `quit` or its end. Gives the exit code of the last one.
    async fn converse(&mut self) -> i32 {
        let mut code = 0;
        while let Some(line) = next_line().await {
            let words = split(&line);
            if words.is_empty() {
                continue;
            }
            self.history.push(line.trim().to_string());
            if words[0] == "quit" {
                if !self.closed {
                    watcher("Closed");
                }
                return 0;
            }
            code = self.perform(&words).await;
        }
        code
    }

    async fn perform(&mut self, words: &[String]) -> i32 {
        let (name, args) = (words[0].as_str(), &words[1..]);
        if ELSEWHERE.contains(&name) {
            err_line!("{name} is not in this shell: ZooKeeper's own has it, in a JVM");
            return 1;
        }
        if !line::is_known(name) {
            return not_found(name);
        }
        match self.command(name, args).await {
            Ok(()) => 0,
            Err(Failed(message, code)) => {
                err_line!("{message}");
                code
            }
        }
    }

    async fn command(&mut self, name: &str, args: &[String]) -> Result<(), Failed> {
        match name {
            "history" => {
                for (at, line) in self.history.iter().enumerate().rev().take(HISTORY_MAX).rev() {
                    out_line!("{at} - {line}");
                }
                return Ok(());
            }
            "printwatches" => {
                out_line!("printwatches is on");
                return Ok(());
            }
            _ => {}
        }
        if self.closed {
            out_line!("Not connected");
            return Ok(());
        }
        match name {
            "close" => {
                self.closed = true;
                watcher("Closed");
                Ok(())
            }
            "ls" | "ls2" => self.list(name, args).await,
            "get" => self.get(args).await,
            "stat" => self.stat(args).await,
            "set" => self.set(args).await,
            "create" => self.create(args).await,
            "delete" => self.delete(args).await,
            "deleteall" | "rmr" => self.delete_all(name, args).await,
            _ => {
                self.zk.sync().await.map_err(|error| Failed::of(&error, "/"))?;
                out_line!("Sync is OK");
                Ok(())
            }
        }
    }

    async fn list(&self, name: &str, args: &[String]) -> Result<(), Failed> {
        let (usage, known) =
            if name == "ls2" { ("ls2 path [watch]", "") } else { ("ls [-s] [-w] [-R] path", "swR") };
        let flags = Flags::parse(args, known, usage, 1)?;
        if name == "ls2" {
            err_line!("'ls2' has been deprecated. Please use 'ls [-s] path' instead.");
        }
        let path = &flags.words[0];
        let stat = self.exists(path).await?;
        if flags.has('R') {
            let mut waiting = vec![path.clone()];
            while let Some(path) = waiting.pop() {
                out_line!("{path}");
                let mut children = self.children(&path).await?;
                children.sort_unstable_by(|a, b| b.cmp(a));
                let base = if path == "/" { "" } else { path.as_str() };
                waiting.extend(children.into_iter().map(|child| format!("{base}/{child}")));
            }
            return Ok(());
        }
        let mut children = self.children(path).await?;
        children.sort_unstable();
        let shown = format!("[{}]", children.join(", "));
        match (flags.has('s'), name) {
            (_, "ls2") => out_line!("{shown}\n{}", shown_stat(&stat)),
            (true, _) => out_line!("{shown}{}\n", shown_stat(&stat)),
            (false, _) => out_line!("{shown}"),
        }
        Ok(())
    }

    async fn get(&self, args: &[String]) -> Result<(), Failed> {
        let flags = Flags::parse(args, "sw", "get [-s] [-w] path", 1)?;
        let path = line::checked(&flags.words[0])?;
        let found = self.zk.get(path).await.map_err(|error| Failed::of(&error, path))?;
        let Some((data, stat)) = found else {
            let exception =
                "org.apache.zookeeper.KeeperException$NoNodeException: KeeperErrorCode = NoNode for";
            return Err(Failed::new(format!("{exception} {path}")));
        };
        match data.is_empty() {
            true => out_line!("null"),
            false => out_line!("{}", String::from_utf8_lossy(&data)),
        }
        self.show_stat(&flags, &stat);
        Ok(())
    }

    async fn stat(&self, args: &[String]) -> Result<(), Failed> {
        let flags = Flags::parse(args, "w", "stat [-w] path", 1)?;
        let stat = self.exists(&flags.words[0]).await?;
        out_line!("{}", shown_stat(&stat));
        Ok(())
    }

    async fn set(&self, args: &[String]) -> Result<(), Failed> {
        let flags = Flags::parse(args, "sv", "set [-s] [-v version] path data", 2)?;
        let path = line::checked(&flags.words[0])?;
        let data = flags.words[1].clone().into_bytes();
        let stat =
            self.zk.set(path, data, flags.version()?).await.map_err(|error| Failed::of(&error, path))?;
        self.show_stat(&flags, &stat);
        Ok(())
    }

    async fn create(&self, args: &[String]) -> Result<(), Failed> {
        let usage = "create [-s] [-e] [-c] [-t ttl] path [data] [acl]";
        let flags = Flags::parse(args, "sect", usage, 1)?;
        let mode = match (flags.has('s'), flags.has('e')) {
            _ if flags.has('c') || flags.has('t') || flags.words.len() > 2 => {
                return Err(Failed::new("Containers, times to live and ACLs are not in this shell"));
            }
            (true, true) => return Err(Failed::new("Ephemeral sequential nodes are not in this shell")),
            (true, false) => CreateMode::PersistentSequential,
            (false, true) => CreateMode::Ephemeral,
            (false, false) => CreateMode::Persistent,
        };
        let path = line::checked(&flags.words[0])?;
        let data = flags.words.get(1).cloned().unwrap_or_default().into_bytes();
        let created = self.zk.create(path, data, mode).await.map_err(|error| match error {
            ZkError::NoNode { .. } => Failed::new(format!("Node does not exist: {path}")),
            other => Failed::of(&other, path),
        })?;
        err_line!("Created {}", created.path);
        Ok(())
    }

    async fn delete(&self, args: &[String]) -> Result<(), Failed> {
        let flags = Flags::parse(args, "v", "delete [-v version] path", 1)?;
        let path = line::checked(&flags.words[0])?;
        self.zk.delete(path, flags.version()?).await.map_err(|error| Failed::of(&error, path))
    }

    async fn delete_all(&self, name: &str, args: &[String]) -> Result<(), Failed> {
        let flags = Flags::parse(args, "", &format!("{name} path"), 1)?;
        if name == "rmr" {
            err_line!("The command 'rmr' has been deprecated. Please use 'deleteall' instead.");
        }
        let path = &flags.words[0];
        self.exists(path).await?;
        self.zk.delete_recursive(path, &[]).await.map_err(|error| Failed::of(&error, path))
    }

    async fn exists(&self, path: &str) -> Result<Stat, Failed> {
        let path = line::checked(path)?;
        let found = self.zk.exists(path).await.map_err(|error| Failed::of(&error, path))?;
        found.ok_or_else(|| Failed::of(&ZkError::NoNode { path: path.to_string() }, path))
    }

    async fn children(&self, path: &str) -> Result<Vec<String>, Failed> {
        self.zk.children(path).await.map_err(|error| Failed::of(&error, path))
    }

    /// 3.4 shows the stat always, on stderr; 3.5 where it is asked for.
    fn show_stat(&self, flags: &Flags, stat: &Stat) {
        if self.shape == Shape::V1_1_1 {
            err_line!("{}", shown_stat(stat));
        } else if flags.has('s') {
            out_line!("{}", shown_stat(stat));
        }
    }
}

fn shown_stat(stat: &Stat) -> String {
    let Stat { czxid, mzxid, pzxid, version, cversion, aversion, .. } = stat;
    let (ctime, mtime) = (clock::java_date(stat.ctime_ms), clock::java_date(stat.mtime_ms));
    format!(
        "cZxid = {czxid:#x}\nctime = {ctime}\nmZxid = {mzxid:#x}\nmtime = {mtime}\npZxid = {pzxid:#x}\ncversion = {cversion}\n\
         dataVersion = {version}\naclVersion = {aversion}\nephemeralOwner = {:#x}\ndataLength = {}\nnumChildren = {}",
        stat.ephemeral_owner, stat.data_length, stat.num_children
    )
}
