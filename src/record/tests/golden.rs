//! Records, answers and conversions of real brokers (`tests/golden/record/README.md`).

use super::super::batch::{Batches, Compression, TimestampType, check_crc, i64_at};
use super::super::compression::Limits;
use super::super::control::ControlRecord;
use super::super::convert::{chunk, down_convert, overflow_batch};
use super::super::reader::{Record, Records, read_all};
use super::super::validator::{Origin, RequestFormat, ValidationRules, prepare_client_records};
use crate::common::TopicPartition;
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;

const SETS: &[u8] = include_bytes!("../../../tests/golden/record/sets.jsonl.gz");
const PRODUCED: &[u8] = include_bytes!("../../../tests/golden/record/produced.jsonl.gz");
const LOGS: &[u8] = include_bytes!("../../../tests/golden/record/logs.jsonl.gz");
const DOWN: &[u8] = include_bytes!("../../../tests/golden/record/down-converted.jsonl.gz");

fn lines(packed: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(value: &Value) -> Bytes {
    let text = value.as_str().unwrap().as_bytes();
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A byte string of the goldens: text, `{"hex": ..}` or `{"repeat": .., "times": ..}`.
fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        _ if value["hex"].is_string() => Some(hex(&value["hex"])),
        _ => {
            let times = value["times"].as_u64().unwrap() as usize;
            Some(value["repeat"].as_str().unwrap().repeat(times).into())
        }
    }
}

fn check_record(record: &Record, expected: &Value, control: bool) {
    assert_eq!(record.offset, expected["offset"].as_i64().unwrap());
    assert_eq!(record.timestamp, expected["timestamp"].as_i64().unwrap());
    // They leave it out where there is no producer id.
    if let Some(sequence) = expected["sequence"].as_i64() {
        assert_eq!(i64::from(record.sequence), sequence);
    }
    assert_eq!(record.key, bytes(&expected["key"]), "{expected}");
    assert_eq!(record.value, bytes(&expected["value"]), "{expected}");
    let no_headers = Vec::new();
    let headers = expected["headers"].as_array().unwrap_or(&no_headers);
    assert_eq!(record.headers.len(), headers.len());
    for (header, expected) in record.headers.iter().zip(headers) {
        assert_eq!(header.key_text(), expected["key"].as_str().unwrap());
        assert_eq!(header.value, bytes(&expected["value"]));
    }
    if control {
        let expected = ControlRecord::EndTransaction {
            commit: expected["controlType"] == 1,
            coordinator_epoch: expected["coordinatorEpoch"].as_i64().unwrap_or(0) as i32,
        };
        assert_eq!(ControlRecord::parse(record), Some(expected));
    }
}

#[test]
fn records_read_as_java_reads_them() {
    let (mut batches, mut records) = (0, 0);
    for set in lines(SETS) {
        let raw = hex(&set["hex"]);
        let mut found = Batches::new(&raw);
        for expected in set["batches"].as_array().unwrap() {
            let context = &set["source"];
            let (info, bytes) = found.next().unwrap().unwrap();
            let int = |name: &str| expected[name].as_i64();
            assert_eq!(Some(i64::from(info.magic)), int("magic"), "{context}");
            assert_eq!(Some(info.size_bytes as i64), int("sizeInBytes"), "{context}");
            assert_eq!(Some(info.last_offset()), int("lastOffset"), "{context}");
            assert_eq!(info.compression().unwrap().name(), expected["codec"], "{context}");
            assert_eq!(info.timestamp_type().name(), expected["timestampType"], "{context}");
            assert_eq!(Some(info.max_timestamp), int("maxTimestamp"), "{context}");
            assert_eq!(Some(i64::from(info.crc)), int("crc"), "{context}");
            assert_eq!(check_crc(&info, bytes).is_ok(), expected["valid"] == true, "{context}");
            if info.magic == 2 {
                assert_eq!(Some(info.base_offset), int("baseOffset"), "{context}");
                assert_eq!(Some(i64::from(info.partition_leader_epoch)), int("partitionLeaderEpoch"));
                assert_eq!(Some(info.producer_id), int("producerId"));
                assert_eq!(Some(i64::from(info.producer_epoch)), int("producerEpoch"));
                assert_eq!(Some(i64::from(info.base_sequence)), int("baseSequence"));
                assert_eq!(Some(i64::from(info.last_sequence())), int("lastSequence"));
                assert_eq!(Some(i64::from(info.records_count)), int("count"));
                assert_eq!(info.is_transactional(), expected["transactional"] == true);
                assert_eq!(info.is_control(), expected["control"] == true);
            }
            let mut read = Records::open(&info, &raw.slice_ref(bytes), &Limits::default()).unwrap();
            for expected in expected["records"].as_array().unwrap() {
                check_record(&read.next().unwrap().unwrap(), expected, info.is_control());
                records += 1;
            }
            if let Some(error) = expected["readError"].as_str() {
                let ours = read.next().unwrap().unwrap_err().to_string();
                assert!(error.starts_with(&format!("InvalidRecordException: {ours}")), "{error} / {ours}");
            }
            assert!(read.next().is_none(), "{context}");
            batches += 1;
        }
    }
    assert!(batches > 1500 && records > 2500, "{batches} batches, {records} records");
}

fn rules(topic: &str, partition: i32, version: i64) -> ValidationRules {
    ValidationRules {
        topic_partition: TopicPartition::new(topic, partition),
        request_format: match version {
            0..=2 => RequestFormat::AnyBatches,
            3..=6 => RequestFormat::OneBatchWithoutZstd,
            _ => RequestFormat::OneBatch,
        },
        origin: Origin::Client,
        target_magic: ["m0", "m1"].iter().position(|t| *t == topic).unwrap_or(2) as i8,
        target_compression: None,
        zstd_allowed: true,
        timestamp_type: if topic == "lat" { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        max_timestamp_difference_ms: i64::MAX,
        max_message_bytes: if topic == "small" { 300 } else { 1_048_588 },
        compacted: topic == "cmp",
        limits: Limits::default(),
    }
}

/// Batches of a log by their offset field.
fn by_offset(log: &Bytes) -> HashMap<i64, Bytes> {
    Batches::new(log)
        .map(|batch| {
            let (_, bytes) = batch.unwrap();
            (i64_at(bytes, 0), log.slice_ref(bytes))
        })
        .collect()
}

/// Equal, or compressed by another library to the same records.
fn assert_same_batch(ours: &Bytes, theirs: &Bytes, context: &str) {
    if ours != theirs {
        let (our_info, _) = Batches::new(ours).next().unwrap().unwrap();
        let (mut their_info, _) = Batches::new(theirs).next().unwrap().unwrap();
        assert_ne!(our_info.compression(), Ok(Compression::None), "{context}\n{ours:02x?}\n{theirs:02x?}");
        (their_info.crc, their_info.size_bytes) = (our_info.crc, our_info.size_bytes);
        assert_eq!(our_info, their_info, "{context}");
        let limits = Limits::default();
        assert_eq!(read_all(ours, &limits), read_all(theirs, &limits), "{context}");
    }
}

#[test]
fn produced_records_are_answered_and_stored_as_by_a_broker() {
    let logs: HashMap<(String, i64), HashMap<i64, Bytes>> = lines(LOGS)
        .iter()
        .map(|log| {
            let key = (log["topic"].as_str().unwrap().to_owned(), log["partition"].as_i64().unwrap());
            (key, by_offset(&hex(&log["hex"])))
        })
        .collect();
    let (mut stored, mut refused) = (0, 0);
    for row in lines(PRODUCED) {
        let answer = &row["response"];
        let code = answer["errorCode"].as_i64().unwrap();
        // Answers that do not come from the records: unknown topic, acks, authorization, producer state.
        if [3, 21, 29, 45, 47, 53].contains(&code) {
            continue;
        }
        let (topic, partition) = (row["topic"].as_str().unwrap(), row["partition"].as_i64().unwrap());
        let version = row["version"].as_i64().unwrap();
        let context = format!("{} v{version}", row["scenario"]);
        let log = logs.get(&(topic.to_owned(), partition));
        let base_offset = answer["baseOffset"].as_i64().unwrap();
        // Before version 2 the answer does not tell the append time.
        let stored_time = || Some(Batches::new(log?.get(&base_offset)?).next()?.unwrap().0.max_timestamp);
        let now_ms = answer["logAppendTimeMs"].as_i64().or_else(stored_time).unwrap_or(-1);
        let rules = rules(topic, partition as i32, version);
        match prepare_client_records(&hex(&row["records"]), &rules, now_ms) {
            Err(error) => {
                assert_eq!(i64::from(error.code.code()), code, "{context}: {error:?}");
                if version >= 5 {
                    let told = answer["logStartOffset"] != -1;
                    assert_eq!(error.tells_log_start_offset, told, "{context}: {error:?}");
                }
                if version >= 8 {
                    let errors: Vec<Value> = error
                        .record_errors
                        .iter()
                        .map(|(index, text)| {
                            serde_json::json!({"batchIndex": index, "batchIndexErrorMessage": text})
                        })
                        .collect();
                    assert_eq!(Value::from(errors), answer["recordErrors"], "{context}");
                    assert_eq!(Value::from(error.message), answer["errorMessage"], "{context}");
                }
                refused += 1;
            }
            Ok(batches) => {
                assert_eq!(code, 0, "{context}");
                let Some(log) = log else { continue };
                for batch in &batches {
                    let placed = batch.place(base_offset + batch.info.base_offset, 0);
                    let ours: Bytes = [&placed.head[..], &placed.rest[..]].concat().into();
                    let (written, _) = Batches::new(&ours).next().unwrap().unwrap();
                    check_crc(&written, &ours).unwrap();
                    assert_same_batch(&ours, &log[&written.base_offset], &context);
                    stored += 1;
                }
            }
        }
    }
    assert!(stored > 100 && refused > 30, "{stored} stored, {refused} refused");
}

#[test]
fn conversions_are_those_of_a_broker() {
    let logs: HashMap<String, Bytes> =
        lines(LOGS).iter().map(|log| (log["topic"].as_str().unwrap().to_owned(), hex(&log["hex"]))).collect();
    let mut converted = 0;
    for row in lines(DOWN) {
        let log = &logs[row["topic"].as_str().unwrap()];
        let to_magic = if row["version"].as_i64().unwrap() < 2 { 0 } else { 1 };
        let expected = hex(&row["hex"]);
        let context = format!("{} to {to_magic}", row["topic"]);
        let ours = down_convert(log, to_magic, 0, &Limits::default()).unwrap().bytes;
        let mut our_batches = Batches::new(&ours);
        for their_batch in Batches::new(&expected) {
            let (_, their_batch) = their_batch.unwrap();
            let (_, batch) = our_batches.next().unwrap().unwrap();
            assert_same_batch(&ours.slice_ref(batch), &expected.slice_ref(their_batch), &context);
            converted += 1;
        }
        // An answer is as large as what was fetched: the last batch is cut, or a fake one fills the rest.
        let rest = expected.slice(Batches::new(&expected).last_position()..);
        let our_rest = &ours[our_batches.position()..];
        let filled = our_rest.is_empty() && overflow_batch(rest.len())[..rest.len()] == rest;
        assert!(filled || our_rest.starts_with(&rest), "{context}");

        // In chunks the same comes out.
        let (mut left, mut parts) = (log.clone(), Vec::new());
        while !left.is_empty() {
            let part = left.split_to(chunk(&left, 300));
            parts.extend_from_slice(&down_convert(&part, to_magic, 0, &Limits::default()).unwrap().bytes);
        }
        assert_eq!(ours, parts, "{context}");
    }
    assert!(converted > 100, "{converted}");
}
