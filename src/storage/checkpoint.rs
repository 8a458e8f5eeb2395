//! Checkpoint files: offsets of partitions, and leader epochs of one partition.
//!
//! ```text
//! file    = "0" newline count newline entry{count}
//! offsets = topic " " partition " " offset newline
//! epochs  = leader_epoch " " start_offset newline
//! ```
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/server/checkpoints/`.

use super::file;
use crate::common::{LeaderEpoch, Offset, TopicPartition};
use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

const VERSION: &str = "0";

fn malformed(path: &Path, line: &str) -> io::Error {
    let text = format!("Malformed line in checkpoint file ({}): '{line}'", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn parse<T>(path: &Path, text: &[u8], entry: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let text = std::str::from_utf8(text).map_err(|_| malformed(path, "(not UTF-8)"))?;
    let mut lines = text.lines();
    let Some(version) = lines.next() else { return Ok(Vec::new()) };
    match version.trim().parse::<i32>() {
        Ok(0) => {}
        Ok(other) => {
            let text = format!("Unrecognized version of the checkpoint file ({}): {other}", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Err(_) => return Err(malformed(path, version)),
    }
    let Some(count_line) = lines.next() else { return Ok(Vec::new()) };
    let count: usize = count_line.trim().parse().map_err(|_| malformed(path, count_line))?;
    let mut entries = Vec::new();
    for line in lines {
        entries.push(entry(line).ok_or_else(|| malformed(path, line))?);
    }
    if entries.len() != count {
        let text = format!(
            "Expected {count} entries in checkpoint file ({}), but found only {}",
            path.display(),
            entries.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(entries)
}

/// Reads offsets by partition; an absent file is empty. If a partition stands there twice, the last counts.
pub fn read_offsets(path: &Path) -> io::Result<HashMap<TopicPartition, Offset>> {
    let Some(text) = file::read(path)? else { return Ok(HashMap::new()) };
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        let topic_partition = TopicPartition::new(topic, partition.parse().ok()?);
        words.next().is_none().then_some((topic_partition, offset.parse().ok()?))
    };
    Ok(parse(path, &text, entry)?.into_iter().collect())
}

/// The text of an offsets file.
pub fn format_offsets<'a>(entries: impl ExactSizeIterator<Item = (&'a TopicPartition, Offset)>) -> String {
    let mut text = String::with_capacity(16 + entries.len() * 40);
    // Writing to a string cannot fail.
    let _ = write!(text, "{VERSION}\n{}\n", entries.len());
    for (topic_partition, offset) in entries {
        let _ = writeln!(text, "{} {} {offset}", topic_partition.topic, topic_partition.partition);
    }
    text
}

/// Reads leader epochs and their start offsets, in the file's order; an absent file is empty.
pub(crate) fn read_epochs(path: &Path) -> io::Result<Vec<(LeaderEpoch, Offset)>> {
    let Some(text) = file::read(path)? else { return Ok(Vec::new()) };
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (epoch, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (words.next().is_none() && epoch >= 0 && offset >= 0).then_some((epoch, offset))
    };
    parse(path, &text, entry)
}

/// The text of a leader epoch file.
pub(crate) fn format_epochs(entries: &[(LeaderEpoch, Offset)]) -> String {
    let mut text = String::new();
    let _ = write!(text, "{VERSION}\n{}\n", entries.len());
    for (epoch, offset) in entries {
        let _ = writeln!(text, "{epoch} {offset}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_round_trip_and_bad_lines_are_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("recovery-point-offset-checkpoint");
        assert!(read_offsets(&path).expect("absent is empty").is_empty());
        let entries = [(TopicPartition::new("a.b", 0), 5), (TopicPartition::new("c-d", 7), i64::MAX)];
        let text = format_offsets(entries.iter().map(|(tp, offset)| (tp, *offset)));
        assert_eq!(text, "0\n2\na.b 0 5\nc-d 7 9223372036854775807\n");
        file::replace(&path, text.as_bytes(), true).expect("write");
        assert_eq!(read_offsets(&path).expect("read"), entries.into_iter().collect());
        for (content, error) in [
            ("garbage\n", format!("Malformed line in checkpoint file ({}): 'garbage'", path.display())),
            ("0\n1\na b c\n", format!("Malformed line in checkpoint file ({}): 'a b c'", path.display())),
            ("0\n3\na 0 1\n", "Expected 3 entries in checkpoint file (".into()),
            ("1\n0\n", "Unrecognized version of the checkpoint file (".into()),
        ] {
            file::replace(&path, content.as_bytes(), false).expect("write");
            let found = read_offsets(&path).expect_err(content).to_string();
            assert!(found.starts_with(&error), "{found}");
        }
    }

    #[test]
    fn epochs_round_trip() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("leader-epoch-checkpoint");
        let entries = vec![(0, 0), (3, 17)];
        file::replace(&path, format_epochs(&entries).as_bytes(), false).expect("write");
        assert_eq!(read_epochs(&path).expect("read"), entries);
        file::replace(&path, b"hello\n", false).expect("write");
        assert!(read_epochs(&path).expect_err("malformed").to_string().ends_with("'hello'"));
    }
}
