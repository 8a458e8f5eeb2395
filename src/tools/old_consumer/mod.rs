//! A consumer as those of Kafka 0.8 to 1.1: it shares topics with its group through ZooKeeper, without a coordinator,
//! and keeps its offsets there (`kafka.consumer.ZookeeperConsumerConnector` of 1.1.1, with one thread).
//!
//! A rebalance stops fetching, commits, gives partitions back, computes who gets what, and takes its own; if another
//! member has not given one back yet, it takes none and tries again. What was handed out is consumed once the caller
//! says so, and only that is committed.

mod alarm;
mod assignor;
mod group;
mod settings;
mod topic_filter;

pub use alarm::Alarm;
pub use settings::OldConsumerSettings;
pub use topic_filter::TopicFilter;

use crate::common::{Offset, TopicPartition, clock, random};
use crate::config::Properties;
use crate::tools::consumer::{Consumer, ConsumerRecord, ConsumerSettings, Start, Subscription};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use crate::zk::data::consumer_registration::{ConsumerRegistration, Subscription as Wish};
use crate::zk::offsets::{self, Commit, Fences, StoredOffset};
use crate::zk::{SessionEvent, ZkClient, ZkConfig, old_consumers, paths};
use group::{View, Viewer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const LOGGER: &str = "kafka.consumer.ZookeeperConsumerConnector";
/// How soon an alarm is heard.
const SLICE_MS: i64 = 100;

/// What a wait for records came to.
pub enum Polled {
    /// Some.
    Records(Vec<ConsumerRecord>),
    /// None within `consumer.timeout.ms`.
    TimedOut,
    /// None, because the consumer shall end.
    Stopped,
}

/// A running consumer.
pub struct OldConsumer {
    settings: OldConsumerSettings,
    /// Its id in the group.
    id: String,
    viewer: Viewer,
    wish: Wish,
    alarm: Arc<Alarm>,
    owned: Vec<TopicPartition>,
    consumer: Option<Consumer>,
    /// Where the caller stands; none until the first offset is known.
    consumed: BTreeMap<TopicPartition, Option<Offset>>,
    /// What ZooKeeper has.
    committed: BTreeMap<TopicPartition, Offset>,
    commit_due_ms: i64,
    watches: JoinSet<()>,
    /// Last: what runs on it goes first.
    runtime: Runtime,
}

/// A runtime whose one thread keeps the session and its watches alive while the caller does other things.
pub fn runtime() -> Result<Runtime, Exception> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| Exception::new("java.io.IOException", error.to_string()))
}

impl OldConsumer {
    /// Joins the group and takes its share. `expression` names the topics to read, or, of a blacklist, not to read.
    pub fn start(
        settings: OldConsumerSettings,
        expression: &str,
        is_blacklist: bool,
        alarm: Arc<Alarm>,
    ) -> Result<OldConsumer, Exception> {
        let filter = Arc::new(TopicFilter::new(expression, is_blacklist, settings.exclude_internal)?);
        let runtime = runtime()?;
        let zk = runtime.block_on(ZkClient::connect(ZkConfig {
            session_timeout_ms: settings.session_timeout_ms,
            connection_timeout_ms: settings.connection_timeout_ms,
            ..ZkConfig::new(settings.zookeeper.clone())
        }))?;
        let expression = filter.expression().to_string();
        let wish = if is_blacklist { Wish::BlackList(expression, 1) } else { Wish::WhiteList(expression, 1) };
        let viewer = Viewer {
            zk,
            group: settings.group.clone(),
            filter,
            exclude_internal: settings.exclude_internal,
            alarm: Arc::clone(&alarm),
        };
        let mut consumer = OldConsumer {
            id: consumer_id(&settings),
            viewer,
            wish,
            alarm,
            owned: Vec::new(),
            consumer: None,
            consumed: BTreeMap::new(),
            committed: BTreeMap::new(),
            commit_due_ms: settings.commit_interval_ms.map_or(i64::MAX, |ms| clock::monotonic_ms() + ms),
            watches: JoinSet::new(),
            settings,
            runtime,
        };
        consumer.follow_session();
        let started = consumer.register().and_then(|()| consumer.rebalance());
        match started {
            Ok(()) => Ok(consumer),
            Err(exception) => {
                consumer.close(false);
                Err(exception)
            }
        }
    }

    /// Waits for records, at most for `consumer.timeout.ms`.
    ///
    /// # Errors
    /// What makes going on impossible.
    pub fn poll(&mut self) -> Result<Polled, Exception> {
        let now = clock::monotonic_ms();
        let deadline_ms =
            self.settings.timeout_ms.map_or(i64::MAX, |timeout_ms| now.saturating_add(timeout_ms));
        loop {
            let flags = self.alarm.take();
            if flags.must_stop {
                return Ok(Polled::Stopped);
            }
            if flags.has_new_session {
                self.register_again();
            }
            if (flags.has_new_session || flags.must_rebalance)
                && let Err(exception) = self.rebalance()
            {
                // As a rebalance that a watch started: said, and tried again.
                crate::tools::output::log_error_with("error during syncedRebalance", LOGGER, &exception);
                self.alarm.ring(|flags| flags.must_rebalance = true);
            }
            if clock::monotonic_ms() >= self.commit_due_ms {
                self.commit();
            }
            let slice_ms = SLICE_MS.min(deadline_ms - clock::monotonic_ms()).max(0);
            match &mut self.consumer {
                Some(consumer) => {
                    let records = consumer.poll(slice_ms)?;
                    self.note_first_offsets(&records);
                    if !records.is_empty() {
                        return Ok(Polled::Records(records));
                    }
                }
                None => self.alarm.wait(Duration::from_millis(slice_ms as u64)),
            }
            if clock::monotonic_ms() >= deadline_ms {
                return Ok(Polled::TimedOut);
            }
        }
    }

    /// The caller is done with these records.
    pub fn consume(&mut self, records: &[ConsumerRecord]) {
        for record in records {
            let key = TopicPartition { topic: record.topic.clone(), partition: record.partition };
            if let Some(consumed) = self.consumed.get_mut(&key) {
                *consumed = Some(record.offset + 1);
            }
        }
    }

    /// Commits if it commits by itself, and leaves the group. `forget`: nothing of the group shall stay.
    pub fn close(mut self, forget: bool) {
        self.consumer = None;
        if self.settings.commit_interval_ms.is_some() && !forget {
            self.commit();
        }
        self.watches.abort_all();
        let zk = &self.viewer.zk;
        let path = paths::consumer_group(&self.settings.group);
        self.runtime.block_on(async {
            let work = async {
                zk.close().await;
                if forget {
                    // Afterwards, as Kafka does it: now no node is ephemeral any more.
                    delete_path(&self.settings.zookeeper, &path).await;
                }
            };
            // ZooKeeper may be gone; then the session ends by itself.
            let _ = tokio::time::timeout(
                Duration::from_millis(self.settings.session_timeout_ms.max(0) as u64),
                work,
            )
            .await;
        });
    }

    fn follow_session(&self) {
        let mut events = self.viewer.zk.session_events();
        let alarm = Arc::clone(&self.alarm);
        self.runtime.spawn(async move {
            loop {
                match events.next().await {
                    SessionEvent::NewSession { .. } => alarm.ring(|flags| flags.has_new_session = true),
                    SessionEvent::Closed => return,
                    _ => {}
                }
            }
        });
    }

    fn register(&self) -> Result<(), Exception> {
        let registration =
            ConsumerRegistration { subscription: self.wish.clone(), timestamp_ms: clock::now_ms() };
        let registered =
            old_consumers::register(&self.viewer.zk, &self.settings.group, &self.id, &registration);
        Ok(self.runtime.block_on(registered)?)
    }

    /// After the loss of a session: what was owned is not any more.
    fn register_again(&mut self) {
        self.owned.clear();
        self.consumed.clear();
        self.consumer = None;
        if let Err(exception) = self.register() {
            crate::tools::output::log_error_with("error during syncedRebalance", LOGGER, &exception);
            self.alarm.ring(|flags| flags.has_new_session = true);
        }
    }

    fn rebalance(&mut self) -> Result<(), Exception> {
        let retries_max = self.settings.rebalance_retries_max;
        for _ in 0..retries_max {
            if self.alarm.must_stop() {
                return Ok(());
            }
            let obstacle = match self.try_rebalance() {
                Ok(None) => return Ok(()),
                Ok(obstacle) => obstacle,
                // The nodes change while we look at them.
                Err(exception) => {
                    log(Level::Warn, &format!("exception during rebalance {exception}"), LOGGER);
                    None
                }
            };
            self.give_back();
            self.wait_for(obstacle);
        }
        let message = format!("{} can't rebalance after {retries_max} retries", self.id);
        Err(Exception::new("kafka.common.ConsumerRebalanceFailedException", message))
    }

    /// Takes the share of this consumer, or gives the node that is in the way.
    fn try_rebalance(&mut self) -> Result<Option<String>, Exception> {
        self.watches.abort_all();
        let _ = self.alarm.take();
        let View { group, brokers, watches } = self.runtime.block_on(self.viewer.view())?;
        self.watches = watches;
        if brokers.is_empty() {
            log(Level::Warn, "no brokers found when trying to rebalance.", LOGGER);
            return Ok(None);
        }
        self.give_back();
        let shares = assignor::assign(self.settings.strategy, &group, &self.id);
        let keys: Vec<TopicPartition> = shares.iter().map(|(key, _)| key.clone()).collect();
        let (zk, name) = (&self.viewer.zk, &self.settings.group);
        let stored = self.runtime.block_on(offsets::read(zk, name, &keys))?;
        let stored = stored.into_iter().collect::<Result<Vec<_>, _>>();
        let stored =
            stored.map_err(|error| Exception::new("java.lang.NumberFormatException", error.to_string()))?;
        if let Some(obstacle) = self.runtime.block_on(old_consumers::claim(zk, name, &shares))? {
            return Ok(Some(obstacle));
        }
        let mut places = Vec::new();
        for (key, found) in keys.iter().zip(stored) {
            // A negative number stands for none.
            let offset = found.map(|found| found.stored.offset).filter(|offset| *offset >= 0);
            let reset = if self.settings.resets_to_smallest { Start::Earliest } else { Start::Latest };
            places.push((key.clone(), offset.map_or(reset, Start::At)));
            self.consumed.insert(key.clone(), offset);
            if let Some(offset) = offset {
                self.committed.insert(key.clone(), offset);
            }
        }
        self.owned = keys;
        if !places.is_empty() {
            let settings = self.fetch_settings(&brokers)?;
            self.consumer = Some(Consumer::new(settings, Subscription::Assigned(places))?);
        }
        Ok(None)
    }

    fn fetch_settings(&self, brokers: &[String]) -> Result<ConsumerSettings, Exception> {
        let mut properties = Properties::new();
        properties.set("bootstrap.servers", brokers.join(","));
        for (key, value) in &self.settings.fetching {
            properties.set(*key, value.as_str());
        }
        ConsumerSettings::new(&properties)
    }

    /// Stops fetching, commits, and gives the partitions back.
    fn give_back(&mut self) {
        self.consumer = None;
        if self.settings.commit_interval_ms.is_some() {
            self.commit();
        }
        let owned = std::mem::take(&mut self.owned);
        let released = old_consumers::release(&self.viewer.zk, &self.settings.group, &owned);
        if let Err(error) = self.runtime.block_on(released) {
            log(Level::Warn, &format!("exception during rebalance {error}"), LOGGER);
        }
        self.consumed.clear();
    }

    /// Until the obstacle is gone, for `rebalance.backoff.ms` at most.
    fn wait_for(&self, obstacle: Option<String>) {
        let backoff = Duration::from_millis(self.settings.rebalance_backoff_ms.max(0) as u64);
        let zk = &self.viewer.zk;
        let gone = async {
            let Some(path) = obstacle else { return std::future::pending().await };
            while let Ok((Some(_), watch)) = zk.exists_and_watch(&path).await {
                watch.changed().await;
            }
        };
        self.runtime.block_on(async {
            // Either way it is time for the next attempt.
            let _ = tokio::time::timeout(backoff, gone).await;
        });
    }

    /// Where a partition without a commit begins, once the fetching consumer knows it.
    fn note_first_offsets(&mut self, records: &[ConsumerRecord]) {
        let Some(consumer) = &self.consumer else { return };
        for (key, consumed) in self.consumed.iter_mut().filter(|(_, consumed)| consumed.is_none()) {
            let is_its =
                |record: &&ConsumerRecord| record.partition == key.partition && record.topic == key.topic;
            *consumed = match records.iter().find(is_its) {
                Some(record) => Some(record.offset),
                None => consumer.position(key),
            };
        }
    }

    /// Writes what has changed since the last time.
    fn commit(&mut self) {
        if let Some(interval_ms) = self.settings.commit_interval_ms {
            self.commit_due_ms = clock::monotonic_ms() + interval_ms;
        }
        let now_ms = clock::now_ms();
        let mut commits = Vec::new();
        for (key, offset) in &self.consumed {
            if let Some(offset) = *offset
                && self.committed.get(key) != Some(&offset)
            {
                commits.push(Commit {
                    group: self.settings.group.clone(),
                    partition: key.clone(),
                    keeps_time: false,
                    fence: None,
                    offset: StoredOffset {
                        offset,
                        leader_epoch: None,
                        metadata: String::new(),
                        commit_timestamp_ms: now_ms,
                        expire_timestamp_ms: None,
                    },
                });
            }
        }
        let fences = Fences::default();
        let results = self.runtime.block_on(offsets::write(&self.viewer.zk, &fences, &commits));
        for (commit, result) in commits.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.committed.insert(commit.partition, commit.offset.offset);
                }
                Err(error) => {
                    let text = format!("exception during autoCommit: {}: {error}", commit.partition);
                    log(Level::Error, &text, LOGGER);
                }
            }
        }
    }
}

/// Deletes a node and what is below it; that it fails is nobody's concern.
pub async fn delete_path(connect: &str, path: &str) {
    const TIMEOUT_MS: i32 = 30_000;
    let config = ZkConfig {
        session_timeout_ms: TIMEOUT_MS,
        connection_timeout_ms: TIMEOUT_MS,
        ..ZkConfig::new(connect)
    };
    if let Ok(zk) = ZkClient::connect(config).await {
        let _ = zk.delete_recursive(path, &[]).await;
        zk.close().await;
    }
}

/// `GROUP_HOST-MILLISECONDS-8DIGITS`
fn consumer_id(settings: &OldConsumerSettings) -> String {
    let own = settings.consumer_id.clone().unwrap_or_else(|| {
        let host = crate::network::host_name::canonical().unwrap_or_else(|_| "localhost".to_string());
        format!("{host}-{}-{:08x}", clock::now_ms(), random::below(1 << 32))
    });
    format!("{}_{own}", settings.group)
}
