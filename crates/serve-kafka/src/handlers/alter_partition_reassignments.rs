//! AlterPartitionReassignments (key 45), versions 0 and 1.
//!
//! 0: other replicas for partitions; null takes a reassignment back. 1: whether the number of
//! replicas may change.

use super::{Api, Door, Request, Step, patience};
use crate::refusals::{self, codes};
use base::{Now, Refusal};
use broker::ReassignmentSpec;
use wire_kafka::messages::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use wire_kafka::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::AlterPartitionReassignments,
    versions: 0..=1,
    serve,
};

/// The partitions that were named, by topic and in order.
pub(crate) struct Waiting {
    request: Request,
    may_change_factor: bool,
    topics: Vec<(String, Vec<i32>)>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = AlterPartitionReassignmentsRequest::decode(request.version, reader)?;
    let mut specs = Vec::new();
    let mut topics = Vec::new();
    for topic in body.topics {
        let indexes = topic.partitions.iter().map(|p| p.partition_index).collect();
        for partition in topic.partitions {
            specs.push(ReassignmentSpec {
                topic: topic.name.clone(),
                partition: partition.partition_index,
                target: partition.replicas,
            });
        }
        topics.push((topic.name, indexes));
    }
    let may_change_factor = body.allow_replication_factor_change;
    let (timeout, to) = (patience(body.timeout_ms), request.reply_to(door));
    door.broker
        .reassign(now, &door.principal, specs, !may_change_factor, timeout, to);
    Ok(Step::Wait(super::Waiting::AlterPartitionReassignments(
        Waiting {
            request,
            may_change_factor,
            topics,
        },
    )))
}

impl Waiting {
    /// Answers for each partition.
    pub(crate) fn finish(self, door: &Door, reply: Result<meta::Reply, Refusal>) -> Step {
        let count = self.topics.iter().map(|(_, indexes)| indexes.len()).sum();
        let Some(parts) = super::each(reply, count) else {
            return super::other_question();
        };
        // No part runs out of time by itself, or finds no controller: clients look for that beside them.
        let of_all = |why: &&Refusal| matches!(why, Refusal::Timeout | Refusal::NoController);
        let mut refused = parts.iter().filter_map(|part| part.as_ref().err());
        let late = refused.find(of_all).cloned();
        let image = door.broker.image();
        let mut parts = parts.into_iter();
        let responses = self.topics.iter().map(|(name, indexes)| {
            let partitions = indexes.iter().zip(&mut parts).map(|(index, part)| {
                let why = part.err();
                ReassignablePartitionResponse {
                    partition_index: *index,
                    error_code: why.as_ref().map_or(codes::NONE, refusals::code),
                    error_message: why.and_then(|why| match why {
                        Refusal::UnknownTopic if !image.topics.contains_key(name.as_str()) => {
                            Some(format!("Unable to find a topic named {name}."))
                        }
                        Refusal::UnknownTopic => {
                            Some(format!("Unable to find partition {name}:{index}."))
                        }
                        // Kafka leaves out what the code says already.
                        Refusal::NoReassignment => None,
                        why => Some(why.to_string()),
                    }),
                }
            });
            ReassignableTopicResponse {
                name: name.clone(),
                partitions: partitions.collect(),
            }
        });
        let responses = responses.collect();
        self.request.answer(&AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: self.may_change_factor,
            responses,
            error_code: late.as_ref().map_or(codes::NONE, refusals::code),
            error_message: late.map(|why| why.to_string()),
            ..Default::default()
        })
    }
}
