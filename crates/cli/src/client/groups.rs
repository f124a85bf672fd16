//! Questions and changes to groups from outside of them: what an operator does, not what a
//! member does.

use crate::client::{Cluster, Code, Deadline, Trouble};
use std::collections::BTreeMap;
use wire_kafka::Reader;
use wire_kafka::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use wire_kafka::messages::consumer_group_describe_response as modern;
use wire_kafka::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use wire_kafka::messages::delete_groups_request::DeleteGroupsRequest;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::describe_groups_request::DescribeGroupsRequest;
use wire_kafka::messages::describe_groups_response as classic;
use wire_kafka::messages::list_groups_request::ListGroupsRequest;
use wire_kafka::messages::list_groups_response::ListedGroup;
use wire_kafka::messages::metadata_response::MetadataResponseTopic;
use wire_kafka::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire_kafka::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use wire_kafka::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use wire_kafka::messages::offset_fetch_response::OffsetFetchResponse;

/// A partition of a topic.
pub type Place = (String, i32);

/// A group as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `classic` or `consumer`.
    pub kind: &'static str,
    /// Its state by Kafka's name.
    pub state: String,
    /// What assigns partitions in it.
    pub assignor: String,
    /// The node that coordinates it.
    pub coordinator: i32,
    /// The group's epoch, in groups that have one.
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its static name, if it has one.
    pub instance: Option<String>,
    /// What the client calls itself.
    pub client: String,
    /// Where it comes from.
    pub host: String,
    /// Its epoch, in groups that have one.
    pub epoch: Option<i32>,
    /// What it was given.
    pub assigned: Vec<(String, Vec<i32>)>,
    /// What it is meant to have once the others have given it up.
    pub target: Vec<(String, Vec<i32>)>,
}

impl Group {
    /// The member that has a partition.
    pub fn owner(&self, topic: &str, partition: i32) -> Option<&Member> {
        let has = |member: &&Member| {
            let mut parts = member.assigned.iter();
            parts.any(|(name, partitions)| name == topic && partitions.contains(&partition))
        };
        self.members.iter().find(has)
    }

    /// True if nobody is in it.
    pub fn is_idle(&self) -> bool {
        matches!(self.state.as_str(), "Empty" | "Dead")
    }
}

/// The topic that keeps groups.
const KEEPER: &str = "__consumer_offsets";

/// The groups of all nodes, by name. A node that is gone has none: others coordinate them
/// soon, and those that still load them are waited for.
pub fn list(cluster: &mut Cluster, deadline: Deadline) -> Result<Vec<ListedGroup>, Trouble> {
    cluster.persist(deadline, |cluster| {
        let topics = cluster.topics(None, deadline)?;
        all_led(&topics)?;
        let nodes: Vec<i32> = cluster.addresses().keys().copied().collect();
        let mut groups = BTreeMap::new();
        for node in nodes {
            let answer = match cluster.call_node(node, &ListGroupsRequest::default(), deadline) {
                Err(Trouble::Unreachable { .. }) if is_silent(cluster, node, deadline)? => continue,
                answer => answer?,
            };
            let code = Code(answer.error_code);
            if !code.is_ok() {
                let what = format!("listing the groups of node {node}");
                return Err(Trouble::refused(what, code, None));
            }
            let named = answer.groups.into_iter().map(|g| (g.group_id.clone(), g));
            groups.extend(named);
        }
        Ok(groups.into_values().collect())
    })
}

/// What keeps groups must be led: nobody knows of the groups in a partition that isn't.
fn all_led(topics: &[MetadataResponseTopic]) -> Result<(), Trouble> {
    let keeper = |topic: &&MetadataResponseTopic| topic.name.as_deref() == Some(KEEPER);
    let partitions = topics.iter().filter(keeper).flat_map(|t| &t.partitions);
    let unled = partitions
        .filter(|partition| partition.leader_id < 0)
        .count();
    if unled == 0 {
        return Ok(());
    }
    let what = format!("listing groups, {unled} partitions of {KEEPER} being without a leader,");
    Err(Trouble::refused(
        what,
        Code::COORDINATOR_NOT_AVAILABLE,
        None,
    ))
}

/// True if the others don't hear a node either: it is a broker for a while longer, and coordinates nothing.
fn is_silent(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Result<bool, Trouble> {
    let known = cluster.call_any(&DescribeClusterRequest::default(), deadline)?;
    Ok(!known.brokers.iter().any(|broker| broker.broker_id == node))
}

/// A group in full. One that isn't there is in state Dead.
pub fn describe(cluster: &mut Cluster, name: &str, deadline: Deadline) -> Result<Group, Trouble> {
    let question = ConsumerGroupDescribeRequest {
        group_ids: vec![name.to_owned()],
        include_authorized_operations: false,
    };
    let code = |a: &modern::ConsumerGroupDescribeResponse| {
        a.groups.first().map_or(Code::NONE, |g| Code(g.error_code))
    };
    let answer = cluster.call_coordinator(name, &question, code, deadline);
    // Who answered, unless that changed just now.
    let coordinator = cluster.coordinator(name, deadline)?;
    match answer {
        Ok(mut answer) => match answer.groups.pop() {
            Some(group) if group.error_code == 0 => return Ok(of_modern(group, coordinator)),
            Some(group) if Code(group.error_code) != Code::GROUP_ID_NOT_FOUND => {
                let code = Code(group.error_code);
                return Err(Trouble::refused(spoken(name), code, group.error_message));
            }
            _ => {}
        },
        // An older cluster has classic groups only.
        Err(Trouble::Missing { .. }) => {}
        Err(trouble) => return Err(trouble),
    }
    describe_classic(cluster, name, coordinator, deadline)
}

fn describe_classic(
    cluster: &mut Cluster,
    name: &str,
    coordinator: i32,
    deadline: Deadline,
) -> Result<Group, Trouble> {
    let question = DescribeGroupsRequest {
        groups: vec![name.to_owned()],
        include_authorized_operations: false,
    };
    let code = |a: &classic::DescribeGroupsResponse| {
        a.groups.first().map_or(Code::NONE, |g| Code(g.error_code))
    };
    let mut answer = cluster.call_coordinator(name, &question, code, deadline)?;
    let group = answer.groups.pop().unwrap_or_default();
    match Code(group.error_code) {
        Code::NONE => Ok(of_classic(group, coordinator)),
        Code::GROUP_ID_NOT_FOUND => Ok(Group {
            name: name.to_owned(),
            kind: "classic",
            state: "Dead".to_owned(),
            coordinator,
            ..Group::default()
        }),
        code => Err(Trouble::refused(spoken(name), code, group.error_message)),
    }
}

fn spoken(name: &str) -> String {
    format!("group {name}")
}

fn of_modern(group: modern::DescribedGroup, coordinator: i32) -> Group {
    let assigned = |a: modern::Assignment| -> Vec<(String, Vec<i32>)> {
        let parts = a.topic_partitions.into_iter();
        parts.map(|t| (t.topic_name, t.partitions)).collect()
    };
    let member = |m: modern::Member| Member {
        id: m.member_id,
        instance: m.instance_id,
        client: m.client_id,
        host: m.client_host,
        epoch: Some(m.member_epoch),
        assigned: assigned(m.assignment),
        target: assigned(m.target_assignment),
    };
    Group {
        name: group.group_id,
        kind: "consumer",
        state: group.group_state,
        assignor: group.assignor_name,
        coordinator,
        epoch: Some(group.group_epoch),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn of_classic(group: classic::DescribedGroup, coordinator: i32) -> Group {
    let member = |m: classic::DescribedGroupMember| {
        let assigned = assigned(m.member_assignment);
        Member {
            id: m.member_id,
            instance: m.group_instance_id,
            client: m.client_id,
            host: m.client_host,
            epoch: None,
            target: assigned.clone(),
            assigned,
        }
    };
    Group {
        name: group.group_id,
        kind: "classic",
        state: group.group_state,
        assignor: group.protocol_data,
        coordinator,
        epoch: None,
        members: group.members.into_iter().map(member).collect(),
    }
}

/// What the members of a classic group tell each other: a version and the assignment. Groups of
/// other kinds (Connect) have something else there, which is nothing to us.
pub(super) fn assigned(bytes: bytes::Bytes) -> Vec<(String, Vec<i32>)> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader| {
        let version = reader.i16()?.clamp(0, 3);
        ConsumerProtocolAssignment::decode(version, reader)
    };
    let assignment = read(&mut reader).unwrap_or_default();
    let parts = assignment.assigned_partitions.into_iter();
    parts.map(|p| (p.topic, p.partitions)).collect()
}

/// All offsets that a group committed.
pub fn committed(
    cluster: &mut Cluster,
    name: &str,
    deadline: Deadline,
) -> Result<BTreeMap<Place, i64>, Trouble> {
    let question = OffsetFetchRequest {
        group_id: name.to_owned(),
        groups: vec![OffsetFetchRequestGroup {
            group_id: name.to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let code = |a: &OffsetFetchResponse| {
        let newer = a.groups.first().map(|g| Code(g.error_code));
        newer.unwrap_or(Code(a.error_code))
    };
    let answer = cluster.call_coordinator(name, &question, code, deadline)?;
    match code(&answer) {
        Code::NONE | Code::GROUP_ID_NOT_FOUND => {}
        code => return Err(Trouble::refused(format!("offsets of {name}"), code, None)),
    }
    let mut offsets = BTreeMap::new();
    for topic in answer.topics {
        let of = |p: i32| (topic.name.clone(), p);
        let parts = topic.partitions.iter();
        offsets.extend(parts.map(|p| (of(p.partition_index), p.committed_offset)));
    }
    for topic in answer.groups.into_iter().flat_map(|group| group.topics) {
        let of = |p: i32| (topic.name.clone(), p);
        let parts = topic.partitions.iter();
        offsets.extend(parts.map(|p| (of(p.partition_index), p.committed_offset)));
    }
    offsets.retain(|_, offset| *offset >= 0);
    Ok(offsets)
}

/// By topic: its partitions.
fn by_topic<T: Clone>(parts: &BTreeMap<Place, T>) -> BTreeMap<&str, Vec<(i32, T)>> {
    let mut topics: BTreeMap<&str, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, partition), value) in parts {
        let of = topics.entry(topic.as_str()).or_default();
        of.push((*partition, value.clone()));
    }
    topics
}

/// Who commits: a member in its generation, or nobody in particular.
#[derive(Clone, Copy, Debug)]
pub struct As<'a> {
    /// The member; empty for nobody.
    pub member: &'a str,
    /// Its generation or epoch; -1 for nobody.
    pub generation: i32,
    /// Its static name, if it has one and its protocol asks for it.
    pub instance: Option<&'a str>,
}

impl As<'_> {
    /// Somebody outside of the group.
    pub const OPERATOR: As<'static> = As {
        member: "",
        generation: -1,
        instance: None,
    };
}

/// Commits offsets for a group. Gives the code if every partition has the same refusal.
pub fn commit(
    cluster: &mut Cluster,
    name: &str,
    who: As<'_>,
    offsets: &BTreeMap<Place, i64>,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let part = |(partition_index, committed_offset): (i32, i64)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_leader_epoch: -1,
        committed_metadata: Some(String::new()),
        ..Default::default()
    };
    let topics = by_topic(offsets).into_iter();
    let request = OffsetCommitRequest {
        group_id: name.to_owned(),
        generation_id_or_member_epoch: who.generation,
        member_id: who.member.to_owned(),
        group_instance_id: who.instance.map(str::to_owned),
        retention_time_ms: -1,
        topics: topics
            .map(|(topic, parts)| OffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: parts.into_iter().map(part).collect(),
                ..Default::default()
            })
            .collect(),
    };
    let codes = |a: &wire_kafka::messages::offset_commit_response::OffsetCommitResponse| {
        let parts = a.topics.iter().flat_map(|t| &t.partitions);
        let refused = parts.map(|p| Code(p.error_code)).find(|code| !code.is_ok());
        refused.unwrap_or(Code::NONE)
    };
    let answer = cluster.call_coordinator(name, &request, codes, deadline)?;
    match codes(&answer) {
        Code::NONE => Ok(()),
        code => {
            let what = format!("committing offsets of group {name}");
            Err(Trouble::refused(what, code, None))
        }
    }
}

/// Deletes a group.
pub fn delete(cluster: &mut Cluster, name: &str, deadline: Deadline) -> Result<(), Trouble> {
    let request = DeleteGroupsRequest {
        groups_names: vec![name.to_owned()],
    };
    let code = |a: &wire_kafka::messages::delete_groups_response::DeleteGroupsResponse| {
        a.results.first().map_or(Code::NONE, |r| Code(r.error_code))
    };
    let answer = cluster.call_coordinator(name, &request, code, deadline)?;
    match code(&answer) {
        Code::NONE => Ok(()),
        code => Err(Trouble::refused(
            format!("deleting group {name}"),
            code,
            None,
        )),
    }
}

/// Deletes offsets of a group.
pub fn delete_offsets(
    cluster: &mut Cluster,
    name: &str,
    places: &BTreeMap<Place, ()>,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let part = |(partition_index, ()): (i32, ())| OffsetDeleteRequestPartition { partition_index };
    let topics = by_topic(places).into_iter();
    let request = OffsetDeleteRequest {
        group_id: name.to_owned(),
        topics: topics
            .map(|(topic, parts)| OffsetDeleteRequestTopic {
                name: topic.to_owned(),
                partitions: parts.into_iter().map(part).collect(),
            })
            .collect(),
    };
    let code = |a: &wire_kafka::messages::offset_delete_response::OffsetDeleteResponse| {
        let parts = a.topics.iter().flat_map(|t| &t.partitions);
        let mut codes = std::iter::once(a.error_code).chain(parts.map(|p| p.error_code));
        codes.find(|code| *code != 0).map_or(Code::NONE, Code)
    };
    let answer = cluster.call_coordinator(name, &request, code, deadline)?;
    match code(&answer) {
        Code::NONE => Ok(()),
        code => {
            let what = format!("deleting offsets of group {name}");
            Err(Trouble::refused(what, code, None))
        }
    }
}
