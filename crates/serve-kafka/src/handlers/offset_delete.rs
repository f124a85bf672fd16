//! OffsetDelete (key 47), version 0: committed offsets of some partitions are deleted.

use super::groups::{self, Waiting as Group, ask, misfit};
use super::offset_commit::has;
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::Now;
use broker::{Action, Resource};
use group::Reply;
use group::command::{Command, OffsetDelete};
use std::sync::Arc;
use wire_kafka::messages::offset_delete_request::OffsetDeleteRequest;
use wire_kafka::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::OffsetDelete,
    versions: 0..=0,
    serve,
};

/// The answer as far as it is known.
pub(crate) struct Waiting {
    request: Request,
    response: OffsetDeleteResponse,
    /// Places of the partitions that the coordinator was asked about, topic and partition.
    asked: Vec<(usize, usize)>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = OffsetDeleteRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let (mut response, mut asked, mut topics) =
        (OffsetDeleteResponse::default(), Vec::new(), Vec::new());
    for topic in body.topics {
        let on = Resource::Topic(&topic.name);
        let allowed = door.broker.allows(&door.principal, Action::Read, on);
        let known = image.topic(&topic.name).filter(|_| allowed);
        let (mut answers, mut partitions) = (Vec::new(), Vec::new());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let error_code = match known {
                Some(topic) if has(topic, partition_index) => {
                    asked.push((response.topics.len(), answers.len()));
                    partitions.push(partition_index);
                    codes::NONE
                }
                _ if !allowed => codes::TOPIC_AUTHORIZATION_FAILED,
                _ => codes::UNKNOWN_TOPIC_OR_PARTITION,
            };
            answers.push(OffsetDeleteResponsePartition {
                partition_index,
                error_code,
            });
        }
        if !partitions.is_empty() {
            topics.push((Arc::from(topic.name.as_str()), partitions));
        }
        response.topics.push(OffsetDeleteResponseTopic {
            name: topic.name,
            partitions: answers,
        });
    }
    let waiting = Waiting {
        request,
        response,
        asked,
    };
    if topics.is_empty() {
        return Ok(request.answer(&waiting.response));
    }
    let group = body.group_id.clone();
    let command = Command::OffsetDelete(OffsetDelete {
        group: body.group_id,
        topics,
    });
    let waiting = Group::OffsetDelete(waiting);
    Ok(ask(door, now, request, (&group, command), waiting))
}

impl Waiting {
    /// Answers for each partition; a refusal of the whole has no partitions beside it.
    pub(crate) fn finish(mut self, answer: groups::Answer) -> Step {
        let topics = match answer {
            Ok(Reply::OffsetDelete(Ok(topics))) => topics,
            Ok(Reply::OffsetDelete(Err(why))) | Err(why) => {
                return self.request.answer(&OffsetDeleteResponse {
                    error_code: groups::code(&why),
                    ..Default::default()
                });
            }
            Ok(_) => return misfit(),
        };
        let outcomes = topics.iter().flat_map(|topic| &topic.partitions);
        for ((topic, partition), (_, outcome)) in self.asked.into_iter().zip(outcomes) {
            let part = &mut self.response.topics[topic].partitions[partition];
            part.error_code = groups::code_of(outcome);
        }
        self.request.answer(&self.response)
    }
}
