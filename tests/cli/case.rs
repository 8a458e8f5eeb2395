//! The `.case` format of `tests/golden/cli/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

/// One captured command.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// `2.8.2/topics-zk/03-create`
    pub name: String,
    pub version: String,
    pub setup: Vec<String>,
    pub files: Vec<(String, String)>,
    pub sigterm_after_s: Option<u64>,
    pub command: String,
    pub stdin: Option<String>,
    pub stdout: String,
    pub stderr: String,
    pub exit: String,
}

impl Case {
    pub fn read(path: &Path) -> Case {
        let text = fs::read_to_string(path).expect("readable case");
        let mut case = Case::default();
        for (head, body) in sections(&text) {
            let (name, argument) = head.split_once(' ').unwrap_or((head.as_str(), ""));
            let content = || content(&body, argument.ends_with("noeol"));
            match name {
                "case" => case.name = argument.to_string(),
                "version" => case.version = argument.to_string(),
                "setup" => case.setup = body.clone(),
                "file" => case.files.push((argument.trim_end_matches(" noeol").to_string(), content())),
                "sigterm" => {
                    case.sigterm_after_s = body.concat().split(' ').find_map(|word| word.parse().ok())
                }
                "command" => case.command = body.join("\n"),
                "stdin" => case.stdin = Some(content()),
                "stdout" => case.stdout = content(),
                "stderr" => case.stderr = content(),
                "exit" => case.exit = argument.to_string(),
                "note" | "env" => {}
                other => panic!("{}: unknown section {other}", path.display()),
            }
        }
        assert!(!case.command.is_empty() && !case.exit.is_empty(), "{}: no command or exit", path.display());
        case
    }
}

/// `@@name argument` and the lines up to the next one.
fn sections(text: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match line.strip_prefix("@@") {
            // `@@sigterm` has its argument on the next line.
            Some(head) => sections.push((head.to_string(), Vec::new())),
            None => {
                if let Some((_, body)) = sections.last_mut() {
                    body.push(line.to_string());
                }
            }
        }
    }
    sections
}

fn content(lines: &[String], no_final_newline: bool) -> String {
    let mut text = lines.join("\n");
    if !lines.is_empty() && !no_final_newline {
        text.push('\n');
    }
    text
}

/// The folder of the goldens.
pub fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cli")
}

/// The cases of `version/scenario`, in order.
pub fn scenario(name: &str) -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(golden_dir().join(name))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}
