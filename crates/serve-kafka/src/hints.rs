//! Who leads, told beside a refusal so that the client needn't ask (KIP-951).

use base::{NodeId, Refusal, Term};
use broker::{Broker, TopicKey};
use meta::Image;

/// The leaders that one answer points to, each once.
#[derive(Debug, Default)]
pub(crate) struct Hints(Vec<NodeId>);

impl Hints {
    /// The leader that a refusal names, as the answer's fields want it; remembered.
    pub(crate) fn of(&mut self, refusal: &Refusal) -> Option<(i32, i32)> {
        match refusal {
            Refusal::NotLeader {
                leader: Some(leader),
            } => Some(self.point_to(*leader)),
            _ => None,
        }
    }

    /// Remembers a leader and writes it as the answer's fields want it.
    pub(crate) fn point_to(&mut self, (node, term): (NodeId, Term)) -> (i32, i32) {
        if !self.0.contains(&node) {
            self.0.push(node);
        }
        (node_id(node), term.epoch())
    }

    /// How a client of a listener reaches the nodes that were pointed to.
    pub(crate) fn endpoints(self, image: &Image, listener: &str) -> Vec<Reached> {
        let reached = |node| {
            let info = image.nodes.get(&node)?;
            let at = info.at(listener)?;
            Some(Reached {
                node_id: node_id(node),
                host: at.host.clone(),
                port: i32::from(at.port),
                rack: info.rack.clone(),
            })
        };
        self.0.into_iter().filter_map(reached).collect()
    }
}

/// A node as an answer names it.
pub(crate) struct Reached {
    pub(crate) node_id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

/// A node as the protocol writes it.
pub(crate) fn node_id(node: NodeId) -> i32 {
    i32::try_from(node.0).unwrap_or(i32::MAX)
}

/// Who leads a partition as far as this node knows.
pub(crate) fn leader_of(
    broker: &Broker,
    image: &Image,
    topic: TopicKey<'_>,
    partition: i32,
) -> Option<(NodeId, Term)> {
    let topic = match topic {
        TopicKey::Name(name) => image.topic(name),
        TopicKey::Id(id) => image.topic_by_id(&id),
    }?;
    let info = topic.partitions.get(usize::try_from(partition).ok()?)?;
    broker.leader(info.group)
}
