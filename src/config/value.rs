//! Values: from text by type, checked, and back to text, as Kafka's `ConfigDef` does it.

use super::def::{KeyDef, Kind, Valid};
use super::error::ConfigError;
use super::ibp::IbpVersion;
use std::fmt;

/// A secret that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

/// What is shown in place of a password.
pub const HIDDEN: &str = "[hidden]";

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A value of a [`Kind`].
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Value {
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(Password),
}

/// Classes of Kafka's that a `CLASS` key may name, because this broker does the same without them.
const KNOWN_CLASSES: &[&str] =
    &["org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"];

impl KeyDef {
    /// Reads and checks a value. The error has Kafka's text and no place.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = self.parse_kind(text)?;
        self.check(&value, text)?;
        Ok(value)
    }

    /// The default; `None` is Kafka's null.
    pub fn default_value(&self) -> Option<Value> {
        self.default.map(|text| self.parse(text).expect("defaults are valid: a test reads them all"))
    }

    fn parse_kind(&self, text: &str) -> Result<Value, ConfigError> {
        let trimmed = text.trim_matches(|c: char| c <= ' ');
        let not_a_number =
            || ConfigError::value(self.name, text, format_args!("Not a number of type {}", self.kind.name()));
        Ok(match self.kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Kind::Boolean => {
                return Err(ConfigError::value(self.name, text, "Expected value to be either true or false"));
            }
            Kind::String => Value::String(trimmed.to_string()),
            Kind::Password => Value::Password(Password(trimmed.to_string())),
            Kind::Int => Value::Int(trimmed.parse().map_err(|_| not_a_number())?),
            Kind::Short => Value::Short(trimmed.parse().map_err(|_| not_a_number())?),
            Kind::Long => Value::Long(trimmed.parse().map_err(|_| not_a_number())?),
            Kind::Double => Value::Double(parse_double(trimmed).ok_or_else(not_a_number)?),
            Kind::List => Value::List(split_list(trimmed)),
            Kind::Class if KNOWN_CLASSES.contains(&trimmed) => Value::Class(trimmed.to_string()),
            Kind::Class => {
                let why = format!("Class {text} could not be found.");
                return Err(ConfigError::value(self.name, text, why));
            }
        })
    }

    fn check(&self, value: &Value, text: &str) -> Result<(), ConfigError> {
        match self.valid {
            Valid::Any => Ok(()),
            Valid::AtLeast(min) => self.check_range(value, min, None),
            Valid::Between(min, max) => self.check_range(value, min, Some(max)),
            Valid::OneOf(words) => self.check_word(&value.to_text(), words),
            Valid::EachOf(words) => match value {
                Value::List(items) => items.iter().try_for_each(|item| self.check_word(item, words)),
                _ => self.check_word(&value.to_text(), words),
            },
            Valid::Version => IbpVersion::parse(&value.to_text())
                .map(|_| ())
                .map_err(|why| ConfigError::value(self.name, text, why)),
            Valid::ThrottledReplicas => self.check_throttled(value),
        }
    }

    fn check_range(&self, value: &Value, min: i64, max: Option<i64>) -> Result<(), ConfigError> {
        let number = match value {
            Value::Int(n) => f64::from(*n),
            Value::Short(n) => f64::from(*n),
            Value::Long(n) => *n as f64,
            Value::Double(n) => *n,
            _ => return Ok(()),
        };
        let error = |why: String| Err(ConfigError::value(self.name, &value.to_text(), why));
        if number < min as f64 {
            return error(format!("Value must be at least {min}"));
        }
        match max {
            Some(max) if number > max as f64 => error(format!("Value must be no more than {max}")),
            _ => Ok(()),
        }
    }

    fn check_word(&self, word: &str, words: &[&str]) -> Result<(), ConfigError> {
        if words.contains(&word) {
            return Ok(());
        }
        let why = format!("String must be one of: {}", words.join(", "));
        Err(ConfigError::value(self.name, word, why))
    }

    fn check_throttled(&self, value: &Value) -> Result<(), ConfigError> {
        let Value::List(items) = value else { return Ok(()) };
        let is_pair = |item: &String| {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let item = item.trim();
            item.is_empty() || item.split_once(':').is_some_and(|(a, b)| digits(a) && digits(b))
        };
        if items.iter().all(is_pair) || items.concat().trim() == "*" {
            return Ok(());
        }
        let shown = format!("[{}]", items.join(", "));
        let why = format!(
            "{} must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            self.name
        );
        Err(ConfigError::value(self.name, &shown, why))
    }
}

impl Value {
    /// The text that DescribeConfigs shows; a password as it is, so mind who asks.
    pub fn to_text(&self) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::String(text) | Value::Class(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Short(number) => number.to_string(),
            Value::Long(number) => number.to_string(),
            Value::Double(number) => double_text(*number),
            Value::List(items) => items.join(","),
            Value::Password(password) => password.0.clone(),
        }
    }
}

impl fmt::Display for Value {
    /// As Java prints it in the dump of a configuration; a password stays hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::List(items) => write!(f, "[{}]", items.join(", ")),
            Value::Class(name) => write!(f, "class {name}"),
            Value::Password(_) => f.write_str(HIDDEN),
            _ => f.write_str(&self.to_text()),
        }
    }
}

/// Splits at commas and the blanks around them; empty items stay, an empty text has none.
pub fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let items: Vec<&str> = text.split(',').collect();
    let last = items.len() - 1;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    items
        .into_iter()
        .enumerate()
        .map(|(i, item)| {
            let item = if i > 0 { item.trim_start_matches(blank) } else { item };
            if i < last { item.trim_end_matches(blank) } else { item }.to_string()
        })
        .collect()
}

/// Java's `Double.parseDouble`, without hexadecimal floats.
pub fn parse_double(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match rest {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = rest.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(rest);
    digits.parse::<f64>().ok().map(|number| sign * number)
}

/// Java's `Double.toString`.
pub fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').expect("`e` format has an exponent");
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

/// Types that the struct of all values has.
pub trait FromValue: Sized {
    /// The value of this type, `None` if it has another.
    fn from_value(value: Option<&Value>) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty: $pattern:pat => $result:expr;)*) => {$(
        impl FromValue for $type {
            fn from_value(value: Option<&Value>) -> Option<Self> {
                match value {
                    Some($pattern) => Some($result),
                    _ => None,
                }
            }
        }
    )*};
}

from_value! {
    bool: Value::Boolean(value) => *value;
    i16: Value::Short(number) => *number;
    i32: Value::Int(number) => *number;
    i64: Value::Long(number) => *number;
    f64: Value::Double(number) => *number;
    String: Value::String(text) | Value::Class(text) => text.clone();
    Vec<String>: Value::List(items) => items.clone();
    Password: Value::Password(password) => password.clone();
}

/// A key whose default is null.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Option<&Value>) -> Option<Self> {
        match value {
            None => Some(None),
            some => T::from_value(some).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::def::{self, broker_key, topic_key};

    fn message(key: &KeyDef, text: &str) -> String {
        key.parse(text).expect_err("must be refused").message
    }

    #[test]
    fn defaults_are_valid() {
        for key in def::broker_keys().chain(def::topic::TOPIC.iter().map(|row| &row.key)) {
            if let Some(text) = key.default {
                let value = key.default_value().expect("has a default");
                assert_eq!(value.to_text(), text, "{}", key.name);
            }
        }
    }

    #[test]
    fn errors_have_kafkas_words() {
        let partitions = broker_key("num.partitions").expect("known");
        assert_eq!(
            message(partitions, "many"),
            "Invalid value many for configuration num.partitions: Not a number of type INT"
        );
        assert_eq!(
            message(partitions, "0"),
            "Invalid value 0 for configuration num.partitions: Value must be at least 1"
        );
        assert_eq!(
            message(partitions, "3000000000 "),
            "Invalid value 3000000000  for configuration num.partitions: Not a number of type INT"
        );
        assert_eq!(
            message(topic_key("min.cleanable.dirty.ratio").expect("known"), "2"),
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"
        );
        assert_eq!(
            message(topic_key("cleanup.policy").expect("known"), "delete,wipe"),
            "Invalid value wipe for configuration cleanup.policy: String must be one of: compact, delete"
        );
        assert_eq!(
            message(broker_key("log.preallocate").expect("known"), "yes"),
            "Invalid value yes for configuration log.preallocate: Expected value to be either true or false"
        );
        assert_eq!(
            message(topic_key("message.format.version").expect("known"), "3.9"),
            "Invalid value 3.9 for configuration message.format.version: Version `3.9` is not a valid version"
        );
        assert_eq!(
            message(broker_key("create.topic.policy.class.name").expect("known"), "a.B"),
            "Invalid value a.B for configuration create.topic.policy.class.name: Class a.B could not be found."
        );
        let throttled = topic_key("leader.replication.throttled.replicas").expect("known");
        assert!(throttled.parse("0:1,1:2").is_ok() && throttled.parse("*").is_ok());
        assert!(message(throttled, "0:1,x").starts_with("Invalid value [0:1, x] for configuration"));
    }

    #[test]
    fn numbers_read_and_write_as_in_java() {
        for (number, text) in [
            (0.9, "0.9"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.0001, "1.0E-4"),
            (12_345_678.0, "1.2345678E7"),
            (f64::MAX, "1.7976931348623157E308"),
        ] {
            assert_eq!(double_text(number), text);
            assert_eq!(parse_double(text), Some(number));
        }
        assert_eq!(parse_double("1d"), Some(1.0));
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        for bad in ["", "inf", "nan", "+", "--1", "1e"] {
            assert_eq!(parse_double(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_split_as_in_java() {
        assert_eq!(split_list("a , b,,c"), ["a", "b", "", "c"]);
        assert!(split_list("").is_empty());
    }
}
