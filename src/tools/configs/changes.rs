//! `--add-config`, `--add-config-file`, `--delete-config`.

use super::{Command, requirement};
use crate::tools::exception::Exception;
use crate::tools::java::properties_order;
use crate::tools::load_properties;

impl Command {
    /// Keys and values to be added, in the order of Java's `Properties`.
    pub(super) fn added(&self) -> Result<Vec<(String, String)>, Exception> {
        let mut added: Vec<(String, String)> = Vec::new();
        let mut set = |key: &str, value: String| {
            added.retain(|(known, _)| known != key);
            added.push((key.to_string(), value));
        };
        if let Some(file) = self.options.value("add-config-file")? {
            for (key, value) in load_properties(file)?.iter() {
                set(key, value.to_string());
            }
        }
        if let Some(list) = self.options.value("add-config")? {
            for (key, value) in parse_added(list, self.is_newer())? {
                set(&key, value);
            }
        }
        let format = added.iter().find(|(key, _)| key == "message.format.version");
        if let Some((key, value)) = format {
            out_line!(
                "WARNING: The configuration {key}={value} is specified. This configuration will be ignored if the \
                 version is newer than the inter.broker.protocol.version specified in the broker."
            );
        }
        Ok(properties_order(added, |(key, _)| key))
    }

    /// Keys to be deleted.
    pub(super) fn deleted(&self) -> Vec<String> {
        let lists = self.options.values("delete-config");
        let keys = lists.iter().flat_map(|list| list.split(',')).filter(|key| !key.is_empty());
        keys.map(|key| key.trim().to_string()).collect()
    }
}

/// `k1=v1,k2=[v1,v2]`: commas and equal signs inside brackets belong to the value. 1.1.1 refuses empty values.
fn parse_added(list: &str, allows_empty: bool) -> Result<Vec<(String, String)>, Exception> {
    let mut items = split_outside_brackets(list, ',');
    while items.len() > 1 && items.last().is_some_and(|item| item.is_empty()) {
        items.pop();
    }
    let pair = |item: &str| match split_outside_brackets(item, '=').as_slice() {
        [key, value] if allows_empty || !value.trim().is_empty() => {
            Ok((key.trim().to_string(), value.replace(['[', ']'], "").trim().to_string()))
        }
        _ => Err(requirement(
            "Invalid entity config: all configs to be added must be in the format \"key=val\".",
        )),
    };
    items.into_iter().map(pair).collect()
}

/// Splits where the next bracket, if there is one, opens.
fn split_outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(separator) {
        let rest = &text[at + separator.len_utf8()..];
        let next = rest.find(['[', ']']).map(|bracket| rest.as_bytes()[bracket]);
        if next != Some(b']') {
            items.push(&text[start..at]);
            start = at + separator.len_utf8();
        }
    }
    items.push(&text[start..]);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &str) -> Vec<(String, String)> {
        parse_added(list, true).unwrap()
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn brackets_hold_values_together() {
        assert_eq!(
            parsed("retention.ms=1, cleanup.policy=[compact,delete],x=y"),
            pairs(&[("retention.ms", "1"), ("cleanup.policy", "compact,delete"), ("x", "y")])
        );
        assert_eq!(
            parsed("SCRAM-SHA-256=[iterations=8192,password=pw]"),
            pairs(&[("SCRAM-SHA-256", "iterations=8192,password=pw")])
        );
        assert_eq!(parsed("a=,b = c ,"), pairs(&[("a", ""), ("b", "c")]));
        for bad in ["", "a", "a=b=c", "a=b,c"] {
            assert!(parse_added(bad, true).is_err(), "{bad}");
        }
        assert!(parse_added("a=", false).is_err());
    }
}
