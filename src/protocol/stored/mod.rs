//! Records that brokers and clients keep in internal topics and group metadata: an `int16` version, then
//! the message in that version ([`super::encode_versioned`]). A missing value is a tombstone.

pub mod consumer_protocol;
pub mod group_metadata;
pub mod offset_commit;
pub mod transaction_log;

use super::{DecodeError, Message, Reader};
use bytes::Bytes;
use group_metadata::GroupMetadataKey;
use offset_commit::OffsetCommitKey;

/// The key of a record in `__consumer_offsets`; its version tells which.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupTopicKey {
    /// Versions 0 and 1: an offset.
    OffsetCommit(OffsetCommitKey),
    /// Version 2: a group.
    GroupMetadata(GroupMetadataKey),
}

impl GroupTopicKey {
    /// Reads a key with its version. Later releases add versions; those are
    /// [`DecodeError::UnsupportedVersion`].
    pub fn decode(key: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(key);
        let version = reader.i16()?;
        if OffsetCommitKey::VERSIONS.contains(&version) {
            OffsetCommitKey::decode(&mut reader, version).map(GroupTopicKey::OffsetCommit)
        } else {
            GroupMetadataKey::decode(&mut reader, version).map(GroupTopicKey::GroupMetadata)
        }
    }
}
