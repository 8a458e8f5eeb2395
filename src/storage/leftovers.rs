//! What interrupted deletions and compactions leave in a partition's directory.
//!
//! - `.deleted` files go.
//! - `.cleaned` files go: the compaction had not finished.
//! - `.log.swap` is a finished compaction (or split): it takes the place of the segments that it covers. But if
//!   `.cleaned` files exist, swap files at or above the smallest of them belong to a split that had not
//!   finished, and go. Its indexes are built again.
//! - An index without a log goes.
//!
//! Source: Kafka 2.8.2, `Log.scala`, `removeTempFilesAndCollectSwapFiles` and `completeSwapOperations`.

use super::file;
use super::filename;
use super::header_scan::HeaderScan;
use super::loggers;
use super::partition_dir::PartitionDir;
use crate::common::Offset;
use std::collections::BTreeSet;
use std::io;

/// The files of a directory, by their offsets.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) logs: BTreeSet<Offset>,
    pub(crate) indexes: BTreeSet<Offset>,
    pub(crate) txn_indexes: BTreeSet<Offset>,
    pub(crate) snapshots: Vec<Offset>,
}

/// What a crash in the middle of a replacement leaves.
const TEMPORARY: [&str; 2] = ["leader-epoch-checkpoint.tmp", "partition.metadata.tmp"];
const INDEXES: [&str; 3] = [filename::OFFSET_INDEX, filename::TIME_INDEX, filename::TXN_INDEX];

/// Cleans up, then says what is there.
pub(crate) fn clean(dir: &PartitionDir) -> io::Result<Names> {
    let mut names = Names::default();
    let (mut cleaned, mut swaps, mut orphans) = (Vec::new(), Vec::new(), Vec::new());
    for entry in file::list(&dir.path())? {
        let name = entry.name.as_str();
        if entry.is_dir {
            continue;
        }
        if name.ends_with(filename::DELETED) || TEMPORARY.contains(&name) {
            file::remove_if_exists(&dir.file(name))?;
        } else if name.ends_with(filename::CLEANED) {
            cleaned.push(entry.name);
        } else if let Some(base) = name.strip_suffix(filename::SWAP) {
            match (base.strip_suffix(filename::LOG), filename::offset_of(base)) {
                (Some(_), Some(offset)) => swaps.push(offset),
                _ => orphans.push(entry.name),
            }
        } else if let Some(offset) = filename::offset_of(name) {
            let place = match &name[name.find('.').unwrap_or(name.len())..] {
                filename::LOG => &mut names.logs,
                filename::OFFSET_INDEX => &mut names.indexes,
                filename::TXN_INDEX => &mut names.txn_indexes,
                filename::TIME_INDEX => continue,
                filename::SNAPSHOT => {
                    names.snapshots.push(offset);
                    continue;
                }
                _ => continue,
            };
            place.insert(offset);
        }
    }
    let smallest_cleaned = cleaned.iter().filter_map(|name| filename::offset_of(name)).min();
    for name in cleaned.iter().chain(&orphans) {
        file::remove_if_exists(&dir.file(name))?;
    }
    for offset in swaps {
        remove_indexes(dir, &mut names, offset)?;
        if smallest_cleaned.is_some_and(|smallest| offset >= smallest) {
            file::remove_if_exists(&dir.of_offset(offset, ".log.swap"))?;
        } else {
            complete_swap(dir, &mut names, offset)?;
        }
    }
    remove_orphans(dir, &mut names)?;
    Ok(names)
}

fn remove_indexes(dir: &PartitionDir, names: &mut Names, offset: Offset) -> io::Result<()> {
    for suffix in INDEXES {
        file::remove_if_exists(&dir.of_offset(offset, suffix))?;
    }
    names.indexes.remove(&offset);
    names.txn_indexes.remove(&offset);
    Ok(())
}

/// Offset after the last whole batch of a log file.
fn next_offset(path: &std::path::Path) -> io::Result<Option<Offset>> {
    let fd = file::open_read(path)?;
    let size = u32::try_from(file::len(&fd)?).unwrap_or(u32::MAX);
    let mut scan = HeaderScan::new(&fd, 0, size);
    let mut next = None;
    while let Some((_, info)) = scan.next_batch()? {
        next = Some(info.next_offset());
    }
    Ok(next)
}

/// Puts a `.log.swap` in the place of the segments that it covers. Repeatable: if the broker stops in between,
/// the next start finds the same.
fn complete_swap(dir: &PartitionDir, names: &mut Names, offset: Offset) -> io::Result<()> {
    let swap = dir.of_offset(offset, ".log.swap");
    log::info!(
        target: loggers::LOG,
        "{}Found log file {} from interrupted swap operation, repairing.",
        dir.ident(),
        swap.display()
    );
    let end = next_offset(&swap)?.unwrap_or(offset + 1);
    let mut covered: Vec<Offset> = names.logs.range(offset..end.max(offset + 1)).copied().collect();
    if let Some(&below) = names.logs.range(..offset).next_back()
        && next_offset(&dir.of_offset(below, filename::LOG))?.is_some_and(|next| next > offset)
    {
        covered.push(below);
    }
    for base in covered {
        if base != offset {
            dir.delete_later(&filename::of_offset(base, filename::LOG), 0)?;
            remove_indexes(dir, names, base)?;
            names.logs.remove(&base);
        }
    }
    file::rename(&swap, &dir.of_offset(offset, filename::LOG))?;
    names.logs.insert(offset);
    Ok(())
}

fn remove_orphans(dir: &PartitionDir, names: &mut Names) -> io::Result<()> {
    for entry in file::list(&dir.path())? {
        let is_index = INDEXES.iter().any(|suffix| entry.name.ends_with(suffix));
        let Some(offset) = filename::offset_of(&entry.name).filter(|_| is_index) else { continue };
        if !names.logs.contains(&offset) {
            log::warn!(
                target: loggers::LOG,
                "{}Found an orphaned index file {}, with no corresponding log file.",
                dir.ident(),
                dir.file(&entry.name).display()
            );
            file::remove_if_exists(&dir.file(&entry.name))?;
            names.indexes.remove(&offset);
            names.txn_indexes.remove(&offset);
        }
    }
    Ok(())
}
