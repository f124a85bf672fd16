//! Where replicas go: leaders evenly over nodes, replicas evenly over nodes, the replicas of a
//! partition over racks. Follows from the state alone, so a decision can be made again.

use crate::{Image, Meta, NodeInfo, Resource, ResourceKind};
use base::{NodeId, Refusal};
use std::collections::BTreeMap;

/// The key of a node that names its directories on which nothing new is placed; a node has one, so
/// any value but the empty one means it.
pub const CORDONED: &str = "cordoned.log.dirs";

impl Image {
    /// True if the controller places nothing new on a node.
    pub fn is_cordoned(&self, node: NodeId) -> bool {
        let said = self.of_node(node, CORDONED);
        said.is_some_and(|value| !value.trim().is_empty())
    }

    /// What was set for a node while it ran, or else for all nodes.
    pub fn of_node(&self, node: NodeId, key: &str) -> Option<&str> {
        let said = |name: String| {
            let of = Resource::new(ResourceKind::Node, name);
            self.configs.get(&of)?.get(key)
        };
        let said = said(node.to_string()).or_else(|| said(String::new()));
        said.map(String::as_str)
    }
}

impl Meta {
    /// The nodes on which the controller places what is new: all but those that are cordoned.
    pub(crate) fn sites(&self) -> BTreeMap<NodeId, NodeInfo> {
        let nodes = self.image.nodes.iter();
        let open = nodes.filter(|(node, _)| !self.image.is_cordoned(**node));
        open.map(|(node, info)| (*node, info.clone())).collect()
    }

    /// `open`: how many nodes take new replicas.
    pub(crate) fn check_room(replicas: u32, open: u32) -> Result<(), Refusal> {
        if replicas <= open {
            return Ok(());
        }
        Err(Refusal::InvalidReplicationFactor(format!(
            "Unable to replicate the partition {replicas} time(s): The target replication factor \
             of {replicas} cannot be reached because only {open} broker(s) are registered or some \
             brokers have all their log directories cordoned."
        )))
    }
}

/// How much a node carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    leaders: u64,
    replicas: u64,
}

/// How much each node carries; nodes that carry nothing are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load(BTreeMap<NodeId, Share>);

impl Load {
    /// Counts a partition; the first replica is the preferred leader.
    pub(crate) fn add(&mut self, replicas: &[NodeId]) {
        for (at, node) in replicas.iter().enumerate() {
            let share = self.0.entry(*node).or_default();
            share.replicas += 1;
            share.leaders += u64::from(at == 0);
        }
    }

    /// Takes a partition away again.
    pub(crate) fn subtract(&mut self, replicas: &[NodeId]) {
        for (at, node) in replicas.iter().enumerate() {
            let Some(share) = self.0.get_mut(node) else {
                continue;
            };
            share.replicas -= 1;
            share.leaders -= u64::from(at == 0);
            if *share == Share::default() {
                self.0.remove(node);
            }
        }
    }

    fn of(&self, node: NodeId) -> Share {
        self.0.get(&node).copied().unwrap_or_default()
    }

    /// Places `partitions` with `replicas` each, which is at most the number of nodes.
    pub(crate) fn spread(
        mut self,
        nodes: &BTreeMap<NodeId, NodeInfo>,
        partitions: u32,
        replicas: u32,
    ) -> Vec<Vec<NodeId>> {
        let sites: Vec<Site<'_>> = nodes
            .iter()
            .map(|(node, info)| Site {
                node: *node,
                rack: info.rack.as_deref(),
            })
            .collect();
        let mut placed = Vec::new();
        for _ in 0..partitions {
            let chosen = self.place_one(&sites, replicas as usize);
            self.add(&chosen);
            placed.push(chosen);
        }
        placed
    }

    /// The leader is the node that leads least. Among equals the followers start further round
    /// each time the leader got one more, so that nodes don't pair up.
    fn place_one(&self, sites: &[Site<'_>], replicas: usize) -> Vec<NodeId> {
        let count = sites.len();
        let leader = (0..count)
            .min_by_key(|at| {
                let share = self.of(sites[*at].node);
                (share.leaders, share.replicas, *at)
            })
            .expect("there are at least as many nodes as replicas, and those are at least one");
        let turn = self.of(sites[leader].node).leaders as usize;
        let mut chosen = vec![leader];
        while chosen.len() < replicas {
            let next = (0..count)
                .filter(|at| !chosen.contains(at))
                .min_by_key(|at| {
                    let same_rack = |c: &&usize| sites[**c].rack == sites[*at].rack;
                    let crowd = chosen.iter().filter(same_rack).count();
                    let ahead = (at + count - leader - 1) % count;
                    let order = (ahead + turn) % (count - 1);
                    (crowd, self.of(sites[*at].node).replicas, order, *at)
                })
                .expect("there are at least as many nodes as replicas");
            chosen.push(next);
        }
        chosen.into_iter().map(|at| sites[at].node).collect()
    }
}

struct Site<'a> {
    node: NodeId,
    rack: Option<&'a str>,
}

#[cfg(test)]
mod tests;
