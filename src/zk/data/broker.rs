//! `/brokers/ids/N`, ephemeral. Its czxid is the broker epoch (KIP-380).
//!
//! ```text
//! {"features":{},"listener_security_protocol_map":{"A":"SSL"},"endpoints":["A://h:1"],"rack":"r","jmx_port":-1,
//!  "port":1,"host":"h","version":5,"timestamp":"1700000000000"}
//! ```
//! Version 5 has features, 4 the protocol map, 3 the rack; up to 3 an endpoint's name is its protocol; version 1 has
//! only host and port. `host` and `port` are those of the first PLAINTEXT endpoint, else null and -1.

use super::{Bytes, DataError, error, from_json, to_json};
use crate::config::endpoint::{ProtocolMap, default_protocol_map, parse_endpoints};
use crate::config::{Endpoint, IbpVersion, SecurityProtocol};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

const NODE: &str = "broker registration";

/// Versions of a feature that a broker supports (KIP-584).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedVersions {
    /// Lowest.
    pub min_version: i16,
    /// Highest.
    pub max_version: i16,
}

/// A live broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Version of the JSON; [`version_for`].
    pub version: i32,
    /// Advertised listeners.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// -1 for none.
    pub jmx_port: i32,
    /// When the broker registered, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Supported features by name.
    pub features: BTreeMap<String, SupportedVersions>,
}

/// The version of the JSON that brokers write at `inter.broker.protocol.version`.
pub fn version_for(ibp: IbpVersion) -> i32 {
    if ibp.has_feature_versioning() {
        5
    } else if ibp >= IbpVersion::V0_10_0_IV1 {
        4
    } else {
        2
    }
}

/// In the order of Kafka's writers.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<&'a BTreeMap<String, SupportedVersions>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_security_protocol_map: Option<ProtocolsOf<'a>>,
    endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack: Option<&'a str>,
    jmx_port: i32,
    port: i32,
    host: Option<&'a str>,
    version: i32,
    timestamp: String,
}

/// Protocols by listener, in the listeners' order.
struct ProtocolsOf<'a>(&'a [Endpoint]);

impl Serialize for ProtocolsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for endpoint in self.0 {
            map.serialize_entry(&endpoint.listener_name, endpoint.security_protocol.name())?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
struct Read {
    version: i32,
    jmx_port: i32,
    host: Option<String>,
    port: Option<i32>,
    endpoints: Option<Vec<String>>,
    listener_security_protocol_map: Option<BTreeMap<String, String>>,
    rack: Option<String>,
    features: Option<BTreeMap<String, SupportedVersions>>,
    timestamp: Option<serde_json::Value>,
}

impl BrokerRegistration {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let plaintext = self.endpoints.iter().find(|e| e.security_protocol == SecurityProtocol::Plaintext);
        to_json(&Written {
            features: (self.version >= 5).then_some(&self.features),
            listener_security_protocol_map: (self.version >= 4).then_some(ProtocolsOf(&self.endpoints)),
            endpoints: self.endpoints.iter().map(Endpoint::to_string).collect(),
            rack: self.rack.as_deref().filter(|_| self.version >= 3),
            jmx_port: self.jmx_port,
            port: plaintext.map_or(-1, |e| e.port),
            host: plaintext.map(|e| e.host.as_str()),
            version: self.version,
            timestamp: self.timestamp_ms.to_string(),
        })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<BrokerRegistration, DataError> {
        let read: Read = from_json(NODE, data)?;
        let endpoints = match read.version {
            ..1 => return Err(error(NODE, format!("unsupported version {}", read.version))),
            1 => {
                let (Some(host), Some(port)) = (read.host, read.port) else {
                    return Err(error(NODE, "version 1 without host and port"));
                };
                let security_protocol = SecurityProtocol::Plaintext;
                let listener_name = security_protocol.name().to_string();
                vec![Endpoint { listener_name, security_protocol, host, port }]
            }
            2.. => {
                let protocols = protocols(read.listener_security_protocol_map)?;
                let texts = read.endpoints.ok_or_else(|| error(NODE, "no endpoints"))?;
                let mut endpoints = Vec::with_capacity(texts.len());
                for text in texts {
                    endpoints
                        .extend(parse_endpoints(&text, &protocols, false).map_err(|why| error(NODE, why))?);
                }
                endpoints
            }
        };
        // Only for people to read: whatever it says, the broker is there.
        let timestamp_ms = match read.timestamp {
            Some(serde_json::Value::String(text)) => text.parse().unwrap_or(-1),
            Some(serde_json::Value::Number(number)) => number.as_i64().unwrap_or(-1),
            _ => -1,
        };
        Ok(BrokerRegistration {
            version: read.version,
            endpoints,
            rack: read.rack,
            jmx_port: read.jmx_port,
            timestamp_ms,
            features: read.features.unwrap_or_default(),
        })
    }

    /// The endpoint of a listener, by its upper case name.
    pub fn endpoint(&self, listener_name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener_name == listener_name)
    }
}

fn protocols(map: Option<BTreeMap<String, String>>) -> Result<ProtocolMap, DataError> {
    let Some(map) = map else { return Ok(default_protocol_map()) };
    let parse = |(name, protocol): (String, String)| {
        let parsed = SecurityProtocol::parse(&protocol);
        let parsed = parsed.ok_or_else(|| error(NODE, format!("unknown security protocol {protocol}")))?;
        Ok((name.to_uppercase(), parsed))
    };
    map.into_iter().map(parse).collect()
}
