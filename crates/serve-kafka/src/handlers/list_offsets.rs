//! ListOffsets (key 2), versions 0 to 11.
//!
//! 0: a list of offsets, where segments begin. 1: one offset and its timestamp. 2: isolation levels, the throttle time. 3: nothing new. 4:
//! leader epochs. 5: a code for an offset that isn't there yet. 6: flexible. 7: the record with the largest timestamp (-3). 8:
//! the first offset on this node's disk (-4). 9: the last offset in remote storage (-5). 10: a
//! time-out. 11: the first offset not yet in remote storage (-6).

use super::doubles::{self, Named};
use super::{Api, Door, Request, Step, known_epoch, too_many};
use crate::cold::{self, ColdOutcome, ColdRead, Found};
use crate::refusals::{self, codes};
use base::{Now, Offset, Refusal, Uuid};
use broker::TopicKey;
use log::ReadFault;
use shard::{OffsetAnswer, OffsetQuery};
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use wire_kafka::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListOffsets,
    versions: 0..=11,
    serve,
};

/// The first version that knows the code of an offset that isn't there yet.
const NOT_YET_CODE: i16 = 5;

/// What a timestamp asks for.
enum Asked {
    Query(OffsetQuery),
    /// Something that there is only with remote storage.
    Remote,
    /// A sign that this version doesn't have.
    Unknown,
}

fn asked(version: i16, partition: &ListOffsetsPartition) -> Asked {
    if version == 0 {
        return asked_for_several(partition);
    }
    let timestamp = partition.timestamp;
    match timestamp {
        0.. => Asked::Query(OffsetQuery::AtTime(timestamp)),
        -1 => Asked::Query(OffsetQuery::Latest),
        -2 => Asked::Query(OffsetQuery::Earliest),
        -3 if version >= 7 => Asked::Query(OffsetQuery::MaxTimestamp),
        -4 if version >= 8 => Asked::Query(OffsetQuery::Earliest),
        -5 if version >= 9 => Asked::Remote,
        -6 if version >= 11 => Asked::Remote,
        _ => Asked::Unknown,
    }
}

/// Version 0 asks for so many offsets at most, newest first. What is first needs no list, and what is
/// last only if there is to be more than one.
fn asked_for_several(partition: &ListOffsetsPartition) -> Asked {
    let most = usize::try_from(partition.max_num_offsets).unwrap_or(0);
    let until = match (partition.timestamp, most) {
        (-1, 1) => return Asked::Query(OffsetQuery::Latest),
        (-2, 1..) => return Asked::Query(OffsetQuery::Earliest),
        (-1 | -2, _) => i64::MAX,
        (time @ 0.., _) => time,
        _ => return Asked::Unknown,
    };
    Asked::Query(OffsetQuery::Segments { until, most })
}

/// The answer as far as it is known.
pub(crate) struct Waiting {
    request: Request,
    response: ListOffsetsResponse,
    /// Places among all partitions that the broker was asked about, and whether what was asked
    /// for is in remote storage.
    asked: Vec<(usize, bool)>,
    /// Epochs to answer with where a look-up finds something, by place.
    epochs: Vec<(usize, i32)>,
}

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ListOffsetsRequest::decode(request.version, reader)?;
    if let Some(end) = too_many(&request, body.topics.iter().map(|t| t.partitions.len())) {
        return Ok(end);
    }
    let doubles = doubles(&body);
    let named = body.topics.into_iter().map(|topic| Named {
        name: topic.name,
        id: Uuid::ZERO,
        parts: topic.partitions,
    });
    let mut offsets = door.broker.offsets(&door.principal);
    let mut response = ListOffsetsResponse::default();
    let (mut places, mut place) = (Vec::new(), 0);
    for topic in doubles::merged(named, |partition| partition.partition_index) {
        let target = offsets.topic(TopicKey::Name(&topic.name));
        let mut answers = Vec::with_capacity(topic.parts.len());
        let doubled = doubles.get(&topic.name);
        for partition in &topic.parts {
            let mut answer = nothing(partition);
            if doubled.is_some_and(|doubled| doubled.contains(&partition.partition_index)) {
                answer.error_code = codes::INVALID_REQUEST;
            } else {
                let epoch = known_epoch(partition.current_leader_epoch);
                // There is no remote storage, but whether the partition is here is asked all the
                // same.
                let (query, remote) = match asked(request.version, partition) {
                    Asked::Query(query) => (Some(query), false),
                    Asked::Remote => (Some(OffsetQuery::Earliest), true),
                    Asked::Unknown => (None, false),
                };
                match query {
                    Some(query) => {
                        offsets.push(&target, partition.partition_index, query, epoch);
                        places.push((place, remote));
                    }
                    None => answer.error_code = codes::UNSUPPORTED_VERSION,
                }
            }
            answers.push(answer);
            place += 1;
        }
        response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions: answers,
        });
    }
    if places.is_empty() {
        return Ok(request.answer(&response));
    }
    offsets.submit(request.reply_to(door));
    let waiting = Waiting {
        request,
        response,
        asked: places,
        epochs: Vec::new(),
    };
    Ok(Step::Wait(super::Waiting::ListOffsets(waiting)))
}

/// The partitions that are named more than once, which is invalid.
fn doubles(body: &ListOffsetsRequest) -> BTreeMap<String, BTreeSet<i32>> {
    let mut named: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    let mut doubles: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for topic in &body.topics {
        let named = named.entry(&topic.name).or_default();
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if !named.insert(index) {
                doubles.entry(topic.name.clone()).or_default().insert(index);
            }
        }
    }
    doubles
}

fn nothing(partition: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let partition_index = partition.partition_index;
    ListOffsetsPartitionResponse {
        partition_index,
        ..Default::default()
    }
}

impl Waiting {
    /// Writes what the shard knows; look-ups in files are handed out.
    pub(crate) fn on_parts(
        mut self,
        door: &Door,
        parts: Vec<Result<OffsetAnswer, Refusal>>,
    ) -> Step {
        let mut cold = ColdRead::new(door.broker.files().clone());
        let places = std::mem::take(&mut self.asked);
        let mut known = vec![None; places.len()];
        let mut lists = BTreeMap::new();
        for (at, ((place, remote), part)) in places.iter().zip(parts).enumerate() {
            match part {
                Ok(_) if *remote => {}
                Ok(OffsetAnswer::Known {
                    offset,
                    timestamp,
                    leader_epoch,
                }) => {
                    known[at] = Some((codes::NONE, offset, timestamp, leader_epoch));
                }
                Ok(OffsetAnswer::Search { plan, leader_epoch }) => {
                    cold.time(*place, plan);
                    self.epochs.push((*place, leader_epoch));
                }
                Ok(OffsetAnswer::Segments(offsets)) => {
                    lists.insert(*place, offsets);
                }
                Err(why) => {
                    let code = code(self.request.version, &why);
                    known[at] = Some((code, Offset(-1), -1, -1));
                }
            }
        }
        self.write(places.into_iter().map(|(place, _)| place).zip(known));
        for (place, answer) in self.answers().enumerate() {
            if let Some(offsets) = lists.remove(&place) {
                answer.old_style_offsets = offsets.into_iter().map(|offset| offset.0).collect();
            }
        }
        match cold.is_empty() {
            true => self.request.answer(&self.response),
            false => Step::Read(super::Waiting::ListOffsets(self), cold),
        }
    }

    /// One for each place.
    fn answers(&mut self) -> impl Iterator<Item = &mut ListOffsetsPartitionResponse> {
        let topics = self.response.topics.iter_mut();
        topics.flat_map(|topic| topic.partitions.iter_mut())
    }

    /// Writes codes, offsets, timestamps and epochs at their places, which ascend.
    fn write(&mut self, known: impl Iterator<Item = (usize, Option<(i16, Offset, i64, i32)>)>) {
        let mut known = known.peekable();
        for (place, answer) in self.answers().enumerate() {
            let Some((_, known)) = known.next_if(|(at, _)| *at == place) else {
                continue;
            };
            if let Some((code, offset, timestamp, epoch)) = known {
                answer.error_code = code;
                answer.offset = offset.0;
                answer
                    .old_style_offsets
                    .extend((offset.0 >= 0).then_some(offset.0));
                answer.timestamp = timestamp;
                answer.leader_epoch = epoch;
            }
        }
    }

    /// Writes what was looked up.
    pub(crate) fn on_read(
        mut self,
        door: &Door,
        outcome: ColdOutcome,
        notes: &mut Vec<String>,
    ) -> Step {
        let epochs = std::mem::take(&mut self.epochs);
        let found = outcome
            .0
            .into_iter()
            .zip(epochs)
            .map(|((place, found), (_, epoch))| (place, found_at(door, found, epoch, notes)));
        let found: Vec<_> = found.collect();
        self.write(found.into_iter());
        self.request.answer(&self.response)
    }
}

/// The code of a refusal. That an offset isn't there yet, older versions are told as a leader that
/// isn't there yet: they don't know the other code.
fn code(version: i16, why: &Refusal) -> i16 {
    match refusals::partition_code(why) {
        codes::OFFSET_NOT_AVAILABLE if version < NOT_YET_CODE => codes::LEADER_NOT_AVAILABLE,
        code => code,
    }
}

fn found_at(
    door: &Door,
    found: Result<Found, ReadFault>,
    epoch: i32,
    notes: &mut Vec<String>,
) -> Option<(i16, Offset, i64, i32)> {
    match found {
        Ok(Found::Time(Some((offset, timestamp)))) => Some((codes::NONE, offset, timestamp, epoch)),
        Ok(_) => None,
        // What was planned was cut off or deleted meanwhile: the client is to ask again.
        Err(ReadFault::Gone) => Some((codes::NOT_LEADER_OR_FOLLOWER, Offset(-1), -1, -1)),
        Err(fault) => {
            cold::report(door, &fault);
            notes.push(format!("an offset could not be looked up: {fault}"));
            Some((codes::KAFKA_STORAGE_ERROR, Offset(-1), -1, -1))
        }
    }
}
