//! How a cluster is formed, once: a pure step machine.
//!
//! Nodes that were started with the same list of peers tell each other whether they belong to a
//! cluster already. When every one of them has said that it is empty, the one with the lowest id
//! chooses the cluster's id and makes it durable; from then on it belongs to a cluster, and it
//! tells every node that it listed. A node makes what it is told durable before it says so.
//!
//! Invariants: a directory belongs to one cluster for ever; a cluster lists directories by their
//! incarnation, so an erased one is not taken for what it was; any member passes the news on, so
//! the one that chose may vanish. Not in here: connections, files, time and chance.

use crate::cluster::{Cluster, Voter};
use base::{NodeId, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer said who it is.
    Heard {
        /// The peer.
        from: NodeId,
        /// Of its data directory.
        incarnation: Uuid,
        /// The cluster that it belongs to, or none.
        cluster: Option<Uuid>,
    },
    /// A peer can't be reached; what it said may not hold any more.
    Silent(NodeId),
    /// A member says that this directory belongs to its cluster.
    Form {
        /// The member.
        from: NodeId,
        /// The cluster.
        cluster: Cluster,
    },
    /// What [`Action::Persist`] asked for is durable.
    Persisted,
    /// A node has made durable that it belongs to our cluster.
    Acknowledged(NodeId),
}

/// What to do about it, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make durable that this directory belongs to the cluster, then say [`Event::Persisted`].
    Persist(Cluster),
    /// Tell a node that it belongs to the cluster.
    Form(NodeId, Cluster),
    /// Tell a node that its news is durable here.
    Acknowledge(NodeId),
    /// Tell a node that its news is not accepted, and why.
    Refuse(NodeId, String),
    /// Something that an operator should read.
    Report(String),
}

/// The machine.
#[derive(Debug)]
pub struct Formation {
    me: NodeId,
    incarnation: Uuid,
    /// Every node that `--peers` names, this one too, and where it is reached.
    named: BTreeMap<NodeId, String>,
    /// The cluster's id, should this node be the one to choose.
    chosen: Uuid,
    state: State,
}

#[derive(Debug)]
enum State {
    Empty {
        /// Incarnations of the peers that said they are empty.
        empty: BTreeMap<NodeId, Uuid>,
        /// Clusters of the peers that said they belong to one.
        foreign: BTreeMap<NodeId, Uuid>,
        /// Whose news of a cluster wasn't accepted, and why.
        refused: Option<(NodeId, String)>,
    },
    Persisting {
        cluster: Cluster,
        /// Who waits for the word that it is durable.
        waiting: BTreeSet<NodeId>,
    },
    Formed {
        cluster: Cluster,
        /// Strangers that were reported, so that each is reported once.
        strangers: BTreeSet<(NodeId, Uuid)>,
    },
}

impl Formation {
    /// A node that starts. `named` holds all nodes of `--peers` with this one; `chosen` is a fresh
    /// random id.
    pub fn new(
        me: NodeId,
        incarnation: Uuid,
        named: BTreeMap<NodeId, String>,
        cluster: Option<Cluster>,
        chosen: Uuid,
    ) -> Formation {
        assert!(
            named.contains_key(&me),
            "the configuration puts this node among its peers"
        );
        let state = match cluster {
            Some(cluster) => State::Formed {
                cluster,
                strangers: BTreeSet::new(),
            },
            None => State::Empty {
                empty: BTreeMap::new(),
                foreign: BTreeMap::new(),
                refused: None,
            },
        };
        Formation {
            me,
            incarnation,
            named,
            chosen,
            state,
        }
    }

    /// The first step: a node without peers forms its cluster here.
    pub fn start(&mut self) -> Vec<Action> {
        self.choose()
    }

    /// The cluster, once it is durable that this directory belongs to it.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.state {
            State::Formed { cluster, .. } => Some(cluster),
            State::Empty { .. } | State::Persisting { .. } => None,
        }
    }

    /// Why the cluster isn't formed here, and whom that waits for; none once it is.
    pub fn waits_for(&self) -> Option<String> {
        match &self.state {
            State::Formed { .. } => None,
            State::Persisting { .. } => Some("storing the cluster's identity".to_owned()),
            State::Empty {
                refused: Some((_, why)),
                ..
            } => Some(why.clone()),
            State::Empty { empty, foreign, .. } => Some(match foreign.first_key_value() {
                Some((node, id)) => format!(
                    "this directory is empty and node {node} belongs to cluster {id}, which does \
                     not list it (incarnation {}); a lost directory can't take its old place: give it up \
                     with `flotilla cluster remove {} --lost`, then start this node with --join",
                    self.incarnation, self.me
                ),
                None => {
                    let missing: Vec<String> = self
                        .others()
                        .filter(|node| !empty.contains_key(node))
                        .map(|node| node.to_string())
                        .collect();
                    if missing.is_empty() {
                        format!("waiting for node {} to form the cluster", self.lowest())
                    } else {
                        format!("waiting for the first word of node {}", missing.join(", "))
                    }
                }
            }),
        }
    }

    /// Takes an event.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Heard {
                from,
                incarnation,
                cluster,
            } => self.heard(from, incarnation, cluster),
            Event::Silent(from) => {
                if let State::Empty {
                    empty,
                    foreign,
                    refused,
                } = &mut self.state
                {
                    empty.remove(&from);
                    foreign.remove(&from);
                    refused.take_if(|(by, _)| *by == from);
                }
                Vec::new()
            }
            Event::Form { from, cluster } => self.told(from, cluster),
            Event::Persisted => self.persisted(),
            Event::Acknowledged(node) => {
                vec![Action::Report(format!(
                    "node {node} has joined in forming the cluster"
                ))]
            }
        }
    }

    fn heard(&mut self, from: NodeId, incarnation: Uuid, cluster: Option<Uuid>) -> Vec<Action> {
        if from == self.me || !self.named.contains_key(&from) {
            return Vec::new();
        }
        match &mut self.state {
            State::Empty { empty, foreign, .. } => {
                match cluster {
                    None => {
                        foreign.remove(&from);
                        empty.insert(from, incarnation);
                    }
                    Some(id) => {
                        empty.remove(&from);
                        foreign.insert(from, id);
                    }
                }
                self.choose()
            }
            State::Persisting { .. } => Vec::new(),
            State::Formed { .. } if cluster.is_some() => Vec::new(),
            State::Formed { cluster, .. } if cluster.lists(from, incarnation) => {
                vec![Action::Form(from, cluster.clone())]
            }
            State::Formed { cluster, strangers } => {
                if !strangers.insert((from, incarnation)) {
                    return Vec::new();
                }
                vec![Action::Report(format!(
                    "node {from} has an empty directory (incarnation {incarnation}) that cluster \
                     {} does not list; it has to wait",
                    cluster.id
                ))]
            }
        }
    }

    /// Chooses the cluster if that is this node's part and everybody is known to be empty.
    fn choose(&mut self) -> Vec<Action> {
        let State::Empty { empty, foreign, .. } = &self.state else {
            return Vec::new();
        };
        let all = self.others().all(|node| empty.contains_key(&node));
        if !foreign.is_empty() || !all || self.lowest() != self.me {
            return Vec::new();
        }
        let voter = |(node, address): (&NodeId, &String)| Voter {
            node: *node,
            incarnation: empty.get(node).copied().unwrap_or(self.incarnation),
            address: address.clone(),
        };
        let voters = self.named.iter().map(voter).collect();
        self.persist(
            Cluster {
                id: self.chosen,
                voters,
            },
            BTreeSet::new(),
        )
    }

    fn persist(&mut self, cluster: Cluster, waiting: BTreeSet<NodeId>) -> Vec<Action> {
        self.state = State::Persisting {
            cluster: cluster.clone(),
            waiting,
        };
        vec![Action::Persist(cluster)]
    }

    fn told(&mut self, from: NodeId, news: Cluster) -> Vec<Action> {
        let refuse = |why: String| vec![Action::Refuse(from, why.clone()), Action::Report(why)];
        let same_list = self.names_the_same(&news);
        let listed = news.lists(self.me, self.incarnation);
        let here = list(self.named.keys().copied());
        match &mut self.state {
            State::Formed { cluster, .. } if cluster.id == news.id => {
                vec![Action::Acknowledge(from)]
            }
            State::Persisting { cluster, waiting } if cluster.id == news.id => {
                waiting.insert(from);
                Vec::new()
            }
            State::Formed { cluster, .. } | State::Persisting { cluster, .. } => refuse(format!(
                "node {from} tells of cluster {}, but this directory belongs to {}",
                news.id, cluster.id
            )),
            State::Empty { refused, .. } if !(listed && same_list) => {
                let why = match listed {
                    false => format!(
                        "node {from} tells of cluster {}, which does not list this directory \
                         (incarnation {})",
                        news.id, self.incarnation
                    ),
                    true => format!(
                        "node {from} tells of a cluster of nodes {}, but --peers names {here} here; give \
                         every node the same list",
                        list(news.voters.iter().map(|v| v.node)),
                    ),
                };
                // It tells again and again.
                match refused.replace((from, why.clone())) {
                    Some((_, before)) if before == why => vec![Action::Refuse(from, why)],
                    _ => refuse(why),
                }
            }
            State::Empty { .. } => self.persist(news, BTreeSet::from([from])),
        }
    }

    fn persisted(&mut self) -> Vec<Action> {
        let State::Persisting { cluster, waiting } = &mut self.state else {
            return Vec::new();
        };
        let cluster = cluster.clone();
        let mut actions: Vec<Action> = std::mem::take(waiting)
            .into_iter()
            .map(Action::Acknowledge)
            .collect();
        if cluster.id == self.chosen {
            actions.extend(
                self.others()
                    .map(|node| Action::Form(node, cluster.clone())),
            );
        }
        actions.push(Action::Report(format!(
            "cluster {} is formed by nodes {}",
            cluster.id,
            list(cluster.voters.iter().map(|v| v.node))
        )));
        self.state = State::Formed {
            cluster,
            strangers: BTreeSet::new(),
        };
        actions
    }

    fn names_the_same(&self, cluster: &Cluster) -> bool {
        let theirs: BTreeSet<NodeId> = cluster.voters.iter().map(|v| v.node).collect();
        theirs.iter().eq(self.named.keys())
    }

    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.named.keys().copied().filter(|node| *node != self.me)
    }

    fn lowest(&self) -> NodeId {
        *self
            .named
            .keys()
            .next()
            .expect("this node is named at least")
    }
}

fn list(nodes: impl Iterator<Item = NodeId>) -> String {
    nodes
        .map(|node| node.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
