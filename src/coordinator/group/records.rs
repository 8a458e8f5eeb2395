//! The records of `__consumer_offsets`.
//!
//! ```text
//! key    = 1, group, topic, partition        value = version, offset (OffsetCommitValue), or null: forgotten
//! key    = 2, group                          value = version, group (GroupMetadataValue), or null: gone
//! ```
//!
//! Versions of values follow `inter.broker.protocol.version`, so that the oldest broker of the cluster can read them.
//! Source: Kafka 2.8.2, `GroupMetadataManager.scala`.

use super::offsets::CommittedOffset;
use crate::common::{ProducerEpoch, ProducerId, TopicPartition};
use crate::config::IbpVersion;
use crate::protocol::stored::group_metadata::{GroupMetadataKey, GroupMetadataValue};
use crate::protocol::stored::offset_commit::{OffsetCommitKey, OffsetCommitValue};
use crate::protocol::{Writer, encode_versioned, encode_versioned_into};
use crate::record::Compression;
use crate::record::builder::{BatchBuilder, BatchOptions, BuildError};
use bytes::Bytes;
use bytestring::ByteString;

const OFFSET_KEY_VERSION: i16 = 1;
const GROUP_KEY_VERSION: i16 = 2;

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordFormat {
    /// `inter.broker.protocol.version`.
    pub ibp: IbpVersion,
    /// `offsets.topic.compression.codec`.
    pub compression: Compression,
}

/// Key of a group.
pub fn group_key(group: &ByteString) -> Bytes {
    let key = GroupMetadataKey { group: group.clone(), ..Default::default() };
    encode_versioned(&key, GROUP_KEY_VERSION)
}

/// Value of an offset, and its version.
pub(super) fn offset_value(committed: &CommittedOffset, ibp: IbpVersion) -> (OffsetCommitValue, i16) {
    let version = if ibp < IbpVersion::V2_1_IV0 || committed.expire_timestamp_ms.is_some() {
        1
    } else if ibp < IbpVersion::V2_1_IV1 {
        2
    } else {
        3
    };
    let value = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch.unwrap_or(-1),
        metadata: committed.metadata.clone(),
        commit_timestamp: committed.commit_timestamp_ms,
        expire_timestamp: committed.expire_timestamp_ms.unwrap_or(-1),
        ..Default::default()
    };
    (value, version)
}

/// Writes keys and values of many offsets of a group in the same memory.
struct OffsetWriter {
    key: OffsetCommitKey,
    key_bytes: Writer,
    value_bytes: Writer,
}

impl OffsetWriter {
    fn new(group: &ByteString) -> OffsetWriter {
        let key = OffsetCommitKey { group: group.clone(), ..Default::default() };
        OffsetWriter { key, key_bytes: Writer::contiguous(), value_bytes: Writer::contiguous() }
    }

    fn append(
        &mut self,
        builder: &mut BatchBuilder,
        partition: &TopicPartition,
        value: Option<(OffsetCommitValue, i16)>,
        now_ms: i64,
    ) -> Result<(), BuildError> {
        if self.key.topic != partition.topic {
            self.key.topic = partition.topic.clone();
        }
        self.key.partition = partition.partition;
        let key = encode_versioned_into(&mut self.key_bytes, &self.key, OFFSET_KEY_VERSION);
        let value = match &value {
            Some((value, version)) => Some(encode_versioned_into(&mut self.value_bytes, value, *version)),
            None => None,
        };
        builder.append(now_ms, Some(key), value, &[])
    }
}

/// Value of a group.
pub fn group_value(value: &GroupMetadataValue, ibp: IbpVersion) -> Bytes {
    let version = if ibp < IbpVersion::V0_10_1_IV0 {
        0
    } else if ibp < IbpVersion::V2_1_IV0 {
        1
    } else if ibp < IbpVersion::V2_3_IV0 {
        2
    } else {
        3
    };
    encode_versioned(value, version)
}

impl RecordFormat {
    /// A batch with one group.
    pub fn group_batch(
        &self,
        group: &ByteString,
        value: &GroupMetadataValue,
        now_ms: i64,
    ) -> Result<Bytes, BuildError> {
        let mut builder = self.builder(None)?;
        builder.append(now_ms, Some(&group_key(group)), Some(&group_value(value, self.ibp)), &[])?;
        builder.build()
    }

    /// A batch with offsets, transactional if there is a producer.
    pub fn offsets_batch(
        &self,
        group: &ByteString,
        offsets: &[(TopicPartition, CommittedOffset)],
        producer: Option<(ProducerId, ProducerEpoch)>,
        now_ms: i64,
    ) -> Result<Bytes, BuildError> {
        let mut builder = self.builder(producer)?;
        let mut writer = OffsetWriter::new(group);
        for (partition, committed) in offsets {
            writer.append(&mut builder, partition, Some(offset_value(committed, self.ibp)), now_ms)?;
        }
        builder.build()
    }

    /// A batch that says what is gone.
    pub fn tombstones_batch(
        &self,
        group: &ByteString,
        partitions: &[TopicPartition],
        group_is_gone: bool,
        now_ms: i64,
    ) -> Result<Bytes, BuildError> {
        let mut builder = self.builder(None)?;
        let mut writer = OffsetWriter::new(group);
        for partition in partitions {
            writer.append(&mut builder, partition, None, now_ms)?;
        }
        if group_is_gone {
            builder.append(now_ms, Some(&group_key(group)), None, &[])?;
        }
        builder.build()
    }

    fn builder(&self, producer: Option<(ProducerId, ProducerEpoch)>) -> Result<BatchBuilder, BuildError> {
        let mut options = BatchOptions { compression: self.compression, ..Default::default() };
        if let Some((producer_id, producer_epoch)) = producer {
            options.producer_id = producer_id;
            options.producer_epoch = producer_epoch;
            options.base_sequence = 0;
            options.transactional = true;
        }
        BatchBuilder::new(options)
    }
}
