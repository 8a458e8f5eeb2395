//! `--describe`: offsets, members or state of groups, as tables.
//!
//! 1.1.1 has no column for the group and describes one; else the tables are the same.

use super::Request;
use crate::common::{Offset, TopicPartition};
use crate::tools::client::Admin;
use crate::tools::client::groups::{GroupDescription, MemberDescription, Offsets};
use crate::tools::client::offsets::LATEST;
use crate::tools::exception::Exception;
use crate::tools::{Outcome, Shape, Stop};
use bytestring::ByteString;
use std::collections::BTreeMap;

/// What a column shows when there is nothing.
pub const MISSING: &str = "-";

/// A row of the table of offsets.
#[derive(Default)]
pub struct OffsetRow {
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<Offset>,
    pub log_end_offset: Option<Offset>,
    pub consumer_id: Option<String>,
    pub host: Option<String>,
    pub client_id: Option<String>,
}

/// Runs `--describe`.
pub fn run(request: &Request, admin: &mut Admin) -> Outcome {
    let groups = match request.shape {
        Shape::V1_1_1 => vec![ByteString::from(request.options.value("group")?.unwrap_or_default())],
        Shape::V2_8_2 => request.groups(admin)?,
    };
    let mut described: BTreeMap<ByteString, GroupDescription> = BTreeMap::new();
    for group in groups {
        let description = admin.describe_group(&group).map_err(|cause| request.failed(cause))?;
        described.insert(group, description);
    }
    if request.has("members") {
        for group in described.values() {
            show_members(request, group)?;
        }
    } else if request.has("state") {
        for group in described.values() {
            show_state(request, group)?;
        }
    } else {
        let mut tables = Vec::new();
        for group in described.values() {
            tables.push(rows(request, admin, group)?);
        }
        for (group, rows) in described.values().zip(tables) {
            if has_table(request, group, rows.len())? {
                show_offsets(request.shape, Some(&group.id), &rows, true);
            }
        }
    }
    Ok(())
}

/// Says what is special about the group; true if a table is to follow.
fn has_table(request: &Request, group: &GroupDescription, rows: usize) -> Result<bool, Stop> {
    let id = &group.id;
    let start = if request.shape == Shape::V1_1_1 { "" } else { "\n" };
    crate::tools::output::flush();
    match &*group.state {
        "Dead" => request.say_error(&format!("Consumer group '{id}' does not exist.")),
        "Empty" => err_line!("{start}Consumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" => {
            err_line!("{start}Warning: Consumer group '{id}' is rebalancing.")
        }
        "Stable" => {}
        other => {
            let message = format!("Expected a valid consumer group state, but found '{other}'.");
            return Err(Exception::new("org.apache.kafka.common.KafkaException", message).into());
        }
    }
    Ok(&*group.state != "Dead" && rows > 0)
}

/// The rows of a group: those of members with the most partitions first, then what nobody reads.
fn rows(request: &Request, admin: &mut Admin, group: &GroupDescription) -> Result<Vec<OffsetRow>, Stop> {
    let failed = |cause| request.failed(cause);
    let committed = admin.committed_offsets(&group.id).map_err(failed)?;
    // 1.1.1 shows no member before the first commit.
    let shows_members = request.shape == Shape::V2_8_2 || !committed.is_empty();
    let mut members: Vec<&MemberDescription> = group
        .members
        .iter()
        .filter(|member| {
            shows_members && !member.partitions.is_empty() && has_assignment(request.shape, group)
        })
        .collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.partitions.len()));
    let assigned: Vec<TopicPartition> =
        members.iter().flat_map(|member| member.partitions.iter().cloned()).collect();
    let mut all = assigned.clone();
    all.extend(committed.keys().filter(|key| !assigned.contains(key)).cloned());
    let ends = admin.offsets_at(&all, LATEST).map_err(failed)?;
    let mut rows = Vec::new();
    for member in members {
        let owner = [&member.id, &member.host, &member.client_id].map(|text| text.to_string());
        rows.extend(member.partitions.iter().map(|key| row(key, &committed, &ends, owner.clone())));
    }
    let nobody = || [MISSING; 3].map(str::to_string);
    rows.extend(all[assigned.len()..].iter().map(|key| row(key, &committed, &ends, nobody())));
    Ok(rows)
}

/// 1.1.1 reads assignments of stable groups only.
fn has_assignment(shape: Shape, group: &GroupDescription) -> bool {
    shape == Shape::V2_8_2 || &*group.state == "Stable"
}

fn row(key: &TopicPartition, committed: &Offsets, ends: &Offsets, owner: [String; 3]) -> OffsetRow {
    let [consumer_id, host, client_id] = owner;
    OffsetRow {
        topic: Some(key.topic.to_string()),
        partition: Some(key.partition),
        offset: committed.get(key).copied(),
        log_end_offset: ends.get(key).copied(),
        consumer_id: Some(consumer_id),
        host: Some(host),
        client_id: Some(client_id),
    }
}

/// The longest of a column, but not below `least`.
fn width<'a>(values: impl Iterator<Item = Option<&'a str>>, least: usize) -> usize {
    values.map(|value| value.unwrap_or(MISSING).chars().count()).max().unwrap_or(0).max(least)
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or(MISSING.to_string(), |value| value.to_string())
}

/// The table of offsets; without `has_hosts` that of an old consumer's group.
pub fn show_offsets(shape: Shape, group: Option<&str>, rows: &[OffsetRow], has_hosts: bool) {
    let topics = width(rows.iter().map(|row| row.topic.as_deref()), 15);
    let ids = width(rows.iter().map(|row| row.consumer_id.as_deref()), 15);
    let hosts = width(rows.iter().map(|row| row.host.as_deref()), 15);
    let groups = group.map_or(0, |group| group.chars().count()).max(15);
    let line = |cells: [&str; 9]| {
        let [group, topic, partition, offset, end, lag, id, host, client] = cells;
        let first = match shape {
            Shape::V1_1_1 => String::new(),
            Shape::V2_8_2 => format!("{group:<groups$} "),
        };
        let last = if has_hosts { format!("{host:<hosts$} {client}") } else { String::new() };
        out_line!(
            "{first}{topic:<topics$} {partition:<10} {offset:<15} {end:<15} {lag:<15} {id:<ids$} {last}"
        );
    };
    out_line!("");
    line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    for row in rows {
        let offset = row.offset.filter(|offset| *offset != -1);
        let lag = offset.zip(row.log_end_offset).map(|(offset, end)| end - offset);
        line([
            group.unwrap_or(MISSING),
            row.topic.as_deref().unwrap_or(MISSING),
            &text(row.partition),
            &text(row.offset),
            &text(row.log_end_offset),
            &text(lag),
            row.consumer_id.as_deref().unwrap_or(MISSING),
            row.host.as_deref().unwrap_or(MISSING),
            row.client_id.as_deref().unwrap_or(MISSING),
        ]);
    }
}

fn show_members(request: &Request, group: &GroupDescription) -> Result<(), Stop> {
    if !has_table(request, group, group.members.len())? {
        return Ok(());
    }
    let shape = request.shape;
    let members = &group.members;
    let column = |pick: fn(&MemberDescription) -> &str, least| {
        width(members.iter().map(|member| Some(pick(member))), least)
    };
    let groups = group.id.chars().count().max(15);
    let ids = column(|member| &member.id, 15);
    let instances = column(|member| member.instance_id.as_deref().unwrap_or_default(), 17);
    let hosts = column(|member| &member.host, 15);
    let clients = column(|member| &member.client_id, 15);
    let is_newer = shape == Shape::V2_8_2;
    let is_static = |member: &MemberDescription| member.instance_id.as_ref().is_some_and(|id| !id.is_empty());
    let has_instances = is_newer && members.iter().any(is_static);
    let line = |cells: [&str; 7]| {
        let [group, id, instance, host, client, count, assignment] = cells;
        let group = if is_newer { format!("{group:<groups$} ") } else { String::new() };
        let instance = if has_instances { format!("{instance:<instances$} ") } else { String::new() };
        let last = if request.has("verbose") { assignment } else { "" };
        out_line!("{group}{id:<ids$} {instance}{host:<hosts$} {client:<clients$} {count:<15} {last}");
    };
    out_line!("");
    let instance = "GROUP-INSTANCE-ID";
    line(["GROUP", "CONSUMER-ID", instance, "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT"]);
    for member in members {
        let empty = Vec::new();
        let partitions = if has_assignment(shape, group) { &member.partitions } else { &empty };
        let count = partitions.len().to_string();
        let instance = member.instance_id.as_deref().unwrap_or_default();
        let share = share_text(partitions);
        line([&group.id, &member.id, instance, &member.host, &member.client_id, &count, &share]);
    }
    Ok(())
}

/// `t(0,1), u(2)`
fn share_text(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for key in partitions {
        topics.entry(&key.topic).or_default().push(key.partition);
    }
    let topic = |(topic, mut partitions): (&str, Vec<i32>)| {
        partitions.sort_unstable();
        let list = partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        format!("{topic}({list})")
    };
    match topics.is_empty() {
        true => MISSING.to_string(),
        false => {
            let mut texts: Vec<String> = topics.into_iter().map(topic).collect();
            texts.sort();
            texts.join(", ")
        }
    }
}

fn show_state(request: &Request, group: &GroupDescription) -> Result<(), Stop> {
    if !has_table(request, group, 1)? {
        return Ok(());
    }
    let (id, address) = &group.coordinator;
    let coordinator = format!("{}:{} ({id})", address.host, address.port);
    let width = coordinator.chars().count().max(25);
    let (assignor, state) = (&*group.assignor, &*group.state);
    let count = group.members.len();
    match request.shape {
        Shape::V1_1_1 => {
            out_line!(
                "\n{:<width$} {:<25} {:<20} #MEMBERS",
                "COORDINATOR (ID)",
                "ASSIGNMENT-STRATEGY",
                "STATE"
            );
            out_line!("{coordinator:<width$} {assignor:<25} {state:<20} {count}");
        }
        Shape::V2_8_2 => {
            out_line!(
                "\n{:<width$} {:<25} {:<20} {:<15} #MEMBERS",
                "GROUP",
                "COORDINATOR (ID)",
                "ASSIGNMENT-STRATEGY",
                "STATE"
            );
            out_line!("{:<width$} {coordinator:<25} {assignor:<20} {state:<15} {count}", &*group.id);
        }
    }
    Ok(())
}
