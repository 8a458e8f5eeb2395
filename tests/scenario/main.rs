//! Scenarios of the controller: scripts with their full expected output, captures of Kafka's own writes, and
//! random runs of a cluster of machines.

mod cluster;
mod driver;
mod golden;
mod random;
mod render;
mod scale;
mod script;
mod world;

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario/controller")
}

#[test]
fn scripts_give_what_they_say() {
    let entries = std::fs::read_dir(folder()).expect("scripts");
    let mut scripts: Vec<_> = entries.map(|e| e.expect("entry").path()).collect();
    scripts.sort();
    assert!(scripts.len() > 5, "scripts are missing");
    for path in scripts {
        script::run(&path);
    }
}
