//! OffsetFetch (key 9), versions 0 to 10.
//!
//! 0: what a group committed. 1: nothing new. 2: null asks for all topics; a code for the whole.
//! 3: the throttle time. 4: nothing new. 5: leader epochs. 6: flexible. 7: only offsets that no
//! open transaction may change. 8: several groups. 9: members of KIP-848 and their epochs. 10:
//! topics by id.
//!
//! An offset that was never committed is -1 and no error; a topic needn't exist, except by id.

use super::groups::{self, Answer, Then, ask_each, misfit};
use super::offset_commit::id_of;
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Refusal, Uuid};
use broker::{Action, Resource};
use group::Reply;
use group::command::{Command, FetchTopic, OffsetFetch};
use group::reply::{FetchedPartition, FetchedTopic};
use meta::Image;
use std::sync::Arc;
use wire_kafka::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire_kafka::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::OffsetFetch,
    versions: 0..=10,
    serve,
};

/// The first version with a code for a whole group.
const GROUP_CODE: i16 = 2;
/// The first version that asks for several groups.
const SEVERAL: i16 = 8;
/// The first version that names topics by id.
const BY_ID: i16 = 10;

/// The groups in the order of the request.
pub(crate) struct Waiting {
    request: Request,
    groups: Vec<Asked>,
}

/// What was asked of one group.
struct Asked {
    group: String,
    /// Its topics in the order of the request; `None` for all.
    topics: Option<Vec<AskedTopic>>,
}

struct AskedTopic {
    name: String,
    id: Uuid,
    partitions: Vec<i32>,
    /// Why the coordinator isn't asked about it.
    refused: Option<i16>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = OffsetFetchRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let require_stable = body.require_stable;
    let (mut calls, mut groups) = (Vec::new(), Vec::new());
    for group in asked_groups(body, request.version) {
        let topics = group.topics.map(|topics| {
            let topics = topics.into_iter();
            topics
                .map(|topic| resolve(door, &image, request.version, topic))
                .collect::<Vec<_>>()
        });
        let command = Command::OffsetFetch(OffsetFetch {
            group: group.group_id.clone(),
            member: group.member_id,
            member_epoch: group.member_epoch,
            topics: topics.as_deref().map(wanted),
            require_stable,
        });
        calls.push((group.group_id.clone(), command));
        groups.push(Asked {
            group: group.group_id,
            topics,
        });
    }
    let then = Then::OffsetFetch(Waiting { request, groups });
    Ok(ask_each(door, now, request, calls, then))
}

/// The groups of any version.
fn asked_groups(body: OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= SEVERAL {
        return body.groups;
    }
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..Default::default()
    };
    vec![OffsetFetchRequestGroup {
        group_id: body.group_id,
        topics: body
            .topics
            .map(|topics| topics.into_iter().map(topic).collect()),
        ..Default::default()
    }]
}

fn resolve(
    door: &Door,
    image: &Image,
    version: i16,
    topic: OffsetFetchRequestTopics,
) -> AskedTopic {
    let mut asked = AskedTopic {
        name: topic.name,
        id: topic.topic_id,
        partitions: topic.partition_indexes,
        refused: None,
    };
    if version >= BY_ID {
        match image.topic_by_id(&asked.id) {
            Some(found) => asked.name.clone_from(&found.name),
            None => asked.refused = Some(codes::UNKNOWN_TOPIC_ID),
        }
    }
    if asked.refused.is_none() && !may_see(door, &asked.name) {
        asked.refused = Some(codes::TOPIC_AUTHORIZATION_FAILED);
    }
    asked
}

fn may_see(door: &Door, topic: &str) -> bool {
    let on = Resource::Topic(topic);
    door.broker.allows(&door.principal, Action::Describe, on)
}

/// The topics that the coordinator is asked about.
fn wanted(topics: &[AskedTopic]) -> Vec<FetchTopic> {
    let known = topics.iter().filter(|topic| topic.refused.is_none());
    known
        .map(|topic| FetchTopic {
            name: Arc::from(topic.name.as_str()),
            id: topic.id,
            partitions: topic.partitions.clone(),
        })
        .collect()
}

impl Waiting {
    /// Answers for each group.
    pub(crate) fn finish(self, door: &Door, parts: Vec<Answer>) -> Step {
        let version = self.request.version;
        let image = door.broker.image();
        let mut groups = Vec::with_capacity(parts.len());
        for (asked, answer) in self.groups.into_iter().zip(parts) {
            let outcome = match answer {
                Ok(Reply::OffsetFetch(outcome)) => outcome,
                Ok(_) => return misfit(),
                Err(why) => Err(why),
            };
            groups.push(match (outcome, asked.topics) {
                (Ok(found), Some(topics)) => of_topics(asked.group, topics, found),
                (Ok(found), None) => of_all(door, &image, version, asked.group, found),
                (Err(why), topics) => refused(asked.group, topics, &why, version),
            });
        }
        let mut response = OffsetFetchResponse::default();
        if version >= SEVERAL {
            response.groups = groups;
        } else if let Some(group) = groups.pop() {
            response.error_code = group.error_code;
            response.topics = group.topics.into_iter().map(older).collect();
        }
        if version == 0 {
            response.topics.iter_mut().for_each(without_offset);
        }
        self.request.answer(&response)
    }
}

/// A partition without an offset, as all versions write it.
fn nothing(partition_index: i32, error_code: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code,
    }
}

/// The code of a refusal. Consumers of Java before 3.9 take a coordinator that isn't available for
/// the end here, and look for it again if it is another one, as Kafka tells them as well.
fn code(why: &Refusal) -> i16 {
    match groups::code(why) {
        codes::COORDINATOR_NOT_AVAILABLE => codes::NOT_COORDINATOR,
        code => code,
    }
}

fn found(part: FetchedPartition) -> OffsetFetchResponsePartitions {
    match part.offset {
        Ok(Some(offset)) => OffsetFetchResponsePartitions {
            partition_index: part.partition,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch,
            metadata: Some(offset.metadata.to_string()),
            error_code: codes::NONE,
        },
        Ok(None) => nothing(part.partition, codes::NONE),
        Err(why) => nothing(part.partition, code(&why)),
    }
}

/// The topics asked for, with what was found in the places of those that the coordinator knows.
fn of_topics(
    group_id: String,
    asked: Vec<AskedTopic>,
    answers: Vec<FetchedTopic>,
) -> OffsetFetchResponseGroup {
    let mut answers = answers.into_iter();
    let topic = |topic: AskedTopic| {
        let partitions = match topic.refused {
            None => answers.next().map(|answer| answer.partitions),
            Some(_) => None,
        };
        let code = topic.refused.unwrap_or(codes::UNKNOWN_SERVER_ERROR);
        OffsetFetchResponseTopics {
            name: topic.name,
            topic_id: topic.id,
            partitions: match partitions {
                Some(parts) => parts.into_iter().map(found).collect(),
                None => topic
                    .partitions
                    .iter()
                    .map(|partition| nothing(*partition, code))
                    .collect(),
            },
        }
    };
    OffsetFetchResponseGroup {
        group_id,
        topics: asked.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

/// Everything that the group committed; a topic without an id any more can't be told by id.
fn of_all(
    door: &Door,
    image: &Image,
    version: i16,
    group_id: String,
    answers: Vec<FetchedTopic>,
) -> OffsetFetchResponseGroup {
    let topic = |answer: FetchedTopic| {
        let id = id_of(image, &answer.name);
        if !may_see(door, &answer.name) || (version >= BY_ID && id.is_none()) {
            return None;
        }
        Some(OffsetFetchResponseTopics {
            name: answer.name.to_string(),
            topic_id: id.unwrap_or(Uuid::ZERO),
            partitions: answer.partitions.into_iter().map(found).collect(),
        })
    };
    OffsetFetchResponseGroup {
        group_id,
        topics: answers.into_iter().filter_map(topic).collect(),
        ..Default::default()
    }
}

/// A group that is refused as a whole; the oldest versions say so at each partition.
fn refused(
    group_id: String,
    topics: Option<Vec<AskedTopic>>,
    why: &Refusal,
    version: i16,
) -> OffsetFetchResponseGroup {
    let code = code(why);
    let mut group = OffsetFetchResponseGroup {
        group_id,
        ..Default::default()
    };
    if version >= GROUP_CODE {
        group.error_code = code;
        return group;
    }
    let topic = |topic: AskedTopic| OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| nothing(*partition, code))
            .collect(),
    };
    let topics = topics.unwrap_or_default();
    group.topics = topics.into_iter().map(topic).collect();
    group
}

fn older(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let part = |part: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: part.partition_index,
        committed_offset: part.committed_offset,
        committed_leader_epoch: part.committed_leader_epoch,
        metadata: part.metadata,
        error_code: part.error_code,
    };
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(part).collect(),
    }
}

/// The oldest version takes an offset that was never committed for an unknown partition.
fn without_offset(topic: &mut OffsetFetchResponseTopic) {
    for part in &mut topic.partitions {
        if part.error_code == codes::NONE && part.committed_offset < 0 {
            part.error_code = codes::UNKNOWN_TOPIC_OR_PARTITION;
        }
    }
}
