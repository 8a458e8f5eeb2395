//! `kafka-dump-log.sh` (`kafka.tools.DumpLogSegments`): what stands in the files of a partition's directory.
//!
//! Source: Kafka 2.8.2 and 1.1.1, `kafka/tools/DumpLogSegments.scala`, `kafka/log/{OffsetIndex,TimeIndex,
//! TransactionIndex,ProducerStateManager}.scala`. Left out: `--cluster-metadata-decoder` (KRaft's log).

mod index;
mod parser;
mod records;
mod segment;

use super::exception::Exception;
use super::options::Options;
use super::{Outcome, Shape, ShapeChoice, Stop, VERSION};
use parser::Parser;
use std::path::{Path, PathBuf};

/// A checked command line.
struct Plan {
    shape: Shape,
    prints_data: bool,
    is_deep: bool,
    skips_record_metadata: bool,
    verifies_only: bool,
    checks_sanity_only: bool,
    max_message_size: i32,
    parser: Parser,
}

/// What is said at the end, in the order in which it was found.
#[derive(Default)]
struct Findings {
    /// Of an offset index: file; offsets in index and log, the newest first.
    mismatches: Vec<(PathBuf, Vec<(i64, i64)>)>,
    time_mismatches: Vec<(PathBuf, Vec<(i64, i64)>)>,
    time_disorders: Vec<(PathBuf, Vec<(i64, i64)>)>,
    offsets_not_found: Vec<(PathBuf, Vec<(i64, i64)>)>,
    gaps: Vec<(PathBuf, Vec<(i64, i64)>)>,
}

/// Runs the command.
pub fn run(args: &[String]) -> Outcome {
    let choice = ShapeChoice::of_environment(args);
    let table = choice.table(
        include_str!("../usage/1.1.1/kafka.tools.DumpLogSegments.txt"),
        include_str!("../usage/2.8.2/kafka-dump-log.sh.txt"),
    );
    let options = table.parse(args)?;
    if options.is_empty() || options.has("help") {
        let help = match choice.shape {
            Shape::V1_1_1 => "Parse a log file and dump its contents to the console",
            Shape::V2_8_2 => "This tool helps to parse a log file and dump its contents to the console",
        };
        return Err(options.usage(format!("{help}, useful for debugging a seemingly corrupt log segment.")));
    }
    if options.has("version") {
        out_line!("{VERSION}");
        return Ok(());
    }
    options.check_required(&["files"])?;
    let files = options.value("files")?.unwrap_or_default();
    let mut findings = Findings::default();
    for file in java_split(files) {
        out_line!("Dumping {}", Path::new(file).display());
        // Bad options are found out no earlier, as in Kafka.
        dump(Path::new(file), &plan(&options, choice.shape)?, &mut findings)?;
    }
    findings.say(choice.shape);
    Ok(())
}

/// Java's `split(",")`: empty words at the end do not count.
fn java_split(list: &str) -> impl Iterator<Item = &str> {
    list.trim_end_matches(',').split(',')
}

fn plan(options: &Options, shape: Shape) -> Result<Plan, Stop> {
    if options.has("cluster-metadata-decoder") {
        err_line!(
            "--cluster-metadata-decoder reads the log of KRaft, which clusters with ZooKeeper do not have."
        );
        return Err(Stop::Exit(1));
    }
    let decoders = [
        "print-data-log",
        "offsets-decoder",
        "transaction-log-decoder",
        "value-decoder-class",
        "key-decoder-class",
    ];
    let prints_data = decoders.iter().any(|name| options.has(name));
    let parser = if options.has("offsets-decoder") {
        Parser::Offsets
    } else if options.has("transaction-log-decoder") {
        Parser::Transactions
    } else {
        Parser::decoders(options.value("key-decoder-class")?, options.value("value-decoder-class")?)?
    };
    Ok(Plan {
        shape,
        prints_data,
        is_deep: options.has("deep-iteration") || prints_data,
        skips_record_metadata: options.has("skip-record-metadata"),
        verifies_only: options.has("verify-index-only"),
        checks_sanity_only: options.has("index-sanity-check"),
        max_message_size: options.number("max-message-size")?.unwrap_or(5 * 1024 * 1024),
        parser,
    })
}

fn dump(file: &Path, plan: &Plan, findings: &mut Findings) -> Result<(), Exception> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(dot) = name.rfind('.') else {
        let length = name.encode_utf16().count();
        let message = format!("begin -1, end {length}, length {length}");
        return Err(Exception::new("java.lang.StringIndexOutOfBoundsException", message));
    };
    match &name[dot..] {
        ".log" => records::dump(file, plan, &mut findings.gaps),
        ".index" => index::dump_offsets(file, plan, &mut findings.mismatches),
        ".timeindex" => index::dump_times(file, plan, findings),
        ".snapshot" => index::dump_snapshot(file),
        ".txnindex" => index::dump_aborted(file),
        _ => {
            err_line!("Ignoring unknown file {}", file.display());
            Ok(())
        }
    }
}

/// The offset that a file's name begins with.
fn base_offset(file: &Path) -> Result<i64, Exception> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = name.split('.').next().unwrap_or_default();
    digits.parse().map_err(|_| {
        Exception::new("java.lang.NumberFormatException", format!("For input string: \"{digits}\""))
    })
}

/// Another file of the same segment.
fn sibling(file: &Path, suffix: &str) -> PathBuf {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    absolute(file).with_file_name(format!("{}{suffix}", name.split('.').next().unwrap_or_default()))
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf())
}

/// Adds a pair to a file's list.
fn note(lists: &mut Vec<(PathBuf, Vec<(i64, i64)>)>, file: &Path, pair: (i64, i64)) {
    let file = absolute(file);
    match lists.iter_mut().find(|(known, _)| *known == file) {
        Some((_, pairs)) => pairs.push(pair),
        None => lists.push((file, vec![pair])),
    }
}

fn io_error(file: &Path, error: &std::io::Error) -> Exception {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Exception::new("java.nio.file.NoSuchFileException", file.display().to_string())
        }
        std::io::ErrorKind::PermissionDenied => {
            Exception::new("java.nio.file.AccessDeniedException", file.display().to_string())
        }
        _ => Exception::new("java.io.IOException", format!("{}: {error}", file.display())),
    }
}

impl Findings {
    /// Java's lists of these grow at their head; those of the time index at their end.
    fn say(&self, shape: Shape) {
        for (file, pairs) in &self.mismatches {
            err_line!("Mismatches in :{}", file.display());
            for (index, log) in pairs.iter().rev() {
                err_line!("  Index offset: {index}, log offset: {log}");
            }
        }
        for (file, pairs) in &self.time_mismatches {
            err_line!("Found timestamp mismatch in :{}", file.display());
            for (index, log) in pairs {
                err_line!("  Index timestamp: {index}, log timestamp: {log}");
            }
        }
        for (file, pairs) in &self.time_disorders {
            err_line!("Found out of order timestamp in :{}", file.display());
            for (index, previous) in pairs {
                err_line!("  Index timestamp: {index}, Previously indexed timestamp: {previous}");
            }
        }
        for (_, pairs) in &self.offsets_not_found {
            err_line!("The following indexed offsets are not found in the log.");
            for (index, log) in pairs {
                err_line!("Indexed offset: {index}, found log offset: {log}");
            }
        }
        let colon = if shape == Shape::V1_1_1 { ":" } else { "" };
        for (file, pairs) in &self.gaps {
            err_line!("Non-consecutive offsets in {colon}{}", file.display());
            for (first, second) in pairs.iter().rev() {
                err_line!("  {first} is followed by {second}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_the_base_offset() {
        assert_eq!(base_offset(Path::new("d/00000000000000000017.log")).unwrap(), 17);
        let error = base_offset(Path::new("d/nosuch.log")).unwrap_err().first_line();
        assert_eq!(error, "java.lang.NumberFormatException: For input string: \"nosuch\"");
        assert_eq!(sibling(Path::new("/d/5.timeindex"), ".index"), Path::new("/d/5.index"));
    }
}
