//! DescribeQuorum (key 55), versions 0 to 2: how the group that keeps the metadata stands. Its
//! entries are counted as Kafka counts offsets: the end is one past the last.
//!
//! 0: leader, epoch, high watermark, how far voters and observers are. 1: when they were last
//! heard. 2: directories, and where nodes are reached; messages.

use super::{Api, Door, Request, Step};
use crate::hints::node_id;
use crate::refusals::{self, codes};
use base::{Now, RaftIndex, Refusal};
use meta::{Quorum, QuorumMember};
use std::collections::BTreeSet;
use std::time::Duration;
use wire_kafka::messages::describe_quorum_request::DescribeQuorumRequest;
use wire_kafka::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::DescribeQuorum,
    versions: 0..=2,
    serve,
};

/// The name of the metadata's topic in Kafka.
const METADATA: &str = "__cluster_metadata";
/// How long the controller may take; the request doesn't say.
const PATIENCE: Duration = Duration::from_secs(10);
/// A time that isn't known.
const NO_TIME: i64 = -1;

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let body = DescribeQuorumRequest::decode(request.version, reader)?;
    let asked: Vec<(&str, i32)> = body
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (&*t.topic_name, p.partition_index))
        })
        .collect();
    if asked != [(METADATA, 0)] {
        return Ok(request.answer(&elsewhere(&body)));
    }
    let to = request.reply_to(door);
    door.broker
        .describe_quorum(now, &door.principal, PATIENCE, to);
    Ok(Step::Wait(super::Waiting::DescribeQuorum(request)))
}

/// Only the metadata has a quorum that is told of.
fn elsewhere(body: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| PartitionData {
            partition_index: partition.partition_index,
            error_code: codes::UNKNOWN_TOPIC_OR_PARTITION,
            ..Default::default()
        });
        TopicData {
            topic_name: topic.topic_name.clone(),
            partitions: partitions.collect(),
        }
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

/// Answers with what the controller says.
pub(crate) fn finish(door: &Door, request: Request, reply: Result<meta::Reply, Refusal>) -> Step {
    let quorum = match reply {
        Ok(meta::Reply::Quorum(quorum)) => quorum,
        Ok(_) => return super::other_question(),
        Err(why) => {
            return request.answer(&DescribeQuorumResponse {
                error_code: refusals::code(&why),
                error_message: refusals::message(&why),
                ..Default::default()
            });
        }
    };
    let partition = PartitionData {
        leader_id: node_id(quorum.leader),
        leader_epoch: quorum.term.epoch(),
        high_watermark: end(quorum.committed),
        current_voters: quorum.voters.iter().map(voter).collect(),
        observers: observers(door, &quorum),
        ..Default::default()
    };
    request.answer(&DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: METADATA.to_owned(),
            partitions: vec![partition],
        }],
        nodes: nodes(door, &quorum),
        ..Default::default()
    })
}

fn end(index: RaftIndex) -> i64 {
    i64::try_from(index.0.saturating_add(1)).unwrap_or(i64::MAX)
}

fn voter(member: &QuorumMember) -> ReplicaState {
    ReplicaState {
        replica_id: node_id(member.node),
        log_end_offset: end(member.matched),
        last_fetch_timestamp: member.heard.map_or(NO_TIME, |at| at.0),
        last_caught_up_timestamp: member.caught_up.map_or(NO_TIME, |at| at.0),
        ..Default::default()
    }
}

/// Nodes that are there and don't vote, also those that were taken in and haven't registered yet.
fn observers(door: &Door, quorum: &Quorum) -> Vec<ReplicaState> {
    let image = door.broker.image();
    let votes = |node: &&base::NodeId| quorum.voters.iter().any(|v| v.node == **node);
    let there: BTreeSet<base::NodeId> = image
        .nodes
        .keys()
        .chain(image.homes.keys())
        .copied()
        .collect();
    let others = there.iter().filter(|node| !votes(node));
    let state = |node: &base::NodeId| ReplicaState {
        replica_id: node_id(*node),
        log_end_offset: NO_TIME,
        last_fetch_timestamp: NO_TIME,
        last_caught_up_timestamp: NO_TIME,
        ..Default::default()
    };
    others.map(state).collect()
}

fn nodes(door: &Door, quorum: &Quorum) -> Vec<Node> {
    let image = door.broker.image();
    let voters = quorum.voters.iter();
    let told = voters.filter_map(|voter| {
        let endpoints = image.nodes.get(&voter.node)?.endpoints.iter();
        let listeners = endpoints.map(|at| Listener {
            name: at.listener.clone(),
            host: at.host.clone(),
            port: at.port,
        });
        Some(Node {
            node_id: node_id(voter.node),
            listeners: listeners.collect(),
        })
    });
    told.collect()
}
