//! Batches for clients that are older than they are (Fetch 0-3).

use crate::common::{ErrorCode, FileSlice, Offset};
use crate::protocol::Records;
use crate::record::batch::{self, Batches};
use crate::record::compression::Limits;
use crate::record::convert::{ConvertError, down_convert, overflow_batch};
use crate::storage::read_slice;
use bytes::Bytes;

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
/// left away. What needs no conversion goes out as it is; what does is UNSUPPORTED_VERSION unless the topic allows it.
pub async fn convert(
    slice: FileSlice,
    magic_max: i8,
    fetch_offset: Offset,
    allowed: bool,
) -> Result<Records, ErrorCode> {
    let work = move || {
        let bytes = read_bounded(&slice).map_err(|error| {
            log::error!(target: "kafka.server.KafkaApis", "Cannot read records for conversion: {error}");
            ErrorCode::KafkaStorageError
        })?;
        if !allowed && Batches::new(&bytes).map_while(Result::ok).any(|(info, _)| info.magic > magic_max) {
            return Err(ErrorCode::UnsupportedVersion);
        }
        match down_convert(&bytes, magic_max, fetch_offset, &Limits::default()) {
            Ok(converted) => Ok(Records::Memory(fit(converted.bytes, &bytes, magic_max, fetch_offset))),
            Err(ConvertError::UnsupportedCompression) => Err(ErrorCode::UnsupportedCompressionType),
            Err(error) => {
                log::warn!(target: "kafka.server.KafkaApis", "Cannot convert records: {error}");
                Err(ErrorCode::CorruptMessage)
            }
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ErrorCode::UnknownServerError))
}

/// Makes an answer as large as what was read, as Kafka does: what is over is cut, but for the first batch, and what is
/// missing is filled with the beginning of a batch that no client could hold. So even one that can read nothing here
/// sees that there is more than it got.
fn fit(converted: Bytes, original: &Bytes, magic_max: i8, fetch_offset: Offset) -> Bytes {
    let missing = original.len().saturating_sub(converted.len());
    if missing > 0 {
        let filler = overflow_batch(missing);
        let mut bytes = Vec::with_capacity(original.len().max(filler.len()));
        bytes.extend_from_slice(&converted);
        bytes.extend_from_slice(&filler[..filler.len().min(missing)]);
        return bytes.into();
    }
    let first = Batches::new(original).next().and_then(Result::ok).map_or(0, |(info, _)| info.size_bytes);
    let first = down_convert(&original.slice(..first), magic_max, fetch_offset, &Limits::default());
    let first = first.map_or(0, |first| first.bytes.len());
    converted.slice(..converted.len().min(original.len().max(first)))
}

/// The beginning of `slice`, the whole first batch in any case.
fn read_bounded(slice: &FileSlice) -> std::io::Result<Bytes> {
    let head = FileSlice { len: slice.len.min(CONVERTED_BYTES_MAX), ..slice.clone() };
    let bytes = read_slice(&head)?;
    match batch::size_and_magic(&bytes) {
        Ok((size, _)) if size > head.len => {
            read_slice(&FileSlice { len: slice.len.min(size), ..slice.clone() })
        }
        _ => Ok(bytes),
    }
}
