//! One line of the shell: its words, and the flags among them. Pure.

use super::{ELSEWHERE, Failed};
use crate::zk::ANY_VERSION;

const KNOWN: &[&str] = &[
    "close",
    "create",
    "delete",
    "deleteall",
    "get",
    "history",
    "ls",
    "ls2",
    "printwatches",
    "quit",
    "rmr",
    "set",
    "stat",
    "sync",
];

/// True for a command of ZooKeeper's shell.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || ELSEWHERE.contains(&name)
}

/// The words of a line. What stands between quotes of one kind is one word.
pub(super) fn split(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '"' | '\'').then(|| rest[1..].split_once(first)).flatten();
        let (word, after) = match quoted {
            Some(parts) => parts,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_string());
        rest = after.trim_start();
    }
    words
}

/// A path that ZooKeeper takes.
pub(super) fn checked(path: &str) -> Result<&str, Failed> {
    let refuse = |why: &str| Err(Failed::new(why));
    match path {
        "" => refuse("Path length must be > 0"),
        "/" => Ok(path),
        _ if !path.starts_with('/') => refuse("Path must start with / character"),
        _ if path.ends_with('/') => refuse("Path must not end with / character"),
        _ => Ok(path),
    }
}

/// Flags and words of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    set: Vec<(char, Option<String>)>,
    /// What is no flag.
    pub(super) words: Vec<String>,
}

impl Flags {
    /// `known` are the letters; `v` and `t` take a value. Too few words: `usage`.
    pub(super) fn parse(
        args: &[String],
        known: &str,
        usage: &str,
        words_min: usize,
    ) -> Result<Flags, Failed> {
        let (mut flags, mut args) = (Flags::default(), args.iter());
        while let Some(word) = args.next() {
            let letter = word.strip_prefix('-').filter(|_| flags.words.is_empty());
            let Some(letter) = letter.filter(|letter| !letter.is_empty()) else {
                flags.words.push(word.clone());
                continue;
            };
            let mut letters = letter.chars();
            let flag = letters.next().filter(|flag| known.contains(*flag) && letters.next().is_none());
            let Some(flag) = flag else {
                let exception = "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option:";
                return Err(Failed::new(format!("{exception} {word}")));
            };
            if flag == 'w' {
                return Err(Failed::new("Watches are not in this shell: ZooKeeper's own has them, in a JVM"));
            }
            let value = match flag {
                'v' | 't' => Some(args.next().cloned().ok_or_else(|| {
                    let exception =
                        "org.apache.commons.cli.MissingArgumentException: Missing argument for option:";
                    Failed::new(format!("{exception} {flag}"))
                })?),
                _ => None,
            };
            flags.set.push((flag, value));
        }
        if flags.words.len() < words_min { Err(Failed::new(usage)) } else { Ok(flags) }
    }

    pub(super) fn has(&self, flag: char) -> bool {
        self.set.iter().any(|(set, _)| *set == flag)
    }

    /// That of `-v`, or any.
    pub(super) fn version(&self) -> Result<i32, Failed> {
        let given = self.set.iter().find_map(|(flag, value)| value.as_deref().filter(|_| *flag == 'v'));
        let parse = |text: &str| {
            let message = format!("java.lang.NumberFormatException: For input string: \"{text}\"");
            text.parse().map_err(|_| Failed::new(message))
        };
        given.map_or(Ok(ANY_VERSION), parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, known: &str) -> Result<Flags, Failed> {
        Flags::parse(&split(line), known, "usage", 1)
    }

    #[test]
    fn words_may_be_quoted() {
        assert_eq!(
            split("  create /a  \"two words\" 'it is' x\"y "),
            ["create", "/a", "two words", "it is", "x\"y"]
        );
        assert_eq!(split("set /a \"open"), ["set", "/a", "\"open"]);
        assert_eq!(split(" "), Vec::<String>::new());
    }

    #[test]
    fn flags_stand_before_the_path() {
        let flags = parse("-s -v 3 /a -x", "sv").expect("flags");
        assert!(flags.has('s') && flags.version() == Ok(3));
        assert_eq!(flags.words, ["/a", "-x"]);
        assert_eq!(parse("/a", "s").expect("a path").version(), Ok(ANY_VERSION));
        assert_eq!(parse("-s", "s"), Err(Failed::new("usage")));
        assert!(parse("-x /a", "s").is_err_and(|failed| failed.0.ends_with("Unrecognized option: -x")));
        assert!(parse("-v", "v").is_err_and(|failed| failed.0.contains("Missing argument")));
        assert!(parse("-v x /a", "v").expect("flags").version().is_err());
        for (path, why) in [("a", "must start"), ("/a/", "must not end"), ("//", "must not end")] {
            assert!(checked(path).is_err_and(|failed| failed.0.contains(why)), "{path}");
        }
    }
}
