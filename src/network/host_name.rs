//! What a machine is called.

use dns_lookup::{get_hostname, lookup_addr, lookup_host};
use log::warn;
use std::io;

/// The name under which others should find this machine, as Java's `InetAddress.getLocalHost().getCanonicalHostName()`
/// finds it: the host name's first address, looked up backwards; the address itself if it has no name that leads
/// back to it. A host name that does not resolve here (Java fails then) is taken as it is, with a warning.
pub fn canonical() -> io::Result<String> {
    let name = get_hostname()?;
    let addresses: Vec<_> = match lookup_host(&name) {
        Ok(found) => found.collect(),
        Err(failed) => {
            warn!(target: "kafka.server.KafkaServer",
                "The host name {name} does not resolve on this machine ({failed}). It is advertised all the same; advertised.listeners says otherwise.");
            return Ok(name);
        }
    };
    // Java prefers IPv4.
    let Some(address) = addresses.iter().find(|a| a.is_ipv4()).or(addresses.first()) else { return Ok(name) };
    let Ok(found) = lookup_addr(address) else { return Ok(address.to_string()) };
    let leads_back = lookup_host(&found).is_ok_and(|mut all| all.any(|a| a == *address));
    Ok(if leads_back { found } else { address.to_string() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_a_name() {
        assert!(!super::canonical().expect("a name").is_empty());
    }
}
