//! `kafka-console-consumer.sh` (`kafka.tools.ConsoleConsumer`): writes records to stdout.
//!
//! It reads as a member of the group it is told, or of one of its own; a partition that is named is read without
//! any. With `--zookeeper` it is an old consumer ([`old`]).

mod formatter;
mod old;

use super::console_producer::key_values;
use super::consumer::{Consumer, ConsumerRecord, ConsumerSettings, Start, Subscription, is_wakeup};
use super::exception::Exception;
use super::include_list::IncludeList;
use super::options::Options;
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION, load_properties, output, signals};
use crate::common::{TopicPartition, random};
use crate::config::Properties;
use formatter::Formatter;
use std::collections::BTreeSet;
use std::io::Write;

const LOGGER: &str = "kafka.tools.ConsoleConsumer$";
/// Text is written in pieces of this size, so that what was counted was written.
const CHUNK_BYTES: usize = 16 * 1024;

/// A checked command line.
struct Config {
    properties: Properties,
    subscription: Subscription,
    formatter: Formatter,
    /// -1: no limit.
    max_messages: i64,
    timeout_ms: i64,
    skips_errors: bool,
    logs_events: bool,
    shape: Shape,
    /// With `--zookeeper`.
    old: Option<old::OldConfig>,
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka-console-consumer.sh.txt"),
        include_str!("../usage/2.8.2/kafka-console-consumer.sh.txt"),
    );
    let usage = table.clone();
    let help = match choice.shape {
        Shape::V1_1_1 => {
            "The console consumer is a tool that reads data from Kafka and outputs it to standard output."
        }
        Shape::V2_8_2 => "This tool helps to read data from Kafka topics and outputs it to standard output.",
    };
    if choice.shape == Shape::V1_1_1 && args.is_empty() {
        return Err(usage.usage(help));
    }
    let options = table.parse(args).map_err(|exception| usage.usage(exception.message_or_null()))?;
    if options.is_empty() || options.has("help") {
        return Err(usage.usage(help));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Err(Stop::Exit(0));
    }
    let mut config = configure(&options, choice.shape)?;
    if let Some(old) = config.old.take() {
        return old::consume(config, old);
    }
    consume(config).map_err(|exception| {
        output::log_error_with("Unknown error when running consumer: ", LOGGER, &exception);
        Stop::Exit(1)
    })
}

fn configure(options: &Options, shape: Shape) -> Result<Config, Stop> {
    let mut properties = match options.value("consumer.config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    let extra = key_values(options.values("consumer-property"));
    let partition: Option<i32> = options.number("partition")?;
    let formatter = formatter(options)?;
    let max_messages = options.number::<i32>("max-messages")?.map_or(-1, i64::from);
    let timeout_ms = options.number::<i32>("timeout-ms")?.map_or(-1, i64::from);
    let config = Config {
        properties: Properties::new(),
        subscription: Subscription::Assigned(Vec::new()),
        formatter,
        max_messages,
        timeout_ms: if timeout_ms >= 0 { timeout_ms } else { i64::MAX },
        skips_errors: options.has("skip-message-on-error"),
        logs_events: options.has("enable-systest-events"),
        shape,
        old: None,
    };
    if ["csv-reporter-enabled", "metrics-dir"].iter().any(|name| options.has(name)) {
        err_line!("This consumer keeps no metrics: --csv-reporter-enabled and --metrics-dir write no files.");
    }
    if options.has("zookeeper") {
        return Ok(Config { old: Some(old::configure(options, properties, extra)?), ..config });
    }
    if options.has("topic") == options.has("whitelist") {
        return Err(options.usage("Exactly one of whitelist/topic is required."));
    }
    let start = check_place(options, partition)?;
    options.check_required(&["bootstrap-server"])?;
    let has_group = take_group(options, &mut properties, &extra, shape)?;
    if has_group && partition.is_some() && shape == Shape::V2_8_2 {
        return Err(options.usage("Options group and partition cannot be specified together."));
    }
    for (key, value) in extra {
        properties.set(key, value);
    }
    take_reset(options, &mut properties)?;
    properties.set("bootstrap.servers", options.value("bootstrap-server")?.unwrap_or_default());
    match options.value("isolation-level")? {
        Some(level) => properties.set("isolation.level", level),
        None if properties.get("isolation.level").is_none() => {
            properties.set("isolation.level", "read_uncommitted")
        }
        None => {}
    }
    let subscription = match (options.value("topic")?, partition) {
        (Some(topic), Some(partition)) => {
            Subscription::Assigned(vec![(TopicPartition::new(topic, partition), start)])
        }
        (Some(topic), None) => Subscription::Topic(topic.into()),
        (None, _) => {
            Subscription::Matching(IncludeList::new(options.value("whitelist")?.unwrap_or_default())?)
        }
    };
    Ok(Config { properties, subscription, ..config })
}

fn formatter(options: &Options) -> Result<Formatter, Exception> {
    let class = options.value("formatter")?.unwrap_or("kafka.tools.DefaultMessageFormatter");
    let mut properties = key_values(options.values("property"));
    for side in ["key", "value"] {
        if let Some(class) = options.value(&format!("{side}-deserializer"))?.filter(|class| !class.is_empty())
        {
            properties.push((format!("{side}.deserializer"), class.to_string()));
        }
    }
    Formatter::new(class, properties.into_iter().collect())
}

/// Checks `--partition`, `--offset` and `--from-beginning` against each other.
fn check_place(options: &Options, partition: Option<i32>) -> Result<Start, Stop> {
    let from_beginning = options.has("from-beginning");
    if partition.is_some() {
        if !options.has("topic") {
            return Err(options.usage("The topic is required when partition is specified."));
        }
        if from_beginning && options.has("offset") {
            return Err(options.usage("Options from-beginning and offset cannot be specified together."));
        }
    } else if options.has("offset") {
        return Err(options.usage("The partition is required when offset is specified."));
    }
    let Some(offset) = options.value("offset")? else {
        return Ok(if from_beginning { Start::Earliest } else { Start::Latest });
    };
    match offset.to_lowercase().as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        text => match text.parse() {
            Ok(offset @ 0..) => Ok(Start::At(offset)),
            _ => Err(options.usage(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                 non-negative long."
            ))),
        },
    }
}

/// Settles the group's name. True if the user gave one.
fn take_group(
    options: &Options,
    properties: &mut Properties,
    extra: &[(String, String)],
    shape: Shape,
) -> Result<bool, Stop> {
    let given = group_given(options, properties, extra)?;
    if options.has("new-consumer") && shape == Shape::V1_1_1 {
        err_line!(
            "The --new-consumer option is deprecated and will be removed in a future major release.The new \
             consumer is used by default if the --bootstrap-server option is provided."
        );
    }
    match given {
        Some(group) => {
            properties.set("group.id", group.as_str());
            Ok(true)
        }
        None => {
            properties.set("group.id", format!("console-consumer-{}", random::below(100_000)));
            // Nobody will ask for the offsets of a group that has its name by chance.
            if shape == Shape::V2_8_2 && properties.get("enable.auto.commit").is_none() {
                properties.set("enable.auto.commit", "false");
            }
            Ok(false)
        }
    }
}

/// The group that the user names, in one place or several.
fn group_given(
    options: &Options,
    properties: &Properties,
    extra: &[(String, String)],
) -> Result<Option<String>, Stop> {
    let from_extra = extra.iter().find(|(key, _)| key == "group.id").map(|(_, value)| value.as_str());
    let all = [options.value("group")?, properties.get("group.id"), from_extra];
    let mut given: Vec<String> = all.into_iter().flatten().map(str::to_string).collect();
    given.dedup();
    if given.iter().any(|group| *group != given[0]) {
        let list = given.iter().map(|group| format!("'{group}'")).collect::<Vec<_>>().join(", ");
        return Err(options.usage(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or \
             via '--consumer.config') do not match. Detected group ids: {list}"
        )));
    }
    Ok(given.into_iter().next())
}

/// `auto.offset.reset`: a property, else by `--from-beginning`.
fn take_reset(options: &Options, properties: &mut Properties) -> Result<(), Stop> {
    let from_beginning = options.has("from-beginning");
    match properties.get("auto.offset.reset") {
        Some(reset) if from_beginning && reset != "earliest" => {
            err_line!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one \
                 option"
            );
            return Err(Stop::Exit(1));
        }
        Some(_) => {}
        None => properties.set("auto.offset.reset", if from_beginning { "earliest" } else { "latest" }),
    }
    Ok(())
}

fn consume(config: Config) -> Result<(), Exception> {
    let settings = ConsumerSettings::new(&config.properties)?;
    let mut consumer = Consumer::new(settings, config.subscription)?;
    let waker = consumer.waker();
    let (latch, waker_of_signal) = (signals::Latch::default(), waker.clone());
    signals::on_termination_wait(&latch, move || waker_of_signal.wake());
    let mut task = Task {
        formatter: config.formatter,
        max_messages: config.max_messages,
        skips_errors: config.skips_errors,
        count: 0,
    };
    let outcome = loop {
        if task.is_full() {
            break Ok(());
        }
        let polled = consumer.poll(config.timeout_ms).and_then(|records| match records.is_empty() {
            false => Ok(records),
            true => Err(timed_out(config.shape)),
        });
        let records = match polled {
            Ok(records) => records,
            Err(exception) if is_wakeup(&exception) => break Ok(()),
            Err(exception) => {
                let message = "Error processing message, terminating consumer process: ";
                output::log_error_with(message, LOGGER, &exception);
                break Ok(());
            }
        };
        let (taken, written) = task.write(&records);
        give_back(&mut consumer, &records[taken..]);
        match written {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(exception) => break Err(exception),
        }
    };
    consumer.close();
    task.say_end(config.logs_events);
    if waker.is_awake() {
        // The thread of the signal ends the process.
        latch.open();
        loop {
            std::thread::park();
        }
    }
    outcome
}

/// Goes back to the first of the records in each partition: they were not written, so they must not be committed.
fn give_back(consumer: &mut Consumer, records: &[ConsumerRecord]) {
    let mut seen = BTreeSet::new();
    for record in records {
        let key = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        if seen.insert(key.clone()) {
            consumer.seek(&key, record.offset);
        }
    }
}

fn timed_out(shape: Shape) -> Exception {
    Exception::bare(match shape {
        Shape::V1_1_1 => "kafka.consumer.ConsumerTimeoutException",
        Shape::V2_8_2 => "org.apache.kafka.common.errors.TimeoutException",
    })
}

/// How records are written.
struct Task {
    formatter: Formatter,
    /// -1: no limit.
    max_messages: i64,
    skips_errors: bool,
    /// Records that were written.
    count: i64,
}

impl Task {
    fn is_full(&self) -> bool {
        self.max_messages != -1 && self.count >= self.max_messages
    }

    /// The last words.
    fn say_end(&self, logs_events: bool) {
        output::flush();
        err_line!("Processed a total of {} messages", self.count);
        if logs_events {
            out_line!("shutdown_complete");
            output::flush();
        }
    }

    /// Writes records up to the limit. Says how many it took, and false if nobody reads them any more.
    fn write(&mut self, records: &[ConsumerRecord]) -> (usize, Result<bool, Exception>) {
        let mut text = Vec::new();
        for (taken, record) in records.iter().enumerate() {
            if self.is_full() {
                return (taken, Ok(flush(&mut text)));
            }
            if text.len() >= CHUNK_BYTES && !flush(&mut text) {
                return (taken, Ok(false));
            }
            self.count += 1;
            // What stands before a column that fails is written, as in Kafka.
            if let Err(exception) = self.formatter.write(record, &mut text) {
                if !self.skips_errors {
                    let failed = if flush(&mut text) { Err(exception) } else { Ok(false) };
                    return (taken + 1, failed);
                }
                let message = "Error processing message, skipping this message: ";
                output::log_error_with(message, LOGGER, &exception);
            }
        }
        (records.len(), Ok(flush(&mut text)))
    }
}

/// Pushes text out; false if nobody reads it.
fn flush(text: &mut Vec<u8>) -> bool {
    let mut stdout = std::io::stdout().lock();
    let is_read = stdout.write_all(text).and_then(|()| stdout.flush()).is_ok();
    text.clear();
    if !is_read {
        err_line!("Unable to write to standard out, closing consumer.");
    }
    is_read
}
