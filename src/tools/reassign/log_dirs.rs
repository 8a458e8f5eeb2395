//! Moves of replicas between the log directories of their brokers (KIP-113).

use super::plan::LogDirs;
use super::{Failure, failed, plural};
use crate::common::{BrokerId, ErrorCode, TopicPartition, clock};
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// `--timeout` if it is not given.
pub const TIMEOUT_MS: i64 = 10_000;
/// Between attempts to start moves.
const RETRY: Duration = Duration::from_millis(100);

/// Where a replica lies: its directory, and the one it moves to.
type Place = (Option<String>, Option<String>);

fn places(
    admin: &mut Admin,
    wanted: &LogDirs,
) -> Result<BTreeMap<(BrokerId, TopicPartition), Place>, Exception> {
    let brokers: BTreeSet<BrokerId> = wanted.keys().map(|(broker, _)| *broker).collect();
    let mut places: BTreeMap<(BrokerId, TopicPartition), Place> =
        wanted.keys().map(|replica| (replica.clone(), (None, None))).collect();
    for broker in brokers {
        for dir in admin.describe_log_dirs(broker, None)? {
            for topic in &dir.topics {
                for partition in &topic.partitions {
                    let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
                    let Some(place) = places.get_mut(&(broker, tp)) else { continue };
                    let path = Some(dir.log_dir.to_string());
                    if partition.is_future_key {
                        place.1 = path;
                    } else {
                        place.0 = path;
                    }
                }
            }
        }
    }
    Ok(places)
}

/// Says how far the moves are; true if one is under way. One empty line if there are none.
pub fn verify(admin: &mut Admin, wanted: &LogDirs) -> Result<bool, Exception> {
    if wanted.is_empty() {
        out_line!("");
        return Ok(false);
    }
    let mut is_moving = false;
    for ((broker, tp), place) in places(admin, wanted)? {
        let Some(target) = wanted.get(&(broker, tp.clone())) else { continue };
        match place {
            (None, _) => {
                is_moving = true;
                out_line!(
                    "Partition {tp} is not found in any live log dir on broker {broker}. There is likely an offline \
                     log directory on the broker."
                );
            }
            (Some(current), None) if current == *target => {
                out_line!("Reassignment of replica {tp}-{broker} completed successfully.");
            }
            (Some(current), None) => {
                out_line!(
                    "Partition {tp} on broker {broker} is not being moved from log dir {current} to {target}."
                );
            }
            (Some(_), Some(future)) => {
                is_moving = true;
                if future == *target {
                    out_line!("Reassignment of replica {tp}-{broker} is still in progress.");
                } else {
                    out_line!(
                        "Partition {tp} on broker {broker} is being moved to log dir {future} instead of {target}."
                    );
                }
            }
        }
    }
    Ok(is_moving)
}

/// Starts the moves. A replica that is not there yet is waited for.
pub fn execute(admin: &mut Admin, mut pending: LogDirs, timeout_ms: i64) -> Result<(), Failure> {
    let deadline_ms = clock::monotonic_ms() + timeout_ms;
    while !pending.is_empty() {
        let mut started = Vec::new();
        for ((broker, tp), result) in admin.alter_replica_log_dirs(&pending)? {
            match result {
                Ok(()) => started.push((broker, tp)),
                Err(error) if error.is(ErrorCode::ReplicaNotAvailable) => {}
                Err(error) => {
                    return Err(failed(format!("Failed to alter dir for {tp}-{broker}"))
                        .caused_by(error)
                        .into());
                }
            }
        }
        let names = |replicas: &mut dyn Iterator<Item = &(BrokerId, TopicPartition)>| {
            replicas.map(|(broker, tp)| format!("{tp}-{broker}")).collect::<Vec<_>>()
        };
        started.sort();
        if !started.is_empty() {
            out_line!(
                "Successfully started log directory move{} for: {}",
                plural(started.len()),
                json::joined(&names(&mut started.iter()), ",")
            );
        }
        pending.retain(|replica, _| !started.contains(replica));
        if pending.is_empty() {
            break;
        }
        if clock::monotonic_ms() >= deadline_ms {
            return Err(Failure::Terse(format!(
                "Timed out before log directory move{} could be started for: {}",
                plural(pending.len()),
                json::joined(&names(&mut pending.keys()), ",")
            )));
        }
        std::thread::sleep(RETRY);
    }
    Ok(())
}

/// Moves back what is on its way.
pub fn cancel(admin: &mut Admin, wanted: &LogDirs, timeout_ms: i64) -> Result<(), Failure> {
    let mut back = LogDirs::new();
    if !wanted.is_empty() {
        for (replica, place) in places(admin, wanted)? {
            if let (Some(current), Some(_)) = place {
                back.insert(replica, current);
            }
        }
    }
    if back.is_empty() {
        out_line!("None of the specified partition moves are active.");
        return Ok(());
    }
    execute(admin, back, timeout_ms)
}
