//! What the small files say, and when.

use super::simple::{NOW_MS, fixture, name, open};
use crate::common::{TopicPartition, Uuid};
use crate::storage::LogConfig;
use std::collections::HashMap;

#[test]
fn checkpoints_say_what_is_on_disk() {
    let mut f = fixture(LogConfig::default());
    let other = f.manager.get_or_create(&TopicPartition::new("a", 7), &f.config, true).expect("created");
    (0..5).for_each(|_| {
        f.append(NOW_MS, 10);
    });
    f.manager.write_recovery_points(&[f.log.state(), other.state()]).expect("works");
    assert_eq!(f.checkpoint("recovery-point-offset-checkpoint"), "0\n2\na 7 0\nt 0 0\n");
    f.log.flush(NOW_MS).expect("works");
    f.log.advance_log_start_offset(2, 5).expect("in range");
    f.manager.write_recovery_points(&[f.log.state(), other.state()]).expect("works");
    f.manager.write_log_starts(&[f.log.state(), other.state()]).expect("works");
    let points = f.checkpoint("recovery-point-offset-checkpoint");
    assert_eq!(points, "0\n2\na 7 0\nt 0 4\n", "the records are on disk, the end of the indexes is not");
    assert_eq!(f.checkpoint("log-start-offset-checkpoint"), "0\n1\nt 0 2\n");
    let marks = HashMap::from([(f.log.log_dir().clone(), vec![(name(), 4)])]);
    f.manager.write_high_watermarks(marks).expect("works");
    assert_eq!(f.checkpoint("replication-offset-checkpoint"), "0\n1\nt 0 4\n");
    f.append(NOW_MS, 10);
    f.manager.shut_down(vec![f.log, other], HashMap::new()).expect("clean stop");
    let read = |file: &str| std::fs::read_to_string(f.root.path().join(file)).expect(file);
    assert_eq!(read("recovery-point-offset-checkpoint"), "0\n2\na 7 0\nt 0 6\n");
    assert_eq!(read("log-start-offset-checkpoint"), "0\n1\nt 0 2\n");
    assert_eq!(read("replication-offset-checkpoint"), "0\n1\nt 0 4\n", "nobody was asked");
    assert_eq!(read(".kafka_cleanshutdown"), "");
    let manager = open(&f.root, &f.config, true);
    assert!(!f.root.path().join(".kafka_cleanshutdown").exists(), "a crash from now on is a crash");
    assert!(f.root.path().join(".lock").exists());
    let log = manager.claim(&name()).expect("there");
    assert_eq!((log.log_start_offset(), log.recovery_point(), log.log_end_offset()), (2, 6, 6));
    let (marks, errors) = manager.read_high_watermarks();
    assert!(errors.is_empty());
    assert_eq!(marks[&name()], 4);
}

#[test]
fn a_directory_is_not_marked_clean_if_a_log_could_not_be_closed() {
    let mut f = fixture(LogConfig::default());
    f.append(NOW_MS, 10);
    std::fs::remove_dir_all(f.log.path()).expect("the disk forgets");
    f.manager.shut_down(vec![f.log], HashMap::new()).expect_err("a snapshot cannot be written");
    assert!(!f.root.path().join(".kafka_cleanshutdown").exists());
}

#[test]
fn topic_ids_stand_beside_the_data_only_if_the_protocol_knows_them() {
    let mut f = fixture(LogConfig::default());
    let id = Uuid::parse("pq4a3bC8R2m5pQ1qX8l5Zg").expect("an id");
    f.log.assign_topic_id(id).expect("works");
    let text = std::fs::read_to_string(f.path("partition.metadata")).expect("written");
    assert_eq!(text, "version: 0\ntopic_id: pq4a3bC8R2m5pQ1qX8l5Zg");
    f.manager.shut_down(vec![f.log], HashMap::new()).expect("clean stop");
    let manager = open(&f.root, &f.config, true);
    let log = manager.claim(&name()).expect("there");
    assert_eq!(log.topic_id(), id);
    manager.shut_down(vec![log], HashMap::new()).expect("clean stop");
    let manager = open(&f.root, &f.config, false);
    let mut log = manager.claim(&name()).expect("there");
    assert!(log.topic_id().is_zero() && !f.root.path().join("t-0/partition.metadata").exists());
    log.assign_topic_id(id).expect("ignored");
    assert!(!f.root.path().join("t-0/partition.metadata").exists());
}

#[test]
fn files_of_a_power_failure_that_say_nothing_are_no_error() {
    let mut f = fixture(LogConfig::default());
    f.log.assign_epoch_start(3, 0).expect("works");
    (0..3).for_each(|_| {
        f.append(NOW_MS, 10);
    });
    f.log.flush(NOW_MS).expect("works");
    f.manager.write_recovery_points(&[f.log.state()]).expect("works");
    let root = f.root;
    drop((f.log, f.manager));
    for file in ["partition.metadata", "leader-epoch-checkpoint", "leader-epoch-checkpoint.tmp"] {
        std::fs::write(root.path().join("t-0").join(file), "").expect("emptied");
    }
    let manager = open(&root, &f.config, true);
    let log = manager.claim(&name()).expect("there");
    assert!(log.topic_id().is_zero());
    assert_eq!(log.leader_epochs(), [(0, 0)], "as the batches say");
    assert!(!root.path().join("t-0/leader-epoch-checkpoint.tmp").exists());
}
