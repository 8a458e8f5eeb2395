//! Whose settings a command is about.

use super::Command;
use crate::tools::exception::Exception;
use crate::zk::entity_name::{desanitize, sanitize};

pub use crate::zk::paths::DEFAULT_ENTITY as DEFAULT;

pub const TOPIC: &str = "topics";
pub const CLIENT: &str = "clients";
pub const USER: &str = "users";
pub const BROKER: &str = "brokers";
pub const IP: &str = "ips";
pub const BROKER_LOGGER: &str = "broker-loggers";

/// Options that name an entity, or with `-defaults` the default one, and its type; in Kafka's order.
pub const FLAGS: [(&str, &str); 10] = [
    ("topic", TOPIC),
    ("client", CLIENT),
    ("user", USER),
    ("broker", BROKER),
    ("broker-logger", BROKER_LOGGER),
    ("ip", IP),
    ("client-defaults", CLIENT),
    ("user-defaults", USER),
    ("broker-defaults", BROKER),
    ("ip-defaults", IP),
];

impl Command {
    /// The types, in the order of the command line.
    pub(super) fn entity_types(&self) -> Vec<String> {
        let flags = FLAGS.iter().filter(|(flag, _)| self.has(flag)).map(|(_, kind)| kind.to_string());
        let given = self.options.values("entity-type").into_iter().map(str::to_string);
        given.chain(flags).collect()
    }

    /// The names; an empty one means the default.
    pub(super) fn entity_names(&self) -> Result<Vec<String>, Exception> {
        let mut names: Vec<String> = self
            .options
            .given()
            .filter_map(|(option, value)| match option {
                "entity-name" => Some(value.unwrap_or_default().to_string()),
                "entity-default" => Some(String::new()),
                _ => None,
            })
            .collect();
        for (flag, _) in FLAGS.iter().filter(|(flag, _)| self.has(flag)) {
            names.push(self.options.value(flag)?.unwrap_or_default().to_string());
        }
        Ok(names)
    }
}

/// One type, and maybe one name as a path element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub kind: String,
    pub element: Option<String>,
}

impl Part {
    fn path(&self) -> String {
        match &self.element {
            Some(element) => format!("{}/{element}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// As messages name it.
    fn text(&self) -> String {
        let kind = match self.kind.as_str() {
            USER => "user-principal",
            CLIENT => "client-id",
            TOPIC => "topic",
            other => other,
        };
        match self.element.as_deref() {
            Some(DEFAULT) => format!("default {kind}"),
            Some(element) if self.kind == USER || self.kind == CLIENT => {
                format!("{kind} '{}'", desanitize(element))
            }
            Some(element) => format!("{kind} '{element}'"),
            None => self.kind.clone(),
        }
    }
}

/// An entity in ZooKeeper, or several if a name is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub root: Part,
    /// The client of a user.
    pub child: Option<Part>,
}

impl Entity {
    /// Reads types and names of a command line.
    pub fn of(command: &Command) -> Result<Entity, Exception> {
        let (mut types, mut names) = (command.entity_types(), command.entity_names()?);
        let head = types.first().cloned().unwrap_or_default();
        if head != USER && head != CLIENT {
            let default = |name: String| if name.is_empty() { DEFAULT.to_string() } else { name };
            let element = names.into_iter().next().map(default);
            return Ok(Entity { root: Part { kind: head, element }, child: None });
        }
        if command.has("alter") && names.len() != types.len() {
            return Err(Exception::illegal_argument(
                "--entity-name or --entity-default must be specified with each --entity-type for --alter",
            ));
        }
        if types.len() == 2 && head == CLIENT {
            types.reverse();
            if names.len() == 2 {
                names.reverse();
            }
        }
        let element = |name: String| if name.is_empty() { DEFAULT.to_string() } else { sanitize(&name) };
        let mut names = names.into_iter().map(element);
        let mut parts = types.into_iter().map(|kind| Part { kind, element: names.next() });
        let root = parts.next().unwrap_or(Part { kind: String::new(), element: None });
        Ok(Entity { root, child: parts.next() })
    }

    /// The path below the type.
    pub fn name(&self) -> String {
        let root = self.root.element.as_deref().unwrap_or_default();
        match &self.child {
            Some(child) => format!("{root}/{}", child.path()),
            None => root.to_string(),
        }
    }

    /// As messages name it.
    pub fn text(&self) -> String {
        match &self.child {
            Some(child) => format!("{}, {}", self.root.text(), child.text()),
            None => self.root.text(),
        }
    }
}
