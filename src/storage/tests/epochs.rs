//! The file of leader epochs of an empty log, over restarts.

use super::world::{name, open_manager};
use crate::storage::{Log, LogManager};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Leads under `epochs`, stops, and gives what the file says and which file it is.
fn lead(root: &Path, manager: &LogManager, mut log: Log, epochs: &[i32]) -> (String, u64) {
    for epoch in epochs {
        log.assign_epoch_start(*epoch, 0).expect("works");
    }
    let file = log.path().join("leader-epoch-checkpoint");
    manager.shut_down(vec![log], Default::default()).expect("works");
    let inode = fs::metadata(&file).expect("there").ino();
    assert!(file.starts_with(root));
    (fs::read_to_string(&file).expect("text"), inode)
}

#[test]
fn the_epochs_of_an_empty_log_are_written_only_if_they_change() {
    let root = tempfile::tempdir().expect("temporary directory");
    let restart = |epochs: &[i32]| {
        let manager = open_manager(root.path());
        let log = manager.claim(&name()).expect("there");
        assert!(log.leader_epochs().is_empty(), "no record was written under an epoch");
        lead(root.path(), &manager, log, epochs)
    };
    let manager = open_manager(root.path());
    let log = manager.get_or_create(&name(), &super::world::config(), true).expect("created");
    let (text, first) = lead(root.path(), &manager, log, &[3]);
    drop(manager);
    assert_eq!(text, "0\n1\n3 0\n");
    assert_eq!(restart(&[3]), (text.clone(), first), "the same file");
    assert_eq!(restart(&[]).0, "0\n0\n", "nobody led");
    assert_eq!(restart(&[3]).0, text);
    assert_eq!(restart(&[4]).0, "0\n1\n4 0\n");
}
