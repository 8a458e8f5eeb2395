//! Reads the golden frames.

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One line of a golden file.
pub struct Golden {
    /// Where it stands, for messages.
    pub place: String,
    /// The whole line.
    pub line: Value,
    /// The frame, without size prefix.
    pub frame: Bytes,
}

impl Golden {
    /// A string of the line, empty if absent.
    pub fn text(&self, field: &str) -> &str {
        self.line[field].as_str().unwrap_or_default()
    }

    /// An integer of the line, -1 if absent.
    pub fn number(&self, field: &str) -> i64 {
        self.line[field].as_i64().unwrap_or(-1)
    }

    /// The version of the message.
    pub fn version(&self) -> i16 {
        self.number("version") as i16
    }
}

fn unhex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

fn read(path: &Path, out: &mut Vec<Golden>) {
    let lines = BufReader::new(GzDecoder::new(File::open(path).expect("golden file"))).lines();
    for (number, line) in lines.enumerate() {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        let name = path.file_name().expect("a file").to_string_lossy();
        let place =
            format!("{name}:{} {} v{} {}", number + 1, line["direction"], line["version"], line["variant"]);
        let frame = unhex(line["hex"].as_str().expect("hex"));
        out.push(Golden { place, line, frame });
    }
}

/// The lines of all files that hold frames of APIs (`frames`), or of the one that does not.
fn all(frames: bool) -> Vec<Golden> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire/codec");
    let mut paths: Vec<_> =
        dir.read_dir().expect("goldens").map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.retain(|path| path.ends_with("internal-records.jsonl.gz") != frames);
    paths.sort();
    let mut out = Vec::new();
    paths.iter().for_each(|path| read(path, &mut out));
    out
}

/// Frames of every API.
pub fn frames() -> Vec<Golden> {
    all(true)
}

/// Records of internal topics and of the consumer protocol.
pub fn records() -> Vec<Golden> {
    all(false)
}
