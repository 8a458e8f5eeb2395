//! `kafka-consumer-perf-test.sh` (`kafka.tools.ConsumerPerformance`): reads so many records and says how fast.

use super::date_format::DateFormat;
use super::fixed;
use crate::common::{clock, random};
use crate::config::Properties;
use crate::tools::consumer::{Consumer, ConsumerSettings, Rebalance, Subscription};
use crate::tools::exception::Exception;
use crate::tools::options::{OptionTable, Options};
use crate::tools::{Outcome, Stop, VERSION, load_properties, metrics, output};
use std::sync::{Arc, Mutex, PoisonError};

const TABLE: &str = include_str!("../usage/2.8.2/kafka-consumer-perf-test.sh.txt");
/// Longest wait of a poll.
const POLL_MS: i64 = 100;
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let table = OptionTable::new(TABLE);
    let usage = table.clone();
    let options = table.parse(args).map_err(|exception| usage.usage(exception.message_or_null()))?;
    if !options.has("bootstrap-server") && !options.has("broker-list") && !options.has("help") {
        return Err(options.usage("Missing required option(s) [bootstrap-server]"));
    }
    if options.has("threads") || options.has("num-fetch-threads") {
        out_line!(
            "WARNING: option [threads] and [num-fetch-threads] have been deprecated and will be ignored by the test"
        );
    }
    if options.is_empty() || options.has("help") {
        return Err(options.usage("This tool helps in performance test for the full zookeeper consumer"));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Err(Stop::Exit(0));
    }
    options.check_required(&["topic", "messages"])?;
    Test::new(&options)?.run()
}

fn properties(options: &Options) -> Result<Properties, Stop> {
    let mut properties = match options.value("consumer.config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    let bootstrap = if options.has("bootstrap-server") { "bootstrap-server" } else { "broker-list" };
    properties.set("bootstrap.servers", options.value(bootstrap)?.unwrap_or_default());
    match options.value("group")? {
        Some(group) => properties.set("group.id", group),
        None => properties.set("group.id", format!("perf-consumer-{}", random::below(100_000))),
    }
    let number = |name: &str, default: i32| -> Result<String, Exception> {
        Ok(options.number::<i32>(name)?.unwrap_or(default).to_string())
    };
    properties.set("receive.buffer.bytes", number("socket-buffer-size", 2 * 1024 * 1024)?);
    properties.set("max.partition.fetch.bytes", number("fetch-size", 1024 * 1024)?);
    let reset = if options.has("from-latest") { "latest" } else { "earliest" };
    properties.set("auto.offset.reset", reset);
    properties.set("check.crcs", "false");
    Ok(properties)
}

/// When the group rebalanced, and how long it took.
#[derive(Default)]
struct Joins {
    begun_ms: i64,
    all_ms: i64,
    /// Since the last report.
    recent_ms: i64,
}

/// What was read.
#[derive(Clone, Copy, Default)]
struct Read {
    messages: i64,
    bytes: i64,
}

struct Test {
    settings: ConsumerSettings,
    topic: String,
    messages: i64,
    timeout_ms: i64,
    interval_ms: i64,
    is_detailed: bool,
    has_header: bool,
    prints_metrics: bool,
    dates: DateFormat,
}

impl Test {
    fn new(options: &Options) -> Result<Test, Stop> {
        let settings = properties(options)?;
        let messages = options.number("messages")?.unwrap_or(0);
        let interval_ms = i64::from(options.number::<i32>("reporting-interval")?.unwrap_or(5_000));
        if interval_ms <= 0 {
            return Err(Exception::illegal_argument("Reporting interval must be greater than 0.").into());
        }
        Ok(Test {
            topic: options.value("topic")?.unwrap_or_default().to_string(),
            messages,
            timeout_ms: options.number("timeout")?.unwrap_or(10_000),
            interval_ms,
            is_detailed: options.has("show-detailed-stats"),
            has_header: !options.has("hide-header"),
            prints_metrics: options.has("print-metrics"),
            dates: DateFormat::new(options.value("date-format")?.unwrap_or("yyyy-MM-dd HH:mm:ss:SSS"))?,
            settings: ConsumerSettings::new(&settings)?,
        })
    }

    fn run(self) -> Outcome {
        if self.has_header {
            let start = if self.is_detailed { "time, threadId" } else { "start.time, end.time" };
            out_line!(
                "{start}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
                 fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
            );
        }
        let subscription = Subscription::Topic(self.topic.as_str().into());
        let mut consumer = Consumer::new(self.settings.clone(), subscription)?;
        let start_ms = clock::now_ms();
        let joins = Arc::new(Mutex::new(Joins { begun_ms: start_ms, ..Joins::default() }));
        let of_listener = joins.clone();
        consumer.on_rebalance(Box::new(move |event| {
            let now = clock::now_ms();
            let mut joins = of_listener.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Rebalance::Revoked(_) => joins.begun_ms = now,
                Rebalance::Assigned(_) => {
                    let took_ms = now - joins.begun_ms;
                    joins.all_ms += took_ms;
                    joins.recent_ms += took_ms;
                }
            }
        }));
        let read = self.consume(&mut consumer, &joins)?;
        let end_ms = clock::now_ms();
        let measured = self.prints_metrics.then(|| consumer.metrics());
        consumer.close();
        let join_ms = joins.lock().unwrap_or_else(PoisonError::into_inner).all_ms;
        if !self.is_detailed {
            self.print_total(start_ms, end_ms, join_ms, read);
        }
        if let Some(measured) = measured {
            metrics::print(&measured);
        }
        Ok(())
    }

    fn consume(&self, consumer: &mut Consumer, joins: &Mutex<Joins>) -> Result<Read, Exception> {
        let mut read = Read::default();
        let mut reported = Read::default();
        let mut now = clock::now_ms();
        let (mut reported_ms, mut consumed_ms) = (now, now);
        while read.messages < self.messages && now - consumed_ms <= self.timeout_ms {
            let records = consumer.poll(POLL_MS)?;
            now = clock::now_ms();
            if !records.is_empty() {
                consumed_ms = now;
            }
            for record in records {
                read.messages += 1;
                let length =
                    |field: &Option<bytes::Bytes>| field.as_ref().map_or(0, bytes::Bytes::len) as i64;
                read.bytes += length(&record.key) + length(&record.value);
                if now - reported_ms >= self.interval_ms {
                    let mut joins = joins.lock().unwrap_or_else(PoisonError::into_inner);
                    let join_ms = std::mem::take(&mut joins.recent_ms);
                    if self.is_detailed {
                        self.print_progress(read, reported, (reported_ms, now), join_ms);
                    }
                    reported_ms = now;
                    reported = read;
                }
            }
        }
        if read.messages < self.messages {
            out_line!(
                "WARNING: Exiting before consuming the expected number of messages: timeout ({} ms) exceeded. You can \
                 use the --timeout option to increase the timeout.",
                self.timeout_ms
            );
        }
        Ok(read)
    }

    fn print_total(&self, start_ms: i64, end_ms: i64, join_ms: i64, read: Read) {
        let elapsed_s = (end_ms - start_ms) as f64 / 1000.0;
        let fetch_ms = end_ms - start_ms - join_ms;
        let fetch_s = fetch_ms as f64 / 1000.0;
        let megabytes = read.bytes as f64 / MEGABYTE;
        let messages = read.messages as f64;
        out_line!(
            "{}, {}, {}, {}, {}, {}, {join_ms}, {fetch_ms}, {}, {}",
            self.dates.format(start_ms),
            self.dates.format(end_ms),
            fixed(megabytes, 4),
            fixed(megabytes / elapsed_s, 4),
            read.messages,
            fixed(messages / elapsed_s, 4),
            fixed(megabytes / fetch_s, 4),
            fixed(messages / fetch_s, 4)
        );
    }

    /// A line about what was read in a span of time.
    fn print_progress(&self, read: Read, before: Read, (start_ms, end_ms): (i64, i64), join_ms: i64) {
        let elapsed_ms = (end_ms - start_ms) as f64;
        let fetch_ms = end_ms - start_ms - join_ms;
        let megabytes = (read.bytes - before.bytes) as f64 / MEGABYTE;
        let messages = (read.messages - before.messages) as f64;
        let per_fetch_second = |amount: f64| match fetch_ms {
            ..=0 => 0.0,
            _ => 1000.0 * amount / fetch_ms as f64,
        };
        out_line!(
            "{}, 0, {}, {}, {}, {}, {join_ms}, {fetch_ms}, {}, {}",
            self.dates.format(end_ms),
            fixed(read.bytes as f64 / MEGABYTE, 4),
            fixed(1000.0 * megabytes / elapsed_ms, 4),
            read.messages,
            fixed(messages / elapsed_ms * 1000.0, 4),
            fixed(per_fetch_second(megabytes), 4),
            fixed(per_fetch_second(messages), 4)
        );
        output::flush();
    }
}
