//! Record sets: those that scripts send, and what they receive made readable.

use bytes::Bytes;
use flate2::read::GzDecoder;
use ottla::protocol::messages::produce::ProduceRequest;
use ottla::protocol::{Message, Reader, Records, decode_request_header};
use ottla::record::builder::{BatchBuilder, BatchOptions};
use ottla::record::compression::Limits;
use ottla::record::reader;
use ottla::record::{BatchInfo, Batches, Compression};
use serde_json::{Value, json};
use std::io::Read;

/// Timestamp of the first record of [`batch`]; the next ones are 2 ms apart.
pub const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// One batch, its records `(key, value)`.
pub fn batch_with(options: BatchOptions, records: &[(Option<&str>, Option<&str>)]) -> Bytes {
    let magic = options.magic;
    let mut builder = BatchBuilder::new(options).expect("sensible options");
    for ((key, value), i) in records.iter().zip(0..) {
        let timestamp = if magic == 0 { -1 } else { FIRST_TIMESTAMP + 2 * i };
        let bytes = |text: &Option<&str>| text.map(str::to_owned).map(String::into_bytes);
        builder
            .append(timestamp, bytes(key).as_deref(), bytes(value).as_deref(), &[])
            .expect("sensible records");
    }
    builder.build().expect("a batch")
}

/// A plain v2 batch.
pub fn batch(records: &[(Option<&str>, Option<&str>)]) -> Bytes {
    batch_with(BatchOptions::default(), records)
}

/// A v2 batch of one record for every value, of an idempotent producer.
pub fn idempotent(producer_id: i64, producer_epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
    batch_with(BatchOptions { producer_id, producer_epoch, base_sequence, ..Default::default() }, &records)
}

/// A Produce request that a client sent to Apache Kafka 2.8.2, made by Apache's own record builders.
pub struct Recorded {
    pub scenario: String,
    pub version: i16,
    pub request: ProduceRequest,
}

/// The exchanges of a file in `tests/golden/wire/api`.
pub fn recorded_exchanges(api: &str) -> Vec<Value> {
    let path = format!("{}/tests/golden/wire/api/{api}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("golden");
    GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// All hand-made ones, in their order.
pub fn recorded_produce_requests() -> Vec<Recorded> {
    recorded_exchanges("00-Produce")
        .into_iter()
        .filter(|exchange| exchange["kind"] == "generated")
        .map(|exchange| {
            let hex = exchange["request"]["hex"].as_str().expect("hex");
            let frame: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
                .collect();
            let mut reader = Reader::new(frame.into());
            let (header, _) = decode_request_header(&mut reader).expect("a header");
            Recorded {
                scenario: exchange["scenario"].as_str().expect("text").to_string(),
                version: header.api_version,
                request: ProduceRequest::decode(&mut reader, header.api_version).expect("a request"),
            }
        })
        .collect()
}

/// The bytes of a received set.
pub fn received(records: &Option<Records>) -> Bytes {
    match records {
        None => Bytes::new(),
        Some(Records::Memory(bytes)) => bytes.clone(),
        Some(other) => panic!("received {other:?}"),
    }
}

/// All batches and their records. Sizes and checksums of compressed batches are left out: codecs may write the same
/// records in different ways. So is what stands behind the last whole batch, except for its size.
pub fn describe(set: &Bytes) -> Value {
    let mut batches = Vec::new();
    let mut iterator = Batches::new(set);
    let mut whole = 0;
    while let Some(next) = iterator.next() {
        let Ok((info, bytes)) = next else { break };
        batches.push(describe_batch(&info, &set.slice_ref(bytes)));
        whole = iterator.position();
    }
    json!({ "batches": batches, "cutBytes": set.len() - whole })
}

/// True if one of the batches is compressed.
pub fn has_compressed(set: &Bytes) -> bool {
    Batches::new(set).map_while(Result::ok).any(|(info, _)| info.is_compressed())
}

fn describe_batch(info: &BatchInfo, bytes: &Bytes) -> Value {
    let compression = info.compression().unwrap_or(Compression::None);
    let mut view = json!({
        "magic": info.magic,
        "baseOffset": info.base_offset,
        "lastOffset": info.last_offset(),
        "codec": compression.name(),
        "attributes": info.attributes,
        "maxTimestamp": info.max_timestamp,
    });
    if info.magic == 2 {
        view["header"] = json!([
            info.partition_leader_epoch,
            info.producer_id,
            info.producer_epoch,
            info.base_sequence,
            info.records_count,
        ]);
        view["baseTimestamp"] = json!(info.base_timestamp);
    }
    if compression == Compression::None {
        view["size"] = json!(info.size_bytes);
        // A checksum over the time of the append says nothing.
        if info.max_timestamp < 1_760_000_000_000 {
            view["crc"] = json!(info.crc);
        }
    }
    let text = |bytes: &Option<Bytes>| match bytes {
        None => Value::Null,
        Some(bytes) if bytes.len() > 60 => json!(format!("{} bytes", bytes.len())),
        Some(bytes) => json!(String::from_utf8_lossy(bytes)),
    };
    let records = reader::Records::open(info, bytes, &Limits::default()).expect("readable records");
    view["records"] = records
        .map(|record| record.expect("a readable record"))
        .map(|record| json!([record.offset, record.timestamp, text(&record.key), text(&record.value)]))
        .collect();
    view
}
