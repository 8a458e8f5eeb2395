//! `meta.properties`: which broker of which cluster a log directory belongs to.
//!
//! ```text
//! file = "#" newline "#" date newline entry*       a Java properties file
//! keys = broker.id, version (0), cluster.id
//! ```
//!
//! All directories of a broker must hold the same entries; a missing file is written at the next start. Source:
//! Kafka 2.8.2, `core/src/main/scala/kafka/server/BrokerMetadataCheckpoint.scala`, `KafkaServer.scala`.

use super::error::StartError;
use super::file;
use super::filename;
use super::loggers;
use crate::common::{BrokerId, TRACE_MARK};
use crate::config::properties::Properties;
use std::io;
use std::path::{Path, PathBuf};

/// What the log directories say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MetaProperties {
    /// `broker.id`, if a file holds it.
    pub broker_id: Option<BrokerId>,
    /// `cluster.id`, if a file holds it.
    pub cluster_id: Option<String>,
}

/// Reads the files of all directories. Directories whose file cannot be read are given back with their errors:
/// they begin offline.
pub fn read(log_dirs: &[PathBuf]) -> Result<(MetaProperties, Vec<(PathBuf, io::Error)>), StartError> {
    let mut failed = Vec::new();
    let mut found: Vec<(&PathBuf, Properties)> = Vec::new();
    for dir in log_dirs {
        match read_one(dir) {
            Ok(Some(properties)) => found.push((dir, properties)),
            Ok(None) => {
                log::warn!(
                    target: loggers::BROKER_METADATA,
                    "No meta.properties file under dir {}",
                    dir.join(filename::META_PROPERTIES).display()
                );
            }
            Err(error) => {
                let path = dir.join(filename::META_PROPERTIES);
                let reason = error.to_string();
                log::error!(
                    target: "kafka.server.BrokerMetadataCheckpoint$",
                    "Failed to read {0}{TRACE_MARK}java.nio.file.FileSystemException: {0}.tmp: {1}",
                    path.display(),
                    reason.split(" (os error").next().unwrap_or_default()
                );
                failed.push((dir.clone(), error));
            }
        }
    }
    let Some((_, first)) = found.first() else { return Ok((MetaProperties::default(), failed)) };
    if found.iter().any(|(_, other)| text_of(other) != text_of(first)) {
        let all: String = found
            .iter()
            .map(|(dir, entries)| format!("- {} -> {}\n", dir.display(), text_of(entries)))
            .collect();
        return Err(StartError::new(
            "kafka.common.InconsistentBrokerMetadataException",
            format!(
                "BrokerMetadata is not consistent across log.dirs. This could happen if multiple brokers shared \
                 a log directory (log.dirs) or partial data was manually copied from another broker. Found:\n{all}"
            ),
        ));
    }
    Ok((parse(first)?, failed))
}

fn read_one(dir: &Path) -> io::Result<Option<Properties>> {
    let path = dir.join(filename::META_PROPERTIES);
    file::remove_if_exists(&dir.join("meta.properties.tmp"))?;
    let Some(bytes) = file::read(&path)? else { return Ok(None) };
    Properties::parse_named(&bytes, &path.display().to_string())
        .map(Some)
        .map_err(|message| io::Error::new(io::ErrorKind::InvalidData, message))
}

fn text_of(properties: &Properties) -> String {
    let entries: Vec<_> = properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

fn parse(properties: &Properties) -> Result<MetaProperties, StartError> {
    let number = |key: &str| match properties.get(key) {
        None => Ok(None),
        Some(text) => text.parse::<i32>().map(Some).map_err(|_| {
            let message = format!("Failed to parse {key} property as an int: For input string: \"{text}\"");
            StartError::new("java.lang.RuntimeException", message)
        }),
    };
    if number("version")?.unwrap_or(0) != 0 {
        let message = format!(
            "Found unexpected version in loaded `meta.properties`: {}. Zk-based brokers only support version 0 \
             (which is implicit when the `version` field is missing).",
            text_of(properties)
        );
        return Err(StartError::new("java.lang.RuntimeException", message));
    }
    Ok(MetaProperties {
        broker_id: number("broker.id")?,
        cluster_id: properties.get("cluster.id").map(str::to_string),
    })
}

impl MetaProperties {
    /// Refuses directories of another cluster.
    pub fn check_cluster_id(&self, cluster_id: &str) -> Result<(), StartError> {
        match &self.cluster_id {
            Some(stored) if stored != cluster_id => Err(StartError::new(
                "kafka.common.InconsistentClusterIdException",
                format!(
                    "The Cluster ID {cluster_id} doesn't match stored clusterId Some({stored}) in \
                     meta.properties. The broker is trying to join the wrong cluster. Configured \
                     zookeeper.connect may be wrong."
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The broker's id from configuration (-1: none) and the files; refuses directories of another broker.
    /// `None`: it is to be generated.
    pub fn check_broker_id(&self, configured: BrokerId) -> Result<Option<BrokerId>, StartError> {
        match self.broker_id {
            Some(stored) if configured >= 0 && stored != configured => Err(StartError::new(
                "kafka.common.InconsistentBrokerIdException",
                format!(
                    "Configured broker.id {configured} doesn't match stored broker.id Some({stored}) in \
                     meta.properties. If you moved your data, make sure your configured broker.id matches. If \
                     you intend to create a new broker, you should remove all data in your data directories \
                     (log.dirs)."
                ),
            )),
            stored => Ok(if configured >= 0 { Some(configured) } else { stored }),
        }
    }
}

/// Writes the file of one directory, unless it says the same already.
pub(crate) fn write(dir: &Path, cluster_id: &str, broker_id: BrokerId, now_ms: i64) -> io::Result<()> {
    let path = dir.join(filename::META_PROPERTIES);
    let wanted: Properties =
        [("broker.id", broker_id.to_string()), ("cluster.id", cluster_id.into()), ("version", "0".into())]
            .into_iter()
            .collect();
    if let Ok(Some(there)) = read_one(dir)
        && text_of(&there) == text_of(&wanted)
    {
        return Ok(());
    }
    // Java's hash order.
    let entries = format!("broker.id={broker_id}\nversion=0\ncluster.id={cluster_id}\n");
    file::replace(&path, format!("#\n#{}\n{entries}", java_date(now_ms)).as_bytes(), true)
}

/// `Sat Nov 21 09:30:19 UTC 2026`, as `java.util.Date` prints it.
fn java_date(now_ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = now_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01 of the proleptic Gregorian calendar, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    format!(
        "{} {} {day_of_month:02} {:02}:{:02}:{:02} UTC {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month as usize],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_javas() {
        assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(1_795_253_419_123), "Sat Nov 21 09:30:19 UTC 2026");
        assert_eq!(java_date(951_782_399_000), "Mon Feb 28 23:59:59 UTC 2000");
        assert_eq!(java_date(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
    }

    #[test]
    fn files_are_written_once_and_read_back() {
        let root = tempfile::tempdir().expect("temporary directory");
        let dirs = vec![root.path().join("a"), root.path().join("b")];
        dirs.iter().for_each(|dir| file::create_dir_all(dir).expect("create"));
        assert_eq!(read(&dirs).expect("absent").0, MetaProperties::default());
        for dir in &dirs {
            write(dir, "8uzDCSIMS_65UyQUvmAsuw", 1, 1_795_253_419_123).expect("write");
        }
        let path = dirs[0].join("meta.properties");
        let text = file::read(&path).expect("read").expect("is there");
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "#\n#Sat Nov 21 09:30:19 UTC 2026\nbroker.id=1\nversion=0\ncluster.id=8uzDCSIMS_65UyQUvmAsuw\n"
        );
        write(&dirs[0], "8uzDCSIMS_65UyQUvmAsuw", 1, 0).expect("nothing changed: not written");
        let (meta, failed) = read(&dirs).expect("read");
        assert!(failed.is_empty());
        assert_eq!((meta.broker_id, meta.cluster_id.as_deref()), (Some(1), Some("8uzDCSIMS_65UyQUvmAsuw")));
        assert_eq!(meta.check_broker_id(-1), Ok(Some(1)));
        meta.check_cluster_id("8uzDCSIMS_65UyQUvmAsuw").expect("the same");
        write(&dirs[1], "8uzDCSIMS_65UyQUvmAsuw", 2, 0).expect("write");
        let error = read(&dirs).expect_err("two brokers");
        assert_eq!(error.exception, "kafka.common.InconsistentBrokerMetadataException");
        let file_dir = vec![path];
        assert_eq!(read(&file_dir).expect("offline").1.len(), 1, "a file is no directory");
    }
}
