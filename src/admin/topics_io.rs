//! Topics in ZooKeeper.

use super::topics::{TopicPlan, already_exists, default_topic, plan, plan_partitions, validate};
use super::topics::{validate_name, validate_no_collision};
use super::{Admin, AdminError, store, topics};
use crate::common::{ErrorCode, Uuid, clock, topic_name};
use crate::config::Settings;
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::create_partitions::CreatePartitionsTopic;
use crate::protocol::messages::create_topics::CreatableTopic;
use crate::quota::client::{MutationQuota, QuotaExceeded};
use crate::zk::data::{ReplicaAssignment, TopicAssignment, config_entity};
use crate::zk::{CreateMode, Op, ZkError, paths};
use bytes::Bytes;

const LOG: &str = "kafka.zk.AdminZkClient";

/// A topic that was made, or would have been.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedTopic {
    /// Its id; zero if it has none.
    pub topic_id: Uuid,
    /// Number of its partitions.
    pub partitions: i32,
    /// Number of replicas of each.
    pub replication_factor: i16,
    /// Its own settings.
    pub settings: Settings,
}

impl Admin {
    /// Makes a topic: its settings first, then its assignment, which the controller sees. With `validate_only`
    /// everything is checked and nothing written.
    pub async fn create_topic(
        &self,
        topic: &CreatableTopic,
        cluster: &ClusterSnapshot,
        validate_only: bool,
        quota: &MutationQuota<'_>,
    ) -> Result<CreatedTopic, AdminError> {
        let config = self.config();
        let exists = cluster.topic(&topic.name).is_some();
        let plan = plan(topic, exists, &topics::brokers(cluster), &config)?;
        validate_name(&plan.name)?;
        self.check_absent(&plan.name).await?;
        validate(&plan)?;
        let has_topic_ids = config.inter_broker_protocol_version.has_topic_ids();
        let topic_id = match has_topic_ids && !validate_only {
            true => Uuid::random(),
            false => Uuid::ZERO,
        };
        let created = CreatedTopic {
            topic_id,
            partitions: plan.assignment.len() as i32,
            replication_factor: plan.assignment.values().next().map_or(0, Vec::len) as i16,
            settings: plan.settings.clone(),
        };
        if !validate_only {
            take(quota, plan.assignment.len())?;
            self.write_topic(plan, topic_id).await?;
        }
        Ok(created)
    }

    async fn check_absent(&self, name: &str) -> Result<(), AdminError> {
        if self.zk.exists(&paths::topic(name)).await?.is_some() {
            return Err(already_exists(name));
        }
        if !topic_name::has_collision_chars(name) {
            return Ok(());
        }
        let all = self.zk.children(paths::TOPICS).await?;
        validate_no_collision(name, all.iter().map(String::as_str))
    }

    async fn write_topic(&self, plan: TopicPlan, topic_id: Uuid) -> Result<(), AdminError> {
        log::info!(
            target: LOG,
            "Creating topic {} with configuration {:?} and initial partition assignment {:?}",
            plan.name,
            plan.settings,
            plan.assignment
        );
        let path = paths::topic(&plan.name);
        let topic_id = Some(topic_id).filter(|id| !id.is_zero());
        let data = TopicAssignment::of(topic_id, plan.assignment).encode();
        let settings = (paths::config_entity("topics", &plan.name), config_entity::encode(&plan.settings));
        let both = [settings, (path.clone(), data.clone())];
        let both = both.map(|(path, data)| Op::create(path, data, CreateMode::Persistent));
        match self.zk.multi(both.into()).await {
            // Settings are there already, or a parent is missing: step by step.
            Err(error) if error.is_node_exists() || error.is_no_node() => {}
            other => return Ok(other.map(|_| ())?),
        }
        store::write_settings(&self.zk, "topics", &plan.name, &plan.settings).await?;
        match self.zk.create_with_parents(&path, data, CreateMode::Persistent).await {
            Err(ZkError::NodeExists { .. }) => Err(already_exists(&plan.name)),
            other => Ok(other.map(|_| ())?),
        }
    }

    /// Makes a topic that a client asked for, with the broker's defaults. LEADER_NOT_AVAILABLE means that it is there
    /// or is coming.
    pub async fn auto_create(
        &self,
        name: &str,
        cluster: &ClusterSnapshot,
        quota: &MutationQuota<'_>,
    ) -> ErrorCode {
        if !self.is_valid_name(name) {
            return ErrorCode::InvalidTopicException;
        }
        let topic = default_topic(name, &self.config());
        match self.create_topic(&topic, cluster, false, quota).await {
            Ok(_) => ErrorCode::LeaderNotAvailable,
            Err(error) if error.code == ErrorCode::TopicAlreadyExists => ErrorCode::LeaderNotAvailable,
            Err(error) => {
                log::info!(target: LOG, "Topic {name} could not be created: {error}");
                error.code
            }
        }
    }

    /// Asks the controller to delete a topic; asking again is fine.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        if self.zk.exists(&paths::topic(name)).await?.is_none() {
            let message = format!("Topic `{name}` to delete does not exist");
            return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        let path = paths::delete_topic(name);
        match self.zk.create_with_parents(&path, Bytes::new(), CreateMode::Persistent).await {
            Ok(_) | Err(ZkError::NodeExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds partitions; gives the number that the topic then has. Kafka writes whatever the node has become
    /// meanwhile; here a change by somebody else is read again first, so that a reassignment that begins in between
    /// is not undone.
    pub async fn create_partitions(
        &self,
        request: &CreatePartitionsTopic,
        cluster: &ClusterSnapshot,
        validate_only: bool,
        quota: &MutationQuota<'_>,
    ) -> Result<i32, AdminError> {
        if !self.is_valid_name(&request.name) {
            // Nothing that a znode's path must not hold gets into one.
            return plan_partitions(request, None, &[]).map(|_| 0);
        }
        if self.zk.exists(&paths::delete_topic(&request.name)).await?.is_some() {
            let message = "The topic is queued for deletion.";
            return Err(AdminError::new(ErrorCode::InvalidTopicException, message));
        }
        let mut is_counted = false;
        loop {
            let existing = store::read_topic(&self.zk, &request.name).await?;
            let brokers = topics::brokers(cluster);
            let added = plan_partitions(request, existing.as_ref().map(|(topic, _)| topic), &brokers)?;
            let grows_by = added.len();
            let Some((mut topic, version)) = existing else {
                return Err(ErrorCode::UnknownTopicOrPartition.into());
            };
            log::info!(target: LOG, "Creating {} partitions for '{}': {added:?}", added.len(), request.name);
            let added = added.into_iter().map(|(p, replicas)| (p, ReplicaAssignment::of(replicas)));
            topic.partitions.extend(added);
            let total = topic.partitions.len() as i32;
            if validate_only {
                return Ok(total);
            }
            if !std::mem::replace(&mut is_counted, true) {
                take(quota, grows_by)?;
            }
            match self.zk.set(&paths::topic(&request.name), topic.encode(), version).await {
                Ok(_) => return Ok(total),
                // Changed or deleted meanwhile: look again.
                Err(ZkError::BadVersion { .. } | ZkError::NoNode { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn take(quota: &MutationQuota<'_>, partitions: usize) -> Result<(), AdminError> {
    quota.record(partitions, clock::monotonic_ms()).map_err(|QuotaExceeded| {
        let message = "The throttling quota has been exceeded.";
        AdminError::new(ErrorCode::ThrottlingQuotaExceeded, message)
    })
}

#[cfg(test)]
mod tests;
