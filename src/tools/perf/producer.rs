//! `kafka-producer-perf-test.sh` (`org.apache.kafka.tools.ProducerPerformance`): sends records as fast as they go,
//! or as fast as it is told, and says how long each took.

use super::java_random::JavaRandom;
use super::stats::Stats;
use crate::common::clock;
use crate::config::Properties;
use crate::tools::argparse::{Argument, Kind, Need, Parsed, Parser, invalid_property};
use crate::tools::exception::Exception;
use crate::tools::producer::{Producer, ProducerRecord, ProducerSettings};
use crate::tools::throttler::Throttler;
use crate::tools::{Outcome, Stop, load_properties};
use crate::tools::{metrics, output};
use bytes::Bytes;
use bytestring::ByteString;
use std::sync::{Arc, Mutex, PoisonError};

const DEFAULT_TRANSACTIONAL_ID: &str = "performance-producer-default-transactional-id";

const PARSER: Parser = Parser {
    program: "producer-performance",
    help: include_str!("../usage/2.8.2/producer-performance.txt"),
    arguments: &[
        Argument { flag: "--topic", kind: Kind::Text, need: Need::Required },
        Argument { flag: "--num-records", kind: Kind::Long, need: Need::Required },
        Argument { flag: "--record-size", kind: Kind::Int, need: Need::OneOf },
        Argument { flag: "--payload-file", kind: Kind::Text, need: Need::OneOf },
        Argument { flag: "--payload-delimiter", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--throughput", kind: Kind::Int, need: Need::Required },
        Argument { flag: "--producer-props", kind: Kind::Many, need: Need::Optional },
        Argument { flag: "--producer.config", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--print-metrics", kind: Kind::Flag, need: Need::Optional },
        Argument { flag: "--transactional-id", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--transaction-duration-ms", kind: Kind::Long, need: Need::Optional },
    ],
};

/// What is sent.
enum Payload {
    /// The same value all the time.
    One(Bytes),
    /// One of these, by chance.
    AnyOf(Vec<Bytes>),
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    if args.is_empty() {
        PARSER.show_help();
        return Ok(());
    }
    let parsed = PARSER.parse(args)?;
    if !parsed.has("--producer-props") && !parsed.has("--producer.config") {
        return Err(PARSER.error("Either --producer-props or --producer.config must be specified."));
    }
    let num_records = parsed.number("--num-records").unwrap_or(0);
    let duration_ms = parsed.number("--transaction-duration-ms").unwrap_or(0);
    let mut random = JavaRandom::new(0);
    let from_file = parsed.value("--payload-file").map(|file| read_payloads(&parsed, file)).transpose()?;
    let properties = properties(&parsed, duration_ms > 0)?;
    let producer = Producer::start(ProducerSettings::new(&properties)?);
    if duration_ms > 0 {
        producer.init_transactions()?;
    }
    let payload = match from_file {
        Some(payloads) => Payload::AnyOf(payloads),
        None => {
            let size = usize::try_from(parsed.number("--record-size").unwrap_or(0)).map_err(|_| {
                let size = parsed.value("--record-size").unwrap_or_default();
                Exception::new("java.lang.NegativeArraySizeException", size)
            })?;
            Payload::One((0..size).map(|_| b'A' + random.below(26) as u8).collect::<Vec<u8>>().into())
        }
    };
    let stats = Arc::new(Mutex::new(Stats::new(num_records)?));
    let test = Test {
        topic: parsed.value("--topic").unwrap_or_default().into(),
        num_records,
        duration_ms,
        throughput: parsed.number("--throughput").unwrap_or(-1),
    };
    test.send_all(&producer, &payload, &mut random, &stats)?;
    let total = || stats.lock().unwrap_or_else(PoisonError::into_inner).total_line(clock::now_ms());
    if parsed.has("--print-metrics") {
        producer.flush();
        out_line!("{}", total());
        metrics::print(&producer.metrics());
        producer.close();
    } else {
        producer.close();
        out_line!("{}", total());
    }
    Ok(())
}

/// Cuts a file into payloads.
fn read_payloads(parsed: &Parsed, file: &str) -> Result<Vec<Bytes>, Stop> {
    let path = std::env::current_dir().unwrap_or_default().join(file);
    out_line!("Reading payloads from: {}", path.display());
    let text = std::fs::read(&path).unwrap_or_default();
    if text.is_empty() {
        return Err(Exception::illegal_argument("File does not exist or empty file provided.").into());
    }
    let text = String::from_utf8_lossy(&text);
    let delimiter = match parsed.value("--payload-delimiter") {
        None | Some("\\n") => "\n",
        Some(delimiter) => delimiter,
    };
    // Java takes it for a regular expression.
    let delimiter = regex::Regex::new(delimiter)
        .map_err(|error| Exception::new("java.util.regex.PatternSyntaxException", error.to_string()))?;
    let mut payloads: Vec<Bytes> =
        delimiter.split(&text).map(|payload| Bytes::copy_from_slice(payload.as_bytes())).collect();
    while payloads.len() > 1 && payloads.last().is_some_and(Bytes::is_empty) {
        payloads.pop();
    }
    out_line!("Number of messages read: {}", payloads.len());
    Ok(payloads)
}

fn properties(parsed: &Parsed, is_transactional: bool) -> Result<Properties, Stop> {
    let mut properties = match parsed.value("--producer.config") {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    for word in parsed.values("--producer-props") {
        // Java's `split` drops empty texts at the end.
        let pieces: Vec<&str> = word.trim_end_matches('=').split('=').collect();
        let [key, value] = pieces.as_slice() else { return Err(invalid_property(word).into()) };
        properties.set(*key, *value);
    }
    if is_transactional {
        let id = parsed.value("--transactional-id").unwrap_or(DEFAULT_TRANSACTIONAL_ID);
        properties.set("transactional.id", id);
    }
    Ok(properties)
}

struct Test {
    topic: ByteString,
    num_records: i64,
    /// Age at which a transaction is committed; 0: none.
    duration_ms: i64,
    throughput: i64,
}

impl Test {
    fn send_all(
        &self,
        producer: &Producer,
        payload: &Payload,
        random: &mut JavaRandom,
        stats: &Arc<Mutex<Stats>>,
    ) -> Result<(), Exception> {
        let mut throttler = Throttler::new(self.throughput);
        let mut transaction_start_ms = None;
        for i in 0..self.num_records {
            if self.duration_ms > 0 && transaction_start_ms.is_none() {
                producer.begin_transaction()?;
                transaction_start_ms = Some(clock::now_ms());
            }
            let value = match payload {
                Payload::One(value) => value.clone(),
                Payload::AnyOf(values) => {
                    values[random.below(i32::try_from(values.len()).unwrap_or(i32::MAX)) as usize].clone()
                }
            };
            let sent_ms = clock::now_ms();
            self.send(producer, value, i, sent_ms, stats);
            if let Some(start_ms) = transaction_start_ms
                && self.duration_ms <= sent_ms - start_ms
            {
                producer.commit_transaction()?;
                transaction_start_ms = None;
            }
            // With a throughput of 0 Kafka's tool sends one record and waits for its end.
            while throttler.should_throttle(i) {
                throttler.throttle();
                if !throttler.is_closed() {
                    break;
                }
            }
        }
        if transaction_start_ms.is_some() {
            producer.commit_transaction()?;
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &Producer,
        value: Bytes,
        iteration: i64,
        sent_ms: i64,
        stats: &Arc<Mutex<Stats>>,
    ) {
        let bytes = value.len() as i64;
        let stats = stats.clone();
        let record = ProducerRecord { topic: self.topic.clone(), value: Some(value), ..Default::default() };
        producer.send(
            record,
            Box::new(move |outcome| {
                let now_ms = clock::now_ms();
                let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = stats.record(iteration, now_ms - sent_ms, bytes, now_ms) {
                    out_line!("{line}");
                    output::flush();
                }
                if let Err(exception) = outcome {
                    err_line!("{exception}");
                }
            }),
        );
    }
}
