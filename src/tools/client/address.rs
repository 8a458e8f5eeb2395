//! `HOST:PORT` lists.

use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Reads `[PROTOCOL://]HOST:PORT`; IPv6 addresses stand in brackets.
    pub fn parse(text: &str) -> Option<Address> {
        let text = text.rsplit_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if !host.chars().all(is_legal) {
            return None;
        }
        Some(Address { host: host.to_string(), port: port.parse().ok()? })
    }

    /// Every IP address of the host.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        (self.host.as_str(), self.port).to_socket_addrs().map(Iterator::collect)
    }

    /// As Java's `InetSocketAddress` prints: `localhost/127.0.0.1:9092`, or `/127.0.0.1:9092` if the host
    /// was given as a number.
    pub fn java_text(&self) -> String {
        if self.host.parse::<std::net::IpAddr>().is_ok() {
            return format!("/{self}");
        }
        match self.resolve().ok().and_then(|all| all.first().copied()) {
            Some(address) => format!("{}/{address}", self.host),
            None => format!("{}/<unresolved>:{}", self.host, self.port),
        }
    }
}

/// Reads `bootstrap.servers`. An element that is no address is a `ConfigException`.
pub fn parse_bootstrap(list: &str) -> Result<Vec<Address>, Exception> {
    let config = |message| Exception::new("org.apache.kafka.common.config.ConfigException", message);
    let mut addresses = Vec::new();
    for url in list.split(',').map(str::trim).filter(|url| !url.is_empty()) {
        let address =
            Address::parse(url).ok_or_else(|| config(format!("Invalid url in bootstrap.servers: {url}")))?;
        if address.resolve().is_ok_and(|all| !all.is_empty()) {
            addresses.push(address);
        } else {
            let text = format!(
                "Couldn't resolve server {url} from bootstrap.servers as DNS resolution failed for {}",
                address.host
            );
            log(Level::Warn, &text, "org.apache.kafka.clients.ClientUtils");
        }
    }
    if addresses.is_empty() {
        return Err(config("No resolvable bootstrap urls given in bootstrap.servers".to_string()));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_port() {
        let parse = |text: &str| Address::parse(text).map(|a| (a.host, a.port));
        assert_eq!(parse("h-1.x:9092"), Some(("h-1.x".to_string(), 9092)));
        assert_eq!(parse("PLAINTEXT://h:1"), Some(("h".to_string(), 1)));
        assert_eq!(parse("[::1]:9092"), Some(("::1".to_string(), 9092)));
        for bad in ["h", "h:", "h:x", "h:99999", "h h:1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(Address::parse("127.0.0.1:9").unwrap().java_text(), "/127.0.0.1:9");
    }

    #[test]
    fn a_bad_element_spoils_the_list() {
        let message = parse_bootstrap("127.0.0.1:1,127.0.0.1").unwrap_err().first_line();
        assert!(message.ends_with("Invalid url in bootstrap.servers: 127.0.0.1"), "{message}");
        assert_eq!(parse_bootstrap("127.0.0.1:1, 127.0.0.1:2").unwrap().len(), 2);
    }
}
