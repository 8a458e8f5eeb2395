//! Names of files and directories.
//!
//! ```text
//! directory = topic "-" partition [ "." unique ( "-delete" | "-future" ) ]
//! file      = 20 digits of base offset ( ".log" | ".index" | ".timeindex" | ".txnindex" | ".snapshot" )
//!             [ ".deleted" | ".cleaned" | ".swap" ]
//! ```
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/Log.scala`.

use super::error::StartError;
use crate::common::{Offset, TopicPartition, random};
use std::path::Path;

pub(crate) const LOG: &str = ".log";
pub(crate) const OFFSET_INDEX: &str = ".index";
pub(crate) const TIME_INDEX: &str = ".timeindex";
pub(crate) const TXN_INDEX: &str = ".txnindex";
pub(crate) const SNAPSHOT: &str = ".snapshot";
pub(crate) const DELETED: &str = ".deleted";
pub(crate) const CLEANED: &str = ".cleaned";
pub(crate) const SWAP: &str = ".swap";

pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const META_PROPERTIES: &str = "meta.properties";
pub(crate) const LOCK: &str = ".lock";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(crate) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
/// Files of a log directory that are there, empty, from its first start on.
pub(crate) const CHECKPOINTS: [&str; 4] =
    [CLEANER_OFFSETS, LOG_START_OFFSETS, RECOVERY_POINTS, HIGH_WATERMARKS];

/// Longest name that file systems take.
pub(crate) const NAME_BYTES_MAX: usize = 255;
const DELETE: &str = "-delete";
const FUTURE: &str = "-future";
/// KRaft's metadata log, which a ZooKeeper-mode broker passes over.
const METADATA_TOPIC: &str = "__cluster_metadata";

const OFFSET_DIGITS: usize = 20;

/// `base_offset` in 20 digits, then `suffix`.
pub(crate) fn of_offset(base_offset: Offset, suffix: &str) -> String {
    format!("{base_offset:020}{suffix}")
}

/// The offset that a file name begins with: 20 digits, then a dot. Other names are nobody's.
pub(crate) fn offset_of(name: &str) -> Option<Offset> {
    let digits = name.split('.').next()?;
    let is_offset = digits.len() == OFFSET_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_offset { digits.parse().ok() } else { None }
}

/// The role of a partition directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DirKind {
    /// The partition's log.
    Current,
    /// A copy that will replace the current log when it caught up (KIP-113).
    Future,
    /// Waits for its deletion.
    Deleted,
    /// KRaft's: left alone.
    Foreign,
}

/// What the name of a directory below `root` means.
pub(crate) fn parse_dir(root: &Path, name: &str) -> Result<(TopicPartition, DirKind), StartError> {
    let refuse = || {
        StartError::kafka(format!(
            "Found directory {}, '{name}' is not in the form of topic-partition or \
             topic-partition.uniqueId-delete (if marked for deletion).\nKafka's log directories (and children) \
             should only contain Kafka topic data.",
            root.join(name).display()
        ))
    };
    let (stem, mut kind) = match (name.strip_suffix(DELETE), name.strip_suffix(FUTURE)) {
        (Some(stem), _) => (stem, DirKind::Deleted),
        (_, Some(stem)) => (stem, DirKind::Future),
        _ => (name, DirKind::Current),
    };
    let stem = match kind {
        DirKind::Current => stem,
        _ => match stem.rsplit_once('.') {
            Some((stem, unique)) if !unique.is_empty() => stem,
            _ => return Err(refuse()),
        },
    };
    let (topic, partition) = stem.rsplit_once('-').ok_or_else(refuse)?;
    let partition = partition.parse::<i32>().map_err(|_| refuse())?;
    if topic.is_empty() {
        return Err(refuse());
    }
    if topic == METADATA_TOPIC {
        kind = DirKind::Foreign;
    }
    Ok((TopicPartition::new(topic, partition), kind))
}

/// `topic-partition`.
pub(crate) fn dir_of(topic_partition: &TopicPartition) -> String {
    topic_partition.to_string()
}

fn unique() -> String {
    format!("{:016x}{:016x}", random::next_u64(), random::next_u64())
}

/// A name for a future log.
pub(crate) fn future_dir_of(topic_partition: &TopicPartition) -> String {
    format!("{topic_partition}.{}{FUTURE}", unique())
}

/// A name for a log that waits for its deletion; a long topic is cut.
pub(crate) fn deleted_dir_of(topic_partition: &TopicPartition) -> String {
    let suffix = format!("-{}.{}{DELETE}", topic_partition.partition, unique());
    let mut end = topic_partition.topic.len().min(NAME_BYTES_MAX - suffix.len());
    while !topic_partition.topic.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &topic_partition.topic[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_parse_as_kafka_parses_them() {
        let root = Path::new("/logs");
        let parse = |name: &str| parse_dir(root, name).map(|(tp, kind)| (tp.to_string(), kind)).ok();
        assert_eq!(parse("a-b-7"), Some(("a-b-7".into(), DirKind::Current)));
        let hex = "0123456789abcdef0123456789abcdef";
        assert_eq!(parse(&format!("x-0.{hex}-delete")), Some(("x-0".into(), DirKind::Deleted)));
        assert_eq!(parse(&format!("x.y-1.{hex}-future")), Some(("x.y-1".into(), DirKind::Future)));
        assert_eq!(parse("__cluster_metadata-0").map(|(_, kind)| kind), Some(DirKind::Foreign));
        for bad in ["foo", "-0", "a-", "a-b", "x-0-delete", &format!("x-0.{hex}-stray")] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_stay_within_the_file_system() {
        let tp = TopicPartition::new("t".repeat(249), 12345);
        let name = deleted_dir_of(&tp);
        assert_eq!(name.len(), 255);
        assert_eq!(parse_dir(Path::new("/"), &name).map(|(_, kind)| kind), Ok(DirKind::Deleted));
        assert_eq!(of_offset(42, LOG), "00000000000000000042.log");
        assert_eq!(offset_of("00000000000000000042.log.swap"), Some(42));
        assert_eq!(offset_of("x.log"), None);
    }
}
