//! Expected text with placeholders, as a regular expression.

use super::case::golden_dir;
use regex::Regex;
use std::fs;

/// Values that the stage knows, such as `ZK` -> `127.0.0.1:21810`.
pub type Bindings = Vec<(String, String)>;

/// Fills in what the stage knows. Other placeholders stay.
pub fn bind(text: &str, bindings: &Bindings) -> String {
    let mut text = text.to_string();
    for (name, value) in bindings {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

/// Puts the usage tables in place: `{USAGE x}` ends a stream.
pub fn with_usage(text: &str, version: &str) -> String {
    let Some(at) = text.find("{USAGE ") else { return text.to_string() };
    let name = text[at + 7..].split('}').next().expect("closed placeholder");
    let table = fs::read_to_string(golden_dir().join("usage").join(version).join(format!("{name}.txt")));
    let table = table.unwrap_or_else(|e| panic!("usage of {name}: {e}"));
    // The default group of the consumer's performance test has a name by chance.
    let table =
        Regex::new(r"perf-consumer-\d{5}").expect("valid pattern").replace(&table, "perf-consumer-{N}");
    format!("{}{table}", &text[..at])
}

/// What stands for a placeholder inside a line.
fn inline(name: &str) -> Option<&'static str> {
    Some(match name {
        "TS" => r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}",
        "MS" | "N" | "SIZE" | "CRC" | "PID" | "CZXID" => r"-?\d+",
        "F" => r"(?:-?\d+(?:\.\d+)?(?:E-?\d+)?|NaN)",
        "COORDINATOR" => r"[^ \n]+:\d+",
        "ID" | "PORT1" | "PORT2" | "PORT3" => r"\d+",
        "HEX8" => "[0-9a-f]{1,8}",
        "HOSTNAME" => r"[^ \n]+?",
        "HEX" => "[0-9a-f]+",
        "B64" => "[A-Za-z0-9+/]+={0,2}",
        "UUID" => "[0-9a-f-]{36}",
        "TOPIC_ID" | "CLUSTER_ID" => "[A-Za-z0-9_-]{22}",
        "V" | "VALUE" | "SESSION" | "DATE" => r"[^\n]*",
        _ => return None,
    })
}

/// One expected line without its end, as a regular expression.
pub fn line_pattern(line: &str) -> String {
    let mut pattern = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('{') {
        pattern.push_str(&regex::escape(&rest[..open]));
        rest = &rest[open..];
        let name = rest[1..].split('}').next().unwrap_or("");
        match inline(name) {
            Some(known) => {
                pattern.push_str(known);
                rest = &rest[name.len() + 2..];
            }
            None => {
                pattern.push_str(r"\{");
                rest = &rest[1..];
            }
        }
    }
    pattern + &regex::escape(rest)
}

/// Stack frames and causes may be missing: the line before them is the contract.
const STACK: &str = r"(?:(?:\s+at |\s+\.\.\. |Caused by: )[^\n]*\n)*";

/// The whole text as a regular expression.
pub fn text_pattern(expected: &str) -> Regex {
    let mut pattern = String::from(r"\A");
    for line in expected.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, r"\n"),
            None => (line, ""),
        };
        match line {
            "{STACK}" => pattern.push_str(STACK),
            // A cause is part of a stack.
            _ if line.starts_with("Caused by: ") => {
                pattern.push_str(&format!(r"(?:{}\n{STACK})?", line_pattern(line)))
            }
            "{REPEATED}" | "{CONFIG_VALUES}" => pattern.push_str(r"(?:[^\n]*\n)*?"),
            "{MORE}" => pattern.push_str(r"(?s:.*)"),
            _ => pattern.push_str(&format!("{}{end}", line_pattern(line))),
        }
    }
    Regex::new(&(pattern + r"\z")).expect("valid pattern")
}

/// True if each expected line has a line of its own in `actual` and nothing is left over.
pub fn matches_in_any_order(expected: &str, actual: &str) -> bool {
    let mut left: Vec<&str> = actual.lines().collect();
    for line in expected.lines() {
        let pattern = Regex::new(&format!(r"\A{}\z", line_pattern(line))).expect("valid pattern");
        match left.iter().position(|candidate| pattern.is_match(candidate)) {
            Some(at) => left.swap_remove(at),
            None => return false,
        };
    }
    left.is_empty()
}

/// Groups without those that other scenarios leave, and without the widths that such names need: a line each.
pub fn own_groups(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_other =
            ["console-consumer-", "ccg", "GROUP COORDINATOR"].iter().any(|name| line.contains(name));
        if !is_other && !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The lines that contain `text`.
pub fn lines_with(all: &str, text: &str) -> String {
    all.split_inclusive('\n').filter(|line| line.contains(text)).collect()
}

/// True if every `ERROR` line of `expected`, with the line after it, stands in `actual`, in the same order.
pub fn has_errors_of(expected: &str, actual: &str) -> bool {
    let lines: Vec<&str> = expected.lines().collect();
    let mut pattern = String::from("(?s)");
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("[{TS}] ERROR")) {
        pattern.push_str(&format!("{}\\n.*", line_pattern(line)));
        if let Some(next) = lines.get(i + 1).filter(|next| !next.starts_with(['[', '{'])) {
            pattern.pop();
            pattern.pop();
            pattern.push_str(&format!("{}\\n.*", line_pattern(next)));
        }
    }
    let same_start = expected.starts_with("USAGE") == actual.starts_with("USAGE");
    same_start && Regex::new(&pattern).expect("valid pattern").is_match(actual)
}

#[test]
fn placeholders_and_braces() {
    assert!(text_pattern("[{TS}] x {N}\n{STACK}\n").is_match("[2026-11-21 09:00:00,123] x 5\n\tat a.b\n"));
    assert!(text_pattern("a: b\n{STACK}\n").is_match("a: b\n"));
    assert!(text_pattern("{\"a\":{N}}").is_match("{\"a\":7}"));
    assert!(!text_pattern("a\n").is_match("a"));
    assert!(matches_in_any_order("a {N}\nb\n", "b\na 3\n"));
    assert!(!matches_in_any_order("a\n", "a\na\n"));
}
