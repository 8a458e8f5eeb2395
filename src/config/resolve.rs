//! Values that several keys determine together.

use super::broker::{Resolved, Values};
use super::endpoint::{
    Endpoint, ProtocolMap, SecurityProtocol, csv, default_protocol_map, parse_csv_map, parse_endpoints,
    parse_protocol_map,
};
use super::error::{ConfigError, Exception};
use super::ibp::IbpVersion;
use super::properties::Properties;
use super::topic::{CompressionType, TimestampType};
use super::value::{FromValue, Value};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Reads values and notes what is wrong with them.
struct Resolver<'a> {
    properties: &'a Properties,
    values: &'a Values,
    bad: &'a mut Vec<&'static str>,
    errors: &'a mut Vec<ConfigError>,
}

/// Works out the values. A failure is noted in `errors`, its key in `bad`, and a harmless value stands in for it.
pub(super) fn resolve(
    properties: &Properties,
    values: &Values,
    bad: &mut Vec<&'static str>,
    errors: &mut Vec<ConfigError>,
) -> Resolved {
    Resolver { properties, values, bad, errors }.resolve()
}

impl Resolver<'_> {
    fn get<T: FromValue>(&self, key: &str) -> Option<T> {
        T::from_value(Some(self.values.get(key)?.as_ref()?))
    }

    fn fail(&mut self, key: &'static str, exception: Exception, message: impl Into<String>) {
        self.bad.push(key);
        self.errors.push(ConfigError::new(exception, Some(key), message));
    }

    fn version(&self, key: &str) -> IbpVersion {
        self.get::<String>(key).and_then(|text| IbpVersion::parse(&text).ok()).unwrap_or(IbpVersion::LATEST)
    }

    fn number(&self, key: &str) -> i64 {
        match self.values.get(key).and_then(Option::as_ref) {
            Some(Value::Int(number)) => i64::from(*number),
            Some(Value::Long(number)) => *number,
            _ => 0,
        }
    }

    fn resolve(mut self) -> Resolved {
        let node_id = self.number("node.id") as i32;
        let protocols = self.protocol_map();
        let listeners = self.listeners(&protocols);
        let advertised_listeners = self.advertised_listeners(&protocols, &listeners);
        let (inter_broker_listener_name, security_inter_broker_protocol) = self.inter_broker(&protocols);
        let control_plane_listener_name = self.control_plane(&protocols);
        let session_timeout_ms = self.number("zookeeper.session.timeout.ms") as i32;
        Resolved {
            broker_id: if node_id >= 0 { node_id } else { self.number("broker.id") as i32 },
            zookeeper_connect: self.get("zookeeper.connect").unwrap_or_default(),
            zookeeper_connection_timeout_ms: self
                .get("zookeeper.connection.timeout.ms")
                .unwrap_or(session_timeout_ms),
            listeners,
            advertised_listeners,
            listener_security_protocol_map: protocols,
            inter_broker_listener_name,
            security_inter_broker_protocol,
            control_plane_listener_name,
            max_connections_per_ip_overrides: self.per_ip_overrides(),
            log_dirs: self.log_dirs(),
            log_roll_ms: self.ms_or_hours("log.roll.ms", "log.roll.hours"),
            log_roll_jitter_ms: self.ms_or_hours("log.roll.jitter.ms", "log.roll.jitter.hours"),
            log_retention_ms: self.retention_ms(),
            log_flush_interval_ms: self
                .get("log.flush.interval.ms")
                .unwrap_or_else(|| self.number("log.flush.scheduler.interval.ms")),
            log_cleanup_policy: self.get("log.cleanup.policy").unwrap_or_default(),
            compression_type: self.compression_type(),
            log_message_timestamp_type: self
                .get::<String>("log.message.timestamp.type")
                .and_then(|name| TimestampType::parse(&name))
                .unwrap_or(TimestampType::CreateTime),
            log_message_format_version: self.version("log.message.format.version"),
            inter_broker_protocol_version: self.version("inter.broker.protocol.version"),
        }
    }

    fn protocol_map(&mut self) -> ProtocolMap {
        let key = "listener.security.protocol.map";
        let text: String = self.get(key).unwrap_or_default();
        parse_protocol_map(&text).unwrap_or_else(|message| {
            let exception = match message.starts_with("Invalid security protocol") {
                true => Exception::Config,
                false => Exception::IllegalArgument,
            };
            self.fail(key, exception, message);
            default_protocol_map()
        })
    }

    /// Listeners of a text that the key `key` gives.
    fn endpoints(&mut self, key: &'static str, text: &str, protocols: &ProtocolMap) -> Vec<Endpoint> {
        if self.bad.contains(&"listener.security.protocol.map") {
            self.bad.push(key);
            return Vec::new();
        }
        parse_endpoints(text, protocols, key == "listeners").unwrap_or_else(|message| {
            self.fail(key, Exception::IllegalArgument, message);
            Vec::new()
        })
    }

    fn listeners(&mut self, protocols: &ProtocolMap) -> Vec<Endpoint> {
        let text = self.get("listeners").unwrap_or_else(|| {
            let host: String = self.get("host.name").unwrap_or_default();
            format!("PLAINTEXT://{host}:{}", self.number("port"))
        });
        self.endpoints("listeners", &text, protocols)
    }

    fn advertised_listeners(&mut self, protocols: &ProtocolMap, listeners: &[Endpoint]) -> Vec<Endpoint> {
        let key = "advertised.listeners";
        if let Some(text) = self.get::<String>(key) {
            return self.endpoints(key, &text, protocols);
        }
        let host: Option<String> = self.get("advertised.host.name");
        let port: Option<i32> = self.get("advertised.port");
        if host.is_none() && port.is_none() {
            return listeners.to_vec();
        }
        let host = host.unwrap_or_else(|| self.get("host.name").unwrap_or_default());
        let port = port.map_or_else(|| self.number("port"), i64::from);
        self.endpoints(key, &format!("PLAINTEXT://{host}:{port}"), protocols)
    }

    fn inter_broker(&mut self, protocols: &ProtocolMap) -> (String, SecurityProtocol) {
        let name_key = "inter.broker.listener.name";
        let protocol_key = "security.inter.broker.protocol";
        let plaintext = SecurityProtocol::Plaintext;
        if let Some(name) = self.get::<String>(name_key).map(|name| name.to_uppercase()) {
            if self.properties.get(protocol_key).is_some() {
                let message = format!("Only one of {name_key} and {protocol_key} should be set.");
                self.fail(name_key, Exception::Config, message);
            } else if let Some(protocol) = protocols.get(&name) {
                return (name, *protocol);
            } else {
                let message = format!(
                    "Listener with name {name} defined in {name_key} not found in listener.security.protocol.map."
                );
                self.fail(name_key, Exception::Config, message);
            }
            return (name, plaintext);
        }
        let text: String = self.get(protocol_key).unwrap_or_default();
        let protocol = SecurityProtocol::parse(&text).unwrap_or_else(|| {
            let message = format!("Invalid security protocol `{text}` defined in {protocol_key}");
            self.fail(protocol_key, Exception::Config, message);
            plaintext
        });
        (protocol.name().to_string(), protocol)
    }

    fn control_plane(&mut self, protocols: &ProtocolMap) -> Option<String> {
        let key = "control.plane.listener.name";
        let name = self.get::<String>(key)?.to_uppercase();
        if !protocols.contains_key(&name) {
            let message =
                format!("Listener with {name} defined in {key} not found in listener.security.protocol.map.");
            self.fail(key, Exception::Config, message);
        }
        Some(name)
    }

    fn per_ip_overrides(&mut self) -> BTreeMap<String, i32> {
        let key = "max.connections.per.ip.overrides";
        let text: String = self.get(key).unwrap_or_default();
        let mut overrides = BTreeMap::new();
        match parse_csv_map(key, &text) {
            Err(message) => self.fail(key, Exception::IllegalArgument, message),
            Ok(pairs) => {
                for (host, count) in pairs {
                    match count.parse() {
                        Ok(count) => drop(overrides.insert(host, count)),
                        Err(_) => {
                            let message = format!("For input string: \"{count}\"");
                            self.fail(key, Exception::IllegalArgument, message);
                        }
                    }
                }
            }
        }
        overrides
    }

    fn log_dirs(&mut self) -> Vec<String> {
        let text: Option<String> = self.get("log.dirs").or_else(|| self.get("log.dir"));
        csv(&text.unwrap_or_default()).map(str::to_string).collect()
    }

    fn ms_or_hours(&self, ms: &str, hours: &str) -> i64 {
        self.get(ms).unwrap_or_else(|| HOUR_MS * self.number(hours))
    }

    fn retention_ms(&self) -> i64 {
        let minutes = self.get::<i32>("log.retention.minutes").map(|minutes| MINUTE_MS * i64::from(minutes));
        let ms = self.get("log.retention.ms").or(minutes);
        ms.unwrap_or_else(|| HOUR_MS * self.number("log.retention.hours")).max(-1)
    }

    fn compression_type(&mut self) -> CompressionType {
        let text: String = self.get("compression.type").unwrap_or_default();
        CompressionType::parse(&text).unwrap_or_else(|| {
            let message = format!(
                "requirement failed: compression.type : {text} is not valid. Valid options are {}",
                super::def::topic::COMPRESSION_TYPES.join(",")
            );
            self.fail("compression.type", Exception::IllegalArgument, message);
            CompressionType::Producer
        })
    }
}
