//! Batches for clients that are older than they are (Fetch 0-3).

use crate::common::{ErrorCode, FileSlice, Offset};
use crate::protocol::Records;
use crate::record::batch;
use crate::record::compression::Limits;
use crate::record::convert::{ConvertError, down_convert, overflow_batch};
use crate::storage::read_slice;

/// The newest format that a Fetch version carries, none if it carries all of them.
pub fn magic_max(version: i16) -> Option<i8> {
    match version {
        0 | 1 => Some(0),
        2 | 3 => Some(1),
        _ => None,
    }
}

/// Bytes that are converted at a time: bounds the memory of a request, a client asks again for the rest.
const CONVERTED_BYTES_MAX: usize = 1 << 20;

/// The records of `slice` in formats up to `magic_max`, without those below `fetch_offset` where they can be
/// left away. What needs no conversion goes out as it is.
pub async fn convert(slice: FileSlice, magic_max: i8, fetch_offset: Offset) -> Result<Records, ErrorCode> {
    let work = move || {
        let bytes = read_bounded(&slice).map_err(|error| {
            log::error!(target: "kafka.server.KafkaApis", "Cannot read records for conversion: {error}");
            ErrorCode::KafkaStorageError
        })?;
        match down_convert(&bytes, magic_max, fetch_offset, &Limits::default()) {
            // Nothing that this client could read: it must see that there is more than it got, and go on.
            Ok(converted) if converted.bytes.is_empty() => Ok(Records::Memory(overflow_batch(bytes.len()))),
            Ok(converted) => Ok(Records::Memory(converted.bytes)),
            Err(ConvertError::UnsupportedCompression) => Err(ErrorCode::UnsupportedCompressionType),
            Err(error) => {
                log::warn!(target: "kafka.server.KafkaApis", "Cannot convert records: {error}");
                Err(ErrorCode::CorruptMessage)
            }
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ErrorCode::UnknownServerError))
}

/// The beginning of `slice`, the whole first batch in any case.
fn read_bounded(slice: &FileSlice) -> std::io::Result<bytes::Bytes> {
    let head = FileSlice { len: slice.len.min(CONVERTED_BYTES_MAX), ..slice.clone() };
    let bytes = read_slice(&head)?;
    match batch::size_and_magic(&bytes) {
        Ok((size, _)) if size > head.len => {
            read_slice(&FileSlice { len: slice.len.min(size), ..slice.clone() })
        }
        _ => Ok(bytes),
    }
}
