//! A plain parser of log directories, apart from the library's, into the shape of the expectations.

use ottla::record::batch::{Batches, check_crc};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

fn be(bytes: &[u8]) -> i64 {
    let sign = if bytes[0] & 0x80 != 0 { -1i64 } else { 0 };
    bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte))
}

fn base_of(name: &str) -> i64 {
    name[..20].parse().expect("base offset")
}

fn index_entries(name: &str, bytes: &[u8]) -> Value {
    let zero = |chunk: &[u8]| chunk.iter().all(|byte| *byte == 0);
    let used = bytes.chunks_exact(8).take_while(|chunk| !zero(chunk));
    used.map(|chunk| json!([base_of(name) + be(&chunk[..4]), be(&chunk[4..])])).collect()
}

fn time_entries(name: &str, bytes: &[u8]) -> Value {
    let zero = |chunk: &[u8]| chunk.iter().all(|byte| *byte == 0);
    let used = bytes.chunks_exact(12).take_while(|chunk| !zero(chunk));
    used.map(|chunk| json!([be(&chunk[..8]), base_of(name) + be(&chunk[8..])])).collect()
}

fn aborted(bytes: &[u8]) -> Value {
    let entry = |chunk: &[u8]| {
        json!({"producerId": be(&chunk[2..10]), "firstOffset": be(&chunk[10..18]),
               "lastOffset": be(&chunk[18..26]), "lastStableOffset": be(&chunk[26..34])})
    };
    bytes.chunks_exact(34).map(entry).collect()
}

fn producers(bytes: &[u8]) -> Value {
    let entry = |c: &[u8]| {
        json!({"producerId": be(&c[..8]), "epoch": be(&c[8..10]), "lastSequence": be(&c[10..14]),
               "lastOffset": be(&c[14..22]), "offsetDelta": be(&c[22..26]), "timestamp": be(&c[26..34]),
               "coordinatorEpoch": be(&c[34..38]), "currentTxnFirstOffset": be(&c[38..46])})
    };
    bytes.get(10..).unwrap_or_default().chunks_exact(46).map(entry).collect()
}

/// Position, last offset, checksum and leader epoch of each batch.
pub fn batches(bytes: &[u8]) -> Value {
    let mut position = 0;
    let mut found = Vec::new();
    for batch in Batches::new(bytes).map_while(Result::ok) {
        let (info, bytes) = batch;
        let epoch = if info.magic >= 2 { json!(info.partition_leader_epoch) } else { Value::Null };
        found.push(json!([position, info.last_offset(), info.crc, epoch]));
        position += info.size_bytes;
        if check_crc(&info, bytes).is_err() {
            break;
        }
    }
    found.into()
}

/// One partition's directory.
pub fn partition(path: &Path) -> Value {
    let mut files = Map::new();
    let mut entries: Vec<_> =
        fs::read_dir(path).expect("partition").map(|e| e.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("file");
        let content = match path.extension().and_then(|e| e.to_str()) {
            Some("log") => json!({"size": bytes.len(), "batches": batches(&bytes)}),
            Some("index") => json!({"size": bytes.len(), "entries": index_entries(&name, &bytes)}),
            Some("timeindex") => json!({"size": bytes.len(), "entries": time_entries(&name, &bytes)}),
            Some("txnindex") => json!({"aborted": aborted(&bytes)}),
            Some("snapshot") => json!({"producers": producers(&bytes)}),
            _ => json!({"text": String::from_utf8_lossy(&bytes)}),
        };
        files.insert(name, content);
    }
    files.into()
}

/// The same shape from an expectation.
pub fn expected_partition(expected: &Value) -> Value {
    let mut files = Map::new();
    for (name, file) in expected["files"].as_object().expect("files") {
        let content = match name.rsplit('.').next() {
            Some("log") => {
                let segments = expected["segments"].as_array().expect("segments");
                let segment = segments.iter().find(|s| s["file"] == name.as_str()).expect("segment");
                let batch = |b: &Value| {
                    json!([b["position"], b["lastOffset"], b["crc"], b.get("partitionLeaderEpoch")])
                };
                let batches: Value =
                    segment["batches"].as_array().expect("batches").iter().map(batch).collect();
                json!({"size": file["size"], "batches": batches})
            }
            Some("index") => json!({"size": file["size"], "entries": file["entries[offset,position]"]}),
            Some("timeindex") => json!({"size": file["size"], "entries": file["entries[timestamp,offset]"]}),
            Some("txnindex") => {
                let mut aborted = file["abortedTxns"].clone();
                for txn in aborted.as_array_mut().into_iter().flatten() {
                    txn.as_object_mut().expect("transaction").shift_remove("version");
                }
                json!({"aborted": aborted})
            }
            Some("snapshot") => {
                let mut producers = file["producers"].as_array().cloned().unwrap_or_default();
                producers.sort_by_key(|producer| producer["producerId"].as_i64());
                json!({"producers": producers})
            }
            _ => json!({"text": expected.get(name).cloned().unwrap_or(json!(""))}),
        };
        files.insert(name.clone(), content);
    }
    files.into()
}

/// Differences between two values, as paths: empty if they are equal.
pub fn differences(path: &str, found: &Value, expected: &Value, out: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => differences(&format!("{path}/{key}"), value, other, out),
                    None => out.push(format!("{path}/{key}: ours only: {value}")),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("{path}/{key}: expected only: {value}"));
            }
        }
        _ if found == expected => {}
        _ => out.push(format!("{path}: ours {found}, expected {expected}")),
    }
}
