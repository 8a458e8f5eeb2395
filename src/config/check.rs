//! Reading the file of a broker, and `kafka-server --check-config`.

use super::broker::{BrokerConfig, ConfigWarning};
use super::error::{ConfigError, Exception};
use super::properties::Properties;
use std::io;
use std::path::Path;

/// What `--check-config` prints and how it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckReport {
    /// Errors, warnings, then a line that says what the broker would be.
    pub lines: Vec<String>,
    /// 0 if the broker would start with this configuration, else 1.
    pub exit_status: i32,
}

/// Reads a broker's file and the `key=value` arguments of `--override`, which win.
pub fn load(
    path: &Path,
    overrides: &[String],
) -> Result<(BrokerConfig, Vec<ConfigWarning>), Vec<ConfigError>> {
    let mut properties = Properties::read(path).map_err(|error| vec![read_error(path, &error)])?;
    for argument in overrides {
        properties.apply_override(argument);
    }
    BrokerConfig::from_properties(&properties)
}

/// Checks a broker's file without starting anything.
pub fn check(path: &Path, overrides: &[String]) -> CheckReport {
    match load(path, overrides) {
        Err(errors) => CheckReport { lines: errors.iter().map(error_line).collect(), exit_status: 1 },
        Ok((config, warnings)) => {
            let mut lines: Vec<String> = warnings.iter().map(|warning| format!("WARN {warning}")).collect();
            lines.push(summary(path, &config));
            CheckReport { lines, exit_status: 0 }
        }
    }
}

fn error_line(error: &ConfigError) -> String {
    match error.exception {
        // For Kafka the name alone is the message.
        Exception::NoSuchFile => format!("ERROR {}: no such file", error.message),
        _ => format!("ERROR {error}"),
    }
}

fn summary(path: &Path, config: &BrokerConfig) -> String {
    let listeners: Vec<String> = config.listeners.iter().map(ToString::to_string).collect();
    let broker = match config.broker_id {
        -1 => "a broker whose id ZooKeeper gives".to_string(),
        id => format!("broker {id}"),
    };
    format!(
        "OK {} describes {broker} listening on {}, keeping logs in {}, of the cluster at {}",
        path.display(),
        listeners.join(","),
        config.log_dirs.join(","),
        config.zookeeper_connect
    )
}

fn read_error(path: &Path, error: &io::Error) -> ConfigError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => ConfigError::new(Exception::NoSuchFile, None, path.to_string()),
        io::ErrorKind::InvalidData => ConfigError::new(Exception::IllegalArgument, None, error.to_string()),
        _ => ConfigError::new(Exception::Io, None, format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn shipped(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
    }

    #[test]
    fn the_shipped_file_is_valid() {
        let path = shipped("server.properties");
        let (config, _) = load(&path, &[]).expect("valid");
        assert_eq!((config.broker_id, config.zookeeper_connect.as_str()), (0, "localhost:2181"));
        let report = check(&path, &["broker.id=7".to_string(), "listeners=PLAINTEXT://h:1".to_string()]);
        assert_eq!(report.exit_status, 0);
        let last = report.lines.last().expect("a summary");
        assert!(
            last.contains("describes broker 7 listening on PLAINTEXT://h:1, keeping logs in /tmp/kafka-logs")
        );
    }

    #[test]
    fn every_shipped_file_is_well_formed() {
        for name in ["zookeeper.properties", "producer.properties", "consumer.properties"] {
            assert!(Properties::read(&shipped(name)).expect(name).iter().count() > 0, "{name}");
        }
    }

    #[test]
    fn errors_end_with_status_1() {
        let report = check(&shipped("server.properties"), &["broker.id=x".to_string()]);
        assert_eq!(report.exit_status, 1);
        assert_eq!(
            report.lines,
            ["ERROR Invalid value x for configuration broker.id: Not a number of type INT (--override)"]
        );
        let errors = load(Path::new("nosuch.properties"), &[]).expect_err("absent");
        assert_eq!(errors[0].java_line(), "java.nio.file.NoSuchFileException: nosuch.properties");
    }
}
