//! The controller writes, and hears of the change by that.

use super::zookeeper::Found;
use super::{IsrWriter, LOG, Outcome, RETRY};
use crate::common::{ErrorCode, TopicPartition};
use crate::protocol::messages::alter_isr::{
    AlterIsrRequest, AlterIsrResponse, AlterIsrResponsePartitionData, PartitionData, TopicData,
};
use crate::replication::partition_machine::{IsrChange, IsrState};
use crate::replication::replica_manager::WantedIsr;
use bytestring::ByteString;
use log::debug;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// The answer, or why there is none.
pub type AlterIsrFuture = Pin<Box<dyn Future<Output = Result<AlterIsrResponse, String>> + Send>>;

/// The way to the controller.
pub trait AskController: Send + Sync {
    /// Sends a request, in which the broker's id and epoch are yet to be filled in, to whoever is the controller now.
    /// Ends without an answer when another one is.
    fn alter_isr(&self, request: AlterIsrRequest) -> AlterIsrFuture;
}

type Waiting = BTreeMap<TopicPartition, IsrChange>;

impl IsrWriter {
    /// Ends once all outcomes are known; takes in what is wanted meanwhile.
    pub(super) async fn alter_all(
        &self,
        controller: &dyn AskController,
        batch: &mut Vec<WantedIsr>,
        wanted: &mut mpsc::UnboundedReceiver<WantedIsr>,
    ) {
        let mut waiting = Waiting::new();
        loop {
            // A partition has one change under way: one that stands here already is of an earlier leader epoch.
            waiting.extend(batch.drain(..).map(|WantedIsr { name, change }| (name, change)));
            match controller.alter_isr(request(&waiting)).await {
                Ok(response) if response.error_code == ErrorCode::None.code() => {
                    self.settle_all(response, &mut waiting).await;
                }
                Ok(response) => {
                    let code = ErrorCode::from_code(response.error_code);
                    debug!(target: LOG, "The controller does not change ISRs: {}", code.name());
                }
                Err(failed) => debug!(target: LOG, "ISRs are not changed yet: {failed}"),
            }
            if waiting.is_empty() {
                return;
            }
            sleep(RETRY).await;
            while let Ok(one) = wanted.try_recv() {
                batch.push(one);
            }
        }
    }

    /// What is not decided yet stays in `waiting`.
    async fn settle_all(&self, response: AlterIsrResponse, waiting: &mut Waiting) {
        for topic in response.topics {
            let topic_name = ByteString::from(&*topic.name);
            for partition in topic.partitions {
                let name = TopicPartition::new(topic_name.clone(), partition.partition_index);
                let Some(change) = waiting.get(&name) else { continue };
                if let Some(outcome) = self.outcome(&name, change, partition).await {
                    self.settle(&name, change, outcome);
                    waiting.remove(&name);
                }
            }
        }
    }

    /// None: to be asked again.
    async fn outcome(
        &self,
        name: &TopicPartition,
        change: &IsrChange,
        answer: AlterIsrResponsePartitionData,
    ) -> Option<Outcome> {
        let code = ErrorCode::from_code(answer.error_code);
        if code.is_none() && answer.leader_id == change.leader && answer.leader_epoch == change.leader_epoch {
            let (in_sync_replicas, zk_version) = (answer.isr, answer.current_isr_version);
            return Some(Outcome::Is(IsrState { in_sync_replicas, zk_version }));
        }
        // The answer to an attempt before may be lost: then ZooKeeper has what the controller refuses to write again.
        match self.look(name, change).await {
            Ok(Found::Changed(outcome)) => Some(outcome),
            Ok(Found::Unchanged) => {
                debug!(target: LOG, "The controller does not change the ISR of {name} yet: {}", code.name());
                None
            }
            Err(failed) => {
                debug!(target: LOG, "Nobody knows whether the ISR of {name} is changed: {failed}");
                None
            }
        }
    }
}

fn request(waiting: &Waiting) -> AlterIsrRequest {
    let mut topics: Vec<TopicData> = Vec::new();
    for (name, change) in waiting {
        if topics.last().is_none_or(|topic| topic.name != name.topic) {
            topics.push(TopicData { name: name.topic.clone(), ..Default::default() });
        }
        let Some(topic) = topics.last_mut() else { continue };
        topic.partitions.push(PartitionData {
            partition_index: name.partition,
            leader_epoch: change.leader_epoch,
            new_isr: change.in_sync_replicas.clone(),
            current_isr_version: change.zk_version,
            ..Default::default()
        });
    }
    AlterIsrRequest { topics, ..Default::default() }
}
