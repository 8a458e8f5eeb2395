//! The consumer's group as the nodes tell it now, and watches that ring when they tell something else.

use super::alarm::Alarm;
use super::assignor::{Group, Thread};
use super::topic_filter::{TopicFilter, wanted_topics};
use crate::config::SecurityProtocol;
use crate::tools::exception::Exception;
use crate::zk::{Watch, ZkClient, ZkError, old_consumers, paths, registration};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Who asks, and for what.
pub struct Viewer {
    /// The session.
    pub zk: ZkClient,
    /// The group.
    pub group: String,
    /// The topics that the consumer wants.
    pub filter: Arc<TopicFilter>,
    /// What the other members' filters leave out as well.
    pub exclude_internal: bool,
    /// What rings.
    pub alarm: Arc<Alarm>,
}

/// What it found.
pub struct View {
    /// Members' threads and topics' partitions.
    pub group: Group,
    /// `host:port` of every broker's plain text listener.
    pub brokers: Vec<String>,
    /// Ring the alarm as long as this lives.
    pub watches: JoinSet<()>,
}

impl Viewer {
    /// Reads everything, and watches it.
    pub async fn view(&self) -> Result<View, Exception> {
        let mut watches = JoinSet::new();
        let (members, watch) = old_consumers::members_and_watch(&self.zk, &self.group).await?;
        self.ring_once(&mut watches, watch);
        let (topics, watch) = self.zk.children_and_watch(paths::TOPICS).await?;
        watches.spawn(watch_topics(
            Arc::clone(&self.alarm),
            self.zk.clone(),
            Arc::clone(&self.filter),
            topics.clone(),
            watch,
        ));
        let mut group = Group::default();
        for (id, registration) in members {
            let registration = registration.map_err(|error| {
                let message = format!("error constructing TopicCount : consumer {id}: {error}");
                Exception::new("kafka.common.KafkaException", message)
            })?;
            for (topic, count) in wanted_topics(&registration.subscription, &topics, self.exclude_internal)? {
                let threads = (0..count).map(|number| Thread::new(&id, number));
                group.threads.entry(topic).or_default().extend(threads);
            }
        }
        let names: Vec<String> = group.threads.keys().cloned().collect();
        for (name, partitions) in names.iter().zip(self.partitions(&names, &mut watches).await?) {
            group.partitions.insert(name.clone(), partitions);
        }
        let brokers = self.brokers(&mut watches).await?;
        Ok(View { group, brokers, watches })
    }

    async fn partitions(
        &self,
        names: &[String],
        watches: &mut JoinSet<()>,
    ) -> Result<Vec<BTreeSet<i32>>, ZkError> {
        let mut all = Vec::new();
        for name in names {
            let (partitions, watch) = partitions_and_watch(&self.zk, name).await?;
            watches.spawn(watch_topic(
                Arc::clone(&self.alarm),
                self.zk.clone(),
                name.clone(),
                partitions.clone(),
                watch,
            ));
            all.push(partitions);
        }
        Ok(all)
    }

    /// While there is none, the first one rings.
    async fn brokers(&self, watches: &mut JoinSet<()>) -> Result<Vec<String>, ZkError> {
        let (_, watch) = self.zk.children_and_watch(paths::BROKER_IDS).await?;
        let mut addresses = Vec::new();
        for broker in registration::brokers(&self.zk).await? {
            let plain = |endpoint: &&crate::config::Endpoint| {
                endpoint.security_protocol == SecurityProtocol::Plaintext
            };
            let endpoint = broker.registration.endpoints.iter().find(plain);
            addresses.extend(endpoint.map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port)));
        }
        if addresses.is_empty() {
            self.ring_once(watches, watch);
        }
        Ok(addresses)
    }

    fn ring_once(&self, watches: &mut JoinSet<()>, watch: Watch) {
        let alarm = Arc::clone(&self.alarm);
        watches.spawn(async move {
            watch.changed().await;
            alarm.ring(|flags| flags.must_rebalance = true);
        });
    }
}

/// The partitions of a topic: none of one that is gone or cannot be read.
async fn partitions_and_watch(zk: &ZkClient, topic: &str) -> Result<(BTreeSet<i32>, Watch), ZkError> {
    let (node, watch) = zk.get_and_watch(&paths::topic(topic)).await?;
    let assignment = node.and_then(|(data, _)| crate::zk::data::TopicAssignment::decode(&data).ok());
    Ok((assignment.map(|topic| topic.partitions.into_keys().collect()).unwrap_or_default(), watch))
}

/// Rings when other topics are wanted than before.
async fn watch_topics(
    alarm: Arc<Alarm>,
    zk: ZkClient,
    filter: Arc<TopicFilter>,
    before: Vec<String>,
    mut watch: Watch,
) {
    let before = filter.select(before);
    loop {
        watch.changed().await;
        match zk.children_and_watch(paths::TOPICS).await {
            Ok((now, again)) if filter.select(now.clone()) == before => watch = again,
            _ => return alarm.ring(|flags| flags.must_rebalance = true),
        }
    }
}

/// Rings when the topic has other partitions than before; its node is written for other reasons, too.
async fn watch_topic(
    alarm: Arc<Alarm>,
    zk: ZkClient,
    topic: String,
    before: BTreeSet<i32>,
    mut watch: Watch,
) {
    loop {
        watch.changed().await;
        match partitions_and_watch(&zk, &topic).await {
            Ok((now, again)) if now == before => watch = again,
            _ => return alarm.ring(|flags| flags.must_rebalance = true),
        }
    }
}
