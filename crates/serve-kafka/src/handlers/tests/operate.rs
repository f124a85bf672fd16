//! What operators ask: configurations, partitions, leaders, directories.

use crate::refusals::codes;
use crate::testing::{HERE, TERM, World};
use base::{GroupId, NodeId, Offset, ProducerId, RaftIndex, Refusal, Term, WallMs};
use meta::{Edit, ResourceKind};
use shard::{Command, ProducerStatus, ReplicaStatus, Reply};
use wire_kafka::ApiKey;
use wire_kafka::messages::alter_configs_request as replacing;
use wire_kafka::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use wire_kafka::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire_kafka::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use wire_kafka::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use wire_kafka::messages::describe_topic_partitions_request as pages;
use wire_kafka::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use wire_kafka::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire_kafka::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

fn each(parts: Vec<Result<(), Refusal>>) -> Reply {
    Reply::Meta(Ok(meta::Reply::Each(parts)))
}

fn key(name: &str, config_operation: i8, value: Option<&str>) -> AlterableConfig {
    AlterableConfig {
        name: name.to_owned(),
        config_operation,
        value: value.map(str::to_owned),
    }
}

fn resource(kind: i8, name: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs,
    }
}

#[test]
fn keys_are_changed_one_by_one_and_what_is_wrong_is_refused_in_its_place() {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![
            resource(
                2,
                "orders",
                vec![
                    key("retention.ms", 0, Some("5")),
                    key("segment.bytes", 1, None),
                    key("cleanup.policy", 2, Some("compact")),
                ],
            ),
            resource(99, "x", vec![]),
            resource(2, "", vec![]),
            resource(2, "twice", vec![key("a", 0, Some("1")), key("a", 1, None)]),
            resource(2, "null", vec![key("a", 0, None)]),
            resource(4, "1", vec![key("num.partitions", 0, Some("3"))]),
            resource(2, "gone", vec![]),
        ],
        validate_only: false,
    };
    for version in 0..=1 {
        let reply = each(vec![Ok(()), Err(Refusal::UnknownTopic)]);
        let (command, answer) = World::new().call(version, &request, reply);
        let Command::Meta { command, .. } = command else {
            panic!("{command:?}");
        };
        let meta::Command::AlterConfigs { changes, .. } = command else {
            panic!("{command:?}");
        };
        assert_eq!(changes.len(), 2, "the rest never left this node");
        assert_eq!(changes[0].resource.kind, ResourceKind::Topic);
        assert!(!changes[0].replace);
        let edits: Vec<_> = changes[0].edits.iter().map(|(_, edit)| edit).collect();
        let set = Edit::Set("5".to_owned());
        let append = Edit::Append("compact".to_owned());
        assert_eq!(edits, [&set, &Edit::Delete, &append]);
        let told: Vec<(i16, &str)> = answer
            .responses
            .iter()
            .map(|r| (r.error_code, r.error_message.as_deref().unwrap_or("")))
            .collect();
        let expected = [
            (0, ""),
            (42, "Unsupported resource type 99"),
            (42, "Default topic resources are not allowed."),
            (42, "Error due to duplicate config keys"),
            (42, "Null value not supported for : a"),
            (
                42,
                "Cannot update these configs dynamically: [num.partitions]",
            ),
            (3, "The topic 'gone' does not exist."),
        ];
        assert_eq!(told, expected);
    }
}

#[test]
fn a_whole_configuration_is_replaced() {
    let request = replacing::AlterConfigsRequest {
        resources: vec![replacing::AlterConfigsResource {
            resource_type: 2,
            resource_name: "orders".to_owned(),
            configs: vec![replacing::AlterableConfig {
                name: "retention.ms".to_owned(),
                value: Some("5".to_owned()),
            }],
        }],
        validate_only: true,
    };
    for version in 0..=2 {
        let (command, answer) = World::new().call(version, &request, each(vec![Ok(())]));
        assert_eq!(answer.responses[0].error_code, 0);
        match command {
            Command::Meta {
                command:
                    meta::Command::AlterConfigs {
                        changes,
                        validate_only: true,
                    },
                ..
            } => assert!(changes[0].replace),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn topics_grow_by_hand_or_not() {
    let topic = |name: &str, assignments| CreatePartitionsTopic {
        name: name.to_owned(),
        count: 5,
        assignments,
    };
    let by_hand = |nodes: &[i32]| {
        let broker_ids = nodes.to_vec();
        Some(vec![CreatePartitionsAssignment { broker_ids }])
    };
    let request = CreatePartitionsRequest {
        topics: vec![
            topic("orders", None),
            topic("far", by_hand(&[2, 1])),
            topic("far", by_hand(&[-1])),
        ],
        timeout_ms: 1000,
        validate_only: false,
    };
    let why = Refusal::InvalidPartitions("Topic already has 5 partition(s).".to_owned());
    let reply = each(vec![Err(why), Ok(())]);
    let (command, answer) = World::new().call(3, &request, reply);
    let Command::Meta {
        command: meta::Command::AddPartitions { topics, .. },
        ..
    } = command
    else {
        panic!("{command:?}");
    };
    assert_eq!(topics[1].assignment, Some(vec![vec![NodeId(2), NodeId(1)]]));
    let codes: Vec<i16> = answer.results.iter().map(|r| r.error_code).collect();
    assert_eq!(codes, [37, 0, 39]);
}

#[test]
fn partitions_are_described_page_by_page() {
    let mut world = World::new();
    let mut request = pages::DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..Default::default()
    };
    let mut seen = Vec::new();
    loop {
        let answer = world.ask(0, &request);
        for topic in &answer.topics {
            for partition in &topic.partitions {
                seen.push((topic.name.clone().unwrap(), partition.partition_index));
            }
        }
        let told: usize = answer.topics.iter().map(|t| t.partitions.len()).sum();
        assert!(told <= 2, "a page keeps to its limit");
        let Some(next) = answer.next_cursor else {
            break;
        };
        request.cursor = Some(pages::Cursor {
            topic_name: next.topic_name,
            partition_index: next.partition_index,
        });
    }
    let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "far", "keyed", "moved", "orders", "orders", "orders", "small",
    ];
    assert_eq!(names, expected);
    request.cursor = None;
    request.topics = vec![pages::TopicRequest { name: "no".into() }];
    let answer = world.ask(0, &request);
    assert_eq!(answer.topics[0].error_code, 3);
    request.cursor = Some(pages::Cursor {
        topic_name: "no".into(),
        partition_index: -1,
    });
    assert_eq!(world.ask(0, &request).topics[0].error_code, 42);
}

#[test]
fn directories_tell_the_bytes_of_this_nodes_replicas() {
    let status = |group: u64, log_bytes: u64| ReplicaStatus {
        group: GroupId(group),
        member: base::Member::founder(NodeId(1)),
        leader: Some((HERE, TERM)),
        in_sync: vec![HERE],
        end_offset: Offset(9),
        high_watermark: Offset(9),
        start_offset: Offset(0),
        log_bytes,
        last_index: RaftIndex(9),
        suspect: Default::default(),
    };
    for version in 0..=5 {
        let mut world = World::new();
        world.broker.publish_room(1000, 600);
        let reply = Reply::Replicas(vec![status(1, 100), status(2, 50), status(4, 7)]);
        let request = DescribeLogDirsRequest { topics: None };
        let (command, answer) = world.call(version, &request, reply);
        let Command::Replicas { groups } = command else {
            panic!("{command:?}");
        };
        assert!(!groups.contains(&GroupId(9)), "its replica is elsewhere");
        let dir = &answer.results[0];
        let sizes: Vec<i64> = dir
            .topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| p.partition_size))
            .collect();
        assert_eq!(sizes, [7, 100, 50]);
        if version >= 4 {
            assert_eq!((dir.total_bytes, dir.usable_bytes), (1000, 600));
        }
    }
}

#[test]
fn producers_are_told_where_the_replica_is() {
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "orders".to_owned(),
            partition_indexes: vec![0, 7, 1],
        }],
    };
    let producer = ProducerStatus {
        id: ProducerId(5),
        epoch: 1,
        last_sequence: 77,
        last_timestamp: 1_700_000_000_123,
    };
    let away = Err(Refusal::NotLeader { leader: None });
    let reply = Reply::Producers(vec![Ok(vec![producer]), away]);
    let (_, answer) = World::new().call(0, &request, reply);
    let partitions = &answer.topics[0].partitions;
    let codes: Vec<i16> = partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [0, 3, 6]);
    let told = &partitions[0].active_producers[0];
    assert_eq!(
        (told.producer_id, told.producer_epoch, told.last_sequence),
        (5, 1, 77)
    );
    assert_eq!(told.last_timestamp, 1_700_000_000_123);
}

#[test]
fn leaders_are_elected_by_name_and_for_all() {
    let named = |topic: &str, partitions: &[i32]| TopicPartitions {
        topic: topic.to_owned(),
        partitions: partitions.to_vec(),
    };
    let mut request = ElectLeadersRequest {
        election_type: 0,
        topic_partitions: Some(vec![named("orders", &[0, 9]), named("no", &[0])]),
        timeout_ms: 1000,
    };
    let needless = || Err(Refusal::ElectionNotNeeded("not needed".to_owned()));
    let told = |answer: &wire_kafka::messages::elect_leaders_response::ElectLeadersResponse| {
        let topics = answer.replica_election_results.iter();
        let parts = topics.flat_map(|t| t.partition_result.iter());
        parts.map(|p| p.error_code).collect::<Vec<i16>>()
    };
    let reply = Reply::Preferred(vec![needless()]);
    let (_, answer) = World::new().call(2, &request, reply);
    assert_eq!(told(&answer), [3, 84, 3]);
    request.topic_partitions = None;
    let all = Reply::Preferred(
        (0..7)
            .map(|n| if n == 3 { Ok(()) } else { needless() })
            .collect(),
    );
    let (_, answer) = World::new().call(1, &request, all);
    assert_eq!(told(&answer), [0], "what needs no election is left out");
    request.election_type = 1;
    request.topic_partitions = Some(vec![named("orders", &[0, 2])]);
    let nobody = Refusal::EligibleLeadersNotAvailable("nobody is heard".to_owned());
    let reply = Reply::Preferred(vec![needless(), Err(nobody)]);
    let (command, answer) = World::new().call(2, &request, reply);
    assert!(
        matches!(command, Command::Prefer { unclean: true, .. }),
        "{command:?}"
    );
    assert_eq!(told(&answer), [84, 83]);
}

#[test]
fn the_quorum_is_told_as_kafka_counts_it() {
    let request = DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: "__cluster_metadata".to_owned(),
            partitions: vec![PartitionData::default()],
        }],
    };
    let quorum = meta::Quorum {
        leader: HERE,
        term: Term(4),
        committed: RaftIndex(40),
        voters: vec![meta::QuorumMember {
            node: HERE,
            matched: RaftIndex(41),
            heard: Some(WallMs(7)),
            caught_up: None,
        }],
    };
    for version in 0..=2 {
        let reply = Reply::Meta(Ok(meta::Reply::Quorum(quorum.clone())));
        let (_, answer) = World::new().call(version, &request, reply);
        let told = &answer.topics[0].partitions[0];
        assert_eq!((told.leader_id, told.high_watermark), (1, 41));
        assert_eq!(told.current_voters[0].log_end_offset, 42);
        assert_eq!(told.observers[0].replica_id, 2, "a node without a vote");
        if version >= 1 {
            let voter = &told.current_voters[0];
            let times = (voter.last_fetch_timestamp, voter.last_caught_up_timestamp);
            assert_eq!(times, (7, -1));
        }
    }
    let answer = World::new().ask(
        2,
        &DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: "orders".to_owned(),
                partitions: vec![PartitionData::default()],
            }],
        },
    );
    assert_eq!(answer.topics[0].partitions[0].error_code, 3);
}

#[test]
fn the_metadata_version_stays_at_its_level() {
    let ask = |version: i16, feature: &str, level: i16| {
        let update = FeatureUpdateKey {
            feature: feature.to_owned(),
            max_version_level: level,
            allow_downgrade: true,
            upgrade_type: 2,
        };
        let request = UpdateFeaturesRequest {
            feature_updates: vec![update],
            ..Default::default()
        };
        World::new().ask(version, &request)
    };
    assert_eq!(ask(2, "metadata.version", 30).error_code, 0);
    let why = ask(2, "metadata.version", 99);
    assert_eq!(why.error_code, 95);
    assert!(
        why.error_message
            .unwrap()
            .ends_with("only supports versions 7-30")
    );
    let old = ask(0, "metadata.version", 7);
    assert_eq!((old.error_code, old.results), (95, vec![]));
    assert_eq!(ask(1, "no.such", 1).error_code, 95);
    let kept = ask(1, "metadata.version", 30);
    assert_eq!((kept.error_code, kept.results[0].error_code), (0, 0));
    let nothing = World::new().ask(1, &UpdateFeaturesRequest::default());
    assert_eq!((nothing.error_code, nothing.results), (0, vec![]));
}

#[test]
fn the_clusters_level_is_raised_by_the_controller() {
    let request = |level: i16| UpdateFeaturesRequest {
        timeout_ms: 1000,
        feature_updates: vec![FeatureUpdateKey {
            feature: "flotilla.version".to_owned(),
            max_version_level: level,
            upgrade_type: 1,
            ..Default::default()
        }],
        validate_only: true,
    };
    let answer = |outcome: Result<(), Refusal>| {
        let mut world = World::new();
        world.send(2, &request(2));
        let (command, to) = world.command().expect("the controller is asked");
        let asked = match command {
            Command::Meta { command, .. } => command,
            other => panic!("{other:?}"),
        };
        let (level, validate_only) = (meta::Level(2), true);
        let expected = meta::Command::RaiseLevel {
            level,
            validate_only,
        };
        assert_eq!(asked, expected);
        world.reply(to, Reply::Meta(Ok(meta::Reply::Each(vec![outcome]))));
        let answer: wire_kafka::messages::update_features_response::UpdateFeaturesResponse =
            world.answer(ApiKey::UpdateFeatures, 2);
        (answer.error_code, answer.error_message.unwrap_or_default())
    };
    assert_eq!(answer(Ok(())), (0, String::new()));
    let (code, why) = answer(Err(Refusal::InvalidRequest("node 3 is old".to_owned())));
    assert_eq!(code, 95);
    assert!(why.ends_with("error: node 3 is old"), "{why}");
    assert_eq!(World::new().ask(2, &request(1000)).error_code, 95);
}

/// What Kafka says without an authorizer and without authentication; tools know these codes.
#[test]
fn lists_of_rights_and_tokens_are_refused_for_good() {
    use wire_kafka::messages::create_acls_request::{AclCreation, CreateAclsRequest};
    use wire_kafka::messages::create_delegation_token_request::CreateDelegationTokenRequest;
    use wire_kafka::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
    use wire_kafka::messages::describe_acls_request::DescribeAclsRequest;
    let mut world = World::new();
    let described = world.ask(3, &DescribeAclsRequest::default());
    assert_eq!(described.error_code, 54);
    let created = world.ask(
        3,
        &CreateAclsRequest {
            creations: vec![AclCreation::default(); 2],
        },
    );
    let codes = created.results.iter().map(|result| result.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [54, 54]);
    let deleted = world.ask(
        3,
        &DeleteAclsRequest {
            filters: vec![DeleteAclsFilter::default()],
        },
    );
    assert_eq!(deleted.filter_results[0].error_code, 54);
    let token = world.ask(3, &CreateDelegationTokenRequest::default());
    let told = (token.error_code, token.principal_name.as_str());
    assert_eq!(told, (64, "ANONYMOUS"));
}

/// Who gives no time is told so beside the parts as well, as by Kafka.
#[test]
fn a_reassignment_that_fails_as_a_whole_says_so_at_the_top() {
    let mut world = World::new();
    let body = AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: "orders".to_owned(),
            partitions: vec![ReassignablePartition {
                partition_index: 0,
                replicas: Some(vec![1]),
            }],
        }],
        ..Default::default()
    };
    let (_, answer) = world.call(1, &body, Reply::Meta(Err(Refusal::Timeout)));
    assert_eq!(answer.error_code, codes::REQUEST_TIMED_OUT);
    let part = &answer.responses[0].partitions[0];
    assert_eq!(part.error_code, codes::REQUEST_TIMED_OUT);
}
