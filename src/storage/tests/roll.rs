//! When a new segment begins, and what the old one leaves behind.

use super::simple::{NOW_MS, batch, fixture};
use crate::record::builder::BatchOptions;
use crate::storage::{AppendError, LogConfig};
use std::os::unix::fs::MetadataExt;

/// Bytes of a batch of one record with a value of so many.
fn size(value_bytes: usize) -> u32 {
    batch(BatchOptions::default(), NOW_MS, value_bytes).bytes.len() as u32
}

#[test]
fn a_segment_takes_exactly_its_bytes() {
    let mut f = fixture(LogConfig { segment_bytes: 3 * size(100), ..LogConfig::default() });
    (0..4).for_each(|_| {
        f.append(NOW_MS, 100);
    });
    assert_eq!(f.bases(), [0, 3]);
    assert_eq!(f.log.sealed[0].size, 3 * size(100));
    let huge = batch(BatchOptions::default(), NOW_MS, 3 * size(100) as usize);
    let refused = f.append_batch(huge, NOW_MS).expect_err("too large");
    assert!(matches!(refused, AppendError::RecordListTooLarge(_)), "{refused}");
    assert_eq!(f.log.log_end_offset(), 4);
}

#[test]
fn a_segment_ages_by_the_time_of_its_messages() {
    let mut f = fixture(LogConfig { segment_ms: 1000, ..LogConfig::default() });
    for (timestamp, bases) in
        [(NOW_MS, &[0][..]), (NOW_MS + 1000, &[0]), (NOW_MS + 1001, &[0, 2]), (NOW_MS + 2001, &[0, 2])]
    {
        f.append(timestamp, 10);
        assert_eq!(f.bases(), bases);
    }
}

#[test]
fn a_segment_without_timestamps_ages_by_the_clock() {
    let mut f = fixture(LogConfig { segment_ms: 1000, ..LogConfig::default() });
    let mut append = |now_ms| {
        let untimed = batch(BatchOptions::default(), -1, 10);
        f.append_batch(untimed, now_ms).expect("accepted");
        f.bases().len()
    };
    let created_ms = crate::common::clock::now_ms();
    assert_eq!(append(created_ms), 1);
    assert_eq!(append(created_ms + 500), 1);
    // Not to the millisecond: the segment was created a moment before.
    assert_eq!(append(created_ms + 1001), 2);
}

#[test]
fn jitter_shortens_the_time_by_less_than_its_bound() {
    for _ in 0..20 {
        let config = LogConfig { segment_ms: 1000, segment_jitter_ms: 300, ..LogConfig::default() };
        let mut f = fixture(config);
        f.append(NOW_MS, 10);
        f.append(NOW_MS + 700, 10);
        assert_eq!(f.bases(), [0], "earlier than any jitter");
        f.append(NOW_MS + 1001, 10);
        assert_eq!(f.bases().len(), 2, "later than the setting");
    }
}

#[test]
fn a_compacted_topic_rolls_within_the_compaction_lag() {
    let config = LogConfig { compact: true, max_compaction_lag_ms: 10, ..LogConfig::default() };
    let mut f = fixture(config);
    f.append(NOW_MS, 10);
    f.append(NOW_MS + 11, 10);
    assert_eq!(f.bases(), [0, 1]);
}

#[test]
fn a_full_index_ends_its_segment() {
    // Room for 6 entries of the offset index and 4 of the time index, whose last is reserved.
    let config = LogConfig { segment_index_bytes: 48, index_interval_bytes: 1, ..LogConfig::default() };
    let mut f = fixture(config);
    (0..12).for_each(|n| {
        f.append(NOW_MS + n, 10);
    });
    assert_eq!(f.bases(), [0, 4, 8], "the time index is full after three entries");
    let mut f =
        fixture(LogConfig { segment_index_bytes: 48, index_interval_bytes: 1, ..LogConfig::default() });
    (0..9).for_each(|_| {
        f.append(NOW_MS, 10);
    });
    assert_eq!(f.bases(), [0, 7], "the offset index is full after six");
}

#[test]
fn offsets_too_far_from_the_base_begin_a_segment() {
    let mut f = fixture(LogConfig::default());
    f.follow(0);
    f.follow(i64::from(i32::MAX));
    assert_eq!(f.bases(), [0]);
    f.follow(i64::from(i32::MAX) + 1);
    assert_eq!(f.bases(), [0, i64::from(i32::MAX) + 1]);
}

#[test]
fn a_rolled_segment_is_complete_on_disk() {
    let config = LogConfig {
        segment_bytes: 3 * size(100),
        index_interval_bytes: 1,
        preallocate: true,
        ..LogConfig::default()
    };
    let mut f = fixture(config);
    let idempotent =
        BatchOptions { producer_id: 9, producer_epoch: 0, base_sequence: 0, ..BatchOptions::default() };
    f.append_batch(batch(idempotent, NOW_MS, 100), NOW_MS).expect("accepted");
    (1..4).for_each(|n| {
        f.append(NOW_MS + n, 100);
    });
    let len = |file: &str| std::fs::metadata(f.path(file)).expect(file).len();
    assert_eq!(len("00000000000000000000.log"), u64::from(3 * size(100)));
    assert_eq!(len("00000000000000000000.index"), 2 * 8);
    // An entry with each one of the offset index, and the last at the roll, if it is larger.
    assert_eq!(len("00000000000000000000.timeindex"), 2 * 12);
    assert_eq!(f.files(".snapshot"), ["00000000000000000003.snapshot"]);
    assert_eq!(len("00000000000000000003.snapshot"), 10 + 46);
    assert_eq!(len("00000000000000000003.log"), u64::from(size(100)), "reserved blocks do not show");
    f.append(NOW_MS + 100, 100);
    f.manager.shut_down(vec![f.log], Default::default()).expect("clean stop");
    let file = |name: &str| std::fs::metadata(f.root.path().join("t-0").join(name)).expect("there");
    assert_eq!(file("00000000000000000003.timeindex").len(), 12, "the largest timestamp, at the close");
    let bytes = std::fs::read(f.root.path().join("t-0/00000000000000000003.timeindex")).expect("read");
    assert_eq!(bytes, [&(NOW_MS + 100).to_be_bytes()[..], &[0, 0, 0, 1]].concat());
    assert_eq!(file("00000000000000000005.snapshot").len(), 10 + 46);
}

#[test]
fn reserved_blocks_are_given_back_at_a_close() {
    let mut f = fixture(LogConfig { preallocate: true, segment_bytes: 4 << 20, ..LogConfig::default() });
    f.append(NOW_MS, 10);
    let path = f.path("00000000000000000000.log");
    let blocks = || std::fs::metadata(&path).expect("there").blocks() * 512;
    if blocks() < 4 << 20 {
        println!("skipped: this file system reserves nothing");
        return;
    }
    f.manager.shut_down(vec![f.log], Default::default()).expect("clean stop");
    assert!(blocks() <= 1 << 16, "{} bytes", blocks());
}
