//! The APIs of groups: what reaches the coordinator, and how its answers look in each version.

use super::super::{groups, versions};
use crate::testing::{HERE, TERM, World, decode, id_of, image_with};
use base::{GroupId, Refusal, Uuid};
use bytes::Bytes;
use group::Command;
use group::reply::{self, Reply};
use shard::Command as Sent;
use std::sync::Arc;
use wire_kafka::messages as m;
use wire_kafka::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire_kafka::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire_kafka::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire_kafka::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

/// The one partition that keeps all groups.
pub(super) const KEEPER: GroupId = GroupId(60);

pub(super) fn world() -> World {
    let world = World::new();
    world
        .broker
        .publish(Arc::new(image_with("__consumer_offsets", KEEPER.0)));
    world.broker.publish_leaders(&[(KEEPER, TERM, Some(HERE))]);
    world
}

/// Answers the next command of a group and gives it back.
fn coordinate(world: &mut World, answer: Result<Reply, Refusal>) -> Command {
    match world.answer_with(shard::Reply::Group(answer)) {
        Sent::Group { group, command, .. } => {
            assert_eq!(group, KEEPER);
            *command
        }
        other => panic!("not for a coordinator: {other:?}"),
    }
}

/// Sends a request whose command is answered like this.
pub(super) fn call<R: wire_kafka::Request>(
    version: i16,
    body: &R,
    answer: Result<Reply, Refusal>,
) -> (Command, R::Response) {
    let mut world = world();
    world.send(version, body);
    let command = coordinate(&mut world, answer);
    (command, world.answer(R::API, version))
}

fn every_version<R: wire_kafka::Request>(body: &R) {
    for version in versions(R::API).unwrap() {
        let mut world = world();
        world.send(version, body);
        while let Some((command, to)) = world.command() {
            let reply = match command {
                Sent::Groups { .. } => shard::Reply::Groups(Err(Refusal::CoordinatorLoading)),
                _ => shard::Reply::Group(Err(Refusal::NotCoordinator)),
            };
            world.reply(to, reply);
        }
        let frames = world.frames();
        assert_eq!(frames.len(), 1, "{} {version}", R::API);
        let _: (i32, R::Response) = decode(R::API, version, &frames[0]);
    }
}

#[test]
fn every_version_is_answered_in_its_own_form() {
    every_version(&JoinGroupRequest::default());
    every_version(&m::sync_group_request::SyncGroupRequest::default());
    every_version(&m::heartbeat_request::HeartbeatRequest::default());
    every_version(&LeaveGroupRequest::default());
    every_version(&OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup::default()],
        ..Default::default()
    });
    every_version(&m::list_groups_request::ListGroupsRequest::default());
    every_version(&m::describe_groups_request::DescribeGroupsRequest {
        groups: vec!["a".into(), "b".into()],
        include_authorized_operations: true,
    });
    every_version(&m::delete_groups_request::DeleteGroupsRequest {
        groups_names: vec!["a".into(), "a".into()],
    });
    every_version(&m::offset_delete_request::OffsetDeleteRequest::default());
    every_version(
        &m::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            ..Default::default()
        },
    );
    every_version(
        &m::consumer_group_describe_request::ConsumerGroupDescribeRequest {
            group_ids: vec!["a".into()],
            include_authorized_operations: false,
        },
    );
}

fn join() -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 7000,
        rebalance_timeout_ms: 9000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"meta"),
        }],
        ..Default::default()
    }
}

#[test]
fn a_join_tells_who_comes_and_what_its_version_can() {
    for version in 0..=9 {
        let refused = Reply::JoinGroup(reply::Join {
            member: "m-1".into(),
            outcome: Err(Refusal::MemberIdRequired),
        });
        let (command, answer) = call(version, &join(), Ok(refused));
        let Command::JoinGroup(join) = command else {
            panic!("not a join")
        };
        assert_eq!(
            (join.client.id.as_str(), join.client.host.as_str()),
            ("test", "/test")
        );
        let rebalance = if version == 0 { 7000 } else { 9000 };
        assert_eq!(join.rebalance_timeout_ms, rebalance);
        let can = (join.requires_known_id, join.can_skip_assignment);
        assert_eq!(can, (version >= 4, version >= 9));
        let told = (
            answer.error_code,
            answer.member_id.as_str(),
            answer.generation_id,
        );
        assert_eq!(told, (79, "m-1", -1));
        let protocol = (version < 7).then_some("");
        assert_eq!(answer.protocol_name.as_deref(), protocol);
    }
}

#[test]
fn a_leader_is_told_of_all_members() {
    let member = |name: &str| reply::JoinedMember {
        member: name.into(),
        instance: Some("i".into()),
        metadata: Bytes::from_static(b"meta"),
    };
    let joined = reply::Joined {
        generation: 3,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: "a".into(),
        skip_assignment: true,
        members: vec![member("a"), member("b")],
    };
    let ok = Reply::JoinGroup(reply::Join {
        member: "a".into(),
        outcome: Ok(joined),
    });
    let (_, answer) = call(9, &join(), Ok(ok));
    let told = (
        answer.error_code,
        answer.generation_id,
        answer.leader.as_str(),
    );
    assert_eq!(told, (0, 3, "a"));
    assert!(answer.skip_assignment && answer.members.len() == 2);
    assert_eq!(answer.members[1].group_instance_id.as_deref(), Some("i"));
}

#[test]
fn a_sync_names_its_protocol_where_its_version_has_to() {
    let request = m::sync_group_request::SyncGroupRequest {
        group_id: "g".into(),
        ..Default::default()
    };
    assert_eq!(world().ask(5, &request).error_code, 23);
    let synced = reply::Synced {
        protocol_type: None,
        protocol: None,
        assignment: Bytes::from_static(b"mine"),
    };
    let (_, answer) = call(4, &request, Ok(Reply::SyncGroup(Ok(synced))));
    assert_eq!(
        (answer.error_code, &answer.assignment[..]),
        (0, &b"mine"[..])
    );
}

#[test]
fn heartbeats_go_through_while_a_coordinator_loads() {
    let request = m::heartbeat_request::HeartbeatRequest::default();
    let rows = [
        (Ok(Reply::Heartbeat(Ok(()))), 0),
        (Ok(Reply::Heartbeat(Err(Refusal::RebalanceInProgress))), 27),
        (Err(Refusal::CoordinatorLoading), 0),
        (Err(Refusal::NotCoordinator), 16),
        (Err(Refusal::Timeout), 15),
        (Err(Refusal::Denied), 30),
    ];
    for (answer, code) in rows {
        assert_eq!(call(4, &request, answer).1.error_code, code);
    }
}

#[test]
fn old_versions_of_a_leave_have_the_code_of_the_one_member() {
    let left = |outcome| reply::Left {
        member: "m".into(),
        instance: None,
        outcome,
    };
    let unknown = || Err(Refusal::UnknownMember("who".into()));
    let request = LeaveGroupRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        members: vec![MemberIdentity::default(); 2],
    };
    let (command, answer) = call(
        2,
        &request,
        Ok(Reply::LeaveGroup(Ok(vec![left(unknown())]))),
    );
    let Command::LeaveGroup(leave) = command else {
        panic!("not a leave")
    };
    assert_eq!((leave.members.len(), answer.error_code), (1, 25));
    let both = Ok(Reply::LeaveGroup(Ok(vec![left(Ok(())), left(unknown())])));
    let (_, answer) = call(3, &request, both);
    let codes: Vec<i16> = answer.members.iter().map(|m| m.error_code).collect();
    assert_eq!((answer.error_code, codes), (0, vec![0, 25]));
}

fn commit(name: &str, topic_id: Uuid, partitions: &[i32]) -> OffsetCommitRequestTopic {
    let partition = |index: &i32| OffsetCommitRequestPartition {
        partition_index: *index,
        committed_offset: 40,
        ..Default::default()
    };
    OffsetCommitRequestTopic {
        name: name.into(),
        topic_id,
        partitions: partitions.iter().map(partition).collect(),
    }
}

#[test]
fn commits_of_what_is_not_there_never_reach_the_coordinator() {
    let request = |topics| OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 4,
        member_id: "m".into(),
        retention_time_ms: 1000,
        topics,
        ..Default::default()
    };
    let named = request(vec![
        commit("nope", Uuid::ZERO, &[0]),
        commit("orders", Uuid::ZERO, &[0, 9, 1]),
    ]);
    for version in 0..=9 {
        let done = reply::CommittedTopic {
            name: "orders".into(),
            id: id_of("orders"),
            partitions: vec![(0, Ok(())), (1, Err(Refusal::OffsetMetadataTooLarge))],
        };
        let answer = Ok(Reply::OffsetCommit(Ok(vec![done])));
        let (command, answer) = call(version, &named, answer);
        let Command::OffsetCommit(sent) = command else {
            panic!("not a commit")
        };
        assert_eq!(sent.topics.len(), 1);
        assert_eq!(sent.topics[0].id, id_of("orders"));
        let who = (sent.generation_or_epoch, sent.member.as_str());
        assert_eq!(who, if version == 0 { (-1, "") } else { (4, "m") });
        let retention = (2..=4).contains(&version).then_some(1000);
        assert_eq!(
            (sent.retention_ms, sent.knows_epochs),
            (retention, version >= 9)
        );
        let codes: Vec<Vec<i16>> = answer
            .topics
            .iter()
            .map(|t| t.partitions.iter().map(|p| p.error_code).collect())
            .collect();
        assert_eq!(codes, [vec![3], vec![0, 3, 12]]);
    }
    let by_id = request(vec![commit("", Uuid([9; 16]), &[0])]);
    let answer = world().ask(10, &by_id);
    assert_eq!(answer.topics[0].partitions[0].error_code, 100);
    let (_, answer) = call(9, &named, Err(Refusal::NotCoordinator));
    assert_eq!(answer.topics[1].partitions[0].error_code, 16);
}

fn fetched(name: &str, offset: Option<i64>) -> reply::FetchedTopic {
    let fetched = |offset| reply::Fetched {
        offset,
        leader_epoch: 2,
        metadata: "note".into(),
    };
    reply::FetchedTopic {
        name: name.into(),
        id: Uuid::ZERO,
        partitions: vec![reply::FetchedPartition {
            partition: 0,
            offset: Ok(offset.map(fetched)),
        }],
    }
}

#[test]
fn offsets_of_one_group_are_told_in_the_old_form() {
    let topic = |name: &str| OffsetFetchRequestTopic {
        name: name.into(),
        partition_indexes: vec![0],
    };
    let request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![topic("orders"), topic("gone")]),
        ..Default::default()
    };
    for version in 0..=7 {
        let found = vec![fetched("orders", Some(5)), fetched("gone", None)];
        let (_, answer) = call(version, &request, Ok(Reply::OffsetFetch(Ok(found))));
        let told: Vec<_> = answer
            .topics
            .iter()
            .map(|t| {
                let p = &t.partitions[0];
                (p.committed_offset, p.metadata.as_deref(), p.error_code)
            })
            .collect();
        let missing = if version == 0 { 3 } else { 0 };
        assert_eq!(told, [(5, Some("note"), 0), (-1, Some(""), missing)]);
        let (_, answer) = call(version, &request, Err(Refusal::NotCoordinator));
        if version >= 2 {
            assert_eq!((answer.error_code, answer.topics.len()), (16, 0));
        } else {
            assert_eq!(answer.topics[1].partitions[0].error_code, 16);
        }
    }
}

#[test]
fn several_groups_are_asked_one_after_the_other() {
    let group = |name: &str, topics| OffsetFetchRequestGroup {
        group_id: name.into(),
        topics,
        ..Default::default()
    };
    let topic = |id| OffsetFetchRequestTopics {
        topic_id: id,
        partition_indexes: vec![0],
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![
            group(
                "a",
                Some(vec![topic(Uuid([9; 16])), topic(id_of("orders"))]),
            ),
            group("b", None),
            group("c", None),
        ],
        ..Default::default()
    };
    let mut world = world();
    world.send(10, &request);
    let first = coordinate(
        &mut world,
        Ok(Reply::OffsetFetch(Ok(vec![fetched("orders", Some(5))]))),
    );
    let Command::OffsetFetch(first) = first else {
        panic!("not a fetch")
    };
    let asked: Vec<_> = first
        .topics
        .iter()
        .flatten()
        .map(|t| t.name.to_string())
        .collect();
    assert_eq!(
        (first.group.as_str(), asked),
        ("a", vec!["orders".to_owned()])
    );
    // A topic that is gone can't be told by id.
    let all = vec![fetched("orders", Some(6)), fetched("gone", Some(7))];
    coordinate(&mut world, Ok(Reply::OffsetFetch(Ok(all))));
    coordinate(&mut world, Err(Refusal::CoordinatorLoading));
    let answer: m::offset_fetch_response::OffsetFetchResponse =
        world.answer(wire_kafka::ApiKey::OffsetFetch, 10);
    let [a, b, c] = answer.groups.as_slice() else {
        panic!("one part per group")
    };
    assert_eq!(a.topics[0].partitions[0].error_code, 100);
    assert_eq!(a.topics[1].partitions[0].committed_offset, 5);
    assert_eq!((b.topics.len(), b.topics[0].topic_id), (1, id_of("orders")));
    assert_eq!((c.error_code, c.topics.len()), (14, 0));
}

#[test]
fn a_classic_group_that_is_not_there_is_dead_or_not_found() {
    let request = m::describe_groups_request::DescribeGroupsRequest {
        groups: vec!["g".into()],
        include_authorized_operations: true,
    };
    let missing = || {
        let why = Refusal::GroupIdNotFound("Group g not found.".into());
        Ok(Reply::DescribeGroups(vec![("g".into(), Err(why))]))
    };
    for version in 0..=6 {
        let (_, answer) = call(version, &request, missing());
        let group = &answer.groups[0];
        assert_eq!(
            (group.group_id.as_str(), group.group_state.as_str()),
            ("g", "Dead")
        );
        let code = if version >= 6 { 69 } else { 0 };
        assert_eq!(group.error_code, code);
        let message = (version >= 6).then_some("Group g not found.");
        assert_eq!(group.error_message.as_deref(), message);
        let operations = (3..6)
            .contains(&version)
            .then_some(groups::GROUP_OPERATIONS);
        assert_eq!(group.authorized_operations, operations.unwrap_or(i32::MIN));
    }
}

#[test]
fn no_consumer_group_has_the_empty_name() {
    let request = m::consumer_group_describe_request::ConsumerGroupDescribeRequest {
        group_ids: vec![String::new()],
        include_authorized_operations: true,
    };
    let why = Refusal::GroupIdNotFound("Group  not found.".into());
    let parts = vec![(String::new(), Err(why))];
    let (_, answer) = call(1, &request, Ok(Reply::ConsumerDescribe(parts)));
    let group = &answer.groups[0];
    assert_eq!((group.error_code, &group.error_message), (24, &None));
}

#[test]
fn a_member_of_the_new_protocol_brings_its_id() {
    let mut request = m::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        ..Default::default()
    };
    assert_eq!(world().ask(1, &request).error_code, 42);
    request.member_id = "m".into();
    let beat = reply::ConsumerBeat {
        member: "m".into(),
        epoch: 4,
        heartbeat_interval_ms: 5000,
        assignment: None,
    };
    let (_, answer) = call(1, &request, Ok(Reply::ConsumerHeartbeat(Ok(beat))));
    let told = (answer.member_epoch, answer.heartbeat_interval_ms);
    assert_eq!((told, answer.assignment.is_none()), ((4, 5000), true));
    let fenced = Refusal::FencedMemberEpoch("too new".into());
    let (_, answer) = call(1, &request, Ok(Reply::ConsumerHeartbeat(Err(fenced))));
    let told = (answer.error_code, answer.error_message.as_deref());
    assert_eq!((told, answer.member_id), ((110, Some("too new")), None));
}

#[test]
fn hosts_are_written_as_kafka_writes_them() {
    for (peer, host) in [
        ("127.0.0.1:4711", "/127.0.0.1"),
        ("[::1]:4711", "/0:0:0:0:0:0:0:1"),
        ("[::ffff:10.0.0.7]:1", "/10.0.0.7"),
        ("pipe 3", "/pipe 3"),
    ] {
        assert_eq!(groups::host(peer), host);
    }
}

#[test]
fn a_join_that_waits_keeps_its_share_of_memory_only_until_its_bytes_are_copied() {
    let mut world = world();
    let metadata = Bytes::from(vec![7; 1_000_000]);
    let protocol = JoinGroupRequestProtocol {
        name: "range".to_owned(),
        metadata: metadata.clone(),
    };
    let request = JoinGroupRequest {
        group_id: "readers".to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    world.send(3, &request);
    let (command, to) = world.command().unwrap();
    assert!(world.broker.budget().used() > 900_000);
    let Sent::Group { command, .. } = command else {
        panic!("not for a coordinator")
    };
    let Command::JoinGroup(join) = *command else {
        panic!("not a join")
    };
    assert_eq!(join.protocols[0].metadata, metadata);
    drop(join);
    assert_eq!(world.broker.budget().used(), 0);
    assert!(to.is_some() && world.frames().is_empty(), "it still waits");
}
