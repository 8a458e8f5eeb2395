//! A disk that is soon full (Linux, root).

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use super::TestDir;

/// A file system in memory with little room, mounted where only the calling thread and what it starts see it. It ends with
/// them.
pub struct SmallDisk {
    dir: TestDir,
}

impl SmallDisk {
    /// Fails without root. From now on the mounts of the calling thread are its own: call it on a thread for this purpose.
    pub fn mount(bytes: u64) -> io::Result<SmallDisk> {
        let dir = TestDir::new("disk");
        // SAFETY: concerns this thread, and the strings live through the calls.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(io::Error::last_os_error());
            }
            let (root, path) = (c"/".as_ptr(), c_path(dir.path()));
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let size = CString::new(format!("size={bytes}")).expect("digits");
            if libc::mount(ptr::null(), root, ptr::null(), private, ptr::null()) != 0
                || libc::mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, size.as_ptr().cast())
                    != 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(SmallDisk { dir })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all room but so many bytes.
    pub fn fill_but(&self, bytes: u64) {
        let mut ballast = File::create(self.ballast()).expect("room for a file");
        let block = vec![0; 1 << 16];
        while ballast.write_all(&block).is_ok() {}
        let length = ballast.metadata().expect("own file").len();
        ballast.set_len(length.saturating_sub(bytes)).expect("own file");
    }

    /// Gives it back.
    pub fn release(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = c_path(self.dir.path());
        // SAFETY: the string lives through the call.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no zero in a path")
}
