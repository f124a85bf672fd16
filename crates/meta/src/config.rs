//! THE table of topic configuration: every key of Kafka 4.3 and our own, declared once with its
//! type, default, bounds, meaning and the node key that overrides its default. Validation says no
//! in the words that Kafka's tools and tests know.

pub mod client_metrics;
pub mod groups;
mod keys;
mod rule;

pub use keys::KEYS;
pub use rule::{Kind, Rule, check, counts, items};

use std::collections::BTreeMap;

/// One topic configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, Kafka's where the meaning is Kafka's.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default, if no node key overrides it; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Which values it takes.
    pub rule: Rule,
    /// The node key whose value is the default of all topics on that node.
    pub synonym: Option<&'static str>,
    /// True for keys that are accepted and never shown (for tests).
    pub internal: bool,
    /// Meaning, in few words.
    pub doc: &'static str,
}

impl Key {
    /// Checks one value; the text of the refusal is Kafka's.
    pub fn check(&self, value: &str) -> Result<(), String> {
        rule::check(self.name, self.kind, self.rule, value)
    }
}

/// A row of a table of keys; without a synonym, if that is empty.
const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    rule: Rule,
    synonym: &'static str,
    doc: &'static str,
) -> Key {
    let synonym = if synonym.is_empty() {
        None
    } else {
        Some(synonym)
    };
    Key {
        name,
        kind,
        default: Some(default),
        rule,
        synonym,
        internal: false,
        doc,
    }
}

/// The key of this name.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The value in force for a key: the topic's own, else the node's default, else the table's.
pub fn value<'a>(
    key: &Key,
    configs: &'a BTreeMap<String, String>,
    defaults: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    let set = configs.get(key.name).or_else(|| defaults.get(key.name));
    set.map(String::as_str).or(key.default)
}

/// Checks a topic's configuration as Kafka does: names first, then values in the table's order,
/// then what must hold between them. `defaults` are the node's, by topic key.
pub fn validate(
    configs: &BTreeMap<String, String>,
    defaults: &BTreeMap<String, String>,
) -> Result<(), String> {
    if let Some(name) = configs.keys().find(|name| key(name).is_none()) {
        return Err(format!("Unknown topic config name: {name}"));
    }
    for key in KEYS {
        if let Some(value) = configs.get(key.name) {
            key.check(value)?;
        }
    }
    check_durability(configs)?;
    check_compaction_lag(configs, defaults)?;
    check_remote_storage(configs)
}

/// A record may say `memory`, and is replayed for ever; a new topic may not ask for it before
/// restarts after a power cut are safe with it (ADR 5).
fn check_durability(configs: &BTreeMap<String, String>) -> Result<(), String> {
    match configs.get("durability").map(String::as_str) {
        Some("memory") => {
            Err("Invalid value memory for configuration durability: only disk is served yet".into())
        }
        _ => Ok(()),
    }
}

fn check_compaction_lag(
    configs: &BTreeMap<String, String>,
    defaults: &BTreeMap<String, String>,
) -> Result<(), String> {
    let lag =
        |name: &str| -> Option<i64> { value(key(name)?, configs, defaults)?.trim().parse().ok() };
    match (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms")) {
        (Some(min), Some(max)) if min > max => Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > \
             max.compaction.lag.ms ({max})"
        )),
        _ => Ok(()),
    }
}

/// There is no remote storage here, so a topic can't turn it on.
fn check_remote_storage(configs: &BTreeMap<String, String>) -> Result<(), String> {
    match configs.get("remote.storage.enable") {
        Some(value) if value.trim().eq_ignore_ascii_case("true") => Err(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                 configured with remote log storage."
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
