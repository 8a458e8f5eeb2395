//! Levels of loggers that are changed while the broker runs: the resource BROKER_LOGGER (KIP-412).
//!
//! A logger is a target of the log macros; its parent is the name up to the last dot, above all stands `root`. What was
//! set here wins over the level that the logger's file began with. Changes are gone after a restart, as in Kafka.

use crate::admin::Loggers;
use log::LevelFilter;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, RwLock};

const ROOT: &str = "root";

/// Loggers that Kafka's administrators know, and that are used here, next to those with a file of their own.
const NAMES: &[&str] = &[
    "kafka",
    "kafka.controller.KafkaController",
    "kafka.controller.RequestSendThread",
    "kafka.controller.TopicDeletionManager",
    "kafka.coordinator.transaction.ProducerIdManager",
    "kafka.log.LogManager",
    "kafka.network.Acceptor",
    "kafka.network.Processor",
    "kafka.network.SocketServer",
    "kafka.server.DynamicConfigManager",
    "kafka.server.FinalizedFeatureChangeListener",
    "kafka.server.KafkaApis",
    "kafka.server.KafkaServer",
    "kafka.server.LogDirFailureChannel",
    "kafka.server.ReplicaManager",
    "kafka.utils.KafkaScheduler",
    "kafka.zookeeper.ZooKeeperClient",
];

/// The levels that were set, and those that the files began with.
#[derive(Debug, Default)]
pub struct LogLevels {
    changed: AtomicBool,
    /// Kafka's word for the level, which knows FATAL.
    set: RwLock<BTreeMap<String, (String, LevelFilter)>>,
    initial: OnceLock<BTreeMap<&'static str, LevelFilter>>,
}

/// Those of this process: logging is one for a process.
pub static LEVELS: LogLevels = LogLevels {
    changed: AtomicBool::new(false),
    set: RwLock::new(BTreeMap::new()),
    initial: OnceLock::new(),
};

impl LogLevels {
    /// Notes what loggers begin with, `root` among them.
    pub fn begin_with(&self, levels: BTreeMap<&'static str, LevelFilter>) {
        // The first call counts: logging is started once.
        let _ = self.initial.set(levels);
    }

    /// The level that was set for this logger or for one above it; none in almost all cases, and then cheap.
    pub fn changed_level(&self, logger: &str) -> Option<LevelFilter> {
        if !self.changed.load(Ordering::Relaxed) {
            return None;
        }
        let set = self.set.read().expect("no panic while levels are locked");
        self.nearest(logger, |name| set.get(name).map(|(_, level)| *level))
    }

    /// Walks up from `logger`; a level that a file began with hides what was set above it.
    fn nearest<T>(&self, logger: &str, set: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut name = logger;
        loop {
            if let Some(found) = set(name) {
                return Some(found);
            }
            if name == ROOT || self.initial_level(name).is_some() {
                return None;
            }
            name = name.rsplit_once('.').map_or(ROOT, |(parent, _)| parent);
        }
    }

    fn initial_level(&self, name: &str) -> Option<LevelFilter> {
        self.initial.get().and_then(|levels| levels.get(name)).copied()
    }

    /// Kafka's word for the level in force.
    fn text(&self, logger: &str, set: &BTreeMap<String, (String, LevelFilter)>) -> String {
        if let Some(text) = self.nearest(logger, |name| set.get(name).map(|(text, _)| text.clone())) {
            return text;
        }
        let mut name = logger;
        loop {
            if let Some(level) = self.initial_level(name) {
                return level.as_str().to_string();
            }
            if name == ROOT {
                return LevelFilter::Info.as_str().to_string();
            }
            name = name.rsplit_once('.').map_or(ROOT, |(parent, _)| parent);
        }
    }
}

impl Loggers for &'static LogLevels {
    fn levels(&self) -> BTreeMap<String, String> {
        let set = self.set.read().expect("no panic while levels are locked");
        let initial = self.initial.get().into_iter().flat_map(|levels| levels.keys().copied());
        let names = NAMES.iter().copied().chain(initial).chain([ROOT]);
        names.map(|name| (name.to_string(), self.text(name, &set))).collect()
    }

    fn set_level(&self, logger: &str, level: Option<&str>) {
        let mut set = self.set.write().expect("no panic while levels are locked");
        match level {
            None => drop(set.remove(logger)),
            Some(text) => {
                let filter = if text == "FATAL" {
                    LevelFilter::Error
                } else {
                    text.parse().unwrap_or(LevelFilter::Info)
                };
                set.insert(logger.to_string(), (text.to_string(), filter));
                log::set_max_level(log::max_level().max(filter));
            }
        }
        self.changed.store(!set.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_holds_for_all_below_that_have_none() {
        let levels: &'static LogLevels = Box::leak(Box::default());
        levels.begin_with([(ROOT, LevelFilter::Info), ("kafka.controller", LevelFilter::Warn)].into());
        let shown = |name: &str| levels.levels()[name].clone();
        assert_eq!((shown(ROOT), shown("kafka.server.KafkaApis")), ("INFO".into(), "INFO".into()));
        assert_eq!(shown("kafka.controller.KafkaController"), "WARN");
        assert_eq!(levels.changed_level("kafka.server.KafkaApis"), None);
        levels.set_level("kafka", Some("DEBUG"));
        assert_eq!(levels.changed_level("kafka.server.KafkaApis"), Some(LevelFilter::Debug));
        assert_eq!(levels.changed_level("kafka.controller.KafkaController"), None);
        assert_eq!(levels.changed_level("org.example"), None);
        levels.set_level("kafka.server.KafkaApis", Some("FATAL"));
        assert_eq!((shown("kafka.server.KafkaApis"), shown("kafka")), ("FATAL".into(), "DEBUG".into()));
        assert_eq!(levels.changed_level("kafka.server.KafkaApis"), Some(LevelFilter::Error));
        levels.set_level("kafka.server.KafkaApis", None);
        assert_eq!(shown("kafka.server.KafkaApis"), "DEBUG");
    }
}
