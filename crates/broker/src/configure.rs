//! Changes of configurations. What this node can judge is judged here, in Kafka's words: keys of
//! nodes, which only the broker has a table of, and bounds of groups. The rest is the
//! controller's to decide.

use crate::settings::{self, Standing};
use crate::{Action, Broker, Principal, Resource, Verb, authorise, subscriptions};
use base::{Now, Refusal};
use meta::config::{self, Kind};
use meta::{Command, ConfigChange, Configs, Edit, ResourceKind};
use shard::ReplyTo;
use std::collections::BTreeMap;
use std::time::Duration;

impl Broker {
    /// Changes configurations, or only says whether it could; parts that the door refuses keep
    /// their places. Answered with `Reply::Meta(Ok(Each(..)))`.
    pub fn alter_configs(
        &self,
        now: Now,
        principal: &Principal,
        changes: Vec<Result<ConfigChange, Refusal>>,
        validate_only: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let decided = changes.into_iter().map(|change| {
            let change = change?;
            self.check_change(principal, &change)?;
            Ok(change)
        });
        let command = |changes| Command::AlterConfigs {
            changes,
            validate_only,
        };
        let decided = decided.collect();
        self.change::<(), _>(Verb::AlterConfigs, now, timeout, to, decided, command);
    }

    /// What has a configuration of its own, of one kind.
    pub fn configured(&self, principal: &Principal, kind: ResourceKind) -> Vec<String> {
        let image = self.image();
        let seen =
            |name: &&String| self.allows(principal, Action::DescribeConfigs, Resource::Topic(name));
        match kind {
            ResourceKind::Topic => image.topics.keys().filter(seen).cloned().collect(),
            ResourceKind::Node => image.nodes.keys().map(ToString::to_string).collect(),
            _ => {
                let of_kind = image.configs.keys().filter(|r| r.kind == kind);
                of_kind.map(|resource| resource.name.clone()).collect()
            }
        }
    }

    fn check_change(&self, principal: &Principal, change: &ConfigChange) -> Result<(), Refusal> {
        let name = change.resource.name.as_str();
        let on = match change.resource.kind {
            ResourceKind::Topic => Resource::Topic(name),
            ResourceKind::Group => Resource::Group(name),
            ResourceKind::Node | ResourceKind::ClientMetrics => Resource::Cluster,
        };
        authorise(principal, Action::AlterConfigs, on)?;
        match change.resource.kind {
            ResourceKind::Topic => Ok(()),
            ResourceKind::Node => {
                check_node_keys(&change.edits)?;
                check_assignment_interval(&self.settings().groups.config, &change.edits)
            }
            ResourceKind::ClientMetrics if name.is_empty() => Err(Refusal::InvalidRequest(
                "Subscription name can't be empty".to_owned(),
            )),
            ResourceKind::ClientMetrics => subscriptions::check_patterns(&change.edits),
            ResourceKind::Group if name.is_empty() => Err(Refusal::InvalidRequest(
                "Group name can't be empty".to_owned(),
            )),
            ResourceKind::Group => check_group_keys(
                &self.settings().groups.config,
                &self.image().configs,
                change,
            ),
        }
    }
}

/// Only keys that take effect without a restart are changed.
fn check_node_keys(edits: &[(String, Edit)]) -> Result<(), Refusal> {
    let mut fixed = Vec::new();
    for (name, edit) in edits {
        match settings::standing(name) {
            Standing::Dynamic(Some(key)) => check_value(key, edit)?,
            Standing::Dynamic(None) => {}
            Standing::Static => fixed.push(name.as_str()),
            Standing::Unknown => {
                let near = settings::nearest(name);
                let hint = near.map_or(String::new(), |key| format!("; did you mean '{key}'?"));
                let why = format!("Unknown broker config name: {name}{hint}");
                return Err(Refusal::InvalidRequest(why));
            }
        }
    }
    if fixed.is_empty() {
        return Ok(());
    }
    Err(Refusal::InvalidRequest(format!(
        "Cannot update these configs dynamically: [{}]",
        fixed.join(", ")
    )))
}

/// The one key of coordinators that changes while nodes run keeps to the same bounds then.
fn check_assignment_interval(
    config: &group::Config,
    edits: &[(String, Edit)],
) -> Result<(), Refusal> {
    const KEY: &str = "group.consumer.assignment.interval.ms";
    let set = edits.iter().find_map(|(name, edit)| match edit {
        Edit::Set(value) if name == KEY => value.trim().parse::<i32>().ok(),
        _ => None,
    });
    let bound = assignment_bound(config);
    match set.and_then(|value| Some((value, bound.broken(value)?))) {
        None => Ok(()),
        Some((value, how)) => Err(Refusal::InvalidRequest(format!(
            "Invalid value {value}: {KEY} {how}"
        ))),
    }
}

fn check_value(key: &settings::Key, edit: &Edit) -> Result<(), Refusal> {
    let value = match edit {
        Edit::Delete => return Ok(()),
        Edit::Set(value) | Edit::Append(value) | Edit::Subtract(value) => value,
    };
    config::check(key.name, key.kind, key.rule, value).map_err(Refusal::InvalidRequest)
}

/// A key of groups with its bounds on this node.
struct Bound {
    key: &'static str,
    min: i32,
    max: i32,
}

impl Bound {
    /// Which of the bounds a value breaks, in Kafka's words.
    fn broken(&self, value: i32) -> Option<String> {
        let (how, which) = match value {
            value if value < self.min => ("greater", "min"),
            value if value > self.max => ("less", "max"),
            _ => return None,
        };
        let rest = self.key.trim_start_matches("consumer.");
        Some(format!(
            "must be {how} than or equal to group.consumer.{which}.{rest}"
        ))
    }
}

fn bounds(config: &group::Config) -> [Bound; 3] {
    let session = Bound {
        key: SESSION,
        min: config.consumer_session_timeout_min_ms,
        max: config.consumer_session_timeout_max_ms,
    };
    let heartbeat = Bound {
        key: HEARTBEAT,
        min: config.consumer_heartbeat_interval_min_ms,
        max: config.consumer_heartbeat_interval_max_ms,
    };
    [session, heartbeat, assignment_bound(config)]
}

fn assignment_bound(config: &group::Config) -> Bound {
    Bound {
        key: "consumer.assignment.interval.ms",
        min: config.consumer_assignment_interval_min_ms,
        max: config.consumer_assignment_interval_max_ms,
    }
}

const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";

fn check_group_keys(
    config: &group::Config,
    configs: &Configs,
    change: &ConfigChange,
) -> Result<(), Refusal> {
    let mut after: BTreeMap<&str, &str> = BTreeMap::new();
    if !change.replace
        && let Some(set) = configs.get(&change.resource)
    {
        after.extend(set.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    }
    for (key, edit) in &change.edits {
        match edit {
            Edit::Set(value) => after.insert(key, value),
            _ => after.remove(key.as_str()),
        };
    }
    let number = |key: &str| -> Option<i32> { after.get(key)?.trim().parse().ok() };
    let no = |why: String| Err(Refusal::InvalidConfig(why));
    for bound in bounds(config) {
        let value = number(bound.key).filter(|value| *value >= 1);
        if let Some(how) = value.and_then(|value| bound.broken(value)) {
            return no(format!("{} {how}", bound.key));
        }
    }
    let session = number(SESSION).unwrap_or(config.consumer_session_timeout_ms);
    let heartbeat = number(HEARTBEAT).unwrap_or(config.consumer_heartbeat_interval_ms);
    if session <= heartbeat {
        return no(format!("{SESSION} must be greater than {HEARTBEAT}"));
    }
    Ok(())
}

/// The type of a key of Kafka's that is kept and has no meaning here.
pub(crate) const KEPT: Kind = Kind::Text;

#[cfg(test)]
mod tests;
