//! Settings in ZooKeeper itself, no broker needed. Source: Kafka's `AdminZkClient.changeConfigs`.

use super::entity::{BROKER, CLIENT, DEFAULT, Entity, IP, Part, TOPIC, USER};
use super::{Command, requirement, scram};
use crate::common::scram::ScramMechanism;
use crate::common::topic_name;
use crate::config::def::dynamic::DYNAMIC_ONLY;
use crate::config::def::quota::{CLIENT_QUOTAS, IP_QUOTAS};
use crate::config::def::{KeyDef, Kind};
use crate::config::{ConfigError, DynamicBrokerConfig, Scope, validate_topic_overrides};
use crate::tools::exception::Exception;
use crate::tools::java::properties_order;
use crate::tools::zookeeper;
use crate::zk::config_changes::{self, Config};
use crate::zk::{NodeError, ZkClient, paths};
use std::net::ToSocketAddrs;

/// Runs the action.
pub fn run(command: &Command, servers: &str) -> Result<(), Exception> {
    zookeeper::with_client(servers, async |zk| match command.has("alter") {
        true => alter(command, &zk).await,
        false => describe(command, &zk).await,
    })?
}

async fn fetch(zk: &ZkClient, kind: &str, name: &str) -> Result<Config, Exception> {
    config_changes::fetch(zk, kind, name).await.map_err(|error| match error {
        NodeError::Zk(error) => error.into(),
        NodeError::Data(error) => Exception::illegal_argument(error.to_string()),
    })
}

fn config_exception(error: ConfigError) -> Exception {
    Exception::new(error.exception.class_name(), error.message)
}

async fn alter(command: &Command, zk: &ZkClient) -> Result<(), Exception> {
    let (mut added, deleted) = (command.added()?, command.deleted());
    let entity = Entity::of(command)?;
    let (kind, name) = (entity.root.kind.as_str(), entity.name());
    if kind == BROKER {
        check_broker(command, zk, &name, &mut added).await?;
    }
    if kind == USER {
        scram::salt_passwords(&mut added)?;
    }
    let mut config = fetch(zk, kind, &name).await?;
    let missing: Vec<&str> =
        deleted.iter().map(String::as_str).filter(|key| !config.contains_key(*key)).collect();
    if !missing.is_empty() {
        return Err(command.invalid_config(format!("Invalid config(s): {}", missing.join(","))));
    }
    config.extend(added);
    config.retain(|key, _| !deleted.contains(key));
    validate(command, zk, kind, &name, &config).await?;
    config_changes::change(zk, kind, &name, &config).await?;
    let verb = if command.is_newer() { "updating" } else { "Updating" };
    out_line!("Completed {verb} config for entity: {}.", entity.text());
    Ok(())
}

/// Settings of a broker that runs can be checked by that broker only; throttles need no check.
async fn check_broker(
    command: &Command,
    zk: &ZkClient,
    name: &str,
    added: &mut Vec<(String, String)>,
) -> Result<(), Exception> {
    let is_throttle = |key: &str| DYNAMIC_ONLY.iter().any(|throttle| throttle.name == key);
    let checked: Vec<&str> =
        added.iter().map(|(key, _)| key.as_str()).filter(|key| !is_throttle(key)).collect();
    if checked.is_empty() {
        return Ok(());
    }
    let what = "--bootstrap-server option must be specified to update broker configs";
    if !command.is_newer() {
        let pairs: Vec<String> = added.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return Err(requirement(format!("{what} {{{}}}", pairs.join(", "))));
    }
    let live = zk.children(paths::BROKER_IDS).await?;
    let (is_running, when) = match name {
        DEFAULT => (!live.is_empty(), "for default cluster if any broker is running".to_string()),
        id => (live.iter().any(|live| live == id), format!("when broker {id} is running")),
    };
    if is_running {
        return Err(requirement(format!(
            "{what} Set({}). {when}. Broker configuration updates using ZooKeeper are supported for bootstrapping \
             before brokers are started to enable encrypted password configs to be stored in ZooKeeper.",
            checked.join(", ")
        )));
    }
    added.retain(|(key, _)| !key.starts_with("password.encoder."));
    let scope = if name == DEFAULT { Scope::Cluster } else { Scope::Broker };
    let settings = added.iter().cloned().collect();
    DynamicBrokerConfig::validate_names(scope, &settings).map_err(config_exception)?;
    match added.iter().find(|(key, _)| DynamicBrokerConfig::is_password(key)) {
        Some((key, _)) => Err(Exception::illegal_argument(format!(
            "{key} cannot be stored by this release: it has no encryption of passwords in ZooKeeper"
        ))),
        None => Ok(()),
    }
}

/// The checks of the whole new configuration.
async fn validate(
    command: &Command,
    zk: &ZkClient,
    kind: &str,
    name: &str,
    config: &Config,
) -> Result<(), Exception> {
    match kind {
        TOPIC => {
            topic_name::validate(name)
                .map_err(|why| Exception::api("InvalidTopicException", why.to_string()))?;
            if zk.exists(&paths::topic(name)).await?.is_none() {
                return Err(match command.is_newer() {
                    true => Exception::api(
                        "UnknownTopicOrPartitionException",
                        format!("Topic '{name}' does not exist."),
                    ),
                    false => Exception::new(
                        "kafka.admin.AdminOperationException",
                        format!("Topic \"{name}\" does not exist."),
                    ),
                });
            }
            let pairs = config.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            validate_topic_overrides(pairs).map_err(config_exception)
        }
        BROKER => validate_values(config, DynamicBrokerConfig::key),
        IP => {
            if name != DEFAULT && (name, 0).to_socket_addrs().is_err() {
                let message = format!("{name} is not a valid IP or resolvable host.");
                return Err(Exception::new("kafka.admin.AdminOperationException", message));
            }
            validate_quotas(config, IP_QUOTAS, false)
        }
        USER => {
            let is_user_alone = name != DEFAULT && !name.contains("/clients");
            validate_quotas(config, CLIENT_QUOTAS, is_user_alone)
        }
        CLIENT => validate_quotas(config, CLIENT_QUOTAS, false),
        other => Err(Exception::illegal_argument(format!("{other} is not a known entityType"))),
    }
}

fn validate_quotas(config: &Config, keys: &'static [KeyDef], allows_scram: bool) -> Result<(), Exception> {
    let find = |name: &str| keys.iter().find(|key| key.name == name);
    let is_known =
        |name: &str| find(name).is_some() || (allows_scram && ScramMechanism::from_name(name).is_some());
    let unknown: Vec<&str> = config.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        return Err(requirement(format!("Unknown Dynamic Configuration: HashSet({names}).")));
    }
    validate_values(config, find)
}

fn validate_values(config: &Config, find: impl Fn(&str) -> Option<&'static KeyDef>) -> Result<(), Exception> {
    for (name, text) in config {
        match find(name) {
            Some(key) if key.kind != Kind::Password => drop(key.parse(text).map_err(config_exception)?),
            _ => {}
        }
    }
    Ok(())
}

async fn describe(command: &Command, zk: &ZkClient) -> Result<(), Exception> {
    let asked = Entity::of(command)?;
    let is_about_all_users = asked.root.kind == USER && asked.root.element.is_none() && asked.child.is_none();
    for entity in expand(zk, asked).await? {
        let config = fetch(zk, &entity.root.kind, &entity.name()).await?;
        // A user without settings may still have clients with some.
        if config.is_empty() && is_about_all_users {
            continue;
        }
        let pairs = properties_order(config.into_iter().collect(), |(key, _): &(String, String)| key);
        let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        out_line!("Configs for {} are {}", entity.text(), pairs.join(","));
    }
    Ok(())
}

/// The entities with settings that an entity without some name stands for.
async fn expand(zk: &ZkClient, asked: Entity) -> Result<Vec<Entity>, Exception> {
    let roots = match &asked.root.element {
        Some(_) => vec![asked.root.clone()],
        None => children(zk, &asked.root.kind, &asked.root.kind).await?,
    };
    let mut entities = Vec::new();
    for root in roots {
        match &asked.child {
            Some(child) if child.element.is_none() || asked.root.element.is_none() => {
                let element = root.element.as_deref().unwrap_or_default();
                let path = format!("{}/{element}/{}", root.kind, child.kind);
                let found = children(zk, &path, &child.kind).await?;
                entities
                    .extend(found.into_iter().map(|child| Entity { root: root.clone(), child: Some(child) }));
            }
            child => entities.push(Entity { root, child: child.clone() }),
        }
    }
    Ok(entities)
}

/// In ZooKeeper's order.
async fn children(zk: &ZkClient, path: &str, kind: &str) -> Result<Vec<Part>, Exception> {
    let names = zk.children(&paths::config_entities(path)).await?;
    Ok(names.into_iter().map(|name| Part { kind: kind.to_string(), element: Some(name) }).collect())
}
