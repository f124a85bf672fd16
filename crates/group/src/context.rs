//! What a decision may know besides the machine's own state: time, configuration, the topics of
//! the cluster, and one random id. All of it is an argument, so that a decision can be replayed.

use crate::Config;
use base::{Now, Uuid};
use std::sync::Arc;

/// The host's name for somebody who waits for an answer.
pub type Caller = u64;

/// What a group may know of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its id.
    pub id: Uuid,
    /// Its partitions.
    pub partitions: u32,
}

/// The topics of the cluster at one moment.
pub trait Topics {
    /// The topic of this name.
    fn topic(&self, name: &str) -> Option<TopicFacts>;
    /// The name of the topic with this id.
    fn name_of(&self, id: &Uuid) -> Option<&str>;
    /// All names, in order; regular expressions are matched against them.
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// For each partition the racks of its replicas, sorted; empty if no rack is known.
    fn racks(&self, name: &str) -> Vec<Vec<Arc<str>>>;
    /// Grows with every change to what the other questions answer.
    fn version(&self) -> u64;
}

/// What a decision is told about the world.
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// The node's configuration.
    pub config: &'a Config,
    /// The topics.
    pub topics: &'a dyn Topics,
    /// Random bits, new for every command: they become the id of a member.
    pub drawn: Uuid,
}

/// No topics: for steps that don't look at them.
pub(crate) struct NoTopics;

impl Topics for NoTopics {
    fn topic(&self, _name: &str) -> Option<TopicFacts> {
        None
    }

    fn name_of(&self, _id: &Uuid) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn racks(&self, _name: &str) -> Vec<Vec<Arc<str>>> {
        Vec::new()
    }

    fn version(&self) -> u64 {
        0
    }
}
