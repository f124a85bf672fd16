//! A client's connections, one per node, and what it waits for on each.

use super::member::GroupAsk;
use super::{Act, Reach};
use crate::checkers::{Part, Violation, violation};
use crate::net::Place;
use crate::scheduler::Micros;
use base::Random;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use wire_kafka::frame::{self, Frames};
use wire_kafka::{ApiKey, Reader, Request};

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Versions,
    Metadata,
    InitProducer,
    /// Batches by partition and their number at the producer.
    Produce(Vec<(Part, u64)>),
    /// From where each partition was asked for, and whether with a leader epoch.
    Fetch(Vec<(Part, i64, bool)>),
    /// One partition and the timestamp asked for.
    Offsets(Part, i64),
    /// One partition and the epoch asked for.
    EpochEnd(Part, i32),
    /// One partition and the offset before which its records are to go.
    DeleteRecords(Part, i64),
    /// A partition to other replicas.
    Move,
    /// A leader for a partition that may have lost its majority.
    Elect,
    /// A node that gets nothing new, or may again.
    Cordon,
    Create(u32),
    Delete(u32),
    /// Something between a member and its coordinator.
    Group(GroupAsk),
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) correlation: i32,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) ask: Ask,
    pub(crate) connection: u64,
    pub(crate) node: Place,
    deadline: Micros,
}

struct Link {
    connection: u64,
    frames: Frames,
    waiting: VecDeque<Waiting>,
}

/// The connections of one client.
pub(crate) struct Links {
    random: Random,
    links: BTreeMap<Place, Link>,
    correlation: i32,
    /// How long an answer is waited for.
    patience: Micros,
}

impl Links {
    pub(crate) fn new(mut random: Random) -> Links {
        let patience = random.between(800_000, 4_000_000);
        Links {
            random,
            links: BTreeMap::new(),
            correlation: 0,
            patience,
        }
    }

    /// Requests that wait on the connection to a node.
    pub(crate) fn waiting_at(&self, node: Place) -> usize {
        self.links.get(&node).map_or(0, |link| link.waiting.len())
    }

    /// The connection to a node, if there is one.
    pub(crate) fn connection(&self, node: Place) -> Option<u64> {
        Some(self.links.get(&node)?.connection)
    }

    pub(crate) fn ask<R: Request>(
        &mut self,
        reach: &mut Reach<'_>,
        client: u64,
        node: Place,
        version: i16,
        body: &R,
        ask: Ask,
    ) {
        let link = self.links.entry(node).or_insert_with(|| {
            let connection = reach.book.new_connection();
            reach.acts.push(Act::Open { connection, node });
            Link {
                connection,
                frames: Frames::new(1 << 30),
                waiting: VecDeque::new(),
            }
        });
        self.correlation += 1;
        let connection = link.connection;
        let correlation = self.correlation;
        let name = (self.correlation % 3 != 0).then_some("sim");
        let mut whole = BytesMut::new();
        for piece in frame::request(version, correlation, name, body) {
            whole.extend_from_slice(&piece);
        }
        let mut whole = whole.freeze();
        // The stream reaches the node in pieces that have nothing to do with requests.
        if self.random.percent(20) && whole.len() > 2 {
            let cut = self.random.between(1, whole.len() as u64 - 1) as usize;
            reach.acts.push(Act::Send {
                connection,
                bytes: whole.split_to(cut),
            });
        }
        reach.acts.push(Act::Send {
            connection,
            bytes: whole,
        });
        reach.tell(|| {
            format!(
                "client {client} -> node {}: {} {ask:?}",
                node + 1,
                R::API.name()
            )
        });
        reach.checkers.answers.asked(connection, correlation);
        link.waiting.push_back(Waiting {
            correlation,
            api: R::API,
            version,
            ask,
            connection,
            node,
            deadline: reach.now + self.patience + waits_for_others(R::API),
        });
    }

    /// Takes back the last request to a node as one that gets no answer.
    pub(crate) fn expects_nothing(&mut self, reach: &mut Reach<'_>, node: Place) {
        if let Some(link) = self.links.get_mut(&node)
            && let Some(last) = link.waiting.pop_back()
        {
            reach
                .checkers
                .answers
                .not_due(link.connection, last.correlation);
        }
    }

    /// Hangs up where an answer is overdue; what waited there is lost.
    pub(crate) fn expired(&mut self, reach: &mut Reach<'_>) -> Vec<Waiting> {
        let overdue = |link: &Link| link.waiting.iter().any(|w| w.deadline <= reach.now);
        let gone: Vec<Place> = self
            .links
            .iter()
            .filter(|(_, link)| overdue(link))
            .map(|(node, _)| *node)
            .collect();
        let mut lost = Vec::new();
        for node in gone {
            let link = self.links.remove(&node).expect("just found");
            reach.acts.push(Act::Close {
                connection: link.connection,
            });
            reach.checkers.answers.closed(link.connection);
            lost.extend(link.waiting);
        }
        lost
    }

    /// When the next answer is overdue.
    pub(crate) fn next_timeout(&self) -> Micros {
        let all = self.links.values().flat_map(|link| &link.waiting);
        all.map(|waiting| waiting.deadline)
            .min()
            .unwrap_or(Micros::MAX)
    }

    fn by_connection(&mut self, connection: u64) -> Option<&mut Link> {
        self.links
            .values_mut()
            .find(|link| link.connection == connection)
    }

    pub(crate) fn push(&mut self, connection: u64, bytes: Bytes) {
        if let Some(link) = self.by_connection(connection) {
            link.frames.push(bytes);
        }
    }

    /// The next whole answer of a connection.
    pub(crate) fn next_answer(
        &mut self,
        connection: u64,
        reach: &mut Reach<'_>,
    ) -> Result<Option<(Waiting, Reader)>, Violation> {
        let bad = |what: String| violation("answers can be read", what);
        let Some(link) = self.by_connection(connection) else {
            return Ok(None);
        };
        let next = link.frames.next_frame().map_err(|e| bad(e.to_string()))?;
        let Some(frame) = next else { return Ok(None) };
        let Some(waiting) = link.waiting.pop_front() else {
            return Err(bad(format!(
                "an answer on connection {connection} that nobody waits for"
            )));
        };
        let mut reader = Reader::new(frame);
        let head = frame::response_head(waiting.api, waiting.version, &mut reader);
        let correlation = head.map_err(|e| bad(e.to_string()))?;
        reach.checkers.answers.answered(connection, correlation)?;
        Ok(Some((waiting, reader)))
    }

    /// The connection broke: what waited there is lost.
    pub(crate) fn closed(&mut self, connection: u64) -> Vec<Waiting> {
        let node = self
            .links
            .iter()
            .find(|(_, link)| link.connection == connection);
        let Some(node) = node.map(|(node, _)| *node) else {
            return Vec::new();
        };
        let link = self.links.remove(&node).expect("just found");
        link.waiting.into()
    }
}

/// A join is answered when all members have come.
fn waits_for_others(api: ApiKey) -> Micros {
    match api {
        ApiKey::JoinGroup => 6_000_000,
        _ => 0,
    }
}
