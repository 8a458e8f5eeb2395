//! Command line options as jopt-simple 5.0.4 reads them, which Kafka's tools use.
//!
//! The usage table of a tool is the definition of its options: the left column names each option and
//! its argument (`<…>` required, `[…]` optional), so table and parser cannot drift apart.
//!
//! Grammar: `--name`, `--name=value`, `--name value`; `-name` is the same when the name is known, else a
//! cluster of one-letter options, of which Kafka has none; `--` ends the options; other words are
//! positional. Names are never abbreviated (`new OptionParser(false)`).

use super::Stop;
use super::exception::Exception;
use std::collections::VecDeque;

/// Whether an option takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    None,
    Optional,
    Required,
}

/// The options of one tool.
#[derive(Clone, Debug)]
pub struct OptionTable {
    text: &'static str,
    rows: Vec<(String, Argument)>,
}

impl OptionTable {
    /// Reads a usage table as jopt-simple prints it.
    pub fn new(text: &'static str) -> OptionTable {
        let mut table = OptionTable { text, rows: Vec::new() };
        table.rows = rows_of(text);
        table
    }

    /// Accepts the options of `other` too; the printed table stays this one's.
    pub fn and_of(mut self, other: &'static str) -> OptionTable {
        for row in rows_of(other) {
            if !self.rows.iter().any(|(name, _)| *name == row.0) {
                self.rows.push(row);
            }
        }
        self
    }

    fn find(&self, name: &str) -> Option<Argument> {
        self.rows.iter().find(|(known, _)| known == name).map(|(_, argument)| *argument)
    }

    /// Ends the tool with `message` and the table on stderr, exit code 1.
    pub fn usage(&self, message: impl Into<String>) -> Stop {
        Stop::Usage { message: message.into(), table: self.text }
    }

    /// Reads a command line. Errors are `joptsimple.OptionException`s.
    pub fn parse(self, args: &[String]) -> Result<Options, Exception> {
        let mut words: VecDeque<&String> = args.iter().collect();
        let mut given = Vec::new();
        while let Some(word) = words.pop_front() {
            if word == "--" {
                break;
            }
            let Some(option) = option_word(word) else { continue };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (option, None),
            };
            let Some(argument) = self.find(name) else {
                // `-nosuch` is a cluster of letters, so its first letter is what is not known.
                let is_long = word.starts_with("--");
                let unknown =
                    if is_long { name } else { &name[..name.chars().next().map_or(0, char::len_utf8)] };
                return Err(unrecognized(unknown));
            };
            let value = match (argument, value) {
                (Argument::None, _) => None,
                (_, Some(value)) => Some(value),
                (Argument::Required, None) => {
                    Some(words.pop_front().ok_or_else(|| missing_argument(name))?.clone())
                }
                (Argument::Optional, None) => match words.front() {
                    Some(next) if option_word(next).is_none() && *next != "--" => words.pop_front().cloned(),
                    _ => None,
                },
            };
            given.push((name.to_string(), value));
        }
        Ok(Options { table: self, given, is_empty: args.is_empty() })
    }
}

/// The word without its dashes, if it looks like an option.
fn option_word(word: &str) -> Option<&str> {
    match word.strip_prefix("--") {
        Some(name) => (!name.is_empty()).then_some(name),
        None => word.strip_prefix('-').filter(|name| !name.is_empty()),
    }
}

fn unrecognized(name: &str) -> Exception {
    Exception::new("joptsimple.UnrecognizedOptionException", format!("{name} is not a recognized option"))
}

fn missing_argument(name: &str) -> Exception {
    let class = "joptsimple.OptionMissingRequiredArgumentException";
    Exception::new(class, format!("Option {name} requires an argument"))
}

fn rows_of(text: &str) -> Vec<(String, Argument)> {
    let column = text.lines().next().and_then(|line| line.find("Description")).unwrap_or(0);
    let mut specs: Vec<String> = Vec::new();
    for line in text.lines().skip(2) {
        let left = line.get(..column).unwrap_or(line);
        if let Some(first) = left.strip_prefix("* ").or(Some(left)).filter(|left| left.starts_with("--")) {
            specs.push(first.trim_end().to_string());
        } else if let Some(spec) = specs.last_mut() {
            spec.push_str(left.trim_end());
        }
    }
    specs
        .iter()
        .map(|spec| {
            let (name, rest) = spec.split_once(' ').unwrap_or((spec, ""));
            let argument = match rest.trim_start().bytes().next() {
                Some(b'<') => Argument::Required,
                Some(b'[') => Argument::Optional,
                _ => Argument::None,
            };
            (name.trim_start_matches("--").to_string(), argument)
        })
        .collect()
}

/// A command line that was read.
#[derive(Clone, Debug)]
pub struct Options {
    table: OptionTable,
    given: Vec<(String, Option<String>)>,
    is_empty: bool,
}

impl Options {
    /// True if the command line had no words at all.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// True if the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| given == name)
    }

    /// The options as they were given.
    pub fn given(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.given.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Every argument of an option, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.given
            .iter()
            .filter(|(given, _)| given == name)
            .filter_map(|(_, value)| value.as_deref())
            .collect()
    }

    /// The argument of an option that may be given once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Exception> {
        match self.values(name).as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Exception::new(
                "joptsimple.MultipleArgumentsForOptionException",
                format!("Found multiple arguments for option {name}, but you asked for only one"),
            )),
        }
    }

    /// The argument of an option as a number of Java's width `T`.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Exception> {
        let Some(text) = self.value(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Exception::new(
                "joptsimple.OptionArgumentConversionException",
                format!("Cannot parse argument '{text}' of option {name}"),
            )
        })
    }

    /// Ends the tool with `message` and the table on stderr, exit code 1.
    pub fn usage(&self, message: impl Into<String>) -> Stop {
        self.table.usage(message)
    }

    /// Refuses a command line that lacks one of the options.
    pub fn check_required(&self, names: &[&str]) -> Result<(), Stop> {
        match names.iter().find(|name| !self.has(name)) {
            Some(name) => Err(self.usage(format!("Missing required argument \"[{name}]\""))),
            None => Ok(()),
        }
    }

    /// Refuses a list of addresses of which one has no port.
    pub fn check_ports(&self, addresses: &str) -> Result<(), Stop> {
        let list = addresses.trim_end_matches(',');
        if list.split(',').all(|address| super::client::Address::parse(address).is_some()) {
            return Ok(());
        }
        Err(self.usage("Please provide valid host:port like host1:9091,host2:9092\n "))
    }

    /// Refuses `used` together with one of `invalid`. 1.1.1 forgot the blank before the second name.
    pub fn check_invalid(&self, used: &str, invalid: &[&str], shape: super::Shape) -> Result<(), Stop> {
        let blank = if shape == super::Shape::V1_1_1 { "" } else { " " };
        match invalid.iter().find(|name| self.has(used) && self.has(name)) {
            Some(name) => {
                Err(self.usage(format!("Option \"[{used}]\" can't be used with option{blank}\"[{name}]\"")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Option                   Description  \n------                   -----------  \n\
        --codec [String: the     text with --dashes\n  codec]                 more\n\
        --count <Integer: n>     --not an option\n--list                   List\n";

    fn parse(words: &[&str]) -> Result<Options, Exception> {
        let args: Vec<String> = words.iter().map(|w| w.to_string()).collect();
        OptionTable::new(TABLE).parse(&args)
    }

    #[test]
    fn the_table_defines_the_options() {
        let rows = OptionTable::new(TABLE).rows;
        let expected =
            [("codec", Argument::Optional), ("count", Argument::Required), ("list", Argument::None)];
        assert_eq!(rows, expected.map(|(name, argument)| (name.to_string(), argument)));
    }

    #[test]
    fn every_way_to_write_an_option() {
        for words in [&["--count", "3"][..], &["--count=3"], &["-count", "3"], &["-count=3"]] {
            assert_eq!(parse(words).unwrap().number::<i32>("count").unwrap(), Some(3), "{words:?}");
        }
        let options = parse(&["stray", "-list", "--codec", "--count", "-2", "--", "--nosuch"]).unwrap();
        assert!(options.has("list") && options.has("codec"));
        assert_eq!(options.value("codec").unwrap(), None);
        assert_eq!(options.number::<i64>("count").unwrap(), Some(-2));
        assert_eq!(parse(&["--codec", "lz4"]).unwrap().value("codec").unwrap(), Some("lz4"));
    }

    #[test]
    fn errors_carry_the_words_of_jopt_simple() {
        let text = |words: &[&str]| parse(words).unwrap_err().first_line();
        assert_eq!(
            text(&["--lis"]),
            "joptsimple.UnrecognizedOptionException: lis is not a recognized option"
        );
        assert_eq!(
            text(&["-nosuch"]),
            "joptsimple.UnrecognizedOptionException: n is not a recognized option"
        );
        assert_eq!(
            text(&["--count"]),
            "joptsimple.OptionMissingRequiredArgumentException: Option count requires an argument"
        );
        let twice = parse(&["--count", "1", "--count", "2"]).unwrap();
        assert_eq!(
            twice.number::<i32>("count").unwrap_err().message.as_deref(),
            Some("Found multiple arguments for option count, but you asked for only one")
        );
        let bad = parse(&["--count", "two"]).unwrap().number::<i32>("count").unwrap_err();
        assert_eq!(bad.message.as_deref(), Some("Cannot parse argument 'two' of option count"));
    }
}
