//! `kafka-broker-api-versions.sh` (`kafka.admin.BrokerApiVersionsCommand`): which requests each broker serves.

use super::client::address::parse_bootstrap;
use super::client::network::{ClientKind, Network, Settings, check_security, number};
use super::exception::Exception;
use super::{Outcome, ShapeChoice, VERSION, load_properties};
use crate::common::clock;
use crate::config::properties::Properties;
use crate::protocol::ApiKey;
use crate::protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use std::collections::BTreeMap;
use std::time::Duration;

/// `request.timeout.ms` of this tool.
const REQUEST_TIMEOUT_MS: i64 = 5_000;
/// Between questions to a cluster that knows no brokers yet.
const AWAIT_BROKERS: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let text = include_str!("usage/2.8.2/kafka-broker-api-versions.sh.txt");
    let options = ShapeChoice::of_environment(args).table(text, text).parse(args)?;
    if options.is_empty() || options.has("help") {
        return Err(options.usage("This tool helps to retrieve broker version information."));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["bootstrap-server"])?;
    let properties = match options.value("command-config")? {
        Some(file) => load_properties(file)?,
        None => Properties::new(),
    };
    check_security(&properties)?;
    let servers = options.value("bootstrap-server")?.unwrap_or_default();
    let mut network = Network::new(Settings {
        name: "LegacyAdminClient clientId=admin-1".to_string(),
        kind: ClientKind::Data,
        client_id: "admin-1".into(),
        bootstrap: parse_bootstrap(servers)?,
        request_timeout_ms: number(&properties, "request.timeout.ms", REQUEST_TIMEOUT_MS)?,
        retry_backoff_ms: number(&properties, "retry.backoff.ms", 100)?,
    });
    while find_brokers(&mut network)?.brokers.is_empty() {
        std::thread::sleep(AWAIT_BROKERS);
    }
    let mut brokers = find_brokers(&mut network)?.brokers;
    brokers.sort_by_key(|broker| broker.node_id);
    for broker in brokers {
        let rack = broker.rack.as_deref().unwrap_or("null");
        let node = format!("{}:{} (id: {} rack: {rack})", broker.host, broker.port, broker.node_id);
        let deadline_ms = clock::monotonic_ms() + network.settings().request_timeout_ms;
        match network.node(broker.node_id, deadline_ms) {
            Some(connection) => out_line!("{node} -> {}", describe(connection.versions())),
            None => out_line!("{node} -> ERROR: org.apache.kafka.common.errors.DisconnectException"),
        }
    }
    Ok(())
}

/// Asks each bootstrap broker once.
fn find_brokers(network: &mut Network) -> Result<MetadataResponse, Exception> {
    let timeout_ms = network.settings().request_timeout_ms;
    let request = MetadataRequest { topics: None, ..Default::default() };
    for index in 0..network.settings().bootstrap.len() {
        let Some(connection) = network.bootstrap(index, clock::monotonic_ms() + timeout_ms) else { continue };
        if let Ok(response) = connection.call(&request, timeout_ms) {
            network.learn(&response);
            return Ok(response);
        }
    }
    let named = |(i, address): (usize, _)| format!("{address} (id: -{} rack: null)", i + 1);
    let brokers: Vec<String> = network.settings().bootstrap.iter().enumerate().map(named).collect();
    let message = format!("Request METADATA failed on brokers List({})", brokers.join(", "));
    Err(Exception::new("java.lang.RuntimeException", message))
}

/// `NodeApiVersions.toString(true)`
fn describe(versions: &std::collections::HashMap<i16, (i16, i16)>) -> String {
    let mut lines: BTreeMap<i16, String> = BTreeMap::new();
    for key in ApiKey::ALL {
        lines.insert(*key as i16, format!("{}({}): UNSUPPORTED", key.name(), *key as i16));
    }
    for (id, (min, max)) in versions {
        let range = if min == max { min.to_string() } else { format!("{min} to {max}") };
        let line = match ApiKey::from_i16(*id) {
            None => format!("UNKNOWN({id}): {range}"),
            Some(key) => {
                let usable = if key.max_version() < *min {
                    "unusable: node too new".to_string()
                } else if *max < key.min_version() {
                    "unusable: node too old".to_string()
                } else {
                    format!("usable: {}", key.max_version().min(*max))
                };
                format!("{}({id}): {range} [{usable}]", key.name())
            }
        };
        lines.insert(*id, line);
    }
    let lines: Vec<String> = lines.into_values().collect();
    format!("(\n\t{}\n)", lines.join(",\n\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_shown_with_what_can_be_used() {
        let text = describe(&[(0, (0, 99)), (1, (20, 21)), (99, (0, 0))].into_iter().collect());
        assert!(text.starts_with(
            "(\n\tProduce(0): 0 to 99 [usable: 9],\n\tFetch(1): 20 to 21 [unusable: node too new],\n\t"
        ));
        assert!(text.contains("\n\tApiVersions(18): UNSUPPORTED,\n"));
        assert!(text.ends_with("\n\tUNKNOWN(99): 0\n)"));
    }
}
