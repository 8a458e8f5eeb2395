//! The command line tools against what Apache Kafka printed: every `.case` of `tests/golden/cli`.
//!
//! `cargo test --test cli` runs the cases that need no cluster. The cluster scenarios run against three
//! brokers of this package with `CLI_CLUSTER=own`, against Apache's with `APACHE_KAFKA_JARS=FOLDER`. `CLI_CASES=substring`
//! shows the cases of that name only (others still run: state carries over).

mod case;
mod pattern;
mod run;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use case::Case;
use run::Ran;
use stage::Stage;
use std::time::{Duration, Instant};

/// How long the cluster may take to act on what was asked of it.
const SETTLE: Duration = Duration::from_secs(15);

/// Where a case is not compared byte for byte, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// Lines in any order: they come out of a hash map.
    AnyOrder,
    /// Not run.
    Skip,
    /// stdout and exit code only: stderr is what Java's client logs on the way.
    NoStderr,
}
use Rule::{AnyOrder, NoStderr, Skip};

const RULES: &[(&str, Rule, &str)] = &[
    ("1.1.1/topics/46-dead-zookeeper", NoStderr, "one line per attempt of Java's client"),
    ("1.1.1/console/22-zk-dead", NoStderr, "one line per attempt of Java's client"),
    ("2.8.2/topics-bs/02-describe-empty", AnyOrder, "hash order"),
    ("2.8.2/topics-bs/31-describe-regex", AnyOrder, "hash order"),
    ("2.8.2/topics-bs/33-describe-under-replicated-none", AnyOrder, "hash order"),
    ("2.8.2/broker-down/12-bs-under-replicated", AnyOrder, "hash order"),
    ("2.8.2/broker-down/15-at-min-isr", AnyOrder, "hash order"),
    ("2.8.2/broker-down/16-under-min-isr", AnyOrder, "hash order"),
];

fn rules_of(name: &str) -> Vec<Rule> {
    RULES.iter().filter(|(case, _, _)| *case == name).map(|(_, rule, _)| *rule).collect()
}

/// What differs, or nothing.
fn difference(stage: &Stage, case: &Case, ran: &Ran, rules: &[Rule]) -> Option<String> {
    let mut found = String::new();
    if ran.exit != case.exit {
        found.push_str(&format!("exit {} instead of {}\n", ran.exit, case.exit));
    }
    for (stream, expected, actual) in
        [("stdout", &case.stdout, &ran.stdout), ("stderr", &case.stderr, &ran.stderr)]
    {
        if stream == "stderr" && rules.contains(&NoStderr) {
            continue;
        }
        let expected = pattern::with_usage(&stage.bind(expected), &case.version);
        let same = if rules.contains(&AnyOrder) && stream == "stdout" {
            pattern::matches_in_any_order(&expected, actual)
        } else {
            pattern::text_pattern(&expected).is_match(actual)
        };
        if !same {
            found.push_str(&format!("{stream} expected:\n{expected}\n{stream} actual:\n{actual}\n"));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Runs cases in order; fails at the end with every difference.
fn play(stage: &mut Stage, cases: &[Case]) {
    let only = std::env::var("CLI_CASES").unwrap_or_default();
    let mut failed = Vec::new();
    let mut count = 0;
    for case in cases {
        let rules = rules_of(&case.name);
        if rules.contains(&Skip) {
            continue;
        }
        count += 1;
        if let Some(found) = play_one(stage, case, &rules).filter(|_| case.name.contains(&only)) {
            failed.push(format!("=== {}\n$ {}\n{found}", case.name, stage.bind(&case.command)));
        }
    }
    let share = failed.len();
    assert!(failed.is_empty(), "{}\n{share} of {count} cases differ", failed.join("\n"));
}

/// Runs a case. What only looks may look again for a while: the JVM took longer to start than a controller
/// takes to act, our tools do not.
fn play_one(stage: &mut Stage, case: &Case, rules: &[Rule]) -> Option<String> {
    let started = Instant::now();
    loop {
        let ran = stage.run(case);
        let found = difference(stage, case, &ran, rules);
        let only_looks = ["--list", "--describe"].iter().any(|word| case.command.contains(word));
        if found.is_none() || !only_looks || !stage.has_cluster() || started.elapsed() > SETTLE {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn play_scenarios(stage: &mut Stage, names: &[&str]) {
    let cases: Vec<Case> = names.iter().flat_map(|name| case::scenario(name)).collect();
    play(stage, &cases);
}

/// Cases whose command fails or ends before it would talk to anybody.
#[test]
fn cases_without_a_cluster() {
    let alone: Vec<Case> = [
        "2.8.2/topics-zk",
        "2.8.2/topics-bs",
        "2.8.2/topics-usage",
        "1.1.1/topics",
        "2.8.2/server-stop",
        "2.8.2/server-start",
    ]
    .iter()
    .flat_map(|name| case::scenario(name))
    .filter(needs_no_cluster)
    .collect();
    assert!(alone.len() > 20, "only {} cases", alone.len());
    play(&mut Stage::empty(), &alone);
}

/// True if the case ends with usage, an option error, a version or a dead address.
fn needs_no_cluster(case: &Case) -> bool {
    let ends_early = case.stderr.contains("{USAGE ")
        || case.stderr.contains("joptsimple.")
        || case.stderr.contains("is not a recognized option")
        || case.stderr.contains("Only one of --bootstrap-server or --zookeeper")
        || case.stderr.contains("Could not find or load main class")
        || case.stdout.starts_with("USAGE: ")
        || case.command.contains("--version")
        || case.command.contains("{DEAD")
        || case.command.contains("nosuch.log");
    let later = case.stderr.contains("[{TS}] ERROR joptsimple.");
    (ends_early && !later) || case.name.starts_with("2.8.2/server-stop/")
}

/// Topics by ZooKeeper and by API, then with one broker down.
#[test]
fn topics() {
    let Some(mut stage) = Stage::cluster() else { return };
    let scenarios = ["2.8.2/topics-zk", "2.8.2/topics-bs", "2.8.2/topics-usage"];
    play_scenarios(&mut stage, &scenarios);
}

/// The same in the words of 1.1.1.
#[test]
fn topics_1_1_1() {
    let Some(mut stage) = Stage::cluster() else { return };
    play_scenarios(&mut stage, &["1.1.1/topics"]);
}
