//! What the command line of `kafka-topics.sh` asks for.

use crate::common::{BrokerId, random, topic_name};
use crate::tools::Shape;
use crate::tools::exception::Exception;
use crate::tools::include_list::IncludeList;
use crate::tools::options::Options;
use crate::zk::replica_placement::{Assignment, has_duplicates};

/// A checked command line and the shape of its answers.
pub struct Request {
    pub options: Options,
    pub shape: Shape,
}

/// What `--create` and `--alter` are told about the topic.
pub struct TopicWish {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i32>,
    /// Numbered from 0.
    pub assignment: Option<Assignment>,
    pub configs: Vec<(String, String)>,
}

impl Request {
    /// True if the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.options.has(name)
    }

    /// `--topic`
    pub fn topic(&self) -> Result<Option<&str>, Exception> {
        self.options.value("topic")
    }

    /// Reads everything that `--create` and `--alter` take.
    pub fn wish(&self) -> Result<TopicWish, Exception> {
        let options = &self.options;
        let partitions = options.number("partitions")?;
        let replication_factor = options.number("replication-factor")?;
        let assignment = match options.value("replica-assignment")? {
            None | Some("") => None,
            Some(text) => Some(parse_assignment(text)?),
        };
        let name = self.topic()?.unwrap_or_default().to_string();
        Ok(TopicWish { name, partitions, replication_factor, assignment, configs: self.configs_to_add()? })
    }

    /// `--config`, checked; says so if one of them may be ignored.
    pub fn configs_to_add(&self) -> Result<Vec<(String, String)>, Exception> {
        let mut configs: Vec<(String, String)> = Vec::new();
        for text in self.options.values("config") {
            let (key, value) = split_config(text).ok_or_else(|| {
                Exception::illegal_argument(
                    "requirement failed: Invalid topic config: all configs to be added must be in the format \
                     \"key=val\".",
                )
            })?;
            configs.retain(|(known, _)| *known != key);
            configs.push((key, value));
        }
        configs.sort();
        super::check_configs(&configs)?;
        if let Some((key, value)) = configs.iter().find(|(key, _)| key == "message.format.version") {
            out_line!(
                "WARNING: The configuration {key}={value} is specified. This configuration will be ignored if \
                 the version is newer than the inter.broker.protocol.version specified in the broker."
            );
        }
        Ok(configs)
    }

    /// The topics of `all` (sorted) that `--topic` and `--exclude-internal` leave.
    pub fn filter<T: AsRef<str>>(&self, all: Vec<T>) -> Result<Vec<T>, Exception> {
        let exclude_internal = self.has("exclude-internal");
        let list = self.topic()?.map(IncludeList::new).transpose()?;
        let is_meant = |name: &T| match &list {
            Some(list) => list.allows(name.as_ref(), exclude_internal),
            None => !(exclude_internal && topic_name::is_internal(name.as_ref())),
        };
        Ok(all.into_iter().filter(is_meant).collect())
    }

    /// Refuses an empty selection if a topic was named without `--if-exists`.
    pub fn ensure_exists<T>(&self, found: &[T]) -> Result<(), Exception> {
        let Some(topic) = self.topic()?.filter(|_| found.is_empty() && !self.has("if-exists")) else {
            return Ok(());
        };
        let message = match (self.shape, self.options.value("zookeeper")?) {
            (Shape::V1_1_1, Some(_)) if self.has("describe") => return Ok(()),
            (Shape::V1_1_1, Some(hosts)) => format!("Topic {topic} does not exist on ZK path {hosts}"),
            _ => format!("Topic '{topic}' does not exist as expected"),
        };
        Err(Exception::illegal_argument(message))
    }
}

/// Says so if a new topic's name could collide in metric names.
pub fn warn_of_collisions(name: &str) {
    if topic_name::has_collision_chars(name) {
        out_line!(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could \
             collide. To avoid issues it is best to use either, but not both."
        );
    }
}

/// `key=value` with blanks around either; exactly one `=` and something after it, as Java's `split` sees it.
fn split_config(text: &str) -> Option<(String, String)> {
    let mut parts: Vec<&str> = text.split('=').map(str::trim).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    match parts.as_slice() {
        [key, value] => Some((key.to_string(), value.to_string())),
        _ => None,
    }
}

/// `1:2,2:3`: partitions separated by commas, brokers by colons.
fn parse_assignment(text: &str) -> Result<Assignment, Exception> {
    let mut assignment = Assignment::new();
    let mut expected = 0;
    for (partition, list) in text.trim_end_matches(',').split(',').enumerate() {
        let mut replicas: Vec<BrokerId> = Vec::new();
        for id in list.trim_end_matches(':').split(':') {
            let id = id.trim();
            let parsed = id.parse().map_err(|_| {
                Exception::new("java.lang.NumberFormatException", format!("For input string: \"{id}\""))
            })?;
            replicas.push(parsed);
        }
        if has_duplicates(&replicas) {
            let twice = |id: &BrokerId| replicas.iter().filter(|other| *other == id).count() > 1;
            let mut ids: Vec<BrokerId> = replicas.iter().copied().filter(|id| twice(id)).collect();
            ids.sort_unstable();
            ids.dedup();
            let ids = ids.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(",");
            return Err(Exception::new(
                "kafka.common.AdminCommandFailedException",
                format!("Partition replica lists may not contain duplicate entries: {ids}"),
            ));
        }
        if partition == 0 {
            expected = replicas.len();
        }
        if replicas.len() != expected {
            // Kafka prints its array's identity here.
            let identity = random::below(1 << 31);
            return Err(Exception::new(
                "kafka.admin.AdminOperationException",
                format!("Partition {partition} has different replication factor: [I@{identity:x}"),
            ));
        }
        assignment.insert(partition as i32, replicas);
    }
    Ok(assignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments() {
        let parsed = parse_assignment("1:2, 2:3").unwrap();
        assert_eq!(parsed, Assignment::from([(0, vec![1, 2]), (1, vec![2, 3])]));
        let text = |text: &str| parse_assignment(text).unwrap_err().first_line();
        assert!(text("1:2,3").contains("Partition 1 has different replication factor: [I@"));
        assert!(text("1:1").ends_with("may not contain duplicate entries: 1"));
        assert_eq!(text("1:x"), "java.lang.NumberFormatException: For input string: \"x\"");
    }

    #[test]
    fn configs_have_a_key_and_a_value() {
        let pair = |k: &str, v: &str| Some((k.to_string(), v.to_string()));
        assert_eq!(split_config("retention.ms = 5 "), pair("retention.ms", "5"));
        assert_eq!(split_config("retention.ms="), None);
        assert_eq!(split_config("retention.ms"), None);
        assert_eq!(split_config("a=b=c"), None);
    }
}
