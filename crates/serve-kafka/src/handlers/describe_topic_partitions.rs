//! DescribeTopicPartitions (key 75), version 0: topics with their partitions, page by page. A
//! page ends at the limit, and the cursor says where the next one begins.

use super::metadata::{INTERNAL_TOPICS, TOPIC_OPERATIONS, partition};
use super::{Api, Door, Request, Step};
use crate::refusals::codes;
use base::{Now, Uuid};
use broker::{Action, Resource};
use meta::{Image, names};
use std::collections::BTreeSet;
use wire_kafka::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest,
};
use wire_kafka::messages::describe_topic_partitions_response as response;
use wire_kafka::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeTopicPartitions,
    versions: 0..=0,
    serve,
};

/// Partitions of one answer at most, as Kafka's `max.request.partition.size.limit`.
const PARTITIONS_MAX: i32 = 2_000;

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeTopicPartitionsRequest::decode(request.version, reader)?;
    let named: BTreeSet<String> = body.topics.into_iter().map(|topic| topic.name).collect();
    if body.cursor.as_ref().is_some_and(|c| c.partition_index < 0) {
        return Ok(request.answer(&refused(named)));
    }
    let limit = body.response_partition_limit.clamp(1, PARTITIONS_MAX);
    let page = Page {
        door,
        image: &door.broker.image(),
        room: limit as usize,
        answer: DescribeTopicPartitionsResponse::default(),
    };
    Ok(request.answer(&page.fill(named, body.cursor)))
}

fn refused(named: BTreeSet<String>) -> DescribeTopicPartitionsResponse {
    let topic = |name| without(name, codes::INVALID_REQUEST);
    DescribeTopicPartitionsResponse {
        topics: named.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

/// One answer as it fills.
struct Page<'a> {
    door: &'a Door,
    image: &'a Image,
    room: usize,
    answer: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    fn fill(
        mut self,
        named: BTreeSet<String>,
        cursor: Option<Cursor>,
    ) -> DescribeTopicPartitionsResponse {
        let all = named.is_empty();
        let names = match all {
            true => self.image.topics.keys().cloned().collect(),
            false => named,
        };
        let begin = cursor.as_ref().map_or("", |cursor| &cursor.topic_name);
        for name in names.into_iter().filter(|name| name.as_str() >= begin) {
            let from = match &cursor {
                Some(cursor) if cursor.topic_name == name => cursor.partition_index,
                _ => 0,
            };
            if self.room == 0 {
                self.answer.next_cursor = Some(response::Cursor {
                    topic_name: name,
                    partition_index: 0,
                });
                break;
            }
            if !self.topic(name, from as usize, all) {
                break;
            }
        }
        self.answer
    }

    /// Adds a topic; false once the page is full.
    fn topic(&mut self, name: String, from: usize, all: bool) -> bool {
        let (broker, principal) = (&self.door.broker, &self.door.principal);
        if !broker.allows(principal, Action::Describe, Resource::Topic(&name)) {
            if !all {
                let code = codes::TOPIC_AUTHORIZATION_FAILED;
                self.answer.topics.push(without(name, code));
            }
            return true;
        }
        let Some(topic) = self.image.topic(&name) else {
            let code = match names::check(&name) {
                Ok(()) => codes::UNKNOWN_TOPIC_OR_PARTITION,
                Err(_) => codes::INVALID_TOPIC_EXCEPTION,
            };
            self.answer.topics.push(without(name, code));
            return true;
        };
        let mut partitions = Vec::new();
        let rest = topic.partitions.iter().zip(0i32..).skip(from);
        for (info, index) in rest.take(self.room) {
            let told = partition(self.door, self.image, info, index);
            partitions.push(DescribeTopicPartitionsResponsePartition {
                error_code: told.error_code,
                partition_index: index,
                leader_id: told.leader_id,
                leader_epoch: told.leader_epoch,
                replica_nodes: told.replica_nodes,
                isr_nodes: told.isr_nodes,
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                offline_replicas: told.offline_replicas,
            });
        }
        self.room -= partitions.len();
        let next = from + partitions.len();
        let whole = next >= topic.partitions.len();
        if !whole {
            self.answer.next_cursor = Some(response::Cursor {
                topic_name: name.clone(),
                partition_index: i32::try_from(next).unwrap_or(i32::MAX),
            });
        }
        self.answer
            .topics
            .push(DescribeTopicPartitionsResponseTopic {
                error_code: codes::NONE,
                is_internal: INTERNAL_TOPICS.contains(&name.as_str()),
                name: Some(name),
                topic_id: topic.id,
                partitions,
                topic_authorized_operations: TOPIC_OPERATIONS,
            });
        whole
    }
}

fn without(name: String, error_code: i16) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name),
        topic_id: Uuid::ZERO,
        ..Default::default()
    }
}
