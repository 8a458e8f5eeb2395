//! `kafka-replica-verification.sh` (`kafka.tools.ReplicaVerificationTool`): reads all replicas of partitions side by side
//! and says where they differ, and how far the reading is behind, until somebody ends it.
//!
//! All brokers must be up when it begins; one that goes away later holds its partitions up until it is back. Different
//! from Kafka: one thread asks all brokers, and then waits for all.

mod compare;

use super::client::connection::Pending;
use super::client::offsets::{LATEST, list_offsets};
use super::client::{Admin, Network};
use super::exception::Exception;
use super::include_list::IncludeList;
use super::output::timestamp;
use super::{Outcome, ShapeChoice, Stop, VERSION};
use crate::common::{BrokerId, Offset, TopicPartition, clock};
use crate::config::properties::Properties;
use crate::protocol::Records;
use crate::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use crate::record::batch::Batches;
use bytestring::ByteString;
use compare::{BatchSeen, Replica, compare};
use std::collections::BTreeMap;

/// "A consumer that may read from any replica."
const DEBUGGING_CONSUMER: i32 = -2;
const NO_SESSION: i32 = -1;
const SETUP_MS: i64 = 60_000;
const ANSWER_MS: i64 = 30_000;

/// What is asked of a broker at a time.
struct Settings {
    bytes_max: i32,
    wait_ms_max: i32,
    report_interval_ms: i64,
}

/// Runs the command; it does not end by itself unless replicas part.
pub fn run(args: &[String]) -> Outcome {
    let text = include_str!("usage/2.8.2/kafka-replica-verification.sh.txt");
    let options = ShapeChoice::of_environment(args).table(text, text).parse(args)?;
    if options.is_empty() || options.has("help") {
        return Err(options.usage("Validate that all replicas for a set of topics have the same data."));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["broker-list"])?;
    let topics = IncludeList::new(options.value("topic-white-list")?.unwrap_or(".*"))?;
    let settings = Settings {
        bytes_max: options.number("fetch-size")?.unwrap_or(1 << 20),
        wait_ms_max: options.number("max-wait-ms")?.unwrap_or(1000),
        report_interval_ms: options.number("report-interval-ms")?.unwrap_or(30_000),
    };
    let time = options.number("time")?.unwrap_or(LATEST);
    let brokers = options.value("broker-list")?.unwrap_or_default();
    options.check_ports(brokers)?;
    let mut admin = Admin::new(brokers, &Properties::new())?;
    let names: Vec<ByteString> =
        admin.list_topics(true)?.into_iter().filter(|name| topics.allows(name, false)).collect();
    if names.is_empty() {
        let option = "[topic-white-list]";
        let why = "if specified, is either filtering out all topics or there is no topic.";
        let line = format!("No topics found. {option} {why}");
        super::output::log(super::output::Level::Error, &line, "kafka.tools.ReplicaVerificationTool$");
        return Err(Stop::Exit(1));
    }
    let mut verifier = Verifier::new(&mut admin, &names, time, settings)?;
    out_line!("{}: verification process is started.", timestamp(clock::now_ms()));
    loop {
        verifier.round(admin.network())?;
    }
}

/// Where everything stands.
struct Verifier {
    settings: Settings,
    replicas: BTreeMap<BrokerId, Vec<TopicPartition>>,
    offsets: BTreeMap<TopicPartition, Offset>,
    reported_ms: i64,
}

impl Verifier {
    fn new(
        admin: &mut Admin,
        names: &[ByteString],
        time: i64,
        settings: Settings,
    ) -> Result<Verifier, Exception> {
        let mut replicas: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
        let mut leaders: BTreeMap<BrokerId, Vec<(ByteString, i32, i64)>> = BTreeMap::new();
        for topic in admin.describe_topics(names)? {
            let name = topic.name;
            for partition in topic.partitions {
                let index = partition.partition_index;
                for id in partition.replica_nodes {
                    replicas.entry(id).or_default().push(TopicPartition::new(name.clone(), index));
                }
                leaders.entry(partition.leader_id).or_default().push((name.clone(), index, time));
            }
        }
        let mut offsets = BTreeMap::new();
        let deadline_ms = clock::monotonic_ms() + SETUP_MS;
        for (leader, asked) in leaders {
            let failed = |what: String| Exception::new("org.apache.kafka.common.KafkaException", what);
            let found = list_offsets(admin.network(), leader, &asked, false, deadline_ms)
                .map_err(|error| failed(format!("Broker {leader} does not tell offsets: {error}")))?;
            for (topic, partition, offset) in found {
                let name = TopicPartition::new(topic, partition);
                let offset =
                    offset.map_err(|code| failed(format!("No offset of {name}: {}", code.name())))?;
                offsets.insert(name, offset.max(0));
            }
        }
        Ok(Verifier { settings, replicas, offsets, reported_ms: clock::now_ms() })
    }

    /// Reads on from all replicas, compares, and reports when that is due.
    fn round(&mut self, network: &mut Network) -> Result<(), Stop> {
        let sent: Vec<(BrokerId, Option<Pending>)> =
            self.replicas.iter().map(|(id, partitions)| (*id, self.ask(network, *id, partitions))).collect();
        let mut fetched: BTreeMap<TopicPartition, Vec<Replica>> = BTreeMap::new();
        let mut silent = false;
        for (id, pending) in sent {
            let response = pending.and_then(|pending| receive(network, id, pending));
            silent |= response.is_none();
            let mut seen = response.map(read).unwrap_or_default();
            for name in &self.replicas[&id] {
                let (high_watermark, batches) = seen.remove(name).unwrap_or((-1, Vec::new()));
                fetched.entry(name.clone()).or_default().push(Replica { id, high_watermark, batches });
            }
        }
        let mut worst: Option<(Offset, TopicPartition, Offset)> = None;
        for (name, replicas) in fetched {
            let Some(offset) = self.offsets.get_mut(&name) else { continue };
            let compared = compare(&name, *offset, &replicas);
            for line in &compared.lines {
                out_line!("{}: partition {line}", timestamp(clock::now_ms()));
            }
            if compared.parted {
                return Err(Stop::Exit(1));
            }
            *offset = compared.next_offset;
            let lag = replicas.iter().map(|replica| replica.high_watermark).max().unwrap_or(-1) - *offset;
            if lag > worst.as_ref().map_or(-1, |(lag, _, _)| *lag) {
                worst = Some((lag, name, *offset));
            }
        }
        self.report(worst);
        if silent {
            std::thread::sleep(std::time::Duration::from_millis(self.settings.wait_ms_max.max(0) as u64));
        }
        Ok(())
    }

    fn ask(&self, network: &mut Network, id: BrokerId, partitions: &[TopicPartition]) -> Option<Pending> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for name in partitions {
            if topics.last().is_none_or(|topic| topic.topic != name.topic) {
                topics.push(FetchTopic { topic: name.topic.clone(), ..Default::default() });
            }
            topics.last_mut()?.partitions.push(FetchPartition {
                partition: name.partition,
                fetch_offset: *self.offsets.get(name)?,
                log_start_offset: 0,
                partition_max_bytes: self.settings.bytes_max,
                ..Default::default()
            });
        }
        let request = FetchRequest {
            replica_id: DEBUGGING_CONSUMER,
            max_wait_ms: self.settings.wait_ms_max,
            min_bytes: 1,
            session_epoch: NO_SESSION,
            topics,
            ..Default::default()
        };
        let connection = network.node(id, clock::monotonic_ms() + ANSWER_MS)?;
        let sent = connection.send(&request).ok();
        if sent.is_none() {
            network.disconnect(id);
        }
        sent
    }

    fn report(&mut self, worst: Option<(Offset, TopicPartition, Offset)>) {
        let now_ms = clock::now_ms();
        if now_ms - self.reported_ms <= self.settings.report_interval_ms {
            return;
        }
        self.reported_ms = now_ms;
        let (lag, name, offset) = match worst {
            Some((lag, name, offset)) => (lag, name.to_string(), offset),
            None => (-1, "null".to_string(), -1),
        };
        let (now, count) = (timestamp(now_ms), self.offsets.len());
        out_line!("{now}: max lag is {lag} for partition {name} at offset {offset} among {count} partitions");
    }
}

fn receive(network: &mut Network, id: BrokerId, pending: Pending) -> Option<FetchResponse> {
    let answer = network.connected(id)?.receive::<FetchRequest>(pending, ANSWER_MS).ok();
    if answer.is_none() {
        network.disconnect(id);
    }
    answer
}

/// High watermark and whole batches, by partition.
fn read(response: FetchResponse) -> BTreeMap<TopicPartition, (Offset, Vec<BatchSeen>)> {
    let mut seen = BTreeMap::new();
    for topic in response.responses {
        for partition in topic.partition_responses {
            let bytes = match partition.record_set {
                Some(Records::Memory(bytes)) => bytes,
                _ => bytes::Bytes::new(),
            };
            let batch = |(info, _): (crate::record::batch::BatchInfo, &[u8])| BatchSeen {
                last_offset: info.last_offset(),
                checksum: info.crc,
            };
            let batches = Batches::new(&bytes).map_while(Result::ok).map(batch).collect();
            let name = TopicPartition::new(topic.topic.clone(), partition.partition);
            seen.insert(name, (partition.high_watermark, batches));
        }
    }
    seen
}
