//! Quotas of users, clients and addresses, as ZooKeeper holds them (KIP-546, KIP-612).
//!
//! Source: Kafka 2.8.2, `ZkAdminManager.describeClientQuotas`, `alterClientQuotas`.

use super::{Admin, AdminError, store};
use crate::common::ErrorCode;
use crate::config::def::quota::{CLIENT_QUOTAS, IP_QUOTAS};
use crate::config::def::{KeyDef, Kind};
use crate::config::{Settings, double_text};
use crate::zk::entity_name::{desanitize, sanitize};
use crate::zk::{DataError, config_changes, paths};
use std::collections::BTreeMap;
use std::net::ToSocketAddrs;

/// Names of entity types.
pub mod entity_type {
    /// A principal.
    pub const USER: &str = "user";
    /// A client's id.
    pub const CLIENT_ID: &str = "client-id";
    /// An address.
    pub const IP: &str = "ip";
}
use entity_type::{CLIENT_ID, IP, USER};

/// Largest difference between a number and the integer that it stands for.
const EPSILON: f64 = 1e-6;

/// Whose quotas: name by type; `None` is the default of the type.
pub type Entity = BTreeMap<String, Option<String>>;

/// Quotas by key.
pub type Quotas = BTreeMap<String, f64>;

/// Which names of one type a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This one, or (`None`) the default.
    Name(Option<String>),
    /// All.
    Any,
}

/// A question: what is wanted of each type. `strict`: no entities with other types.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By type.
    pub components: BTreeMap<String, Match>,
    /// See above.
    pub strict: bool,
}

impl Filter {
    /// Adds a component; refuses types that nobody knows and those that stand there already.
    pub fn add(&mut self, entity_type: &str, wanted: Match) -> Result<(), AdminError> {
        let shown = match entity_type {
            USER => "user",
            CLIENT_ID => "client",
            IP => "ip",
            "" => return Err(AdminError::invalid_request("Unexpected empty filter component entity type")),
            other => {
                let message = format!("Custom entity type '{other}' not supported");
                return Err(AdminError::new(ErrorCode::UnsupportedVersion, message));
            }
        };
        if self.components.insert(entity_type.to_string(), wanted).is_some() {
            let message = format!("Duplicate {shown} filter component entity type");
            return Err(AdminError::invalid_request(message));
        }
        Ok(())
    }

    fn has(&self, entity_type: &str) -> bool {
        self.components.contains_key(entity_type)
    }

    /// True if entities of this type, alone or with others, can be in the answer.
    fn allows(&self, entity_type: &str) -> bool {
        self.has(entity_type) || !self.strict
    }

    fn matches(&self, entity: &Entity) -> bool {
        let is_wanted = |(kind, wanted): (&String, &Match)| match (entity.get(kind), wanted) {
            (Some(name), Match::Name(wanted)) => name == wanted,
            (found, _) => found.is_some(),
        };
        self.components.iter().all(is_wanted) && entity.keys().all(|kind| self.allows(kind))
    }
}

/// One edit of a quota; `None` takes it away.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaEdit {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Option<f64>,
}

fn element(name: Option<&str>) -> String {
    name.map_or_else(|| paths::DEFAULT_ENTITY.to_string(), sanitize)
}

fn name_of(element: &str) -> Option<String> {
    (element != paths::DEFAULT_ENTITY).then(|| desanitize(element))
}

/// Type and name of an entity's node, and the keys that it may have.
fn place(entity: &Entity) -> Result<(&'static str, String, &'static [KeyDef]), AdminError> {
    let refuse = |message: String| Err(AdminError::invalid_request(message));
    if entity.is_empty() {
        return refuse("Invalid empty client quota entity".to_string());
    }
    for (kind, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return refuse(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return refuse(format!("Empty {kind} not supported"));
        }
    }
    let element_of = |kind: &str| entity.get(kind).map(|name| element(name.as_deref()));
    match (element_of(USER), element_of(CLIENT_ID), element_of(IP)) {
        (Some(user), Some(client), None) => Ok(("users", format!("{user}/clients/{client}"), CLIENT_QUOTAS)),
        (Some(user), None, None) => Ok(("users", user, CLIENT_QUOTAS)),
        (None, Some(client), None) => Ok(("clients", client, CLIENT_QUOTAS)),
        (None, None, Some(ip)) => Ok(("ips", ip, IP_QUOTAS)),
        _ => refuse(
            "Invalid quota entity combination, IP entity should not be used with user/client ID entity."
                .to_string(),
        ),
    }
}

/// The settings after the edits.
fn edited(
    mut settings: Settings,
    keys: &'static [KeyDef],
    edits: &[QuotaEdit],
) -> Result<Settings, AdminError> {
    for edit in edits {
        let Some(value) = edit.value else {
            settings.remove(&edit.key);
            continue;
        };
        let key = keys.iter().find(|key| key.name == edit.key);
        let key = key
            .ok_or_else(|| AdminError::invalid_request(format!("Invalid configuration key {}", edit.key)))?;
        let text = match key.kind {
            Kind::Double => double_text(value),
            kind => {
                let whole = match kind {
                    Kind::Int => i64::from((value + EPSILON) as i32),
                    _ => (value + EPSILON) as i64,
                };
                if (whole as f64 - value).abs() > EPSILON {
                    let message = format!("Configuration {} must be a {} value", edit.key, kind.name());
                    return Err(AdminError::invalid_request(message));
                }
                whole.to_string()
            }
        };
        key.parse(&text).map_err(|error| AdminError::invalid_request(error.message))?;
        settings.insert(edit.key.clone(), text);
    }
    Ok(settings)
}

/// The quotas among settings. A value that is no number is left out, and logged.
fn quotas(settings: &Settings, keys: &[KeyDef]) -> Quotas {
    let mut quotas = Quotas::new();
    for (key, text) in settings.iter().filter(|(name, _)| keys.iter().any(|key| key.name == *name)) {
        match text.trim().parse() {
            Ok(value) => drop(quotas.insert(key.clone(), value)),
            Err(_) => {
                log::error!(target: "kafka.server.ZkAdminManager", "Unexpected client quota configuration value: {key} -> {text}");
            }
        }
    }
    quotas
}

type Found = Vec<(String, Result<Settings, DataError>)>;

impl Admin {
    /// The entities that match and have quotas.
    pub async fn describe_quotas(&self, filter: &Filter) -> Result<Vec<(Entity, Quotas)>, AdminError> {
        if filter.has(IP) && (filter.has(USER) || filter.has(CLIENT_ID)) {
            return Err(AdminError::invalid_request(
                "Invalid entity filter component combination, IP filter component should not be used with user or \
                 clientId filter component.",
            ));
        }
        let mut all = Vec::new();
        let mut add = |found: Found, keys: &[KeyDef], entity_of: &dyn Fn(&str) -> Option<Entity>| {
            for (name, settings) in found {
                let Some(entity) = entity_of(&name).filter(|entity| filter.matches(entity)) else { continue };
                let quotas = quotas(&settings?, keys);
                if !quotas.is_empty() {
                    all.push((entity, quotas));
                }
            }
            Ok::<(), DataError>(())
        };
        let one = |kind: &str, name: &str| Entity::from([(kind.to_string(), name_of(name))]);
        let is_ip_only = filter.has(IP);
        let is_client_only = filter.has(USER) || filter.has(CLIENT_ID);
        if !is_ip_only && filter.allows(USER) {
            let found = config_changes::fetch_all(&self.zk, "users").await?;
            add(found, CLIENT_QUOTAS, &|name| Some(one(USER, name)))?;
        }
        if !is_ip_only && filter.allows(CLIENT_ID) {
            let found = config_changes::fetch_all(&self.zk, "clients").await?;
            add(found, CLIENT_QUOTAS, &|name| Some(one(CLIENT_ID, name)))?;
        }
        if !is_ip_only && filter.allows(USER) && filter.allows(CLIENT_ID) {
            let found = config_changes::fetch_all_user_clients(&self.zk).await?;
            add(found, CLIENT_QUOTAS, &|name| {
                let (user, client) = name.split_once("/clients/")?;
                let names = [(USER, user), (CLIENT_ID, client)];
                Some(names.iter().map(|(kind, name)| (kind.to_string(), name_of(name))).collect())
            })?;
        }
        if !is_client_only && filter.allows(IP) {
            let found = config_changes::fetch_all(&self.zk, "ips").await?;
            add(found, IP_QUOTAS, &|name| Some(one(IP, name)))?;
        }
        Ok(all)
    }

    /// The quotas of the entity of one node: `users`, `clients` or `ips`, and the rest of the path.
    pub async fn quotas_of(&self, entity_type: &str, name: &str) -> Result<(Entity, Quotas), AdminError> {
        let mut entity = Entity::new();
        if entity_type == "ips" {
            entity.insert(IP.to_string(), name_of(name));
            let (settings, _) = store::read_settings(&self.zk, entity_type, name).await?;
            return Ok((entity, quotas(&settings, IP_QUOTAS)));
        }
        let of_client = match (entity_type, name.split_once("/clients/")) {
            ("users", Some((user, client))) => {
                entity.insert(USER.to_string(), name_of(user));
                Some(client)
            }
            ("users", None) => {
                entity.insert(USER.to_string(), name_of(name));
                None
            }
            _ => Some(name),
        };
        if let Some(client) = of_client {
            entity.insert(CLIENT_ID.to_string(), name_of(client));
        }
        let (settings, _) = store::read_settings(&self.zk, entity_type, name).await?;
        Ok((entity, quotas(&settings, CLIENT_QUOTAS)))
    }

    /// Edits the quotas of one entity. An edit by somebody else in between is not lost.
    pub async fn edit_quotas(
        &self,
        entity: &Entity,
        edits: &[QuotaEdit],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let (entity_type, name, keys) = place(entity)?;
        if let Some(Some(address)) = entity.get(IP)
            && !is_address(address).await
        {
            let message = format!("{name} is not a valid IP or resolvable host.");
            return Err(AdminError::invalid_request(message));
        }
        loop {
            let (stored, version) = store::read_settings(&self.zk, entity_type, &name).await?;
            let settings = edited(stored, keys, edits)?;
            if validate_only {
                return Ok(());
            }
            if store::replace_settings(&self.zk, entity_type, &name, &settings, version).await? {
                store::notify_change(&self.zk, &format!("{entity_type}/{name}")).await?;
                return Ok(());
            }
        }
    }
}

/// True for an IP address and for a name that resolves.
async fn is_address(host: &str) -> bool {
    let host = host.to_string();
    let resolve = move || (host.as_str(), 0).to_socket_addrs().is_ok_and(|mut all| all.next().is_some());
    tokio::task::spawn_blocking(resolve).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::admin;
    use crate::zk::memory::MemoryZooKeeper;

    fn entity(names: &[(&str, Option<&str>)]) -> Entity {
        names.iter().map(|(kind, name)| (kind.to_string(), name.map(str::to_string))).collect()
    }

    fn edit(key: &str, value: impl Into<Option<f64>>) -> QuotaEdit {
        QuotaEdit { key: key.to_string(), value: value.into() }
    }

    async fn found(admin: &Admin, strict: bool, wanted: &[(&str, Match)]) -> Vec<String> {
        let mut filter = Filter { strict, ..Default::default() };
        for (kind, wanted) in wanted {
            filter.add(kind, wanted.clone()).expect("known");
        }
        let all = admin.describe_quotas(&filter).await.expect("described");
        all.iter().map(|(entity, quotas)| format!("{entity:?} {quotas:?}")).collect()
    }

    #[tokio::test]
    async fn quotas_are_stored_announced_and_found() {
        let zookeeper = MemoryZooKeeper::new();
        let admin = admin(zookeeper.connect(), "");
        let bob = entity(&[(USER, Some("bob"))]);
        let clients_of_bob = entity(&[(USER, Some("bob")), (CLIENT_ID, None)]);
        let c1 = entity(&[(CLIENT_ID, Some("c 1"))]);
        let host = entity(&[(IP, Some("10.1.2.3"))]);
        admin.edit_quotas(&bob, &[edit("producer_byte_rate", 100.0)], false).await.expect("edited");
        admin.edit_quotas(&clients_of_bob, &[edit("request_percentage", 1.5)], false).await.expect("edited");
        admin.edit_quotas(&c1, &[edit("consumer_byte_rate", 7.0)], false).await.expect("edited");
        admin.edit_quotas(&host, &[edit("connection_creation_rate", 20.0)], false).await.expect("edited");
        let nodes: Vec<String> = zookeeper.take_log().into_iter().filter(|l| !l.ends_with("null")).collect();
        assert_eq!(
            nodes[2..4],
            [
                r#"create P /config/users/bob/clients/<default> {"version":1,"config":{"request_percentage":"1.5"}}"#,
                r#"create PS /config/changes/config_change_0000000001 {"version":2,"entity_path":"users/bob/clients/<default>"}"#,
            ]
        );
        assert!(nodes[4].starts_with("create P /config/clients/c%201 "), "{}", nodes[4]);
        let of_bob = Match::Name(Some("bob".to_string()));
        assert_eq!(found(&admin, false, &[]).await.len(), 4);
        assert_eq!(
            found(&admin, true, &[(USER, of_bob.clone())]).await,
            [r#"{"user": Some("bob")} {"producer_byte_rate": 100.0}"#]
        );
        assert_eq!(found(&admin, false, &[(USER, of_bob.clone())]).await.len(), 2);
        assert_eq!(
            found(&admin, true, &[(USER, of_bob), (CLIENT_ID, Match::Name(None))]).await,
            [r#"{"client-id": None, "user": Some("bob")} {"request_percentage": 1.5}"#]
        );
        assert_eq!(found(&admin, true, &[(CLIENT_ID, Match::Any)]).await.len(), 1);
        assert_eq!(found(&admin, true, &[(IP, Match::Name(None))]).await.len(), 0);
        let rate = |value| Quotas::from([("producer_byte_rate".to_string(), value)]);
        assert_eq!(admin.quotas_of("users", "bob").await, Ok((bob.clone(), rate(100.0))));
        assert_eq!(admin.quotas_of("clients", "c%201").await.expect("read").0, c1);
        assert_eq!(admin.quotas_of("users", "bob/clients/<default>").await.expect("read").0, clients_of_bob);
        assert_eq!(admin.quotas_of("users", "eve").await.expect("none").1, Quotas::new());
        admin.edit_quotas(&bob, &[edit("producer_byte_rate", None)], false).await.expect("edited");
        assert_eq!(found(&admin, true, &[(USER, Match::Any)]).await.len(), 0);
    }

    #[tokio::test]
    async fn refusals_are_kafkas() {
        let admin = admin(MemoryZooKeeper::new().connect(), "");
        let user = [(USER, Some("u"))];
        for (names, edits, expected) in [
            (&[][..], vec![], "Invalid empty client quota entity"),
            (&[("group", Some("g"))][..], vec![], "Unhandled client quota entity type: group"),
            (&[(USER, Some(""))][..], vec![], "Empty user not supported"),
            (&user[..], vec![edit("nosuch", 1.0)], "Invalid configuration key nosuch"),
            (
                &user[..],
                vec![edit("producer_byte_rate", 1.5)],
                "Configuration producer_byte_rate must be a LONG value",
            ),
            (
                &[(IP, Some("no-such-host.invalid"))][..],
                vec![],
                "no-such-host.invalid is not a valid IP or resolvable host.",
            ),
            (
                &[(IP, None), (USER, None)][..],
                vec![],
                "Invalid quota entity combination, IP entity should not be used with user/client ID entity.",
            ),
        ] {
            let error = admin.edit_quotas(&entity(names), &edits, false).await.expect_err(expected);
            assert_eq!((error.code, error.message.as_deref()), (ErrorCode::InvalidRequest, Some(expected)));
        }
        let mut filter = Filter::default();
        assert_eq!(filter.add("x", Match::Any).expect_err("unknown").code, ErrorCode::UnsupportedVersion);
        filter.add(USER, Match::Any).expect("known");
        let message = filter.add(USER, Match::Any).expect_err("twice").message;
        assert_eq!(message.as_deref(), Some("Duplicate user filter component entity type"));
    }
}
