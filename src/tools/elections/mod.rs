//! Elections of leaders: `kafka-leader-election.sh` (`kafka.admin.LeaderElectionCommand`) and the older
//! `kafka-preferred-replica-election.sh` (`kafka.admin.PreferredReplicaLeaderElectionCommand`).

pub mod leader;
pub mod preferred;

use super::client::Admin;
use super::client::admin_elections::Elected;
use super::exception::Exception;
use super::java::{scala_hash_order, topic_partition_hash};
use super::json;
use crate::common::{ErrorCode, TopicPartition};

/// The words of one of the two tools.
struct Words {
    /// Before "for partitions".
    succeeded: &'static str,
    /// Before "for partition".
    failed: &'static str,
    /// Before "already elected".
    already: &'static str,
    /// What "could not be elected".
    replicas: &'static str,
}

/// The partitions of a JSON file.
fn parse(text: &str, what: &str, missing: &str) -> Result<Vec<TopicPartition>, Exception> {
    let refuse = |message: String| Err(Exception::new("kafka.admin.AdminOperationException", message));
    let Some(value) = json::parse(text) else { return refuse(format!("{what} is empty")) };
    let Some(partitions) = json::object(&value)?.get("partitions") else {
        return refuse(format!("{what} is {missing}"));
    };
    let read = |value| json::topic_partition(json::object(value)?);
    let partitions = json::array(partitions)?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let twice = json::duplicates(&partitions);
    if !twice.is_empty() {
        return refuse(format!("{what} contains duplicate partitions: {}", json::joined(&twice, ",")));
    }
    Ok(partitions)
}

/// Elects, and says what became of it.
fn elect(
    admin: &mut Admin,
    election_type: i8,
    partitions: Option<&[TopicPartition]>,
    words: &Words,
) -> Result<(), Exception> {
    let failed = |message: String| Exception::new("kafka.common.AdminCommandFailedException", message);
    let elected = admin.elect_leaders(election_type, partitions).map_err(|error| {
        let known = match &error {
            error if error.is(ErrorCode::RequestTimedOut) => "Timeout waiting for election results",
            error if error.is(ErrorCode::ClusterAuthorizationFailed) => {
                "Not authorized to perform leader election"
            }
            _ => {
                let class = "java.util.concurrent.ExecutionException";
                return Exception::new(class, error.first_line()).caused_by(error);
            }
        };
        out_line!("{known}");
        failed(known.to_string()).caused_by(error)
    })?;
    report(elected, words).map_err(|count| failed(format!("{count} {}could not be elected", words.replicas)))
}

/// The number of partitions without a leader, if there are some.
fn report(elected: Elected, words: &Words) -> Result<(), usize> {
    let is_noop = |result: &Result<(), Exception>| {
        result.as_ref().is_err_and(|error| error.is(ErrorCode::ElectionNotNeeded))
    };
    let succeeded: Vec<TopicPartition> =
        elected.iter().filter(|(_, result)| result.is_ok()).map(|(tp, _)| tp.clone()).collect();
    let has_noop = elected.iter().any(|(_, result)| is_noop(result));
    let failures: Vec<(TopicPartition, Exception)> = elected
        .into_iter()
        .filter(|(_, result)| !is_noop(result))
        .filter_map(|(tp, result)| Some((tp, result.err()?)))
        .collect();
    let shown: Vec<String> =
        scala_hash_order(&succeeded, topic_partition_hash).into_iter().map(ToString::to_string).collect();
    let shown = shown.join(", ");
    if !succeeded.is_empty() {
        out_line!("{} for partitions {shown}", words.succeeded);
    }
    if has_noop {
        // Both tools of Kafka name the partitions that were elected here.
        out_line!("{} already elected for partitions {shown}", words.already);
    }
    for (tp, error) in scala_hash_order(&failures, |(tp, _)| topic_partition_hash(tp)) {
        out_line!("{} for partition: {tp}: {}", words.failed, error.first_line());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.len()) }
}
