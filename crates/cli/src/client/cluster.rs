//! The cluster as a client sees it: who is where, who leads what. The map is asked for again
//! whenever an answer shows that it is stale.

use crate::client::call::Call;
use crate::client::deadline::Pauses;
use crate::client::{Code, Connection, Deadline, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;
use wire_kafka::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire_kafka::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

/// How long a topic that the cluster makes by itself may take to appear.
const CREATION_MAX: Duration = Duration::from_secs(5);

/// What to do about a topic that isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Say so.
    Fail,
    /// Wait for it: it was just made, and not every node knows yet.
    Wait,
    /// Let the cluster make it, if it does that.
    Create,
}

/// A client's view of a cluster.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: Vec<String>,
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
    /// To whichever node answered first.
    any: Option<Connection>,
    controller: i32,
    patience: Duration,
}

/// How long one answer is waited for before the node counts as lost: as long as the command
/// itself waits, unless a client says otherwise.
const PATIENCE: Duration = Duration::from_secs(86_400);

impl Cluster {
    /// A cluster behind these addresses; nothing is connected yet.
    pub fn new(bootstrap: &str) -> Result<Cluster, Trouble> {
        let bootstrap: Vec<String> = bootstrap
            .split(',')
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .map(str::to_owned)
            .collect();
        let well_formed = |a: &String| {
            a.rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        match bootstrap.iter().find(|address| !well_formed(address)) {
            Some(bad) => Err(Trouble::Usage {
                what: format!("{bad:?} is not HOST:PORT (--bootstrap)"),
            }),
            None if bootstrap.is_empty() => Err(Trouble::Usage {
                what: "--bootstrap names no node".into(),
            }),
            None => Ok(Cluster {
                bootstrap,
                addresses: BTreeMap::new(),
                connections: BTreeMap::new(),
                any: None,
                controller: -1,
                patience: PATIENCE,
            }),
        }
    }

    /// Waits at most this long for any one answer before it turns to another node.
    pub fn patient_for(mut self, patience: Duration) -> Cluster {
        self.patience = patience;
        self
    }

    /// How long one answer is waited for.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The nodes known, by id.
    pub fn addresses(&self) -> &BTreeMap<i32, String> {
        &self.addresses
    }

    /// Who leads a partition; negative if nobody does whom the last answer named.
    pub fn leader(&self, partition: &MetadataResponsePartition) -> i32 {
        match self.addresses.contains_key(&partition.leader_id) {
            true => partition.leader_id,
            false => -1,
        }
    }

    /// Takes up a node that an answer told of.
    pub(super) fn know(&mut self, id: i32, address: String) {
        if self.addresses.get(&id) != Some(&address) {
            self.connections.remove(&id);
            self.addresses.insert(id, address);
        }
    }

    /// Makes a call to any node, and to the next one if that fails.
    pub fn call_any<C: Call>(
        &mut self,
        call: &C,
        deadline: Deadline,
    ) -> Result<C::Response, Trouble> {
        let mut pauses = Pauses::until(deadline);
        loop {
            let soon = deadline.within(self.patience);
            let outcome = self.any(soon).and_then(|node| node.call(call, soon));
            match outcome {
                Err(trouble) if trouble.is_retriable() => {
                    // The next attempt begins with another node.
                    self.any = None;
                    self.bootstrap.rotate_left(1);
                    // Nobody there at all is worth telling at once.
                    if matches!(trouble, Trouble::Unreachable { .. }) || !pauses.wait() {
                        return Err(trouble);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Makes a call to the controller, or to any node, which passes it on, where none is known or the
    /// known one isn't there: who is named may have died since.
    pub fn call_controller<C: Call>(
        &mut self,
        call: &C,
        deadline: Deadline,
    ) -> Result<C::Response, Trouble> {
        self.topics(Some(&[]), deadline)?;
        let controller = self.controller;
        if self.addresses.contains_key(&controller) {
            match self.call_node(controller, call, deadline) {
                Err(Trouble::Unreachable { .. }) => {}
                outcome => return outcome,
            }
        }
        self.call_any(call, deadline)
    }

    /// Asks again and again while the cluster can't answer now, or who is asked went away: it may be
    /// looking for whoever leads the metadata. Only for what may be asked twice.
    pub fn persist<T>(
        &mut self,
        deadline: Deadline,
        mut ask: impl FnMut(&mut Cluster) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.persist_once(deadline, |cluster, _| ask(cluster))
    }

    /// The same for what is refused the second time: `ask` hears whether an attempt before may have been
    /// carried out, though nobody said so.
    pub fn persist_once<T>(
        &mut self,
        deadline: Deadline,
        mut ask: impl FnMut(&mut Cluster, bool) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut pauses = Pauses::until(deadline);
        let mut may_be_done = false;
        loop {
            let outcome = ask(self, may_be_done);
            may_be_done |= outcome.as_ref().is_err_and(Trouble::leaves_open);
            match outcome {
                // Nobody there at all is worth telling at once.
                Err(Trouble::Unreachable { address, source }) if self.any.is_none() => {
                    return Err(Trouble::Unreachable { address, source });
                }
                Err(trouble) if trouble.is_retriable() && pauses.wait() => {}
                outcome => return outcome,
            }
        }
    }

    /// Makes a call to one node, once.
    pub fn call_node<C: Call>(
        &mut self,
        id: i32,
        call: &C,
        deadline: Deadline,
    ) -> Result<C::Response, Trouble> {
        let soon = deadline.within(self.patience);
        let outcome = self.node(id, soon)?.call(call, soon);
        self.judged(id, outcome)
    }

    /// Forgets the connection to a node if `outcome` shows that it is of no use.
    pub fn judged<T>(&mut self, id: i32, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        if outcome.as_ref().is_err_and(Trouble::breaks_connection) {
            self.connections.remove(&id);
        }
        outcome
    }

    /// The connection to a node that the map names.
    pub fn node(&mut self, id: i32, deadline: Deadline) -> Result<&mut Connection, Trouble> {
        if !self.connections.contains_key(&id) {
            let Some(address) = self.addresses.get(&id) else {
                return Err(Trouble::refused(
                    format!(
                        "node {id} is silent or isn't there; the cluster names {}",
                        self.named()
                    ),
                    Code::LEADER_NOT_AVAILABLE,
                    None,
                ));
            };
            self.connections
                .insert(id, Connection::open(address, deadline)?);
        }
        Ok(self
            .connections
            .get_mut(&id)
            .expect("it was put there if it was missing"))
    }

    /// The nodes that the last answer named, for people.
    fn named(&self) -> String {
        let ids: Vec<String> = self.addresses.keys().map(i32::to_string).collect();
        match ids.as_slice() {
            [] => "none".to_owned(),
            [one] => format!("node {one}"),
            _ => format!("nodes {}", ids.join(", ")),
        }
    }

    /// That there is no such node: one that is asked for by its number, and that nobody will bring back by waiting.
    pub fn must_know(&self, id: i32) -> Result<(), Trouble> {
        match self.addresses.contains_key(&id) {
            true => Ok(()),
            false => Err(Trouble::Input {
                what: format!(
                    "there is no node {id}, or it is down: the cluster names {}; see `flotilla cluster nodes`",
                    self.named()
                ),
            }),
        }
    }

    fn any(&mut self, deadline: Deadline) -> Result<&mut Connection, Trouble> {
        if self.any.is_none() {
            let known: Vec<String> = self
                .bootstrap
                .iter()
                .chain(self.addresses.values())
                .cloned()
                .collect();
            let mut last = None;
            for address in known {
                match Connection::open(&address, deadline) {
                    Ok(connection) => {
                        self.any = Some(connection);
                        break;
                    }
                    Err(trouble) => last = Some(trouble),
                }
            }
            if let Some(trouble) = last.filter(|_| self.any.is_none()) {
                return Err(trouble);
            }
        }
        Ok(self
            .any
            .as_mut()
            .expect("one of the addresses was connected"))
    }

    /// Asks for topics, all of them with `None`, and learns the nodes on the way. Creates none.
    pub fn topics(
        &mut self,
        names: Option<&[&str]>,
        deadline: Deadline,
    ) -> Result<Vec<MetadataResponseTopic>, Trouble> {
        self.learn(&question(names, false), deadline)
    }

    /// Asks for one topic; partitions may be without a leader.
    pub fn topic(
        &mut self,
        name: &str,
        missing: Missing,
        deadline: Deadline,
    ) -> Result<MetadataResponseTopic, Trouble> {
        self.topic_unless(absent, name, missing, deadline)
    }

    /// Asks for one topic and waits until all its partitions have leaders.
    pub fn topic_led(
        &mut self,
        name: &str,
        missing: Missing,
        deadline: Deadline,
    ) -> Result<MetadataResponseTopic, Trouble> {
        self.topic_unless(unled, name, missing, deadline)
    }

    fn topic_unless(
        &mut self,
        unready: fn(&str, Option<&MetadataResponseTopic>) -> Option<Trouble>,
        name: &str,
        missing: Missing,
        deadline: Deadline,
    ) -> Result<MetadataResponseTopic, Trouble> {
        let mut pauses = Pauses::until(deadline);
        let appears = match missing {
            Missing::Fail => None,
            Missing::Wait => Some(deadline),
            Missing::Create => Some(deadline.within(CREATION_MAX)),
        };
        loop {
            let create = missing == Missing::Create;
            let topics = self.learn(&question(Some(&[name]), create), deadline)?;
            let trouble = match unready(name, topics.first()) {
                Some(trouble) => trouble,
                None => return Ok(topics.into_iter().next().expect("a ready topic is there")),
            };
            let unknown = Code::UNKNOWN_TOPIC_OR_PARTITION;
            let absent = matches!(trouble, Trouble::Refused { code, .. } if code == unknown);
            let hopeless = absent && appears.and_then(Deadline::left).is_none();
            if hopeless || !trouble.is_retriable() || !pauses.wait() {
                return Err(trouble);
            }
        }
    }

    /// Asks for one topic once; partitions may be without a leader.
    pub fn topic_as_known(
        &mut self,
        name: &str,
        deadline: Deadline,
    ) -> Result<MetadataResponseTopic, Trouble> {
        let topics = self.topics(Some(&[name]), deadline)?;
        let missing = Code::UNKNOWN_TOPIC_OR_PARTITION;
        match topics.into_iter().next() {
            Some(topic) if topic.error_code == 0 => Ok(topic),
            other => {
                let code = other.map_or(missing, |topic| Code(topic.error_code));
                Err(Trouble::refused(format!("topic {name}"), code, None))
            }
        }
    }

    fn learn(
        &mut self,
        question: &MetadataRequest,
        deadline: Deadline,
    ) -> Result<Vec<MetadataResponseTopic>, Trouble> {
        let answer = self.call_any(question, deadline)?;
        let addresses: BTreeMap<i32, String> = answer
            .brokers
            .iter()
            .map(|b| (b.node_id, format!("{}:{}", b.host, b.port)))
            .collect();
        // A node that moved is connected anew.
        self.connections.retain(|id, connection| {
            addresses
                .get(id)
                .is_some_and(|address| address == connection.address())
        });
        self.addresses = addresses;
        self.controller = answer.controller_id;
        Ok(answer.topics)
    }
}

/// Why a topic can't be used yet.
fn absent(name: &str, topic: Option<&MetadataResponseTopic>) -> Option<Trouble> {
    let code = topic.map_or(Code::UNKNOWN_TOPIC_OR_PARTITION, |topic| {
        Code(topic.error_code)
    });
    (!code.is_ok()).then(|| Trouble::refused(format!("topic {name}"), code, None))
}

/// Why not all of a topic can be used yet.
fn unled(name: &str, topic: Option<&MetadataResponseTopic>) -> Option<Trouble> {
    if let Some(trouble) = absent(name, topic) {
        return Some(trouble);
    }
    let unled = |p: &&MetadataResponsePartition| p.leader_id < 0 || p.error_code != 0;
    let partition = topic?.partitions.iter().find(unled)?;
    let code = Code(partition.error_code);
    let code = if code.is_ok() {
        Code::LEADER_NOT_AVAILABLE
    } else {
        code
    };
    let what = format!("partition {} of {name}", partition.partition_index);
    Some(Trouble::refused(what, code, None))
}

fn question(names: Option<&[&str]>, create: bool) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some((*name).into()),
        ..MetadataRequestTopic::default()
    };
    MetadataRequest {
        topics: names.map(|names| names.iter().map(topic).collect()),
        allow_auto_topic_creation: create,
        ..MetadataRequest::default()
    }
}
