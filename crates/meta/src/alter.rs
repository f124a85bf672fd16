//! Deciding about configurations, in the order and the words of Kafka's controller: names of keys
//! first, then their values, then what must hold between them. A thing's configuration changes
//! as a whole or not at all.
//!
//! Keys of nodes are checked by the broker, which has their table; here only the name of the node
//! is, and which of them are lists.

use crate::config::{self, Kind};
use crate::records::Record;
use crate::{ConfigChange, Edit, Meta, Reply, Resource, ResourceKind, TopicSettings, names};
use base::limits::CONFIGURED_RESOURCES_MAX;
use base::{Decision, NodeId, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

/// Longest value of a key, as in Kafka.
const VALUE_BYTES_MAX: usize = 32_767;

impl Meta {
    pub(crate) fn alter_configs(
        &self,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Decision<Reply> {
        let mut times: BTreeMap<&Resource, u32> = BTreeMap::new();
        for change in changes {
            *times.entry(&change.resource).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut parts = Vec::new();
        for change in changes {
            let decided = match times[&change.resource] {
                1 => self.change_config(change),
                _ => Err(Refusal::InvalidRequest(
                    "Each resource must appear at most once.".to_owned(),
                )),
            };
            parts.push(decided.map(|record| records.extend(record.map(|fact| fact.encode()))));
        }
        if validate_only {
            records.clear();
        }
        Decision {
            records,
            reply: Reply::Each(parts),
        }
    }

    fn change_config(&self, change: &ConfigChange) -> Result<Option<Record>, Refusal> {
        let Resource { kind, name } = &change.resource;
        if *kind == ResourceKind::Topic {
            names::check(name).map_err(Refusal::InvalidTopic)?;
        }
        let now = self.configs_of(&change.resource)?;
        let after = self.edited(*kind, now, change)?;
        match kind {
            ResourceKind::Topic => {
                config::validate(&after, &self.effective).map_err(Refusal::InvalidConfig)?;
            }
            ResourceKind::Node => self.check_node(name)?,
            ResourceKind::Group => {
                config::groups::validate(&after).map_err(Refusal::InvalidConfig)?;
            }
            ResourceKind::ClientMetrics => {
                config::client_metrics::validate(&after).map_err(refused_metrics)?;
            }
        }
        if !after.is_empty() {
            self.config_room(&change.resource)?;
        }
        let set: BTreeMap<String, String> = after
            .iter()
            .filter(|(key, value)| now.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let gone: Vec<String> = now
            .keys()
            .filter(|key| !after.contains_key(*key))
            .cloned()
            .collect();
        let nothing = set.is_empty() && gone.is_empty();
        Ok((!nothing).then(|| Record::ConfigChanged {
            resource: change.resource.clone(),
            set,
            gone,
        }))
    }

    /// All nodes together, or one that is registered, whether it runs or not.
    fn check_node(&self, name: &str) -> Result<(), Refusal> {
        if name.is_empty() {
            return Ok(());
        }
        match name.parse::<i32>() {
            Ok(id) if id >= 0 => {
                let known = self.image.nodes.contains_key(&NodeId(id as u32));
                let why = || Refusal::UnknownNode(format!("No broker with id {id} found."));
                known.then_some(()).ok_or_else(why)
            }
            Ok(_) => Err(Refusal::InvalidRequest(
                "Invalid negative broker ID.".to_owned(),
            )),
            Err(_) => Err(Refusal::InvalidRequest(
                "Unable to parse broker name as a base 10 number.".to_owned(),
            )),
        }
    }

    fn config_room(&self, resource: &Resource) -> Result<(), Refusal> {
        let configs = &self.image.configs;
        let known = resource.kind == ResourceKind::Topic || configs.contains_key(resource);
        if !known && configs.len() >= CONFIGURED_RESOURCES_MAX {
            return Err(Refusal::InvalidRequest(format!(
                "At most {CONFIGURED_RESOURCES_MAX} resources may have a configuration"
            )));
        }
        Ok(())
    }

    fn configs_of(&self, resource: &Resource) -> Result<&BTreeMap<String, String>, Refusal> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match resource.kind {
            ResourceKind::Topic => match self.image.topic(&resource.name) {
                Some(topic) => Ok(&topic.configs),
                None => Err(Refusal::UnknownTopic),
            },
            _ => Ok(self.image.configs.get(resource).unwrap_or(&NONE)),
        }
    }

    /// The configuration as it would be.
    fn edited(
        &self,
        kind: ResourceKind,
        now: &BTreeMap<String, String>,
        change: &ConfigChange,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let mut after = if change.replace {
            BTreeMap::new()
        } else {
            now.clone()
        };
        for (key, edit) in &change.edits {
            let value = match edit {
                Edit::Delete => {
                    after.remove(key);
                    continue;
                }
                Edit::Set(value) => value.clone(),
                Edit::Append(items) | Edit::Subtract(items) => {
                    let list = self.list(kind, key, after.get(key), edit)?;
                    edit_list(list, items, matches!(edit, Edit::Append(_)))
                }
            };
            if value.len() > VALUE_BYTES_MAX {
                return Err(Refusal::InvalidConfig(format!(
                    "The configuration value cannot be added because it exceeds the maximum \
                     value size of {VALUE_BYTES_MAX} bytes."
                )));
            }
            after.insert(key.clone(), value);
        }
        Ok(after)
    }

    /// The list that is to be changed: what is set, or else the default.
    fn list(
        &self,
        kind: ResourceKind,
        name: &str,
        set: Option<&String>,
        edit: &Edit,
    ) -> Result<String, Refusal> {
        let key = match kind {
            ResourceKind::Topic => config::key(name),
            ResourceKind::Node => config::KEYS.iter().find(|key| key.synonym == Some(name)),
            _ => None,
        };
        let of_metrics =
            kind == ResourceKind::ClientMetrics && config::client_metrics::is_list(name);
        if !of_metrics && key.is_none_or(|key| key.kind != Kind::List) {
            let verb = match edit {
                Edit::Subtract(_) => "SUBTRACT",
                _ => "APPEND",
            };
            return Err(Refusal::InvalidConfig(format!(
                "Can't {verb} to key {name} because its type is not LIST."
            )));
        }
        let below = key.and_then(|key| match kind {
            ResourceKind::Topic => self.effective.get(name).map(String::as_str).or(key.default),
            _ => key.default,
        });
        Ok(set
            .cloned()
            .or(below.map(str::to_owned))
            .unwrap_or_default())
    }

    pub(crate) fn apply_config(
        &mut self,
        resource: Resource,
        set: BTreeMap<String, String>,
        gone: &[String],
    ) {
        if resource.kind == ResourceKind::Topic {
            return self.apply_topic_config(&resource.name, set, gone);
        }
        // Copied only if somebody else still looks at it.
        let all = Arc::make_mut(&mut self.image.configs);
        let of = all.entry(resource.clone()).or_default();
        of.extend(set);
        of.retain(|key, _| !gone.contains(key));
        if of.is_empty() {
            all.remove(&resource);
        }
        if resource.kind == ResourceKind::Node {
            self.apply_node_defaults();
        }
    }

    fn apply_topic_config(&mut self, name: &str, set: BTreeMap<String, String>, gone: &[String]) {
        let Some(topic) = self.image.topics.get(name) else {
            return;
        };
        let mut topic = (**topic).clone();
        topic.configs.extend(set);
        topic.configs.retain(|key, _| !gone.contains(key));
        topic.settings = Arc::new(TopicSettings::parse(&topic.configs, &self.effective));
        self.replace(topic);
    }

    /// What this node's configuration says about topics now; topics for which that means
    /// something else than before are changed.
    fn apply_node_defaults(&mut self) {
        let mut effective = self.defaults.topic.clone();
        let own = self.defaults.node.map(|node| node.to_string());
        for name in iter::once("").chain(own.as_deref()) {
            let of = Resource::new(ResourceKind::Node, name);
            let Some(set) = self.image.configs.get(&of) else {
                continue;
            };
            for key in config::KEYS {
                if let Some(value) = key.synonym.and_then(|synonym| set.get(synonym)) {
                    effective.insert(key.name.to_owned(), value.clone());
                }
            }
        }
        if effective == self.effective {
            return;
        }
        self.effective = effective;
        let topics: Vec<_> = self.image.topics.values().cloned().collect();
        for topic in topics {
            let settings = TopicSettings::parse(&topic.configs, &self.effective);
            if settings != *topic.settings {
                let mut topic = (*topic).clone();
                topic.settings = Arc::new(settings);
                self.replace(topic);
            }
        }
    }
}

fn refused_metrics(why: config::client_metrics::Wrong) -> Refusal {
    match why {
        config::client_metrics::Wrong::Request(why) => Refusal::InvalidRequest(why),
        config::client_metrics::Wrong::Value(why) => Refusal::InvalidConfig(why),
    }
}

fn edit_list(list: String, items: &str, append: bool) -> String {
    let mut all: Vec<&str> = config::items(&list).collect();
    if append {
        for item in config::items(items) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
    } else {
        let gone: BTreeSet<&str> = config::items(items).collect();
        all.retain(|item| !gone.contains(item));
    }
    all.join(",")
}

#[cfg(test)]
mod tests;
