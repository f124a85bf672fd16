//! Who leads, told beside a refusal so that the client needn't ask (KIP-951).

use base::{NodeId, Refusal, Term};
use broker::{Broker, TopicKey};
use meta::{Image, NodeInfo};

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

    /// How to reach the nodes that were pointed to.
    pub(crate) fn endpoints(self, image: &Image) -> impl Iterator<Item = (i32, NodeInfo)> {
        self.0
            .into_iter()
            .filter_map(|node| Some((node_id(node), image.nodes.get(&node)?.clone())))
    }
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
