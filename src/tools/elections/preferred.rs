//! `kafka-preferred-replica-election.sh`: preferred leaders, by API or by the znode that controllers watch.

use super::{Words, elect, parse};
use crate::common::TopicPartition;
use crate::config::properties::Properties;
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::options::Options;
use crate::tools::{Outcome, Shape, ShapeChoice, Stop, VERSION, json, load_properties, zookeeper};
use crate::zk::data::preferred_election;
use crate::zk::{CreateMode, ZkClient, paths, topic_admin};
use std::collections::BTreeSet;

const WORDS: Words = Words {
    succeeded: "Successfully completed preferred leader election",
    failed: "Error completing preferred leader election",
    already: "Preferred replica",
    replicas: "preferred replica(s) ",
};
const FILE: &str = "Preferred replica election data";

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let is_newer = choice.shape == Shape::V2_8_2;
    if is_newer {
        out_line!(
            "This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405"
        );
    }
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-preferred-replica-election.sh.txt"),
        include_str!("../usage/2.8.2/kafka-preferred-replica-election.sh.txt"),
    );
    let options = table.parse(args)?;
    if !is_newer {
        return run_1_1_1(&options);
    }
    if options.is_empty() || options.has("help") {
        return Err(options.usage(
            "This tool helps to causes leadership for each partition to be transferred back to the 'preferred \
             replica', it can be used to balance leadership among the servers.",
        ));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    if options.has("bootstrap-server") == options.has("zookeeper") {
        return Err(options.usage("Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided"));
    }
    let partitions = partitions(&options)?;
    if let Some(servers) = options.value("zookeeper")? {
        out_line!("Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.");
        out_line!("Use --bootstrap-server instead to specify a broker to connect to.");
        return Ok(by_znode(servers, partitions)?);
    }
    let mut properties = match options.value("admin.config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    properties.set("request.timeout.ms", "30000");
    properties.set("default.api.timeout.ms", "60000");
    let mut admin = Admin::new(options.value("bootstrap-server")?.unwrap_or_default(), &properties)?;
    Ok(elect(&mut admin, 0, partitions.as_deref(), &WORDS)?)
}

/// 1.1.1 ends with 0 whatever happens.
fn run_1_1_1(options: &Options) -> Outcome {
    if options.is_empty() {
        return Err(options.usage(
            "This tool causes leadership for each partition to be transferred back to the 'preferred replica', it \
             can be used to balance leadership among the servers.",
        ));
    }
    options.check_required(&["zookeeper"])?;
    let servers = options.value("zookeeper")?.unwrap_or_default();
    let done = partitions(options).and_then(|partitions| by_znode(servers, partitions));
    if let Err(error) = done {
        out_line!("Failed to start preferred replica election");
        out_line!("{error}");
        return Err(Stop::Exit(0));
    }
    Ok(())
}

fn partitions(options: &Options) -> Result<Option<Vec<TopicPartition>>, Exception> {
    match options.value("path-to-json-file")? {
        Some(path) => parse(&json::read_file(path)?, FILE, "empty").map(Some),
        None => Ok(None),
    }
}

fn by_znode(servers: &str, partitions: Option<Vec<TopicPartition>>) -> Result<(), Exception> {
    let done = zookeeper::with_client(servers, async |zk| ask_controller(&zk, partitions).await)?;
    done.map_err(|error| {
        Exception::new("kafka.common.AdminCommandFailedException", "Admin command failed").caused_by(error)
    })
}

/// Writes the znode. The controller deletes it when it is done.
async fn ask_controller(zk: &ZkClient, wanted: Option<Vec<TopicPartition>>) -> Result<(), Exception> {
    let names: Vec<String> = match &wanted {
        Some(partitions) => {
            let names: BTreeSet<&str> = partitions.iter().map(|tp| &*tp.topic).collect();
            names.into_iter().map(str::to_string).collect()
        }
        None => topic_admin::all_topics(zk).await?,
    };
    let topics = topic_admin::read_topics(zk, &names).await?;
    let mut existing = Vec::new();
    for (name, topic) in names.iter().zip(topics) {
        let numbers = topic.into_iter().flat_map(|(topic, _)| topic.partitions.into_keys());
        existing.extend(numbers.map(|number| TopicPartition::new(name.clone(), number)));
    }
    let (valid, invalid): (Vec<_>, Vec<_>) = match wanted {
        Some(partitions) => partitions.into_iter().partition(|tp| existing.contains(tp)),
        None => (existing, Vec::new()),
    };
    let data = preferred_election::encode(&valid);
    match zk.create(paths::PREFERRED_REPLICA_ELECTION, data, CreateMode::Persistent).await {
        Ok(_) => {}
        Err(error) if error.is_node_exists() => {
            let pending = zk.get(paths::PREFERRED_REPLICA_ELECTION).await?;
            let pending = pending.and_then(|(data, _)| preferred_election::decode(&data).ok());
            let pending = json::joined(&pending.unwrap_or_default(), ",");
            return Err(operation(format!(
                "Preferred replica leader election currently in progress for {pending}. Aborting operation"
            )));
        }
        Err(error) => return Err(operation(Exception::from(error).first_line())),
    }
    out_line!("Created preferred replica election path with {}", json::joined(&valid, ","));
    out_line!(
        "Successfully started preferred replica election for partitions Set({})",
        json::joined(&valid, ", ")
    );
    for tp in invalid {
        out_line!("Skipping preferred replica leader election for partition {tp} since it doesn't exist.");
    }
    Ok(())
}

fn operation(message: String) -> Exception {
    Exception::new("kafka.admin.AdminOperationException", message)
}
