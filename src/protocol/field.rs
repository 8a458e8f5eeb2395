//! How each type of a field stands on the wire. The grammar is [`super::reader`]'s.

use super::json;
use super::{DecodeError, Reader, Records, Writer};
use crate::common::Uuid;
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;

/// At most this much memory is reserved for an array before its first element has been read.
const RESERVE_SIZE_MAX: usize = 64 * 1024;

/// What decides the layout of a message.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Version of the message.
    pub version: i16,
    /// Whether lengths are compact and structs end in tags (KIP-482).
    pub flexible: bool,
}

/// A type that a field of a message can have.
pub trait Field: Sized {
    /// The value of a field without a default of its own. As in Kafka, nullable fields begin empty, not null.
    fn initial() -> Self;

    /// The smallest number of bytes that any value takes.
    fn size_min(layout: Layout) -> usize;

    /// Takes the value off the frame.
    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError>;

    /// Adds the value to the frame.
    fn write(&self, writer: &mut Writer, layout: Layout);

    /// Kafka's JSON view of the value.
    fn to_json(&self, layout: Layout) -> Value;

    /// True for the null of a nullable type.
    #[inline]
    fn is_null(&self) -> bool {
        false
    }

    /// Number of bytes behind the length of a string, of bytes or of records.
    #[inline]
    fn size_bytes(&self) -> Option<usize> {
        None
    }
}

macro_rules! numbers {
    ($($ty:ident $size:literal)*) => {$(
        impl Field for $ty {
            #[inline]
            fn initial() -> Self {
                Default::default()
            }
            #[inline]
            fn size_min(_: Layout) -> usize {
                $size
            }
            #[inline]
            fn read(reader: &mut Reader, _: Layout) -> Result<Self, DecodeError> {
                reader.$ty()
            }
            #[inline]
            fn write(&self, writer: &mut Writer, _: Layout) {
                writer.$ty(*self);
            }
            fn to_json(&self, _: Layout) -> Value {
                Value::from(*self)
            }
        }
    )*};
}

numbers! { i8 1 i16 2 i32 4 i64 8 f64 8 bool 1 }

impl Field for Uuid {
    #[inline]
    fn initial() -> Self {
        Uuid::ZERO
    }
    #[inline]
    fn size_min(_: Layout) -> usize {
        16
    }
    #[inline]
    fn read(reader: &mut Reader, _: Layout) -> Result<Self, DecodeError> {
        reader.uuid()
    }
    #[inline]
    fn write(&self, writer: &mut Writer, _: Layout) {
        writer.uuid(self);
    }
    fn to_json(&self, _: Layout) -> Value {
        Value::from(self.to_string())
    }
}

/// Length prefix of a string, or of anything else.
#[inline]
fn prefix_size(layout: Layout, fixed_size: usize) -> usize {
    if layout.flexible { 1 } else { fixed_size }
}

macro_rules! sized {
    ($ty:ty, prefix $prefix:literal, size $len:ident, $read:ident, $write:ident $(, as $as:ident)?; $json:expr) => {
        impl Field for Option<$ty> {
            #[inline]
            fn initial() -> Self {
                Some(Default::default())
            }
            #[inline]
            fn size_min(layout: Layout) -> usize {
                prefix_size(layout, $prefix)
            }
            #[inline]
            fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
                Ok(reader.$read(layout.flexible)?.map(Into::into))
            }
            #[inline]
            fn write(&self, writer: &mut Writer, layout: Layout) {
                writer.$write(self.as_ref()$(.map(|value| value.$as()))?, layout.flexible);
            }
            fn to_json(&self, _: Layout) -> Value {
                self.as_ref().map_or(Value::Null, $json)
            }
            #[inline]
            fn is_null(&self) -> bool {
                self.is_none()
            }
            #[inline]
            fn size_bytes(&self) -> Option<usize> {
                self.as_ref().map(|value| value.$len())
            }
        }

        impl Field for $ty {
            #[inline]
            fn initial() -> Self {
                Default::default()
            }
            #[inline]
            fn size_min(layout: Layout) -> usize {
                prefix_size(layout, $prefix)
            }
            #[inline]
            fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
                Ok(reader.$read(layout.flexible)?.ok_or(DecodeError::Null(stringify!($read)))?.into())
            }
            #[inline]
            fn write(&self, writer: &mut Writer, layout: Layout) {
                writer.$write(Some(self)$(.map(|value| value.$as()))?, layout.flexible);
            }
            fn to_json(&self, _: Layout) -> Value {
                ($json)(self)
            }
        }
    };
}

sized! {
    ByteString, prefix 2, size len, string, string, as as_ref;
    |text: &ByteString| Value::from(text.as_ref() as &str)
}

sized! {
    Bytes, prefix 4, size len, bytes, bytes;
    |bytes: &Bytes| Value::from(json::base64(bytes))
}

sized! {
    Records, prefix 4, size size_bytes, bytes, records;
    |records: &Records| Value::from(records.size_bytes())
}

impl<T: Field> Field for Option<Vec<T>> {
    #[inline]
    fn initial() -> Self {
        Some(Vec::new())
    }

    #[inline]
    fn size_min(layout: Layout) -> usize {
        prefix_size(layout, 4)
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        let Some(count) = reader.count(layout.flexible, T::size_min(layout))? else { return Ok(None) };
        let reserved = count.min(RESERVE_SIZE_MAX / size_of::<T>().max(1));
        let mut elements = Vec::with_capacity(reserved);
        for _ in 0..count {
            elements.push(T::read(reader, layout)?);
        }
        Ok(Some(elements))
    }

    #[inline]
    fn write(&self, writer: &mut Writer, layout: Layout) {
        match self {
            Some(elements) => elements.write(writer, layout),
            None => writer.length(None, layout.flexible),
        }
    }

    fn to_json(&self, layout: Layout) -> Value {
        self.as_ref().map_or(Value::Null, |elements| elements.to_json(layout))
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    #[inline]
    fn initial() -> Self {
        Vec::new()
    }

    #[inline]
    fn size_min(layout: Layout) -> usize {
        prefix_size(layout, 4)
    }

    #[inline]
    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        Option::<Vec<T>>::read(reader, layout)?.ok_or(DecodeError::Null("array"))
    }

    fn write(&self, writer: &mut Writer, layout: Layout) {
        writer.length(Some(self.len()), layout.flexible);
        for element in self {
            element.write(writer, layout);
        }
    }

    fn to_json(&self, layout: Layout) -> Value {
        self.iter().map(|element| element.to_json(layout)).collect()
    }
}
