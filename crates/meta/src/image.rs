//! The committed metadata, as everybody but the controller sees it: an immutable value, swapped
//! whole, sharing unchanged topics with the image before it.

use crate::reassign::Moves;
use crate::{Configs, Home, Level, Levels, Quotas, TopicSettings};
use base::{GroupId, NodeId, Partition, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The listener of nodes that don't name theirs.
pub const LISTENER: &str = "PLAINTEXT";

/// Where one listener of a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name: a client is told addresses of the listener that it came in by.
    pub listener: String,
    /// Host that clients are told.
    pub host: String,
    /// Port that clients are told.
    pub port: u16,
}

/// How a node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NodeInfo {
    /// One for each listener.
    pub endpoints: Vec<Endpoint>,
    /// Rack, if any.
    pub rack: Option<String>,
}

impl NodeInfo {
    /// A node with one listener that has no name of its own.
    pub fn new(host: &str, port: u16, rack: Option<&str>) -> NodeInfo {
        NodeInfo {
            endpoints: vec![Endpoint {
                listener: LISTENER.to_owned(),
                host: host.to_owned(),
                port,
            }],
            rack: rack.map(str::to_owned),
        }
    }

    /// Where it is reached by clients of a listener; none if it has no such listener.
    pub fn at(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.listener == listener)
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its Raft group.
    pub group: GroupId,
    /// Its replicas as clients see them, the preferred leader first. While it is reassigned: those
    /// that it is to have, then those that go.
    pub replicas: Vec<NodeId>,
    /// How it came to these replicas, if it was ever reassigned.
    pub moves: Option<Arc<Moves>>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionInfo>,
    /// Its configuration where it differs from the defaults.
    pub configs: BTreeMap<String, String>,
    /// What the configuration and this node's defaults come to.
    pub settings: Arc<TopicSettings>,
}

/// The committed metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Grows with every change; the Raft index of the last one.
    pub version: u64,
    /// Registered nodes.
    pub nodes: BTreeMap<NodeId, NodeInfo>,
    /// Where nodes live that said so.
    pub homes: BTreeMap<NodeId, Arc<Home>>,
    /// The last generation of each node's number.
    pub generations: BTreeMap<NodeId, u32>,
    /// What may be written.
    pub level: Level,
    /// What nodes can read that said so.
    pub levels: BTreeMap<NodeId, Levels>,
    /// Topics by name. The same three maps as in the image before, if no topic changed.
    pub topics: Arc<BTreeMap<String, Arc<Topic>>>,
    /// Names by id.
    pub names: Arc<BTreeMap<Uuid, String>>,
    /// Topic and partition of each group.
    pub groups: Arc<BTreeMap<GroupId, (Arc<Topic>, Partition)>>,
    /// Configuration of everything but topics.
    pub configs: Arc<Configs>,
    /// Quotas.
    pub quotas: Arc<Quotas>,
}

impl Image {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: &Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(id)?)
    }

    /// One more topic, whose name and id are free.
    pub fn add(&mut self, topic: Arc<Topic>) {
        let groups = Arc::make_mut(&mut self.groups);
        for (partition, at) in topic.partitions.iter().zip(0..) {
            groups.insert(partition.group, (topic.clone(), Partition(at)));
        }
        Arc::make_mut(&mut self.names).insert(topic.id, topic.name.clone());
        Arc::make_mut(&mut self.topics).insert(topic.name.clone(), topic);
    }

    /// One topic less: the one with this id, if there is one.
    pub fn take(&mut self, id: &Uuid) -> Option<Arc<Topic>> {
        self.names.get(id)?;
        let name = Arc::make_mut(&mut self.names).remove(id)?;
        let topic = Arc::make_mut(&mut self.topics).remove(&name)?;
        let groups = Arc::make_mut(&mut self.groups);
        for partition in &topic.partitions {
            groups.remove(&partition.group);
        }
        Some(topic)
    }

    /// True if all topics are as they were in an image before this one, and nobody need go through them.
    pub fn has_topics_of(&self, old: &Image) -> bool {
        Arc::ptr_eq(&self.topics, &old.topics)
    }

    /// A group's replicas.
    pub fn partition(&self, group: GroupId) -> Option<&PartitionInfo> {
        let (topic, partition) = self.groups.get(&group)?;
        topic.partitions.get(partition.0 as usize)
    }
}
