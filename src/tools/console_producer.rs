//! `kafka-console-producer.sh` (`kafka.tools.ConsoleProducer`): every line of stdin becomes a record.

use super::exception::Exception;
use super::options::Options;
use super::producer::{Producer, ProducerRecord, ProducerSettings};
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION, load_properties, output, signals};
use crate::config::Properties;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::HashMap;
use std::io::{BufRead, IsTerminal};
use std::sync::{Arc, mpsc};

const LINE_READER: &str = "kafka.tools.ConsoleProducer$LineMessageReader";

/// Option, property of the producer, default.
const MERGED: &[(&str, &str, &str)] = &[
    ("timeout", "linger.ms", "1000"),
    ("request-required-acks", "acks", "1"),
    ("request-timeout-ms", "request.timeout.ms", "1500"),
    ("message-send-max-retries", "retries", "3"),
    ("retry-backoff-ms", "retry.backoff.ms", "100"),
    ("socket-buffer-size", "send.buffer.bytes", "102400"),
    ("max-memory-bytes", "buffer.memory", "33554432"),
    ("max-partition-memory-bytes", "batch.size", "16384"),
    ("metadata-expiry-ms", "metadata.max.age.ms", "300000"),
    ("max-block-ms", "max.block.ms", "60000"),
];
/// Options whose argument must be a number.
const NUMBERS: &[&str] = &[
    "batch-size",
    "timeout",
    "request-timeout-ms",
    "message-send-max-retries",
    "retry-backoff-ms",
    "socket-buffer-size",
    "max-memory-bytes",
    "max-partition-memory-bytes",
    "metadata-expiry-ms",
    "max-block-ms",
];

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("usage/1.1.1/kafka-console-producer.sh.txt"),
        include_str!("usage/2.8.2/kafka-console-producer.sh.txt"),
    );
    let usage = table.clone();
    if choice.shape == Shape::V1_1_1 && args.is_empty() {
        return Err(usage.usage("Read data from standard input and publish it to Kafka."));
    }
    let options = match table.parse(args).and_then(check_bootstrap) {
        Ok(options) => options,
        Err(exception) if choice.shape == Shape::V1_1_1 => return Err(print_message(&exception)),
        Err(exception) => return Err(usage.usage(exception.message_or_null())),
    };
    check(&options, choice.shape)?;
    match produce(&options, choice.shape) {
        Ok(()) => Ok(()),
        Err(exception) if exception.class.starts_with("joptsimple.") => Err(print_message(&exception)),
        Err(exception) => {
            err_line!("{exception}");
            Err(Stop::Exit(1))
        }
    }
}

fn print_message(exception: &Exception) -> Stop {
    err_line!("{}", exception.message_or_null());
    Stop::Exit(1)
}

/// jopt-simple asks for one of the two addresses, unless only help is wanted.
fn check_bootstrap(options: Options) -> Result<Options, Exception> {
    let is_there =
        ["bootstrap-server", "broker-list", "help", "version"].iter().any(|name| options.has(name));
    if is_there {
        return Ok(options);
    }
    Err(Exception::new(
        "joptsimple.MissingRequiredOptionsException",
        "Missing required option(s) [bootstrap-server]",
    ))
}

fn check(options: &Options, shape: Shape) -> Result<(), Stop> {
    if shape == Shape::V2_8_2 {
        if options.has("help") {
            return Err(
                options.usage("This tool helps to read data from standard input and publish it to Kafka.")
            );
        }
        if options.has("version") {
            out_line!("{VERSION}");
            return Err(Stop::Exit(0));
        }
    }
    options.check_required(&["topic"])?;
    let addresses = match addresses(options) {
        Ok(addresses) => addresses,
        Err(exception) => return Err(print_message(&exception)),
    };
    options.check_ports(addresses)
}

fn addresses(options: &Options) -> Result<&str, Exception> {
    let name = if options.has("bootstrap-server") { "bootstrap-server" } else { "broker-list" };
    Ok(options.value(name)?.unwrap_or_default())
}

/// `key=value` arguments; a value may be missing.
pub fn key_values(arguments: Vec<&str>) -> Vec<(String, String)> {
    let pair = |argument: &str| match argument.split_once('=') {
        Some((key, value)) => (key.to_string(), value.to_string()),
        None => (argument.to_string(), String::new()),
    };
    arguments.into_iter().map(pair).collect()
}

fn properties(options: &Options) -> Result<Properties, Exception> {
    let mut properties = match options.value("producer.config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    for (key, value) in key_values(options.values("producer-property")) {
        properties.set(key, value);
    }
    properties.set("bootstrap.servers", addresses(options)?);
    let codec = match (options.has("compression-codec"), options.value("compression-codec")?) {
        (false, _) => "none",
        (true, None | Some("")) => "gzip",
        (true, Some(codec)) => codec,
    };
    properties.set("compression.type", codec);
    if properties.get("client.id").is_none() {
        properties.set("client.id", "console-producer");
    }
    for name in NUMBERS {
        options.number::<i64>(name)?;
    }
    for (option, key, default) in MERGED {
        match options.value(option)? {
            Some(value) => properties.set(*key, value),
            None if properties.get(key).is_none() => properties.set(*key, *default),
            None => {}
        }
    }
    Ok(properties)
}

fn produce(options: &Options, shape: Shape) -> Result<(), Exception> {
    let properties = properties(options)?;
    let reader_class = options.value("line-reader")?.unwrap_or(LINE_READER);
    if reader_class != LINE_READER {
        return Err(Exception::new("java.lang.ClassNotFoundException", reader_class));
    }
    let topic = options.value("topic")?.unwrap_or_default();
    let mut reader = LineReader::new(topic, key_values(options.values("property")), shape);
    let settings = ProducerSettings::new(&properties)?;
    let (give, take) = mpsc::channel::<Arc<Producer>>();
    signals::on_termination(move || {
        if let Ok(producer) = take.try_recv() {
            producer.close();
        }
    });
    let producer = Arc::new(Producer::start(settings));
    // The thread of the signals ends with the process, so somebody listens.
    let _ = give.send(producer.clone());
    let stdin = std::io::stdin();
    let mut lines = Lines { input: stdin.lock(), after_carriage_return: false };
    let read = read_all(&mut reader, &mut lines, &producer, options.has("sync"));
    producer.close();
    read
}

fn read_all(
    reader: &mut LineReader,
    lines: &mut Lines<impl BufRead>,
    producer: &Producer,
    is_sync: bool,
) -> Result<(), Exception> {
    while let Some(record) = reader.next(lines)? {
        if producer.is_transactional() {
            return Err(Exception::new(
                "java.lang.IllegalStateException",
                "Cannot perform a 'send' before completing a call to initTransactions when transactions are enabled.",
            ));
        }
        if is_sync {
            let (tell, told) = mpsc::channel();
            producer.send(record, Box::new(move |outcome| drop(tell.send(outcome))));
            if let Ok(Err(exception)) = told.recv() {
                return Err(Exception::new(
                    "java.util.concurrent.ExecutionException",
                    exception.first_line(),
                ));
            }
        } else {
            let (topic, key) = (record.topic.clone(), record.key.clone());
            let value_length = record.value.as_ref().map(Bytes::len);
            producer.send(
                record,
                Box::new(move |outcome| {
                    if let Err(exception) = outcome {
                        log_failure(&topic, key.as_ref().map(Bytes::len), value_length, &exception);
                    }
                }),
            );
        }
    }
    Ok(())
}

/// What Kafka's `ErrorLoggingCallback` says.
fn log_failure(topic: &str, key_length: Option<usize>, value_length: Option<usize>, exception: &Exception) {
    let bytes = |length: Option<usize>| length.map_or("null".to_string(), |length| format!("{length} bytes"));
    let message = format!(
        "Error when sending message to topic {topic} with key: {}, value: {} with error:",
        bytes(key_length),
        bytes(value_length)
    );
    output::log_error_with(
        &message,
        "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback",
        exception,
    );
}

/// Lines as Java's `BufferedReader.readLine` cuts them: at `\n`, `\r` or `\r\n`.
struct Lines<R> {
    input: R,
    after_carriage_return: bool,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; a terminal gives one as soon as it is typed. An error of the input ends it.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let mut is_any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) if !buffer.is_empty() => buffer,
                _ => return (is_any || !line.is_empty()).then_some(line),
            };
            if std::mem::take(&mut self.after_carriage_return) && buffer[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            match buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                Some(end) => {
                    line.extend_from_slice(&buffer[..end]);
                    self.after_carriage_return = buffer[end] == b'\r';
                    self.input.consume(end + 1);
                    return Some(line);
                }
                None => {
                    is_any = true;
                    line.extend_from_slice(buffer);
                    let all = buffer.len();
                    self.input.consume(all);
                }
            }
        }
    }
}

/// `LineMessageReader`: a line is a value, or key, separator and value.
struct LineReader {
    topic: ByteString,
    key_separator: Option<String>,
    ignores_errors: bool,
    prompts: bool,
    line_number: u64,
    exception_class: &'static str,
}

impl LineReader {
    fn new(topic: &str, properties: Vec<(String, String)>, shape: Shape) -> LineReader {
        let properties: HashMap<String, String> = properties.into_iter().collect();
        let is_true =
            |key: &str| properties.get(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let separator = properties.get("key.separator").map_or("\t", String::as_str);
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        LineReader {
            topic: topic.into(),
            key_separator: is_true("parse.key").then(|| separator.to_string()),
            ignores_errors: is_true("ignore.error"),
            prompts: shape == Shape::V1_1_1 || is_terminal,
            line_number: 0,
            exception_class: match shape {
                Shape::V1_1_1 => "kafka.common.KafkaException",
                Shape::V2_8_2 => "org.apache.kafka.common.KafkaException",
            },
        }
    }

    fn next(&mut self, lines: &mut Lines<impl BufRead>) -> Result<Option<ProducerRecord>, Exception> {
        self.line_number += 1;
        if self.prompts {
            output::out(format_args!(">"));
            output::flush();
        }
        let Some(line) = lines.next() else { return Ok(None) };
        // Java reads characters: what is no UTF-8 becomes U+FFFD.
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut record = ProducerRecord { topic: self.topic.clone(), ..Default::default() };
        match &self.key_separator {
            None => record.value = Some(line.into()),
            Some(separator) => match line.split_once(separator.as_str()) {
                Some((key, value)) => {
                    record.key = Some(Bytes::copy_from_slice(key.as_bytes()));
                    record.value = Some(Bytes::copy_from_slice(value.as_bytes()));
                }
                None if self.ignores_errors => record.value = Some(line.into()),
                None => {
                    let message = format!("No key found on line {}: {line}", self.line_number);
                    return Err(Exception::new(self.exception_class, message));
                }
            },
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut lines = Lines { input: text.as_bytes(), after_carriage_return: false };
        std::iter::from_fn(|| lines.next()).map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_end_as_in_java() {
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
        assert_eq!(lines(""), Vec::<String>::new());
        assert_eq!(lines("\n"), [""]);
    }

    #[test]
    fn keys_stand_before_the_first_separator() {
        let pairs = |separator: &str| {
            vec![
                ("parse.key".to_string(), "True ".to_string()),
                ("key.separator".to_string(), separator.to_string()),
            ]
        };
        let mut reader = LineReader::new("t", pairs(":"), Shape::V2_8_2);
        let mut lines = Lines { input: "k:v:w\n:v\nno".as_bytes(), after_carriage_return: false };
        let record = reader.next(&mut lines).unwrap().unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v:w"[..])));
        let record = reader.next(&mut lines).unwrap().unwrap();
        assert_eq!(record.key.as_deref(), Some(&b""[..]));
        let error = reader.next(&mut lines).unwrap_err().first_line();
        assert_eq!(error, "org.apache.kafka.common.KafkaException: No key found on line 3: no");
    }
}
