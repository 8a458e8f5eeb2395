//! The tool as 1.1.1 has it: always by znode, and with exit code 0 whatever happens.

use super::plan::{Plan, Replicas, parse_generate, show_current};
use super::throttles::{self, Moves};
use super::zookeeper::{check_existence, clear, current, live, pending, put, submit};
use super::{failed, log_dirs, propose_to};
use crate::common::BrokerId;
use crate::config::properties::Properties;
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::options::Options;
use crate::tools::zookeeper::with_client;
use crate::tools::{Outcome, Shape, Stop, json};
use crate::zk::{ZkClient, topic_admin};
use std::collections::BTreeSet;

const NEEDS_BROKER: &str =
    "bootstrap-server needs to be provided in order to reassign replica to the specified log directory";

/// Checks the command line.
pub fn check(options: &Options) -> Result<(), Stop> {
    if options.is_empty() {
        return Err(options.usage("This command moves topic partitions between replicas."));
    }
    let actions = ["generate", "execute", "verify"];
    if actions.iter().filter(|action| options.has(action)).count() != 1 {
        let message = "Command must include exactly one action: --generate, --execute or --verify";
        return Err(options.usage(message));
    }
    options.check_required(&["zookeeper"])?;
    let invalid = |used: &str, names: &[&str]| options.check_invalid(used, names, Shape::V1_1_1);
    if options.has("verify") {
        if !options.has("reassignment-json-file") {
            return Err(options.usage(
                "If --verify option is used, command must include --reassignment-json-file that was used during the \
                 --execute option",
            ));
        }
        let names =
            ["throttle", "replica-alter-log-dirs-throttle", "topics-to-move-json-file", "disable-rack-aware"];
        invalid("verify", &[&names[..], &["broker-list"]].concat())
    } else if options.has("generate") {
        if !(options.has("topics-to-move-json-file") && options.has("broker-list")) {
            return Err(options.usage(
                "If --generate option is used, command must include both --topics-to-move-json-file and --broker-list \
                 options",
            ));
        }
        invalid("generate", &["throttle", "replica-alter-log-dirs-throttle", "reassignment-json-file"])
    } else {
        if !options.has("reassignment-json-file") {
            return Err(options.usage(
                "If --execute option is used, command must include --reassignment-json-file that was output during \
                 the --generate option",
            ));
        }
        invalid("execute", &["topics-to-move-json-file", "disable-rack-aware", "broker-list"])
    }
}

/// Runs the action.
pub fn run(options: &Options) -> Outcome {
    let servers = options.value("zookeeper")?.unwrap_or_default();
    let done = with_client(servers, async |zk| {
        if options.has("verify") {
            verify(&zk, options).await
        } else if options.has("generate") {
            generate(&zk, options).await
        } else {
            execute(&zk, options).await
        }
    })?;
    if let Err(error) = done {
        out_line!("Partitions reassignment failed due to {}", error.message_or_null());
        out_line!("{error}\n");
    }
    Ok(())
}

fn file(options: &Options, option: &str) -> Result<String, Exception> {
    json::read_file(options.value(option)?.unwrap_or_default())
}

fn admin(options: &Options) -> Result<Admin, Exception> {
    let servers = options.value("bootstrap-server")?.ok_or_else(|| failed(NEEDS_BROKER))?;
    let mut properties = Properties::new();
    properties.set("client.id", "reassign-partitions-tool");
    Admin::new(servers, &properties)
}

async fn verify(zk: &ZkClient, options: &Options) -> Result<(), Exception> {
    let text = file(options, "reassignment-json-file")?;
    out_line!("Status of partition reassignment: ");
    let plan = Plan::parse_1_1_1(&text)?;
    let ongoing = pending(zk).await?.unwrap_or_default();
    let current = current(zk, &plan.topics()).await?;
    let mut lines = Vec::new();
    let mut all_done = true;
    for (tp, target) in plan.replicas() {
        let assigned = current.get(&tp).cloned().unwrap_or_default();
        let status = if ongoing.iter().any(|(other, _)| *other == tp) {
            "is still in progress"
        } else if assigned == target {
            "completed successfully"
        } else {
            out_line!(
                "ERROR: Assigned replicas ({}) don't match the list of replicas for reassignment ({}) for partition {tp}",
                json::joined(&assigned, ","),
                json::joined(&target, ",")
            );
            "failed"
        };
        all_done &= status == "completed successfully";
        lines.push(format!("Reassignment of partition {tp} {status}"));
    }
    lines.iter().for_each(|line| out_line!("{line}"));
    if !plan.log_dirs.is_empty() {
        all_done &= !log_dirs::verify(&mut admin(options)?, &plan.log_dirs)?;
    }
    if !all_done {
        return Ok(());
    }
    let mut changed = false;
    for broker in live(zk).await? {
        changed |= clear(zk, "brokers", &broker.to_string(), &throttles::OF_BROKERS).await?;
    }
    for topic in plan.topics() {
        changed |= clear(zk, "topics", &topic, &throttles::OF_TOPICS).await?;
    }
    if changed {
        out_line!("Throttle was removed.");
    }
    Ok(())
}

async fn generate(zk: &ZkClient, options: &Options) -> Result<(), Exception> {
    let text = file(options, "topics-to-move-json-file")?;
    let (brokers, topics) = parse_generate(&text, options.value("broker-list")?.unwrap_or_default())?;
    let current = current(zk, &topics).await?;
    propose_to(&current, topic_admin::live_brokers(zk).await?, &brokers, options)
}

async fn execute(zk: &ZkClient, options: &Options) -> Result<(), Exception> {
    let plan = Plan::parse_1_1_1(&file(options, "reassignment-json-file")?)?;
    plan.check("Partition reassignment data file is empty")?;
    check_existence(zk, &plan, "ListBuffer").await?;
    let throttle = options.number::<i64>("throttle")?.unwrap_or(-1);
    let log_dir_throttle = options.number::<i64>("replica-alter-log-dirs-throttle")?.unwrap_or(-1);
    let existing = current(zk, &plan.topics()).await?;
    if pending(zk).await?.is_some() {
        out_line!("There is an existing assignment running.");
        return limit(zk, &plan, &existing, throttle, log_dir_throttle).await;
    }
    show_current(&existing);
    if throttle >= 0 || log_dir_throttle >= 0 {
        out_line!(
            "Warning: You must run Verify periodically, until the reassignment completes, to ensure the throttle is \
             removed. You can also alter the throttle by rerunning the Execute command passing a new value."
        );
    }
    let proposed = plan.replicas();
    if throttle >= 0 {
        // Replicas of partitions that do not move are left alone.
        let moving = |(tp, target): &(&_, &Vec<BrokerId>)| {
            existing
                .get(*tp)
                .is_some_and(|before: &Vec<BrokerId>| target.iter().any(|id| !before.contains(id)))
        };
        let moving = proposed.iter().filter(moving).map(|(tp, ids)| (tp.clone(), ids.clone())).collect();
        let mut moves = Moves::default();
        moves.add_proposed(&moving, &existing);
        let by_topic = moves.by_topic();
        for topic in plan.topics() {
            let (leaders, followers) = by_topic.get(&topic).cloned().unwrap_or_default();
            let pairs =
                [(throttles::LEADER_REPLICAS, &*leaders), (throttles::FOLLOWER_REPLICAS, &*followers)];
            put(zk, "topics", &topic, &pairs).await?;
        }
    }
    limit(zk, &plan, &existing, throttle, log_dir_throttle).await?;
    if throttle >= 0 {
        out_line!("The inter-broker throttle limit was set to {throttle} B/s");
    }
    if log_dir_throttle >= 0 {
        out_line!("The replica-alter-dir throttle limit was set to {log_dir_throttle} B/s");
    }
    submit(zk, &proposed).await?;
    if !plan.log_dirs.is_empty() {
        let timeout_ms = options.number::<i64>("timeout")?.unwrap_or(log_dirs::TIMEOUT_MS);
        let moved = log_dirs::execute(&mut admin(options)?, plan.log_dirs.clone(), timeout_ms);
        moved.map_err(|failure| match failure {
            super::Failure::Thrown(exception) => exception,
            super::Failure::Terse(message) => failed(message),
        })?;
    }
    out_line!("Successfully started reassignment of partitions.");
    Ok(())
}

/// Limits all brokers that have or will have a replica.
async fn limit(
    zk: &ZkClient,
    plan: &Plan,
    existing: &Replicas,
    throttle: i64,
    log_dir_throttle: i64,
) -> Result<(), Exception> {
    let (rate, log_dir_rate) = (throttle.to_string(), log_dir_throttle.to_string());
    let mut pairs = Vec::new();
    if throttle >= 0 {
        pairs.push((throttles::LEADER_RATE, rate.as_str()));
        pairs.push((throttles::FOLLOWER_RATE, rate.as_str()));
    }
    if log_dir_throttle >= 0 {
        pairs.push((throttles::LOG_DIR_RATE, log_dir_rate.as_str()));
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let mut brokers: BTreeSet<BrokerId> = existing.values().flatten().copied().collect();
    brokers.extend(plan.partitions.iter().flat_map(|(_, ids)| ids));
    brokers.extend(plan.log_dirs.keys().map(|(broker, _)| broker));
    for broker in brokers {
        put(zk, "brokers", &broker.to_string(), &pairs).await?;
    }
    Ok(())
}
