//! What a cluster looks like from outside at one moment: its nodes, who leads what, and what isn't
//! as it should be. Asked for with calls that every Kafka-compatible cluster answers.

use super::{Quorum, quorum};
use crate::client::{Cluster, Deadline, Trouble};
use crate::output;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire_kafka::messages::metadata_response::MetadataResponseTopic;

/// How long somebody may take to say who leads the metadata: several elections.
const QUORUM_PATIENCE: Duration = Duration::from_secs(5);
/// Partitions named at most in one line.
const NAMED_MAX: usize = 5;

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// How clients reach it; none if only replicas name it.
    pub address: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// It is registered, but not heard.
    pub silent: bool,
    /// Its disk has no room for records.
    pub full: bool,
    /// Nothing new is placed on it.
    pub cordoned: bool,
    /// It votes on metadata.
    pub votes: bool,
    /// Partitions that it leads.
    pub leads: usize,
    /// Partitions that it would lead if every first replica did.
    pub preferred: usize,
    /// Its replicas.
    pub replicas: usize,
}

impl Node {
    /// In a word.
    pub fn state(&self) -> &'static str {
        match (&self.address, self.silent) {
            (None, _) => "unregistered",
            (Some(_), true) => "silent",
            (Some(_), false) if self.full => "full",
            (Some(_), false) if self.cordoned => "cordoned",
            (Some(_), false) => "alive",
        }
    }

    /// It is registered and heard.
    pub fn is_alive(&self) -> bool {
        self.address.is_some() && !self.silent
    }
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: String,
    /// The node that leads the metadata, and its epoch; -1 if none does.
    pub controller: (i32, i32),
    /// Nodes by id.
    pub nodes: BTreeMap<i32, Node>,
    /// How many topics there are.
    pub topics: usize,
    /// How many partitions.
    pub partitions: usize,
    /// Of which nodes each one that is alive knows, as far as it answers.
    pub known: BTreeMap<i32, BTreeSet<i32>>,
    /// Partitions that nobody leads.
    pub leaderless: Vec<String>,
    /// Partitions that have replicas which are not in sync.
    pub behind: Vec<String>,
}

impl View {
    /// Looks at a cluster.
    pub fn of(cluster: &mut Cluster, deadline: Deadline) -> Result<View, Trouble> {
        let known = super::describe(cluster, true, deadline)?;
        // Nobody may lead the metadata; who looks wants to know of the rest all the more.
        let quorum = quorum(cluster, deadline.within(QUORUM_PATIENCE));
        let leads = |quorum: &Quorum| (quorum.leader_id, quorum.leader_epoch);
        let mut view = View {
            id: known.cluster_id,
            controller: quorum.as_ref().map_or((-1, -1), leads),
            ..View::default()
        };
        for node in known.brokers {
            let known = Node {
                address: Some(format!("{}:{}", node.host, node.port)),
                rack: node.rack,
                silent: node.is_fenced,
                ..Node::default()
            };
            view.nodes.insert(node.broker_id, known);
        }
        for voter in quorum.iter().flat_map(|quorum| &quorum.current_voters) {
            view.nodes.entry(voter.replica_id).or_default().votes = true;
        }
        for topic in cluster.topics(None, deadline)? {
            view.count(&topic);
        }
        view.compare(cluster, deadline);
        Ok(view)
    }

    /// What others say: the metadata reaches one node after the other, and a node that was just taken in is
    /// known to the controller before anybody else.
    fn compare(&mut self, cluster: &mut Cluster, deadline: Deadline) {
        if let Ok(quorum) = super::quorum_at(cluster, self.controller.0, deadline) {
            for observer in &quorum.observers {
                self.nodes.entry(observer.replica_id).or_default();
            }
        }
        let alive = self.nodes.iter().filter(|(_, node)| node.is_alive());
        for id in alive.map(|(id, _)| *id).collect::<Vec<_>>() {
            let closed = super::room::closed(cluster, id, deadline);
            let node = self.nodes.entry(id).or_default();
            (node.full, node.cordoned) = (closed.full, closed.cordoned);
            if let Ok(known) = super::known_at(cluster, id, deadline) {
                self.known.insert(id, known);
            }
        }
    }

    /// Counts a topic's partitions.
    fn count(&mut self, topic: &MetadataResponseTopic) {
        self.topics += 1;
        for partition in &topic.partitions {
            self.partitions += 1;
            let name = || {
                let topic = topic.name.as_deref().unwrap_or("?");
                format!("{topic}-{}", partition.partition_index)
            };
            for (place, node) in partition.replica_nodes.iter().enumerate() {
                let node = self.nodes.entry(*node).or_default();
                node.replicas += 1;
                node.preferred += usize::from(place == 0);
            }
            match self.nodes.get_mut(&partition.leader_id) {
                Some(leader) => leader.leads += 1,
                None => self.leaderless.push(name()),
            }
            if partition.isr_nodes.len() < partition.replica_nodes.len() {
                self.behind.push(name());
            }
        }
    }

    /// What isn't as it should be, for people; nothing if the cluster is healthy.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.controller.0 < 0 {
            let words = "no node leads the metadata: nothing can be changed before most of those that vote on \
                         it are back ('Lose a quorum' in docs/operations.md)";
            problems.push(words.to_owned());
        }
        for (id, node) in self
            .nodes
            .iter()
            .filter(|(_, node)| !node.is_alive() || node.full)
        {
            problems.push(match node.address {
                Some(_) if node.is_alive() => {
                    format!("node {id} has no room on its disk and takes no records")
                }
                Some(_) => format!("node {id} is silent"),
                None if node.replicas == 0 && !node.votes => {
                    format!("node {id} was taken in and is not registered yet")
                }
                None => format!("node {id} has replicas or a vote and is not registered"),
            });
        }
        for (by, known) in &self.known {
            let registered = self.nodes.iter().filter(|(_, n)| n.address.is_some());
            let missing = registered.filter(|(id, _)| !known.contains(*id));
            problems
                .extend(missing.map(|(id, _)| format!("node {by} does not know node {id} yet")));
            let more = known.iter().filter(|id| !self.nodes.contains_key(*id));
            problems.extend(more.map(|id| format!("node {by} alone knows node {id} so far")));
        }
        let several = |names: &[String], what: &str| {
            let more = names.len().saturating_sub(NAMED_MAX);
            let named = names[..names.len() - more].join(", ");
            let count = output::counted(names.len() as u64, "partition");
            let and = if more > 0 { ", ..." } else { "" };
            (!names.is_empty()).then(|| format!("{count} {what}: {named}{and}"))
        };
        problems.extend(several(&self.leaderless, "without a leader"));
        problems.extend(several(&self.behind, "with replicas that are not in sync"));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire_kafka::messages::metadata_response::MetadataResponsePartition;

    fn partition(index: i32, leader: i32, in_sync: &[i32]) -> MetadataResponsePartition {
        MetadataResponsePartition {
            partition_index: index,
            leader_id: leader,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: in_sync.to_vec(),
            ..MetadataResponsePartition::default()
        }
    }

    fn node() -> Node {
        Node {
            address: Some("h:1".into()),
            ..Node::default()
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut view = View {
            controller: (1, 4),
            nodes: (1..=3).map(|id| (id, node())).collect(),
            ..View::default()
        };
        let topic = |partitions| MetadataResponseTopic {
            name: Some("t".into()),
            partitions,
            ..MetadataResponseTopic::default()
        };
        view.count(&topic(vec![partition(0, 1, &[1, 2, 3])]));
        assert_eq!(view.problems(), Vec::<String>::new());
        assert_eq!((view.nodes[&1].leads, view.nodes[&2].replicas), (1, 1));

        // A node that has just joined is known to one after the other.
        let mut joining = view.clone();
        joining.nodes.insert(4, Node::default());
        let yet = ["node 4 was taken in and is not registered yet"];
        assert_eq!(joining.problems(), yet);
        joining.nodes.insert(4, node());
        joining.known.insert(1, [1, 2, 3].into());
        joining.known.insert(4, [1, 2, 3, 4].into());
        assert_eq!(joining.problems(), ["node 1 does not know node 4 yet"]);
        joining.nodes.remove(&4);
        assert_eq!(joining.problems(), ["node 4 alone knows node 4 so far"]);

        let mut full = view.clone();
        full.nodes.get_mut(&2).unwrap().full = true;
        let says = ["node 2 has no room on its disk and takes no records"];
        assert_eq!(full.problems(), says);
        assert!(full.nodes[&2].is_alive() && full.nodes[&2].state() == "full");

        view.nodes.get_mut(&3).unwrap().silent = true;
        view.count(&topic(vec![
            partition(1, -1, &[1]),
            partition(2, 2, &[1, 2]),
        ]));
        assert_eq!(
            view.problems(),
            [
                "node 3 is silent",
                "1 partition without a leader: t-1",
                "2 partitions with replicas that are not in sync: t-1, t-2",
            ]
        );
    }
}
