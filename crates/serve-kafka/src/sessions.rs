//! The fetch session of a connection (KIP-227): the partitions that the client reads, so that a
//! request need name only what changed, and what it was told of each, so that an answer need hold
//! only what is new.
//!
//! A session belongs to its connection and ends with it; a client that comes back on another one
//! finds none and begins anew. Nothing is read here: a request is completed on its way in, and an
//! answer thinned out on its way out.

use crate::counters::Counters;
use crate::refusals::codes;
use base::limits::{PARTS_PER_CALL_MAX, TOPIC_NAME_BYTES_MAX};
use base::{Bug, Uuid, planted};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::{FetchResponse, PartitionData};

/// Partitions in the sessions of all connections of a node; beyond it no session is opened.
pub(crate) const PARTITIONS_MAX: usize = 500_000;

/// The epoch of a request that opens a session, or names everything anew.
const OPENS: i32 = 0;
/// The epoch of a request outside of any session, which ends the one that it names.
const ENDS: i32 = -1;

/// A connection's session, if it has one.
pub(crate) struct Sessions {
    counters: Arc<Counters>,
    /// Distinguishes the sessions of all connections of the node.
    next_id: i32,
    session: Option<Session>,
}

struct Session {
    id: i32,
    /// The epoch of the next request.
    next_epoch: i32,
    /// Topics are named by id.
    by_id: bool,
    parts: BTreeMap<Key, Part>,
    /// All of them, in the order in which they get their share of an answer: what got records goes
    /// to the end.
    order: Vec<Key>,
}

/// A partition as requests name it: the name is empty where the id counts, and the other way round.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: Uuid,
    name: Arc<str>,
    partition: i32,
}

struct Part {
    asked: FetchPartition,
    /// High watermark, last stable offset and start as last told; none: whatever is found is news.
    told: Option<[i64; 3]>,
}

impl Sessions {
    /// None yet. `connection` is its number.
    pub(crate) fn new(connection: u64, counters: Arc<Counters>) -> Sessions {
        // Ids of neighbouring connections lie apart, so that a client that comes back doesn't meet
        // another's session.
        let first = (connection.wrapping_mul(0x9e37_79b9) & 0x7fff_ffff) as i32;
        Sessions {
            counters,
            next_id: first.max(1),
            session: None,
        }
    }

    /// Makes a request name all that it reads. The id is to be put into the answer: 0 outside of
    /// any session. Or the code of the refusal.
    pub(crate) fn complete(&mut self, body: &mut FetchRequest, by_id: bool) -> Result<i32, i16> {
        match body.session_epoch {
            OPENS | ENDS => {
                if self.is(body.session_id) {
                    self.end();
                }
                match body.session_epoch {
                    OPENS => Ok(self.open(&body.topics, by_id)),
                    _ => Ok(0),
                }
            }
            epoch => {
                let id = body.session_id;
                let session = self.session.as_mut().filter(|session| session.id == id);
                let session = session.ok_or(codes::FETCH_SESSION_ID_NOT_FOUND)?;
                if epoch != session.next_epoch {
                    return Err(codes::INVALID_FETCH_SESSION_EPOCH);
                }
                if by_id != session.by_id {
                    return Err(codes::FETCH_SESSION_TOPIC_ID_ERROR);
                }
                session.next_epoch = after(epoch);
                let before = session.order.len();
                session.forget(body);
                let most = before + self.counters.session_room();
                let taken = session.update(&body.topics, most);
                if taken && self.counters.resize_sessions(before, session.order.len()) {
                    body.topics = session.topics();
                    return Ok(id);
                }
                // No room for what was added: the client begins anew and gets no session.
                self.counters.resize_sessions(before, 0);
                self.session = None;
                Err(codes::FETCH_SESSION_ID_NOT_FOUND)
            }
        }
    }

    fn is(&self, id: i32) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.id == id)
    }

    fn end(&mut self) {
        if let Some(session) = self.session.take() {
            self.counters.resize_sessions(session.order.len(), 0);
        }
    }

    fn open(&mut self, topics: &[FetchTopic], by_id: bool) -> i32 {
        self.end();
        let mut session = Session {
            id: self.next_id,
            next_epoch: 1,
            by_id,
            parts: BTreeMap::new(),
            order: Vec::new(),
        };
        let taken = session.update(topics, self.counters.session_room());
        if !taken
            || session.order.is_empty()
            || !self.counters.resize_sessions(0, session.order.len())
        {
            return 0;
        }
        self.next_id = after(self.next_id);
        self.session.insert(session).id
    }

    /// Leaves out of an answer what its session's client knows already.
    pub(crate) fn thin_out(&mut self, answer: &mut FetchResponse) {
        let id = answer.session_id;
        if let Some(session) = self.session.as_mut().filter(|session| session.id == id) {
            session.thin_out(answer);
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ids and epochs count from 1 and begin anew after the largest.
fn after(number: i32) -> i32 {
    number.checked_add(1).unwrap_or(1)
}

impl Session {
    /// A topic's name for the keys of its partitions, which share it.
    fn name(&self, topic: &str) -> Arc<str> {
        if self.by_id { "" } else { topic }.into()
    }

    fn key(&self, name: &Arc<str>, id: Uuid, partition: i32) -> Key {
        Key {
            id: if self.by_id { id } else { Uuid::default() },
            name: Arc::clone(name),
            partition,
        }
    }

    fn forget(&mut self, body: &FetchRequest) {
        for topic in &body.forgotten_topics_data {
            let name = self.name(&topic.topic);
            for partition in &topic.partitions {
                let key = self.key(&name, topic.topic_id, *partition);
                self.parts.remove(&key);
            }
        }
        if !body.forgotten_topics_data.is_empty() {
            self.order.retain(|key| self.parts.contains_key(key));
        }
    }

    /// Takes what a request names. False, and not all is taken, if that would make it more than `most`
    /// partitions, or more than one call may name, or if a name is longer than any topic's: such a session
    /// isn't kept.
    fn update(&mut self, topics: &[FetchTopic], most: usize) -> bool {
        let most = most.min(PARTS_PER_CALL_MAX);
        for topic in topics {
            let name = self.name(&topic.topic);
            if name.len() > TOPIC_NAME_BYTES_MAX {
                return false;
            }
            for asked in &topic.partitions {
                let key = self.key(&name, topic.topic_id, asked.partition);
                let asked = asked.clone();
                if let Some(part) = self.parts.get_mut(&key) {
                    part.asked = asked;
                    continue;
                }
                if self.order.len() >= most {
                    return false;
                }
                self.order.push(key.clone());
                self.parts.insert(key, Part { asked, told: None });
            }
        }
        true
    }

    /// All partitions in their order; neighbours of one topic share its entry.
    fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for key in &self.order {
            let same = |topic: &FetchTopic| topic.topic_id == key.id && *topic.topic == *key.name;
            if !topics.last().is_some_and(same) {
                topics.push(FetchTopic {
                    topic: key.name.to_string(),
                    topic_id: key.id,
                    ..Default::default()
                });
            }
            let topic = topics.last_mut().expect("just made");
            topic.partitions.push(self.parts[key].asked.clone());
        }
        topics
    }

    fn thin_out(&mut self, answer: &mut FetchResponse) {
        let mut read = Vec::new();
        for topic in &mut answer.responses {
            let (name, id) = (self.name(&topic.topic), topic.topic_id);
            topic.partitions.retain(|found| {
                let key = self.key(&name, id, found.partition_index);
                // Forgotten while its answer was under way.
                let Some(part) = self.parts.get_mut(&key) else {
                    return false;
                };
                let has_records = found.records.as_ref().is_some_and(|r| !r.is_empty());
                if has_records {
                    read.push(key);
                }
                part.tells(found) || (has_records && !planted(Bug::SessionLeavesOutRecords))
            });
        }
        answer
            .responses
            .retain(|topic| !topic.partitions.is_empty());
        if !read.is_empty() && read.len() < self.order.len() {
            read.sort();
            let (behind, mut order): (Vec<Key>, Vec<Key>) = std::mem::take(&mut self.order)
                .into_iter()
                .partition(|key| read.binary_search(key).is_ok());
            order.extend(behind);
            self.order = order;
        }
    }
}

impl Part {
    /// Whether something is told beside records; it counts as told then.
    fn tells(&mut self, found: &PartitionData) -> bool {
        let told = [
            found.high_watermark,
            found.last_stable_offset,
            found.log_start_offset,
        ];
        if found.error_code != codes::NONE || found.diverging_epoch.epoch >= 0 {
            // Told again until it is over, and what comes then is news.
            self.told = None;
            return true;
        }
        self.told.replace(told) != Some(told)
    }
}

#[cfg(test)]
mod tests;
