//! Java's `.properties` files.
//!
//! ```text
//! file    := (blank | comment | entry)*            lines end with LF, CR or CR LF
//! comment := blank* ("#" | "!") anything            never continued
//! entry   := blank* key blank* [("=" | ":") blank*] value
//! ```
//! Blanks are space, tab and form feed. A key ends at the first unescaped `=`, `:` or blank. An odd number of
//! backslashes before the end of a line continues the entry, without the blanks that begin the next line. Escapes:
//! `\t \n \r \f \uXXXX`; before any other character the backslash vanishes. Bytes are ISO-8859-1, as
//! `Properties.load(InputStream)` reads them: a path outside ASCII keeps meaning the directory that it means to Kafka.
//! Of a repeated key the last wins.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Where a value was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line, from 1, of a file.
    File(Arc<str>, usize),
    /// `--override` on the command line.
    Override,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(name, line) => write!(f, "{name}:{line}"),
            Origin::Override => f.write_str("--override"),
        }
    }
}

/// A value and where it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Property {
    /// The value, escapes resolved.
    pub value: String,
    /// Its place; `None` if a program set it.
    pub origin: Option<Origin>,
}

/// Keys and values, sorted by key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Properties {
    entries: BTreeMap<String, Property>,
    /// Earlier places of keys that are given twice.
    repeated: Vec<(String, Origin)>,
}

impl Properties {
    /// No entries.
    pub fn new() -> Properties {
        Properties::default()
    }

    /// Reads a file.
    pub fn read(path: &Path) -> std::io::Result<Properties> {
        Properties::parse_named(&fs::read(path)?, &path.display().to_string())
            .map_err(|message| std::io::Error::new(std::io::ErrorKind::InvalidData, message))
    }

    /// Reads bytes; `file` is the name that errors show. Fails only for a malformed `\uXXXX`.
    pub fn parse_named(bytes: &[u8], file: &str) -> Result<Properties, String> {
        let file: Arc<str> = Arc::from(file);
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut properties = Properties::new();
        for (number, line) in logical_lines(&text) {
            let (key, value) = split_entry(&line);
            let read = |text: &str| unescape(text).map_err(|why| format!("{why} ({file}:{number})"));
            let origin = Origin::File(file.clone(), number);
            let key = read(key)?;
            let property = Property { value: read(value)?, origin: Some(origin) };
            if let Some(Property { origin: Some(earlier), .. }) =
                properties.entries.insert(key.clone(), property)
            {
                properties.repeated.push((key, earlier));
            }
        }
        Ok(properties)
    }

    /// Reads text without a file, as in tests and znodes.
    pub fn parse(text: &str) -> Result<Properties, String> {
        Properties::parse_named(text.as_bytes(), "")
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|property| property.value.as_str())
    }

    /// The place of a key.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.entries.get(key)?.origin.as_ref()
    }

    /// Sets a value that has no place.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), Property { value: value.into(), origin: None });
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Applies one `key=value` of `--override`, split at the first `=`; without one the value is empty.
    pub fn apply_override(&mut self, argument: &str) {
        let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
        let property = Property { value: value.to_string(), origin: Some(Origin::Override) };
        self.entries.insert(key.to_string(), property);
    }

    /// Keys and values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, property)| (key.as_str(), property.value.as_str()))
    }

    /// Keys that the file gives more than once, with the place of each use that does not count.
    pub fn repeated(&self) -> &[(String, Origin)] {
        &self.repeated
    }

    /// The text that `Properties.store` writes for these entries, without its two comment lines.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (key, value) in self.iter() {
            escape(key, true, &mut text);
            text.push('=');
            escape(value, false, &mut text);
            text.push('\n');
        }
        text
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Properties {
        let mut properties = Properties::new();
        for (key, value) in entries {
            properties.set(key, value);
        }
        properties
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Entries with continuation lines joined, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in natural_lines(text).into_iter().enumerate() {
        let line = line.trim_start_matches(is_blank);
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((number, joined));
        } else {
            joined.push_str(line);
            lines.push((number, joined));
        }
    }
    lines.extend(open);
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

fn natural_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        let after = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + after..];
    }
    lines.push(rest);
    lines
}

/// Key and value of an entry, still escaped.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (is_blank(c) || matches!(c, '=' | ':'));
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0u16; 2];
    while let Some(c) = chars.next() {
        let c = if c != '\\' {
            c
        } else {
            match chars.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    units.push(unescape_unit(&mut chars)?);
                    continue;
                }
                Some(other) => other,
            }
        };
        units.extend_from_slice(c.encode_utf16(&mut buffer));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn unescape_unit(chars: &mut std::str::Chars<'_>) -> Result<u16, String> {
    let digits = chars.as_str().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let unit = unit.ok_or_else(|| "Malformed \\uxxxx encoding.".to_string())?;
    chars.nth(3);
    Ok(unit)
}

fn escape(text: &str, is_key: bool, out: &mut String) {
    for (i, c) in text.chars().enumerate() {
        match c {
            ' ' if is_key || i == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '=' | ':' | '#' | '!' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => {
                let mut buffer = [0u16; 2];
                for unit in c.encode_utf16(&mut buffer) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let properties = Properties::parse(text).expect("well formed");
        let (key, value) = properties.iter().next().expect("one entry");
        (key.to_string(), value.to_string())
    }

    #[test]
    fn entries_of_every_form() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("  a = b ", "a", "b "),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("a\tb=c", "a", "b=c"),
            ("a = = b", "a", "= b"),
            ("a", "a", ""),
            ("a\\ b\\=c=d", "a b=c", "d"),
            ("a=1,\\\n    2,\\\r\n\t3", "a", "1,2,3"),
            ("a=x\\\\\nb", "a", "x\\"),
            ("a=\\u00e9\\t\\q", "a", "\u{e9}\tq"),
            ("a=\\ud83d\\ude00", "a", "\u{1f600}"),
            ("=v", "", "v"),
            ("# c\\\na=b", "a", "b"),
            ("a=b\\", "a", "b"),
        ] {
            assert_eq!(one(text), (key.to_string(), value.to_string()), "{text:?}");
        }
    }

    #[test]
    fn bytes_are_latin_1_and_bad_escapes_are_named() {
        let properties = Properties::parse_named(b"a=\xfc", "f").expect("well formed");
        assert_eq!(properties.get("a"), Some("\u{fc}"));
        assert_eq!(
            Properties::parse_named(b"\na=\\u12", "f"),
            Err("Malformed \\uxxxx encoding. (f:2)".to_string())
        );
    }

    #[test]
    fn places_repetitions_and_overrides() {
        let mut properties =
            Properties::parse_named(b"a=1\n\n#x\nb=\\\n2\na=3\n", "server.properties").expect("ok");
        assert_eq!(properties.get("a"), Some("3"));
        assert_eq!(properties.origin("b").map(ToString::to_string), Some("server.properties:4".to_string()));
        assert_eq!(properties.origin("a").map(ToString::to_string), Some("server.properties:6".to_string()));
        assert_eq!(properties.repeated()[0].1.to_string(), "server.properties:1");
        properties.apply_override("a=x=y");
        properties.apply_override("c");
        assert_eq!((properties.get("a"), properties.get("c")), (Some("x=y"), Some("")));
        assert_eq!(properties.origin("a"), Some(&Origin::Override));
    }

    #[test]
    fn written_text_reads_back() {
        let properties: Properties =
            [(" k:=#!", " v\t\\\u{e9}\u{1f600} end"), ("plain", "x y")].into_iter().collect();
        assert_eq!(Properties::parse(&properties.to_text()).expect("ok").iter().collect::<Vec<_>>(), {
            properties.iter().collect::<Vec<_>>()
        });
        assert!(properties.to_text().contains("plain=x y\n"));
    }
}
