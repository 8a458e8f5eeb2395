//! What a seed decides before anything happens: how many brokers, whose replicas, which protocol, which failures.

use super::bug::Bug;
use crate::rng::Rng;
use ottla::common::{BrokerId, TopicPartition};
use ottla::config::BrokerConfig;
use ottla::config::properties::Properties;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub const TOPIC: &str = "t";
pub const MIN_IN_SYNC: usize = 2;

/// A partition of the topic.
pub fn name(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

pub struct Setup {
    pub brokers: usize,
    /// By partition.
    pub replicas: Vec<Vec<BrokerId>>,
    pub session_timeout_ms: i64,
    pub replica_lag_ms: i64,
    /// `inter.broker.protocol.version`
    pub protocol: &'static str,
    /// Crashes take what is not synced; then every append is synced before it counts.
    pub power_cuts: bool,
    pub bug: Option<Bug>,
}

impl Setup {
    pub fn draw(rng: &mut Rng, bug: Option<Bug>) -> Setup {
        let brokers = rng.pick(&[3, 3, 3, 4, 5]);
        let mut replicas = Vec::new();
        for _ in 0..rng.pick(&[1, 2]) {
            let mut all: Vec<BrokerId> = (0..brokers as BrokerId).collect();
            while all.len() > 3 {
                all.remove(rng.within(0..all.len() as u64) as usize);
            }
            let first = rng.within(0..3) as usize;
            all.rotate_left(first);
            replicas.push(all);
        }
        let session_timeout_ms = rng.pick(&[300, 600, 1_000]);
        let setup = Setup {
            brokers,
            replicas,
            session_timeout_ms,
            replica_lag_ms: rng.pick(&[250, 600, 1_200]),
            protocol: rng.pick(&["2.8", "2.8", "2.6", "2.3"]),
            power_cuts: rng.within(0..100) < 40,
            bug,
        };
        setup.where_it_shows()
    }

    /// Some bugs show in some worlds only.
    fn where_it_shows(self) -> Setup {
        match self.bug {
            Some(Bug::LeaderEpochIgnoredInFetch | Bug::IsrWrittenUnconditionally) => {
                Setup { protocol: "2.6", ..self }
            }
            Some(Bug::HighWatermarkBeforeTruncation) => Setup { protocol: "2.8", ..self },
            Some(Bug::EpochFileNotSynced | Bug::FlushSkipped) => Setup { power_cuts: true, ..self },
            Some(Bug::AcksFromOldIsr) => Setup { replica_lag_ms: 250, session_timeout_ms: 1_000, ..self },
            _ => self,
        }
    }

    pub fn partitions(&self) -> std::ops::Range<i32> {
        0..self.replicas.len() as i32
    }

    /// Leaders ask the controller to change an ISR (KIP-497), else they write it themselves.
    pub fn asks_controller(&self) -> bool {
        self.protocol == "2.8"
    }

    /// The configuration of a broker. Reading one takes long, so that they are kept.
    pub fn config(&self, id: BrokerId) -> Arc<BrokerConfig> {
        static KNOWN: Mutex<BTreeMap<String, Arc<BrokerConfig>>> = Mutex::new(BTreeMap::new());
        let has = |bug: Bug| self.bug == Some(bug);
        let min_in_sync = if has(Bug::MinIsrIgnored) { 1 } else { MIN_IN_SYNC };
        let mut text = format!(
            "zookeeper.connect=none:1\nbroker.id={id}\ninter.broker.protocol.version={}\n\
             min.insync.replicas={min_in_sync}\nreplica.lag.time.max.ms={}\nlog.segment.bytes=900\n\
             log.index.interval.bytes=200\nreplica.fetch.backoff.ms=50\nreplica.fetch.wait.max.ms=200\nlog.index.size.max.bytes=4096\n\
             unclean.leader.election.enable={}\n",
            self.protocol,
            self.replica_lag_ms,
            has(Bug::UncleanElection),
        );
        if self.power_cuts && !has(Bug::FlushSkipped) {
            text += "log.flush.interval.messages=1\n";
        }
        let mut known = KNOWN.lock().expect("no panic while it is locked");
        let read = || {
            let properties = Properties::parse_named(text.as_bytes(), "simulation").expect("well formed");
            Arc::new(BrokerConfig::from_properties(&properties).expect("valid").0)
        };
        Arc::clone(known.entry(text.clone()).or_insert_with(read))
    }
}
