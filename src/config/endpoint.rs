//! Listeners.
//!
//! ```text
//! listeners := endpoint ("," endpoint)*
//! endpoint  := name "://" ["["] host ["]"] ":" port      host may be empty
//! ```
//! Names are upper case inside. Source: Kafka's `EndPoint`, `CoreUtils.listenerListToEndPoints`.

use std::collections::BTreeMap;
use std::fmt;

/// How a listener is secured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// All four.
    pub const ALL: [SecurityProtocol; 4] = [
        SecurityProtocol::Plaintext,
        SecurityProtocol::Ssl,
        SecurityProtocol::SaslPlaintext,
        SecurityProtocol::SaslSsl,
    ];

    /// Kafka's name, `SASL_SSL`.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of a name in any case.
    pub fn parse(name: &str) -> Option<SecurityProtocol> {
        SecurityProtocol::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// The number in UpdateMetadata requests.
    pub fn id(self) -> i16 {
        self as i16
    }

    /// True if clients authenticate by SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a broker listens, or how it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Upper case.
    pub listener_name: String,
    /// From `listener.security.protocol.map`.
    pub security_protocol: SecurityProtocol,
    /// Host name or address, IPv6 without brackets; empty, all interfaces.
    pub host: String,
    /// 0 lets the system choose.
    pub port: i32,
}

/// As in the file: `PLAINTEXT://host:9092`, IPv6 in brackets.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { listener_name, host, port, .. } = self;
        if host.contains(':') {
            write!(f, "{listener_name}://[{host}]:{port}")
        } else {
            write!(f, "{listener_name}://{host}:{port}")
        }
    }
}

/// Security protocols by upper case listener name.
pub type ProtocolMap = BTreeMap<String, SecurityProtocol>;

/// Each security protocol under its own name.
pub fn default_protocol_map() -> ProtocolMap {
    SecurityProtocol::ALL.into_iter().map(|protocol| (protocol.name().to_string(), protocol)).collect()
}

/// Reads `name:protocol,...`. The error is Kafka's text.
pub fn parse_protocol_map(text: &str) -> Result<ProtocolMap, String> {
    let key = "listener.security.protocol.map";
    let mut map = ProtocolMap::new();
    for (name, protocol) in parse_csv_map(key, text)? {
        let parsed = SecurityProtocol::parse(&protocol)
            .ok_or_else(|| format!("Invalid security protocol `{protocol}` defined in {key}"))?;
        map.insert(name.to_uppercase(), parsed);
    }
    Ok(map)
}

/// Reads `key:value,key:value`, the key up to the last colon.
pub fn parse_csv_map(property: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for item in csv(text) {
        let Some((key, value)) = item.rsplit_once(':') else {
            return Err(format!("Error parsing configuration property '{property}': `{item}` has no colon"));
        };
        pairs.push((key.trim().to_string(), value.trim().to_string()));
    }
    Ok(pairs)
}

/// Items between commas without the blanks around them; empty ones vanish.
pub fn csv(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Reads a list of listeners. Advertised ones may share a port. The error is Kafka's text.
pub fn parse_endpoints(
    text: &str,
    protocols: &ProtocolMap,
    distinct_ports: bool,
) -> Result<Vec<Endpoint>, String> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for item in csv(text) {
        let endpoint = parse_endpoint(item, protocols)
            .map_err(|why| format!("Error creating broker listeners from '{text}': {why}"))?;
        endpoints.push(endpoint);
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let earlier = &endpoints[..i];
        if earlier.iter().any(|other| other.listener_name == endpoint.listener_name) {
            return Err(format!(
                "requirement failed: Each listener must have a different name, listeners: {text}"
            ));
        }
        if distinct_ports && endpoint.port != 0 && earlier.iter().any(|other| other.port == endpoint.port) {
            return Err(format!(
                "requirement failed: Each listener must have a different port, listeners: {text}"
            ));
        }
    }
    Ok(endpoints)
}

fn parse_endpoint(text: &str, protocols: &ProtocolMap) -> Result<Endpoint, String> {
    let unable = || format!("Unable to parse {text} to a broker endpoint");
    let (name, address) = text.rsplit_once("://").ok_or_else(unable)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(unable)?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let digits = port.strip_prefix('-').unwrap_or(port);
    if !is_host_text(host) || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unable());
    }
    let port = port.parse().map_err(|_| format!("For input string: \"{port}\""))?;
    let listener_name = name.to_uppercase();
    let security_protocol = *protocols
        .get(&listener_name)
        .ok_or_else(|| format!("No security protocol defined for listener {listener_name}"))?;
    Ok(Endpoint { listener_name, security_protocol, host: host.to_string(), port })
}

/// True for text of the characters that a host name or an address may have.
pub fn is_host_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
        parse_endpoints(text, &default_protocol_map(), true)
    }

    #[test]
    fn endpoints_of_every_form() {
        for (text, shown) in [
            ("PLAINTEXT://:9092", "PLAINTEXT://:9092"),
            ("plaintext://host-1.example:9092", "PLAINTEXT://host-1.example:9092"),
            ("SSL://[::1]:9093", "SSL://[::1]:9093"),
            ("SASL_SSL://[fe80::1%eth0]:0", "SASL_SSL://[fe80::1%eth0]:0"),
        ] {
            assert_eq!(parse(text).expect(text)[0].to_string(), shown);
        }
        let two = parse("PLAINTEXT://a:1 , SSL://b:2,").expect("two");
        assert_eq!(two.len(), 2);
        assert_eq!(two[1].security_protocol, SecurityProtocol::Ssl);
    }

    #[test]
    fn errors_have_kafkas_words() {
        for (text, error) in [
            (
                "PLAINTEXT:/x",
                "Error creating broker listeners from 'PLAINTEXT:/x': \
                 Unable to parse PLAINTEXT:/x to a broker endpoint",
            ),
            (
                "FOO://127.0.0.1:19091",
                "Error creating broker listeners from 'FOO://127.0.0.1:19091': \
                 No security protocol defined for listener FOO",
            ),
            (
                "PLAINTEXT://a:1,SSL://b:1",
                "requirement failed: Each listener must have a different port, \
                 listeners: PLAINTEXT://a:1,SSL://b:1",
            ),
            (
                "PLAINTEXT://a:1,PLAINTEXT://b:2",
                "requirement failed: Each listener must have a different name, \
                 listeners: PLAINTEXT://a:1,PLAINTEXT://b:2",
            ),
        ] {
            assert_eq!(parse(text), Err(error.to_string()));
        }
        for bad in ["PLAINTEXT://a", "PLAINTEXT://a:", "PLAINTEXT://a b:1", "PLAINTEXT://a:1x", "a:1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn protocol_maps() {
        let map = parse_protocol_map("internal:PLAINTEXT, External:ssl").expect("valid");
        assert_eq!(map.get("EXTERNAL"), Some(&SecurityProtocol::Ssl));
        assert_eq!(
            parse_protocol_map("A:FOO"),
            Err("Invalid security protocol `FOO` defined in listener.security.protocol.map".to_string())
        );
        assert!(parse_protocol_map("A").is_err());
    }
}
