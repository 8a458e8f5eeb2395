//! `--list`, `--delete` and `--delete-offsets`.

use super::Request;
use super::reset::{named_partitions, number_exception};
use crate::common::{ErrorCode, TopicPartition};
use crate::tools::client::Admin;
use crate::tools::client::groups::GroupListing;
use crate::tools::exception::Exception;
use crate::tools::{Outcome, Shape, Stop};
use bytestring::ByteString;

/// States as Kafka lists them in its message.
const STATES: [&str; 5] = ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty"];

/// `--list`, with `--state` a table.
pub fn list(request: &Request, admin: &mut Admin) -> Outcome {
    if !request.has("state") {
        for group in admin.list_groups(&[]).map_err(|cause| request.failed(cause))? {
            out_line!("{}", group.id);
        }
        return Ok(());
    }
    let states = states(request.options.value("state")?.unwrap_or_default())?;
    let groups = admin.list_groups(&states).map_err(|cause| request.failed(cause))?;
    show_states(&groups);
    Ok(())
}

fn show_states(groups: &[GroupListing]) {
    let width = groups.iter().map(|group| group.id.chars().count()).max().unwrap_or(0).max(15);
    out_line!("{:<width$} STATE", "GROUP");
    for group in groups {
        out_line!("{:<width$} {}", &*group.id, group.state);
    }
}

/// The states of a list; none for an empty one. Commas at the end do not count, as in Java.
fn states(list: &str) -> Result<Vec<String>, Exception> {
    let named = list.trim_end_matches(',');
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let words = named
        .split(',')
        .map(|word| STATES.into_iter().find(|state| *state == word.trim()).map(str::to_string));
    words.collect::<Option<Vec<String>>>().ok_or_else(|| {
        let valid = STATES.join(", ");
        Exception::illegal_argument(format!("Invalid state list '{list}'. Valid states are: {valid}"))
    })
}

/// `--delete`
pub fn delete(request: &Request, admin: &mut Admin) -> Outcome {
    let mut deleted: Vec<ByteString> = Vec::new();
    let mut failed = Vec::new();
    let mut groups = request.groups(admin)?;
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    for group in groups {
        match admin.delete_group(&group) {
            Ok(()) => deleted.push(group),
            Err(cause) => failed.push((group, cause)),
        }
    }
    let names = deleted.iter().map(|group| format!("'{group}'")).collect::<Vec<_>>().join(", ");
    let names = if deleted.is_empty() { "''".to_string() } else { names };
    if failed.is_empty() {
        out_line!("Deletion of requested consumer groups ({names}) was successful.");
        return Ok(());
    }
    request.say_error("Deletion of some consumer groups failed:");
    for (group, cause) in failed {
        let why = match request.shape {
            Shape::V1_1_1 => code_name(&cause),
            Shape::V2_8_2 => super::execution_exception(cause).first_line(),
        };
        out_line!("* Group '{group}' could not be deleted due to: {why}");
    }
    if !deleted.is_empty() {
        out_line!("\nThese consumer groups were deleted successfully: {names}");
    }
    Ok(())
}

/// The error's name on the wire, which 1.1.1 shows.
fn code_name(cause: &Exception) -> String {
    let code = (1..=100).map(ErrorCode::from_code).find(|code| cause.is(*code));
    code.map_or("COORDINATOR_NOT_AVAILABLE", ErrorCode::name).to_string()
}

/// `--delete-offsets`
pub fn delete_offsets(request: &Request, admin: &mut Admin) -> Outcome {
    let group: ByteString = request.options.value("group")?.unwrap_or_default().into();
    let topics = request.options.values("topic");
    let mut partitions: Vec<TopicPartition> = Vec::new();
    let mut rows: Vec<(TopicPartition, Option<Exception>)> = Vec::new();
    for topic in topics.iter().filter(|topic| topic.contains(':')) {
        partitions.extend(named_partitions(topic)?);
    }
    for topic in topics.iter().filter(|topic| !topic.contains(':')) {
        let name = ByteString::from(*topic);
        match admin.describe_topics(std::slice::from_ref(&name)) {
            Ok(described) => {
                let rows = described.iter().flat_map(|topic| &topic.partitions);
                let mut found: Vec<i32> = rows.map(|row| row.partition_index).collect();
                found.sort_unstable();
                partitions.extend(
                    found.into_iter().map(|partition| TopicPartition { topic: name.clone(), partition }),
                );
            }
            Err(cause) => rows.push((TopicPartition { topic: name, partition: -1 }, Some(cause))),
        }
    }
    let top_level = match admin.delete_offsets(&group, &partitions) {
        Ok(outcomes) => {
            let first = outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err().cloned());
            rows.extend(outcomes.into_iter().map(|(key, outcome)| (key, outcome.err())));
            first
        }
        Err(cause) => {
            rows.extend(partitions.into_iter().map(|key| (key, Some(cause.clone()))));
            Some(cause)
        }
    };
    say_deleted(request, &group, &topics, top_level);
    show_deleted(rows);
    Ok(())
}

fn say_deleted(request: &Request, group: &str, topics: &[&str], top_level: Option<Exception>) {
    let Some(error) = top_level else {
        let topics = topics.join(", ");
        out_line!("Request succeed for deleting offsets with topic {topics} group {group}");
        return;
    };
    let is = |code: ErrorCode| error.is(code);
    request.say_error(&if is(ErrorCode::InvalidGroupId) {
        format!("'{group}' is not valid.")
    } else if is(ErrorCode::GroupIdNotFound) {
        format!("'{group}' does not exist.")
    } else if is(ErrorCode::GroupAuthorizationFailed) {
        format!("Access to '{group}' is not authorized.")
    } else if is(ErrorCode::NonEmptyGroup) {
        format!("Deleting offsets of a consumer group '{group}' is forbidden if the group is not empty.")
    } else if is(ErrorCode::GroupSubscribedToTopic)
        || is(ErrorCode::TopicAuthorizationFailed)
        || is(ErrorCode::UnknownTopicOrPartition)
    {
        "Encounter some partition level error, see the follow-up details:".to_string()
    } else {
        format!("Encounter some unknown error: {}", code_name(&error))
    });
}

fn show_deleted(mut rows: Vec<(TopicPartition, Option<Exception>)>) {
    out_line!("\n{:<30} {:<15} {:<15}", "TOPIC", "PARTITION", "STATUS");
    rows.sort_by_key(|(key, _)| format!("{}{}", key.topic, key.partition));
    for (key, error) in rows {
        let partition = match key.partition {
            0.. => key.partition.to_string(),
            _ => "Not Provided".to_string(),
        };
        let status = match error {
            Some(error) => format!("Error: {}", error.first_line()),
            None => "Successful".to_string(),
        };
        out_line!("{:<30} {partition:<15} {status:<15}", &*key.topic);
    }
}

/// `Integer.parseInt` of a word.
pub fn parse_partition(word: &str) -> Result<i32, Stop> {
    word.parse().map_err(|_| number_exception(word).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_by_their_names() {
        assert_eq!(states(" Stable, Empty").unwrap(), ["Stable", "Empty"]);
        assert!(states("stable").is_err());
        assert!(states("").unwrap().is_empty());
        let message = states("x").unwrap_err().message.unwrap();
        assert!(
            message.ends_with("PreparingRebalance, CompletingRebalance, Stable, Dead, Empty"),
            "{message}"
        );
    }

    #[test]
    fn errors_have_their_name_on_the_wire() {
        assert_eq!(code_name(&Exception::of_error(ErrorCode::NonEmptyGroup, None)), "NON_EMPTY_GROUP");
    }
}
