//! What may have a configuration of its own beside a topic, and how a configuration is changed.

use std::collections::BTreeMap;

/// Kinds of things that have a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A topic, by name.
    Topic,
    /// A node, by its number; the empty name stands for all nodes.
    Node,
    /// A subscription to metrics of clients.
    ClientMetrics,
    /// A group, by name.
    Group,
}

/// One thing that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

impl Resource {
    /// A resource of this kind and name.
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Resource {
        Resource {
            kind,
            name: name.into(),
        }
    }
}

/// What is set of each thing, topics aside.
pub type Configs = BTreeMap<Resource, BTreeMap<String, String>>;

/// What happens to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It gets this value.
    Set(String),
    /// It is set no longer.
    Delete,
    /// These items are added to its list.
    Append(String),
    /// These items are taken from its list.
    Subtract(String),
}

/// A change of one thing's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Whose.
    pub resource: Resource,
    /// Keys that are not named are set no longer.
    pub replace: bool,
    /// Keys, each once.
    pub edits: Vec<(String, Edit)>,
}
