//! Command line options as argparse4j 0.7.0 reads them, which the tools that Kafka wrote in Java use.
//!
//! Grammar: `--flag VALUE`, `--flag=VALUE`, `--flag VALUE…` for lists; a flag may be cut short where no other
//! begins alike; a number with a minus is a value. There are no positional arguments.

use super::{Stop, output};
use crate::tools::exception::Exception;

/// Columns of usage and error texts.
const WIDTH: usize = 75;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Flag,
    /// A text.
    Text,
    /// One or more texts.
    Many,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// One of these numbers.
    IntOf(&'static [i32]),
}

/// A flag and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// With its dashes.
    pub flag: &'static str,
    /// What follows it.
    pub kind: Kind,
    /// How it goes with others.
    pub need: Need,
}

/// Whether an argument has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It may be left out.
    Optional,
    /// It may not.
    Required,
    /// Exactly one of those that are marked so.
    OneOf,
}

/// A tool's arguments.
pub struct Parser {
    /// As the tool calls itself.
    pub program: &'static str,
    /// The help text, the usage first, up to an empty line.
    pub help: &'static str,
    /// In the order of their definition.
    pub arguments: &'static [Argument],
}

/// A command line that was read.
#[derive(Debug, Default)]
pub struct Parsed {
    given: Vec<(&'static str, Vec<String>)>,
}

impl Parsed {
    /// True if the flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == flag)
    }

    /// The texts of the flag's last use.
    pub fn values(&self, flag: &str) -> &[String] {
        let last = self.given.iter().rev().find(|(given, _)| *given == flag);
        last.map_or(&[], |(_, values)| values.as_slice())
    }

    /// The text of the flag's last use.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.values(flag).first().map(String::as_str)
    }

    /// The number of the flag's last use, which was checked.
    pub fn number(&self, flag: &str) -> Option<i64> {
        self.value(flag)?.parse().ok()
    }
}

impl Parser {
    /// Reads a command line. Help, and errors, are written here.
    pub fn parse(&self, args: &[String]) -> Result<Parsed, Stop> {
        let mut parsed = Parsed::default();
        let mut one_of: Option<&'static str> = None;
        let mut words = args.iter().peekable();
        while let Some(word) = words.next() {
            if !is_flag(word) {
                let rest: Vec<&str> = std::iter::once(word).chain(words).map(String::as_str).collect();
                return Err(self.error(&format!("unrecognized arguments: '{}'", rest.join(" "))));
            }
            let (flag, embedded) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            let Some(argument) = self.resolve(flag, word)? else { return Err(self.show_help()) };
            if argument.need == Need::OneOf {
                let first = *one_of.get_or_insert(argument.flag);
                if first != argument.flag {
                    return Err(
                        self.error(&format!("argument {}: not allowed with argument {first}", argument.flag))
                    );
                }
            }
            let mut values: Vec<String> = embedded.into_iter().collect();
            let most = match argument.kind {
                Kind::Flag => 0,
                Kind::Many => usize::MAX,
                _ => 1,
            };
            while values.is_empty() || (most > 1 && !word.contains('=')) {
                match words.next_if(|next| values.len() < most && !is_flag(next)) {
                    Some(next) => values.push(next.clone()),
                    None => break,
                }
            }
            self.check(argument, &values)?;
            parsed.given.push((argument.flag, values));
        }
        self.check_needs(&parsed)?;
        Ok(parsed)
    }

    /// The argument that a flag names, in full or cut short; `None`: help.
    fn resolve(&self, flag: &str, word: &str) -> Result<Option<&'static Argument>, Stop> {
        if let Some(argument) = self.arguments.iter().find(|argument| argument.flag == flag) {
            return Ok(Some(argument));
        }
        if flag == "-h" || flag == "--help" {
            return Ok(None);
        }
        let all = self.arguments.iter().map(|argument| argument.flag).chain(["--help"]);
        let mut candidates: Vec<&str> = all.filter(|known| known.starts_with(flag)).collect();
        match candidates.as_slice() {
            [] => Err(self.error(&format!("unrecognized arguments: '{word}'"))),
            [one] => Ok(self.arguments.iter().find(|argument| argument.flag == *one)),
            _ => {
                candidates.sort_unstable();
                let list = candidates.join(", ");
                Err(self.error(&format!("ambiguous option: {flag} could match {list}")))
            }
        }
    }

    fn check(&self, argument: &Argument, values: &[String]) -> Result<(), Stop> {
        let flag = argument.flag;
        let fail = |message: String| Err(self.error(&format!("argument {flag}: {message}")));
        let Some(value) = values.first() else {
            return match argument.kind {
                Kind::Flag => Ok(()),
                Kind::Many => fail("expected 1 argument(s)".to_string()),
                _ => fail("expected one argument".to_string()),
            };
        };
        let no_number = |class: &str| {
            fail(format!("could not convert '{value}' to {class} (For input string: \"{value}\")"))
        };
        match argument.kind {
            Kind::Flag => fail(format!("ignore implicit argument '{value}'")),
            Kind::Int if value.parse::<i32>().is_err() => no_number("Integer"),
            Kind::Long if value.parse::<i64>().is_err() => no_number("Long"),
            Kind::IntOf(choice) => match value.parse::<i32>() {
                Ok(number) if choice.contains(&number) => Ok(()),
                Ok(_) => {
                    let list = choice.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
                    fail(format!("invalid choice: '{value}' (choose from {{{list}}})"))
                }
                Err(_) => no_number("Integer"),
            },
            _ => Ok(()),
        }
    }

    fn check_needs(&self, parsed: &Parsed) -> Result<(), Stop> {
        let is_missing = |argument: &&Argument| argument.need == Need::Required && !parsed.has(argument.flag);
        // Of several, argparse4j names the last.
        if let Some(missing) = self.arguments.iter().rev().find(is_missing) {
            return Err(self.error(&format!("argument {} is required", missing.flag)));
        }
        let one_of: Vec<&str> = self
            .arguments
            .iter()
            .filter(|argument| argument.need == Need::OneOf)
            .map(|argument| argument.flag)
            .collect();
        if one_of.is_empty() || one_of.iter().any(|flag| parsed.has(flag)) {
            return Ok(());
        }
        Err(self.error(&format!("one of the arguments {} is required", one_of.join(" "))))
    }

    /// Usage and error on stderr, exit code 1.
    pub fn error(&self, message: &str) -> Stop {
        let usage = self.help.split("\n\n").next().unwrap_or_default();
        err_line!("{usage}");
        err_line!("{}", wrap(&format!("{}: error: {message}", self.program), WIDTH));
        Stop::Exit(1)
    }

    /// The help text on stdout; asked for, it ends with exit code 1.
    pub fn show_help(&self) -> Stop {
        output::out(format_args!("{}", self.help));
        Stop::Exit(1)
    }
}

/// `IllegalArgumentException` of a word that is no `KEY=VALUE`.
pub fn invalid_property(word: &str) -> Exception {
    Exception::illegal_argument(format!("Invalid property: {word}"))
}

fn is_flag(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else { return false };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    !is_number
}

/// Breaks lines after blanks and hyphens, and stretches each to the full width.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for piece in pieces(text) {
        if line.chars().count() + piece.chars().count() > width {
            out.push_str(&stretch(&line, width));
            out.push('\n');
            line.clear();
        }
        line.push_str(piece);
    }
    out + &line
}

/// The text cut where a line may break.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for i in 1..bytes.len() {
        let after_blank = bytes[i - 1] == b' ' && bytes[i] != b' ';
        let after_hyphen = bytes[i - 1] == b'-' && bytes[i].is_ascii_alphabetic();
        if after_blank || after_hyphen {
            pieces.push(&text[start..i]);
            start = i;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// Adds blanks between words, the odd ones in the middle.
fn stretch(line: &str, width: usize) -> String {
    let line = line.trim_matches(' ');
    let mut gaps = 0;
    let mut previous = 'x';
    for c in line.chars() {
        gaps += usize::from(c == ' ' && previous != ' ');
        previous = c;
    }
    if gaps == 0 {
        return line.to_string();
    }
    let needed = width.saturating_sub(line.chars().count());
    let (each, odd) = (needed / gaps, needed % gaps);
    let odd_start = (gaps - odd).div_ceil(2);
    let mut out = String::new();
    let mut gap = 0;
    let mut previous = 'x';
    for c in line.chars() {
        if c == ' ' && previous != ' ' {
            let more = usize::from((odd_start..odd_start + odd).contains(&gap));
            out.extend(std::iter::repeat_n(' ', each + more));
            gap += 1;
        }
        out.push(c);
        previous = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARSER: Parser = Parser {
        program: "test",
        help: "usage: test\n\nhelp\n",
        arguments: &[
            Argument { flag: "--topic", kind: Kind::Text, need: Need::Required },
            Argument { flag: "--throughput", kind: Kind::Int, need: Need::Optional },
            Argument { flag: "--props", kind: Kind::Many, need: Need::Optional },
            Argument { flag: "--verbose", kind: Kind::Flag, need: Need::Optional },
            Argument { flag: "--acks", kind: Kind::IntOf(&[0, 1, -1]), need: Need::Optional },
        ],
    };

    fn parse(line: &str) -> Result<Parsed, Stop> {
        PARSER.parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_to_write_an_argument() {
        let parsed = parse("--topic t --throughput -1 --props a=1 b=2 --verb --acks=-1").unwrap();
        assert_eq!(parsed.value("--topic"), Some("t"));
        assert_eq!(parsed.number("--throughput"), Some(-1));
        assert_eq!(parsed.values("--props"), ["a=1", "b=2"]);
        assert!(parsed.has("--verbose"));
        assert_eq!(parsed.number("--acks"), Some(-1));
    }

    #[test]
    fn bad_lines_end_with_code_1() {
        for line in [
            "",
            "--topic",
            "--topic t --throughput x",
            "--topic t --verbose=1",
            "--topic t stray",
            "--topic t --nosuch",
            "--topic t --acks 2",
            "--t x",
            "--topic t --props",
            "--help",
        ] {
            assert_eq!(parse(line).unwrap_err(), Stop::Exit(1), "{line}");
        }
    }

    #[test]
    fn lines_are_stretched_as_argparse4j_does() {
        // golden: perf/06 and perf/07
        let text =
            "producer-performance: error: Either --producer-props or --producer.config must be specified.";
        assert_eq!(
            wrap(text, WIDTH),
            "producer-performance: error: Either  --producer-props  or --producer.config\nmust be specified."
        );
        let text =
            "producer-performance: error: argument --payload-file: not allowed with argument --record-size";
        assert_eq!(
            wrap(text, WIDTH),
            "producer-performance: error:  argument  --payload-file:  not  allowed  with\nargument --record-size"
        );
    }
}
