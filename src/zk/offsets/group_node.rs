//! Names of groups as names of nodes.
//!
//! Names that an old consumer may have (letters, digits, `.`, `_`, `-`), and most others, are themselves. A client may
//! call its group anything, though: what ZooKeeper does not take, and `/` and `%`, stand as `%` and two digits for each
//! byte of UTF-8, as in a URL; the empty name is a lone `%`.

use std::fmt::Write;

/// The node of a group.
pub fn group_node(group: &str) -> String {
    if group.is_empty() {
        return "%".to_string();
    }
    if group == "." || group == ".." {
        return group.replace('.', "%2E");
    }
    let mut node = String::with_capacity(group.len());
    for c in group.chars() {
        if is_plain(c) {
            node.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            write!(node, "%{byte:02X}").expect("text grows in memory");
        }
    }
    node
}

/// True for what may stand in a node's name. ZooKeeper counts UTF-16 units and refuses surrogates and what follows them.
fn is_plain(c: char) -> bool {
    !matches!(c, '/' | '%' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// The group of a node; none if no group's node is called so.
pub fn group_name(node: &str) -> Option<String> {
    if node == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(node.len());
    let mut rest = node.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok().filter(|name| group_node(name) == node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_node_and_comes_back() {
        let names = [
            "g",
            "console-consumer-1",
            "a.b_c",
            "",
            ".",
            "..",
            "...",
            "a/b",
            "%",
            "100%",
            "é",
            "日本",
            "😀",
            "a\0b",
            "\u{7f}",
            "\u{f000}",
            " ",
            "a b",
        ];
        for name in names {
            let node = group_node(name);
            assert!(
                !node.is_empty() && !node.contains('/') && node != "." && node != "..",
                "{name:?}: {node}"
            );
            assert_eq!(group_name(&node).as_deref(), Some(name), "{node}");
        }
        assert_eq!(group_node("my-group.1"), "my-group.1");
        assert_eq!(group_node("a/b%"), "a%2Fb%25");
        for other in ["%4", "%zz", "%41", "%2f", "%FF", "a%"] {
            assert_eq!(group_name(other), None, "{other}");
        }
    }
}
