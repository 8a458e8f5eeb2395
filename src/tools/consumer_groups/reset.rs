//! `--reset-offsets`: where groups without members go on.
//!
//! Source: Kafka 2.8.2, `ConsumerGroupCommand.scala` (`resetOffsets`, `prepareOffsetsToReset`).

use super::csv::{self, Plan};
use super::times::{parse_date_time, parse_duration};
use super::{Request, SCENARIOS_HASHED};
use crate::common::{Offset, TopicPartition, clock};
use crate::tools::client::Admin;
use crate::tools::client::groups::Offsets;
use crate::tools::client::offsets::{EARLIEST, LATEST};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use crate::tools::{Outcome, Shape, Stop};
use bytestring::ByteString;

const LOGGER: &str = "kafka.admin.ConsumerGroupCommand$";

/// New offsets, in the order in which they are shown.
type Prepared = Vec<(TopicPartition, Offset)>;

/// Runs `--reset-offsets`.
pub fn run(request: &Request, admin: &mut Admin) -> Outcome {
    let groups = match request.shape {
        Shape::V1_1_1 => vec![ByteString::from(request.options.value("group")?.unwrap_or_default())],
        Shape::V2_8_2 => request.groups(admin)?,
    };
    let mut described = Vec::new();
    for group in groups {
        described.push(admin.describe_group(&group).map_err(|cause| request.failed(cause))?);
    }
    let mut reset = Reset { request, admin, plan: None };
    let mut results: Vec<(ByteString, Prepared)> = Vec::new();
    for group in described {
        let state = &*group.state;
        if !["Empty", "Dead"].contains(&state) {
            request.say_error(&format!(
                "Assignments can only be reset if the group '{}' is inactive, but the current state is {state}.",
                group.id
            ));
            results.push((group.id, Prepared::new()));
            continue;
        }
        let partitions = reset.partitions(&group.id)?;
        let prepared = reset.prepare(&group.id, partitions)?;
        if request.has("execute") && !request.has("dry-run") && !prepared.is_empty() {
            let done = reset.admin.commit_offsets(&group.id, &prepared);
            done.map_err(|cause| request.failed(cause))?;
        }
        results.push((group.id, prepared));
    }
    match request.has("export") {
        true => export(request, &results),
        false => show(request.shape, &results),
    }
    Ok(())
}

fn show(shape: Shape, results: &[(ByteString, Prepared)]) {
    let line = |group: &str, topic: &str, partition: &str, offset: &str| match shape {
        Shape::V1_1_1 => out_line!("{topic:<30} {partition:<10} {offset:<15}"),
        Shape::V2_8_2 => out_line!("{group:<30} {topic:<30} {partition:<10} {offset:<15}"),
    };
    if !results.is_empty() {
        out_line!("");
        line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (group, prepared) in results {
        for (key, offset) in prepared {
            line(group, &key.topic, &key.partition.to_string(), &offset.to_string());
        }
    }
}

fn export(request: &Request, results: &[(ByteString, Prepared)]) {
    let is_single = request.options.values("group").len() == 1;
    let mut text = String::new();
    for (group, prepared) in results {
        for (key, offset) in prepared {
            text.push_str(&match request.shape {
                Shape::V1_1_1 => format!("{},{},{offset}\n", key.topic, key.partition),
                Shape::V2_8_2 => csv::line(Some(&**group).filter(|_| !is_single), key, *offset),
            });
        }
    }
    out_line!("{text}");
}

struct Reset<'a> {
    request: &'a Request,
    admin: &'a mut Admin,
    /// `--from-file`, read once.
    plan: Option<Plan>,
}

impl Reset<'_> {
    /// The partitions of `--all-topics` or `--topic`; none for `--from-file`, which names its own.
    fn partitions(&mut self, group: &ByteString) -> Result<Vec<TopicPartition>, Stop> {
        let request = self.request;
        if request.has("all-topics") {
            return Ok(self.committed(group)?.into_keys().collect());
        }
        if !request.has("topic") {
            return match request.has("from-file") {
                true => Ok(Vec::new()),
                false => {
                    Err(request.usage("One of the reset scopes should be defined: --all-topics, --topic."))
                }
            };
        }
        let mut partitions: Vec<TopicPartition> = Vec::new();
        for topic in request.options.values("topic") {
            let found = match topic.contains(':') {
                true => named_partitions(topic)?,
                false => self.all_partitions(topic)?,
            };
            for key in found {
                if !partitions.contains(&key) {
                    partitions.push(key);
                }
            }
        }
        Ok(partitions)
    }

    fn all_partitions(&mut self, topic: &str) -> Result<Vec<TopicPartition>, Stop> {
        let name = ByteString::from(topic);
        let described = self.admin.describe_topics(std::slice::from_ref(&name));
        let described = described.map_err(|cause| self.request.failed(cause))?;
        let rows = described.iter().flat_map(|topic| &topic.partitions);
        let mut found: Vec<i32> = rows.map(|row| row.partition_index).collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|partition| TopicPartition { topic: name.clone(), partition }).collect())
    }

    fn committed(&mut self, group: &ByteString) -> Result<Offsets, Stop> {
        self.admin.committed_offsets(group).map_err(|cause| self.request.failed(cause))
    }

    fn offsets_at(&mut self, partitions: &[TopicPartition], timestamp: i64) -> Result<Offsets, Stop> {
        self.admin.offsets_at(partitions, timestamp).map_err(|cause| self.request.failed(cause))
    }

    /// What the scenario makes of the partitions.
    fn prepare(&mut self, group: &ByteString, partitions: Vec<TopicPartition>) -> Result<Prepared, Stop> {
        let options = &self.request.options;
        if self.request.has("to-offset") {
            let offset = options.number::<i64>("to-offset")?.unwrap_or(0);
            self.within_log(partitions.into_iter().map(|key| (key, offset)).collect())
        } else if self.request.has("to-earliest") {
            self.prepare_at(partitions, EARLIEST)
        } else if self.request.has("to-latest") {
            self.prepare_at(partitions, LATEST)
        } else if self.request.has("shift-by") {
            self.prepare_shifted(group, partitions)
        } else if self.request.has("to-datetime") {
            let timestamp = parse_date_time(options.value("to-datetime")?.unwrap_or_default())?;
            self.prepare_since(partitions, timestamp)
        } else if self.request.has("by-duration") {
            let duration_ms = parse_duration(options.value("by-duration")?.unwrap_or_default())?;
            self.prepare_since(partitions, clock::now_ms() - duration_ms)
        } else if self.request.has("from-file") {
            self.prepare_from_file(group)
        } else if self.request.has("to-current") {
            self.prepare_current(group, partitions)
        } else {
            let scenarios: Vec<String> =
                SCENARIOS_HASHED.iter().map(|scenario| format!("[{scenario}]")).collect();
            let set = if self.request.shape == Shape::V1_1_1 { "Set" } else { "HashSet" };
            Err(self.request.usage(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: {set}({})",
                scenarios.join(", ")
            )))
        }
    }

    fn prepare_at(&mut self, partitions: Vec<TopicPartition>, timestamp: i64) -> Result<Prepared, Stop> {
        let offsets = self.offsets_at(&partitions, timestamp)?;
        Ok(partitions.into_iter().filter_map(|key| offsets.get(&key).map(|at| (key.clone(), *at))).collect())
    }

    /// The first records that are as young as `timestamp`; the end where there is none.
    fn prepare_since(&mut self, partitions: Vec<TopicPartition>, timestamp: i64) -> Result<Prepared, Stop> {
        let found = self.offsets_at(&partitions, timestamp)?;
        let missing: Vec<TopicPartition> =
            found.iter().filter(|(_, offset)| **offset < 0).map(|(key, _)| key.clone()).collect();
        let ends = self.offsets_at(&missing, LATEST)?;
        let offset = |key: &TopicPartition| ends.get(key).or_else(|| found.get(key)).copied();
        Ok(partitions.into_iter().filter_map(|key| offset(&key).map(|at| (key, at))).collect())
    }

    fn prepare_shifted(
        &mut self,
        group: &ByteString,
        partitions: Vec<TopicPartition>,
    ) -> Result<Prepared, Stop> {
        let committed = self.committed(group)?;
        let shift = self.request.options.number::<i64>("shift-by")?.unwrap_or(0);
        let mut wanted = Prepared::new();
        for key in partitions {
            let Some(offset) = committed.get(&key) else {
                return Err(Exception::illegal_argument(format!(
                    "Cannot shift offset for partition {key} since there is no current committed offset"
                ))
                .into());
            };
            wanted.push((key, offset.saturating_add(shift)));
        }
        self.within_log(wanted)
    }

    fn prepare_current(
        &mut self,
        group: &ByteString,
        partitions: Vec<TopicPartition>,
    ) -> Result<Prepared, Stop> {
        let committed = self.committed(group)?;
        let missing: Vec<TopicPartition> =
            partitions.iter().filter(|key| !committed.contains_key(key)).cloned().collect();
        let ends = self.offsets_at(&missing, LATEST)?;
        let offset = |key: &TopicPartition| committed.get(key).or_else(|| ends.get(key)).copied();
        Ok(partitions.into_iter().filter_map(|key| offset(&key).map(|at| (key, at))).collect())
    }

    fn prepare_from_file(&mut self, group: &ByteString) -> Result<Prepared, Stop> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => self.read_plan()?,
        };
        let of_group = plan.get(&**group).cloned();
        self.plan = Some(plan);
        match of_group {
            Some(wanted) => self.within_log(wanted),
            None => {
                self.request.say_error(&format!("No reset plan for group {group} found"));
                Ok(Prepared::new())
            }
        }
    }

    fn read_plan(&self) -> Result<Plan, Stop> {
        let options = &self.request.options;
        let file = options.value("from-file")?.unwrap_or_default();
        let text = std::fs::read_to_string(file)
            .map_err(|_| Exception::new("java.io.IOException", format!("Unable to read file {file}")))?;
        let groups = options.values("group");
        let only = groups.first().copied().filter(|_| groups.len() == 1);
        Ok(csv::parse(&text, only)?)
    }

    /// Moves offsets that lie outside of their log to its ends, and says so.
    fn within_log(&mut self, wanted: Prepared) -> Result<Prepared, Stop> {
        let partitions: Vec<TopicPartition> = wanted.iter().map(|(key, _)| key.clone()).collect();
        let starts = self.offsets_at(&partitions, EARLIEST)?;
        let ends = self.offsets_at(&partitions, LATEST)?;
        let bounded = |(key, offset): (TopicPartition, Offset)| {
            let (which, bound) = match (starts.get(&key), ends.get(&key)) {
                (_, Some(end)) if offset > *end => ("higher than latest", *end),
                (Some(start), _) if offset < *start => ("lower than earliest", *start),
                _ => return (key, offset),
            };
            let text = format!(
                "New offset ({offset}) is {which} offset for topic partition {key}. Value will be set to {bound}"
            );
            log(Level::Warn, &text, LOGGER);
            (key, bound)
        };
        Ok(wanted.into_iter().map(bounded).collect())
    }
}

/// The partitions of `topic:0,1,2`.
pub fn named_partitions(argument: &str) -> Result<Vec<TopicPartition>, Stop> {
    let mut parts = argument.split(':');
    let topic = parts.next().unwrap_or_default();
    let Some(list) = parts.next().filter(|list| !list.is_empty()) else {
        let message = "Index 1 out of bounds for length 1";
        return Err(Exception::new("java.lang.ArrayIndexOutOfBoundsException", message).into());
    };
    let partition = |word: &str| Ok(TopicPartition::new(topic, super::groups::parse_partition(word)?));
    list.trim_end_matches(',').split(',').map(partition).collect()
}

/// Java's `NumberFormatException` for a word.
pub fn number_exception(word: &str) -> Exception {
    Exception::new("java.lang.NumberFormatException", format!("For input string: \"{word}\""))
}
