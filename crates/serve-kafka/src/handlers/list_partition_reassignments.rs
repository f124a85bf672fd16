//! ListPartitionReassignments (key 46), version 0: partitions that are on their way to other
//! replicas. Null means all; what isn't there, or isn't moving, is left out.

use super::{Api, Door, Request, Step};
use crate::hints::node_id;
use crate::refusals::codes;
use base::Now;
use broker::{Action, Resource};
use meta::{PartitionInfo, Topic};
use std::collections::BTreeMap;
use wire_kafka::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use wire_kafka::messages::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::ListPartitionReassignments,
    versions: 0..=0,
    serve,
};

fn serve(door: &Door, _: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = ListPartitionReassignmentsRequest::decode(request.version, reader)?;
    if !door
        .broker
        .allows(&door.principal, Action::Describe, Resource::Cluster)
    {
        return Ok(request.answer(&ListPartitionReassignmentsResponse {
            error_code: codes::CLUSTER_AUTHORIZATION_FAILED,
            ..Default::default()
        }));
    }
    let image = door.broker.image();
    let mut moving: BTreeMap<&str, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    match &body.topics {
        None => {
            for topic in image.topics.values() {
                for index in 0..topic.partitions.len() {
                    let ongoing = ongoing(topic, index as i32);
                    moving.entry(&topic.name).or_default().extend(ongoing);
                }
            }
        }
        Some(topics) => {
            for wanted in topics {
                let Some(topic) = image.topic(&wanted.name) else {
                    continue;
                };
                for index in &wanted.partition_indexes {
                    let ongoing = ongoing(topic, *index);
                    moving.entry(&topic.name).or_default().extend(ongoing);
                }
            }
        }
    }
    let moving = moving.into_iter().filter(|(_, parts)| !parts.is_empty());
    let topics = moving.map(|(name, partitions)| OngoingTopicReassignment {
        name: name.to_owned(),
        partitions,
    });
    Ok(request.answer(&ListPartitionReassignmentsResponse {
        topics: topics.collect(),
        ..Default::default()
    }))
}

fn ongoing(topic: &Topic, partition_index: i32) -> Option<OngoingPartitionReassignment> {
    let at = usize::try_from(partition_index).ok()?;
    let info: &PartitionInfo = topic.partitions.get(at)?;
    let (adding, removing) = info.reassigning()?;
    let ids = |nodes: &[base::NodeId]| nodes.iter().copied().map(node_id).collect();
    Some(OngoingPartitionReassignment {
        partition_index,
        replicas: ids(&info.replicas),
        adding_replicas: ids(adding),
        removing_replicas: ids(removing),
    })
}
