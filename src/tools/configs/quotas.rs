//! Quotas of users, clients and addresses, and credentials of users, through a broker.

use super::entity::{CLIENT, IP, USER};
use super::{Command, scram};
use crate::common::scram::ScramMechanism;
use crate::config::def::quota::{CLIENT_QUOTAS, IP_QUOTAS};
use crate::config::{double_text, parse_double};
use crate::protocol::messages::alter_client_quotas::{EntityData, EntryData as Alteration, OpData};
use crate::protocol::messages::describe_client_quotas::{ComponentData, EntryData, ValueData};
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::java::{hash_map_order, string_hash};

/// Kafka's name of a type in quotas.
fn quota_type(kind: &str) -> &'static str {
    match kind {
        USER => "user",
        CLIENT => "client-id",
        _ => "ip",
    }
}

fn is_client_quota(key: &str) -> bool {
    CLIENT_QUOTAS.iter().any(|quota| quota.name == key)
}

fn is_scram(key: &str) -> bool {
    ScramMechanism::from_name(key).is_some()
}

fn find(admin: &mut Admin, types: &[String], names: &[String]) -> Result<Vec<EntryData>, Exception> {
    if names.len() > types.len() {
        return Err(Exception::illegal_argument("More entity names specified than entity types"));
    }
    let component = |(i, kind): (usize, &String)| {
        let (match_type, name) = match names.get(i).map(String::as_str) {
            Some("") => (1, None),
            Some(name) => (0, Some(name.into())),
            None => (2, None),
        };
        ComponentData {
            entity_type: quota_type(kind).into(),
            match_type,
            r#match: name,
            ..Default::default()
        }
    };
    let found = admin.describe_quotas(types.iter().enumerate().map(component).collect())?;
    let expected = found.len();
    Ok(hash_map_order(found, Some(expected), entity_hash))
}

/// `ClientQuotaEntity.hashCode`
fn entity_hash(entry: &EntryData) -> i32 {
    let pairs = entry.entity.iter().map(|part| {
        string_hash(&part.entity_type) ^ part.entity_name.as_ref().map_or(0, |name| string_hash(name))
    });
    pairs.fold(0i32, i32::wrapping_add).wrapping_add(31)
}

/// `--describe`.
pub fn describe(admin: &mut Admin, types: &[String], names: &[String]) -> Result<(), Exception> {
    for entry in find(admin, types, names)? {
        let part = |kind: &str, shown: &str| {
            let part = entry.entity.iter().find(|part| &*part.entity_type == kind)?;
            Some(match &part.entity_name {
                Some(name) => format!("{shown} '{name}'"),
                None => format!("the default {shown}"),
            })
        };
        let parts = [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")];
        let entity: Vec<String> = parts.iter().filter_map(|(kind, shown)| part(kind, shown)).collect();
        let count = entry.values.len();
        let values = hash_map_order(entry.values, Some(count), |value: &ValueData| string_hash(&value.key));
        let values: Vec<String> =
            values.iter().map(|value| format!("{}={}", value.key, double_text(value.value))).collect();
        out_line!("Quota configs for {} are {}", entity.join(", "), values.join(", "));
    }
    match types {
        [kind] if kind == USER && !names.iter().any(String::is_empty) => scram::describe(admin, names),
        _ => Ok(()),
    }
}

/// `--alter`.
pub fn alter(
    command: &Command,
    admin: &mut Admin,
    types: &[String],
    names: &[String],
) -> Result<(), Exception> {
    let (added, deleted) = (command.added()?, command.deleted());
    check_keys((types, names), &added, &deleted)?;
    let mut keys = added.iter().map(|(key, _)| key).chain(&deleted);
    if let ([kind], [user]) = (types, names)
        && kind == USER
        && !keys.any(|key| is_client_quota(key))
    {
        return scram::alter(admin, user, &added, &deleted);
    }
    let old = find(admin, types, names)?.into_iter().next().map(|entry| entry.values).unwrap_or_default();
    let is_there = |key: &&String| old.iter().any(|value| *value.key == ***key);
    let missing: Vec<&str> = deleted.iter().filter(|key| !is_there(key)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(command.invalid_config(format!("Invalid config(s): {}", missing.join(","))));
    }
    let mut ops = Vec::new();
    for (key, text) in &added {
        let value = parse_double(text.trim()).ok_or_else(|| {
            Exception::illegal_argument(format!("Cannot parse quota configuration value for {key}: {text}"))
        })?;
        ops.push(OpData { key: key.as_str().into(), value, remove: false, ..Default::default() });
    }
    let removed =
        deleted.iter().map(|key| OpData { key: key.as_str().into(), remove: true, ..Default::default() });
    ops.extend(removed);
    let entity = types.iter().zip(names).map(|(kind, name)| EntityData {
        entity_type: quota_type(kind).into(),
        entity_name: (!name.is_empty()).then(|| name.as_str().into()),
        ..Default::default()
    });
    admin.alter_quotas(Alteration { entity: entity.collect(), ops, ..Default::default() })
}

fn check_keys(
    (types, names): (&[String], &[String]),
    added: &[(String, String)],
    deleted: &[String],
) -> Result<(), Exception> {
    let refuse = |message: String| Err(Exception::illegal_argument(message));
    let added: Vec<&str> = added.iter().map(|(key, _)| key.as_str()).collect();
    let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
    if types.first().is_some_and(|kind| kind == IP) {
        let is_ip_quota = |key: &str| IP_QUOTAS.iter().any(|quota| quota.name == key);
        let unknown: Vec<&str> =
            added.iter().chain(&deleted).copied().filter(|key| !is_ip_quota(key)).collect();
        if !unknown.is_empty() {
            return refuse(format!(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config \
                 names: {}",
                unknown.join(",")
            ));
        }
        return Ok(());
    }
    let is_for_clients = types.len() == 2 || types.first().is_some_and(|kind| kind == CLIENT);
    let (what, whose) = match is_for_clients {
        true => ("quota", CLIENT),
        false => ("quota and SCRAM credential", USER),
    };
    let is_expected = |key: &&&str| is_client_quota(key) || (!is_for_clients && is_scram(key));
    for (keys, verb, collection) in [(&added, "added", "Set"), (&deleted, "deleted", "ArrayBuffer")] {
        let unknown: Vec<&str> = keys.iter().filter(|key| !is_expected(key)).copied().collect();
        if !unknown.is_empty() {
            return refuse(format!(
                "Only {what} configs can be {verb} for '{whose}' using --bootstrap-server. Unexpected config names: \
                 {collection}({})",
                unknown.join(", ")
            ));
        }
    }
    let all = || added.iter().chain(&deleted);
    if is_for_clients || !all().any(|key| is_scram(key)) {
        return Ok(());
    }
    if names.iter().any(String::is_empty) {
        return refuse(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using \
             --bootstrap-server."
                .to_string(),
        );
    }
    match all().any(|key| is_client_quota(key)) {
        true => refuse(
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using \
             --bootstrap-server."
                .to_string(),
        ),
        false => Ok(()),
    }
}
