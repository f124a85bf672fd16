//! Who gets which partitions: pure functions from members, topics and what everybody had before.
//!
//! Not here: when a new assignment is due, and how members get there (`consumer`). An assignor
//! is a function of its arguments alone: members in the order of their ids, topics in the order of
//! their ids, no iteration order of a hash, no chance. Each partition of a topic that somebody
//! wants goes to exactly one of those who want it.

mod range;
mod uniform;

use base::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions by topic; the partitions of a topic are in order and none comes twice. A topic
/// without partitions isn't in it.
pub type Assignment = BTreeMap<Uuid, Vec<i32>>;

/// A topic that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: u32,
    /// For each partition the racks of its replicas; empty if no rack is known.
    pub racks: Vec<Vec<Arc<str>>>,
}

/// A member that wants topics.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its static name, if it has one.
    pub instance: Option<&'a str>,
    /// Its rack, if it says.
    pub rack: Option<&'a str>,
    /// Which topics it wants: places in the list of topics, in order, none twice.
    pub topics: &'a [usize],
    /// What it was to have so far.
    pub before: &'a Assignment,
}

/// The assignors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Even shares, and as little as possible moves.
    Uniform,
    /// Each topic is cut into runs of neighbours, so that partitions with the same number of
    /// topics of the same size end up together.
    Range,
}

impl Assignor {
    /// The assignor with this name in Kafka.
    pub fn named(name: &str) -> Option<Assignor> {
        match name {
            "uniform" => Some(Assignor::Uniform),
            "range" => Some(Assignor::Range),
            _ => None,
        }
    }

    /// The new assignment of each member, in the order of `members`, which is that of their ids;
    /// `topics` are in the order of theirs.
    pub fn assign(self, members: &[Member<'_>], topics: &[Topic]) -> Vec<Assignment> {
        match self {
            Assignor::Uniform => uniform::assign(members, topics),
            Assignor::Range => range::assign(members, topics),
        }
    }
}

#[cfg(test)]
mod tests;
