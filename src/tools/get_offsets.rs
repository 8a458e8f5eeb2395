//! `kafka.tools.GetOffsetShell`: where the partitions of a topic begin, end, or stood at a time.
//!
//! The 1.1.1 shape differs in its texts only; like 2.8.2 it asks for one offset, whatever `--offsets` says.

use super::client::network::Network;
use super::client::offsets::{EARLIEST, LATEST, list_offsets};
use super::consumer::ConsumerSettings;
use super::exception::{Exception, is_retriable};
use super::options::Options;
use super::{Outcome, Shape, ShapeChoice, Stop};
use crate::common::{BrokerId, ErrorCode, Offset, clock};
use crate::config::Properties;
use crate::protocol::messages::metadata::MetadataResponseTopic;
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::time::Duration;

const CLIENT_ID: &str = "GetOffsetShell";
/// `default.api.timeout.ms`
const API_TIMEOUT_MS: i64 = 60_000;

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("usage/1.1.1/kafka.tools.GetOffsetShell.txt"),
        include_str!("usage/2.8.2/kafka.tools.GetOffsetShell.txt"),
    );
    if args.is_empty() {
        return Err(table.usage(match choice.shape {
            Shape::V1_1_1 => "An interactive shell for getting consumer offsets.",
            Shape::V2_8_2 => "An interactive shell for getting topic offsets.",
        }));
    }
    let options = table.parse(args)?;
    options.check_required(&["broker-list", "topic"])?;
    let brokers = options.value("broker-list")?.unwrap_or_default();
    options.check_ports(brokers)?;
    let topic = options.value("topic")?.unwrap_or_default();
    let wanted = partitions(&options)?;
    let time = options.number::<i64>("time")?.unwrap_or(LATEST);
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", brokers);
    properties.set("client.id", CLIENT_ID);
    let network = Network::new(ConsumerSettings::new(&properties)?.client);
    let deadline_ms = clock::monotonic_ms() + API_TIMEOUT_MS;
    let mut shell = Shell { network, topic: topic.into(), deadline_ms };
    let found = shell.find(&wanted, choice.shape)?;
    let offsets = shell.offsets(found, time)?;
    for (partition, offset) in offsets {
        let text = offset.map_or_else(String::new, |offset| offset.to_string());
        out_line!("{topic}:{partition}:{text}");
    }
    Ok(())
}

/// The partitions of `--partitions`, each once.
fn partitions(options: &Options) -> Result<Vec<i32>, Stop> {
    let list = options.value("partitions")?.unwrap_or_default();
    let mut wanted = Vec::new();
    for word in list.trim_end_matches(',').split(',').filter(|_| !list.is_empty()) {
        let Ok(partition) = word.parse::<i32>() else {
            err_line!(
                "--partitions expects a comma separated list of numeric partition ids, but received: {list}"
            );
            return Err(Stop::Exit(1));
        };
        if !wanted.contains(&partition) {
            wanted.push(partition);
        }
    }
    Ok(wanted)
}

struct Shell {
    network: Network,
    topic: ByteString,
    deadline_ms: i64,
}

impl Shell {
    /// The wanted partitions that have a leader, in order. Says which have none and which are not there.
    fn find(&mut self, wanted: &[i32], shape: Shape) -> Result<Vec<i32>, Stop> {
        let topic = self.describe()?.filter(|topic| !topic.partitions.is_empty());
        let Some(topic) = topic else {
            match shape {
                Shape::V1_1_1 => err_line!(
                    "Error: no valid topic metadata for topic: {},  probably the topic does not exist, run \
                     kafka-list-topic.sh to verify",
                    self.topic
                ),
                Shape::V2_8_2 => err_line!("Topic {} does not exist", self.topic),
            }
            return Err(Stop::Exit(1));
        };
        let mut there: Vec<(i32, BrokerId)> =
            topic.partitions.iter().map(|found| (found.partition_index, found.leader_id)).collect();
        there.sort_unstable();
        let missing: Vec<i32> =
            wanted.iter().copied().filter(|id| there.iter().all(|(there, _)| there != id)).collect();
        if shape == Shape::V2_8_2 && !wanted.is_empty() && missing.len() == wanted.len() {
            let list = wanted.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
            err_line!("Topic {} does not have any of the requested partitions {list}", self.topic);
            return Err(Stop::Exit(1));
        }
        for partition in missing {
            err_line!("Error: partition {partition} does not exist");
        }
        there.retain(|(id, _)| wanted.is_empty() || wanted.contains(id));
        for (partition, _) in there.iter().filter(|(_, leader)| *leader < 0) {
            err_line!("Error: partition {partition} does not have a leader. Skip getting offsets");
        }
        Ok(there.into_iter().filter(|(_, leader)| *leader >= 0).map(|(id, _)| id).collect())
    }

    /// What the cluster says of the topic, asked for among all topics so that nothing is created.
    fn describe(&mut self) -> Result<Option<MetadataResponseTopic>, Exception> {
        loop {
            let Some(response) = self.network.metadata(None, false, self.deadline_ms) else {
                return Err(Exception::timeout("Timeout expired while fetching topic metadata"));
            };
            let topic = response.topics.into_iter().find(|topic| topic.name == self.topic);
            let code = topic.as_ref().map_or(ErrorCode::None, |topic| ErrorCode::from_code(topic.error_code));
            match code {
                ErrorCode::None => return Ok(topic),
                ErrorCode::UnknownTopicOrPartition => return Ok(None),
                code if is_retriable(code) => self.pause("Timeout expired while fetching topic metadata")?,
                code => return Err(Exception::of_error(code, None)),
            }
        }
    }

    /// The offset of each partition, none where nothing is as young as `time`.
    fn offsets(
        &mut self,
        partitions: Vec<i32>,
        time: i64,
    ) -> Result<BTreeMap<i32, Option<Offset>>, Exception> {
        if let (Some(first), true) = (partitions.first(), time < EARLIEST) {
            return Err(Exception::illegal_argument(format!(
                "The target time for partition {}-{first} is {time}. The target time cannot be negative.",
                self.topic
            )));
        }
        let mut offsets = BTreeMap::new();
        let mut open = partitions;
        while !open.is_empty() {
            let leaders = self.leaders()?;
            let mut by_leader: BTreeMap<BrokerId, Vec<(ByteString, i32, i64)>> = BTreeMap::new();
            for partition in &open {
                if let Some(leader) = leaders.get(partition).filter(|leader| **leader >= 0) {
                    by_leader.entry(*leader).or_default().push((self.topic.clone(), *partition, time));
                }
            }
            for (leader, asked) in by_leader {
                let Ok(found) = list_offsets(&mut self.network, leader, &asked, false, self.deadline_ms)
                else {
                    continue;
                };
                for (_, partition, outcome) in found {
                    if let Some(offset) = self.settle(outcome)? {
                        offsets.insert(partition, offset);
                    }
                }
            }
            open.retain(|partition| !offsets.contains_key(partition));
            if !open.is_empty() {
                self.pause(&format!("Failed to get offsets by times in {API_TIMEOUT_MS}ms"))?;
            }
        }
        Ok(offsets)
    }

    /// The offset of an answer, if asking again is of no use; -1 says that there is none.
    fn settle(&self, outcome: Result<Offset, ErrorCode>) -> Result<Option<Option<Offset>>, Exception> {
        match outcome {
            Ok(offset) => Ok(Some(Some(offset).filter(|offset| *offset >= 0))),
            Err(ErrorCode::UnsupportedForMessageFormat) => Ok(Some(None)),
            Err(code) if is_retriable(code) => Ok(None),
            Err(code @ ErrorCode::TopicAuthorizationFailed) => {
                let message = format!("Not authorized to access topics: [{}]", self.topic);
                Err(Exception::of_error(code, Some(&message)))
            }
            Err(code) => Err(Exception::of_error(code, None)),
        }
    }

    fn leaders(&mut self) -> Result<BTreeMap<i32, BrokerId>, Exception> {
        let partitions = self.describe()?.map(|topic| topic.partitions).unwrap_or_default();
        Ok(partitions.iter().map(|found| (found.partition_index, found.leader_id)).collect())
    }

    /// Waits before the next attempt, or gives up.
    fn pause(&self, message: &str) -> Result<(), Exception> {
        if clock::monotonic_ms() >= self.deadline_ms {
            return Err(Exception::timeout(message));
        }
        std::thread::sleep(Duration::from_millis(self.network.settings().retry_backoff_ms.max(0) as u64));
        Ok(())
    }
}
