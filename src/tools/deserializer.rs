//! Bytes as text, the way Java prints what a deserializer of `org.apache.kafka.common.serialization` makes
//! of them.

use crate::config::double_text;
use crate::tools::exception::Exception;

/// A deserializer, by its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deserializer {
    /// Text in UTF-8.
    Text,
    /// An array of bytes, of which Java prints the identity.
    ByteArray,
    /// `Bytes`: printable characters, others as `\xHH`.
    Bytes,
    /// A buffer, of which Java prints the size.
    ByteBuffer,
    /// `int16`
    Short,
    /// `int32`
    Integer,
    /// `int64`
    Long,
    /// `float32`
    Float,
    /// `float64`
    Double,
    /// A UUID as text.
    Uuid,
}

impl Deserializer {
    /// The deserializer of a class.
    pub fn new(class: &str) -> Result<Deserializer, Exception> {
        let name = class.strip_prefix("org.apache.kafka.common.serialization.").unwrap_or("");
        Ok(match name {
            "StringDeserializer" => Deserializer::Text,
            "ByteArrayDeserializer" => Deserializer::ByteArray,
            "BytesDeserializer" => Deserializer::Bytes,
            "ByteBufferDeserializer" => Deserializer::ByteBuffer,
            "ShortDeserializer" => Deserializer::Short,
            "IntegerDeserializer" => Deserializer::Integer,
            "LongDeserializer" => Deserializer::Long,
            "FloatDeserializer" => Deserializer::Float,
            "DoubleDeserializer" => Deserializer::Double,
            "UUIDDeserializer" => Deserializer::Uuid,
            _ => return Err(Exception::new("java.lang.ClassNotFoundException", class)),
        })
    }

    /// What Java prints.
    pub fn text(self, bytes: &[u8]) -> Result<String, Exception> {
        Ok(match self {
            Deserializer::Text => String::from_utf8_lossy(bytes).into_owned(),
            Deserializer::ByteArray => format!("[B@{:x}", java_hash(bytes)),
            Deserializer::Bytes => bytes.iter().map(|byte| escaped(*byte)).collect(),
            Deserializer::ByteBuffer => {
                format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len())
            }
            Deserializer::Short => i16::from_be_bytes(sized(bytes, self)?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(sized(bytes, self)?).to_string(),
            Deserializer::Long => i64::from_be_bytes(sized(bytes, self)?).to_string(),
            Deserializer::Float => float_text(f32::from_be_bytes(sized(bytes, self)?)),
            Deserializer::Double => double_text(f64::from_be_bytes(sized(bytes, self)?)),
            Deserializer::Uuid => uuid_text(bytes)?,
        })
    }
}

fn serialization(message: String) -> Exception {
    Exception::api("SerializationException", message)
}

fn sized<const N: usize>(bytes: &[u8], deserializer: Deserializer) -> Result<[u8; N], Exception> {
    bytes.try_into().map_err(|_| {
        serialization(match deserializer {
            Deserializer::Float => format!("Size of data received by Deserializer is not {N}"),
            Deserializer::Double => format!("Size of data received by Deserializer is not {N}"),
            other => format!("Size of data received by {other:?}Deserializer is not {N}"),
        })
    })
}

/// Java prints where an array is; any number stands for that.
fn java_hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte))) & 0x7fff_ffff
}

fn escaped(byte: u8) -> String {
    match byte {
        b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        other => format!("\\x{other:02X}"),
    }
}

/// Java's `Float.toString`: the shortest digits that mean this `float`.
fn float_text(number: f32) -> String {
    match number.to_string().parse::<f64>() {
        Ok(same_digits) if number.is_finite() => double_text(same_digits),
        _ => double_text(f64::from(number)),
    }
}

fn uuid_text(bytes: &[u8]) -> Result<String, Exception> {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<&str> = text.split('-').collect();
    let digits = [8, 4, 4, 4, 12];
    let fits = parts.len() == digits.len()
        && parts.iter().zip(digits).all(|(part, most)| {
            !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    if !fits {
        return Err(serialization("Error parsing data into UUID".to_string()));
    }
    let padded =
        parts.iter().zip(digits).map(|(part, width)| format!("{:0>width$}", part.to_ascii_lowercase()));
    Ok(padded.collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(class: &str, bytes: &[u8]) -> Result<String, String> {
        let deserializer =
            Deserializer::new(&format!("org.apache.kafka.common.serialization.{class}")).unwrap();
        deserializer.text(bytes).map_err(|error| error.first_line())
    }

    #[test]
    fn numbers_and_text() {
        assert_eq!(text("LongDeserializer", &258i64.to_be_bytes()).unwrap(), "258");
        assert_eq!(text("IntegerDeserializer", &(-1i32).to_be_bytes()).unwrap(), "-1");
        assert_eq!(text("ShortDeserializer", &[0, 3]).unwrap(), "3");
        assert_eq!(text("DoubleDeserializer", &1e10f64.to_be_bytes()).unwrap(), "1.0E10");
        assert_eq!(text("FloatDeserializer", &0.1f32.to_be_bytes()).unwrap(), "0.1");
        assert_eq!(text("BytesDeserializer", b"a\\\x01").unwrap(), "a\\x5C\\x01");
        assert_eq!(text("StringDeserializer", b"\xffx").unwrap(), "\u{fffd}x");
        let uuid = "0a0b0c0d-0000-0001-0002-000000000003";
        assert_eq!(text("UUIDDeserializer", uuid.as_bytes()).unwrap(), uuid);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let error = text("LongDeserializer", b"null").unwrap_err();
        assert!(error.ends_with("Size of data received by LongDeserializer is not 8"), "{error}");
        assert!(text("UUIDDeserializer", b"x").is_err());
        assert!(Deserializer::new("my.Deserializer").is_err());
    }
}
