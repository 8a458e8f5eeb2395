//! Writing a frame: one growing buffer, with large byte strings and file ranges spliced in.
//!
//! The grammar is [`super::reader`]'s. Encoding cannot fail: what the wire cannot hold (a string above
//! 32767 bytes) is cut at a character.

use super::Records;
use super::tags::UnknownTags;
use crate::common::{FileSlice, Uuid};
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// Byte strings from this size on become a part of their own; smaller ones are copied, which costs less
/// than one more entry in the vectored write.
const SPLICE_SIZE_MIN: usize = 4096;
const STRING_SIZE_MAX: usize = i16::MAX as usize;
const SIZE_PREFIX: usize = 4;
const BUFFER_SIZE: usize = 256;

/// A stretch of a frame on its way to the socket.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a file, for `sendfile`.
    File(FileSlice),
}

impl Part {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Part::Memory(bytes) => bytes.len(),
            Part::File(slice) => slice.len,
        }
    }

    /// True if there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole frame, its 4-byte size first, in the order in which it goes out.
#[derive(Clone, Debug)]
pub struct Frame {
    /// None of them is empty.
    pub parts: SmallVec<[Part; 1]>,
    /// Sum of the parts' sizes, the size prefix included.
    pub size_bytes: usize,
}

impl Frame {
    /// The frame in one piece, or nothing if a part of it is in a file.
    pub fn into_memory(self) -> Option<Bytes> {
        if let [Part::Memory(bytes)] = &self.parts[..] {
            return Some(bytes.clone());
        }
        let mut whole = BytesMut::with_capacity(self.size_bytes);
        for part in self.parts {
            match part {
                Part::Memory(bytes) => whole.put(bytes),
                Part::File(_) => return None,
            }
        }
        Some(whole.freeze())
    }
}

/// The text as far as the wire can hold it.
#[inline]
fn fitting(text: &str) -> &str {
    let mut size = text.len().min(STRING_SIZE_MAX);
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    &text[..size]
}

/// Collects a frame.
#[derive(Debug)]
pub struct Writer {
    buffer: BytesMut,
    /// What stands before the buffer's byte of that index and after the one before it.
    splices: SmallVec<[(usize, Part); 1]>,
    spliced_size: usize,
    splice_size_min: usize,
}

impl Writer {
    /// A frame whose size prefix [`Writer::finish`] fills in.
    pub fn frame() -> Self {
        let mut writer = Writer::contiguous_frame();
        writer.splice_size_min = SPLICE_SIZE_MIN;
        writer
    }

    /// A frame that copies even large byte strings, so that it is in one piece.
    pub fn contiguous_frame() -> Self {
        let mut writer = Writer::contiguous();
        writer.buffer.put_bytes(0, SIZE_PREFIX);
        writer
    }

    /// Bytes without a size prefix and in one piece, for [`Writer::into_bytes`].
    pub fn contiguous() -> Self {
        Writer {
            buffer: BytesMut::with_capacity(BUFFER_SIZE),
            splices: SmallVec::new(),
            spliced_size: 0,
            splice_size_min: usize::MAX,
        }
    }

    /// Number of bytes so far, in memory and in files.
    pub fn size_bytes(&self) -> usize {
        self.buffer.len() + self.spliced_size
    }

    /// Closes a frame begun with [`Writer::frame`].
    pub fn finish(mut self) -> Frame {
        let size_bytes = self.size_bytes();
        let size = i32::try_from(size_bytes - SIZE_PREFIX).expect("a frame is below 2 GiB");
        self.buffer[..SIZE_PREFIX].copy_from_slice(&size.to_be_bytes());
        let mut rest = self.buffer.freeze();
        let mut parts = SmallVec::new();
        let mut done = 0;
        for (at, part) in self.splices {
            if at > done {
                parts.push(Part::Memory(rest.split_to(at - done)));
                done = at;
            }
            parts.push(part);
        }
        if !rest.is_empty() {
            parts.push(Part::Memory(rest));
        }
        Frame { parts, size_bytes }
    }

    /// The bytes of a writer begun with [`Writer::contiguous`]. File ranges are lost: such a writer is for
    /// messages without response records.
    pub fn into_bytes(self) -> Bytes {
        debug_assert!(self.splices.is_empty());
        self.buffer.freeze()
    }

    /// Begins anew in the same memory; for a writer begun with [`Writer::contiguous`].
    pub fn clear(&mut self) {
        debug_assert!(self.splices.is_empty());
        self.buffer.clear();
    }

    /// What a writer begun with [`Writer::contiguous`] has so far.
    pub fn contiguous_bytes(&self) -> &[u8] {
        debug_assert!(self.splices.is_empty());
        &self.buffer
    }

    /// `bool`.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(value.into());
    }

    /// `int8`.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// `int16`.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// `int32`.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// `int64`.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// `float64`.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    /// `uuid`.
    #[inline]
    pub fn uuid(&mut self, value: &Uuid) {
        self.buffer.put_slice(&value.0);
    }

    /// An unsigned varint.
    #[inline]
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// Length or count of something with 32-bit lengths: -1, compact 0, for null.
    #[inline]
    pub fn length(&mut self, length: Option<usize>, compact: bool) {
        let length = length.map_or(-1, |length| i32::try_from(length).expect("a frame is below 2 GiB"));
        if compact { self.unsigned_varint((length + 1) as u32) } else { self.i32(length) }
    }

    /// A nullable `string`.
    #[inline]
    pub fn string(&mut self, value: Option<&str>, compact: bool) {
        let value = value.map(fitting);
        match (value, compact) {
            (None, false) => self.i16(-1),
            (None, true) => self.unsigned_varint(0),
            (Some(text), false) => self.i16(text.len() as i16),
            (Some(text), true) => self.unsigned_varint(text.len() as u32 + 1),
        }
        self.buffer.put_slice(value.unwrap_or_default().as_bytes());
    }

    /// Nullable `bytes`.
    #[inline]
    pub fn bytes(&mut self, value: Option<&Bytes>, compact: bool) {
        self.length(value.map(Bytes::len), compact);
        if let Some(bytes) = value {
            self.raw(bytes);
        }
    }

    /// Nullable `records`.
    #[inline]
    pub fn records(&mut self, value: Option<&Records>, compact: bool) {
        self.length(value.map(Records::size_bytes), compact);
        if let Some(records) = value {
            self.raw_records(records);
        }
    }

    /// Bytes as they are, without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &Bytes) {
        if bytes.len() < self.splice_size_min {
            self.buffer.put_slice(bytes);
        } else {
            self.splice(Part::Memory(bytes.clone()));
        }
    }

    fn raw_records(&mut self, records: &Records) {
        match records {
            Records::Memory(bytes) => self.raw(bytes),
            Records::File(slice) if slice.len == 0 => {}
            Records::File(slice) => self.splice(Part::File(slice.clone())),
            Records::Many(many) => many.iter().for_each(|records| self.raw_records(records)),
        }
    }

    fn splice(&mut self, part: Part) {
        self.spliced_size += part.len();
        self.splices.push((self.buffer.len(), part));
    }

    /// One tagged field: its tag, its size, and what `value` writes.
    pub fn tagged(&mut self, tag: u32, value: impl FnOnce(&mut Writer)) {
        let mut content = Writer::contiguous();
        value(&mut content);
        self.raw_tag(tag, &content.into_bytes());
    }

    /// One tagged field that is encoded already.
    pub fn raw_tag(&mut self, tag: u32, data: &Bytes) {
        self.unsigned_varint(tag);
        self.unsigned_varint(data.len() as u32);
        self.raw(data);
    }

    /// A tag section that holds unknown fields only.
    #[inline]
    pub fn unknown_tags(&mut self, tags: &UnknownTags) {
        self.unsigned_varint(tags.len() as u32);
        tags.iter().for_each(|field| self.raw_tag(field.tag, &field.data));
    }
}
