//! `--zookeeper`: the console consumer of 1.1.1 with an old consumer.

use super::{Config, LOGGER, Task};
use crate::common::random;
use crate::config::Properties;
use crate::tools::exception::Exception;
use crate::tools::old_consumer::{Alarm, OldConsumer, OldConsumerSettings, Polled, delete_path, runtime};
use crate::tools::options::Options;
use crate::tools::{Stop, output, signals};
use crate::zk::{ZkClient, ZkConfig, paths};
use std::sync::Arc;

/// Session and connection timeout of the tool's own questions.
const TIMEOUT_MS: i32 = 30_000;

/// What the old consumer takes beside what both kinds take.
pub(super) struct OldConfig {
    properties: Properties,
    zookeeper: String,
    group: String,
    is_group_given: bool,
    expression: String,
    is_blacklist: bool,
    deletes_offsets: bool,
    from_beginning: bool,
}

/// Checks the options, in the order of 1.1.1.
pub(super) fn configure(
    options: &Options,
    mut properties: Properties,
    extra: Vec<(String, String)>,
) -> Result<OldConfig, Stop> {
    for other in ["bootstrap-server", "new-consumer"] {
        if options.has(other) {
            return Err(options.usage(format!("Option [{other}] is not valid with [zookeeper].")));
        }
    }
    let given: Vec<&str> =
        ["topic", "whitelist", "blacklist"].into_iter().filter(|name| options.has(name)).collect();
    let [filter] = given[..] else {
        return Err(options.usage("Exactly one of whitelist/blacklist/topic is required."));
    };
    err_line!(
        "Using the ConsoleConsumer with old consumer is deprecated and will be removed in a future major release. \
         Consider using the new consumer by passing [bootstrap-server] instead of [zookeeper]."
    );
    if options.has("partition") || options.has("offset") {
        return Err(
            options.usage("Partition-offset based consumption is supported in the new consumer only.")
        );
    }
    if options.value("isolation-level")?.is_some_and(|level| level == "read_committed") {
        err_line!("The old consumer reads what is not committed, too: --isolation-level has no effect.");
    }
    let group = super::group_given(options, &properties, &extra)?;
    let is_group_given = group.is_some();
    let group = group.unwrap_or_else(|| format!("console-consumer-{}", random::below(100_000)));
    properties.set("group.id", group.as_str());
    for (key, value) in extra {
        properties.set(key, value);
    }
    Ok(OldConfig {
        properties,
        zookeeper: options.value("zookeeper")?.unwrap_or_default().to_string(),
        group,
        is_group_given,
        expression: options.value(filter)?.unwrap_or_default().to_string(),
        is_blacklist: filter == "blacklist",
        deletes_offsets: options.has("delete-consumer-offsets"),
        from_beginning: options.has("from-beginning"),
    })
}

/// Consumes until the end. Everything but the count of messages is said here.
pub(super) fn consume(config: Config, mut old: OldConfig) -> Result<(), Stop> {
    let (alarm, latch) = (Arc::new(Alarm::default()), signals::Latch::default());
    // Until there is a consumer that has to leave its group, a signal ends the process at once.
    latch.open();
    {
        let (alarm, latch) = (Arc::clone(&alarm), latch.clone());
        signals::on_termination(move || {
            alarm.ring(|flags| flags.must_stop = true);
            latch.wait();
        });
    }
    if config.timeout_ms != i64::MAX {
        old.properties.set("consumer.timeout.ms", config.timeout_ms.to_string());
    }
    old.properties.set("zookeeper.connect", old.zookeeper.as_str());
    prepare(&mut old)?;
    let failed = |exception: Exception| {
        output::log_error_with("Unknown error when running consumer: ", super::LOGGER, &exception);
        Stop::Exit(1)
    };
    let settings = OldConsumerSettings::new(&old.properties).map_err(failed)?;
    latch.shut();
    let consumer = OldConsumer::start(settings, &old.expression, old.is_blacklist, Arc::clone(&alarm));
    let outcome = consumer.and_then(|mut consumer| {
        let mut task = Task {
            formatter: config.formatter,
            max_messages: config.max_messages,
            skips_errors: config.skips_errors,
            count: 0,
        };
        let outcome = run(&mut task, &mut consumer);
        consumer.close(!old.is_group_given);
        task.say_end(config.logs_events);
        outcome
    });
    latch.open();
    if alarm.must_stop() {
        // The thread of the signals ends the process.
        loop {
            std::thread::park();
        }
    }
    outcome.map_err(failed)
}

fn run(task: &mut Task, consumer: &mut OldConsumer) -> Result<(), Exception> {
    while !task.is_full() {
        let ended = match consumer.poll() {
            Ok(Polled::Records(records)) => {
                let (taken, is_read) = task.write(&records);
                consumer.consume(&records[..taken]);
                if is_read? {
                    continue;
                }
                return Ok(());
            }
            Ok(Polled::Stopped) => return Ok(()),
            Ok(Polled::TimedOut) => Exception::bare("kafka.consumer.ConsumerTimeoutException"),
            Err(exception) => exception,
        };
        output::log_error_with("Error processing message, terminating consumer process: ", LOGGER, &ended);
        return Ok(());
    }
    Ok(())
}

/// Looks whether there is a cluster, and what the group has left there.
fn prepare(old: &mut OldConfig) -> Result<(), Stop> {
    let runtime = runtime()?;
    let group = paths::consumer_group(&old.group);
    let offsets = paths::consumer_offsets(&old.group);
    let config = ZkConfig {
        session_timeout_ms: TIMEOUT_MS,
        connection_timeout_ms: TIMEOUT_MS,
        ..ZkConfig::new(old.zookeeper.clone())
    };
    let asked = runtime.block_on(async {
        let zk = ZkClient::connect(config).await.ok()?;
        let found = match zk.exists(paths::BROKER_IDS).await {
            Ok(Some(_)) => zk.exists(&offsets).await.ok().map(|stat| stat.is_some()),
            _ => None,
        };
        zk.close().await;
        found
    });
    let Some(has_offsets) = asked else {
        err_line!("No brokers found in ZK.");
        return Err(Stop::Exit(1));
    };
    let found_offsets = || {
        err_line!(
            "Found previous offset information for this group {}. Please use --delete-consumer-offsets to delete \
             previous offsets metadata",
            old.group
        );
        Stop::Exit(1)
    };
    if !old.deletes_offsets && old.from_beginning && has_offsets {
        return Err(found_offsets());
    }
    match old.properties.get("auto.offset.reset") {
        Some(reset) if old.from_beginning && reset != "smallest" => {
            err_line!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one \
                 option"
            );
            return Err(Stop::Exit(1));
        }
        Some(_) => {}
        None => {
            let reset = if old.from_beginning { "smallest" } else { "largest" };
            old.properties.set("auto.offset.reset", reset);
        }
    }
    if old.deletes_offsets {
        runtime.block_on(delete_path(&old.zookeeper, &group));
    } else if old.properties.get("auto.offset.reset") == Some("smallest") && has_offsets {
        return Err(found_offsets());
    }
    Ok(())
}
