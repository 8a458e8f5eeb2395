//! `kafka-offsets-migrate.sh`, our own: moves the committed offsets of a cluster between ZooKeeper and
//! `__consumer_offsets` while the brokers run ([`crate::zk::offsets_move`]). The brokers do the work; this command
//! tells them to, watches, and ends the move once every partition is through. It may be stopped and run again at any
//! time.

use super::exception::Exception;
use super::options::{OptionTable, Options};
use super::{Outcome, Stop, VERSION};
use crate::common::clock;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::zk::data::TopicAssignment;
use crate::zk::data::offsets_moved::OffsetsMoved;
use crate::zk::offsets_move::{self, Begun};
use crate::zk::offsets_storage::{self, OffsetsStorage};
use crate::zk::{NodeError, ZkClient, ZkConfig, ZkError, paths};
use std::collections::BTreeMap;
use std::time::Duration;

/// Session and connection timeout of Kafka's tools.
const ZK_TIMEOUT_MS: i32 = 30_000;
const TIMEOUT_MS: i64 = 60_000;
/// Between two looks at the marks.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let table = OptionTable::new(include_str!("usage/own/kafka-offsets-migrate.sh.txt"));
    let usage = table.clone();
    let help = "This tool moves committed offsets between ZooKeeper and Kafka while the brokers run.";
    let options = table.parse(args).map_err(|exception| usage.usage(exception.message_or_null()))?;
    if options.is_empty() || options.has("help") {
        return Err(usage.usage(help));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["zookeeper"])?;
    if options.has("to") == options.has("status") {
        return Err(options.usage("Exactly one of to/status is required."));
    }
    let connect = options.value("zookeeper")?.unwrap_or_default().to_string();
    let timeout_ms = options.number::<i64>("timeout-ms")?.unwrap_or(TIMEOUT_MS);
    let to = target(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exception::new("java.io.IOException", error.to_string()))?;
    runtime.block_on(async {
        let config = ZkConfig {
            session_timeout_ms: ZK_TIMEOUT_MS,
            connection_timeout_ms: ZK_TIMEOUT_MS,
            ..ZkConfig::new(connect)
        };
        let zk = ZkClient::connect(config).await.map_err(Exception::from)?;
        let done = match to {
            Some(to) => migrate(&zk, to, timeout_ms).await,
            None => status(&zk).await,
        };
        zk.close().await;
        done
    })
}

fn target(options: &Options) -> Result<Option<OffsetsStorage>, Stop> {
    let Some(name) = options.value("to")? else { return Ok(None) };
    match OffsetsStorage::from_name(name) {
        Some(to) => Ok(Some(to)),
        None => Err(options.usage(format!("'{name}' is neither kafka nor zookeeper."))),
    }
}

fn failed(error: NodeError) -> Stop {
    match error {
        NodeError::Zk(error) => Stop::Uncaught(error.into()),
        NodeError::Data(error) => {
            Stop::Uncaught(Exception::new("kafka.common.KafkaException", error.to_string()))
        }
    }
}

fn zk_failed(error: ZkError) -> Stop {
    failed(NodeError::Zk(error))
}

/// Partitions of `__consumer_offsets`.
async fn partitions(zk: &ZkClient) -> Result<Vec<i32>, NodeError> {
    match zk.get(&paths::topic(GROUP_METADATA_TOPIC)).await? {
        Some((data, _)) => Ok(TopicAssignment::decode(&data)?.partitions.into_keys().collect()),
        None => Ok(Vec::new()),
    }
}

async fn status(zk: &ZkClient) -> Outcome {
    let Some(node) = offsets_storage::get(zk).await.map_err(failed)? else {
        out_line!("The cluster has not decided yet where committed offsets are kept: no broker has.");
        return Ok(());
    };
    out_line!("Committed offsets are kept in {}.", node.storage.name());
    if let Some(to) = node.migrating_to {
        let all = partitions(zk).await.map_err(failed)?;
        let moved = offsets_move::moved(zk, to).await.map_err(zk_failed)?;
        let done = all.iter().filter(|partition| moved.contains_key(partition)).count();
        out_line!(
            "They are being moved to {}: {done} of {} partitions of {GROUP_METADATA_TOPIC} are there.",
            to.name(),
            all.len()
        );
    }
    Ok(())
}

/// Brokers that do not know what to do: those of Apache Kafka.
async fn strangers(zk: &ZkClient) -> Result<Vec<String>, ZkError> {
    let mut brokers = zk.children(paths::BROKER_IDS).await?;
    let own = zk.children(paths::OWN_BROKERS).await?;
    brokers.retain(|id| !own.contains(id));
    brokers.sort();
    Ok(brokers)
}

async fn migrate(zk: &ZkClient, to: OffsetsStorage, timeout_ms: i64) -> Outcome {
    let others = strangers(zk).await.map_err(zk_failed)?;
    if to == OffsetsStorage::ZooKeeper && !others.is_empty() {
        err_line!(
            "Brokers {} are Apache Kafka's, which keep committed offsets in kafka only: replace them first.",
            others.join(", ")
        );
        return Err(Stop::Exit(1));
    }
    match offsets_move::begin(zk, to).await {
        Ok(Begun::UnderWay) => out_line!("Moving committed offsets to {}.", to.name()),
        Ok(Begun::AlreadyThere) => {
            out_line!("Committed offsets are kept in {} already.", to.name());
            return Ok(());
        }
        Ok(Begun::OtherWay(other)) => {
            err_line!(
                "A move to {} is under way: let it end first (kafka-offsets-migrate.sh --to {}).",
                other.name(),
                other.name()
            );
            return Err(Stop::Exit(1));
        }
        Err(NodeError::Zk(ZkError::NoNode { .. })) => {
            err_line!(
                "The cluster has not decided yet where committed offsets are kept: start a broker first."
            );
            return Err(Stop::Exit(1));
        }
        Err(error) => return Err(failed(error)),
    }
    let moved = wait(zk, to, timeout_ms).await?;
    if !offsets_move::finish(zk, to).await.map_err(failed)? {
        err_line!("The record of the storage was changed meanwhile: run the command again.");
        return Err(Stop::Exit(1));
    }
    let what = match moved {
        Some(moved) => {
            let sum = |(g, o), moved: &OffsetsMoved| (g + moved.groups, o + moved.offsets);
            let (groups, offsets) = moved.values().fold((0, 0), sum);
            format!("Moved {offsets} offsets of {groups} groups.")
        }
        None => "The move was ended by another run of this command.".to_string(),
    };
    out_line!(
        "{what} Committed offsets are kept in {}. Remove offsets.storage from the brokers' configuration, or set it to \
         {}, before they are started again.",
        to.name(),
        to.name()
    );
    Ok(())
}

/// Until every partition is marked, or nothing happens for too long. None if the record no longer speaks of this move:
/// who has ended it has taken the marks away.
async fn wait(
    zk: &ZkClient,
    to: OffsetsStorage,
    timeout_ms: i64,
) -> Result<Option<BTreeMap<i32, OffsetsMoved>>, Stop> {
    let mut done = 0;
    let mut progress_ms = clock::monotonic_ms();
    loop {
        if !offsets_move::is_under_way(zk, to).await.map_err(failed)? {
            return Ok(None);
        }
        let all = partitions(zk).await.map_err(failed)?;
        let moved = offsets_move::moved(zk, to).await.map_err(zk_failed)?;
        let missing: Vec<i32> =
            all.iter().filter(|partition| !moved.contains_key(partition)).copied().collect();
        let now_done = all.len() - missing.len();
        if now_done > done {
            out_line!("{now_done} of {} partitions of {GROUP_METADATA_TOPIC} are moved.", all.len());
            (done, progress_ms) = (now_done, clock::monotonic_ms());
        }
        if missing.is_empty() {
            return Ok(Some(moved));
        }
        if clock::monotonic_ms() - progress_ms > timeout_ms {
            err_line!(
                "No partition was moved for {timeout_ms} ms; {} are left: {}. Look into the logs of their leaders. Run \
                 the command again to go on.",
                missing.len(),
                missing.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
            );
            return Err(Stop::Exit(1));
        }
        tokio::time::sleep(LOOK).await;
    }
}
