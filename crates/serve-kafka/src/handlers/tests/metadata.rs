//! Metadata: what is shown, what is made on the way.

use crate::testing::{NOW, TERM, World, id_of, image_with};
use base::{GroupId, Mono, Now, Refusal, Uuid};
use meta::{Command as Meta, TopicCreated};
use shard::{Command, Reply};
use std::sync::Arc;
use std::time::Duration;
use wire_kafka::ApiKey;
use wire_kafka::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire_kafka::messages::create_topics_response::CreateTopicsResponse;
use wire_kafka::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire_kafka::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};

fn by_name(names: &[&str], make: bool) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: make,
        ..Default::default()
    }
}

fn all() -> MetadataRequest {
    MetadataRequest {
        topics: None,
        ..Default::default()
    }
}

fn codes(answer: &MetadataResponse) -> Vec<(Option<&str>, i16)> {
    answer
        .topics
        .iter()
        .map(|topic| (topic.name.as_deref(), topic.error_code))
        .collect()
}

#[test]
fn all_topics_nodes_and_the_controller_are_shown() {
    for version in 1..=13 {
        let answer = World::new().ask(version, &all());
        let names: Vec<_> = codes(&answer);
        assert_eq!(
            names,
            ["far", "keyed", "moved", "orders", "small"].map(|name| (Some(name), 0))
        );
        let nodes: Vec<(i32, &str, i32)> = answer
            .brokers
            .iter()
            .map(|b| (b.node_id, b.host.as_str(), b.port))
            .collect();
        assert_eq!(nodes, [(1, "here", 9092), (2, "there", 9092)]);
        assert_eq!(answer.brokers[0].rack.as_deref(), Some("r1"));
        assert_eq!(answer.controller_id, 1);
        if version >= 2 {
            assert_eq!(answer.cluster_id, Some(id_of("cluster").to_string()));
        }
        if version >= 10 {
            assert_eq!(answer.topics[3].topic_id, id_of("orders"));
        }
    }
}

#[test]
fn a_client_is_told_addresses_of_the_listener_that_it_came_in_by() {
    let answer = World::new().by("INSIDE").ask(12, &all());
    let nodes: Vec<(i32, &str, i32)> = answer
        .brokers
        .iter()
        .map(|b| (b.node_id, b.host.as_str(), b.port))
        .collect();
    assert_eq!(nodes, [(1, "here.inside", 9093)]);
    let leader = |topic: usize| answer.topics[topic].partitions[0].leader_id;
    assert_eq!(answer.topics[0].name.as_deref(), Some("far"));
    assert_eq!(
        (leader(0), leader(3)),
        (-1, 1),
        "node 2 has no such listener"
    );
}

#[test]
fn no_topics_are_no_topics_but_in_version_0() {
    let none = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(World::new().ask(0, &none).topics.len(), 5);
    for version in [1, 9, 13] {
        assert!(World::new().ask(version, &none).topics.is_empty());
    }
}

#[test]
fn partitions_show_leaders_epochs_and_replicas() {
    let answer = World::new().ask(9, &by_name(&["orders"], false));
    let parts: Vec<_> = answer.topics[0]
        .partitions
        .iter()
        .map(|p| (p.error_code, p.partition_index, p.leader_id, p.leader_epoch))
        .collect();
    let epoch = TERM.epoch();
    assert_eq!(parts, [(0, 0, 1, epoch), (0, 1, 1, epoch), (5, 2, -1, 6)]);
    let first = &answer.topics[0].partitions[0];
    assert_eq!(
        (&first.replica_nodes, &first.isr_nodes),
        (&vec![1, 2], &vec![1, 2])
    );
    assert!(first.offline_replicas.is_empty());
}

#[test]
fn a_leader_that_is_not_registered_is_none() {
    let world = World::new();
    let mut image = (*world.broker.image()).clone();
    image.nodes.remove(&crate::testing::THERE);
    image.version += 1;
    world.broker.publish(Arc::new(image));
    let mut world = world;
    let answer = world.ask(9, &by_name(&["far"], false));
    let part = &answer.topics[0].partitions[0];
    assert_eq!(
        (part.error_code, part.leader_id, part.leader_epoch),
        (5, -1, 7)
    );
}

#[test]
fn unknown_and_invalid_names_have_their_codes() {
    let names = ["nope", "bad name!", "", "..", "orders", "nope"];
    let answer = World::new().ask(9, &by_name(&names, false));
    let expected = [
        (Some("nope"), 3),
        (Some("bad name!"), 17),
        (Some(""), 17),
        (Some(".."), 17),
        (Some("orders"), 0),
    ];
    assert_eq!(codes(&answer), expected);
    let long = "x".repeat(250);
    let answer = World::new().ask(9, &by_name(&[&long], true));
    assert_eq!(answer.topics[0].error_code, 17);
}

#[test]
fn topics_are_found_by_id_from_version_12() {
    let by_id = |id| MetadataRequestTopic {
        topic_id: id,
        name: None,
    };
    let asked = MetadataRequest {
        topics: Some(vec![
            by_id(id_of("orders")),
            by_id(Uuid([9; 16])),
            by_id(Uuid::ZERO),
        ]),
        ..Default::default()
    };
    let answer = World::new().ask(12, &asked);
    assert_eq!(
        codes(&answer),
        [(Some("orders"), 0), (None, 100), (None, 100)]
    );
    assert_eq!(answer.topics[1].topic_id, Uuid([9; 16]));
    let answer = World::new().ask(10, &asked);
    assert_eq!(
        answer
            .topics
            .iter()
            .map(|t| t.error_code)
            .collect::<Vec<_>>(),
        [42, 42, 42]
    );
}

#[test]
fn operations_are_told_to_who_asks() {
    let mut asked = by_name(&["orders"], false);
    asked.include_topic_authorized_operations = true;
    asked.include_cluster_authorized_operations = true;
    let answer = World::new().ask(8, &asked);
    assert_eq!(answer.topics[0].topic_authorized_operations, 0x0df8);
    assert_eq!(answer.cluster_authorized_operations, 0x1fa0);
    let mut unknown = by_name(&["nope"], false);
    unknown.include_topic_authorized_operations = true;
    let answer = World::new().ask(8, &unknown);
    assert_eq!(answer.topics[0].topic_authorized_operations, 0x0df8);
    let answer = World::new().ask(8, &by_name(&["orders"], false));
    assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
    assert_eq!(answer.cluster_authorized_operations, i32::MIN);
}

fn made(name: &str, group: u64) -> TopicCreated {
    let (name, id) = (name.to_owned(), id_of(name));
    TopicCreated {
        name,
        id,
        partitions: 1,
        replicas: 1,
        groups: vec![GroupId(group)],
    }
}

fn topic<'a>(answer: &'a MetadataResponse, name: &str) -> &'a MetadataResponseTopic {
    answer
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some(name))
        .unwrap()
}

#[test]
fn a_topic_is_made_on_the_way_and_shown_in_the_first_answer() {
    let mut world = World::new();
    world.send(
        9,
        &by_name(&["orders", "fresh", "bad name!", "fresh"], true),
    );
    assert!(world.frames().is_empty(), "the creation is waited for");
    let (command, to) = world.command().unwrap();
    let Command::Meta {
        command: Meta::CreateTopics {
            topics,
            validate_only,
        },
        ..
    } = command
    else {
        panic!("not a creation")
    };
    assert!(!validate_only);
    assert_eq!(
        topics.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["fresh"]
    );
    world.broker.publish(Arc::new(image_with("fresh", 77)));
    world
        .broker
        .publish_leaders(&[(GroupId(77), TERM, Some(crate::testing::HERE))]);
    world.reply(
        to,
        Reply::Meta(Ok(meta::Reply::TopicsCreated(vec![Ok(made("fresh", 77))]))),
    );
    let answer: MetadataResponse = world.answer(ApiKey::Metadata, 9);
    assert_eq!(
        codes(&answer),
        [
            (Some("orders"), 0),
            (Some("fresh"), 0),
            (Some("bad name!"), 17)
        ]
    );
    assert_eq!(topic(&answer, "fresh").partitions[0].leader_id, 1);
}

/// There are clients that connect to nowhere when they see a partition without a leader, so
/// whoever makes a topic is answered when it has leaders, or when that takes too long.
#[test]
fn who_makes_a_topic_is_answered_when_it_has_leaders() {
    let later = |ms| Now {
        mono: NOW.mono.after(Duration::from_millis(ms)),
        ..NOW
    };
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: "fresh".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    for (by_asking, elected) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::new();
        match by_asking {
            true => world.send(9, &by_name(&["fresh"], true)),
            false => world.send(7, &create),
        }
        world.broker.publish(Arc::new(image_with("fresh", 77)));
        let made = meta::Reply::TopicsCreated(vec![Ok(made("fresh", 77))]);
        world.answer_with(Reply::Meta(Ok(made)));
        assert!(world.frames().is_empty(), "nobody leads it yet");
        let again = world.connection.resume_at().expect("it is looked again");
        assert!(again > NOW.mono && again < later(50).mono);
        let mut expected = 5;
        if elected {
            let leads = (GroupId(77), TERM, Some(crate::testing::HERE));
            world.broker.publish_leaders(&[leads]);
            world.connection.resume(later(5));
            expected = 0;
        } else {
            world.connection.resume(later(499));
            assert!(world.connection.take().bytes.is_empty());
            world.connection.resume(later(500));
        }
        assert_eq!(world.connection.resume_at(), None);
        world.settle();
        if by_asking {
            let answer: MetadataResponse = world.answer(ApiKey::Metadata, 9);
            let partition = &topic(&answer, "fresh").partitions[0];
            assert_eq!(partition.error_code, expected);
        } else {
            let answer: CreateTopicsResponse = world.answer(ApiKey::CreateTopics, 7);
            assert_eq!(answer.topics[0].error_code, 0);
        }
    }
}

#[test]
fn a_creation_that_is_late_or_refused_is_told_so_that_clients_go_on() {
    let rows = [
        (Refusal::Timeout, 5),
        (Refusal::NoController, 5),
        (Refusal::TopicExists("fresh".into()), 5),
        (Refusal::InvalidReplicationFactor("too many".into()), 38),
        (Refusal::InvalidTopic("collides".into()), 17),
    ];
    for (refusal, code) in rows {
        let mut world = World::new();
        world.send(4, &by_name(&["fresh"], true));
        let made = meta::Reply::TopicsCreated(vec![Err(refusal.clone())]);
        world.answer_with(Reply::Meta(Ok(made)));
        let answer: MetadataResponse = world.answer(ApiKey::Metadata, 4);
        assert_eq!(codes(&answer), [(Some("fresh"), code)], "{refusal:?}");
    }
}

#[test]
fn nothing_is_made_unless_both_sides_want_it() {
    let mut world = World::with(&[("auto.create.topics.enable", "false")]);
    assert_eq!(
        world.ask(9, &by_name(&["fresh"], true)).topics[0].error_code,
        3
    );
    let mut world = World::new();
    assert_eq!(
        world.ask(9, &by_name(&["fresh"], false)).topics[0].error_code,
        3
    );
    assert_eq!(
        world.ask(9, &by_name(&["__consumer_offsets"], true)).topics[0].error_code,
        3
    );
    // Before version 4 a client can't say no.
    world.send(3, &by_name(&["fresh"], false));
    assert!(world.command().is_some());
}

#[test]
fn a_silent_node_is_a_broker_for_a_while_and_its_replicas_are_offline() {
    let mut world = World::new();
    let whole = world.ask(9, &by_name(&["orders"], false));
    let nodes: Vec<_> = whole.brokers.iter().map(|b| b.node_id).collect();
    let replicas = whole.topics[0].partitions[0].replica_nodes.clone();
    let lost = *replicas.last().expect("a partition has replicas");
    let image = world.broker.image();
    let group = image.topic("orders").expect("it is there").partitions[0].group;
    let led = [(group, base::Term(9), Some(base::NodeId(lost as u32)))];
    world.broker.publish_leaders(&led);
    let before = world.ask(9, &by_name(&["orders"], false));
    assert_eq!(before.topics[0].partitions[0].leader_id, lost);
    let all = nodes.iter().map(|n| base::NodeId(*n as u32));
    let heard = all.clone().filter(|n| n.0 as i32 != lost).collect();
    world.broker.publish_heard(all.collect(), Mono(0));
    world.broker.publish_heard(heard, Mono(0));
    let answer = world.ask(9, &by_name(&["orders"], false));
    let part = &answer.topics[0].partitions[0];
    assert!(answer.brokers.iter().any(|b| b.node_id == lost));
    assert_eq!(part.replica_nodes, replicas);
    assert_eq!(part.offline_replicas, [lost]);
    assert!(!part.isr_nodes.contains(&lost));
    assert_eq!(part.isr_nodes.len() + 1, replicas.len());
    // It leads nothing that a client could ask it for.
    assert_eq!((part.leader_id, part.error_code), (-1, 5));
    assert_eq!(
        part.leader_epoch,
        before.topics[0].partitions[0].leader_epoch
    );
}
