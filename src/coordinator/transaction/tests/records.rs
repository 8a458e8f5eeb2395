//! Records, there and back, and damaged ones.

use super::super::partition_set::PartitionSet;
use super::super::records::{self, Replay};
use super::super::state::TransactionState;
use super::super::status::Status;
use super::world::names;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::compression::Limits;
use bytes::Bytes;
use bytestring::ByteString;

fn state(status: Status, partitions: PartitionSet) -> TransactionState {
    TransactionState {
        producer_id: 1000,
        producer_epoch: 3,
        timeout_ms: 60_000,
        status,
        partitions,
        last_update_ms: 2000,
        start_ms: 1000,
    }
}

fn id(text: &'static str) -> ByteString {
    ByteString::from_static(text)
}

fn replay(batches: &[Bytes]) -> Replay {
    let mut replay = Replay::default();
    replay.take(&Bytes::from(batches.concat()), &Limits::default());
    replay
}

#[test]
fn the_last_record_of_an_id_counts() {
    let batches = [
        records::encode(&id("a"), &state(Status::Empty, PartitionSet::default()), 1).unwrap(),
        records::encode(&id("b"), &state(Status::Ongoing, names("t-0 t-1 u-0")), 1).unwrap(),
        records::encode(&id("a"), &state(Status::PrepareAbort, names("v-9")), 1).unwrap(),
        records::encode(&id("c"), &state(Status::CompleteCommit, PartitionSet::default()), 1).unwrap(),
        records::encode_tombstones(&[id("c"), id("never there")], 1).unwrap(),
    ];
    let replay = replay(&batches);
    assert_eq!(replay.unreadable, Vec::<String>::new());
    assert_eq!(replay.transactions.len(), 2);
    assert_eq!(replay.transactions["a"], state(Status::PrepareAbort, names("v-9")));
    assert_eq!(replay.transactions["b"], state(Status::Ongoing, names("t-0 t-1 u-0")));
}

/// The bytes of `kafka.coordinator.transaction.TransactionLog`.
#[test]
fn an_empty_transaction_has_no_list_of_partitions() {
    let value = |status| {
        let batch = records::encode(&id("a"), &state(status, PartitionSet::default()), 1).unwrap();
        crate::record::reader::read_all(&batch, &Limits::default()).unwrap()[0].clone()
    };
    let record = value(Status::Empty);
    assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1, b'a'][..]));
    let bytes = record.value.unwrap();
    assert_eq!(bytes[17..21], (-1i32).to_be_bytes(), "null");
    assert_eq!(value(Status::CompleteAbort).value.unwrap()[17..21], 0i32.to_be_bytes(), "empty");
}

/// Key and value.
type KeyValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn batch(records: &[KeyValue<'_>]) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions::default()).unwrap();
    for (key, value) in records {
        batch.append(1, *key, *value, &[]).unwrap();
    }
    batch.build().unwrap()
}

#[test]
fn damaged_records_do_not_hide_others() {
    let good = records::encode(&id("good"), &state(Status::Ongoing, names("t-0")), 1).unwrap();
    let mut of_unknown_status = crate::record::reader::read_all(&good, &Limits::default()).unwrap()[0]
        .value
        .clone()
        .unwrap()
        .to_vec();
    of_unknown_status[16] = 9;
    let mut torn = good.to_vec();
    *torn.last_mut().unwrap() ^= 1;
    let key = |name: &[u8]| [&[0, 0, 0, name.len() as u8], name].concat();
    let batches = [
        batch(&[(None, Some(b"x"))]),
        batch(&[(Some(&[0]), Some(b"x")), (Some(&[0, 9, 0, 0]), None)]),
        batch(&[(Some(&key(b"good")), Some(&[0, 0, 1])), (Some(&key(b"x")), Some(&of_unknown_status))]),
        batch(&[(Some(&key(b"y")), Some(&[0, 7]))]),
        Bytes::from(torn),
        good,
    ];
    let replay = replay(&batches);
    assert_eq!(replay.transactions.len(), 1, "{replay:?}");
    assert_eq!(replay.transactions["good"], state(Status::Ongoing, names("t-0")));
    assert_eq!(replay.unreadable.len(), 7, "{:#?}", replay.unreadable);
}

#[test]
fn bytes_that_are_no_batch_end_the_replay() {
    let mut replay = Replay::default();
    assert_eq!(replay.take(&Bytes::from_static(&[7; 100]), &Limits::default()), None);
    assert_eq!(replay.take(&Bytes::new(), &Limits::default()), None);
}
