//! What Apache Kafka 2.8.2 answered to the same script, and where our answers differ.
//!
//! `tests/golden/wire/api/NAME.txt` has for every step a line `## STEP vN` (or `vN-M`, if the answers are equal) and
//! the answer, normalized, as one line of JSON. `APACHE_KAFKA_JARS=FOLDER` runs the scripts against Apache's broker,
//! which checks the files; with `WIRE_RECORD=1` it writes them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// One answer.
#[derive(Clone)]
pub struct Entry {
    pub step: String,
    pub version: i16,
    pub answer: Value,
}

/// Answers by step and version.
pub type Answers = BTreeMap<(String, i16), Value>;

/// True if answers are to be written: those of Apache only.
pub fn is_recording() -> bool {
    let wanted = std::env::var_os("WIRE_RECORD").is_some();
    assert!(!wanted || super::target::apache_jars().is_some(), "only Apache's answers are recorded");
    wanted
}

/// The answers of a file.
pub fn read(name: &str) -> Answers {
    parse(&fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("golden {name}: {e}")))
}

/// Writes a file.
pub fn write(name: &str, entries: &[Entry]) {
    fs::write(path(name), render(entries)).expect("the tree is writable");
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/wire/api/{name}.txt"))
}

/// Writes the file, or compares with it: then `Err` lists all differences.
pub fn settle(name: &str, entries: &[Entry]) -> Result<(), String> {
    if is_recording() {
        write(name, entries);
        return Ok(());
    }
    let mut expected = read(name);
    let mut differences = Vec::new();
    for entry in entries {
        let title = format!("{} v{}", entry.step, entry.version);
        match expected.remove(&(entry.step.clone(), entry.version)) {
            None => differences.push(format!("{title}: not in the golden")),
            Some(wanted) => {
                compare(&title, &wanted, &entry.answer, &mut differences);
            }
        }
    }
    differences.extend(expected.keys().map(|(step, version)| format!("{step} v{version}: not sent")));
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

/// Steps in the order of their first entry, each with its versions one after the other.
fn render(entries: &[Entry]) -> String {
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        let next = order.len();
        order.entry(&entry.step).or_insert(next);
    }
    let mut entries = entries.to_vec();
    entries.sort_by_key(|e| (order[e.step.as_str()], e.version));
    let mut text = String::new();
    let mut at = 0;
    while let Some(first) = entries.get(at) {
        let run = entries[at..]
            .iter()
            .zip(first.version..)
            .take_while(|(e, version)| {
                e.step == first.step && e.version == *version && e.answer == first.answer
            })
            .count();
        let last = entries[at + run - 1].version;
        let versions = if run == 1 { first.version.to_string() } else { format!("{}-{last}", first.version) };
        text.push_str(&format!("## {} v{versions}\n{}\n", first.step, first.answer));
        at += run;
    }
    text
}

fn parse(text: &str) -> Answers {
    let mut entries = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(title) = lines.next() {
        let title = title.strip_prefix("## ").expect("a title");
        let (step, versions) = title.rsplit_once(" v").expect("a version");
        let (first, last) = versions.split_once('-').unwrap_or((versions, versions));
        let answer: Value =
            serde_json::from_str(lines.next().expect("an answer")).expect("an answer in JSON");
        for version in first.parse().expect("a number")..=last.parse::<i16>().expect("a number") {
            entries.insert((step.to_string(), version), answer.clone());
        }
    }
    entries
}

/// Adds what differs.
pub fn compare(at: &str, expected: &Value, got: &Value, out: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                match found.get(key) {
                    Some(other) => compare(&format!("{at} .{key}"), value, other, out),
                    None => out.push(format!("{at} .{key}: missing, expected {}", short(value))),
                }
            }
            for (key, value) in found.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                out.push(format!("{at} .{key}: unexpected {}", short(value)));
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (i, (value, other)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{at}[{i}]"), value, other, out);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if is_named(wanted) && is_named(found) => {
            for (sign, these, those) in [('-', wanted, found), ('+', found, wanted)] {
                let others: Vec<&Value> = those.iter().map(|other| &other["name"]).collect();
                let alone = these.iter().filter(|element| !others.contains(&&element["name"]));
                out.extend(alone.map(|element| format!("{at}: {sign}{}", short(element))));
            }
        }
        _ if expected == got => {}
        _ => out.push(format!("{at}: expected {}, got {}", short(expected), short(got))),
    }
}

fn is_named(elements: &[Value]) -> bool {
    elements.iter().all(|element| element.get("name").is_some())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(900) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
