//! Reset plans as comma separated values, the way Jackson's CSV mapper writes and reads them:
//! `[group,]topic,partition,offset` a line. Missing columns at the end read as empty text or 0.

use crate::common::{Offset, TopicPartition};
use crate::tools::exception::Exception;
use std::collections::BTreeMap;

/// Longer texts are quoted without a look at them.
const CHECKED_CHARS_MAX: usize = 24;
/// Characters below this one make Jackson quote a text.
const FIRST_SAFE_CHAR: char = '-';

/// Offsets by group.
pub type Plan = BTreeMap<String, Vec<(TopicPartition, Offset)>>;

/// One line, without the group if there is only one.
pub fn line(group: Option<&str>, key: &TopicPartition, offset: Offset) -> String {
    let group = group.map_or(String::new(), |group| format!("{},", quoted(group)));
    format!("{group}{},{},{offset}\n", quoted(&key.topic), key.partition)
}

fn quoted(text: &str) -> String {
    if text.chars().count() > CHECKED_CHARS_MAX || text.chars().any(|c| c < FIRST_SAFE_CHAR) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_string()
}

/// Reads a plan. `only_group` is the one group that was asked for: then lines may leave it out.
pub fn parse(text: &str, only_group: Option<&str>) -> Result<Plan, Exception> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    // Java's `split` drops empty texts at the end.
    while lines.len() > 1 && lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let without_group = |line: &str| -> Option<(TopicPartition, Offset)> {
        let cells = cells(line)?;
        row(&cells, 0)
    };
    let group = only_group.filter(|_| lines.first().is_some_and(|line| without_group(line).is_some()));
    let mut plan = Plan::new();
    for line in lines {
        let bad = || {
            Exception::new(
                "com.fasterxml.jackson.databind.RuntimeJsonMappingException",
                format!("Cannot read the line '{line}' of the reset plan"),
            )
        };
        let (group, (key, offset)) = match group {
            Some(group) => (group.to_string(), without_group(line).ok_or_else(bad)?),
            None => {
                let cells = cells(line).ok_or_else(bad)?;
                (cells.first().cloned().unwrap_or_default(), row(&cells, 1).ok_or_else(bad)?)
            }
        };
        let offsets = plan.entry(group).or_default();
        offsets.retain(|(known, _)| *known != key);
        offsets.push((key, offset));
    }
    Ok(plan)
}

/// Topic, partition and offset from cell `first` on; `None` if a number is none or a cell is too many.
fn row(cells: &[String], first: usize) -> Option<(TopicPartition, Offset)> {
    if cells.len() > first + 3 {
        return None;
    }
    let number = |at: usize| -> Option<i64> {
        match cells.get(first + at).map(|cell| cell.trim()) {
            None | Some("") => Some(0),
            Some(cell) => cell.parse().ok(),
        }
    };
    let topic = cells.get(first).map_or("", String::as_str);
    Some((TopicPartition::new(topic, i32::try_from(number(1)?).ok()?), number(2)?))
}

/// The cells of a line; `None` if a quote is not closed.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = line.strip_suffix('\r').unwrap_or(line);
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_string(), &rest[end..])
            }
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Some(cells),
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted_cell(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        cell.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((cell, rest.trim_start())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, only_group: Option<&str>) -> Result<Vec<String>, Exception> {
        let of_group = |(group, rows): (String, Vec<(TopicPartition, Offset)>)| {
            rows.into_iter().map(move |(key, offset)| format!("{group}:{key}:{offset}"))
        };
        parse(text, only_group).map(|plan| plan.into_iter().flat_map(of_group).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let key = TopicPartition::new("t", 3);
        assert_eq!(line(None, &key, 5), "t,3,5\n");
        assert_eq!(line(Some("a, \"b\""), &key, 5), "\"a, \"\"b\"\"\",t,3,5\n");
        let long = TopicPartition::new("a-topic-with-25-characters", 0);
        assert_eq!(line(None, &long, 1), "\"a-topic-with-25-characters\",0,1\n");
        let text = line(Some("a, \"b\""), &key, 5) + &line(Some("g"), &long, 7);
        assert_eq!(read(&text, None).unwrap(), ["a, \"b\":t-3:5", "g:a-topic-with-25-characters-0:7"]);
    }

    #[test]
    fn one_group_may_leave_out_its_name() {
        assert_eq!(read("t,0,4\nt, 1 ,5\nt,0,6\n", Some("g")).unwrap(), ["g:t-1:5", "g:t-0:6"]);
        assert_eq!(read("g,t,0,4\n", Some("g")).unwrap(), ["g:t-0:4"]);
        assert_eq!(read("t;0;4\n", Some("g")).unwrap(), ["g:t;0;4-0:0"], "as Jackson reads it");
        assert!(read("t,0,4\nt,x,5\n", Some("g")).is_err());
        assert!(read("g,t,0,4,5\n", None).is_err());
        assert!(read("\"t,0,4\n", Some("g")).is_err());
    }
}
