//! `/brokers/topics/T`.
//!
//! ```text
//! {"partitions":{"0":[2,3,1]},"topic_id":"22 characters","adding_replicas":{"0":[3]},"removing_replicas":{"0":[1]},
//!  "version":3}
//! ```
//! Version 3 (2.8) may have the topic's id, version 2 (2.4) has adding and removing, version 1 neither. Always
//! version 3 is written; readers ignore the version. Kafka's `TopicZNode`, KIP-455, KIP-516.

use super::{Bytes, DataError, error, from_json, to_json};
use crate::common::{BrokerId, Uuid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NODE: &str = "topic";

/// Replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReplicaAssignment {
    /// All of them, the preferred leader first; while reassigning, targets and then those to be removed.
    pub replicas: Vec<BrokerId>,
    /// Those that a reassignment adds.
    pub adding_replicas: Vec<BrokerId>,
    /// Those that a reassignment removes.
    pub removing_replicas: Vec<BrokerId>,
}

impl ReplicaAssignment {
    /// An assignment at rest.
    pub fn of(replicas: Vec<BrokerId>) -> ReplicaAssignment {
        ReplicaAssignment { replicas, ..ReplicaAssignment::default() }
    }

    /// True while replicas come or go.
    pub fn is_being_reassigned(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicAssignment {
    /// Its id, if it has one.
    pub topic_id: Option<Uuid>,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, ReplicaAssignment>,
}

#[derive(Serialize)]
struct Written<'a> {
    partitions: BTreeMap<i32, &'a [BrokerId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
    adding_replicas: BTreeMap<i32, &'a [BrokerId]>,
    removing_replicas: BTreeMap<i32, &'a [BrokerId]>,
    version: i32,
}

type Replicas = BTreeMap<i32, Vec<BrokerId>>;

#[derive(Deserialize)]
struct Read {
    partitions: Option<Replicas>,
    topic_id: Option<String>,
    adding_replicas: Option<Replicas>,
    removing_replicas: Option<Replicas>,
}

impl TopicAssignment {
    /// A topic at rest.
    pub fn of(topic_id: Option<Uuid>, partitions: BTreeMap<i32, Vec<BrokerId>>) -> TopicAssignment {
        let partitions = partitions.into_iter().map(|(p, replicas)| (p, ReplicaAssignment::of(replicas)));
        TopicAssignment { topic_id, partitions: partitions.collect() }
    }

    /// Writes it.
    pub fn encode(&self) -> Bytes {
        fn select(
            partitions: &BTreeMap<i32, ReplicaAssignment>,
            part: fn(&ReplicaAssignment) -> &Vec<BrokerId>,
        ) -> BTreeMap<i32, &[BrokerId]> {
            let parts = partitions.iter().map(|(partition, all)| (*partition, part(all).as_slice()));
            parts.filter(|(_, replicas)| !replicas.is_empty()).collect()
        }
        to_json(&Written {
            partitions: self.partitions.iter().map(|(p, all)| (*p, all.replicas.as_slice())).collect(),
            topic_id: self.topic_id.map(|id| id.to_string()),
            adding_replicas: select(&self.partitions, |all| &all.adding_replicas),
            removing_replicas: select(&self.partitions, |all| &all.removing_replicas),
            version: 3,
        })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<TopicAssignment, DataError> {
        let read: Read = from_json(NODE, data)?;
        let topic_id = match read.topic_id {
            Some(text) => {
                let id = Uuid::parse(&text);
                Some(id.ok_or_else(|| error(NODE, format!("topic_id \"{}\"", text.escape_debug())))?)
            }
            None => None,
        };
        let mut adding = read.adding_replicas.unwrap_or_default();
        let mut removing = read.removing_replicas.unwrap_or_default();
        let mut partitions = BTreeMap::new();
        for (partition, replicas) in read.partitions.unwrap_or_default() {
            if partition < 0 {
                return Err(error(NODE, format!("partition {partition}")));
            }
            let adding_replicas = adding.remove(&partition).unwrap_or_default();
            let removing_replicas = removing.remove(&partition).unwrap_or_default();
            partitions.insert(partition, ReplicaAssignment { replicas, adding_replicas, removing_replicas });
        }
        Ok(TopicAssignment { topic_id, partitions })
    }
}
