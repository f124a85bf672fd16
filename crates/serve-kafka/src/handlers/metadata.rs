//! Metadata (key 3), versions 0 to 13.
//!
//! 0: nodes, topics, partitions; an empty list means all topics. 1: the controller, racks; null
//! means all topics. 2: the cluster's id. 3: the throttle time. 4: whether topics may be made on
//! the way. 5: offline replicas. 6: nothing new. 7: leader epochs. 8: what the asker may do. 9:
//! flexible. 10: topic ids in answers. 11: the cluster's operations are DescribeCluster's now.
//! 12: topics by id. 13: a code for the whole answer.
//!
//! A topic that is made on the way is waited for, so that the first answer has its partitions.

use super::describe_cluster::CLUSTER_OPERATIONS;
use super::{Api, Door, Request, Step};
use crate::hints::node_id;
use crate::refusals::{self, codes};
use crate::settle::Settling;
use base::{NodeId, Now, Refusal, Uuid};
use broker::{Action, Resource};
use meta::{Image, PartitionInfo, Topic, names};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire_kafka::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire_kafka::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire_kafka::{ApiKey, Reader, WireError};

pub(crate) const API: Api = Api {
    key: ApiKey::Metadata,
    versions: 0..=13,
    serve,
};

/// How long the answer waits for topics that are being made.
const CREATION_WAIT: Duration = Duration::from_secs(5);
/// The first version that may name topics by id.
const BY_ID: i16 = 12;
/// What everybody may do to a topic while there are no rules: read, write, create, delete, alter,
/// describe, describe and alter its configuration.
pub(crate) const TOPIC_OPERATIONS: i32 = 0x0df8;
/// Topics that belong to coordinators: clients don't list them by default, and nobody makes them
/// by asking for them.
pub(crate) const INTERNAL_TOPICS: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// The question, kept while topics are being made.
pub(crate) struct Waiting {
    request: Request,
    body: MetadataRequest,
    /// Topics that are being made, in the order of the reply.
    making: Vec<String>,
}

fn serve(door: &Door, now: Now, request: Request, reader: &mut Reader) -> Result<Step, WireError> {
    let mut body = MetadataRequest::decode(request.version, reader)?;
    if request.version == 0 && body.topics.as_ref().is_some_and(Vec::is_empty) {
        body.topics = None;
    }
    let making = missing(door, &body, request.version);
    if making.is_empty() {
        return Ok(answer(door, request, &body, &BTreeMap::new()));
    }
    let (names, to) = (making.clone(), request.reply_to(door));
    door.broker
        .auto_create_topics(now, &door.principal, names, CREATION_WAIT, to);
    Ok(Step::Wait(super::Waiting::Metadata(Waiting {
        request,
        body,
        making,
    })))
}

/// Topics that are asked for, don't exist and may be made.
fn missing(door: &Door, body: &MetadataRequest, version: i16) -> Vec<String> {
    if !body.allow_auto_topic_creation || !door.broker.settings().auto_create_topics {
        return Vec::new();
    }
    let image = door.broker.image();
    let mut seen = BTreeSet::new();
    let named = body.topics.iter().flatten().filter(|topic| {
        (version < BY_ID || topic.topic_id == Uuid::ZERO)
            && topic.name.as_deref().is_some_and(|name| {
                names::check(name).is_ok()
                    && !INTERNAL_TOPICS.contains(&name)
                    && image.topic(name).is_none()
                    && seen.insert(name)
            })
    });
    named.filter_map(|topic| topic.name.clone()).collect()
}

impl Waiting {
    /// Answers with what is known now, and why a topic was not made.
    pub(crate) fn finish(self, door: &Door, reply: Result<meta::Reply, Refusal>) -> Step {
        let Waiting {
            request,
            body,
            making,
        } = self;
        let refused: BTreeMap<String, i16> = match &reply {
            Ok(meta::Reply::TopicsCreated(made)) => {
                let names = making.iter().cloned().zip(made);
                names
                    .filter_map(|(name, made)| Some((name, code(made.as_ref().err()?))))
                    .collect()
            }
            Ok(_) => BTreeMap::new(),
            Err(why) => making
                .iter()
                .map(|name| (name.clone(), code(why)))
                .collect(),
        };
        if refused.len() == making.len() {
            return answer(door, request, &body, &refused);
        }
        Settling::step(door, making, move |door| {
            answer(door, request, &body, &refused)
        })
    }
}

/// Why a topic could not be made: what passes by itself is told as a leader that isn't there yet,
/// which every client waits for.
fn code(why: &Refusal) -> i16 {
    match why {
        Refusal::Timeout
        | Refusal::Busy(_)
        | Refusal::NoController
        | Refusal::Storage(_)
        | Refusal::TopicExists(_) => codes::LEADER_NOT_AVAILABLE,
        _ => refusals::code(why),
    }
}

fn answer(
    door: &Door,
    request: Request,
    body: &MetadataRequest,
    refused: &BTreeMap<String, i16>,
) -> Step {
    let image = door.broker.image();
    let view = View {
        door,
        image: &image,
        operations: body.include_topic_authorized_operations,
    };
    let topics = match &body.topics {
        None => view.all(),
        Some(asked) => view.some(asked, request.version, refused),
    };
    let brokers = image
        .nodes
        .iter()
        .filter(|(node, _)| door.broker.shows(**node, door.now.mono))
        .filter_map(|(node, info)| {
            let at = info.at(&door.listener)?;
            Some(MetadataResponseBroker {
                node_id: node_id(*node),
                host: at.host.clone(),
                port: i32::from(at.port),
                rack: info.rack.clone(),
            })
        });
    let operations = body
        .include_cluster_authorized_operations
        .then_some(CLUSTER_OPERATIONS);
    request.answer(&MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(door.broker.cluster_id().to_string()),
        controller_id: node_id(door.broker.controller().unwrap_or(door.broker.node())),
        topics,
        cluster_authorized_operations: operations.unwrap_or(i32::MIN),
        ..Default::default()
    })
}

/// The metadata as one asker sees it.
struct View<'a> {
    door: &'a Door,
    image: &'a Image,
    operations: bool,
}

impl View<'_> {
    fn may_see(&self, name: &str) -> bool {
        self.door.broker.allows(
            &self.door.principal,
            Action::Describe,
            Resource::Topic(name),
        )
    }

    fn all(&self) -> Vec<MetadataResponseTopic> {
        let topics = self
            .image
            .topics
            .values()
            .filter(|topic| self.may_see(&topic.name));
        topics.map(|topic| self.topic(topic)).collect()
    }

    fn some(
        &self,
        asked: &[MetadataRequestTopic],
        version: i16,
        refused: &BTreeMap<String, i16>,
    ) -> Vec<MetadataResponseTopic> {
        let mut seen = BTreeSet::new();
        let mut topics = Vec::with_capacity(asked.len());
        for topic in asked {
            let answer = match (&topic.name, topic.topic_id) {
                (name, id) if id != Uuid::ZERO && version < BY_ID => {
                    without(name.clone(), id, codes::INVALID_REQUEST)
                }
                (_, id) if id != Uuid::ZERO => self.by_id(id),
                (Some(name), _) => self.by_name(name, refused),
                (None, id) => {
                    let unknown = version >= BY_ID;
                    let code = if unknown {
                        codes::UNKNOWN_TOPIC_ID
                    } else {
                        codes::INVALID_REQUEST
                    };
                    without((!unknown).then(String::new), id, code)
                }
            };
            if seen.insert((answer.name.clone(), answer.topic_id)) {
                topics.push(answer);
            }
        }
        topics
    }

    fn by_id(&self, id: Uuid) -> MetadataResponseTopic {
        match self.image.topic_by_id(&id) {
            None => without(None, id, codes::UNKNOWN_TOPIC_ID),
            Some(topic) if self.may_see(&topic.name) => self.topic(topic),
            Some(_) => without(None, id, codes::TOPIC_AUTHORIZATION_FAILED),
        }
    }

    fn by_name(&self, name: &str, refused: &BTreeMap<String, i16>) -> MetadataResponseTopic {
        let code = match self.image.topic(name) {
            _ if !self.may_see(name) => codes::TOPIC_AUTHORIZATION_FAILED,
            Some(topic) => return self.topic(topic),
            None if names::check(name).is_err() => codes::INVALID_TOPIC_EXCEPTION,
            None => refused
                .get(name)
                .copied()
                .unwrap_or(codes::UNKNOWN_TOPIC_OR_PARTITION),
        };
        let visible = code != codes::TOPIC_AUTHORIZATION_FAILED;
        MetadataResponseTopic {
            is_internal: INTERNAL_TOPICS.contains(&name),
            topic_authorized_operations: self.operations(visible),
            ..without(Some(name.to_owned()), Uuid::ZERO, code)
        }
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = topic.partitions.iter().zip(0..);
        MetadataResponseTopic {
            error_code: codes::NONE,
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: INTERNAL_TOPICS.contains(&topic.name.as_str()),
            partitions: partitions
                .map(|(info, index)| self.partition(info, index))
                .collect(),
            topic_authorized_operations: self.operations(true),
        }
    }

    /// What the asker may do to a topic, whether it exists or not, if that was asked.
    fn operations(&self, visible: bool) -> i32 {
        match self.operations && visible {
            true => TOPIC_OPERATIONS,
            false => i32::MIN,
        }
    }

    fn partition(&self, info: &PartitionInfo, index: i32) -> MetadataResponsePartition {
        partition(self.door, self.image, info, index)
    }
}

/// A partition. A leader that is silent, or isn't registered, or not with the client's listener, can't be
/// reached, so it is told as none.
pub(crate) fn partition(
    door: &Door,
    image: &Image,
    info: &PartitionInfo,
    partition_index: i32,
) -> MetadataResponsePartition {
    let broker = &door.broker;
    let reaches = |node: &NodeId| {
        let info = image.nodes.get(node);
        info.is_some_and(|info| info.at(&door.listener).is_some()) && broker.hears(*node)
    };
    let leader = broker.leader(info.group).filter(|(n, _)| reaches(n));
    let replicas = info.replicas.iter().copied();
    let silent = replicas.clone().filter(|node| !broker.hears(*node));
    // One that comes has everything when it is there.
    let adding = info.reassigning().map_or(&[][..], |(adding, _)| adding);
    let in_sync = broker.in_sync(info.group, &info.replicas).into_iter();
    let in_sync = in_sync.filter(|node| !adding.contains(node));
    let epoch = broker
        .leader_epoch(info.group)
        .map_or(-1, |term| term.epoch());
    MetadataResponsePartition {
        error_code: if leader.is_some() {
            codes::NONE
        } else {
            codes::LEADER_NOT_AVAILABLE
        },
        partition_index,
        leader_id: leader.map_or(-1, |(node, _)| node_id(node)),
        leader_epoch: leader.map_or(epoch, |(_, term)| term.epoch()),
        isr_nodes: in_sync.map(node_id).collect(),
        replica_nodes: replicas.map(node_id).collect(),
        offline_replicas: silent.map(node_id).collect(),
    }
}

fn without(name: Option<String>, topic_id: Uuid, error_code: i16) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code,
        name,
        topic_id,
        ..Default::default()
    }
}
