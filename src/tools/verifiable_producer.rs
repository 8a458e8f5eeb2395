//! `kafka-verifiable-producer.sh` (`org.apache.kafka.tools.VerifiableProducer`): sends numbers, and says of each
//! whether and where it came to stand, one JSON object a line.

use super::argparse::{Argument, Kind, Need, Parsed, Parser};
use super::events;
use super::exception::Exception;
use super::producer::{Producer, ProducerRecord, ProducerSettings};
use super::throttler::Throttler;
use super::{Outcome, output, signals};
use crate::common::clock;
use crate::config::Properties;
use crate::config::double_text;
use bytestring::ByteString;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const PARSER: Parser = Parser {
    program: "verifiable-producer",
    help: include_str!("usage/2.8.2/verifiable-producer.txt"),
    arguments: &[
        Argument { flag: "--topic", kind: Kind::Text, need: Need::Required },
        Argument { flag: "--bootstrap-server", kind: Kind::Text, need: Need::OneOf },
        Argument { flag: "--broker-list", kind: Kind::Text, need: Need::OneOf },
        Argument { flag: "--max-messages", kind: Kind::Int, need: Need::Optional },
        Argument { flag: "--throughput", kind: Kind::Int, need: Need::Optional },
        Argument { flag: "--acks", kind: Kind::IntOf(&[0, 1, -1]), need: Need::Optional },
        Argument { flag: "--producer.config", kind: Kind::Text, need: Need::Optional },
        Argument { flag: "--message-create-time", kind: Kind::Long, need: Need::Optional },
        Argument { flag: "--value-prefix", kind: Kind::Int, need: Need::Optional },
        Argument { flag: "--repeating-keys", kind: Kind::Int, need: Need::Optional },
    ],
};

/// What the sending loop, the answers and a signal share.
struct Run {
    producer: Producer,
    start_ms: i64,
    throughput: i64,
    sent: AtomicI64,
    acked: Arc<AtomicI64>,
    is_stopped: AtomicBool,
    is_ended: Mutex<bool>,
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    if args.is_empty() {
        PARSER.show_help();
        return Ok(());
    }
    let parsed = PARSER.parse(args)?;
    let settings = ProducerSettings::new(&properties(&parsed)?)?;
    // Before the producer's thread starts: signals are for one thread only.
    let slot: Arc<Mutex<Option<Arc<Run>>>> = Arc::default();
    let of_signal = slot.clone();
    signals::on_termination(move || {
        let run = of_signal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(run) = run {
            run.end();
        }
    });
    let run = Arc::new(Run {
        producer: Producer::start(settings),
        start_ms: clock::now_ms(),
        throughput: parsed.number("--throughput").unwrap_or(-1),
        sent: AtomicI64::new(0),
        acked: Arc::default(),
        is_stopped: AtomicBool::new(false),
        is_ended: Mutex::new(false),
    });
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
    events::print("startup_complete", Vec::new());
    output::flush();
    run.send_all(&parsed);
    if run.is_stopped.load(Ordering::SeqCst) {
        // The thread of the signal ends the process.
        loop {
            std::thread::park();
        }
    }
    run.end();
    Ok(())
}

fn properties(parsed: &Parsed) -> Result<Properties, super::Stop> {
    let mut properties = Properties::new();
    let bootstrap = parsed.value("--bootstrap-server").or(parsed.value("--broker-list"));
    properties.set("bootstrap.servers", bootstrap.unwrap_or_default());
    properties.set("acks", parsed.value("--acks").unwrap_or("-1"));
    properties.set("retries", "0");
    if let Some(file) = parsed.value("--producer.config") {
        let from_file =
            super::load_properties(file).map_err(|error| PARSER.error(error.message_or_null()))?;
        for (key, value) in from_file.iter() {
            properties.set(key, value);
        }
    }
    Ok(properties)
}

impl Run {
    fn send_all(&self, parsed: &Parsed) {
        let topic: ByteString = parsed.value("--topic").unwrap_or_default().into();
        let max_messages = match parsed.number("--max-messages").unwrap_or(-1) {
            ..0 => i64::MAX,
            max => max,
        };
        let prefix = parsed.number("--value-prefix");
        let repeating_keys = parsed.number("--repeating-keys");
        let mut create_time = parsed.number("--message-create-time").filter(|time| *time != -1);
        let mut key_counter = 0;
        let mut throttler = Throttler::new(self.throughput);
        for i in 0..max_messages {
            if self.is_stopped.load(Ordering::SeqCst) {
                break;
            }
            let key = repeating_keys.map(|keys| {
                let key = key_counter;
                key_counter = if key + 1 == keys { 0 } else { key + 1 };
                key.to_string()
            });
            let value = prefix.map_or_else(|| i.to_string(), |prefix| format!("{prefix}.{i}"));
            self.send(&topic, key, value, create_time);
            if let Some(time) = &mut create_time {
                *time += clock::now_ms() - self.start_ms;
            }
            while throttler.should_throttle(i) && !self.is_stopped.load(Ordering::SeqCst) {
                throttler.throttle();
                if !throttler.is_closed() {
                    break;
                }
            }
        }
    }

    fn send(&self, topic: &ByteString, key: Option<String>, value: String, timestamp_ms: Option<i64>) {
        self.sent.fetch_add(1, Ordering::SeqCst);
        let record = ProducerRecord {
            topic: topic.clone(),
            key: key.clone().map(Into::into),
            value: Some(value.clone().into()),
            timestamp_ms,
            ..Default::default()
        };
        let (topic, acked) = (topic.to_string(), self.acked.clone());
        self.producer.send(
            record,
            Box::new(move |outcome| {
                let key = key.map_or(Value::Null, Value::from);
                let about = vec![("key", key), ("value", value.into())];
                match outcome {
                    Ok(place) => {
                        acked.fetch_add(1, Ordering::SeqCst);
                        let place = [
                            ("offset", Value::from(place.offset)),
                            ("partition", place.partition.into()),
                            ("topic", topic.into()),
                        ];
                        events::print("producer_send_success", about.into_iter().chain(place).collect());
                    }
                    Err(exception) => {
                        let why = failure(&topic, &exception);
                        events::print("producer_send_error", about.into_iter().chain(why).collect());
                    }
                }
                output::flush();
            }),
        );
    }

    /// Sends what waits, and sums up; once.
    fn end(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        let mut is_ended = self.is_ended.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *is_ended, true) {
            return;
        }
        self.producer.close();
        events::print("shutdown_complete", Vec::new());
        let acked = self.acked.load(Ordering::SeqCst);
        let elapsed_ms = (clock::now_ms() - self.start_ms) as f64;
        let throughput = 1000.0 * (acked as f64 / elapsed_ms);
        // Jackson quotes what is no number.
        let throughput = if throughput.is_finite() {
            double_text(throughput)
        } else {
            format!("\"{}\"", double_text(throughput))
        };
        out_line!(
            "{{\"timestamp\":{},\"name\":\"tool_data\",\"sent\":{},\"acked\":{acked},\"target_throughput\":{},\
             \"avg_throughput\":{throughput}}}",
            clock::now_ms(),
            self.sent.load(Ordering::SeqCst),
            self.throughput
        );
        output::flush();
    }
}

fn failure(topic: &str, exception: &Exception) -> Vec<(&'static str, Value)> {
    vec![
        ("exception", format!("class {}", exception.class).into()),
        ("message", exception.message.clone().map_or(Value::Null, Value::from)),
        ("topic", topic.into()),
    ]
}
