//! Batch headers, read from bytes without touching the records.
//!
//! ```text
//! set     = batch*                                    (all integers big-endian)
//! batch   = offset i64, size i32 (bytes after it), entry
//! v2      = partition_leader_epoch i32, magic i8 (2), crc u32 (CRC-32C from the next byte to the end),
//!           attributes i16, last_offset_delta i32, base_timestamp i64, max_timestamp i64, producer_id i64,
//!           producer_epoch i16, base_sequence i32, records_count i32, records
//! v0, v1  = crc u32 (CRC-32 from the next byte to the end), magic i8 (0, 1), attributes i8,
//!           [v1: timestamp i64], key_size i32, key, value_size i32, value
//! attributes: bits 0-2 codec, 3 timestamp type (1 = LogAppendTime; v1, v2), v2 only: 4 transactional, 5 control
//! ```
//!
//! `offset` is that of the first record in v2, and that of the last record in a compressed v0/v1 entry. The
//! magic stands at byte 16 in all three. Source: Kafka 2.8.2, `common/record/DefaultRecordBatch.java`,
//! `LegacyRecord.java`, `ByteBufferLogInputStream.java`.

use crate::common::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use std::fmt;

mod iterate;
mod prepared;

pub use iterate::Batches;
pub use prepared::{PlacedBatch, PreparedBatch};

/// Bytes of offset and size, which stand before every batch and are not counted by its size field.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes that must be there to tell the format: up to and including the magic.
pub const HEADER_SIZE_UP_TO_MAGIC: usize = 17;
/// Bytes of a v2 batch before its first record.
pub const V2_HEADER_SIZE: usize = 61;
/// Bytes of a v0 entry with empty key and value, after offset and size.
pub const V0_OVERHEAD: usize = 14;
/// Bytes of a v1 entry with empty key and value, after offset and size.
pub const V1_OVERHEAD: usize = 22;
/// Position of the base offset (v2) or offset (v0, v1), i64.
pub const BASE_OFFSET_AT: usize = 0;
/// Position of the size field, i32.
pub const SIZE_AT: usize = 8;
/// Position of the partition leader epoch (v2), i32.
pub const LEADER_EPOCH_AT: usize = 12;
/// Position of the magic in all formats, i8.
pub const MAGIC_AT: usize = 16;
/// Position of the CRC (v2), u32.
pub const CRC_AT: usize = 17;
/// Position of the attributes (v2), i16; what the CRC covers begins here.
pub const ATTRIBUTES_AT: usize = 21;
/// Position of the last offset delta (v2), i32.
pub const LAST_OFFSET_DELTA_AT: usize = 23;
/// Position of the base timestamp (v2), i64.
pub const BASE_TIMESTAMP_AT: usize = 27;
/// Position of the largest timestamp (v2), i64.
pub const MAX_TIMESTAMP_AT: usize = 35;
/// Position of the producer id (v2), i64.
pub const PRODUCER_ID_AT: usize = 43;
/// Position of the producer epoch (v2), i16.
pub const PRODUCER_EPOCH_AT: usize = 51;
/// Position of the base sequence (v2), i32.
pub const BASE_SEQUENCE_AT: usize = 53;
/// Position of the number of records (v2), i32.
pub const RECORDS_COUNT_AT: usize = 57;
/// Position of the CRC (v0, v1), u32.
pub const LEGACY_CRC_AT: usize = 12;
/// Position of the attributes (v0, v1), i8.
pub const LEGACY_ATTRIBUTES_AT: usize = 17;
/// Position of the timestamp (v1), i64.
pub const LEGACY_TIMESTAMP_AT: usize = 18;

/// Attribute bits that name the codec.
pub const CODEC_MASK: i16 = 0x07;
/// Attribute bit: timestamps were set by the broker (v1, v2).
pub const LOG_APPEND_TIME_BIT: i16 = 0x08;
/// Attribute bit: part of a transaction (v2).
pub const TRANSACTIONAL_BIT: i16 = 0x10;
/// Attribute bit: a control batch, such as the marker that ends a transaction (v2).
pub const CONTROL_BIT: i16 = 0x20;

/// "No timestamp": v0 records, and v1/v2 records of a client that gave none.
pub const NO_TIMESTAMP: i64 = -1;
/// "No sequence" in a batch.
pub const NO_SEQUENCE: i32 = -1;
/// [`BatchInfo::records_count`] of a compressed v0/v1 entry whose value was not opened.
pub const UNKNOWN_COUNT: i32 = -1;

/// The codec that a batch names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Compression {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Compression {
    /// The codec of attribute bits 0-2; 5 to 7 name none.
    pub fn from_attributes(attributes: i16) -> Result<Compression, BatchError> {
        match attributes & CODEC_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            other => Err(BatchError::UnknownCompression(other as u8)),
        }
    }

    /// Kafka's name, as `compression.type` and the tools write it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The codec of a name as [`Compression::name`] gives it; `uncompressed` is `none`.
    pub fn from_name(name: &str) -> Option<Compression> {
        Some(match name {
            "none" | "uncompressed" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => return None,
        })
    }
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum TimestampType {
    /// v0: there are none.
    None,
    /// The client, one per record.
    #[default]
    CreateTime,
    /// The broker, one for the whole batch (`max_timestamp`).
    LogAppendTime,
}

impl TimestampType {
    /// Kafka's name, as `message.timestamp.type` and the tools write it.
    pub fn name(self) -> &'static str {
        match self {
            TimestampType::None => "NoTimestampType",
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}

/// Why bytes are not a batch. The texts are those of Kafka's CorruptRecordException, where it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// Not all bytes are there. `needed` is what the batch takes (or, if its header is not whole, what is
    /// needed to go on). At the end of a read or of a torn file this is normal, not corruption.
    Incomplete {
        /// Bytes from the beginning of the batch.
        needed: usize,
    },
    /// The size field is smaller than the smallest entry (or negative).
    SizeTooSmall(i32),
    /// The magic is not 0, 1 or 2.
    InvalidMagic(i8),
    /// The size leaves no room for the format's header.
    HeaderTooSmall {
        /// Size of the whole batch in bytes.
        size_bytes: usize,
        /// The format.
        magic: i8,
    },
    /// The checksum does not match the bytes.
    WrongCrc {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Attribute bits 0-2 name no codec.
    UnknownCompression(u8),
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Incomplete { needed } => write!(f, "Batch is cut: {needed} bytes are needed"),
            BatchError::SizeTooSmall(size) => {
                write!(f, "Record size {size} is less than the minimum record overhead ({V0_OVERHEAD})")
            }
            BatchError::InvalidMagic(magic) => write!(f, "Invalid magic found in record: {magic}"),
            BatchError::HeaderTooSmall { size_bytes, magic: 2 } => write!(
                f,
                "Record batch is corrupted (the size {size_bytes} is smaller than the minimum allowed overhead {V2_HEADER_SIZE})"
            ),
            BatchError::HeaderTooSmall { size_bytes, .. } => write!(
                f,
                "Record is corrupt (crc could not be retrieved as the record is too small, size = {})",
                size_bytes - LOG_OVERHEAD
            ),
            BatchError::WrongCrc { stored, computed } => {
                write!(f, "Record is corrupt (stored crc = {stored}, computed crc = {computed})")
            }
            BatchError::UnknownCompression(id) => write!(f, "Unknown compression type id: {id}"),
        }
    }
}

impl std::error::Error for BatchError {}

pub(crate) fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> i32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(array)
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(array)
}

/// The size in bytes (offset and size field included) and the magic of the batch that begins at `bytes[0]`.
///
/// Needs [`HEADER_SIZE_UP_TO_MAGIC`] bytes; does not need the rest of the batch.
pub fn size_and_magic(bytes: &[u8]) -> Result<(usize, i8), BatchError> {
    if bytes.len() < LOG_OVERHEAD {
        return Err(BatchError::Incomplete { needed: HEADER_SIZE_UP_TO_MAGIC });
    }
    let size = i32_at(bytes, SIZE_AT);
    if size < V0_OVERHEAD as i32 {
        return Err(BatchError::SizeTooSmall(size));
    }
    let size_bytes = size as usize + LOG_OVERHEAD;
    if bytes.len() < HEADER_SIZE_UP_TO_MAGIC {
        return Err(BatchError::Incomplete { needed: HEADER_SIZE_UP_TO_MAGIC });
    }
    let magic = bytes[MAGIC_AT] as i8;
    if !(0..=2).contains(&magic) {
        return Err(BatchError::InvalidMagic(magic));
    }
    Ok((size_bytes, magic))
}

/// Header of a v2 batch, or of one v0/v1 entry (a record, or a compressed wrapper of records).
///
/// What a format does not have holds "none": producer id, epoch and sequence -1, leader epoch -1, timestamps
/// -1 in v0. Of a v0/v1 entry `base_offset` is the entry's offset field and `last_offset_delta` 0: for a
/// compressed wrapper that is the offset of its *last* record, the first one is known only to who opens it
/// (as `validator` did for a [`PreparedBatch`], whose values are exact).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchInfo {
    /// Offset of the first record; see above for v0/v1.
    pub base_offset: Offset,
    /// Bytes of the whole batch, offset and size field included.
    pub size_bytes: usize,
    /// Epoch of the leader that appended it; -1 for v0/v1.
    pub partition_leader_epoch: LeaderEpoch,
    /// Format: 0, 1 or 2.
    pub magic: i8,
    /// Stored checksum: CRC-32C for v2, CRC-32 for v0/v1.
    pub crc: u32,
    /// Attribute bits; of v0/v1 their one byte.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// Timestamp to which the records of a v2 batch are relative; of v1 the entry's timestamp.
    pub base_timestamp: i64,
    /// Largest timestamp, or the append time of the batch.
    pub max_timestamp: i64,
    /// Producer, -1 if it is not idempotent.
    pub producer_id: ProducerId,
    /// Generation of the producer id, -1 if none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 if none.
    pub base_sequence: i32,
    /// Number of records; [`UNKNOWN_COUNT`] for a compressed v0/v1 wrapper. After compaction smaller than the
    /// offset range.
    pub records_count: i32,
}

/// True if `bytes` begin with a valid header of a v2 batch that is part of a transaction. Tells without parsing it of
/// the many that are not.
pub fn is_transactional(bytes: &[u8]) -> bool {
    bytes.len() >= V2_HEADER_SIZE
        && i16_at(bytes, ATTRIBUTES_AT) & TRANSACTIONAL_BIT != 0
        && BatchInfo::parse(bytes).is_ok_and(|info| info.is_transactional())
}

impl BatchInfo {
    /// Reads the header of the batch that begins at `bytes[0]`. Needs the header only ([`V2_HEADER_SIZE`]
    /// bytes, or 18 and 26 of v0 and v1), not the records, and checks no checksum: see [`check_crc`].
    pub fn parse(bytes: &[u8]) -> Result<BatchInfo, BatchError> {
        let (size_bytes, magic) = size_and_magic(bytes)?;
        let minimum = match magic {
            0 => LOG_OVERHEAD + V0_OVERHEAD,
            1 => LOG_OVERHEAD + V1_OVERHEAD,
            _ => V2_HEADER_SIZE,
        };
        if size_bytes < minimum {
            return Err(BatchError::HeaderTooSmall { size_bytes, magic });
        }
        let header = match magic {
            0 => LEGACY_TIMESTAMP_AT,
            1 => LEGACY_TIMESTAMP_AT + 8,
            _ => V2_HEADER_SIZE,
        };
        if bytes.len() < header {
            return Err(BatchError::Incomplete { needed: header });
        }
        Ok(if magic == 2 {
            Self::parse_v2(bytes, size_bytes)
        } else {
            Self::parse_legacy(bytes, size_bytes, magic)
        })
    }

    fn parse_v2(bytes: &[u8], size_bytes: usize) -> BatchInfo {
        BatchInfo {
            base_offset: i64_at(bytes, BASE_OFFSET_AT),
            size_bytes,
            partition_leader_epoch: i32_at(bytes, LEADER_EPOCH_AT),
            magic: 2,
            crc: i32_at(bytes, CRC_AT) as u32,
            attributes: i16_at(bytes, ATTRIBUTES_AT),
            last_offset_delta: i32_at(bytes, LAST_OFFSET_DELTA_AT),
            base_timestamp: i64_at(bytes, BASE_TIMESTAMP_AT),
            max_timestamp: i64_at(bytes, MAX_TIMESTAMP_AT),
            producer_id: i64_at(bytes, PRODUCER_ID_AT),
            producer_epoch: i16_at(bytes, PRODUCER_EPOCH_AT),
            base_sequence: i32_at(bytes, BASE_SEQUENCE_AT),
            records_count: i32_at(bytes, RECORDS_COUNT_AT),
        }
    }

    fn parse_legacy(bytes: &[u8], size_bytes: usize, magic: i8) -> BatchInfo {
        let attributes = i16::from(bytes[LEGACY_ATTRIBUTES_AT]);
        let timestamp = if magic == 0 { NO_TIMESTAMP } else { i64_at(bytes, LEGACY_TIMESTAMP_AT) };
        BatchInfo {
            base_offset: i64_at(bytes, BASE_OFFSET_AT),
            size_bytes,
            partition_leader_epoch: crate::common::ids::NO_LEADER_EPOCH,
            magic,
            crc: i32_at(bytes, LEGACY_CRC_AT) as u32,
            attributes,
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: crate::common::ids::NO_PRODUCER_ID,
            producer_epoch: -1,
            base_sequence: NO_SEQUENCE,
            records_count: if attributes & CODEC_MASK == 0 { 1 } else { UNKNOWN_COUNT },
        }
    }

    /// Offset of the last record (v2: of the range, also when compaction removed that record).
    pub fn last_offset(&self) -> Offset {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().wrapping_add(1)
    }

    /// True for markers of transactions and the like (v2).
    pub fn is_control(&self) -> bool {
        self.magic == 2 && self.attributes & CONTROL_BIT != 0
    }

    /// True for a part of a transaction, its marker included (v2).
    pub fn is_transactional(&self) -> bool {
        self.magic == 2 && self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// True if an idempotent or transactional producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > crate::common::ids::NO_PRODUCER_ID
    }

    /// The codec of the records.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_attributes(self.attributes)
    }

    /// True if the attribute bits name any codec but none.
    pub fn is_compressed(&self) -> bool {
        self.attributes & CODEC_MASK != 0
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.magic {
            0 => TimestampType::None,
            _ if self.attributes & LOG_APPEND_TIME_BIT != 0 => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        }
    }

    /// Changes what the header says of its timestamps; the attributes become as Kafka writes them, without
    /// bits that have no meaning.
    pub(super) fn set_timestamp(&mut self, timestamp_type: TimestampType, max_timestamp: i64) {
        let known = CODEC_MASK | TRANSACTIONAL_BIT | CONTROL_BIT;
        self.attributes &= if self.magic == 2 { known } else { !LOG_APPEND_TIME_BIT };
        if timestamp_type == TimestampType::LogAppendTime {
            self.attributes |= LOG_APPEND_TIME_BIT;
        }
        self.max_timestamp = max_timestamp;
        if self.magic < 2 {
            self.base_timestamp = max_timestamp;
        }
    }

    /// Sequence of the last record, -1 if there is none. Sequences wrap from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        increment_sequence(self.base_sequence, self.last_offset_delta)
    }
}

/// `sequence + increment`, wrapping from `i32::MAX` to 0 (KIP-98).
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    ((i64::from(sequence) + i64::from(increment)) & 0x7fff_ffff) as i32
}

/// `sequence - decrement`, wrapping from 0 to `i32::MAX`.
pub fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    ((i64::from(sequence) - i64::from(decrement)) & 0x7fff_ffff) as i32
}

/// Checks the checksum of one whole batch; `batch` is exactly the bytes of `info`.
pub fn check_crc(info: &BatchInfo, batch: &[u8]) -> Result<(), BatchError> {
    if batch.len() < info.size_bytes {
        return Err(BatchError::Incomplete { needed: info.size_bytes });
    }
    let computed = compute_crc(info.magic, &batch[..info.size_bytes]);
    if computed != info.crc {
        return Err(BatchError::WrongCrc { stored: info.crc, computed });
    }
    Ok(())
}

/// The checksum that a whole batch of this format should carry.
pub fn compute_crc(magic: i8, batch: &[u8]) -> u32 {
    if magic == 2 { crc32c::crc32c(&batch[ATTRIBUTES_AT..]) } else { crc32fast::hash(&batch[MAGIC_AT..]) }
}

#[cfg(test)]
mod tests;
