//! The seam behind the file verbs: records what is done to the file system, lets a change fail, and makes from the
//! record the images that a crash or a power failure may leave.
//!
//! The model of the disk: what was not synced may be lost, each file by itself. Names (creations, renames, removals)
//! and truncations are a journal that survives up to some point, at least up to the last sync of the directory. Writes of a file
//! survive in any combination, the last one of a log torn (other files are smaller than a block); but nothing that came after a lost truncation.

use super::Change;
use crate::record::testing::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recorded {
    CreateFile(PathBuf),
    CreateDir(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Truncate(PathBuf, u64),
    Sync(PathBuf),
    SyncAll,
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// One change that fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// How many changes go through before it.
    pub(crate) after: usize,
    /// Of which kind the failing one must be.
    pub(crate) only: fn(&Recorded) -> bool,
    /// The error number.
    pub(crate) errno: i32,
    /// So many bytes of a failing write reach the file.
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct Recorder {
    changes: Vec<Recorded>,
    fault: Option<Fault>,
    failed: Option<Recorded>,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Records this thread's changes from now on.
pub(crate) fn start() {
    RECORDER.set(Some(Recorder::default()));
}

/// Stops recording.
pub(crate) fn stop() {
    RECORDER.set(None);
}

/// The changes since the last call.
pub(crate) fn take() -> Vec<Recorded> {
    RECORDER.with_borrow_mut(|r| r.as_mut().map_or(Vec::new(), |r| std::mem::take(&mut r.changes)))
}

/// Lets one of the following changes fail.
pub(crate) fn fail(fault: Fault) {
    RECORDER.with_borrow_mut(|r| r.get_or_insert_default().fault = Some(fault));
}

/// The change that failed, if one did.
pub(crate) fn failed() -> Option<Recorded> {
    RECORDER.with_borrow(|r| r.as_ref()?.failed.clone())
}

fn path_of(fd: &OwnedFd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("path of a descriptor")
}

fn describe(change: &Change<'_>) -> Recorded {
    match *change {
        Change::CreateFile(path) => Recorded::CreateFile(path.into()),
        Change::CreateDir(path) => Recorded::CreateDir(path.into()),
        Change::Write(fd, buffers, at) => {
            Recorded::Write(path_of(fd), at, buffers.iter().flat_map(|buffer| buffer.to_vec()).collect())
        }
        Change::Truncate(fd, len) => Recorded::Truncate(path_of(fd), len),
        Change::SyncData(fd) => Recorded::Sync(path_of(fd)),
        Change::SyncPath(path) => Recorded::Sync(path.into()),
        Change::SyncFilesystem => Recorded::SyncAll,
        Change::Rename(from, to) => Recorded::Rename(from.into(), to.into()),
        Change::Remove(path) => Recorded::Remove(path.into()),
    }
}

/// Called before every change.
pub(super) fn admit(change: &Change<'_>) -> io::Result<()> {
    RECORDER.with_borrow_mut(|recorder| {
        let Some(recorder) = recorder else { return Ok(()) };
        let recorded = describe(change);
        let fault = recorder.fault.filter(|fault| (fault.only)(&recorded));
        match fault {
            Some(fault) if fault.after == 0 => {
                recorder.fault = None;
                recorder.failed = Some(recorded.clone());
                if let (Change::Write(fd, ..), Recorded::Write(path, at, bytes)) = (change, recorded) {
                    let part = &bytes[..fault.bytes.min(bytes.len())];
                    // SAFETY: pointer and length describe `part`.
                    unsafe { libc::pwrite(fd.as_raw_fd(), part.as_ptr().cast(), part.len(), at as i64) };
                    recorder.changes.push(Recorded::Write(path, at, part.to_vec()));
                }
                return Err(io::Error::from_raw_os_error(fault.errno));
            }
            Some(fault) => recorder.fault = Some(Fault { after: fault.after - 1, ..fault }),
            None => {}
        }
        recorder.changes.push(recorded);
        Ok(())
    })
}

#[derive(Clone, Debug)]
enum DataOp {
    Write(u64, Vec<u8>),
    /// The new length, and how many changes of names stand before it in the journal.
    Truncate(u64, usize),
}

#[derive(Clone, Debug, Default)]
struct Node {
    durable: Vec<u8>,
    pending: Vec<DataOp>,
}

fn apply(data: &mut Vec<u8>, op: &DataOp) {
    match op {
        DataOp::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            if data.len() < end {
                data.resize(end, 0);
            }
            data[*at as usize..end].copy_from_slice(bytes);
        }
        DataOp::Truncate(len, _) => data.resize(*len as usize, 0),
    }
}

impl Node {
    fn sync(&mut self) {
        for op in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &op);
        }
    }

    /// What the file may hold after a power failure.
    fn survivor(&self, rng: &mut Rng, is_log: bool, journal: usize) -> Vec<u8> {
        let mut data = self.durable.clone();
        let mode = rng.below(4);
        let keep = match mode {
            0 => self.pending.len(),
            1 => 0,
            _ => rng.below(self.pending.len() as u64 + 1) as usize,
        };
        for (at, op) in self.pending.iter().enumerate() {
            let lost = at >= keep && (mode < 3 || rng.below(2) == 0);
            match op {
                // In the order of the journal: not without what stands before it, nor lost if a later change is not.
                DataOp::Truncate(_, before) if *before > journal || (lost && *before == journal) => break,
                DataOp::Write(place, bytes) if lost => {
                    // The first write that is lost may be there in part.
                    if at == keep && mode == 2 && is_log {
                        let part = bytes[..rng.below(bytes.len() as u64 + 1) as usize].to_vec();
                        apply(&mut data, &DataOp::Write(*place, part));
                    }
                }
                op => apply(&mut data, op),
            }
        }
        data
    }
}

/// Names: a file's number, or `None` for a directory.
type Names = BTreeMap<PathBuf, Option<usize>>;

fn rename(names: &mut Names, from: &Path, to: &Path) {
    let moved: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in moved {
        let entry = names.remove(&path).expect("listed");
        let rest = path.strip_prefix(from).expect("prefix");
        names.insert(if rest.as_os_str().is_empty() { to.into() } else { to.join(rest) }, entry);
    }
}

fn apply_name(names: &mut Names, op: &(Recorded, Option<usize>)) {
    match &op.0 {
        Recorded::CreateFile(path) | Recorded::CreateDir(path) => {
            names.entry(path.clone()).or_insert(op.1);
        }
        Recorded::Rename(from, to) => rename(names, from, to),
        Recorded::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        _ => {}
    }
}

/// A disk, as far as it was recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    live: Names,
    durable: Names,
    pending: Vec<(Recorded, Option<usize>)>,
    committed: usize,
}

impl Disk {
    /// Takes a change in.
    pub(crate) fn apply(&mut self, change: &Recorded) {
        match change {
            Recorded::Write(path, at, bytes) => self.node(path, DataOp::Write(*at, bytes.clone())),
            Recorded::Truncate(path, len) => {
                self.node(path, DataOp::Truncate(*len, self.committed + self.pending.len()))
            }
            Recorded::Sync(path) => self.sync(path),
            Recorded::SyncAll => {
                self.nodes.iter_mut().for_each(Node::sync);
                self.commit_names(self.pending.len());
            }
            Recorded::CreateFile(path) | Recorded::CreateDir(path) => {
                if self.live.contains_key(path) {
                    return;
                }
                let node = matches!(change, Recorded::CreateFile(_)).then(|| {
                    self.nodes.push(Node::default());
                    self.nodes.len() - 1
                });
                self.name((change.clone(), node));
            }
            Recorded::Rename(from, _) if !self.live.contains_key(from) => {}
            Recorded::Rename(..) | Recorded::Remove(_) => self.name((change.clone(), None)),
        }
    }

    fn name(&mut self, op: (Recorded, Option<usize>)) {
        apply_name(&mut self.live, &op);
        self.pending.push(op);
    }

    fn node(&mut self, path: &Path, op: DataOp) {
        // A file that was unlinked is written without consequence.
        if let Some(Some(node)) = self.live.get(path) {
            self.nodes[*node].pending.push(op);
        }
    }

    fn sync(&mut self, path: &Path) {
        match self.live.get(path) {
            Some(Some(node)) => {
                let truncation = self.nodes[*node].pending.iter().filter_map(|op| match op {
                    DataOp::Truncate(_, before) => Some(*before),
                    DataOp::Write(..) => None,
                });
                let journal = truncation.max().unwrap_or(0);
                self.nodes[*node].sync();
                self.commit_names(journal.saturating_sub(self.committed));
            }
            Some(None) => {
                let touches = |op: &(Recorded, Option<usize>)| match &op.0 {
                    Recorded::Rename(from, to) => [from, to].iter().any(|p| p.parent() == Some(path)),
                    Recorded::CreateFile(p) | Recorded::CreateDir(p) | Recorded::Remove(p) => {
                        p.parent() == Some(path)
                    }
                    _ => false,
                };
                let count = self.pending.iter().rposition(touches).map_or(0, |at| at + 1);
                self.commit_names(count);
            }
            None => {}
        }
    }

    fn commit_names(&mut self, count: usize) {
        self.committed += count;
        for op in self.pending.drain(..count) {
            apply_name(&mut self.durable, &op);
        }
    }

    /// Writes to `image` what stands below `root` after the process was killed, or the power failed.
    pub(crate) fn crash(&self, power_failure: bool, rng: &mut Rng, root: &Path, image: &Path) {
        let mut names = self.durable.clone();
        let kept = match power_failure {
            true => rng.below(self.pending.len() as u64 + 1) as usize,
            false => self.pending.len(),
        };
        self.pending[..kept].iter().for_each(|op| apply_name(&mut names, op));
        for (path, entry) in &names {
            let to = image.join(path.strip_prefix(root).expect("below the root"));
            match entry {
                None => fs::create_dir_all(&to).expect("image"),
                Some(node) => {
                    let is_log = to.extension().is_some_and(|extension| extension == "log");
                    let mut node = self.nodes[*node].clone();
                    if !power_failure {
                        node.sync();
                    }
                    fs::write(&to, node.survivor(rng, is_log, self.committed + kept)).expect("image");
                }
            }
        }
    }
}
