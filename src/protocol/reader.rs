//! Reading primitives off a frame, without copying.
//!
//! ```text
//! bool, int8..64, float64   big endian
//! uuid                      16 bytes, most significant first
//! unsigned varint           7 bits a byte, least significant first, high bit = more; at most 5 bytes
//! string                    int16 length        compact: varint of length + 1; UTF-8; -1 or 0 = null
//! bytes, records            int32 length        compact: varint of length + 1
//! array                     int32 count         compact: varint of count + 1
//! ```
//!
//! Where Kafka is lenient so is this: any negative length is null, varints lose bits above the 32nd,
//! invalid UTF-8 becomes U+FFFD, and bytes after the message are ignored. Every length is compared with
//! the bytes that remain before anything is allocated or sliced.

use super::DecodeError;
use super::text::lossy;
use crate::common::Uuid;
use bytes::Bytes;
use bytestring::ByteString;

/// Longest string, in bytes: lengths are `int16`.
const STRING_SIZE_MAX: usize = i16::MAX as usize;

/// A cursor over a frame. What it returns are slices that share the frame's memory.
#[derive(Clone, Debug)]
pub struct Reader {
    frame: Bytes,
    at: usize,
}

impl Reader {
    /// Starts at the first byte of `frame`, which has no size prefix.
    pub fn new(frame: Bytes) -> Self {
        Reader { frame, at: 0 }
    }

    /// Number of bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    /// What has not been read.
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.at..)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.frame[self.at..].first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    /// `bool`: any byte but 0 is true.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array().map(|[byte]| byte != 0)
    }

    /// `int8`.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    /// `int16`.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// `int32`.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// `int64`.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// `float64`.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    /// `uuid`.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.array().map(Uuid)
    }

    /// An unsigned varint, as the signed number that Java keeps it in.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<i32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value as i32);
            }
        }
        Err(DecodeError::Varint)
    }

    /// `size` bytes of the frame.
    #[inline]
    pub fn slice(&mut self, size: usize) -> Result<Bytes, DecodeError> {
        if size > self.remaining() {
            return Err(DecodeError::Truncated);
        }
        let bytes = self.frame.slice(self.at..self.at + size);
        self.at += size;
        Ok(bytes)
    }

    #[inline]
    fn compact_length(&mut self) -> Result<i32, DecodeError> {
        Ok(self.unsigned_varint()?.wrapping_sub(1))
    }

    /// A nullable `string`, compact or not.
    #[inline]
    pub fn string(&mut self, compact: bool) -> Result<Option<ByteString>, DecodeError> {
        let length = if compact { self.compact_length()? } else { i32::from(self.i16()?) };
        let Ok(size) = usize::try_from(length) else { return Ok(None) };
        if size > STRING_SIZE_MAX {
            return Err(DecodeError::StringTooLong);
        }
        let bytes = self.slice(size)?;
        let start = self.at - size;
        Ok(Some(ByteString::try_from(bytes).unwrap_or_else(|_| lossy(&self.frame[start..self.at]))))
    }

    /// Nullable `bytes` or `records`, compact or not.
    #[inline]
    pub fn bytes(&mut self, compact: bool) -> Result<Option<Bytes>, DecodeError> {
        let length = if compact { self.compact_length()? } else { self.i32()? };
        match usize::try_from(length) {
            Ok(size) => self.slice(size).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The count of a nullable array whose elements take `element_size_min` bytes or more. A count that
    /// the rest of the frame cannot hold is refused.
    #[inline]
    pub fn count(&mut self, compact: bool, element_size_min: usize) -> Result<Option<usize>, DecodeError> {
        let count = if compact { self.compact_length()? } else { self.i32()? };
        let Ok(count) = usize::try_from(count) else { return Ok(None) };
        if count > self.remaining() / element_size_min.max(1) {
            return Err(DecodeError::Truncated);
        }
        Ok(Some(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(bytes))
    }

    #[test]
    fn varints_are_javas() {
        assert_eq!(reader(&[0x00]).unsigned_varint(), Ok(0));
        assert_eq!(reader(&[0xac, 0x02]).unsigned_varint(), Ok(300));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(), Ok(-1));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x7f]).unsigned_varint(), Ok(-1));
        assert_eq!(reader(&[0xff; 6]).unsigned_varint(), Err(DecodeError::Varint));
        assert_eq!(reader(&[0xff, 0xff]).unsigned_varint(), Err(DecodeError::Truncated));
    }

    #[test]
    fn lengths_are_checked_first() {
        assert_eq!(reader(&[0x7f, 0xff, b'x']).string(false), Err(DecodeError::Truncated));
        assert_eq!(reader(&[0xff, 0xfe]).string(false), Ok(None));
        assert_eq!(reader(&[0x81, 0x80, 0x02]).string(true), Err(DecodeError::StringTooLong));
        assert_eq!(reader(&[0x7f, 0xff, 0xff, 0xff, 1]).bytes(false), Err(DecodeError::Truncated));
        // 2^31 + 0, less one, is the largest int32.
        assert_eq!(reader(&[0x80, 0x80, 0x80, 0x80, 0x08]).bytes(true), Err(DecodeError::Truncated));
        assert_eq!(reader(&[0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7]).count(false, 4), Err(DecodeError::Truncated));
        assert_eq!(reader(&[0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]).count(false, 4), Ok(Some(2)));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xfb]).count(false, 4), Ok(None));
    }

    #[test]
    fn strings_share_the_frame() {
        let frame = Bytes::from_static(b"\x00\x03abc\x00\x02\xc3\x28");
        let mut reader = Reader::new(frame.clone());
        let abc = reader.string(false).expect("decodes").expect("not null");
        assert_eq!(abc.as_bytes().as_ptr(), frame[2..].as_ptr());
        assert_eq!(reader.string(false), Ok(Some("\u{fffd}(".into())));
        assert_eq!(reader.remaining(), 0);
    }
}
