//! Topics made and deleted, producer ids, configuration, the cluster, coordinators.

use crate::testing::{NOW, World, id_of};
use base::{GroupId, NodeId, ProducerId, Refusal, Uuid};
use meta::{Command as Meta, Placement, TopicCreated, TopicRef};
use shard::{Command, Reply};
use wire_kafka::ApiKey;
use wire_kafka::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire_kafka::messages::create_topics_response::CreateTopicsResponse;
use wire_kafka::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire_kafka::messages::delete_topics_response::DeleteTopicsResponse;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire_kafka::messages::init_producer_id_request::InitProducerIdRequest;

fn new_topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    let name = name.to_owned();
    CreatableTopic {
        name,
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics,
        timeout_ms: 3000,
        ..Default::default()
    }
}

fn created(command: Command) -> (Vec<meta::NewTopic>, bool) {
    match command {
        Command::Meta {
            command:
                Meta::CreateTopics {
                    topics,
                    validate_only,
                },
            ..
        } => (topics, validate_only),
        other => panic!("not a creation: {other:?}"),
    }
}

fn made(name: &str, partitions: u32) -> Result<TopicCreated, Refusal> {
    let groups = (0..partitions)
        .map(|at| GroupId(100 + u64::from(at)))
        .collect();
    Ok(TopicCreated {
        name: name.to_owned(),
        id: id_of(name),
        partitions,
        replicas: 2,
        groups,
    })
}

#[test]
fn a_topic_is_made_as_asked_and_told_in_full() {
    let mut asked = new_topic("new", 3, 2);
    asked.configs = vec![CreatableTopicConfig {
        name: "retention.ms".to_owned(),
        value: Some("1000".to_owned()),
    }];
    for version in 0..=7 {
        let reply = Reply::Meta(Ok(meta::Reply::TopicsCreated(vec![made("new", 3)])));
        let request = create(vec![asked.clone()]);
        let (command, answer) = World::new().call(version, &request, reply);
        let (topics, validate_only) = created(command);
        assert!(!validate_only);
        assert_eq!(
            topics[0].placement,
            Placement::Spread {
                partitions: Some(3),
                replicas: Some(2)
            }
        );
        assert_eq!(topics[0].configs["retention.ms"], "1000");
        let result = &answer.topics[0];
        assert_eq!((result.name.as_str(), result.error_code), ("new", 0));
        if version >= 5 {
            assert_eq!((result.num_partitions, result.replication_factor), (3, 2));
            let configs = result.configs.as_ref().unwrap();
            let retention = configs.iter().find(|c| c.name == "retention.ms").unwrap();
            assert_eq!(
                (retention.value.as_deref(), retention.config_source),
                (Some("1000"), 1)
            );
            let default = configs.iter().find(|c| c.name == "cleanup.policy").unwrap();
            assert_eq!(default.config_source, 5);
        }
        if version >= 7 {
            assert_eq!(result.topic_id, id_of("new"));
        }
    }
}

#[test]
fn defaults_and_placement_by_hand_reach_the_controller() {
    let mut by_hand = new_topic("hand", -1, -1);
    by_hand.assignments = vec![
        CreatableReplicaAssignment {
            partition_index: 1,
            broker_ids: vec![2, 1],
        },
        CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: vec![1, 2],
        },
    ];
    let mut request = create(vec![new_topic("plain", -1, -1), by_hand]);
    request.validate_only = true;
    let both = vec![made("plain", 1), made("hand", 2)];
    let (command, _) = World::new().call(
        4,
        &request,
        Reply::Meta(Ok(meta::Reply::TopicsCreated(both))),
    );
    let (topics, validate_only) = created(command);
    assert!(validate_only);
    assert_eq!(
        topics[0].placement,
        Placement::Spread {
            partitions: None,
            replicas: None
        }
    );
    let nodes = |ids: [u32; 2]| ids.map(NodeId).to_vec();
    assert_eq!(
        topics[1].placement,
        Placement::Manual(vec![nodes([1, 2]), nodes([2, 1])])
    );
}

#[test]
fn creations_are_refused_one_by_one() {
    let mut world = World::new();
    let topics = vec![
        new_topic("a", 0, 1),
        new_topic("b", 1, 0),
        new_topic("twice", 1, 1),
        new_topic("c", 1, 9),
        new_topic("twice", 1, 1),
    ];
    world.send(5, &create(topics));
    let refused = Err(Refusal::InvalidReplicationFactor("only 2 nodes".into()));
    if let Some((_, to)) = world.command() {
        world.reply(
            to,
            Reply::Meta(Ok(meta::Reply::TopicsCreated(vec![refused]))),
        );
    }
    let answer: CreateTopicsResponse = world.answer(ApiKey::CreateTopics, 5);
    let codes: Vec<(&str, i16)> = answer
        .topics
        .iter()
        .map(|t| (t.name.as_str(), t.error_code))
        .collect();
    assert_eq!(
        codes,
        [
            ("a", 37),
            ("b", 38),
            ("twice", 42),
            ("c", 38),
            ("twice", 42)
        ]
    );
    assert!(
        answer
            .topics
            .iter()
            .all(|t| t.error_message.is_some() && t.num_partitions == -1)
    );
}

#[test]
fn a_controller_that_is_away_refuses_each_topic() {
    for (refusal, code) in [(Refusal::NoController, 41), (Refusal::Timeout, 7)] {
        let request = create(vec![new_topic("a", 1, 1), new_topic("b", 1, 1)]);
        let mut world = World::new();
        world.send(4, &request);
        world.answer_with(Reply::Meta(Err(refusal)));
        let answer: CreateTopicsResponse = world.answer(ApiKey::CreateTopics, 4);
        assert_eq!(
            answer
                .topics
                .iter()
                .map(|t| t.error_code)
                .collect::<Vec<_>>(),
            [code; 2]
        );
    }
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let by_name = DeleteTopicsRequest {
        topic_names: vec!["orders".to_owned(), "nope".to_owned()],
        timeout_ms: 1000,
        ..Default::default()
    };
    let deleted = || Ok(("orders".to_owned(), id_of("orders")));
    for version in 0..=5 {
        let both = vec![deleted(), Err(Refusal::UnknownTopic)];
        let reply = Reply::Meta(Ok(meta::Reply::TopicsDeleted(both)));
        let (_, answer) = World::new().call(version, &by_name, reply);
        let codes: Vec<_> = answer
            .responses
            .iter()
            .map(|r| (r.name.as_deref(), r.error_code))
            .collect();
        assert_eq!(codes, [(Some("orders"), 0), (Some("nope"), 3)]);
    }
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(str::to_owned),
        topic_id,
    };
    let by_id = DeleteTopicsRequest {
        topics: vec![
            state(Some("both"), id_of("both")),
            state(None, id_of("orders")),
            state(None, Uuid::ZERO),
            state(None, Uuid([9; 16])),
        ],
        ..Default::default()
    };
    let both = vec![deleted(), Err(Refusal::UnknownTopicId)];
    let reply = Reply::Meta(Ok(meta::Reply::TopicsDeleted(both)));
    let (command, answer) = World::new().call(6, &by_id, reply);
    let Command::Meta {
        command: Meta::DeleteTopics { topics },
        ..
    } = command
    else {
        panic!("not a deletion")
    };
    assert_eq!(
        topics,
        [TopicRef::Id(id_of("orders")), TopicRef::Id(Uuid([9; 16]))]
    );
    let told: Vec<_> = answer
        .responses
        .iter()
        .map(|r| (r.name.as_deref(), r.topic_id, r.error_code))
        .collect();
    let expected = [
        (Some("both"), id_of("both"), 42),
        (Some("orders"), id_of("orders"), 0),
        (None, Uuid::ZERO, 42),
        (None, Uuid([9; 16]), 100),
    ];
    assert_eq!(told, expected);
}

#[test]
fn deletion_turned_off_has_a_code_of_its_own() {
    for (version, code) in [(2, 42), (3, 73), (5, 73)] {
        let mut world = World::with(&[("delete.topic.enable", "false")]);
        world.send(
            version,
            &DeleteTopicsRequest {
                topic_names: vec!["orders".to_owned()],
                ..Default::default()
            },
        );
        let answer: DeleteTopicsResponse = world.answer(ApiKey::DeleteTopics, version);
        assert_eq!(answer.responses[0].error_code, code);
    }
}

fn producer(transactional: Option<&str>, id: i64, epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: transactional.map(str::to_owned),
        producer_id: id,
        producer_epoch: epoch,
        ..Default::default()
    }
}

#[test]
fn a_producer_always_gets_a_fresh_id_at_epoch_0() {
    for request in [producer(None, -1, -1), producer(None, 5, 3)] {
        let ids = Reply::Meta(Ok(meta::Reply::ProducerIds(ProducerId(4000))));
        let (_, answer) = World::new().call(3, &request, ids);
        let told = (answer.error_code, answer.producer_id, answer.producer_epoch);
        assert_eq!(told, (0, 4000, 0));
    }
}

#[test]
fn producers_that_can_not_be_served_are_told_why() {
    let rows = [
        (None, 5, -1, 42),
        (None, -1, 5, 42),
        (None, -2, -1, 42),
        (None, -1, -2, 42),
        (Some(""), -1, -1, 42),
        (Some("t"), -1, -1, 35),
    ];
    for (transactional, id, epoch, code) in rows {
        let answer = World::new().ask(4, &producer(transactional, id, epoch));
        let told = (answer.error_code, answer.producer_id, answer.producer_epoch);
        assert_eq!(told, (code, -1, -1));
    }
    let late = Reply::Meta(Err(Refusal::NoController));
    let (_, answer) = World::new().call(2, &producer(None, -1, -1), late);
    assert_eq!((answer.error_code, answer.producer_id), (14, -1));
}

fn resource(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| key.to_string()).collect()),
    }
}

#[test]
fn configurations_are_described() {
    let asked = DescribeConfigsRequest {
        resources: vec![
            resource(2, "keyed", Some(&["cleanup.policy", "retention.ms"])),
            resource(4, "1", Some(&["num.partitions"])),
            resource(2, "nope", None),
            resource(4, "2", None),
            resource(99, "x", None),
        ],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer = World::with(&[("num.partitions", "4")]).ask(4, &asked);
    let codes: Vec<i16> = answer
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    assert_eq!(codes, [0, 0, 3, 42, 42]);
    let topic = &answer.results[0].configs;
    assert_eq!(topic.len(), 2);
    let cleanup = topic.iter().find(|c| c.name == "cleanup.policy").unwrap();
    assert_eq!(
        (cleanup.value.as_deref(), cleanup.config_source),
        (Some("compact"), 1)
    );
    assert_eq!(
        (cleanup.config_type, cleanup.synonyms.len() >= 2),
        (7, true)
    );
    assert!(cleanup.documentation.is_some());
    let retention = topic.iter().find(|c| c.name == "retention.ms").unwrap();
    assert_eq!((retention.config_source, retention.config_type), (5, 5));
    let node = &answer.results[1].configs[0];
    assert_eq!((node.value.as_deref(), node.config_source), (Some("4"), 4));
    let plain = DescribeConfigsRequest {
        resources: asked.resources,
        ..Default::default()
    };
    let answer = World::new().ask(3, &plain);
    let first = &answer.results[0].configs[0];
    assert!(first.synonyms.is_empty() && first.documentation.is_none());
}

#[test]
fn all_keys_are_described_to_who_names_none() {
    let asked = DescribeConfigsRequest {
        resources: vec![
            resource(2, "keyed", None),
            resource(2, "keyed", Some(&[])),
            resource(2, "a b", None),
        ],
        ..Default::default()
    };
    for version in [0, 4] {
        let answer = World::new().ask(version, &asked);
        let [all, empty, invalid] = answer.results.as_slice() else {
            panic!("one result per resource")
        };
        assert!(all.configs.len() > 20);
        assert_eq!(all.configs, empty.configs);
        assert_eq!((invalid.error_code, invalid.configs.len()), (17, 0));
        let cleanup = all.configs.iter().find(|c| c.name == "cleanup.policy");
        assert!(!cleanup.unwrap().is_default);
    }
    let oldest = World::new().ask(0, &asked);
    let retention = oldest.results[0]
        .configs
        .iter()
        .find(|c| c.name == "retention.ms");
    assert!(retention.unwrap().is_default);
}

#[test]
fn the_cluster_is_described() {
    let asked = DescribeClusterRequest {
        endpoint_type: 1,
        include_cluster_authorized_operations: true,
        include_fenced_brokers: true,
    };
    for version in 0..=2 {
        let answer = World::new().ask(version, &asked);
        assert_eq!((answer.error_code, answer.controller_id), (0, 1));
        assert_eq!(answer.cluster_id, id_of("cluster").to_string());
        assert_eq!(answer.cluster_authorized_operations, 0x1fa0);
        let nodes: Vec<i32> = answer.brokers.iter().map(|node| node.broker_id).collect();
        assert_eq!(nodes, [1, 2]);
    }
    for (include_fenced_brokers, shown) in [(false, 1), (true, 2)] {
        let mut world = World::new();
        world.broker.publish_heard(vec![NodeId(1)], NOW.mono);
        let answer = world.ask(
            2,
            &DescribeClusterRequest {
                include_fenced_brokers,
                ..asked.clone()
            },
        );
        assert_eq!(answer.brokers.len(), shown);
        let fenced = answer.brokers.iter().filter(|node| node.is_fenced);
        let fenced: Vec<i32> = fenced.map(|node| node.broker_id).collect();
        assert_eq!(fenced, &[2][..shown - 1], "a silent node");
    }
    for (endpoint_type, code) in [(2, 114), (3, 115)] {
        let wrong = DescribeClusterRequest {
            endpoint_type,
            ..Default::default()
        };
        let answer = World::new().ask(1, &wrong);
        assert_eq!((answer.error_code, answer.brokers.len()), (code, 0));
        assert!(answer.error_message.is_some());
    }
}
