//! What DescribeLogDirs answers. Pure. Source: Kafka 2.8.2, `ReplicaManager.describeLogDirs`.

use crate::common::{ErrorCode, TopicPartition};
use crate::protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// A log on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogOnDisk {
    /// Its partition.
    pub topic_partition: TopicPartition,
    /// Bytes of its segments.
    pub size_bytes: i64,
    /// Of a log that is moving here, what it lacks of the one it will replace; else how far its high watermark is
    /// ahead of its end, which only a log that was just recovered can have.
    pub offset_lag: i64,
    /// True for a log that is moving here from another directory.
    pub is_future: bool,
}

/// A log directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDir {
    /// Absolute path.
    pub path: String,
    /// Its logs; `None` if it has failed.
    pub logs: Option<Vec<LogOnDisk>>,
}

/// Shows every directory. `wanted` selects partitions (`None`: all); topics of which none is wanted are shown empty,
/// as in Kafka.
pub fn describe(dirs: Vec<LogDir>, wanted: Option<&[DescribableLogDirTopic]>) -> Vec<DescribeLogDirsResult> {
    let wanted: Option<BTreeSet<(&str, i32)>> = wanted.map(|topics| {
        topics.iter().flat_map(|t| t.partition_index.iter().map(|p| (&*t.topic, *p))).collect()
    });
    let is_wanted = |name: &TopicPartition| {
        wanted.as_ref().is_none_or(|set| set.contains(&(&*name.topic, name.partition)))
    };
    dirs.into_iter().map(|dir| describe_dir(dir, &is_wanted)).collect()
}

fn describe_dir(dir: LogDir, is_wanted: &dyn Fn(&TopicPartition) -> bool) -> DescribeLogDirsResult {
    let log_dir = ByteString::from(dir.path);
    let Some(logs) = dir.logs else {
        let error_code = ErrorCode::KafkaStorageError.code();
        return DescribeLogDirsResult { error_code, log_dir, ..Default::default() };
    };
    let mut topics: BTreeMap<ByteString, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for log in logs {
        let partitions = topics.entry(log.topic_partition.topic.clone()).or_default();
        if is_wanted(&log.topic_partition) {
            partitions.push(DescribeLogDirsPartition {
                partition_index: log.topic_partition.partition,
                partition_size: log.size_bytes,
                offset_lag: log.offset_lag,
                is_future_key: log.is_future,
                ..Default::default()
            });
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| DescribeLogDirsTopic {
        name,
        partitions,
        ..Default::default()
    });
    DescribeLogDirsResult { log_dir, topics: topics.collect(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(topic: &str, partition: i32) -> LogOnDisk {
        let topic_partition = TopicPartition::new(ByteString::from(topic), partition);
        LogOnDisk { topic_partition, size_bytes: 828, offset_lag: 0, is_future: false }
    }

    #[test]
    fn unwanted_topics_are_shown_empty_and_failed_directories_with_an_error() {
        let dirs = vec![
            LogDir { path: "/d0".into(), logs: Some(vec![log("p2", 1), log("p2", 0), log("a", 0)]) },
            LogDir { path: "/d1".into(), logs: None },
        ];
        let wanted = DescribableLogDirTopic {
            topic: ByteString::from_static("p2"),
            partition_index: vec![1, 7],
            ..Default::default()
        };
        let shown = describe(dirs.clone(), Some(&[wanted]));
        assert_eq!(shown[0].topics.len(), 2);
        assert!(shown[0].topics[0].partitions.is_empty());
        assert_eq!(shown[0].topics[1].partitions.len(), 1);
        assert_eq!(shown[0].topics[1].partitions[0].partition_size, 828);
        assert_eq!((shown[1].error_code, shown[1].topics.len()), (56, 0));
        assert_eq!(describe(dirs, None)[0].topics[1].partitions.len(), 2);
    }
}
