//! Reassignments by `/admin/reassign_partitions`, as 2.8.2 does it with `--zookeeper`.

use super::bootstrap::{VERIFY_PERIODICALLY, say_status};
use super::plan::{Plan, Replicas, parse_generate, show_current};
use super::throttles::{self, Moves};
use super::{Failure, failed, plural, propose_to};
use crate::common::{BrokerId, TopicPartition};
use crate::tools::exception::Exception;
use crate::tools::json;
use crate::tools::options::Options;
use crate::zk::config_changes::{self, Config};
use crate::zk::data::reassign;
use crate::zk::{CreateMode, NodeError, ZkClient, paths, topic_admin};
use bytestring::ByteString;
use std::collections::BTreeSet;

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override \
                        this and create a new partition assignment in addition to the existing one. The --additional \
                        flag can also be used to change the throttle by resubmitting the current reassignment.";
const NEEDS_BROKER: &str = "bootstrap-server needs to be provided when replica reassignments are present.";

/// The replicas of all partitions of those of the topics that exist.
pub async fn current(zk: &ZkClient, topics: &[String]) -> Result<Replicas, Exception> {
    let mut current = Replicas::new();
    for (name, topic) in topics.iter().zip(topic_admin::read_topics(zk, topics).await?) {
        let name = ByteString::from(name.as_str());
        for (number, assignment) in topic.into_iter().flat_map(|(topic, _)| topic.partitions) {
            current.insert(TopicPartition::new(name.clone(), number), assignment.replicas);
        }
    }
    Ok(current)
}

/// What the znode asks for; none if it is not there.
pub async fn pending(zk: &ZkClient) -> Result<Option<Vec<(TopicPartition, Vec<BrokerId>)>>, Exception> {
    let found = zk.get(paths::REASSIGN_PARTITIONS).await?;
    Ok(found.map(|(data, _)| reassign::decode(&data).unwrap_or_default()))
}

/// Asks the controller.
pub async fn submit(zk: &ZkClient, replicas: &Replicas) -> Result<(), Exception> {
    let entries: Vec<_> = replicas.iter().map(|(tp, ids)| (tp.clone(), ids.clone())).collect();
    zk.create(paths::REASSIGN_PARTITIONS, reassign::encode(&entries), CreateMode::Persistent).await?;
    Ok(())
}

/// Ids of the live brokers.
pub async fn live(zk: &ZkClient) -> Result<Vec<BrokerId>, Exception> {
    Ok(topic_admin::live_brokers(zk).await?.into_iter().map(|broker| broker.id).collect())
}

async fn fetch(zk: &ZkClient, kind: &str, name: &str) -> Result<Config, Exception> {
    config_changes::fetch(zk, kind, name).await.map_err(|error| match error {
        NodeError::Zk(error) => error.into(),
        NodeError::Data(error) => Exception::illegal_argument(error.to_string()),
    })
}

/// Takes keys out of a configuration; true if one was there.
pub async fn clear(zk: &ZkClient, kind: &str, name: &str, keys: &[&str]) -> Result<bool, Exception> {
    let mut config = fetch(zk, kind, name).await?;
    let before = config.len();
    config.retain(|key, _| !keys.contains(&key.as_str()));
    if config.len() == before {
        return Ok(false);
    }
    config_changes::change(zk, kind, name, &config).await?;
    Ok(true)
}

/// Puts keys into a configuration.
pub async fn put(zk: &ZkClient, kind: &str, name: &str, pairs: &[(&str, &str)]) -> Result<(), Exception> {
    let mut config = fetch(zk, kind, name).await?;
    config.extend(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    config_changes::change(zk, kind, name, &config).await?;
    Ok(())
}

/// Refuses partitions and brokers that do not exist. `list` is how Scala names the collection.
pub async fn check_existence(zk: &ZkClient, plan: &Plan, list: &str) -> Result<(), Exception> {
    let existing = current(zk, &plan.topics()).await?;
    let missing: Vec<&TopicPartition> =
        plan.partitions.iter().map(|(tp, _)| tp).filter(|tp| !existing.contains_key(tp)).collect();
    if !missing.is_empty() {
        let missing = json::joined(&missing, ", ");
        return Err(failed(format!(
            "The proposed assignment contains non-existent partitions: {list}({missing})"
        )));
    }
    let live = live(zk).await?;
    let mut unknown: Vec<BrokerId> =
        plan.partitions.iter().flat_map(|(_, ids)| ids).copied().filter(|id| !live.contains(id)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        let unknown = json::joined(&unknown, ",");
        return Err(failed(format!("The proposed assignment contains non-existent brokerIDs: {unknown}")));
    }
    Ok(())
}

/// `--verify`
pub async fn verify(zk: &ZkClient, options: &Options, text: &str) -> Result<(), Failure> {
    let plan = Plan::parse(text)?;
    if !plan.log_dirs.is_empty() {
        return Err(failed(NEEDS_BROKER).into());
    }
    out_line!(
        "Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use \
         --bootstrap-server instead for more accurate results."
    );
    let ongoing = pending(zk).await?.unwrap_or_default();
    let current = current(zk, &plan.topics()).await?;
    out_line!("Status of partition reassignment:");
    for (tp, target) in plan.replicas() {
        if ongoing.iter().any(|(other, _)| *other == tp) {
            out_line!("Reassignment of partition {tp} is still in progress.");
        } else {
            say_status(&tp, current.get(&tp).map(Vec::as_slice).unwrap_or_default(), &target);
        }
    }
    if !ongoing.is_empty() || options.has("preserve-throttles") {
        return Ok(());
    }
    let mut brokers: BTreeSet<BrokerId> = live(zk).await?.into_iter().collect();
    brokers.extend(plan.partitions.iter().flat_map(|(_, replicas)| replicas));
    let topics = plan.topics();
    let (of_brokers, of_topics) = throttles::say_clearing(&brokers, &topics);
    out_line!("{of_brokers}");
    for broker in brokers {
        clear(zk, "brokers", &broker.to_string(), &throttles::OF_BROKERS).await?;
    }
    out_line!("{of_topics}");
    for topic in topics {
        clear(zk, "topics", &topic, &throttles::OF_TOPICS).await?;
    }
    Ok(())
}

/// `--generate`
pub async fn generate(zk: &ZkClient, options: &Options, text: &str) -> Result<(), Failure> {
    let (brokers, topics) = parse_generate(text, options.value("broker-list")?.unwrap_or_default())?;
    let current = current(zk, &topics).await?;
    Ok(propose_to(&current, topic_admin::live_brokers(zk).await?, &brokers, options)?)
}

/// `--execute`
pub async fn execute(zk: &ZkClient, options: &Options, text: &str) -> Result<(), Failure> {
    let plan = Plan::parse(text)?;
    plan.check("Partition reassignment list cannot be empty")?;
    if !plan.log_dirs.is_empty() {
        return Err(failed(NEEDS_BROKER).into());
    }
    check_existence(zk, &plan, "List").await?;
    if pending(zk).await?.is_some() {
        return Err(Failure::Terse(EXISTING.to_string()));
    }
    let proposed = plan.replicas();
    let all = current(zk, &plan.topics()).await?;
    let mut shown = all.clone();
    shown.retain(|tp, _| proposed.contains_key(tp));
    show_current(&shown);
    let throttle = options.number::<i64>("throttle")?.unwrap_or(-1);
    if throttle >= 0 {
        out_line!("{VERIFY_PERIODICALLY}");
        let mut moves = Moves::default();
        moves.add_proposed(&proposed, &all);
        for (topic, (leaders, followers)) in moves.by_topic() {
            let pairs =
                [(throttles::LEADER_REPLICAS, &*leaders), (throttles::FOLLOWER_REPLICAS, &*followers)];
            put(zk, "topics", &topic, &pairs).await?;
        }
        let rate = throttle.to_string();
        let pairs = [(throttles::LEADER_RATE, &*rate), (throttles::FOLLOWER_RATE, &*rate)];
        for broker in moves.brokers() {
            put(zk, "brokers", &broker.to_string(), &pairs).await?;
        }
        out_line!("The inter-broker throttle limit was set to {throttle} B/s");
    }
    submit(zk, &proposed).await?;
    let names: Vec<&TopicPartition> = proposed.keys().collect();
    out_line!(
        "Successfully started partition reassignment{} for {}",
        plural(names.len()),
        json::joined(&names, ",")
    );
    Ok(())
}
