//! The only door to the file system: a narrow set of verbs over paths and descriptors.
//!
//! Everything above works with positions (`pread`, `pwritev`), never with a shared cursor. Errors are plain
//! `io::Error`; the caller adds the log directory and what it was doing.

#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most buffers of one vectored write (`IOV_MAX` of Linux).
const VECTORS_MAX: usize = 1024;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DirEntry {
    /// The name; bytes that are no UTF-8 are replaced.
    pub(crate) name: String,
    /// True for directories (and links to them).
    pub(crate) is_dir: bool,
}

/// A change of the file system that is about to happen: what tests record, delay or let fail.
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) enum Change<'a> {
    CreateFile(&'a Path),
    CreateDir(&'a Path),
    Write(&'a OwnedFd, &'a [IoSlice<'a>], u64),
    Truncate(&'a OwnedFd, u64),
    SyncData(&'a OwnedFd),
    SyncPath(&'a Path),
    SyncFilesystem,
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
}

#[cfg(not(test))]
#[inline(always)]
fn admit(_: &Change<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use tests::admit;

fn cvt(result: isize) -> io::Result<usize> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
}

/// Opens for reading.
pub(crate) fn open_read(path: &Path) -> io::Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

/// Opens for reading and writing; the file must exist.
pub(crate) fn open_write(path: &Path) -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().read(true).write(true).open(path)?.into())
}

/// Opens for reading and writing, creates the file if it is not there.
pub(crate) fn create(path: &Path) -> io::Result<OwnedFd> {
    admit(&Change::CreateFile(path))?;
    Ok(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?.into())
}

/// Creates the file, or empties it.
pub(crate) fn create_empty(path: &Path) -> io::Result<OwnedFd> {
    let fd = create(path)?;
    if len(&fd)? > 0 {
        truncate(&fd, 0)?;
    }
    Ok(fd)
}

/// Size of an open file in bytes.
pub(crate) fn len(fd: &OwnedFd) -> io::Result<u64> {
    // SAFETY: an all-zero `stat` is a valid value, and the kernel fills it for the open descriptor.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    cvt(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) } as isize)?;
    Ok(stat.st_size as u64)
}

/// Size of a file in bytes.
pub(crate) fn path_len(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.len())
}

/// When the file was last written, in milliseconds since 1970.
pub(crate) fn modified_ms(path: &Path) -> io::Result<i64> {
    let metadata = fs::metadata(path)?;
    Ok(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000)
}

/// Sets when the file was last written.
pub(crate) fn set_modified(path: &Path, modified: SystemTime) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_modified(modified)
}

/// When the file was last written, exactly.
pub(crate) fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

/// True if the name exists.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// True for a directory that can be listed.
pub(crate) fn is_readable_dir(path: &Path) -> bool {
    path.is_dir() && fs::read_dir(path).is_ok()
}

/// The path without links.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Reads until `buffer` is full or the file ends; returns the bytes read.
pub(crate) fn read_at(fd: &OwnedFd, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        let at = (position + done as u64) as libc::off_t;
        // SAFETY: pointer and length describe `rest`, which lives across the call.
        let result = unsafe { libc::pread(fd.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
        match cvt(result) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes`.
pub(crate) fn write_at(fd: &OwnedFd, bytes: &[u8], position: u64) -> io::Result<()> {
    write_vectored_at(fd, &mut [IoSlice::new(bytes)], position)
}

/// Writes all buffers one after the other, from `position` on; as few system calls as the kernel allows.
pub(crate) fn write_vectored_at(
    fd: &OwnedFd,
    mut buffers: &mut [IoSlice<'_>],
    position: u64,
) -> io::Result<()> {
    admit(&Change::Write(fd, buffers, position))?;
    let mut at = position;
    while !buffers.is_empty() {
        let count = buffers.len().min(VECTORS_MAX);
        // SAFETY: `IoSlice` has the layout of `iovec`; the buffers live across the call.
        let result = unsafe {
            libc::pwritev(fd.as_raw_fd(), buffers.as_ptr().cast(), count as libc::c_int, at as libc::off_t)
        };
        match cvt(result) {
            Ok(0) if buffers.iter().all(|buffer| buffer.is_empty()) => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                at += n as u64;
                IoSlice::advance_slices(&mut buffers, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Cuts (or extends) the file.
pub(crate) fn truncate(fd: &OwnedFd, len: u64) -> io::Result<()> {
    admit(&Change::Truncate(fd, len))?;
    // SAFETY: plain system call on an open descriptor.
    cvt(unsafe { libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) } as isize).map(drop)
}

/// Reserves blocks without changing the size. A file system that cannot is not an error.
pub(crate) fn reserve(fd: &OwnedFd, len: u64) -> io::Result<()> {
    // SAFETY: plain system call on an open descriptor.
    let result = unsafe { libc::fallocate(fd.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, len as libc::off_t) };
    match cvt(result as isize) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other.map(drop),
    }
}

/// Writes the file's data to the disk.
pub(crate) fn sync_data(fd: &OwnedFd) -> io::Result<()> {
    admit(&Change::SyncData(fd))?;
    // SAFETY: plain system call on an open descriptor.
    cvt(unsafe { libc::fdatasync(fd.as_raw_fd()) } as isize).map(drop)
}

/// Writes a file's (or directory's) data and metadata to the disk.
pub(crate) fn sync_path(path: &Path) -> io::Result<()> {
    admit(&Change::SyncPath(path))?;
    File::open(path)?.sync_all()
}

/// Writes everything of the file system that `fd` lives on to the disk; reports write-back errors since `fd`
/// was opened.
pub(crate) fn sync_filesystem(fd: &OwnedFd) -> io::Result<()> {
    admit(&Change::SyncFilesystem)?;
    // SAFETY: plain system call on an open descriptor.
    cvt(unsafe { libc::syncfs(fd.as_raw_fd()) } as isize).map(drop)
}

/// Renames, replacing what was there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    admit(&Change::Rename(from, to))?;
    fs::rename(from, to)
}

/// Renames if `from` exists; true if it did.
pub(crate) fn rename_if_exists(from: &Path, to: &Path) -> io::Result<bool> {
    match rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file; true if it was there.
pub(crate) fn remove_if_exists(path: &Path) -> io::Result<bool> {
    admit(&Change::Remove(path))?;
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a directory and all below it; one that is gone is not an error.
pub(crate) fn remove_dir_all(path: &Path) -> io::Result<()> {
    admit(&Change::Remove(path))?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Creates a directory with all above it.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    admit(&Change::CreateDir(path))?;
    fs::create_dir_all(path)
}

/// Creates one directory; true if it was not there.
pub(crate) fn create_dir(path: &Path) -> io::Result<bool> {
    admit(&Change::CreateDir(path))?;
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lists a directory, sorted by name.
pub(crate) fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
    }
    entries.sort();
    Ok(entries)
}

/// Reads a whole small file; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes that reach the disk all at once, or not at all.
const BLOCK_BYTES: usize = 4096;

/// Replaces a small file: writes `path` + `.tmp`, renames it. With `sync` the content and the rename are on
/// disk when it returns; without, a power failure leaves the old file, the new one, or an empty one.
pub(crate) fn replace(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let file = create_empty(&temporary)?;
    write_at(&file, content, 0)?;
    if sync || content.len() > BLOCK_BYTES {
        sync_data(&file)?;
    }
    drop(file);
    rename(&temporary, path)?;
    if sync && let Some(parent) = path.parent() {
        sync_path(parent)?;
    }
    Ok(())
}

/// Writes at `position` of a file that is opened for it only; creates the file if it is not there.
pub(crate) fn write_once_at(path: &Path, content: &[u8], position: u64) -> io::Result<()> {
    write_at(&create(path)?, content, position)
}

/// Opens `path` (creating it) and locks it against every other opening, in this process or another one: also
/// against Apache Kafka, whose Java locks conflict with these. `None` if somebody else holds it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let fd = create(path)?;
    // SAFETY: an all-zero `flock` is a valid value: the whole file, pid 0 as open-file locks demand.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: `lock` lives across the call.
    match cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &lock) } as isize) {
        Ok(_) => Ok(Some(fd)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A range of a file as memory.
pub(crate) fn read_range(fd: &OwnedFd, position: u64, len: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; len];
    let read = read_at(fd, &mut bytes, position)?;
    bytes.truncate(read);
    Ok(Bytes::from(bytes))
}

/// The bytes of a slice, for those that need them in memory (conversion, TLS, tools).
pub fn read_slice(slice: &crate::common::FileSlice) -> io::Result<Bytes> {
    read_range(&slice.file, slice.position, slice.len)
}

/// How many descriptors this process may open.
pub(crate) fn descriptors_max() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: the kernel fills `limit`.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}
