//! Java's exceptions as the tools show them: a class name and a message.
//!
//! Scripts read both ("Error while executing topic command : …"), so the class travels with the text.

use crate::common::ErrorCode;
use std::fmt;

/// What a Java tool would have thrown. Stack frames are not part of any contract and are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Full class name.
    pub class: String,
    /// `getMessage`; `None` prints as `null` where Java prints the message alone.
    pub message: Option<String>,
    /// Lines that follow the first one, such as `Caused by: …`.
    pub more: Vec<String>,
}

impl Exception {
    /// An exception of `class` saying `message`.
    pub fn new(class: &str, message: impl Into<String>) -> Exception {
        Exception { class: class.to_string(), message: Some(message.into()), more: Vec::new() }
    }

    /// An exception without a message.
    pub fn bare(class: &str) -> Exception {
        Exception { class: class.to_string(), message: None, more: Vec::new() }
    }

    /// `java.lang.IllegalArgumentException`.
    pub fn illegal_argument(message: impl Into<String>) -> Exception {
        Exception::new("java.lang.IllegalArgumentException", message)
    }

    /// `org.apache.kafka.common.errors.TimeoutException`.
    pub fn timeout(message: impl Into<String>) -> Exception {
        Exception::new("org.apache.kafka.common.errors.TimeoutException", message)
    }

    /// One of `org.apache.kafka.common.errors`, by its short name.
    pub fn api(short_class: &str, message: impl Into<String>) -> Exception {
        Exception::new(&format!("org.apache.kafka.common.errors.{short_class}"), message)
    }

    /// What the Java client throws for an error code of a response. `message` is the one of the response,
    /// if it had one; else the code's own is used.
    pub fn of_error(code: ErrorCode, message: Option<&str>) -> Exception {
        Exception::api(&class_of(code), message.unwrap_or(code.message()))
    }

    /// Adds a `Caused by:` line.
    pub fn caused_by(mut self, cause: Exception) -> Exception {
        self.more.push(format!("Caused by: {}", cause.first_line()));
        self
    }

    /// `class: message`, as `Throwable.toString` writes it.
    pub fn first_line(&self) -> String {
        match &self.message {
            Some(message) => format!("{}: {message}", self.class),
            None => self.class.clone(),
        }
    }

    /// The message alone; Java prints `null` for none.
    pub fn message_or_null(&self) -> &str {
        self.message.as_deref().unwrap_or("null")
    }

    /// True if the class is the one of this error code.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.class.strip_prefix("org.apache.kafka.common.errors.").is_some_and(|c| c == class_of(code))
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first_line())?;
        for line in &self.more {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

/// Errors that say that leaders moved.
pub fn needs_new_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::NetworkException
            | ErrorCode::KafkaStorageError
            | ErrorCode::FencedLeaderEpoch
    )
}

/// Errors that may pass. Source: the retriable exceptions of `Errors.java`.
pub fn is_retriable(code: ErrorCode) -> bool {
    needs_new_metadata(code)
        || matches!(
            code,
            ErrorCode::CorruptMessage
                | ErrorCode::RequestTimedOut
                | ErrorCode::NotEnoughReplicas
                | ErrorCode::NotEnoughReplicasAfterAppend
                | ErrorCode::ConcurrentTransactions
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::ThrottlingQuotaExceeded
        )
}

/// The short class name of an error code. Most follow from the constant's name; the exceptions to that
/// rule are listed. Source: `Errors.java` of 2.8.2.
fn class_of(code: ErrorCode) -> String {
    let irregular = match code {
        ErrorCode::UnknownServerError => "UnknownServerException",
        ErrorCode::CorruptMessage => "CorruptRecordException",
        ErrorCode::InvalidTopicException => "InvalidTopicException",
        ErrorCode::MessageTooLarge => "RecordTooLargeException",
        ErrorCode::RecordListTooLarge => "RecordBatchTooLargeException",
        ErrorCode::RequestTimedOut => "TimeoutException",
        ErrorCode::StaleControllerEpoch => "ControllerMovedException",
        ErrorCode::OffsetMetadataTooLarge => "OffsetMetadataTooLarge",
        ErrorCode::NetworkException => "NetworkException",
        ErrorCode::TopicAuthorizationFailed => "TopicAuthorizationException",
        ErrorCode::GroupAuthorizationFailed => "GroupAuthorizationException",
        ErrorCode::ClusterAuthorizationFailed => "ClusterAuthorizationException",
        ErrorCode::TransactionalIdAuthorizationFailed => "TransactionalIdAuthorizationException",
        ErrorCode::DelegationTokenAuthorizationFailed => "DelegationTokenAuthorizationException",
        ErrorCode::SaslAuthenticationFailed => "SaslAuthenticationException",
        ErrorCode::TopicAlreadyExists => "TopicExistsException",
        ErrorCode::InvalidConfig => "InvalidConfigurationException",
        ErrorCode::UnsupportedForMessageFormat => "UnsupportedForMessageFormatException",
        ErrorCode::OutOfOrderSequenceNumber => "OutOfOrderSequenceException",
        ErrorCode::DuplicateSequenceNumber => "DuplicateSequenceException",
        ErrorCode::InvalidProducerIdMapping => "InvalidPidMappingException",
        ErrorCode::InvalidTransactionTimeout => "InvalidTxnTimeoutException",
        ErrorCode::KafkaStorageError => "KafkaStorageException",
        ErrorCode::NonEmptyGroup => "GroupNotEmptyException",
        ErrorCode::GroupSubscribedToTopic => "GroupSubscribedToTopicException",
        ErrorCode::DelegationTokenAuthDisabled => "DelegationTokenDisabledException",
        ErrorCode::DelegationTokenRequestNotAllowed => "UnsupportedByAuthenticationException",
        ErrorCode::FeatureUpdateFailed => "FeatureUpdateFailedException",
        _ => return format!("{}Exception", camel_case(code.name())),
    };
    irregular.to_string()
}

fn camel_case(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next());
        out.extend(letters.map(|c| c.to_ascii_lowercase()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_kafka() {
        for (code, class) in [
            (ErrorCode::InvalidPartitions, "InvalidPartitionsException"),
            (ErrorCode::TopicAlreadyExists, "TopicExistsException"),
            (ErrorCode::NotEnoughReplicas, "NotEnoughReplicasException"),
            (ErrorCode::UnknownTopicOrPartition, "UnknownTopicOrPartitionException"),
            (ErrorCode::NotLeaderOrFollower, "NotLeaderOrFollowerException"),
        ] {
            assert_eq!(class_of(code), class);
            assert!(Exception::of_error(code, None).is(code));
        }
    }
}
