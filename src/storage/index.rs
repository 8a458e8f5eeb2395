//! What offset index and time index have in common: fixed-size entries in rising order, the newest of the
//! active segment in memory, the rest in the file.
//!
//! ```text
//! file on disk  = entry{in_file}              exactly: no preallocation, so nothing to trim
//! active index  = entry{in_file} tail         the tail is written in pages, on roll, on flush and on close; the first
//!                                             entries of a segment at once, so that tools see them in a small log
//! ```
//!
//! Apache Kafka maps a preallocated file instead and trims it when the segment is rolled or closed; both end
//! alike. After a crash the index of the active segment is rebuilt by either broker.

use super::file;
use std::cmp::Ordering;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Entries kept in memory before the older half is written out.
const TAIL_ENTRIES_MAX: usize = 512;
/// So many entries of a segment are written as they come.
const PROMPT_ENTRIES: u32 = 16;
/// Entries that one read of a search in a file takes at most.
const READ_ENTRIES: u32 = 128;

/// One entry.
pub(crate) trait Entry: Copy + PartialEq + std::fmt::Debug {
    /// Bytes of an entry.
    const SIZE: usize;
    /// Appends the entry's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads it from `SIZE` bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// Index of the active segment.
#[derive(Debug)]
pub(crate) struct ActiveIndex<E> {
    in_file: u32,
    tail: Vec<E>,
    last: Option<E>,
    entries_max: u32,
}

/// The answer of a search that looks at memory only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found<E> {
    /// The largest entry that is not above the target; `None`: there is no such entry.
    Here(Option<E>),
    /// It is among the first so many entries of the file.
    InFile(u32),
}

impl<E: Entry> ActiveIndex<E> {
    /// Index of a new segment.
    pub(crate) fn new(entries_max: u32) -> ActiveIndex<E> {
        ActiveIndex { in_file: 0, tail: Vec::new(), last: None, entries_max }
    }

    /// Takes over a file that exists: its size decides how many entries it has.
    pub(crate) fn open(path: &Path, entries_max: u32) -> io::Result<ActiveIndex<E>> {
        let size = match file::path_len(path) {
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let in_file = u32::try_from(size / E::SIZE as u64).unwrap_or(u32::MAX);
        let last = match in_file {
            0 => None,
            n => read_entry(&file::open_read(path)?, n - 1)?,
        };
        Ok(ActiveIndex { in_file, tail: Vec::new(), last, entries_max })
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> u32 {
        self.in_file + self.tail.len() as u32
    }

    /// Number of entries the index may have.
    pub(crate) fn set_entries_max(&mut self, entries_max: u32) {
        self.entries_max = entries_max;
    }

    /// True if no more than `reserved` entries fit.
    pub(crate) fn is_full(&self, reserved: u32) -> bool {
        self.len() >= self.entries_max.saturating_sub(reserved)
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Entries in the file, and those in memory.
    pub(crate) fn parts(&self) -> (u32, &[E]) {
        (self.in_file, &self.tail)
    }

    /// Adds an entry; the caller saw to the order. May write a page of older entries to `path`.
    pub(crate) fn push(&mut self, entry: E, path: impl FnOnce() -> std::path::PathBuf) -> io::Result<()> {
        self.tail.push(entry);
        self.last = Some(entry);
        if self.len() <= PROMPT_ENTRIES {
            self.spill(&path(), self.tail.len())?;
        } else if self.tail.len() >= TAIL_ENTRIES_MAX {
            self.spill(&path(), TAIL_ENTRIES_MAX / 2)?;
        }
        Ok(())
    }

    fn spill(&mut self, path: &Path, count: usize) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(count * E::SIZE);
        self.tail[..count].iter().for_each(|entry| entry.write(&mut bytes));
        file::write_once_at(path, &bytes, u64::from(self.in_file) * E::SIZE as u64)?;
        self.tail.drain(..count);
        self.in_file += count as u32;
        Ok(())
    }

    /// Writes what is in memory to the file and gives the memory back.
    pub(crate) fn write_out(&mut self, path: &Path) -> io::Result<()> {
        if !self.tail.is_empty() {
            self.spill(path, self.tail.len())?;
            self.tail = Vec::new();
        }
        Ok(())
    }

    /// Searches memory: `order` compares an entry with the target. Entries rise.
    pub(crate) fn search(&self, order: impl Fn(&E) -> Ordering) -> Found<E> {
        let after = self.tail.partition_point(|entry| order(entry) != Ordering::Greater);
        match (after, self.in_file) {
            (0, 0) => Found::Here(None),
            (0, _) if self.tail.is_empty() && self.last.is_some_and(|e| order(&e) != Ordering::Greater) => {
                Found::Here(self.last)
            }
            (0, in_file) => Found::InFile(in_file),
            (after, _) => Found::Here(Some(self.tail[after - 1])),
        }
    }

    /// Drops all entries from the first for which `cut` holds (entries rise, so all after it do too).
    pub(crate) fn truncate(&mut self, path: &Path, cut: impl Fn(&E) -> bool) -> io::Result<()> {
        let keep = self.tail.partition_point(|entry| !cut(entry));
        self.tail.truncate(keep);
        if keep == 0 && self.in_file > 0 {
            let fd = file::open_write(path)?;
            let keep = partition_point(&fd, self.in_file, |entry: &E| !cut(entry))?;
            file::truncate(&fd, u64::from(keep) * E::SIZE as u64)?;
            self.in_file = keep;
            self.last = if keep == 0 { None } else { read_entry(&fd, keep - 1)? };
        } else {
            self.last = self.tail.last().copied();
        }
        Ok(())
    }
}

/// Number of whole entries of an index file.
pub(crate) fn entries_of<E: Entry>(fd: &OwnedFd) -> io::Result<u32> {
    Ok(u32::try_from(file::len(fd)? / E::SIZE as u64).unwrap_or(u32::MAX))
}

/// The entry at a slot; `None` if the file is shorter.
pub(crate) fn read_entry<E: Entry>(fd: &OwnedFd, slot: u32) -> io::Result<Option<E>> {
    let mut bytes = [0u8; 16];
    let bytes = &mut bytes[..E::SIZE];
    let read = file::read_at(fd, bytes, u64::from(slot) * E::SIZE as u64)?;
    Ok((read == E::SIZE).then(|| E::read(bytes)))
}

/// How many of the first `count` entries of a file fulfil `holds`, which holds for a prefix of them.
pub(crate) fn partition_point<E: Entry>(
    fd: &OwnedFd,
    count: u32,
    holds: impl Fn(&E) -> bool,
) -> io::Result<u32> {
    let (mut low, mut high) = (0, count);
    while high - low > READ_ENTRIES {
        let middle = low + (high - low) / 2;
        match read_entry::<E>(fd, middle)? {
            Some(entry) if holds(&entry) => low = middle + 1,
            _ => high = middle,
        }
    }
    let mut bytes = vec![0; (high - low) as usize * E::SIZE];
    let read = file::read_at(fd, &mut bytes, u64::from(low) * E::SIZE as u64)?;
    let whole = bytes[..read].chunks_exact(E::SIZE);
    Ok(low + whole.take_while(|chunk| holds(&E::read(chunk))).count() as u32)
}

/// The largest of the first `count` entries of a file that is not above the target.
pub(crate) fn search_file<E: Entry>(
    fd: &OwnedFd,
    count: u32,
    order: impl Fn(&E) -> Ordering,
) -> io::Result<Option<E>> {
    match partition_point(fd, count, |entry: &E| order(entry) != Ordering::Greater)? {
        0 => Ok(None),
        after => read_entry(fd, after - 1),
    }
}

/// Writes a whole index file.
pub(crate) fn write_file<E: Entry>(path: &Path, entries: &[E]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(entries.len() * E::SIZE);
    entries.iter().for_each(|entry| entry.write(&mut bytes));
    let fd = file::create_empty(path)?;
    file::write_at(&fd, &bytes, 0)
}
