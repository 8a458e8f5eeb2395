//! Random logs, compacted at random moments, killed in the middle of it: a reader who reads everything knows of every key
//! what he would know of the log that was never compacted.

use super::world::{Model, Seen, World, cleaner_config, config, name, open_manager, read};
use crate::common::{Offset, clock};
use crate::record::builder::BatchOptions;
use crate::record::testing::{CODECS, Rng};
use crate::storage::cleaner::CleanerConfig;
use crate::storage::file::tests::{self as seam, Disk};
use crate::storage::{Log, LogConfig};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// What a reader knows in the end: the last value of every key that has one.
fn table<'a>(seen: impl Iterator<Item = &'a Seen>) -> BTreeMap<Bytes, (Offset, Bytes)> {
    let mut table = BTreeMap::new();
    for Seen { offset, key, value, .. } in seen {
        match (key, value) {
            (Some(key), Some(value)) => drop(table.insert(key.clone(), (*offset, value.clone()))),
            (Some(key), None) => drop(table.remove(key)),
            (None, _) => {}
        }
    }
    table
}

/// Compares a log with what was written. `clean_to`: below, no key stands twice.
fn check(log: &mut Log, model: &Model, clean_to: Option<Offset>) {
    let start = log.log_start_offset();
    let end = log.log_end();
    let stable = log.last_stable_offset(end).offset;
    let visible = |seen: &&Seen| seen.offset >= start && seen.offset < stable;
    let found = read(log);
    let mut committed: Vec<_> = model.committed.iter().filter(visible).collect();
    committed.sort_by_key(|seen| seen.offset);
    for (seen, aborted) in &found {
        let known = if *aborted { &model.aborted } else { &model.committed };
        assert!(known.contains(seen), "{seen:?} was never written, aborted: {aborted}");
    }
    let ours: Vec<_> = found.iter().filter(|(_, aborted)| !aborted).map(|(seen, _)| seen).collect();
    assert!(ours.is_sorted_by_key(|seen| seen.offset));
    // Keys of which only records below the log start are left do not count.
    assert_eq!(table(ours.iter().copied()), table(committed.iter().copied()));
    if let Some(clean_to) = clean_to {
        let mut keys = HashMap::new();
        for seen in ours.iter().filter(|seen| seen.offset < clean_to) {
            let twice = keys.insert(seen.key.clone(), seen.offset);
            assert_eq!(twice, None, "{seen:?}");
        }
        let dirty: Vec<_> = ours.iter().filter(|seen| seen.offset >= clean_to).copied().collect();
        let expected: Vec<_> = committed.iter().filter(|seen| seen.offset >= clean_to).copied().collect();
        assert_eq!(dirty, expected, "nothing is missing above {clean_to}");
    }
    let producers: BTreeMap<_, _> =
        log.producers.sorted().into_iter().map(|(id, entry)| (id, entry.last_sequence())).collect();
    for (producer, (sequence, last_offset)) in &model.last_sequences {
        let known = producers.get(producer);
        // Of a producer whose last batch was deleted, recovery finds a marker at most.
        let deleted = *last_offset < start && known.is_none_or(|known| *known == -1);
        assert!(known == Some(sequence) || deleted, "producer {producer}: {known:?}, not {sequence}");
    }
}

fn step(world: &mut World, rng: &mut Rng) {
    let keys: Vec<String> = (0..8).map(|n| format!("key-{n}")).collect();
    let values = ["", "a", "some value", &"long ".repeat(20)];
    let producer = 1 + rng.below(3) as i64;
    let codec = CODECS[rng.below(2) as usize * rng.below(5) as usize];
    let open: Vec<_> = world.model.open.iter().map(|(id, _)| *id).collect();
    if open.contains(&producer) && rng.below(2) == 0 {
        world.end_transaction(producer, rng.below(2) == 0);
        return;
    }
    let options = match rng.below(4) {
        0 | 1 => BatchOptions { compression: codec, ..BatchOptions::default() },
        2 if !open.contains(&producer) => world.options(producer, false, codec),
        _ => world.options(producer, true, codec),
    };
    let records: Vec<_> = (0..=rng.below(4))
        .map(|_| {
            let key = (rng.below(20) > 0).then(|| keys[rng.below(8) as usize].as_str());
            let value = (rng.below(4) > 0).then(|| values[rng.below(4) as usize]);
            (key, value)
        })
        .collect();
    world.append(options, &records);
}

/// Takes the recorded changes up to somewhere, and looks at what a crash would leave there.
fn crash(disk: &mut Disk, rng: &mut Rng, root: &std::path::Path, world: &World, power_failure: bool) {
    let changes = seam::take();
    let cut = rng.below(changes.len() as u64 + 1) as usize;
    changes[..cut].iter().for_each(|change| disk.apply(change));
    let image = tempfile::tempdir().expect("temporary directory");
    disk.crash(power_failure, rng, root, image.path());
    let manager = open_manager(image.path(), &world.config);
    let mut log = manager.claim(&name()).expect("there");
    assert_eq!(log.log_end_offset(), world.with_log(|log| log.log_end_offset()));
    check(&mut log, &world.model, None);
    let entries = std::fs::read_dir(log.path()).expect("listed");
    for entry in entries {
        let file = entry.expect("entry").file_name().to_string_lossy().into_owned();
        assert!(!file.ends_with(".swap") && !file.ends_with(".cleaned"), "{file}");
    }
    manager.shut_down(vec![log], HashMap::new()).expect("clean stop");
    let manager = open_manager(image.path(), &world.config);
    check(&mut manager.claim(&name()).expect("still there"), &world.model, None);
    seam::take();
    changes[cut..].iter().for_each(|change| disk.apply(change));
}

fn run(rng: &mut Rng, steps: usize, power_failure: bool) {
    let root = tempfile::tempdir().expect("temporary directory");
    let delete_retention_ms = [0, 86_400_000][rng.below(2) as usize];
    seam::start();
    let mut world = World::new(root.path(), LogConfig { delete_retention_ms, ..config() });
    let mut disk = Disk::default();
    for _ in 0..steps {
        (0..rng.below(12)).for_each(|_| step(&mut world, rng));
        if rng.below(10) == 0 {
            let (start, end) = world.with_log(|log| (log.log_start_offset(), log.log_end_offset()));
            let to = start + rng.below((end - start) as u64 / 4 + 1) as i64;
            world.with_log(|log| log.advance_log_start_offset(to, end).expect("in range"));
            let states = [world.with_log(|log| log.state())];
            world.manager.write_log_starts(&states).expect("written");
            world.with_log(|log| log.apply_retention(clock::now_ms(), end).expect("works"));
        }
        if rng.below(3) == 0 {
            world.roll();
        }
        // What is not on disk, a power failure may take: other tests look at that.
        world.flush();
        world.manager.write_recovery_points(&[world.with_log(|log| log.state())]).expect("written");
        seam::take().iter().for_each(|change| disk.apply(change));
        let dedupe_buffer_bytes = [24 * 5, 1 << 20][rng.below(2) as usize];
        let cleaner = world.cleaner(CleanerConfig { dedupe_buffer_bytes, ..cleaner_config() });
        cleaner.clean_next(0);
        assert!(cleaner.failing().is_empty());
        crash(&mut disk, rng, root.path(), &world, power_failure);
        let first_dirty = world.checkpoint(root.path());
        let first_dirty = first_dirty.trim().rsplit(' ').next().and_then(|offset| offset.parse().ok());
        world.with_log(|log| check(log, &world.model, first_dirty.filter(|_| dedupe_buffer_bytes > 1000)));
        if rng.below(12) == 0 && world.model.open.is_empty() {
            world.restart(root.path());
            seam::take().iter().for_each(|change| disk.apply(change));
        }
    }
    seam::stop();
}

fn rounds() -> usize {
    std::env::var("CLEANER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

#[test]
fn a_killed_cleaner_changes_nothing_that_a_reader_knows() {
    let mut rng = Rng::fixed("cleaner, kill", 5);
    (0..rounds()).for_each(|_| run(&mut rng, 20, false));
}

#[test]
fn a_power_failure_changes_nothing_that_a_reader_knows() {
    let mut rng = Rng::fixed("cleaner, power failure", 5);
    (0..rounds()).for_each(|_| run(&mut rng, 20, true));
}

#[test]
fn formats_of_old_are_compacted_too() {
    for magic in [0, 1] {
        let mut rng = Rng::fixed("cleaner, formats", 5);
        let root = tempfile::tempdir().expect("temporary directory");
        let mut world = World::new(root.path(), LogConfig { message_format_magic: magic, ..config() });
        for _ in 0..60 {
            let compression = CODECS[rng.below(4) as usize];
            let key = format!("key-{}", rng.below(8));
            let other = format!("key-{}", rng.below(8));
            let options = BatchOptions { magic, compression, ..BatchOptions::default() };
            let many = [(Some(key.as_str()), Some("value")), (Some(other.as_str()), None)];
            let records =
                if compression == crate::record::Compression::None { &many[..1] } else { &many[..] };
            world.append(options, records);
            if rng.below(6) == 0 {
                world.roll();
                world.clean();
            }
            if magic == 0 {
                world.model.committed.iter_mut().for_each(|seen| seen.timestamp = -1);
            }
            let first_dirty = world.checkpoint(root.path());
            let first_dirty = first_dirty.trim().rsplit(' ').next().and_then(|offset| offset.parse().ok());
            world.with_log(|log| check(log, &world.model, first_dirty));
        }
        world.roll();
        world.clean();
        assert!(world.committed().len() <= 8, "one record a key");
    }
}
