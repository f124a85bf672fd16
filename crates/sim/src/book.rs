//! What the simulated clients of a run know together: which topics they made, and which numbers
//! are used up.

use crate::checkers::Part;
use crate::payload::Ident;
use std::collections::BTreeMap;

/// A topic that a client made or tries to make.
pub(crate) struct BookedTopic {
    /// Its creation was answered.
    pub(crate) created: bool,
    /// Its deletion was asked for: calls may fail from now on.
    pub(crate) deletion_asked: bool,
    /// Its old records may go.
    pub(crate) retains: bool,
    /// It is compacted, and markers of deleted keys stay for this long (ms).
    pub(crate) compacted: Option<u64>,
    /// Its partitions may go on without their majority.
    pub(crate) may_lose: bool,
    /// They do so by themselves.
    pub(crate) elects: bool,
    /// Partitions asked for.
    pub(crate) partitions: u32,
}

/// The shared book.
#[derive(Default)]
pub(crate) struct Book {
    topics: BTreeMap<u32, BookedTopic>,
    idents: u64,
    connections: u64,
    /// Calls that clients made.
    pub(crate) operations: u64,
    /// Batches that were acknowledged in any way.
    pub(crate) produced: u64,
    /// Offsets whose commit was acknowledged.
    pub(crate) commits: u64,
    /// Records that consumers got.
    pub(crate) consumed: u64,
}

/// The name of a topic by its number.
pub(crate) fn topic_name(topic: u32) -> String {
    format!("topic-{topic}")
}

/// The number in a topic's name.
pub(crate) fn topic_number(name: &str) -> Option<u32> {
    name.strip_prefix("topic-")?.parse().ok()
}

impl Book {
    /// The number of a topic that is to be made.
    pub(crate) fn new_topic(&mut self, partitions: u32) -> u32 {
        let topic = self.topics.len() as u32;
        let booked = BookedTopic {
            created: false,
            deletion_asked: false,
            retains: false,
            compacted: None,
            may_lose: false,
            elects: false,
            partitions,
        };
        self.topics.insert(topic, booked);
        topic
    }

    /// A topic.
    pub(crate) fn topic(&mut self, topic: u32) -> Option<&mut BookedTopic> {
        self.topics.get_mut(&topic)
    }

    /// The topics by number.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (u32, &BookedTopic)> {
        self.topics.iter().map(|(topic, booked)| (*topic, booked))
    }

    /// For how long (ms) markers of deleted keys stay, if a partition is compacted.
    pub(crate) fn compacted(&self, part: Part) -> Option<u64> {
        self.topics.get(&part.topic)?.compacted
    }

    /// True if its topic is compacted and nothing else: then records can't be deleted. Where they may be
    /// lost none are, so that what is lost is known.
    pub(crate) fn keeps_all(&self, part: Part) -> bool {
        let topic = self.topics.get(&part.topic);
        topic.is_some_and(|it| it.compacted.is_some() && !it.retains || it.may_lose)
    }

    /// True if it may go on without its majority.
    pub(crate) fn may_lose(&self, part: Part) -> bool {
        self.topics.get(&part.topic).is_some_and(|it| it.may_lose)
    }

    /// True if it does so by itself.
    pub(crate) fn elects(&self, part: Part) -> bool {
        self.topics.get(&part.topic).is_some_and(|it| it.elects)
    }

    /// True if a partition may be gone.
    pub(crate) fn doomed(&self, part: Part) -> bool {
        self.topics
            .get(&part.topic)
            .is_none_or(|topic| topic.deletion_asked)
    }

    /// The identities of `count` new records, of which this is the first.
    pub(crate) fn new_idents(&mut self, count: usize) -> Ident {
        let first = self.idents;
        self.idents += count as u64;
        Ident(first)
    }

    /// The number of a new connection.
    pub(crate) fn new_connection(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }
}
