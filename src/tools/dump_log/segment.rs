//! The batches of a `.log` file, one at a time.

use super::io_error;
use crate::record::BatchInfo;
use crate::record::batch::{V2_HEADER_SIZE, compute_crc};
use crate::tools::exception::Exception;
use bytes::Bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Offset and size field of an entry.
const LOG_OVERHEAD: u64 = 12;
/// Up to the format byte and with it.
const HEADER_UP_TO_MAGIC: u64 = 17;
const MAGIC_AT: usize = 16;
/// Smallest size that an entry may claim: a record of format 0 without key and value.
const SIZE_MIN: i32 = 14;
/// Bytes of an entry of format 0 and 1 before its key.
const LEGACY_SIZE_MIN: [usize; 2] = [26, 34];

/// An open log file.
pub struct Segment {
    file: File,
    path: PathBuf,
    size: u64,
}

/// One batch, or entry of an old format.
pub struct Batch {
    /// Its header. Later formats than 2 are read as 2.
    pub info: BatchInfo,
    /// The format that it claims.
    pub magic: i8,
    /// All of it.
    pub bytes: Bytes,
}

impl Batch {
    /// True if size and checksum are right.
    pub fn is_valid(&self) -> bool {
        let size_min = match self.info.magic {
            magic @ 0..=1 => LEGACY_SIZE_MIN[magic as usize],
            _ => V2_HEADER_SIZE,
        };
        self.bytes.len() >= size_min && compute_crc(self.info.magic, &self.bytes) == self.info.crc
    }
}

impl Segment {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Segment, Exception> {
        let file = File::open(path).map_err(|error| io_error(path, &error))?;
        let size = file.metadata().map_err(|error| io_error(path, &error))?.len();
        Ok(Segment { file, path: path.to_path_buf(), size })
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The batch at `position`, `None` if there is no whole one before `end`.
    pub fn batch_at(&self, position: u64, end: u64) -> Result<Option<Batch>, Exception> {
        let end = end.min(self.size);
        if position + HEADER_UP_TO_MAGIC >= end {
            return Ok(None);
        }
        let mut head = [0; HEADER_UP_TO_MAGIC as usize];
        self.read(&mut head, position)?;
        let size = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if size < SIZE_MIN {
            return Err(Exception::api(
                "CorruptRecordException",
                format!(
                    "Found record size {size} smaller than minimum record overhead ({SIZE_MIN}) in file {}.",
                    self.path.display()
                ),
            ));
        }
        let whole = LOG_OVERHEAD + u64::from(size.unsigned_abs());
        if position + whole > end {
            return Ok(None);
        }
        let mut bytes = vec![0; whole as usize];
        self.read(&mut bytes, position)?;
        let magic = bytes[MAGIC_AT] as i8;
        bytes[MAGIC_AT] = magic.min(2) as u8;
        let info = BatchInfo::parse(&bytes)
            .map_err(|error| Exception::new("org.apache.kafka.common.KafkaException", error.to_string()))?;
        Ok(Some(Batch { info, magic, bytes: bytes.into() }))
    }

    fn read(&self, buffer: &mut [u8], position: u64) -> Result<(), Exception> {
        self.file.read_exact_at(buffer, position).map_err(|error| io_error(&self.path, &error))
    }
}
