//! Configuration as it is shown: every key with its value, where the value comes from and what it
//! would be otherwise. Of several values the most specific counts: the topic's (or group's) own,
//! then what was changed for this node, then what was changed for all nodes, then what this node
//! was started with, then the default.

use crate::{Action, Broker, Principal, Resource, authorise, settings};
use base::Refusal;
use meta::config::Kind;
use meta::{Image, ResourceKind};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own configuration.
    Topic,
    /// What was changed for this node while it ran.
    DynamicNode,
    /// What was changed for all nodes while they ran.
    DynamicDefault,
    /// What this node was started with.
    Node,
    /// The subscription's own configuration.
    ClientMetrics,
    /// The group's own configuration.
    Group,
    /// The default.
    Default,
}

/// A value that is, or would be, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key that it was given under.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// A key with the value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: Cow<'static, str>,
    /// The value in force; none if the key is unset and has no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// The type of the value.
    pub kind: Kind,
    /// True if only a restart changes it.
    pub read_only: bool,
    /// True if the value must not be shown. No key's is.
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
        let image = self.image();
        let shown = meta::config::KEYS.iter().filter(|key| !key.internal);
        shown
            .map(|key| self.topic_entry(&image, key, configs))
            .collect()
    }

    fn topic_entry(
        &self,
        image: &Image,
        key: &'static meta::config::Key,
        configs: &BTreeMap<String, String>,
    ) -> ConfigEntry {
        let mut synonyms = Vec::new();
        if let Some(value) = configs.get(key.name) {
            synonyms.push(synonym(key.name, Some(value), ConfigSource::Topic));
        }
        let below = key.synonym.unwrap_or(key.name);
        synonyms.extend(self.changed(image, below));
        if let Some(value) = self.settings().given(below) {
            synonyms.push(synonym(below, Some(value), ConfigSource::Node));
        }
        let mut entry = with_default(key.name, key.kind, key.doc, synonyms, below, key.default);
        if coarser(below).next().is_some() || key.synonym.is_none() {
            // Kafka's default of these stands under another key, which topics don't show, or
            // nowhere.
            let last = |s: &ConfigSynonym| s.source == ConfigSource::Default;
            entry.synonyms.retain(|synonym| !last(synonym));
        }
        let started_with = self.settings().topic_defaults().topic.get(key.name);
        if entry.source == ConfigSource::Default && started_with.is_some() {
            // It was given in a coarser unit, which isn't shown here either.
            entry.value = started_with.cloned();
        }
        entry
    }

    /// A node's configuration, asked for by the name of the resource: this node's id. The empty
    /// name means what was changed for all nodes.
    pub fn describe_node(
        &self,
        principal: &Principal,
        node: &str,
    ) -> Result<Vec<ConfigEntry>, Refusal> {
        authorise(principal, Action::DescribeConfigs, Resource::Cluster)?;
        if node.is_empty() {
            return Ok(self.all_nodes_configs());
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

    /// A group's configuration; a group needn't be there to have one.
    pub fn describe_group(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Vec<ConfigEntry>, Refusal> {
        authorise(principal, Action::DescribeConfigs, Resource::Group(name))?;
        if name.is_empty() {
            let why = "Group name must not be empty".to_owned();
            return Err(Refusal::InvalidRequest(why));
        }
        let image = self.image();
        let of = meta::Resource::new(ResourceKind::Group, name);
        let set = image.configs.get(&of);
        let one = |key: &'static meta::config::Key| {
            let mut synonyms = Vec::new();
            if let Some(value) = set.and_then(|set| set.get(key.name)) {
                synonyms.push(synonym(key.name, Some(value), ConfigSource::Group));
            }
            let below = key.synonym.unwrap_or(key.name);
            if settings::key(below).is_some_and(|key| key.dynamic) {
                synonyms.extend(self.changed(&image, below));
            }
            if let Some(value) = self.settings().given(below) {
                synonyms.push(synonym(below, Some(value), ConfigSource::Node));
            }
            with_default(key.name, key.kind, key.doc, synonyms, below, key.default)
        };
        Ok(meta::config::groups::KEYS.iter().map(one).collect())
    }

    /// A subscription to metrics of clients.
    pub fn describe_client_metrics(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Vec<ConfigEntry>, Refusal> {
        authorise(principal, Action::DescribeConfigs, Resource::Cluster)?;
        if name.is_empty() {
            let why = "Client metrics subscription name must not be empty".to_owned();
            return Err(Refusal::InvalidRequest(why));
        }
        let image = self.image();
        let of = meta::Resource::new(ResourceKind::ClientMetrics, name);
        let set = image.configs.get(&of);
        let one = |key: &'static meta::config::Key| {
            let own = set.and_then(|set| set.get(key.name));
            let own = own.map(|value| synonym(key.name, Some(value), ConfigSource::ClientMetrics));
            let synonyms = own.into_iter().collect();
            with_default(key.name, key.kind, key.doc, synonyms, key.name, key.default)
        };
        Ok(meta::config::client_metrics::KEYS.iter().map(one).collect())
    }

    fn all_nodes_configs(&self) -> Vec<ConfigEntry> {
        let image = self.image();
        let all = known_names();
        let set = all.filter_map(|(name, kind, doc)| {
            let value = changed_in(&image, "", name)?;
            let synonym = synonym(name, Some(value), ConfigSource::DynamicDefault);
            Some(entry(name, kind, doc, vec![synonym]))
        });
        let of_listeners = listeners_keys(&image, &[""]).into_iter();
        let of_listeners = of_listeners.filter_map(|(name, key)| {
            let value = changed_in(&image, "", &name)?;
            let synonym = synonym(name.clone(), Some(value), ConfigSource::DynamicDefault);
            Some(entry(name, key.kind, key.doc, vec![synonym]))
        });
        set.chain(of_listeners).collect()
    }

    fn node_configs(&self) -> Vec<ConfigEntry> {
        let image = self.image();
        let one = |key: &'static settings::Key| {
            let mut synonyms = self.set(&image, key);
            let mut shown = match coarser(key.name).next() {
                None => {
                    let (name, default) = (key.name, key.default);
                    with_default(name, key.kind, key.doc, synonyms, name, default)
                }
                // As in Kafka, such a key is unset by default; the coarser one is what counts.
                Some(_) if synonyms.is_empty() => {
                    with_default(key.name, key.kind, key.doc, synonyms, key.name, None)
                }
                Some(_) => {
                    let coarser = coarser(key.name).flat_map(|key| self.coarser_values(key));
                    synonyms.extend(coarser);
                    entry(key.name, key.kind, key.doc, synonyms)
                }
            };
            shown.read_only = !key.dynamic;
            shown
        };
        let mut all: Vec<ConfigEntry> = settings::keys().iter().map(one).collect();
        all.extend(settings::coarser_keys().map(|key| {
            let mut synonyms = self.coarser_values(key);
            if synonyms.is_empty() {
                synonyms.push(synonym(key.name, None::<&str>, ConfigSource::Default));
            }
            let mut shown = entry(key.name, Kind::Int, COARSER_DOC, synonyms);
            shown.read_only = true;
            shown
        }));
        let own = self.node().to_string();
        let mut of_listeners = listeners_keys(&image, &[&own, ""]);
        let given = self.settings().of_listeners();
        of_listeners.extend(given.keys().filter_map(|name| key_of_listener(name)));
        for (name, key) in of_listeners {
            let mut synonyms = self.changed(&image, name.clone());
            let given = given.get(&name);
            synonyms
                .extend(given.map(|value| synonym(name.clone(), Some(value), ConfigSource::Node)));
            synonyms.extend(self.set(&image, key));
            let default = (key.name, key.default);
            all.push(with_default(
                name, key.kind, key.doc, synonyms, default.0, default.1,
            ));
        }
        for (name, kind, doc) in known_names() {
            let synonyms = self.changed(&image, name);
            if settings::key(name).is_none() && !synonyms.is_empty() {
                all.push(entry(name, kind, doc, synonyms));
            }
        }
        all
    }

    /// What was given for a key in a coarser unit, then its default.
    fn coarser_values(&self, key: &'static settings::Coarser) -> Vec<ConfigSynonym> {
        let given = self.settings().given(key.name);
        let given = given.map(|value| synonym(key.name, Some(value), ConfigSource::Node));
        let default = key.default;
        let default = default.map(|value| synonym(key.name, Some(value), ConfigSource::Default));
        given.into_iter().chain(default).collect()
    }

    /// What was set of a node's key in any way, the value in force first.
    fn set(&self, image: &Image, key: &'static settings::Key) -> Vec<ConfigSynonym> {
        let mut set = self.changed(image, key.name);
        let given = self.settings().given(key.name);
        set.extend(given.map(|value| synonym(key.name, Some(value), ConfigSource::Node)));
        set
    }

    /// What was changed of a node's key while nodes ran, the value in force first.
    fn changed(&self, image: &Image, name: impl Into<Cow<'static, str>>) -> Vec<ConfigSynonym> {
        let name = name.into();
        let own = self.node().to_string();
        let places = [
            (own.as_str(), ConfigSource::DynamicNode),
            ("", ConfigSource::DynamicDefault),
        ];
        let set = places.into_iter().filter_map(|(node, source)| {
            let value = changed_in(image, node, &name)?;
            Some(synonym(name.clone(), Some(value), source))
        });
        set.collect()
    }

    /// The value that was set of a key while nodes ran, and for whom.
    pub(crate) fn dynamic(
        &self,
        image: &Image,
        name: impl Into<Cow<'static, str>>,
    ) -> Option<(String, ConfigSource)> {
        let first = self.changed(image, name).into_iter().next()?;
        Some((first.value?, first.source))
    }
}

fn changed_in<'a>(image: &'a Image, node: &str, name: &str) -> Option<&'a String> {
    let of = meta::Resource::new(ResourceKind::Node, node);
    image.configs.get(&of)?.get(name)
}

/// The keys that were set of single listeners, for any of these nodes.
pub(crate) fn listeners_keys(
    image: &Image,
    nodes: &[&str],
) -> BTreeMap<String, &'static settings::Key> {
    let of = |node: &&str| meta::Resource::new(ResourceKind::Node, *node);
    let set = nodes.iter().filter_map(|node| image.configs.get(&of(node)));
    set.flat_map(|set| set.keys().filter_map(|name| key_of_listener(name)))
        .collect()
}

fn key_of_listener(name: &str) -> Option<(String, &'static settings::Key)> {
    Some((name.to_owned(), settings::of_listener(name)?.1))
}

/// All keys that may have been changed while nodes ran: those of the table, then those that are
/// kept without a meaning.
fn known_names() -> impl Iterator<Item = (&'static str, Kind, &'static str)> {
    let own = settings::keys().iter();
    let own = own.map(|key| (key.name, key.kind, key.doc));
    let kept = settings::kept_names().map(|name| (name, crate::configure::KEPT, KEPT_DOC));
    own.chain(kept)
}

/// What is said of a key of Kafka's that means nothing here.
const KEPT_DOC: &str = "Kept for tools that set it; it means nothing here.";

/// What is said of keys in coarser units.
const COARSER_DOC: &str = "What counts unless the key in milliseconds is set.";

/// The keys in coarser units that mean the same, under which Kafka shows the default.
fn coarser(name: &str) -> impl Iterator<Item = &'static settings::Coarser> {
    settings::coarser_keys().filter(move |key| key.of == name)
}

/// An entry whose last value is the default.
fn with_default(
    name: impl Into<Cow<'static, str>>,
    kind: Kind,
    doc: &'static str,
    mut synonyms: Vec<ConfigSynonym>,
    below: &'static str,
    default: Option<&'static str>,
) -> ConfigEntry {
    synonyms.push(synonym(below, default, ConfigSource::Default));
    entry(name, kind, doc, synonyms)
}

fn synonym(
    name: impl Into<Cow<'static, str>>,
    value: Option<impl Into<String>>,
    source: ConfigSource,
) -> ConfigSynonym {
    ConfigSynonym {
        name: name.into(),
        value: value.map(Into::into),
        source,
    }
}

fn entry(
    name: impl Into<Cow<'static, str>>,
    kind: Kind,
    doc: &'static str,
    mut synonyms: Vec<ConfigSynonym>,
) -> ConfigEntry {
    let first = synonyms
        .first()
        .expect("an entry has a value or its default")
        .clone();
    synonyms.retain(|synonym| synonym.value.is_some());
    ConfigEntry {
        name: name.into(),
        value: first.value,
        source: first.source,
        kind,
        read_only: false,
        sensitive: false,
        synonyms,
        doc,
    }
}

#[cfg(test)]
mod tests;
