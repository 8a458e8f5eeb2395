//! What an append leaves in the file, beyond what the fixtures show.

use crate::support::{open, shut_down};
use bytes::Bytes;
use ottla::common::TopicPartition;
use ottla::record::batch::{BatchInfo, Compression, PreparedBatch};
use ottla::record::builder::{BatchBuilder, BatchOptions};
use ottla::record::compression::Limits;
use ottla::record::reader::read_all;
use ottla::storage::{AppendOrigin, LeaderAppend, LogConfig};
use smallvec::smallvec;
use std::fs;
use std::sync::Arc;

/// Three records in one compressed entry of format 0, with offsets from 0, as the validator makes it.
fn prepared_v0() -> PreparedBatch {
    let options = BatchOptions { magic: 0, compression: Compression::Gzip, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options).expect("options");
    for value in ["a", "b", "c"] {
        builder.append(-1, Some(b"k"), Some(value.as_bytes()), &[]).expect("record");
    }
    let bytes: Bytes = builder.build().expect("batch");
    let parsed = BatchInfo::parse(&bytes).expect("header");
    let info = BatchInfo { base_offset: 0, last_offset_delta: 2, records_count: 3, ..parsed };
    PreparedBatch { info, bytes }
}

/// Offsets inside of a compressed entry of format 0 are absolute: readers take them as they are.
#[test]
fn compressed_entries_of_format_0_carry_absolute_offsets() {
    let dir = tempfile::tempdir().expect("directory");
    let manager = open(&[dir.path().to_owned()]);
    let name = TopicPartition::new("old", 0);
    let mut log = manager.get_or_create(&name, &Arc::new(LogConfig::default()), true).expect("a log");
    let mut second = prepared_v0();
    second.info.base_offset = 3;
    let mut appends = [
        LeaderAppend::new(smallvec![prepared_v0()], AppendOrigin::Client),
        LeaderAppend::new(smallvec![prepared_v0(), second], AppendOrigin::Client),
    ];
    log.append_as_leader(&mut appends, 0, 0).expect("append");
    let ends: Vec<_> =
        appends.iter().map(|append| append.outcome.as_ref().expect("appended").last_offset).collect();
    assert_eq!(ends, [2, 8]);
    let file = fs::read(dir.path().join("old-0/00000000000000000000.log")).expect("segment");
    let records = read_all(&file.into(), &Limits::default()).expect("records");
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..9).collect::<Vec<_>>());
    shut_down(&manager, vec![log]);
}
