//! Fetch (key 1), versions 0 to 18.
//!
//! 0: the first. 1: the throttle time. 2: messages with timestamps. 3: a bound on the whole answer.
//! 4: record batches, isolation levels. 5: where the log starts. 6: nothing new. 7: sessions. 8:
//! nothing new. 9: the leader epoch that the client knows. 10: Zstandard. 11: the client's rack.
//! 12: flexible; the epoch of the last record, to find divergence. 13: topics by id. 14: nothing
//! new. 15: the form of a follower's identity. 16: who leads, beside a refusal. 17 and 18: for
//! followers only.

mod sets;

use super::doubles::{self, Named};
use super::{Api, Door, Request, Step, known_epoch, patience, too_many};
use crate::answers::Held;
use crate::cold::{self, ColdOutcome, ColdRead, Found};
use crate::hints::{Hints, Reached, leader_of};
use crate::refusals;
use base::{Now, Offset, Refusal, limits};
use broker::Bounded;
use broker::{ReadFrom, TopicKey};
use log::ReadFault;
use sets::Sets;
use shard::ReadAnswer;
use std::time::Duration;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use wire_kafka::{ApiKey, Reader, Records, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::Fetch,
    versions: 0..=18,
    serve,
};

/// The first version that reads batches; those before it read message sets.
const BATCHES: i16 = 4;
/// The first version whose messages have timestamps (magic 1).
const TIMESTAMPS: i16 = 2;
/// The first version whose topics are named by id.
const BY_ID: i16 = 13;
/// The first version whose answers tell who leads.
const LEADER_HINTS: i16 = 16;
/// Most bytes of one answer (`fetch.max.bytes`), as in Kafka; the first batch is always whole.
const FETCH_BYTES_MAX: u32 = 55 * 1024 * 1024;
/// The isolation level at which aborted transactions are told.
const READ_COMMITTED: i8 = 1;

/// How long a fetch waits at most whose request takes a share of the memory that others need. In a
/// session only the first one of many partitions is so large.
const LARGE_WAIT_MAX: Duration = Duration::from_secs(1);

/// The answer as far as it is known.
pub(crate) struct Waiting {
    request: Request,
    response: FetchResponse,
    /// For clients that read message sets.
    sets: Option<Sets>,
    /// What its records take of the memory for answers.
    held: Option<Held>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let is_large = reader.remaining() as u64 > limits::REQUEST_FREE_BYTES;
    let mut body = FetchRequest::decode(request.version, reader)?;
    body.topics = merged(body.topics);
    if let Some(end) = too_many(&request, body.topics.iter().map(|t| t.partitions.len())) {
        return Ok(end);
    }
    let completed = door
        .sessions()
        .complete(&mut body, request.version >= BY_ID);
    let session_id = match completed {
        Ok(id) => id,
        Err(error_code) => {
            return Ok(request.answer(&FetchResponse {
                error_code,
                ..Default::default()
            }));
        }
    };
    let wait = door.charge(Bounded::Fetched, 0.0);
    if !wait.is_zero() {
        let session_id = if body.session_epoch > 0 {
            session_id
        } else {
            0
        };
        return Ok(throttled(request, wait, session_id));
    }
    let committed = body.isolation_level == READ_COMMITTED;
    let mut read = door.broker.read(&door.principal);
    let mut response = FetchResponse {
        session_id,
        ..Default::default()
    };
    let bytes_max = u32::try_from(body.max_bytes)
        .unwrap_or(0)
        .min(FETCH_BYTES_MAX);
    let bytes_min = u32::try_from(body.min_bytes).unwrap_or(0).min(bytes_max);
    let wait = wait_max(is_large).min(patience(body.max_wait_ms));
    let mut sets = (request.version < BATCHES).then(|| {
        let magic = u8::from(request.version >= TIMESTAMPS);
        Sets::new(magic, bytes_min, bytes_max, now.mono.after(wait))
    });
    for topic in body.topics {
        if let Some(sets) = &mut sets {
            topic.partitions.iter().for_each(|part| sets.want(part));
        }
        let key = match request.version >= BY_ID {
            true => TopicKey::Id(topic.topic_id),
            false => TopicKey::Name(&topic.topic),
        };
        let target = read.topic(key);
        for partition in &topic.partitions {
            read.push(&target, partition.partition, place_of(partition));
        }
        let unanswered = |partition: &FetchPartition| nothing(partition.partition, committed);
        response.responses.push(FetchableTopicResponse {
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(unanswered).collect(),
            topic: topic.topic,
        });
    }
    read.submit(now, bytes_min, bytes_max, wait, request.reply_to(door));
    Ok(Step::Wait(super::Waiting::Fetch(Waiting {
        request,
        response,
        sets,
        held: None,
    })))
}

/// How long a fetch may wait at most.
fn wait_max(is_large: bool) -> Duration {
    match is_large {
        true => LARGE_WAIT_MAX,
        false => limits::FETCH_WAIT_MAX,
    }
}

/// Each partition is read once.
fn merged(topics: Vec<FetchTopic>) -> Vec<FetchTopic> {
    let named = topics.into_iter().map(|topic| Named {
        name: topic.topic,
        id: topic.topic_id,
        parts: topic.partitions,
    });
    let merged = doubles::merged(named, |partition| partition.partition);
    let topic = |topic: Named<FetchPartition>| FetchTopic {
        topic: topic.name,
        topic_id: topic.id,
        partitions: topic.parts,
    };
    merged.into_iter().map(topic).collect()
}

/// As in Kafka, a client that has read more than its quota, perhaps on another connection, gets
/// nothing but the time to wait. A session doesn't begin with such an answer.
fn throttled(mut request: Request, wait: Duration, session_id: i32) -> Step {
    request.throttle(wait);
    request.answer(&FetchResponse {
        session_id,
        ..Default::default()
    })
}

fn place_of(partition: &FetchPartition) -> ReadFrom {
    ReadFrom {
        offset: Offset(partition.fetch_offset),
        bytes_max: u32::try_from(partition.partition_max_bytes).unwrap_or(0),
        leader_epoch: known_epoch(partition.current_leader_epoch),
        last_fetched_epoch: known_epoch(partition.last_fetched_epoch),
    }
}

/// A partition of which nothing is known. Clients want no records as an empty list, not as null.
fn nothing(partition_index: i32, committed: bool) -> PartitionData {
    PartitionData {
        partition_index,
        high_watermark: -1,
        aborted_transactions: committed.then(Vec::new),
        records: Some(Records::EMPTY),
        ..Default::default()
    }
}

impl Waiting {
    /// How many partitions it names.
    pub(crate) fn parts(&self) -> usize {
        let topics = self.response.responses.iter();
        topics.map(|topic| topic.partitions.len()).sum()
    }

    fn partitions(&mut self) -> impl Iterator<Item = &mut PartitionData> {
        self.response
            .responses
            .iter_mut()
            .flat_map(|topic| topic.partitions.iter_mut())
    }

    /// Writes what the shard knows of each partition; what must be read from files is tried here
    /// and handed out where it would have to wait.
    pub(crate) fn on_parts(
        mut self,
        door: &Door,
        mut parts: Vec<Result<ReadAnswer, Refusal>>,
        notes: &mut Vec<String>,
    ) -> Step {
        self.held = door.answers.fit(&mut parts);
        let version = self.request.version;
        let mut cold = ColdRead::new(door.broker.files().clone());
        let mut refused = Vec::new();
        let sets = self.sets.take();
        let mut parts = parts.into_iter();
        for (place, answer) in self.partitions().enumerate() {
            if sets.as_ref().is_some_and(|sets| !sets.wants(place)) {
                continue;
            }
            let Some(part) = parts.next() else {
                break;
            };
            match part {
                Ok(found) => write(door, version, place, answer, found, &mut cold, notes),
                Err(why) => {
                    answer.error_code = refusals::fetch_code(&why, version);
                    refused.push((place, why));
                }
            }
        }
        self.sets = sets;
        if version >= LEADER_HINTS {
            self.hint(door, &refused);
        }
        match cold.is_empty() {
            true => self.finish(door),
            false => Step::Read(super::Waiting::Fetch(self), cold),
        }
    }

    fn finish(mut self, door: &Door) -> Step {
        if let Some(mut sets) = self.sets.take()
            && sets.convert(self.partitions())
        {
            // What was read so far had nothing in it for this client.
            self.held = None;
            sets.read_on(door, &self.response, self.request.reply_to(door));
            self.sets = Some(sets);
            return Step::Wait(super::Waiting::Fetch(self));
        }
        if door.broker.has_quotas() {
            let records = self.partitions().filter_map(|p| p.records.as_ref());
            let bytes: usize = records.map(Records::len).sum();
            let wait = door.charge(Bounded::Fetched, bytes as f64);
            self.request.throttle(wait);
        }
        door.sessions().thin_out(&mut self.response);
        match self.held {
            Some(held) => held.until_written(self.request.answer(&self.response)),
            None => self.request.answer(&self.response),
        }
    }

    /// Tells who leads the partitions whose refusal says that it isn't who the client thought.
    fn hint(&mut self, door: &Door, refused: &[(usize, Refusal)]) {
        let image = door.broker.image();
        let mut hints = Hints::default();
        let topics = self.response.responses.iter_mut();
        let all = topics.flat_map(|topic| topic.partitions.iter_mut().map(|p| (topic.topic_id, p)));
        let mut refused = refused.iter().peekable();
        for (place, (id, answer)) in all.enumerate() {
            let Some((_, why)) = refused.next_if(|(at, _)| *at == place) else {
                continue;
            };
            let leader = match why {
                Refusal::NotLeader { .. } => hints.of(why),
                Refusal::FencedLeaderEpoch => {
                    let index = answer.partition_index;
                    leader_of(&door.broker, &image, TopicKey::Id(id), index)
                        .map(|leader| hints.point_to(leader))
                }
                _ => None,
            };
            if let Some((leader_id, leader_epoch)) = leader {
                answer.current_leader = LeaderIdAndEpoch {
                    leader_id,
                    leader_epoch,
                };
            }
        }
        let endpoint = |node: Reached| NodeEndpoint {
            node_id: node.node_id,
            host: node.host,
            port: node.port,
            rack: node.rack,
        };
        let reached = hints.endpoints(&image, &door.listener);
        self.response.node_endpoints = reached.into_iter().map(endpoint).collect();
    }

    /// Writes what was read off the loop.
    pub(crate) fn on_read(
        mut self,
        door: &Door,
        outcome: ColdOutcome,
        notes: &mut Vec<String>,
    ) -> Step {
        let version = self.request.version;
        let mut found = outcome.0.into_iter().peekable();
        for (place, answer) in self.partitions().enumerate() {
            match found.next_if(|(at, _)| *at == place) {
                Some((_, Ok(Found::Records(pieces)))) => answer.records = Some(pieces.into()),
                Some((_, Err(fault))) => failed(door, version, answer, &fault, notes),
                Some((_, Ok(Found::Time(_)))) | None => {}
            }
        }
        self.finish(door)
    }
}

fn write(
    door: &Door,
    version: i16,
    place: usize,
    answer: &mut PartitionData,
    found: ReadAnswer,
    cold: &mut ColdRead,
    notes: &mut Vec<String>,
) {
    answer.high_watermark = found.high_watermark.0;
    answer.last_stable_offset = found.last_stable.0;
    answer.log_start_offset = found.start_offset.0;
    if let Some((epoch, end)) = found.diverging {
        answer.diverging_epoch = EpochEndOffset {
            epoch,
            end_offset: end.0,
        };
    }
    let Some(plan) = found.cold else {
        answer.records = Some(found.hot.into());
        return;
    };
    match plan.run(door.broker.files(), false) {
        Ok(Some(pieces)) => answer.records = Some(pieces.into()),
        Ok(None) => cold.records(place, plan),
        Err(fault) => failed(door, version, answer, &fault, notes),
    }
}

/// A read failed. What was to be read may be gone by now, which the next fetch finds out; the
/// rest is the operator's business, and nothing of it is served.
fn failed(
    door: &Door,
    version: i16,
    answer: &mut PartitionData,
    fault: &ReadFault,
    notes: &mut Vec<String>,
) {
    if matches!(fault, ReadFault::Gone) {
        return;
    }
    cold::report(door, fault);
    notes.push(format!("a fetch was refused: {fault}"));
    answer.error_code = refusals::fetch_code(&Refusal::Storage(fault.to_string()), version);
    answer.high_watermark = -1;
    answer.last_stable_offset = -1;
    answer.log_start_offset = -1;
}
