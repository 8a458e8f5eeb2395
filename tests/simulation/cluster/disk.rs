//! What a crash leaves in a log directory.
//!
//! A process that dies leaves everything that it wrote. When the power fails, what lies above the recovery point of a log
//! may be there, torn, or gone, and the file of leader epochs may lack what came with it.

use super::bug::Bug;
use super::setup::Setup;
use crate::rng::Rng;
use ottla::record::BatchInfo;
use ottla::record::batch::Batches;
use ottla::replication::Partition;
use std::fs;
use std::path::{Path, PathBuf};

/// A batch, as far as its identity goes: the checksum covers all but offset and leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub offset: i64,
    pub next_offset: i64,
    pub epoch: i32,
    pub crc: u32,
}

impl Entry {
    pub fn of(info: &BatchInfo) -> Entry {
        Entry {
            offset: info.base_offset,
            next_offset: info.next_offset(),
            epoch: info.partition_leader_epoch,
            crc: info.crc,
        }
    }
}

/// The batches in these bytes; the last one may be cut off.
pub fn parse(bytes: &bytes::Bytes) -> Vec<Entry> {
    Batches::new(bytes).map_while(|batch| batch.ok()).map(|(info, _)| Entry::of(&info)).collect()
}

/// The batches of a log from an offset on.
pub fn entries(partition: &Partition, from: i64) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut offset = from;
    loop {
        // A log may end before.
        let Ok(bytes) = partition.read_for_loading(offset, 1 << 16) else { return found };
        let more = parse(&bytes);
        let Some(last) = more.last() else { return found };
        offset = last.next_offset;
        found.extend(more);
    }
}

/// What is known of a log at the moment of a crash.
pub struct Dying {
    pub partition: i32,
    path: PathBuf,
    /// What begins below is on disk: it was synced, or the last crash left it.
    synced_below: i64,
    epochs: Vec<(i32, i64)>,
    pub entries: Vec<Entry>,
}

impl Dying {
    /// `survived`: where the log ended that the process found.
    pub fn of(number: i32, partition: &Partition, survived: i64) -> Option<Dying> {
        let entries = entries(partition, 0);
        partition.with_state(|state| {
            let log = state.log.as_ref()?;
            Some(Dying {
                partition: number,
                path: log.path().to_path_buf(),
                synced_below: log.recovery_point().max(survived.min(log.state().truncated.1)),
                epochs: log.leader_epochs().to_vec(),
                entries,
            })
        })
    }

    /// The power fails; what is left of the log.
    pub fn tear(&mut self, rng: &mut Rng, setup: &Setup) {
        let mut logs: Vec<PathBuf> = fs::read_dir(&self.path)
            .expect("the partition's directory")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "log"))
            .collect();
        logs.sort();
        let mut torn = false;
        for path in logs {
            if torn {
                fs::remove_file(&path).expect("removable");
                continue;
            }
            torn = self.tear_segment(&path, rng);
        }
        self.forget_epochs(rng, setup);
    }

    /// Cuts a segment somewhere above what is synced; true if what follows it is gone.
    fn tear_segment(&mut self, path: &Path, rng: &mut Rng) -> bool {
        let bytes = bytes::Bytes::from(fs::read(path).expect("readable"));
        let (mut synced, mut size) = (0, 0);
        for (info, _) in Batches::new(&bytes).map_while(Result::ok) {
            size += info.size_bytes as u64;
            if info.base_offset < self.synced_below {
                synced = size;
            }
        }
        if size == synced || rng.within(0..3) == 0 {
            return false;
        }
        let kept = synced + rng.within(0..size - synced);
        let file = fs::OpenOptions::new().write(true).open(path).expect("writable");
        file.set_len(kept).expect("a cut");
        if rng.within(0..3) == 0 {
            // The new size was written, the data were not.
            file.set_len(size).expect("a hole");
        }
        let mut end = 0;
        let whole = |info: &BatchInfo, end: &mut u64| {
            *end += info.size_bytes as u64;
            *end <= kept
        };
        let first = Batches::new(&bytes)
            .map_while(Result::ok)
            .find(|(info, _)| !whole(info, &mut end))
            .map(|(info, _)| info.base_offset);
        self.entries.retain(|entry| first.is_none_or(|lost| entry.offset < lost));
        true
    }

    fn forget_epochs(&self, rng: &mut Rng, setup: &Setup) {
        let mut kept = self.epochs.clone();
        if setup.bug == Some(Bug::EpochFileNotSynced) {
            let synced = kept.iter().filter(|(_, start)| *start < self.synced_below).count();
            if synced > 1 {
                kept.truncate(synced - 1);
            }
        } else if rng.within(0..2) == 0 {
            kept.retain(|(_, start)| *start < self.synced_below);
        }
        let lines: String = kept.iter().map(|(epoch, start)| format!("{epoch} {start}\n")).collect();
        let text = format!("0\n{}\n{lines}", kept.len());
        fs::write(self.path.join("leader-epoch-checkpoint"), text).expect("writable");
    }
}

/// Where the worlds of this thread keep their files: in memory where the system has such a place.
pub fn root() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    let made = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}
