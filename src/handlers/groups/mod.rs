//! Groups and committed offsets.
//!
//! The coordinator is asked by any client that FindCoordinator has sent here. Left out of all until there is an
//! authorizer: authorization (Group Read for members and commits, Describe for readers, Delete for deletions; Topic Read
//! and Describe for offsets).

pub mod delete_groups;
pub mod describe_groups;
pub mod find_coordinator;
pub mod heartbeat;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod sync_group;
pub mod txn_offset_commit;

use super::dispatch::{Broker, Call};
use crate::common::{ErrorCode, TopicPartition};
use crate::config::IbpVersion;
use crate::coordinator::group::coordinator::{Committing, commit_answer};
use crate::network::{Dispatch, Outcome};
use crate::protocol::Message;
use bytestring::ByteString;

/// Static members are for clusters whose brokers all know them: an older coordinator would load them as dynamic ones.
fn static_members_allowed(broker: &Broker, instance_id: Option<&ByteString>) -> bool {
    instance_id.is_none() || broker.config.inter_broker_protocol_version >= IbpVersion::V2_3_IV0
}

/// True if the cluster has the partition.
fn is_known(broker: &Broker, partition: &TopicPartition) -> bool {
    broker.metadata.current().partition(&partition.topic, partition.partition).is_some()
}

/// The answer to a commit: `respond` makes it of the codes of all offsets that `known` marks; the others are of unknown
/// partitions.
fn answer_commit<M: Message>(
    call: Call,
    known: Vec<bool>,
    committing: Committing,
    respond: impl FnOnce(Vec<ErrorCode>) -> M + Send + 'static,
) -> Dispatch {
    let all = move |codes: Vec<ErrorCode>| {
        let mut codes = codes.into_iter();
        let code = |known| if known { codes.next() } else { Some(ErrorCode::UnknownTopicOrPartition) };
        known.into_iter().map(code).map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    match committing {
        Committing::Done(codes) => Dispatch::reply(call.respond(&respond(all(codes)))),
        Committing::Storing(codes, receiver) => Dispatch::Pending(Box::pin(async move {
            let stored = commit_answer(receiver.await.ok());
            let codes = codes.into_iter().map(|code| if code.is_none() { stored } else { code });
            Outcome::Reply(call.respond(&respond(all(codes.collect()))))
        })),
    }
}
