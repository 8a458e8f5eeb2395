//! Temporary directories that a failed test can keep.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Removed with its value, unless the test fails and `OTTLA_KEEP` is set.
pub struct TestDir {
    dir: Option<TempDir>,
}

impl TestDir {
    pub fn new(name: &str) -> TestDir {
        let dir = tempfile::Builder::new()
            .prefix(&format!("ottla-{name}-"))
            .tempdir()
            .expect("temporary directory");
        TestDir { dir: Some(dir) }
    }

    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("present until dropped").path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("OTTLA_KEEP").is_some() {
            let kept = self.dir.take().expect("present until dropped").keep();
            eprintln!("kept {}", kept.display());
        }
    }
}
