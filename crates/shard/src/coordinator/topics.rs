//! The topics as groups see them: the published image itself, nothing is copied for a call.

use base::Uuid;
use group::{TopicFacts, Topics};
use meta::Image;
use std::sync::Arc;

/// An image in the words of groups.
pub(crate) struct ImageTopics<'a>(pub(crate) &'a Image);

impl Topics for ImageTopics<'_> {
    fn topic(&self, name: &str) -> Option<TopicFacts> {
        self.0.topic(name).map(|topic| TopicFacts {
            id: topic.id,
            partitions: topic.partitions.len() as u32,
        })
    }

    fn name_of(&self, id: &Uuid) -> Option<&str> {
        self.0.names.get(id).map(String::as_str)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.topics.keys().map(String::as_str))
    }

    fn racks(&self, name: &str) -> Vec<Vec<Arc<str>>> {
        let Some(topic) = self.0.topic(name) else {
            return Vec::new();
        };
        let racks: std::collections::BTreeMap<_, Arc<str>> = self
            .0
            .nodes
            .iter()
            .filter_map(|(node, info)| Some((*node, info.rack.as_deref()?.into())))
            .collect();
        if racks.is_empty() {
            return Vec::new();
        }
        let of = |partition: &meta::PartitionInfo| {
            let found = partition.replicas.iter().filter_map(|n| racks.get(n));
            let mut found: Vec<_> = found.cloned().collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        topic.partitions.iter().map(of).collect()
    }

    fn version(&self) -> u64 {
        self.0.version
    }
}
