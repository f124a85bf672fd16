//! DescribeProducers (key 61), version 0: the idempotent producers that this node's replicas of
//! partitions remember.

use super::{Api, Door, Request, Step};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use broker::{Action, Resource};
use shard::ProducerStatus;
use wire_kafka::messages::describe_producers_request::DescribeProducersRequest;
use wire_kafka::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeProducers,
    versions: 0..=0,
    serve,
};

/// An epoch or offset that there is none of.
const NONE: i64 = -1;

/// The answer as far as it is known, and the places that are asked for.
pub(crate) struct Waiting {
    request: Request,
    topics: Vec<TopicResponse>,
    asked: Vec<(usize, usize)>,
}

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeProducersRequest::decode(request.version, reader)?;
    let image = door.broker.image();
    let mut waiting = Waiting {
        request,
        topics: Vec::new(),
        asked: Vec::new(),
    };
    let mut groups = Vec::new();
    for topic in body.topics {
        let on = Resource::Topic(&topic.name);
        let allowed = door.broker.allows(&door.principal, Action::Read, on);
        let there = image.topic(&topic.name);
        let mut partitions = Vec::new();
        for index in topic.partition_indexes {
            let at = usize::try_from(index).ok();
            let info = at.and_then(|at| there?.partitions.get(at));
            let error_code = match info {
                _ if !allowed => codes::TOPIC_AUTHORIZATION_FAILED,
                None => codes::UNKNOWN_TOPIC_OR_PARTITION,
                Some(info) => {
                    waiting.asked.push((waiting.topics.len(), partitions.len()));
                    groups.push(info.group);
                    codes::NONE
                }
            };
            partitions.push(PartitionResponse {
                partition_index: index,
                error_code,
                ..Default::default()
            });
        }
        waiting.topics.push(TopicResponse {
            name: topic.name,
            partitions,
        });
    }
    door.broker.producers_of(groups, request.reply_to(door));
    Ok(Step::Wait(super::Waiting::DescribeProducers(waiting)))
}

impl Waiting {
    /// Answers for each partition.
    pub(crate) fn finish(mut self, parts: Vec<Result<Vec<ProducerStatus>, Refusal>>) -> Step {
        for ((topic, partition), part) in self.asked.into_iter().zip(parts) {
            let partition = &mut self.topics[topic].partitions[partition];
            match part {
                Ok(producers) => {
                    partition.active_producers = producers.into_iter().map(state).collect();
                }
                Err(why) => {
                    partition.error_code = refusals::code(&why);
                    partition.error_message = refusals::message(&why);
                }
            }
        }
        self.request.answer(&DescribeProducersResponse {
            topics: self.topics,
            ..Default::default()
        })
    }
}

fn state(producer: ProducerStatus) -> ProducerState {
    ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: NONE as i32,
        current_txn_start_offset: NONE,
    }
}
