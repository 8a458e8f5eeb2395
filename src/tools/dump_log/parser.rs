//! How keys and values of records are shown: by one of Kafka's decoders.

use crate::tools::Shape;
use crate::tools::deserializer::Deserializer;
use crate::tools::exception::Exception;
use crate::tools::internal_topics::{KeyAndPayload, dump_group_record, dump_transaction_record};
use bytes::Bytes;

/// Makes text of key and value.
pub enum Parser {
    /// Any topic, by `kafka.serializer` decoders of key and value.
    Decoders(Deserializer, Deserializer),
    /// `__consumer_offsets`
    Offsets,
    /// `__transaction_state`
    Transactions,
}

impl Parser {
    /// By class names; text unless given.
    pub fn decoders(key: Option<&str>, value: Option<&str>) -> Result<Parser, Exception> {
        let value = decoder(value)?;
        Ok(Parser::Decoders(decoder(key)?, value))
    }

    /// Text of key and payload. 1.1.1 shows no key of a record without a value.
    pub fn parse(
        &self,
        key: Option<&Bytes>,
        value: Option<&Bytes>,
        shape: Shape,
    ) -> Result<KeyAndPayload, Exception> {
        match self {
            Parser::Offsets => dump_group_record(key, value, shape),
            Parser::Transactions => dump_transaction_record(key, value, shape),
            Parser::Decoders(..) if shape == Shape::V1_1_1 && value.is_none() => Ok((None, None)),
            Parser::Decoders(of_key, of_value) => {
                let text = |decoder: Deserializer, bytes: Option<&Bytes>| match bytes {
                    Some(bytes) => decode(decoder, bytes).map(Some),
                    None => Ok(None),
                };
                Ok((text(*of_key, key)?, text(*of_value, value)?))
            }
        }
    }
}

fn decoder(class: Option<&str>) -> Result<Deserializer, Exception> {
    match class.unwrap_or("kafka.serializer.StringDecoder") {
        "kafka.serializer.StringDecoder" => Ok(Deserializer::Text),
        "kafka.serializer.DefaultDecoder" => Ok(Deserializer::ByteArray),
        "kafka.serializer.LongDecoder" => Ok(Deserializer::Long),
        "kafka.serializer.IntegerDecoder" => Ok(Deserializer::Integer),
        other => Err(Exception::new("java.lang.ClassNotFoundException", other)),
    }
}

/// Numbers are the first bytes; too few are an error.
fn decode(decoder: Deserializer, bytes: &Bytes) -> Result<String, Exception> {
    let size = match decoder {
        Deserializer::Long => 8,
        Deserializer::Integer => 4,
        _ => return decoder.text(bytes),
    };
    match bytes.get(..size) {
        Some(number) => decoder.text(number),
        None => Err(Exception::bare("java.nio.BufferUnderflowException")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_by_class() {
        let parser = Parser::decoders(None, Some("kafka.serializer.LongDecoder")).unwrap();
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(&[0, 0, 0, 0, 0, 0, 1, 2, 9]));
        let parsed = parser.parse(Some(&key), Some(&value), Shape::V2_8_2).unwrap();
        assert_eq!(parsed, (Some("k".to_string()), Some("258".to_string())));
        assert!(parser.parse(None, Some(&key), Shape::V2_8_2).is_err());
        assert_eq!(parser.parse(Some(&key), None, Shape::V1_1_1).unwrap(), (None, None));
        assert!(Parser::decoders(Some("my.Decoder"), None).is_err());
    }
}
