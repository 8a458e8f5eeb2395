//! The tag section that ends every struct of a flexible version (KIP-482).
//!
//! ```text
//! tags  = varint count, count * (varint tag, varint size, size bytes), tags ascending
//! ```
//!
//! Fields that the schema does not know are kept and written back where their tag belongs, also if they came
//! in disorder; of two with one tag the later counts. Like Kafka, reading a known field does not look at its
//! size.

use super::{DecodeError, Reader, Writer};
use bytes::Bytes;

/// A tagged field as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTag {
    /// Its number.
    pub tag: u32,
    /// Its content.
    pub data: Bytes,
}

/// The tagged fields of one struct that its schema does not name, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownTags(Option<Box<[RawTag]>>);

impl UnknownTags {
    /// Keeps `fields`, of two with one tag the later.
    pub fn new(mut fields: Vec<RawTag>) -> Self {
        if !fields.is_sorted_by(|a, b| a.tag < b.tag) {
            fields.reverse();
            fields.sort_by_key(|field| field.tag);
            fields.dedup_by_key(|field| field.tag);
        }
        UnknownTags((!fields.is_empty()).then(|| fields.into_boxed_slice()))
    }

    /// Number of fields.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.len())
    }

    /// True if there are none, as nearly always.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The fields.
    pub fn iter(&self) -> std::slice::Iter<'_, RawTag> {
        self.0.as_deref().unwrap_or_default().iter()
    }

    /// Reads a tag section. `known` reads the content of a tag that the schema names and says `true`, or
    /// leaves it alone and says `false`.
    #[inline]
    pub(crate) fn read(
        reader: &mut Reader,
        known: impl FnMut(&mut Reader, i32) -> Result<bool, DecodeError>,
    ) -> Result<Self, DecodeError> {
        match reader.unsigned_varint()? {
            count if count > 0 => Self::read_some(reader, count, known),
            _ => Ok(UnknownTags(None)),
        }
    }

    /// Reads a tag section in which no tag is known.
    #[inline]
    pub(crate) fn read_unknown(reader: &mut Reader) -> Result<Self, DecodeError> {
        Self::read(reader, |_, _| Ok(false))
    }

    #[cold]
    fn read_some(
        reader: &mut Reader,
        count: i32,
        mut known: impl FnMut(&mut Reader, i32) -> Result<bool, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut unknown = Vec::new();
        for _ in 0..count {
            let tag = reader.unsigned_varint()?;
            let size = reader.unsigned_varint()?;
            if !known(reader, tag)? {
                let size = usize::try_from(size).map_err(|_| DecodeError::Truncated)?;
                unknown.push(RawTag { tag: tag as u32, data: reader.slice(size)? });
            }
        }
        Ok(UnknownTags::new(unknown))
    }
}

/// Writes a tag section that may hold known fields: [`TagWriter::new`] with their number, then each of
/// them ascending, then [`TagWriter::finish`].
pub(crate) struct TagWriter<'a> {
    unknown: std::iter::Peekable<std::slice::Iter<'a, RawTag>>,
}

impl<'a> TagWriter<'a> {
    pub(crate) fn new(writer: &mut Writer, unknown: &'a UnknownTags, known_count: u32) -> Self {
        writer.unsigned_varint(unknown.len() as u32 + known_count);
        TagWriter { unknown: unknown.iter().peekable() }
    }

    pub(crate) fn field(&mut self, writer: &mut Writer, tag: u32, value: impl FnOnce(&mut Writer)) {
        while let Some(field) = self.unknown.next_if(|field| field.tag < tag) {
            writer.raw_tag(field.tag, &field.data);
        }
        writer.tagged(tag, value);
    }

    pub(crate) fn finish(self, writer: &mut Writer) {
        self.unknown.for_each(|field| writer.raw_tag(field.tag, &field.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tags_are_put_in_order() {
        let field = |tag, data: &'static str| RawTag { tag, data: Bytes::from_static(data.as_bytes()) };
        let tags = UnknownTags::new(vec![field(9, "a"), field(3, "b"), field(9, "c")]);
        assert_eq!(tags.iter().cloned().collect::<Vec<_>>(), [field(3, "b"), field(9, "c")]);
        assert!(UnknownTags::new(vec![]).is_empty());
    }

    #[test]
    fn known_and_unknown_tags_interleave() {
        let field = |tag| RawTag { tag, data: Bytes::from_static(b"x") };
        let unknown = UnknownTags::new(vec![field(0), field(5)]);
        let mut writer = Writer::contiguous();
        let mut tags = TagWriter::new(&mut writer, &unknown, 2);
        tags.field(&mut writer, 2, |writer| writer.i8(1));
        tags.field(&mut writer, 7, |writer| writer.i8(2));
        tags.finish(&mut writer);
        assert_eq!(&writer.into_bytes()[..], b"\x04\x00\x01x\x02\x01\x01\x05\x01x\x07\x01\x02");
    }
}
