//! What coordinators obey and may change while nodes run: what groups have configured for themselves, and keys of this
//! node.

use crate::Shard;
use base::NodeId;
use meta::Image;
use std::collections::BTreeMap;
use std::sync::Arc;

const ASSIGNMENT_INTERVAL_MS: &str = "group.consumer.assignment.interval.ms";

impl Shard {
    /// Configurations changed.
    pub(crate) fn take_group_configs(&mut self, image: &Image) {
        take(&mut self.settings.groups, image, self.settings.node);
    }
}

fn take(config: &mut group::Config, image: &Image, node: NodeId) {
    let set = image.of_node(node, ASSIGNMENT_INTERVAL_MS);
    let set = set.and_then(|value| value.trim().parse().ok());
    config.consumer_assignment_interval_changed_ms = set;
    config.overrides = group_overrides(image);
}

/// What groups have configured for themselves. Values were checked when they were set; one that
/// doesn't parse leaves the node's in force.
fn group_overrides(image: &Image) -> BTreeMap<Arc<str>, group::Overrides> {
    let mut all = BTreeMap::new();
    for (resource, set) in image.configs.iter() {
        if resource.kind != meta::ResourceKind::Group {
            continue;
        }
        let number = |key: &str| set.get(key)?.trim().parse().ok();
        let overrides = group::Overrides {
            session_timeout_ms: number("consumer.session.timeout.ms"),
            heartbeat_interval_ms: number("consumer.heartbeat.interval.ms"),
            assignment_interval_ms: number("consumer.assignment.interval.ms"),
        };
        all.insert(Arc::from(resource.name.as_str()), overrides);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::{Resource, ResourceKind};

    fn set(
        kind: ResourceKind,
        name: &str,
        key: &str,
        value: &str,
    ) -> (Resource, BTreeMap<String, String>) {
        let set = [(key.to_owned(), value.to_owned())];
        (Resource::new(kind, name), set.into())
    }

    #[test]
    fn a_key_of_the_node_holds_for_groups_without_one_of_their_own_until_it_is_deleted() {
        let image = Image {
            configs: Arc::new(
                [
                    set(ResourceKind::Node, "", ASSIGNMENT_INTERVAL_MS, "7"),
                    set(ResourceKind::Node, "2", ASSIGNMENT_INTERVAL_MS, "8"),
                    set(
                        ResourceKind::Group,
                        "g",
                        "consumer.assignment.interval.ms",
                        "9",
                    ),
                ]
                .into(),
            ),
            ..Image::default()
        };
        let mut config = group::Config::default();
        take(&mut config, &image, NodeId(1));
        assert_eq!(config.assignment_interval_ms("g"), 9);
        assert_eq!(config.assignment_interval_ms("h"), 7);
        take(&mut config, &image, NodeId(2));
        assert_eq!(config.assignment_interval_ms("h"), 8);
        take(&mut config, &Image::default(), NodeId(2));
        assert_eq!(config.assignment_interval_ms("g"), 1000);
    }
}
