//! `zookeeper.connect`: `host:port[,host:port...][/chroot]`.

use super::error::ZkError;

/// A connect string, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectString {
    /// The servers, comma separated.
    pub hosts: String,
    /// Absolute path under which everything is kept; empty for none.
    pub chroot: String,
}

/// Takes `text` apart. The chroot begins at the first slash, as in the Java client.
pub(crate) fn parse(text: &str) -> Result<ConnectString, ZkError> {
    let (hosts, chroot) = match text.find('/') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return Err(ZkError::BadArgument(format!("no server in the connect string \"{text}\"")));
    }
    let chroot = chroot.trim();
    let chroot = if chroot == "/" { "" } else { chroot };
    if chroot.ends_with('/') {
        return Err(ZkError::BadArgument(format!(
            "Invalid path string \"{chroot}\" caused by path must not end with / character"
        )));
    }
    if chroot.contains("//") {
        return Err(ZkError::BadArgument(format!(
            "Invalid path string \"{chroot}\" caused by empty node name specified"
        )));
    }
    Ok(ConnectString { hosts: hosts.join(","), chroot: chroot.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_chroot() {
        let parsed = parse("a:1, b:2,[::1]:3/kafka/one").unwrap();
        assert_eq!(parsed.hosts, "a:1,b:2,[::1]:3");
        assert_eq!(parsed.chroot, "/kafka/one");
        assert_eq!(parse("a").unwrap(), ConnectString { hosts: "a".into(), chroot: String::new() });
        assert_eq!(parse("a/").unwrap().chroot, "");
        for bad in ["", ",", "/x", "a/x/", "a/x//y"] {
            assert!(matches!(parse(bad), Err(ZkError::BadArgument(_))), "{bad}");
        }
    }
}
