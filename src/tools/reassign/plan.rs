//! The files of the tool: which replicas go where, and which topics to plan for.

use super::failed;
use crate::common::{BrokerId, TopicPartition};
use crate::tools::exception::Exception;
use crate::tools::json;
use crate::zk::replica_placement::{BrokerRack, Start, assign};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// "Wherever there is room", in place of a log directory.
const ANY_LOG_DIR: &str = "any";

/// Replicas by partition.
pub type Replicas = BTreeMap<TopicPartition, Vec<BrokerId>>;

/// Log directories by broker and partition.
pub type LogDirs = BTreeMap<(BrokerId, TopicPartition), String>;

/// A reassignment file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the file, duplicates included.
    pub partitions: Vec<(TopicPartition, Vec<BrokerId>)>,
    /// Replicas that shall lie in a certain directory.
    pub log_dirs: LogDirs,
}

fn operation<T>(message: impl Into<String>) -> Result<T, Exception> {
    Err(Exception::new("kafka.admin.AdminOperationException", message))
}

impl Plan {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Plan, Exception> {
        let value: Value = serde_json::from_str(text).map_err(|error| malformed(text, &error))?;
        let object = json::object(&value)?;
        let version = object.get("version").map_or(Ok(1), json::int)?;
        if version != 1 {
            return operation(format!("Not supported version field value {version}"));
        }
        Plan::of(&value)
    }

    /// Reads a file as 1.1.1 does, which takes one that is no JSON for an empty one.
    pub fn parse_1_1_1(text: &str) -> Result<Plan, Exception> {
        json::parse(text).map_or(Ok(Plan::default()), |value| Plan::of(&value))
    }

    fn of(value: &Value) -> Result<Plan, Exception> {
        let mut plan = Plan::default();
        let Some(partitions) = json::object(value)?.get("partitions") else { return Ok(plan) };
        for entry in json::array(partitions)? {
            let entry = json::object(entry)?;
            let tp = json::topic_partition(entry)?;
            let replicas = json::array(json::field(entry, "replicas")?)?;
            let replicas = replicas.iter().map(json::int).collect::<Result<Vec<BrokerId>, _>>()?;
            if let Some(dirs) = entry.get("log_dirs") {
                let dirs = json::array(dirs)?.iter().map(json::string).collect::<Result<Vec<_>, _>>()?;
                if dirs.len() != replicas.len() {
                    return Err(failed(format!(
                        "Size of replicas list List({}) is different from size of log dirs list List({}) for \
                         partition {tp}",
                        json::joined(&replicas, ", "),
                        dirs.join(", ")
                    )));
                }
                for (broker, dir) in replicas.iter().zip(dirs).filter(|(_, dir)| *dir != ANY_LOG_DIR) {
                    plan.log_dirs.insert((*broker, tp.clone()), dir.to_string());
                }
            }
            plan.partitions.push((tp, replicas));
        }
        Ok(plan)
    }

    /// Refuses what cannot be carried out.
    pub fn check(&self, empty: &str) -> Result<(), Exception> {
        if self.partitions.is_empty() {
            return Err(failed(empty));
        }
        if self.partitions.iter().any(|(_, replicas)| replicas.is_empty()) {
            return Err(failed("Partition replica list cannot be empty"));
        }
        let partitions: Vec<TopicPartition> = self.partitions.iter().map(|(tp, _)| tp.clone()).collect();
        let twice = json::duplicates(&partitions);
        if !twice.is_empty() {
            let twice = json::joined(&twice, ",");
            let message = format!("Partition reassignment contains duplicate topic partitions: {twice}");
            return Err(failed(message));
        }
        let entry = |(tp, replicas): &(TopicPartition, Vec<BrokerId>)| {
            let twice = json::duplicates(replicas);
            let text = format!("{tp} contains multiple entries for {}", json::joined(&twice, ","));
            (!twice.is_empty()).then_some(text)
        };
        let entries: Vec<String> = self.partitions.iter().filter_map(entry).collect();
        if !entries.is_empty() {
            let entries = entries.join(". ");
            let message = format!("Partition replica lists may not contain duplicate entries: {entries}");
            return Err(failed(message));
        }
        Ok(())
    }

    /// By partition; of one that stands twice the last counts.
    pub fn replicas(&self) -> Replicas {
        self.partitions.iter().cloned().collect()
    }

    /// Names of the topics, sorted, each once.
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.partitions.iter().map(|(tp, _)| tp.topic.to_string()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}

/// Jackson's words for the commonest slip, a name without quotes.
fn malformed(text: &str, error: &serde_json::Error) -> Exception {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.chars().nth(error.column().saturating_sub(1));
    let (what, column) = match found {
        Some(c) if error.to_string().starts_with("key must be a string") => {
            let code = u32::from(c);
            let what = format!(
                "Unexpected character ('{c}' (code {code})): was expecting double-quote to start field name"
            );
            (what, error.column() + 1)
        }
        _ => (error.to_string(), error.column()),
    };
    let message =
        format!("{what}\n at [Source: (String)\"{text}\"; line: {}, column: {column}]", error.line());
    let class = "com.fasterxml.jackson.core.JsonParseException";
    Exception::new("kafka.admin.AdminOperationException", message.clone())
        .caused_by(Exception::new(class, message))
}

/// What `--generate` is asked: brokers and topics.
pub fn parse_generate(text: &str, broker_list: &str) -> Result<(Vec<BrokerId>, Vec<String>), Exception> {
    let mut brokers = Vec::new();
    for id in broker_list.trim_end_matches(',').split(',') {
        let number =
            || Exception::new("java.lang.NumberFormatException", format!("For input string: \"{id}\""));
        brokers.push(id.parse::<BrokerId>().map_err(|_| number())?);
    }
    let twice = json::duplicates(&brokers);
    if !twice.is_empty() {
        return Err(failed(format!("Broker list contains duplicate entries: {}", json::joined(&twice, ","))));
    }
    let Some(value) = json::parse(text) else { return operation("The input string is not a valid JSON") };
    let object = json::object(&value)?;
    let version = object.get("version").map_or(Ok(1), json::int)?;
    if version != 1 {
        return operation(format!("Not supported version field value {version}"));
    }
    let mut topics = Vec::new();
    if let Some(entries) = object.get("topics") {
        for entry in json::array(entries)? {
            topics.push(json::string(json::field(json::object(entry)?, "topic")?)?.to_string());
        }
    }
    let twice = json::duplicates(&topics);
    if !twice.is_empty() {
        let twice = json::joined(&twice, ",");
        let message = format!("List of topics to reassign contains duplicate entries: {twice}");
        return Err(failed(message));
    }
    Ok((brokers, topics))
}

/// The older tool's order: within a map of four or fewer the order of ids does not matter to anybody.
pub fn format(replicas: &Replicas) -> String {
    let entry = |(tp, replicas): (&TopicPartition, &Vec<BrokerId>)| {
        json!({
            "topic": &*tp.topic,
            "partition": tp.partition,
            "replicas": replicas,
            "log_dirs": vec![ANY_LOG_DIR; replicas.len()],
        })
    };
    json!({ "version": 1, "partitions": replicas.iter().map(entry).collect::<Vec<_>>() }).to_string()
}

/// New replicas for every partition, spread over `brokers` from a random one on.
pub fn propose(current: &Replicas, brokers: &[BrokerRack]) -> Result<Replicas, Exception> {
    let mut topics: BTreeMap<_, Vec<&Vec<BrokerId>>> = BTreeMap::new();
    for (tp, replicas) in current {
        topics.entry(tp.topic.clone()).or_default().push(replicas);
    }
    let mut proposed = Replicas::new();
    for (topic, partitions) in topics {
        let factor = partitions.first().map_or(0, |replicas| replicas.len());
        let assignment = assign(brokers, partitions.len() as i32, factor as i32, Start::Random, 0)
            .map_err(|error| Exception::of_error(error.code, Some(&error.message)))?;
        for (partition, replicas) in assignment {
            proposed.insert(TopicPartition::new(topic.clone(), partition), replicas);
        }
    }
    Ok(proposed)
}

/// Prints both plans of `--generate`.
pub fn show_generated(current: &Replicas, proposed: &Replicas) {
    out_line!("Current partition replica assignment\n{}\n", format(current));
    out_line!("Proposed partition reassignment configuration\n{}", format(proposed));
}

/// Prints what to go back to.
pub fn show_current(current: &Replicas) {
    out_line!(
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during \
         rollback",
        format(current)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let text = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/d"]}]}"#;
        let plan = Plan::parse(text).unwrap();
        let tp = TopicPartition::new("t", 0);
        assert_eq!(plan.replicas(), Replicas::from([(tp.clone(), vec![1, 2])]));
        assert_eq!(plan.log_dirs, LogDirs::from([((2, tp), "/d".to_string())]));
        assert_eq!(
            format(&plan.replicas()),
            r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]}]}"#
        );
        let message = Plan::parse("{nonsense").unwrap_err().message.unwrap();
        assert_eq!(
            message,
            "Unexpected character ('n' (code 110)): was expecting double-quote to start field name\n at [Source: \
             (String)\"{nonsense\"; line: 1, column: 3]"
        );
        let refusal = |text: &str| Plan::parse(text).unwrap().check("is empty").unwrap_err().message.unwrap();
        assert_eq!(refusal(r#"{"partitions":[]}"#), "is empty");
        assert_eq!(
            refusal(r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1,1]}]}"#),
            "Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1"
        );
    }

    #[test]
    fn questions_of_generate() {
        let topics = r#"{"topics":[{"topic":"a"},{"topic":"b"}]}"#;
        let (brokers, topics) = parse_generate(topics, "3,1,").unwrap();
        assert_eq!((brokers, topics), (vec![3, 1], vec!["a".to_string(), "b".to_string()]));
        let refusal = |text: &str, list: &str| parse_generate(text, list).unwrap_err().message.unwrap();
        assert_eq!(refusal("{}", "a,b"), "For input string: \"a\"");
        assert_eq!(refusal("{}", "1,2,1"), "Broker list contains duplicate entries: 1");
    }
}
