//! `kafka-verifiable-consumer.sh` (`org.apache.kafka.tools.VerifiableConsumer`): reads a topic as member of a group,
//! and tells of rebalances, records and commits, one JSON object a line.

use super::argparse::{Argument, Kind, Need, Parsed, Parser};
use super::consumer::{
    Consumer, ConsumerRecord, ConsumerSettings, Place, Places, Rebalance, Subscription, is_wakeup,
};
use super::events;
use super::exception::Exception;
use super::{Outcome, output, signals};
use crate::common::{ErrorCode, TopicPartition};
use crate::config::Properties;
use serde_json::{Value, json};

const LOGGER: &str = "org.apache.kafka.tools.VerifiableConsumer";

const PARSER: Parser = Parser {
    program: "verifiable-consumer",
    help: include_str!("usage/2.8.2/verifiable-consumer.txt"),
    arguments: &[
        Argument { flag: "--bootstrap-server", kind: Kind::Text, need: Need::OneOf },
        Argument { flag: "--broker-list", kind: Kind::Text, need: Need::OneOf },
        Argument { flag: "--topic", kind: Kind::Text, need: Need::Required },
        Argument { flag: "--group-id", kind: Kind::Text, need: Need::Required },
        Argument { flag: "--group-instance-id", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--max-messages", kind: Kind::Int, need: Need::Optional },
        Argument { flag: "--session-timeout", kind: Kind::Int, need: Need::Optional },
        Argument { flag: "--verbose", kind: Kind::Flag, need: Need::Optional },
        Argument { flag: "--enable-autocommit", kind: Kind::Flag, need: Need::Optional },
        Argument { flag: "--reset-policy", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--assignment-strategy", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--consumer.config", kind: Kind::Text, need: Need::Optional },
    ],
};

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    if args.is_empty() {
        PARSER.show_help();
        return Ok(());
    }
    let parsed = PARSER.parse(args)?;
    let settings = ConsumerSettings::new(&properties(&parsed)?)?;
    let topic = parsed.value("--topic").unwrap_or_default();
    let mut consumer = Consumer::new(settings, Subscription::Topic(topic.into()))?;
    let waker = consumer.waker();
    let (latch, waker_of_signal) = (signals::Latch::default(), waker.clone());
    signals::on_termination_wait(&latch, move || waker_of_signal.wake());
    print("startup_complete", Vec::new());
    consumer.on_rebalance(Box::new(|event| {
        let (name, partitions) = match event {
            Rebalance::Revoked(partitions) => ("partitions_revoked", partitions),
            Rebalance::Assigned(partitions) => ("partitions_assigned", partitions),
        };
        print(name, vec![("partitions", partitions.iter().map(partition_json).collect())]);
    }));
    let mut task = Task {
        max_messages: parsed.number("--max-messages").filter(|max| *max >= 0),
        consumed: 0,
        is_verbose: parsed.has("--verbose"),
        commits: !parsed.has("--enable-autocommit"),
    };
    if let Err(exception) = task.read(&mut consumer)
        && !is_wakeup(&exception)
    {
        let message = "Error during processing, terminating consumer process: ";
        output::log_error_with(message, LOGGER, &exception);
    }
    consumer.close();
    print("shutdown_complete", Vec::new());
    if waker.is_awake() {
        // The thread of the signal ends the process.
        latch.open();
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

fn print(name: &str, fields: Vec<(&str, Value)>) {
    events::print(name, fields);
    output::flush();
}

fn partition_json(key: &TopicPartition) -> Value {
    json!({"topic": &*key.topic, "partition": key.partition})
}

fn properties(parsed: &Parsed) -> Result<Properties, super::Stop> {
    let mut properties = match parsed.value("--consumer.config") {
        Some(file) => super::load_properties(file).map_err(|error| PARSER.error(error.message_or_null()))?,
        None => Properties::new(),
    };
    properties.set("group.id", parsed.value("--group-id").unwrap_or_default());
    if let Some(id) = parsed.value("--group-instance-id") {
        properties.set("group.instance.id", id);
    }
    let bootstrap = parsed.value("--bootstrap-server").or(parsed.value("--broker-list"));
    properties.set("bootstrap.servers", bootstrap.unwrap_or_default());
    properties.set("enable.auto.commit", parsed.has("--enable-autocommit").to_string());
    properties.set("auto.offset.reset", parsed.value("--reset-policy").unwrap_or("earliest"));
    properties.set("session.timeout.ms", parsed.value("--session-timeout").unwrap_or("30000"));
    let range = "org.apache.kafka.clients.consumer.RangeAssignor";
    properties.set("partition.assignment.strategy", parsed.value("--assignment-strategy").unwrap_or(range));
    Ok(properties)
}

/// What was read of one partition in one poll.
struct Summary {
    key: TopicPartition,
    count: i64,
    min_offset: i64,
    max_offset: i64,
}

struct Task {
    /// `None`: no limit.
    max_messages: Option<i64>,
    consumed: i64,
    is_verbose: bool,
    /// Commits what was read after every poll.
    commits: bool,
}

impl Task {
    fn is_finished(&self) -> bool {
        self.max_messages.is_some_and(|max| self.consumed >= max)
    }

    fn read(&mut self, consumer: &mut Consumer) -> Result<(), Exception> {
        while !self.is_finished() {
            let records = consumer.poll(i64::MAX)?;
            let places = self.take(&records);
            if self.commits {
                commit(consumer, &places)?;
            }
        }
        Ok(())
    }

    /// Tells of records up to the limit; gives where to go on.
    fn take(&mut self, records: &[ConsumerRecord]) -> Places {
        let mut summaries: Vec<Summary> = Vec::new();
        for record in records {
            if self.is_finished() {
                break;
            }
            self.consumed += 1;
            if self.is_verbose {
                print_record(record);
            }
            let known = summaries.iter_mut().find(|summary| {
                summary.key.partition == record.partition && summary.key.topic == record.topic
            });
            match known {
                Some(summary) => {
                    summary.count += 1;
                    summary.max_offset = record.offset;
                }
                None => summaries.push(Summary {
                    key: TopicPartition { topic: record.topic.clone(), partition: record.partition },
                    count: 1,
                    min_offset: record.offset,
                    max_offset: record.offset,
                }),
            }
        }
        let summary_json = |summary: &Summary| {
            json!({
                "topic": &*summary.key.topic,
                "partition": summary.key.partition,
                "count": summary.count,
                "minOffset": summary.min_offset,
                "maxOffset": summary.max_offset,
            })
        };
        let partitions: Value = summaries.iter().map(summary_json).collect();
        print("records_consumed", vec![("count", records.len().into()), ("partitions", partitions)]);
        let place =
            |summary: Summary| (summary.key, Place { offset: summary.max_offset + 1, leader_epoch: None });
        summaries.into_iter().map(place).collect()
    }
}

fn print_record(record: &ConsumerRecord) {
    print(
        "record_data",
        vec![
            ("key", events::text(record.key.as_deref())),
            ("value", events::text(record.value.as_deref())),
            ("topic", (*record.topic).into()),
            ("partition", record.partition.into()),
            ("offset", record.offset.into()),
        ],
    );
}

fn commit(consumer: &mut Consumer, places: &Places) -> Result<(), Exception> {
    let outcome = consumer.commit(places);
    if let Err(exception) = &outcome
        && exception.is(ErrorCode::FencedInstanceId)
    {
        return outcome;
    }
    let place_json = |(key, place): (&TopicPartition, &Place)| json!({"topic": &*key.topic, "partition": key.partition, "offset": place.offset});
    let mut fields = vec![("offsets", places.iter().map(place_json).collect())];
    if let Err(exception) = &outcome {
        fields.push(("error", exception.message.clone().map_or(Value::Null, Value::from)));
    }
    fields.push(("success", outcome.is_ok().into()));
    print("offsets_committed", fields);
    Ok(())
}
