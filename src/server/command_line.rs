//! `kafka-server FILE [--override KEY=VALUE]...`, as `kafka.Kafka` takes it, and two options of our own ways:
//! `--version`, `--check-config FILE`. Words up to `kafka.Kafka` are for stop scripts that look for a JVM with this class
//! (`tools::server::run_class`), and skipped.

use std::path::PathBuf;

/// What the process is asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Run a broker.
    Run(Source),
    /// Check a configuration and say what is wrong with it.
    CheckConfig(Source),
    /// Print the version.
    Version,
    /// No arguments, or `--help`: print the usage.
    Usage,
}

/// Where the configuration comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The properties file.
    pub path: PathBuf,
    /// `key=value` of `--override`, which win.
    pub overrides: Vec<String>,
}

/// The class that Kafka's start script names.
pub const CLASS: &str = "kafka.Kafka";

/// What Kafka prints in place of [`USAGE`].
pub const START_SCRIPT_USAGE: &str = "\
USAGE: java [options] kafka.Kafka server.properties [--override property=value]*
Option               Description                                         
------               -----------                                         
--override <String>  Optional property that should override values set in
                       server.properties file                            
--version            Print version information and exit.                 ";

/// The text that [`Command::Usage`] prints.
pub const USAGE: &str = "\
USAGE: kafka-server server.properties [--override property=value]*
       kafka-server --check-config server.properties [--override property=value]*
       kafka-server --version";

/// Reads the arguments after the program's name. The error is the line of Kafka's exception.
pub fn parse(arguments: &[String]) -> Result<Command, String> {
    let mut overrides = Vec::new();
    let mut paths = Vec::new();
    let mut check = false;
    let mut arguments = own(arguments).iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-help" => return Ok(Command::Usage),
            "--version" => return Ok(Command::Version),
            "--check-config" => check = true,
            "--override" => overrides.push(
                arguments
                    .next()
                    .ok_or("joptsimple.OptionMissingRequiredArgumentException: Option override requires an argument")?
                    .clone(),
            ),
            other => match other.strip_prefix("--override=") {
                Some(value) => overrides.push(value.to_string()),
                None if other.starts_with('-') && other.len() > 1 => {
                    let name = other.trim_start_matches('-');
                    return Err(format!("joptsimple.UnrecognizedOptionException: {name} is not a recognized option"));
                }
                None => paths.push(PathBuf::from(other)),
            },
        }
    }
    if paths.len() > 1 {
        let extra: Vec<_> = paths[1..].iter().map(|path| path.display().to_string()).collect();
        return Err(format!(
            "joptsimple.OptionException: Found non argument parameters: {}",
            extra.join(",")
        ));
    }
    let Some(path) = paths.pop() else { return Ok(Command::Usage) };
    let source = Source { path, overrides };
    Ok(if check { Command::CheckConfig(source) } else { Command::Run(source) })
}

/// The arguments after `-D… kafka.Kafka`, or all.
fn own(arguments: &[String]) -> &[String] {
    let properties = arguments.iter().take_while(|argument| argument.starts_with("-D")).count();
    match arguments.get(properties) {
        Some(class) if class == CLASS => &arguments[properties + 1..],
        _ => arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(&arguments.iter().map(|a| a.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn commands() {
        let source = Source { path: "s.properties".into(), overrides: vec!["a=b".into(), "c=d".into()] };
        assert_eq!(
            parsed(&["s.properties", "--override", "a=b", "--override=c=d"]),
            Ok(Command::Run(source.clone()))
        );
        assert_eq!(
            parsed(&["--check-config", "s.properties", "--override", "a=b", "--override", "c=d"]),
            Ok(Command::CheckConfig(source))
        );
        assert_eq!(parsed(&["-Da=java", "-Db", "kafka.Kafka", "s"]), parsed(&["s"]));
        assert_eq!(parsed(&["-Da=java", "kafka.Kafka"]), Ok(Command::Usage));
        assert_eq!(parsed(&["kafka.Kafka", "s"]), parsed(&["s"]));
        assert_eq!(parsed(&[]), Ok(Command::Usage));
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
        assert_eq!(
            parsed(&["s.properties", "--nosuch"]),
            Err("joptsimple.UnrecognizedOptionException: nosuch is not a recognized option".into())
        );
        assert!(parsed(&["s.properties", "--override"]).is_err());
        assert!(parsed(&["a", "b"]).is_err());
    }
}
