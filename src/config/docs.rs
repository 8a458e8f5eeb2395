//! `docs/configuration.md`, made from the rows of [`super::def`].

use super::def::{self, Effect, Importance, KeyDef, Update, dynamic, topic};
use super::ibp::IbpVersion;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

Generated from `src/config/def/` by `make docs`; a test compares.

A broker reads one file of Java properties, by custom `config/server.properties`, and `--override key=value` on the
command line. Keys, types, defaults and ranges are those of Apache Kafka 2.8.2, so its files work unchanged.
`kafka-server --check-config FILE` reads a file, shows everything that is wrong with it, and starts nothing.

- **Update**: `read-only` keys change with a restart; `per-broker` ones also by `kafka-configs.sh --entity-type
  brokers --entity-name ID`; `cluster-wide` ones also with `--entity-default`, for all brokers.
- **Effect**: `yes`; `not yet`: read and checked, but without effect in this release; `none`: what it tunes does not
  exist in this broker; `refused`: this release does not have it and ignoring it would not be safe, so anything but
  the default stops the start; `KRaft`: belongs to Kafka without ZooKeeper. A broker says at start which keys of
  its file have no effect.
- `listener.name.NAME.KEY` sets a key of connections or security for one listener.
";

/// The whole page.
pub fn configuration_md() -> String {
    let mut page = INTRODUCTION.to_string();
    for (title, keys) in def::GROUPS {
        section(&mut page, title, keys.iter(), |_| None);
    }
    section(&mut page, "Only dynamic, for brokers", dynamic::DYNAMIC_ONLY.iter(), |_| None);
    page.push_str(
        "\n## Topics\n\nSet with `kafka-topics.sh --config` or `kafka-configs.sh --entity-type topics`; what a topic \
         does not set, the broker's key gives.\n",
    );
    section(&mut page, "Keys of topics", topic::TOPIC.iter().map(|row| &row.key), |key| {
        let server = super::synonyms::topic_synonyms(key.name);
        Some(server.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    });
    let releases: Vec<String> = IbpVersion::all().map(|version| format!("`{version}`")).collect();
    page.push_str("\n## Releases\n\n");
    for line in releases.chunks(12) {
        page.push_str(&line.join(" "));
        page.push('\n');
    }
    page.push_str("\nWithout `-IV`, the last of the release; further parts, as in `2.8.2`, are ignored.\n");
    page
}

/// One table. With `server`, a column says which broker keys give the default.
fn section<'a>(
    page: &mut String,
    title: &str,
    keys: impl Iterator<Item = &'a KeyDef>,
    server: impl Fn(&KeyDef) -> Option<String>,
) {
    let mut rows = String::new();
    let mut has_server = false;
    for key in keys {
        let from = server(key);
        has_server |= from.is_some();
        let from = from.map(|names| format!(" {names} |")).unwrap_or_default();
        let line = writeln!(
            rows,
            "| `{}` | {} | {} | {} | {} | {} | {} |{from} {} |",
            key.name,
            key.kind.name().to_lowercase(),
            default_text(key),
            key.valid_values().replace('|', "\\|"),
            importance(key.importance),
            update(key.update),
            effect(key.effect),
            key.doc
        );
        line.expect("writing to a string does not fail");
    }
    let (name, rule) = if has_server { (" Broker key |", "---|") } else { ("", "") };
    let _ = write!(
        page,
        "\n## {title}\n\n| Key | Type | Default | Valid | Importance | Update | Effect |{name} What for |\n\
         |---|---|---|---|---|---|---|{rule}---|\n{rows}"
    );
}

fn default_text(key: &KeyDef) -> String {
    match key.default {
        None => "null".to_string(),
        Some("") => "\"\"".to_string(),
        Some(text) => format!("`{text}`"),
    }
}

fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    }
}

fn update(update: Update) -> &'static str {
    match update {
        Update::ReadOnly => "read-only",
        Update::PerBroker => "per-broker",
        Update::ClusterWide => "cluster-wide",
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Now => "yes",
        Effect::Later => "not yet",
        Effect::Nothing => "none",
        Effect::Refused => "refused",
        Effect::Kraft => "KRaft",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// `OTTLA_WRITE_DOCS=1` (make docs) writes the page instead of comparing it.
    #[test]
    fn the_page_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        let page = configuration_md();
        if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().expect("has a folder")).expect("folder");
            std::fs::write(&path, &page).expect("written");
        }
        let stored = std::fs::read_to_string(&path).expect("docs/configuration.md");
        assert!(stored == page, "docs/configuration.md is not current: run `make docs`");
    }
}
