//! Which segments go, what stays of them, and when that goes too.

use super::simple::{Fixture, NOW_MS, batch, fixture, name};
use crate::record::builder::BatchOptions;
use crate::storage::{LogConfig, ReadError};

/// Ten segments of one batch each, a second apart.
fn ten_segments(config: LogConfig) -> Fixture {
    let segment_bytes = batch(BatchOptions::default(), NOW_MS, 100).bytes.len() as u32;
    let mut f = fixture(LogConfig { segment_bytes, ..config });
    (0..10).for_each(|n| {
        f.append(NOW_MS + n * 1000, 100);
    });
    assert_eq!(f.bases(), (0..10).collect::<Vec<_>>());
    f
}

#[test]
fn old_segments_go_in_order_and_not_above_the_high_watermark() {
    let mut f = ten_segments(LogConfig { retention_ms: 5000, ..LogConfig::default() });
    let now_ms = NOW_MS + 8000;
    assert_eq!(f.log.apply_retention(now_ms, 2).expect("works"), 2, "bounded by the high watermark");
    assert_eq!(f.log.apply_retention(now_ms, 10).expect("works"), 1, "exactly 5000 ms old is not too old");
    assert_eq!((f.bases()[0], f.log.log_start_offset()), (3, 3));
    assert_eq!(f.files(".log.deleted").len(), 3);
    let gone = f.log.plan_read(2, f.log.log_end()).expect_err("below the log start");
    assert!(matches!(gone, ReadError::OffsetOutOfRange { log_start_offset: 3, .. }), "{gone}");
    let due_ms = now_ms + f.config.file_delete_delay_ms;
    f.manager.run_deletions(now_ms).expect("works");
    f.manager.run_deletions(due_ms - 1).expect("works");
    assert_eq!(f.files(".deleted").len(), 3 * 4 - 1, "log, indexes and snapshots; the first has none");
    f.manager.run_deletions(due_ms).expect("works");
    assert!(f.files(".deleted").is_empty());
}

#[test]
fn the_active_segment_goes_too_and_offsets_go_on() {
    let mut f = ten_segments(LogConfig { retention_ms: 5000, ..LogConfig::default() });
    assert_eq!(f.log.apply_retention(NOW_MS + 60_000, 10).expect("works"), 10);
    assert_eq!((f.bases(), f.log.log_start_offset(), f.log.size_bytes()), (vec![10], 10, 0));
    assert_eq!(f.log.apply_retention(NOW_MS + 90_000, 10).expect("works"), 0, "an empty one stays");
    assert_eq!(f.append(NOW_MS, 10), 10);
}

#[test]
fn surplus_bytes_go_by_whole_segments() {
    let size = i64::from(batch(BatchOptions::default(), NOW_MS, 100).bytes.len() as u32);
    for (retention_bytes, stay) in [(10 * size, 10), (9 * size + 1, 10), (9 * size, 9), (size, 1), (0, 1)] {
        let mut f = ten_segments(LogConfig { retention_ms: -1, retention_bytes, ..LogConfig::default() });
        f.log.apply_retention(NOW_MS, 10).expect("works");
        assert_eq!(
            f.log.size_bytes() as i64,
            if retention_bytes == 0 { 0 } else { stay * size },
            "{retention_bytes}"
        );
    }
}

#[test]
fn deleted_records_take_their_segments_along() {
    let mut f =
        ten_segments(LogConfig { delete: false, compact: true, retention_ms: 1, ..LogConfig::default() });
    assert!(f.log.advance_log_start_offset(11, 10).is_err(), "above the high watermark");
    assert!(f.log.advance_log_start_offset(4, 10).expect("in range"));
    assert!(!f.log.advance_log_start_offset(3, 10).expect("in range"), "it never goes back");
    assert_eq!(f.log.apply_retention(NOW_MS + 90_000, 10).expect("works"), 4, "age does not count here");
    assert_eq!(f.bases()[0], 4);
    f.manager.write_log_starts(&[f.log.state()]).expect("works");
    assert_eq!(f.checkpoint("log-start-offset-checkpoint"), "0\n0\n", "the first segment says it");
}

#[test]
fn a_deleted_partition_leaves_at_once_and_can_be_created_again() {
    let f = ten_segments(LogConfig::default());
    f.manager.delete(f.log).expect("works");
    let dirs = || {
        let entries = std::fs::read_dir(f.root.path()).expect("listed").map(|entry| entry.expect("entry"));
        let dirs = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<_> = dirs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let [deleted] = &dirs()[..] else { panic!("{:?}", dirs()) };
    let unique = deleted.strip_prefix("t-0.").and_then(|rest| rest.strip_suffix("-delete")).expect(deleted);
    assert!(unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit()), "{unique}");
    let again = f.manager.get_or_create(&name(), &f.config, true).expect("created");
    assert_eq!(again.log_end_offset(), 0);
    f.manager.run_deletions(NOW_MS).expect("works");
    assert_eq!(dirs().len(), 2);
    f.manager.run_deletions(NOW_MS + f.config.file_delete_delay_ms).expect("works");
    assert_eq!(dirs(), ["t-0"]);
}
