//! Readers and others that are at work while segments are exchanged.

use super::world::{World, cleaner_config, config, read};
use crate::record::batch::Compression;
use crate::storage::{LogConfig, read_slice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn filled(world: &mut World) {
    for n in 0..4 {
        for producer in [1, 2] {
            let options = world.options(producer, true, Compression::None);
            world.append(options, &[(Some("a"), Some("value")), (Some("b"), Some("value"))]);
            world.end_transaction(producer, producer == 1 || n == 3);
        }
        world.roll();
    }
}

#[test]
fn a_read_that_was_planned_before_gets_what_was_there() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = World::new(root.path(), config());
    filled(&mut world);
    let plan = |offset| {
        world.with_log(|log| {
            let stable = log.log_end();
            log.plan_read(offset, stable).expect("in range").with_aborted_transactions()
        })
    };
    let contents = |offset| {
        let read = plan(offset).execute(1 << 20, true).expect("reads");
        let bytes = read.records.map(|slice| read_slice(&slice).expect("bytes"));
        (bytes, read.aborted_transactions)
    };
    let before: Vec<_> = [0, 6, 13].map(contents).into();
    // Plans without an open file among them: descriptors are opened late.
    world.with_log(|log| log.sealed.iter().for_each(|segment| segment.file.close()));
    let plans: Vec<_> = [0, 6, 13].map(plan).into();
    let lookups: Vec<_> = (0..3)
        .map(|n| {
            world.with_log(|log| log.plan_offset_for_timestamp(super::world::NOW_MS + n).expect("planned"))
        })
        .collect();
    let found: Vec<_> = (0..3)
        .map(|n| world.with_log(|log| log.offset_for_timestamp(super::world::NOW_MS + n).expect("found")))
        .collect();
    assert_eq!(world.clean(), 1);
    assert_eq!(world.with_log(|log| log.segment_count()), 2);
    for (plan, (bytes, aborted)) in plans.into_iter().zip(before) {
        let read = plan.execute(1 << 20, true).expect("reads");
        assert_eq!(read.records.map(|slice| read_slice(&slice).expect("bytes")), bytes);
        assert_eq!(read.aborted_transactions, aborted);
    }
    for (n, (lookup, before)) in lookups.into_iter().zip(found).enumerate() {
        let timestamp = super::world::NOW_MS + n as i64;
        let after = world.with_log(|log| log.offset_for_timestamp(timestamp).expect("found"));
        let found = lookup.execute().expect("searches");
        // The first of the old records, or a later one that is as old: the new index does not know the first.
        let offset = |found: &Option<crate::storage::TimestampAndOffset>| found.map(|found| found.offset);
        assert!(
            offset(&before) <= offset(&found) && offset(&found) <= offset(&after),
            "{before:?} {found:?} {after:?}"
        );
        assert_eq!(found.map(|found| found.timestamp), before.map(|before| before.timestamp));
    }
}

/// Compacts while `change` happens to the log before visit number `at` of it.
fn clean_while(world: &World, at: usize, change: impl Fn(&mut crate::storage::Log) + Send + 'static) {
    let visits = AtomicUsize::new(0);
    let meanwhile: super::world::Meanwhile = Box::new(move |log| {
        if visits.fetch_add(1, Ordering::Relaxed) == at {
            change(log);
        }
    });
    *world.served.meanwhile.lock().expect("free") = Some(meanwhile);
    let cleaner = world.cleaner(cleaner_config());
    assert!(cleaner.clean_next(0));
    *world.served.meanwhile.lock().expect("free") = None;
    assert!(cleaner.failing().is_empty());
}

#[test]
fn a_log_that_is_cut_or_shortened_meanwhile_keeps_what_it_has() {
    for at in 0..3 {
        let root = tempfile::tempdir().expect("temporary directory");
        let mut world = World::new(root.path(), LogConfig { segment_bytes: 700, ..config() });
        filled(&mut world);
        world.flush();
        clean_while(&world, at, |log| {
            log.truncate_to(15, 0).expect("cut");
        });
        let mut seen = world.with_log(read);
        seen.retain(|(_, aborted)| !aborted);
        let last = |key: &str| seen.iter().rfind(|(seen, _)| seen.key.as_deref() == Some(key.as_bytes()));
        assert_eq!(last("a").map(|(seen, _)| seen.offset), Some(12), "cut at visit {at}");
        assert_eq!(last("b").map(|(seen, _)| seen.offset), Some(13));
        assert_eq!(world.with_log(|log| log.log_end_offset()), 15);
        let root = tempfile::tempdir().expect("temporary directory");
        let mut world = World::new(root.path(), LogConfig { segment_bytes: 700, ..config() });
        filled(&mut world);
        world.flush();
        clean_while(&world, at, |log| {
            log.advance_log_start_offset(7, 24).expect("in range");
            log.apply_retention(0, 24).expect("works");
        });
        if at == 0 {
            assert_eq!(world.bases()[0], 6, "what retention deleted does not come back");
        }
        world.restart(root.path());
        assert_eq!(world.with_log(|log| log.log_start_offset()), 7);
    }
}

#[test]
fn a_log_that_is_taken_away_meanwhile_is_no_failure() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = World::new(root.path(), config());
    filled(&mut world);
    world.flush();
    let manager = Arc::clone(&world.manager);
    clean_while(&world, 0, move |log| {
        // As `LogManager::delete` does; the log itself stays with the test.
        log.end_close();
        manager.fail_directory(std::path::Path::new("another"));
    });
    assert!(world.served.errors.lock().expect("free").is_empty());
}
