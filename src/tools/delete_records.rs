//! `kafka-delete-records.sh` (`kafka.admin.DeleteRecordsCommand`): deletes what stands before an offset.

use super::client::Admin;
use super::exception::Exception;
use super::java::{hash_map_order, topic_partition_hash};
use super::{Outcome, ShapeChoice, VERSION, json, load_properties};
use crate::common::{Offset, TopicPartition};
use crate::config::properties::Properties;

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let text = include_str!("usage/2.8.2/kafka-delete-records.sh.txt");
    let options = ShapeChoice::of_environment(args).table(text, text).parse(args)?;
    if options.is_empty() || options.has("help") {
        return Err(options.usage(
            "This tool helps to delete records of the given partitions down to the specified offset.",
        ));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["bootstrap-server", "offset-json-file"])?;
    let properties = match options.value("command-config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    let mut admin = Admin::new(options.value("bootstrap-server")?.unwrap_or_default(), &properties)?;
    let file = json::read_file(options.value("offset-json-file")?.unwrap_or_default())?;
    let offsets = parse(&file)?;
    let partitions: Vec<TopicPartition> = offsets.iter().map(|(tp, _)| tp.clone()).collect();
    let twice = json::duplicates(&partitions);
    if !twice.is_empty() {
        let message =
            format!("Offset json file contains duplicate topic partitions: {}", json::joined(&twice, ","));
        return Err(Exception::new("kafka.common.AdminCommandFailedException", message).into());
    }
    out_line!("Executing records delete operation");
    let count = offsets.len();
    let results = admin.delete_records(offsets);
    out_line!("Records delete operation completed:");
    for (tp, result) in hash_map_order(results, Some(count), |(tp, _)| topic_partition_hash(tp)) {
        match result {
            Ok(low_watermark) => out_line!("partition: {tp}\tlow_watermark: {low_watermark}"),
            Err(error) => out_line!("partition: {tp}\terror: {}", error.first_line()),
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(TopicPartition, Offset)>, Exception> {
    let refuse = |message: String| Err(Exception::new("kafka.admin.AdminOperationException", message));
    let Some(value) = json::parse(text) else {
        return refuse("The input string is not a valid JSON".to_string());
    };
    let object = json::object(&value)?;
    let version = object.get("version").map_or(Ok(1), json::int)?;
    if version != 1 {
        return refuse(format!("Not supported version field value {version}"));
    }
    let Some(partitions) = object.get("partitions") else {
        return refuse("Missing partitions field".to_string());
    };
    let entry = |value| {
        let object = json::object(value)?;
        let tp = json::topic_partition(object)?;
        Ok((tp, json::long(json::field(object, "offset")?)?))
    };
    json::array(partitions)?.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let parsed =
            parse(r#"{"partitions":[{"topic":"t","partition":1,"offset":-1}],"version":1}"#).unwrap();
        assert_eq!(parsed, [(TopicPartition::new("t", 1), -1)]);
        let error = |text: &str| parse(text).unwrap_err().first_line();
        assert_eq!(error("{"), "kafka.admin.AdminOperationException: The input string is not a valid JSON");
        assert!(error("{}").ends_with("Missing partitions field"));
        assert!(error(r#"{"version":2}"#).ends_with("Not supported version field value 2"));
        assert!(error(r#"{"partitions":[{"topic":1}]}"#).ends_with("Expected `String` value, received 1"));
        assert!(error(r#"{"partitions":[{}]}"#).ends_with("No such field exists: `topic`"));
    }
}
