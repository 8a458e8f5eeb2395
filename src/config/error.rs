//! What is wrong with a configuration, in Kafka's words.

use super::properties::Origin;
use std::fmt;

/// The Java exception that Kafka throws for an error; its log and some answers show the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// `org.apache.kafka.common.config.ConfigException`: a value.
    Config,
    /// `java.lang.IllegalArgumentException`: values that do not fit together.
    IllegalArgument,
    /// `org.apache.kafka.common.errors.InvalidConfigurationException`: a topic's key.
    InvalidConfiguration,
    /// `java.nio.file.NoSuchFileException`: the file itself.
    NoSuchFile,
    /// `java.io.IOException`: the file cannot be read.
    Io,
}

impl Exception {
    /// The name of the class.
    pub fn class_name(self) -> &'static str {
        match self {
            Exception::Config => "org.apache.kafka.common.config.ConfigException",
            Exception::IllegalArgument => "java.lang.IllegalArgumentException",
            Exception::InvalidConfiguration => "org.apache.kafka.common.errors.InvalidConfigurationException",
            Exception::NoSuchFile => "java.nio.file.NoSuchFileException",
            Exception::Io => "java.io.IOException",
        }
    }
}

/// One error of a configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigError {
    /// The key, if it is about one.
    pub key: Option<String>,
    /// What Kafka throws.
    pub exception: Exception,
    /// Kafka's message.
    pub message: String,
    /// Where the value was given; `None` for defaults.
    pub origin: Option<Origin>,
}

impl ConfigError {
    /// An error about the value of one key.
    pub fn value(key: &str, value: &str, why: impl fmt::Display) -> ConfigError {
        ConfigError {
            key: Some(key.to_string()),
            exception: Exception::Config,
            message: format!("Invalid value {value} for configuration {key}: {why}"),
            origin: None,
        }
    }

    /// An error with a message of its own.
    pub fn new(exception: Exception, key: Option<&str>, message: impl Into<String>) -> ConfigError {
        ConfigError { key: key.map(str::to_string), exception, message: message.into(), origin: None }
    }

    /// A failed `require` of Kafka's.
    pub fn requirement(key: &str, message: impl fmt::Display) -> ConfigError {
        ConfigError::new(Exception::IllegalArgument, Some(key), format!("requirement failed: {message}"))
    }

    /// The line that Kafka logs under "Exiting Kafka due to fatal exception".
    pub fn java_line(&self) -> String {
        format!("{}: {}", self.exception.class_name(), self.message)
    }
}

/// The message, then the place in parentheses if it is known.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}
