//! What holds when everything is healed.

use std::fs;

use bytes::Bytes;

use super::consumer::Position;
use super::history::History;
use super::{BROKERS, Lab, TOPIC};
use crate::several::{log_bytes, partition_dir};
use crate::support::{read_batches, wait_for};

/// What was read while the cluster failed goes on to the end.
pub fn consumers_reach_the_end(positions: &[Position], sent: &[Vec<Bytes>]) {
    for (position, sent) in positions.iter().zip(sent) {
        wait_for("consumer at the end", || (position.seen() == sent.len()).then_some(()));
        position.end();
    }
}

/// Every record that was sent (all are acknowledged) is there once and in order, on all replicas, with the same epochs.
pub fn cluster_is_whole(lab: &mut Lab, sent: &[Vec<Bytes>]) {
    lab.cluster.assert_alive();
    for (partition, sent) in (0..).zip(sent) {
        let log_of = |id: usize| log_bytes(&lab.cluster.log_dirs()[id], TOPIC, partition);
        let log = wait_for("the same bytes in every log", || {
            let log = log_of(0);
            (1..BROKERS).all(|id| log_of(id) == log).then_some(log)
        });
        let records = read_batches(Bytes::copy_from_slice(&log));
        for ((record, value), offset) in records.iter().zip(sent).zip(0..) {
            assert_eq!(
                (record.offset, record.value.as_ref()),
                (offset, Some(value)),
                "partition {partition}"
            );
        }
        assert_eq!(records.len(), sent.len(), "records of partition {partition}");
        let (expected, log_end) = epochs(&log);
        for (id, log_dirs) in lab.cluster.log_dirs().iter().enumerate() {
            // A leader knows its epoch before the first record of it.
            let mut found = checkpoint(&partition_dir(log_dirs, TOPIC, partition));
            found.retain(|(_, start_offset)| *start_offset < log_end);
            assert_eq!(found, expected, "leader epochs of partition {partition} on broker {id}");
        }
    }
}

pub fn history_is_legal(history: &History) {
    let violations = history.violations();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// Each leader epoch of the batches of a log and the offset where it begins; and the end of the log.
fn epochs(log: &[u8]) -> (Vec<(i32, i64)>, i64) {
    let number = |at: usize| i32::from_be_bytes(log[at..at + 4].try_into().expect("four bytes"));
    let (mut epochs, mut at, mut log_end): (Vec<(i32, i64)>, usize, i64) = (Vec::new(), 0, 0);
    while at < log.len() {
        let base_offset = i64::from_be_bytes(log[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!(base_offset, log_end, "batches follow each other");
        let epoch = number(at + 12);
        match epochs.last() {
            Some((last, _)) if *last == epoch => {}
            last => {
                assert!(
                    last.is_none_or(|(last, _)| *last < epoch),
                    "epochs of a log go up: {epochs:?}, {epoch}"
                );
                epochs.push((epoch, base_offset));
            }
        }
        log_end = base_offset + i64::from(number(at + 23)) + 1;
        at += 12 + number(at + 8) as usize;
    }
    (epochs, log_end)
}

/// `leader-epoch-checkpoint` of a partition: version, number of lines, and in each an epoch and where it begins.
fn checkpoint(partition_dir: &std::path::Path) -> Vec<(i32, i64)> {
    let path = partition_dir.join("leader-epoch-checkpoint");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let entry = |line: &str| {
        let (epoch, offset) = line.split_once(' ')?;
        Some((epoch.parse().ok()?, offset.parse().ok()?))
    };
    text.lines().skip(2).map(|line| entry(line).unwrap_or_else(|| panic!("{line:?} in {text:?}"))).collect()
}
