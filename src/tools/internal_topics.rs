//! The records of `__consumer_offsets` and `__transaction_state` as Kafka's formatters write them, for the
//! console consumer and for `kafka-dump-log.sh`.
//!
//! Source: Kafka 2.8.2, `kafka/coordinator/group/GroupMetadataManager.scala` and `GroupMetadata.scala`,
//! `kafka/coordinator/transaction/TransactionLog.scala` and `TransactionMetadata.scala`; for the 1.1.1 shape
//! `kafka/tools/DumpLogSegments.scala` of that release.

use super::Shape;
use super::exception::Exception;
use super::java::{scala_hash_order, string_hash, topic_partition_hash};
use crate::common::TopicPartition;
use crate::protocol::stored::GroupTopicKey;
use crate::protocol::stored::consumer_protocol::ConsumerProtocolAssignment;
use crate::protocol::stored::group_metadata::{GroupMetadataValue, MemberMetadata};
use crate::protocol::stored::offset_commit::OffsetCommitValue;
use crate::protocol::stored::transaction_log::{TransactionLogKey, TransactionLogValue};
use crate::protocol::{DecodeError, decode_forward_compatible, decode_versioned};
use bytes::Bytes;

const CONSUMER: &str = "consumer";

/// Key and payload as text; either may be missing.
pub type KeyAndPayload = (Option<String>, Option<String>);

/// A line of `OffsetsMessageFormatter`; `None` for other records.
pub fn offset_line(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<String>, Exception> {
    let Some(GroupTopicKey::OffsetCommit(key)) = key.map(group_key).transpose()? else { return Ok(None) };
    let value = match value.map(offset_value).transpose()? {
        None => "NULL".to_string(),
        Some(value) => {
            let epoch = match value.leader_epoch {
                -1 => "Optional.empty".to_string(),
                epoch => format!("Optional[{epoch}]"),
            };
            let expires = match value.expire_timestamp {
                -1 => "None".to_string(),
                at => format!("Some({at})"),
            };
            format!(
                "OffsetAndMetadata(offset={}, leaderEpoch={epoch}, metadata={}, commitTimestamp={}, \
                 expireTimestamp={expires})",
                value.offset, value.metadata, value.commit_timestamp
            )
        }
    };
    Ok(Some(format!("[{},{},{}]::{value}", key.group, key.topic, key.partition)))
}

/// A line of `GroupMetadataMessageFormatter`; `None` for other records.
pub fn group_line(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<String>, Exception> {
    let Some(GroupTopicKey::GroupMetadata(key)) = key.map(group_key).transpose()? else { return Ok(None) };
    let Some((version, value)) = value.map(group_value).transpose()? else {
        return Ok(Some(format!("{}::NULL", key.group)));
    };
    let state = if value.members.is_empty() { "Empty" } else { "Stable" };
    let protocol = value.protocol.as_deref().unwrap_or("null");
    let members = scala_hash_order(&value.members, |member| string_hash(&member.member_id))
        .into_iter()
        .map(|member| format!("{} -> {}", member.member_id, member_text(member, version, protocol)))
        .collect::<Vec<_>>();
    Ok(Some(format!(
        "{0}::GroupMetadata(groupId={0}, generation={1}, protocolType=Some({2}), currentState={state}, \
         members=HashMap({3}))",
        key.group,
        value.generation,
        value.protocol_type,
        members.join(", ")
    )))
}

fn member_text(member: &MemberMetadata, version: i16, protocol: &str) -> String {
    let instance = match &member.group_instance_id {
        Some(id) => format!("Some({id})"),
        None => "None".to_string(),
    };
    let rebalance = if version == 0 { member.session_timeout } else { member.rebalance_timeout };
    format!(
        "MemberMetadata(memberId={}, groupInstanceId={instance}, clientId={}, clientHost={}, sessionTimeoutMs={}, \
         rebalanceTimeoutMs={rebalance}, supportedProtocols=List({protocol}), )",
        member.member_id, member.client_id, member.client_host, member.session_timeout
    )
}

/// A line of `TransactionLogMessageFormatter`; `None` for a record without a key.
pub fn transaction_line(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<String>, Exception> {
    let Some(id) = key.map(transaction_key).transpose()? else { return Ok(None) };
    let Some(value) = value.map(transaction_value).transpose()? else {
        return Ok(Some(format!("{id}::NULL")));
    };
    Ok(Some(format!(
        "{id}::TransactionMetadata(transactionalId={id}, producerId={}, producerEpoch={}, txnTimeoutMs={}, \
         state={}, pendingState=None, topicPartitions=HashSet({}), txnStartTimestamp={}, \
         txnLastUpdateTimestamp={})",
        value.producer_id,
        value.producer_epoch,
        value.transaction_timeout_ms,
        state_name(value.transaction_status)?,
        partitions_of(&value).join(", "),
        value.transaction_start_timestamp_ms,
        value.transaction_last_update_timestamp_ms
    )))
}

/// What `--offsets-decoder` prints of a record.
pub fn dump_group_record(
    key: Option<&Bytes>,
    value: Option<&Bytes>,
    shape: Shape,
) -> Result<KeyAndPayload, Exception> {
    let is_old = shape == Shape::V1_1_1;
    if is_old && value.is_none() {
        return Ok((None, None));
    }
    let Some(key) = key else {
        return Err(Exception::new(
            match shape {
                Shape::V1_1_1 => "kafka.common.KafkaException",
                Shape::V2_8_2 => "org.apache.kafka.common.KafkaException",
            },
            "Failed to decode message using offset topic decoder (message had a missing key)",
        ));
    };
    let deleted = || "<DELETE>".to_string();
    Ok(match group_key(key)? {
        GroupTopicKey::OffsetCommit(key) => {
            let value =
                value.map(offset_value).transpose()?.map(|value| match (value.metadata.is_empty(), is_old) {
                    (true, true) => value.offset.to_string(),
                    (false, true) => format!("{}:{}", value.offset, value.metadata),
                    (true, false) => format!("offset={}", value.offset),
                    (false, false) => format!("offset={},metadata={}", value.offset, value.metadata),
                });
            let key = match shape {
                Shape::V1_1_1 => format!("offset::{}:{}:{}", key.group, key.topic, key.partition),
                Shape::V2_8_2 => {
                    format!("offset_commit::group={},partition={}-{}", key.group, key.topic, key.partition)
                }
            };
            (Some(key), Some(value.unwrap_or_else(deleted)))
        }
        GroupTopicKey::GroupMetadata(key) => {
            let value = value.map(|value| group_value(value).and_then(|(_, value)| group_json(&value)));
            let key = match shape {
                Shape::V1_1_1 => serde_json::json!({ "metadata": &*key.group }).to_string(),
                Shape::V2_8_2 => format!("group_metadata::group={}", key.group),
            };
            (Some(key), Some(value.transpose()?.unwrap_or_else(deleted)))
        }
    })
}

fn group_json(value: &GroupMetadataValue) -> Result<String, Exception> {
    let mut assignments = Vec::new();
    for member in scala_hash_order(&value.members, |member| string_hash(&member.member_id)) {
        let assignment = if &*value.protocol_type == CONSUMER {
            assignment_text(&member.assignment)?
        } else {
            hex(&member.assignment)
        };
        assignments.push(format!("{}={assignment}", member.member_id));
    }
    let json = serde_json::json!({
        "protocolType": &*value.protocol_type,
        "protocol": value.protocol.as_deref(),
        "generationId": value.generation,
        "assignment": format!("{{{}}}", assignments.join(",")),
    });
    Ok(json.to_string())
}

fn assignment_text(bytes: &Bytes) -> Result<String, Exception> {
    let (_, assignment): (_, ConsumerProtocolAssignment) =
        decode_forward_compatible(bytes.clone()).map_err(unreadable)?;
    let partitions: Vec<String> = assignment
        .assigned_partitions
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(move |partition| format!("{}-{partition}", topic.topic))
        })
        .collect();
    let user_data = hex(&assignment.user_data.unwrap_or_default());
    let separator = if user_data.is_empty() { "" } else { ":" };
    Ok(format!("[{}]{separator}{user_data}", partitions.join(", ")))
}

/// What `--transaction-log-decoder` prints of a record.
pub fn dump_transaction_record(
    key: Option<&Bytes>,
    value: Option<&Bytes>,
    shape: Shape,
) -> Result<KeyAndPayload, Exception> {
    let Some(key) = key else {
        let message = "Cannot invoke \"java.nio.ByteBuffer.getShort()\" because \"buffer\" is null";
        return Err(Exception::new("java.lang.NullPointerException", message));
    };
    let id = transaction_key(key)?;
    let (name, brackets) = match shape {
        Shape::V1_1_1 => ("transactionalId=", ["Set(", ")"]),
        Shape::V2_8_2 => ("transaction_metadata::transactionalId=", ["[", "]"]),
    };
    let Some(value) = value.map(transaction_value).transpose()? else {
        return Ok((Some(format!("{name}{id}")), Some("<DELETE>".to_string())));
    };
    let separator = if shape == Shape::V1_1_1 { ", " } else { "," };
    let payload = format!(
        "producerId:{},producerEpoch:{},state={},partitions={}{}{},txnLastUpdateTimestamp={},txnTimeoutMs={}",
        value.producer_id,
        value.producer_epoch,
        state_name(value.transaction_status)?,
        brackets[0],
        partitions_of(&value).join(separator),
        brackets[1],
        value.transaction_last_update_timestamp_ms,
        value.transaction_timeout_ms
    );
    Ok((Some(format!("{name}{id}")), Some(payload)))
}

fn group_key(key: &Bytes) -> Result<GroupTopicKey, Exception> {
    GroupTopicKey::decode(key.clone())
        .map_err(|error| versioned("Unknown group metadata message version: {}", key, error))
}

fn offset_value(value: &Bytes) -> Result<OffsetCommitValue, Exception> {
    let (_, value) = decode_versioned(value.clone())
        .map_err(|error| versioned("Unknown offset message version: {}", value, error))?;
    Ok(value)
}

fn group_value(value: &Bytes) -> Result<(i16, GroupMetadataValue), Exception> {
    decode_versioned(value.clone())
        .map_err(|error| versioned("Unknown group metadata message version: {}", value, error))
}

fn transaction_key(key: &Bytes) -> Result<String, Exception> {
    let (_, key): (_, TransactionLogKey) = decode_versioned(key.clone())
        .map_err(|error| versioned("Unknown version {} from the transaction log message", key, error))?;
    Ok(key.transactional_id.to_string())
}

fn transaction_value(value: &Bytes) -> Result<TransactionLogValue, Exception> {
    let (_, value) = decode_versioned(value.clone()).map_err(|error| {
        versioned("Unknown version {} from the transaction log message value", value, error)
    })?;
    Ok(value)
}

/// `message` with the version for `{}`, if that is what is wrong.
fn versioned(message: &str, bytes: &Bytes, error: DecodeError) -> Exception {
    match (error, bytes.first_chunk::<2>()) {
        (DecodeError::UnsupportedVersion(_), Some(version)) => Exception::new(
            "java.lang.IllegalStateException",
            message.replace("{}", &i16::from_be_bytes(*version).to_string()),
        ),
        (error, _) => unreadable(error),
    }
}

fn unreadable(error: DecodeError) -> Exception {
    Exception::new("org.apache.kafka.common.protocol.types.SchemaException", error.to_string())
}

fn state_name(status: i8) -> Result<&'static str, Exception> {
    const NAMES: [&str; 8] = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];
    let name = usize::try_from(status).ok().and_then(|status| NAMES.get(status));
    name.copied().ok_or_else(|| {
        let message = format!("Unknown transaction state byte {status} from the transaction status message");
        Exception::new("java.lang.IllegalStateException", message)
    })
}

/// The partitions of a transaction, in the order of Scala's set.
fn partitions_of(value: &TransactionLogValue) -> Vec<String> {
    let all: Vec<TopicPartition> = value
        .transaction_partitions
        .iter()
        .flatten()
        .flat_map(|topic| {
            topic.partition_ids.iter().map(|id| TopicPartition { topic: topic.topic.clone(), partition: *id })
        })
        .collect();
    scala_hash_order(&all, topic_partition_hash).into_iter().map(TopicPartition::to_string).collect()
}

/// A number in base 16, as Scala formats it: no zeros in front.
fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() && !digits.is_empty() { "0".to_string() } else { trimmed.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encode_versioned;
    use crate::protocol::stored::group_metadata::GroupMetadataKey;
    use crate::protocol::stored::offset_commit::OffsetCommitKey;
    use crate::protocol::stored::transaction_log::PartitionsSchema;

    fn text((key, payload): KeyAndPayload) -> String {
        format!("key: {} payload: {}", key.unwrap(), payload.unwrap())
    }

    #[test]
    fn offsets() {
        let key = encode_versioned(
            &OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 2, ..Default::default() },
            1,
        );
        let value =
            OffsetCommitValue { offset: 5, leader_epoch: 0, commit_timestamp: 7, ..Default::default() };
        let value = encode_versioned(&value, 3);
        assert_eq!(
            offset_line(Some(&key), Some(&value)).unwrap().unwrap(),
            "[g,t,2]::OffsetAndMetadata(offset=5, leaderEpoch=Optional[0], metadata=, commitTimestamp=7, \
             expireTimestamp=None)"
        );
        assert_eq!(offset_line(Some(&key), None).unwrap().unwrap(), "[g,t,2]::NULL");
        assert_eq!(group_line(Some(&key), Some(&value)).unwrap(), None);
        let dump = |value| text(dump_group_record(Some(&key), value, Shape::V2_8_2).unwrap());
        assert_eq!(dump(Some(&value)), "key: offset_commit::group=g,partition=t-2 payload: offset=5");
        assert_eq!(dump(None), "key: offset_commit::group=g,partition=t-2 payload: <DELETE>");
        let error = offset_line(Some(&Bytes::from_static(&[0, 9])), None).unwrap_err().first_line();
        assert_eq!(error, "java.lang.IllegalStateException: Unknown group metadata message version: 9");
    }

    #[test]
    fn groups() {
        let key = encode_versioned(&GroupMetadataKey { group: "g".into(), ..Default::default() }, 2);
        let empty = GroupMetadataValue {
            protocol: None,
            protocol_type: "consumer".into(),
            generation: 3,
            ..Default::default()
        };
        assert_eq!(
            group_line(Some(&key), Some(&encode_versioned(&empty, 3))).unwrap().unwrap(),
            "g::GroupMetadata(groupId=g, generation=3, protocolType=Some(consumer), currentState=Empty, \
             members=HashMap())"
        );
        assert_eq!(
            text(dump_group_record(Some(&key), Some(&encode_versioned(&empty, 3)), Shape::V2_8_2).unwrap()),
            r#"key: group_metadata::group=g payload: {"protocolType":"consumer","protocol":null,"generationId":3,"assignment":"{}"}"#
        );
        let foreign = GroupMetadataValue {
            protocol_type: "connect".into(),
            protocol: Some("p".into()),
            members: vec![MemberMetadata {
                member_id: "m".into(),
                assignment: Bytes::from_static(&[0, 10, 255]),
                ..Default::default()
            }],
            ..Default::default()
        };
        let dumped =
            dump_group_record(Some(&key), Some(&encode_versioned(&foreign, 3)), Shape::V2_8_2).unwrap();
        assert!(dumped.1.unwrap().ends_with(r#""assignment":"{m=AFF}"}"#));
    }

    #[test]
    fn transactions() {
        let key =
            encode_versioned(&TransactionLogKey { transactional_id: "x".into(), ..Default::default() }, 0);
        let partitions = PartitionsSchema { topic: "t".into(), partition_ids: vec![0], ..Default::default() };
        let value = TransactionLogValue {
            producer_id: 4,
            transaction_status: 1,
            transaction_timeout_ms: 9,
            transaction_partitions: Some(vec![partitions]),
            ..Default::default()
        };
        let value = encode_versioned(&value, 0);
        assert_eq!(
            transaction_line(Some(&key), Some(&value)).unwrap().unwrap(),
            "x::TransactionMetadata(transactionalId=x, producerId=4, producerEpoch=0, txnTimeoutMs=9, \
             state=Ongoing, pendingState=None, topicPartitions=HashSet(t-0), txnStartTimestamp=0, \
             txnLastUpdateTimestamp=0)"
        );
        assert_eq!(
            text(dump_transaction_record(Some(&key), Some(&value), Shape::V2_8_2).unwrap()),
            "key: transaction_metadata::transactionalId=x payload: producerId:4,producerEpoch:0,state=Ongoing,\
             partitions=[t-0],txnLastUpdateTimestamp=0,txnTimeoutMs=9"
        );
    }
}
