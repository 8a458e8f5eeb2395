//! `partition.metadata`: the topic's id beside its data.
//!
//! ```text
//! file = "version: 0" newline "topic_id: " base64          (no newline at the end)
//! ```
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/server/PartitionMetadataFile.scala`.

use super::file;
use super::filename;
use super::partition_dir::PartitionDir;
use crate::common::Uuid;
use std::io;
use std::path::Path;

/// The text of the file.
pub(crate) fn format(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The topic id that a partition's directory holds, [`Uuid::ZERO`] if none. A file that is not to be kept is
/// removed. After an unclean stop an empty file is one that a power failure kept from the disk: it says nothing.
pub(crate) fn load(dir: &PartitionDir, clean: bool) -> io::Result<Uuid> {
    let path = dir.file(filename::PARTITION_METADATA);
    if !dir.shared.keep_partition_metadata {
        file::remove_if_exists(&path)?;
        return Ok(Uuid::ZERO);
    }
    match file::read(&path)? {
        Some(text) if text.is_empty() && !clean => Ok(Uuid::ZERO),
        Some(text) => parse(&path, &text),
        None => Ok(Uuid::ZERO),
    }
}

fn parse(path: &Path, text: &[u8]) -> io::Result<Uuid> {
    let invalid = |what: &str| {
        let text = format!("{what} in partition metadata file ({})", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let text = std::str::from_utf8(text).map_err(|_| invalid("Malformed line"))?;
    let mut lines =
        text.lines().map(|line| line.split_once(':').map(|(key, value)| (key.trim(), value.trim())));
    match lines.next() {
        Some(Some(("version", "0"))) => {}
        Some(Some(("version", _))) => return Err(invalid("Unrecognized version")),
        _ => return Err(invalid("Malformed line")),
    }
    let Some(Some(("topic_id", topic_id))) = lines.next() else { return Err(invalid("Malformed line")) };
    match Uuid::parse(topic_id) {
        Some(topic_id) if !topic_id.is_zero() => Ok(topic_id),
        _ => Err(invalid("Invalid topic ID")),
    }
}
