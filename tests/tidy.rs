//! The house rules of `src/ARCHITECTURE.md`, as a test: floors, absences, sizes.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Folder and floor. A module imports lower floors only; two of one floor never import each other.
const FLOORS: &[(&str, u8)] = &[
    ("common", 0),
    ("record", 1),
    ("protocol", 1),
    ("config", 1),
    ("storage", 2),
    ("zk", 2),
    ("network", 2),
    ("metadata", 3),
    ("security", 3),
    ("quota", 3),
    ("admin", 4),
    ("controller", 4),
    ("replication", 4),
    ("coordinator", 5),
    ("handlers", 6),
    ("server", 7),
];
const TOOLS_FLOOR_MAX: u8 = 2;

fn files_under(dir: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("directory entry").path();
        if path.is_dir() {
            files_under(&path, extension, out);
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Relative path and text of every Rust file below `dir`, sorted.
fn sources(dir: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files_under(&root().join(dir), "rs", &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("below root").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("readable source"))
        })
        .collect()
}

fn is_test_file(name: &str) -> bool {
    name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// The part of a file above its `#[cfg(test)] mod tests`, without comment lines.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn folder(name: &str) -> Option<&str> {
    name.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
}

fn floor(folder: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == folder).map(|(_, floor)| *floor)
}

fn fail_if_any(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Modules of this crate that a text names, as `crate::module` or inside `crate::{...}`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push(std::mem::take(&mut word));
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    word.push(c);
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_string());
        }
    }
    found
        .into_iter()
        .map(|word| word.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn modules_import_lower_floors_only() {
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        let Some(own) = folder(&name) else { continue };
        for import in imports(&code(&text)) {
            let Some(imported) = floor(&import) else { continue };
            let allowed = match own {
                "tools" => imported <= TOOLS_FLOOR_MAX,
                "bin" => true,
                _ => import == own || floor(own).is_some_and(|own| imported < own),
            };
            if !allowed {
                found.push(format!("{name} imports {import}"));
            }
        }
    }
    fail_if_any("imports against the floors", found);
}

#[test]
fn every_folder_has_a_floor() {
    let mut found = Vec::new();
    for (name, _) in sources("src") {
        if let Some(own) = folder(&name)
            && floor(own).is_none()
            && !["tools", "bin"].contains(&own)
        {
            found.push(name);
        }
    }
    fail_if_any("files in a folder without a floor", found);
}

/// `needle` may appear only in files whose path starts with one of `allowed`.
fn absent_outside(needle: &str, allowed: &[&str]) -> Vec<String> {
    sources("src")
        .into_iter()
        .filter(|(name, _)| !is_test_file(name) && !allowed.iter().any(|a| name.starts_with(a)))
        .filter(|(_, text)| code(text).contains(needle))
        .map(|(name, _)| format!("{name}: {needle}"))
        .collect()
}

#[test]
fn absences_hold() {
    let mut found = Vec::new();
    for folder in ["common", "record", "protocol", "config", "storage"] {
        for (name, text) in sources(&format!("src/{folder}")) {
            let text = code(&text);
            if !is_test_file(&name) && (text.contains("async ") || text.contains(".await")) {
                found.push(format!("{name}: async"));
            }
        }
    }
    for (name, text) in sources("src") {
        let is_machine = name.ends_with("machine.rs") || name == "src/replication/partition.rs";
        if is_machine && (code(&text).contains("async ") || code(&text).contains(".await")) {
            found.push(format!("{name}: async in a machine"));
        }
    }
    found.extend(absent_outside("zookeeper_client::", &["src/zk/"]));
    found.extend(absent_outside("tokio::net", &["src/network/"]));
    let files = [
        "src/storage/file.rs",
        "src/server/log_files.rs",
        "src/config/properties.rs",
        "src/tools/",
        "src/bin/",
    ];
    found.extend(absent_outside("std::fs", &files));
    for clock in ["SystemTime::now", "Instant::now", "getrandom", "rand::"] {
        found.extend(absent_outside(clock, &["src/common/"]));
    }
    fail_if_any("absences broken (src/ARCHITECTURE.md says why)", found);
}

#[test]
fn api_versions_are_compared_in_protocol_and_handlers_only() {
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        let allowed = ["src/protocol/", "src/handlers/", "src/tools/"].iter().any(|a| name.starts_with(a));
        if allowed || is_test_file(&name) {
            continue;
        }
        for needle in ["api_version >", "api_version <", "api_version ==", "api_version !="] {
            if code(&text).contains(needle) {
                found.push(format!("{name}: {needle}"));
            }
        }
    }
    fail_if_any("version comparisons outside protocol/ and handlers/", found);
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        let lines = text.lines().count();
        if !is_test_file(&name) && lines > FILE_LINES_MAX {
            found.push(format!("{name}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
    }
    fail_if_any("long files", found);
}

/// Clippy measures functions exactly; this catches an `allow` that would silence it.
#[test]
fn nobody_silences_the_limits() {
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        if is_test_file(&name) {
            continue;
        }
        for lint in ["clippy::too_many_lines", "clippy::too_many_arguments", "clippy::unwrap_used"] {
            if text.contains(lint) {
                found.push(format!("{name}: allows {lint}"));
            }
        }
    }
    let limit = format!("too-many-lines-threshold = {FUNCTION_LINES_MAX}");
    if !fs::read_to_string(root().join("clippy.toml")).expect("clippy.toml").contains(&limit) {
        found.push(format!("clippy.toml: no `{limit}`"));
    }
    fail_if_any("limits silenced", found);
}

#[test]
fn nothing_unfinished_or_machine_bound() {
    let mut found = Vec::new();
    let marks =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    for (name, text) in sources("src").into_iter().chain(sources("tests")) {
        for mark in marks {
            if text.contains(mark) {
                found.push(format!("{name}: {mark}"));
            }
        }
        for path in [concat!("\"/wo", "rk/"), concat!("../sha", "red")] {
            if text.contains(path) {
                found.push(format!("{name}: path of one machine"));
            }
        }
    }
    fail_if_any("unfinished or machine-bound text", found);
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(root().join("src/ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut found = Vec::new();
    for (name, _) in sources("src") {
        if let Some(own) = folder(&name)
            && !map.contains(&format!("`{own}/`"))
        {
            found.push(own.to_string());
        }
    }
    found.dedup();
    fail_if_any("modules that src/ARCHITECTURE.md does not name", found);
}
