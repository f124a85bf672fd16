//! Configuration as it is shown: every key with its value, where the value comes from and what it
//! would be otherwise.

use crate::{Action, Broker, Principal, Resource, authorise, settings};
use base::Refusal;
use meta::config::Kind;
use std::collections::BTreeMap;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own configuration.
    Topic,
    /// This node's configuration.
    Node,
    /// The default.
    Default,
}

/// A value that is, or would be, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key that it was given under.
    pub name: &'static str,
    /// The value.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// A key with the value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: &'static str,
    /// The value in force; none if the key is unset and has no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// The type of the value.
    pub kind: Kind,
    /// True if only a restart changes it.
    pub read_only: bool,
    /// True if the value must not be shown. No key is.
    pub sensitive: bool,
    /// All values that were given, the one in force first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Its meaning.
    pub doc: &'static str,
}

impl Broker {
    /// A topic's configuration.
    pub fn describe_topic(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Vec<ConfigEntry>, Refusal> {
        authorise(principal, Action::DescribeConfigs, Resource::Topic(name))?;
        meta::names::check(name).map_err(Refusal::InvalidTopic)?;
        let image = self.image();
        let topic = image.topic(name).ok_or(Refusal::UnknownTopic)?;
        Ok(self.topic_configs(&topic.configs))
    }

    /// The configuration of a topic with these keys set.
    pub fn topic_configs(&self, configs: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        let shown = meta::config::KEYS.iter().filter(|key| !key.internal);
        shown.map(|key| self.topic_entry(key, configs)).collect()
    }

    fn topic_entry(
        &self,
        key: &'static meta::config::Key,
        configs: &BTreeMap<String, String>,
    ) -> ConfigEntry {
        let mut synonyms = Vec::new();
        if let Some(value) = configs.get(key.name) {
            synonyms.push(synonym(key.name, Some(value), ConfigSource::Topic));
        }
        let below = key.synonym.unwrap_or(key.name);
        if let Some(value) = self.settings().topic_defaults().topic.get(key.name) {
            synonyms.push(synonym(below, Some(value), ConfigSource::Node));
        }
        synonyms.push(synonym(below, key.default, ConfigSource::Default));
        entry(key.name, key.kind, false, key.doc, synonyms)
    }

    /// A node's configuration, asked for by the name of the resource: this node's id. The empty
    /// name means defaults of all nodes, which are none: they are set on each node.
    pub fn describe_node(
        &self,
        principal: &Principal,
        node: &str,
    ) -> Result<Vec<ConfigEntry>, Refusal> {
        authorise(principal, Action::DescribeConfigs, Resource::Cluster)?;
        if node.is_empty() {
            return Ok(Vec::new());
        }
        match node.parse::<u32>() {
            Ok(id) if id == self.node().0 => Ok(self.node_configs()),
            Ok(id) => Err(Refusal::InvalidRequest(format!(
                "Unexpected broker id, expected {} or empty string, but received {id}",
                self.node()
            ))),
            Err(_) => Err(Refusal::InvalidRequest(format!(
                "Broker id must be an integer, but it is: {node}"
            ))),
        }
    }

    fn node_configs(&self) -> Vec<ConfigEntry> {
        let one = |key: &'static settings::Key| {
            let mut synonyms = Vec::new();
            if let Some(value) = self.settings().given(key.name) {
                synonyms.push(synonym(key.name, Some(value), ConfigSource::Node));
            }
            synonyms.push(synonym(key.name, key.default, ConfigSource::Default));
            entry(key.name, key.kind, !key.dynamic, key.doc, synonyms)
        };
        settings::keys().iter().map(one).collect()
    }
}

fn synonym(
    name: &'static str,
    value: Option<impl Into<String>>,
    source: ConfigSource,
) -> ConfigSynonym {
    ConfigSynonym {
        name,
        value: value.map(Into::into),
        source,
    }
}

fn entry(
    name: &'static str,
    kind: Kind,
    read_only: bool,
    doc: &'static str,
    mut synonyms: Vec<ConfigSynonym>,
) -> ConfigEntry {
    let first = synonyms
        .first()
        .expect("every key has at least its default")
        .clone();
    synonyms.retain(|synonym| synonym.value.is_some());
    ConfigEntry {
        name,
        value: first.value,
        source: first.source,
        kind,
        read_only,
        sensitive: false,
        synonyms,
        doc,
    }
}

#[cfg(test)]
mod tests;
