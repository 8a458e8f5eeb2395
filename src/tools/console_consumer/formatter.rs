//! How records are written: Kafka's `MessageFormatter`s, by their class names.

use crate::record::TimestampType;
use crate::tools::consumer::ConsumerRecord;
use crate::tools::deserializer::Deserializer;
use crate::tools::exception::Exception;
use crate::tools::internal_topics;
use bytes::Bytes;
use std::collections::HashMap;

/// Writes records as text.
pub enum Formatter {
    /// `kafka.tools.DefaultMessageFormatter`; `LoggingMessageFormatter` writes the same and logs at a level that
    /// tools do not show.
    Default(Box<DefaultFormatter>),
    /// `kafka.tools.NoOpMessageFormatter`
    NoOp,
    /// `kafka.tools.ChecksumMessageFormatter`: since records have no checksum of their own, always 0.
    Checksum(String),
    /// `OffsetsMessageFormatter`, `GroupMetadataMessageFormatter` or `TransactionLogMessageFormatter`.
    Internal(InternalLine),
}

/// Makes a line of a record of an internal topic, or none.
type InternalLine = fn(Option<&Bytes>, Option<&Bytes>) -> Result<Option<String>, Exception>;

impl Formatter {
    /// The formatter of a class, with its properties.
    pub fn new(class: &str, properties: HashMap<String, String>) -> Result<Formatter, Exception> {
        match class {
            "kafka.tools.DefaultMessageFormatter" | "kafka.tools.LoggingMessageFormatter" => {
                Ok(Formatter::Default(Box::new(DefaultFormatter::new(&properties)?)))
            }
            "kafka.tools.NoOpMessageFormatter" => Ok(Formatter::NoOp),
            "kafka.tools.ChecksumMessageFormatter" => {
                let topic = properties.get("topic").map(|topic| format!("{topic}:"));
                Ok(Formatter::Checksum(topic.unwrap_or_default()))
            }
            "kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter" => {
                Ok(Formatter::Internal(internal_topics::offset_line))
            }
            "kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter" => {
                Ok(Formatter::Internal(internal_topics::group_line))
            }
            "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter" => {
                Ok(Formatter::Internal(internal_topics::transaction_line))
            }
            _ => Err(Exception::new("java.lang.ClassNotFoundException", class)),
        }
    }

    /// Appends a record.
    pub fn write(&self, record: &ConsumerRecord, out: &mut Vec<u8>) -> Result<(), Exception> {
        match self {
            Formatter::Default(formatter) => formatter.write(record, out),
            Formatter::NoOp => Ok(()),
            Formatter::Internal(line) => {
                if let Some(line) = line(record.key.as_ref(), record.value.as_ref())? {
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
                Ok(())
            }
            Formatter::Checksum(prefix) => {
                out.extend_from_slice(format!("{prefix}checksum:0\n").as_bytes());
                Ok(())
            }
        }
    }
}

/// Writes the columns that are switched on: timestamp, partition, offset, headers, key, value.
pub struct DefaultFormatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl DefaultFormatter {
    fn new(properties: &HashMap<String, String>) -> Result<DefaultFormatter, Exception> {
        let is_true = |key: &str, default: bool| {
            properties.get(key).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
        };
        let bytes = |key: &str, default: &str| {
            properties.get(key).map_or_else(|| default.into(), |text| text.clone().into_bytes())
        };
        let deserializer = |key: &str| properties.get(key).map(|class| Deserializer::new(class)).transpose();
        Ok(DefaultFormatter {
            timestamp: is_true("print.timestamp", false),
            partition: is_true("print.partition", false),
            offset: is_true("print.offset", false),
            headers: is_true("print.headers", false),
            key: is_true("print.key", false),
            value: is_true("print.value", true),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null_literal: bytes("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer")?,
            value_deserializer: deserializer("value.deserializer")?,
            headers_deserializer: deserializer("headers.deserializer")?,
        })
    }

    fn write(&self, record: &ConsumerRecord, out: &mut Vec<u8>) -> Result<(), Exception> {
        let columns = [self.timestamp, self.partition, self.offset, self.headers, self.key, self.value];
        let mut left = columns.iter().filter(|is_on| **is_on).count();
        for column in (0..columns.len()).filter(|column| columns[*column]) {
            match column {
                0 => out.extend_from_slice(timestamp_text(record).as_bytes()),
                1 => out.extend_from_slice(format!("Partition:{}", record.partition).as_bytes()),
                2 => out.extend_from_slice(format!("Offset:{}", record.offset).as_bytes()),
                3 => self.write_headers(record, out)?,
                4 => self.write_bytes(&self.key_deserializer, record.key.as_deref(), out)?,
                _ => self.write_bytes(&self.value_deserializer, record.value.as_deref(), out)?,
            }
            left -= 1;
            out.extend_from_slice(if left > 0 { &self.key_separator } else { &self.line_separator });
        }
        Ok(())
    }

    fn write_headers(&self, record: &ConsumerRecord, out: &mut Vec<u8>) -> Result<(), Exception> {
        if record.headers.is_empty() {
            out.extend_from_slice(b"NO_HEADERS");
        }
        for (i, header) in record.headers.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(&self.headers_separator);
            }
            out.extend_from_slice(header.key_text().as_bytes());
            out.push(b':');
            self.write_bytes(&self.headers_deserializer, header.value.as_deref(), out)?;
        }
        Ok(())
    }

    /// Null is replaced before it is deserialized, as in Kafka.
    fn write_bytes(
        &self,
        deserializer: &Option<Deserializer>,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Exception> {
        let bytes = bytes.unwrap_or(&self.null_literal);
        match deserializer {
            None => out.extend_from_slice(bytes),
            Some(deserializer) => out.extend_from_slice(deserializer.text(bytes)?.as_bytes()),
        }
        Ok(())
    }
}

fn timestamp_text(record: &ConsumerRecord) -> String {
    match record.timestamp_type {
        TimestampType::None => "NO_TIMESTAMP".to_string(),
        kind => format!("{}:{}", kind.name(), record.timestamp_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::reader::Header;

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 3,
            offset: 7,
            timestamp_ms: 5,
            leader_epoch: 0,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(Bytes::from_static(b"v")),
            headers: vec![
                Header { key: Bytes::from_static(b"a"), value: Some(Bytes::from_static(b"1")) },
                Header { key: Bytes::from_static(b"b"), value: None },
            ],
        }
    }

    fn write(class: &str, pairs: &[(&str, &str)]) -> String {
        let properties = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let mut out = Vec::new();
        Formatter::new(class, properties).unwrap().write(&record(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_in_kafka_s_order() {
        let class = "kafka.tools.DefaultMessageFormatter";
        assert_eq!(write(class, &[]), "v\n");
        let all = ["timestamp", "partition", "offset", "headers", "key"].map(|name| format!("print.{name}"));
        let all: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "true")).collect();
        assert_eq!(write(class, &all), "CreateTime:5\tPartition:3\tOffset:7\ta:1,b:null\tnull\tv\n");
        let key_only = [("print.key", "true"), ("print.value", "false"), ("null.literal", "NIL")];
        assert_eq!(write(class, &key_only), "NIL\n");
        assert_eq!(write(class, &[("print.value", "false")]), "");
    }

    #[test]
    fn other_formatters() {
        assert_eq!(write("kafka.tools.NoOpMessageFormatter", &[]), "");
        assert_eq!(write("kafka.tools.ChecksumMessageFormatter", &[("topic", "x")]), "x:checksum:0\n");
        assert!(Formatter::new("no.such", HashMap::new()).is_err());
    }
}
