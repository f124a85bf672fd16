//! Topics that are made again under a name. A client that wrote to the earlier one knows the name only:
//! its idempotent producer goes on counting where it was there, and some clients give up for good if
//! they are told to begin at 0. So the new topic's partitions take whoever got his id while the earlier
//! one was there for one that they have forgotten. Others begin at 0 as everywhere.
//!
//! Each node remembers by itself which names are gone, and for as long as it runs; what its replicas
//! made of it is in their checkpoints.

use crate::Shard;
use base::{ProducerId, limits};
use meta::Topic;
use std::collections::BTreeMap;

/// Names of topics that were deleted of late.
#[derive(Debug, Default)]
pub(crate) struct Namesakes {
    /// When each was deleted last, counted in deletions, and the latest producer id of that moment.
    gone: BTreeMap<String, (u64, ProducerId)>,
    /// Names by that count, so that the oldest can be forgotten.
    by_age: BTreeMap<u64, String>,
    deletions: u64,
}

impl Namesakes {
    /// A topic was deleted, and `latest` is the latest producer id that was given to anybody.
    fn deleted(&mut self, name: &str, latest: ProducerId) {
        self.deletions += 1;
        let last = (self.deletions, latest);
        if let Some((before, _)) = self.gone.insert(name.to_owned(), last) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.deletions, name.to_owned());
        if self.by_age.len() > limits::DELETED_NAMES_REMEMBERED
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.gone.remove(&oldest);
        }
    }

    /// The latest producer that may have written to an earlier topic of this name.
    pub(crate) fn latest(&self, name: &str) -> Option<ProducerId> {
        self.gone.get(name).map(|(_, latest)| *latest)
    }
}

impl Shard {
    /// The metadata says that a topic is no more.
    pub(crate) fn remember_deleted(&mut self, topic: &Topic) {
        let next = self.controller.next_producer();
        if next > ProducerId(0) {
            self.namesakes.deleted(&topic.name, ProducerId(next.0 - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_went_last_are_remembered() {
        let mut names = Namesakes::default();
        names.deleted("a", ProducerId(1));
        names.deleted("b", ProducerId(2));
        names.deleted("a", ProducerId(3));
        assert_eq!(names.latest("a"), Some(ProducerId(3)));
        for n in 1..limits::DELETED_NAMES_REMEMBERED {
            names.deleted(&n.to_string(), ProducerId(4));
        }
        assert_eq!(names.latest("a"), Some(ProducerId(3)));
        assert_eq!(names.latest("b"), None, "it is the oldest");
        assert_eq!(names.gone.len(), limits::DELETED_NAMES_REMEMBERED);
        assert_eq!(names.by_age.len(), limits::DELETED_NAMES_REMEMBERED);
    }
}
