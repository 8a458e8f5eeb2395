//! Record batches by the crate kafka-protocol.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// Who produces: the answer to InitProducerId.
#[derive(Clone, Copy, Debug)]
pub struct ProducerId {
    pub producer_id: i64,
    pub producer_epoch: i16,
}

/// One v2 batch of an idempotent producer, its first record with the sequence number `base_sequence`. Its timestamps
/// are of now: a restarted broker forgets producers whose last record is a week old, and with them what is a duplicate.
pub fn idempotent_batch(
    producer: ProducerId,
    base_sequence: i32,
    values: &[Bytes],
    compression: Compression,
) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let timestamp = i64::try_from(now).expect("milliseconds");
    let records: Vec<Record> = values
        .iter()
        .zip(0..)
        .map(|(value, i)| Record {
            transactional: false,
            control: false,
            partition_leader_epoch: -1,
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(i),
            sequence: base_sequence + i,
            timestamp,
            key: None,
            value: Some(value.clone()),
            headers: Default::default(),
        })
        .collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut batch, &records, &options).expect("encodable records");
    batch.freeze()
}

/// The records of all whole batches, in order. A fetch may end inside a batch.
pub fn read_batches(mut batches: Bytes) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(size) = batches.get(8..12) {
        let size = 12 + i32::from_be_bytes(size.try_into().expect("four bytes")) as usize;
        if size > batches.len() {
            break;
        }
        let set = RecordBatchDecoder::decode(&mut batches.split_to(size)).expect("a valid batch");
        records.extend(set.records);
    }
    records
}
