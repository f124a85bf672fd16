//! OffsetCommit (key 8), versions 0 to 10.
//!
//! 0: offsets without membership. 1: generation and member; a timestamp that nobody uses any
//! more. 2: how long they are kept. 3: the throttle time. 4: nothing new. 5: no retention any
//! more. 6: leader epochs. 7: static members. 8: flexible. 9: members of KIP-848 and their
//! epochs. 10: topics by id.
//!
//! Whether a topic and partition exists is decided here, part by part; what is left goes to the
//! coordinator.

use super::groups::{self, Waiting as Group, ask, misfit};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Uuid};
use broker::{Action, Resource};
use group::Reply;
use group::command::{Command, CommitPartition, CommitTopic, OffsetCommit};
use meta::{Image, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire_kafka::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire_kafka::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::OffsetCommit,
    versions: 0..=10,
    serve,
};

/// The first version that knows members.
const MEMBERS: i16 = 1;
/// The versions that say how long offsets are kept.
const RETENTION: std::ops::RangeInclusive<i16> = 2..=4;
/// The first version that can be told of a stale epoch.
const EPOCHS: i16 = 9;
/// The first version that names topics by id.
const BY_ID: i16 = 10;

/// The answer as far as it is known.
pub(crate) struct Waiting {
    request: Request,
    response: OffsetCommitResponse,
    /// Places of the partitions that the coordinator was asked about, topic and partition.
    asked: Vec<(usize, usize)>,
    /// Places of the topics, if one that is named twice is answered once.
    places: Option<BTreeMap<(Uuid, String), usize>>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = OffsetCommitRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let mut waiting = Waiting {
        request,
        response: OffsetCommitResponse::default(),
        asked: Vec::new(),
        places: None,
    };
    let known: Vec<_> = (body.topics.iter())
        .map(|topic| find(door, &image, request.version, topic))
        .collect();
    // As in Kafka: with a refusal of its own it gathers the answer by topics, else it doesn't look at it.
    let mut each = body.topics.iter().zip(&known);
    if each.any(|(topic, known)| refuses_any(topic, known)) {
        waiting.places = Some(BTreeMap::new());
    }
    let mut topics = Vec::new();
    for (topic, known) in body.topics.into_iter().zip(known) {
        topics.extend(waiting.take(topic, known));
    }
    if topics.is_empty() {
        return Ok(request.answer(&waiting.response));
    }
    let (member, generation) = match request.version >= MEMBERS {
        true => (body.member_id, body.generation_id_or_member_epoch),
        false => (String::new(), -1),
    };
    let retains = RETENTION.contains(&request.version) && body.retention_time_ms >= 0;
    let group = body.group_id.clone();
    let command = Command::OffsetCommit(OffsetCommit {
        group: body.group_id,
        member,
        instance: body.group_instance_id,
        generation_or_epoch: generation,
        retention_ms: retains.then_some(body.retention_time_ms),
        knows_epochs: request.version >= EPOCHS,
        topics,
    });
    let waiting = Group::OffsetCommit(waiting);
    Ok(ask(door, now, request, (&group, command), waiting))
}

/// The topic, or the code of each of its partitions.
fn find<'a>(
    door: &Door,
    image: &'a Image,
    version: i16,
    topic: &OffsetCommitRequestTopic,
) -> Result<&'a Arc<Topic>, i16> {
    let (found, missing) = match version >= BY_ID {
        true => (image.topic_by_id(&topic.topic_id), codes::UNKNOWN_TOPIC_ID),
        false => (image.topic(&topic.name), codes::UNKNOWN_TOPIC_OR_PARTITION),
    };
    let name = found.map_or(topic.name.as_str(), |found| &found.name);
    let allowed = door
        .broker
        .allows(&door.principal, Action::Read, Resource::Topic(name));
    match found {
        _ if !allowed => Err(codes::TOPIC_AUTHORIZATION_FAILED),
        Some(found) => Ok(found),
        None => Err(missing),
    }
}

fn commit(partition: OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata,
    }
}

impl Waiting {
    /// Makes room for a topic's answer, and gives what of it the coordinator is to decide.
    fn take(
        &mut self,
        topic: OffsetCommitRequestTopic,
        known: Result<&Arc<Topic>, i16>,
    ) -> Option<CommitTopic> {
        let mut place = self.response.topics.len();
        if let Some(places) = &mut self.places {
            let key = (topic.topic_id, topic.name.clone());
            place = *places.entry(key).or_insert(place);
        }
        let before = self.response.topics.get(place);
        let before = before.map_or(0, |topic| topic.partitions.len());
        let mut answers = Vec::with_capacity(topic.partitions.len());
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let error_code = match known {
                Ok(topic) if has(topic, partition_index) => {
                    self.asked.push((place, before + answers.len()));
                    partitions.push(commit(partition));
                    codes::NONE
                }
                Ok(_) => codes::UNKNOWN_TOPIC_OR_PARTITION,
                Err(code) => code,
            };
            answers.push(OffsetCommitResponsePartition {
                partition_index,
                error_code,
            });
        }
        match self.response.topics.get_mut(place) {
            Some(before) => before.partitions.append(&mut answers),
            None => self.response.topics.push(OffsetCommitResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions: answers,
            }),
        }
        let found = known.ok().filter(|_| !partitions.is_empty())?;
        Some(CommitTopic {
            name: Arc::from(found.name.as_str()),
            id: found.id,
            partitions,
        })
    }

    /// Answers for each partition.
    pub(crate) fn finish(mut self, answer: groups::Answer) -> Step {
        let outcomes: Vec<i16> = match answer {
            Ok(Reply::OffsetCommit(Ok(topics))) => topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|(_, outcome)| groups::code_of(outcome))
                .collect(),
            Ok(Reply::OffsetCommit(Err(why))) | Err(why) => {
                vec![groups::code(&why); self.asked.len()]
            }
            Ok(_) => return misfit(),
        };
        if outcomes.len() != self.asked.len() {
            return misfit();
        }
        for ((topic, partition), code) in self.asked.into_iter().zip(outcomes) {
            self.response.topics[topic].partitions[partition].error_code = code;
        }
        self.request.answer(&self.response)
    }
}

/// True if something of this topic isn't for the coordinator.
fn refuses_any(topic: &OffsetCommitRequestTopic, known: &Result<&Arc<Topic>, i16>) -> bool {
    let mut partitions = topic.partitions.iter();
    partitions.any(|p| !known.is_ok_and(|known| has(known, p.partition_index)))
}

/// True if the topic has this partition.
pub(super) fn has(topic: &Topic, partition: i32) -> bool {
    usize::try_from(partition).is_ok_and(|at| at < topic.partitions.len())
}

/// The id of a topic that an answer names; none is zero.
pub(super) fn id_of(image: &Image, name: &str) -> Option<Uuid> {
    image.topic(name).map(|topic| topic.id)
}
