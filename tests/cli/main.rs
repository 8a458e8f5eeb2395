//! The command line tools against what Apache Kafka printed: every `.case` of `tests/golden/cli`.
//!
//! The goldens come from a cluster of three brokers. Cases about topics, elections and replicas that move have such a one
//! here; those about records run on one broker. `CLI_CLUSTER=three` gives them three as well, `APACHE_KAFKA_JARS=FOLDER`
//! three of Apache's (that proves the tools alone). `CLI_CASES=substring` shows the cases of that name only (others still
//! run: state carries over). What is not run is printed by name: `cargo test --test cli -- --nocapture`.

mod case;
mod groups;
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
    /// On an index file as Apache's broker keeps it while it runs: preallocated. Ours grow.
    Preallocated,
    /// Of stdout the errors only, each a line and what follows it: other lines of a server's log are its own.
    Errors,
    /// stderr and exit code only.
    NoStdout,
    /// stdout and exit code only: stderr is what Java's client logs on the way.
    NoStderr,
    /// Groups of other scenarios, which the capture had, are left out of account.
    OwnGroups,
    /// Of stdout only lines with this text: others were removed from the capture.
    Only(&'static str),
}
use Rule::{AnyOrder, Errors, NoStderr, NoStdout, Only, OwnGroups, Preallocated, Skip};

/// Scenarios whose commands need three brokers that replicate; what ends before it talks to one is played anyway.
const NEEDS_THREE: &[&str] =
    &["2.8.2/log-dirs/", "2.8.2/elections/", "2.8.2/reassign-bs/", "2.8.2/reassign-zk/", "1.1.1/reassign/"];
const DOUBLE: &str = "refused by brokers that have no value of their own, and the captured tool asked any";
const APIS: &str = "a broker that serves all APIs, and is three";
const HIDES: &str = "brokers of 1.1.1 hide what they do not know, ours and 2.8.2 do not";
const OTHERS_TOPIC: &str = "a topic of another scenario";

const RULES: &[(&str, Rule, &str)] = &[
    (
        "1.1.1/misc/17-zookeeper-shell-get",
        NoStderr,
        "a broker of 2.8.2 writes the node once more at its first start",
    ),
    ("2.8.2/reassign-usage/12-bad-broker-list", Skip, "a file that the cases with three brokers write"),
    ("2.8.2/configs-bs/05-topic-describe-all", AnyOrder, "hash order of the broker"),
    ("2.8.2/configs-bs/20-broker-default-add", Skip, DOUBLE),
    ("2.8.2/configs-bs/21-broker-default-describe", Skip, DOUBLE),
    ("2.8.2/configs-bs/22-broker-describe-both", Skip, DOUBLE),
    ("2.8.2/configs-bs/23-brokers-describe-all", Skip, DOUBLE),
    ("2.8.2/configs-bs/32-broker-default-delete", Skip, DOUBLE),
    ("2.8.2/configs-bs/44-users-clients-describe", AnyOrder, "hash order of the broker"),
    ("2.8.2/configs-bs/28-broker-absent", Skip, "runs until it is killed"),
    ("2.8.2/configs-usage/14-broker-loggers", Skip, "the loggers are our own"),
    ("1.1.1/configs/12-broker-bs", Skip, HIDES),
    ("1.1.1/configs/13-broker-bs-describe", Skip, HIDES),
    ("1.1.1/configs/14-broker-bs-default", Skip, "a resource is written another way since"),
    ("2.8.2/log-dirs/04-describe-absent-broker", Skip, "runs until it is killed"),
    ("2.8.2/api-versions/01-all", Skip, APIS),
    ("1.1.1/misc/08-api-versions", Skip, APIS),
    ("2.8.2/elections/02-describe-moved", Skip, "the order of an ISR is not fixed"),
    ("2.8.2/elections/06-preferred-all", NoStdout, "partitions of topics that are not here"),
    ("2.8.2/reassign-bs/01-generate", NoStdout, "a random plan"),
    ("2.8.2/reassign-zk/01-generate", NoStdout, "a random plan"),
    ("1.1.1/reassign/01-generate", NoStdout, "a random plan"),
    ("1.1.1/reassign/02-execute", NoStdout, "hash order"),
    ("1.1.1/reassign/19-describe-after", Skip, "the order of an ISR is not fixed"),
    ("1.1.1/reassign/22-preferred-all", NoStdout, "hash order"),
    ("1.1.1/topics/46-dead-zookeeper", NoStderr, "one line per attempt of Java's client"),
    ("2.8.2/console-producer/14-auto-create", NoStderr, "as many lines as the topic takes to appear"),
    ("1.1.1/console/07-producer-auto-create", NoStderr, "as many lines as the topic takes to appear"),
    ("2.8.2/console-consumer/31-unknown-topic-autocreate", NoStderr, "as many lines as the topic takes"),
    ("2.8.2/console-consumer/37-offsets-formatter", Only("[ccg,"), "lines of other groups removed"),
    ("2.8.2/console-consumer/38-group-metadata-formatter", Only("ccg::"), "lines of other groups removed"),
    ("1.1.1/console/13-zk-whitelist", AnyOrder, "topics in hash order"),
    ("1.1.1/console/14-zk-blacklist", AnyOrder, "topics in hash order"),
    ("1.1.1/console/21-zk-sigterm", Skip, "the capture ended before the first record"),
    ("1.1.1/console/22-zk-dead", Skip, "takes half a minute"),
    ("1.1.1/console/30-bs-delete-offsets", Skip, "runs until it is killed"),
    ("1.1.1/console/32-offsets-formatter", Skip, "records of brokers of 1.1.1, which expire"),
    ("1.1.1/consumer-groups/01-zk-list", OwnGroups, "groups console-consumer-N removed"),
    ("1.1.1/consumer-groups/09-zk-describe-active", OwnGroups, "a host name of another length"),
    ("1.1.1/consumer-groups/02-bs-list", OwnGroups, "as many groups as cases before"),
    ("1.1.1/misc/16-zookeeper-shell", Skip, "lists three brokers"),
    ("2.8.2/zookeeper-shell/01-ls-ids", AnyOrder, "the session tells of itself when it likes"),
    ("2.8.2/zookeeper-shell/07-dead", Skip, "takes half a minute"),
    ("2.8.2/zookeeper-shell/08-ls-recursive", Skip, OTHERS_TOPIC),
    ("2.8.2/zookeeper-shell/10-get-s", Skip, OTHERS_TOPIC),
    ("1.1.1/misc/13-dump-timeindex", Preallocated, "zeros follow the entries"),
    ("2.8.2/server-start/04-sigterm-during-startup", Skip, "ours ends in order: tests/server/interrupted.rs"),
    ("2.8.2/dump-log/13-offsets-decoder", Skip, "the groups of every scenario of the capture"),
    ("2.8.2/dump-log/10-timeindex-sanity", Preallocated, "zeros follow the entries"),
    ("2.8.2/dump-log-2/05-aborted-log", Skip, "as many records as there was time for"),
    ("2.8.2/dump-log-2/07-verify-index-only", Skip, "depends on the first batch of 05"),
    ("2.8.2/transactions/02-dump-control-batch", Skip, "batches as the moment makes them, another epoch"),
    (
        "2.8.2/transactions/03-transaction-log-formatter",
        Skip,
        "the transactions of every scenario of the capture",
    ),
    ("2.8.2/transactions/04-dump-transaction-log", Skip, "the transactions of every scenario of the capture"),
    ("2.8.2/get-offsets/18-dead-broker", Skip, "takes a minute: a_dead_broker_is_given_up"),
    ("2.8.2/consumer-groups/01-list", OwnGroups, "groups of other scenarios"),
    ("2.8.2/consumer-groups/02-list-state", OwnGroups, "groups of other scenarios"),
    ("2.8.2/consumer-groups/21-delete-active-and-absent", AnyOrder, "hash order"),
    ("2.8.2/consumer-groups/23-describe-after-leave", AnyOrder, "hash order"),
    ("2.8.2/consumer-groups/52-reset-export-two-groups", AnyOrder, "hash order"),
    ("2.8.2/consumer-groups/57-describe-final", AnyOrder, "hash order"),
    ("2.8.2/consumer-groups/61-describe-all-groups", OwnGroups, "groups of other scenarios"),
    ("2.8.2/perf/11-consumer-detailed", Skip, "as many lines as the join takes fifths of a second"),
    ("2.8.2/topics-bs/02-describe-empty", AnyOrder, "hash order"),
    ("2.8.2/topics-bs/31-describe-regex", AnyOrder, "hash order"),
    ("2.8.2/topics-bs/33-describe-under-replicated-none", AnyOrder, "hash order"),
    ("2.8.2/broker-down/12-bs-under-replicated", AnyOrder, "hash order"),
    ("2.8.2/broker-down/15-at-min-isr", AnyOrder, "hash order"),
    ("2.8.2/broker-down/16-under-min-isr", AnyOrder, "hash order"),
];

/// Committed offsets where Apache Kafka keeps them, for scenarios that look there.
const KAFKA_MODE: &[(&str, &str)] = &[("offsets.storage", "kafka")];

fn rules_of(name: &str) -> Vec<Rule> {
    let of_server = name.starts_with("2.8.2/server-start").then_some(Errors);
    let listed = RULES.iter().filter(|(case, _, _)| *case == name).map(|(_, rule, _)| *rule);
    of_server.into_iter().chain(listed).collect()
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
        let is_left_out = match stream {
            "stderr" => rules.contains(&NoStderr),
            _ => rules.contains(&NoStdout),
        };
        if is_left_out {
            continue;
        }
        let mut expected = pattern::with_usage(&stage.bind(expected), &case.version);
        let mut actual = actual.clone();
        if rules.contains(&OwnGroups) {
            expected = pattern::own_groups(&expected);
            actual = pattern::own_groups(&actual);
        }
        if let (Some(Only(text)), "stdout") = (rules.iter().find(|rule| matches!(rule, Only(_))), stream) {
            actual = pattern::lines_with(&actual, text);
        }
        let same = if rules.contains(&Errors) && stream == "stdout" {
            pattern::has_errors_of(&expected, &actual)
        } else if (rules.contains(&AnyOrder) && stream == "stdout") || rules.contains(&OwnGroups) {
            pattern::matches_in_any_order(&expected, &actual)
        } else {
            pattern::text_pattern(&expected).is_match(&actual)
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
        let skipped = RULES.iter().find(|(name, rule, _)| *name == case.name && *rule == Skip);
        if let Some((_, _, why)) = skipped {
            println!("not run: {}: {why}", case.name);
            continue;
        }
        let needs_three = NEEDS_THREE.iter().any(|scenario| case.name.starts_with(scenario));
        if needs_three && !stage.is_whole() && !needs_no_cluster(case) {
            println!("not run: {}: needs three brokers that replicate", case.name);
            continue;
        }
        count += 1;
        let started = Instant::now();
        let found = play_one(stage, case, &rules);
        println!("{:6} ms  {}", started.elapsed().as_millis(), case.name);
        if let Some(found) = found.filter(|_| case.name.contains(&only)) {
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
        let ran = stage.run(case, rules.contains(&Preallocated));
        let found = difference(stage, case, &ran, rules);
        let only_looks = ["--list", "--describe", "--verify"].iter().any(|word| case.command.contains(word));
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
        "2.8.2/consumer-groups",
        "1.1.1/consumer-groups",
        "2.8.2/perf",
        "2.8.2/verifiable",
    ]
    .iter()
    .flat_map(|name| case::scenario(name))
    .filter(needs_no_cluster)
    .collect();
    assert!(alone.len() > 20, "only {} cases", alone.len());
    play(&mut Stage::empty(), &alone);
}

/// The consumer behind this tool asks for a minute, which is why it is not among the others.
#[test]
fn a_dead_broker_is_given_up() {
    let cases = case::scenario("2.8.2/get-offsets");
    let case = cases.iter().find(|case| case.name.ends_with("/18-dead-broker")).expect("a case");
    let mut stage = Stage::empty();
    let ran = stage.run(case, false);
    let found = difference(&stage, case, &ran, &[]);
    assert!(found.is_none(), "{found:?}");
}

/// True if the case ends with usage, an option error, a version or a dead address.
fn needs_no_cluster(case: &Case) -> bool {
    let ends_early = case.stderr.contains("{USAGE ")
        || case.stderr.contains("joptsimple.")
        || case.stderr.contains("is not a recognized option")
        || case.stderr.contains("Only one of --bootstrap-server or --zookeeper")
        || case.stderr.contains("Could not find or load main class")
        || case.stdout.starts_with("USAGE: ")
        || case.stdout.starts_with("usage: ")
        || case.stderr.starts_with("usage: ")
        || case.command.contains("--version")
        || case.command.contains("{DEAD")
        || case.command.contains("nosuch.log");
    let later = case.stderr.contains("[{TS}] ERROR joptsimple.");
    // These look at their group before they look at the rest of the line.
    let asks_first = ["24-reset-no-scenario", "25-reset-no-topic", "51-reset-bad-partition"];
    let later = later || asks_first.iter().any(|name| case.name.ends_with(name));
    (ends_early && !later) || case.name.starts_with("2.8.2/server-stop/")
}

/// Brokers that start, stop, or say why they cannot.
#[test]
fn server_start() {
    play_scenarios(&mut Stage::for_servers(), &["2.8.2/server-start"]);
}

/// A broker alone, again, and a second one that comes and goes.
#[test]
fn server_start_2() {
    play_scenarios(&mut Stage::for_servers(), &["2.8.2/server-start-2"]);
}

/// Topics by ZooKeeper and by API.
#[test]
fn topics() {
    let scenarios = ["2.8.2/topics-zk", "2.8.2/topics-bs", "2.8.2/topics-usage"];
    play_scenarios(&mut Stage::cluster(3), &scenarios);
}

/// The same in the words of 1.1.1.
#[test]
fn topics_1_1_1() {
    play_scenarios(&mut Stage::cluster(3), &["1.1.1/topics"]);
}

/// Settings by ZooKeeper and by API.
#[test]
fn configs() {
    let scenarios = ["2.8.2/configs-zk", "2.8.2/configs-bs", "2.8.2/configs-usage"];
    play_scenarios(&mut Stage::cluster(3), &scenarios);
}

/// The same in the words of 1.1.1.
#[test]
fn configs_1_1_1() {
    play_scenarios(&mut Stage::cluster(3), &["1.1.1/configs"]);
}

/// Looking at brokers and their directories, deleting records.
#[test]
fn brokers() {
    let scenarios = ["2.8.2/api-versions", "2.8.2/delete-records", "2.8.2/log-dirs"];
    play_scenarios(&mut Stage::cluster(3), &scenarios);
}

/// What lies in ZooKeeper.
#[test]
fn zookeeper_shell() {
    play_scenarios(&mut Stage::cluster(3), &["2.8.2/zookeeper-shell"]);
}

/// Elections of leaders, and replicas that move.
#[test]
fn elections_and_reassignments() {
    let scenarios = ["2.8.2/elections", "2.8.2/reassign-zk", "2.8.2/reassign-bs", "2.8.2/reassign-usage"];
    play_scenarios(&mut Stage::cluster(3), &scenarios);
}

/// The same in the words of 1.1.1.
#[test]
fn reassignments_1_1_1() {
    play_scenarios(&mut Stage::cluster(3), &["1.1.1/reassign"]);
}

/// Producing and consuming on the console, offsets, and what is on disk.
#[test]
fn records() {
    let scenarios = [
        "2.8.2/console-producer",
        "2.8.2/console-producer-terminal",
        "2.8.2/console-consumer",
        "2.8.2/dump-log",
        "2.8.2/dump-log-2",
        "2.8.2/get-offsets",
        "2.8.2/transactions",
    ];
    play_scenarios(&mut Stage::cluster_with(1, KAFKA_MODE), &scenarios);
}

/// The same in the words of 1.1.1.
#[test]
fn records_1_1_1() {
    let scenarios = ["1.1.1/console", "1.1.1/consumer-groups", "1.1.1/misc"];
    play_scenarios(&mut Stage::cluster_with(1, KAFKA_MODE), &scenarios);
}

/// Groups: listed, described, reset and deleted.
#[test]
fn consumer_groups() {
    play_scenarios(&mut Stage::cluster(1), &["2.8.2/consumer-groups"]);
}

/// Performance and verifiable tools.
#[test]
fn perf_and_verifiable() {
    play_scenarios(&mut Stage::cluster(1), &["2.8.2/perf", "2.8.2/verifiable"]);
}
