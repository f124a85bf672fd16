//! FindCoordinator: who is found, who is waited for, and for what there is nobody.

use super::groups::{KEEPER, world};
use crate::testing::{HERE, TERM, World, id_of, image_with};
use base::Refusal;
use shard::Command as Sent;
use std::sync::Arc;
use wire_kafka::messages as m;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;

#[test]
fn coordinators_are_found_one_or_several() {
    let one = FindCoordinatorRequest {
        key: "g".into(),
        ..Default::default()
    };
    for version in 0..=3 {
        let answer = world().ask(version, &one);
        let told = (answer.error_code, answer.node_id, answer.host.as_str());
        assert_eq!(told, (0, 1, "here"));
        let message = (version >= 1).then_some("NONE");
        assert_eq!(answer.error_message.as_deref(), message);
    }
    let several = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into(), "h".into()],
        ..Default::default()
    };
    for version in 4..=6 {
        let found = world().ask(version, &several).coordinators;
        let told: Vec<_> = found
            .iter()
            .map(|c| (c.key.as_str(), c.error_code, c.node_id, c.port))
            .collect();
        assert_eq!(told, [("g", 0, 1, 9092), ("h", 0, 1, 9092)]);
    }
}

#[test]
fn coordinators_of_other_kinds_are_not_there() {
    for (version, key_type, code) in [(5, 2, 42), (6, 2, 15), (6, 3, 42), (1, 3, 42)] {
        let request = FindCoordinatorRequest {
            key: "g".into(),
            key_type,
            coordinator_keys: vec!["g".into()],
        };
        let mut answer = world().ask(version, &request);
        if let Some(one) = answer.coordinators.pop() {
            (answer.error_code, answer.node_id) = (one.error_code, one.node_id);
        }
        let told = (answer.error_code, answer.node_id);
        assert_eq!(told, (code, -1), "{version} {key_type}");
    }
}

/// A producer with a transactional id, or who describes transactions, is to get its refusal from a
/// node, not to look for one for ever.
#[test]
fn every_node_answers_for_transactions() {
    for version in 1..=6 {
        let request = FindCoordinatorRequest {
            key: "t".into(),
            key_type: 1,
            coordinator_keys: vec!["t".into()],
        };
        let mut answer = world().ask(version, &request);
        if let Some(one) = answer.coordinators.pop() {
            (answer.error_code, answer.node_id) = (one.error_code, one.node_id);
            answer.port = one.port;
        }
        let told = (answer.error_code, answer.node_id, answer.port);
        assert_eq!(told, (0, 1, 9092), "{version}");
    }
}

#[test]
fn the_topic_of_the_coordinators_is_made_for_the_first_who_asks() {
    let mut world = World::new();
    let request = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into()],
        ..Default::default()
    };
    world.send(4, &request);
    let made = shard::Reply::Meta(Err(Refusal::NoController));
    let command = world.answer_with(made);
    assert!(matches!(command, Sent::Meta { .. }), "{command:?}");
    let answer: m::find_coordinator_response::FindCoordinatorResponse =
        world.answer(wire_kafka::ApiKey::FindCoordinator, 4);
    assert_eq!(answer.coordinators[0].error_code, 15);
}

/// Who asks on a fresh cluster is answered once the topic is made and led: a client that is told to come
/// again may take a second to do so.
#[test]
fn who_asks_first_gets_a_coordinator() {
    let mut world = World::new();
    let request = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into()],
        ..Default::default()
    };
    world.send(4, &request);
    let (command, to) = world.command().expect("the topic is made");
    assert!(matches!(command, Sent::Meta { .. }), "{command:?}");
    let image = Arc::new(image_with("__consumer_offsets", KEEPER.0));
    world.broker.publish(image);
    let made = meta::TopicCreated {
        name: "__consumer_offsets".into(),
        id: id_of("__consumer_offsets"),
        partitions: 1,
        replicas: 1,
        groups: vec![KEEPER],
    };
    let made = meta::Reply::TopicsCreated(vec![Ok(made)]);
    world.reply(to, shard::Reply::Meta(Ok(made)));
    let (command, to) = world.command().expect("its leader is waited for");
    assert!(
        matches!(command, Sent::AwaitLeader { group: KEEPER, .. }),
        "{command:?}"
    );
    world.broker.publish_leaders(&[(KEEPER, TERM, Some(HERE))]);
    world.reply(to, shard::Reply::Led(Ok(())));
    let answer: m::find_coordinator_response::FindCoordinatorResponse =
        world.answer(wire_kafka::ApiKey::FindCoordinator, 4);
    let found = &answer.coordinators[0];
    assert_eq!((found.error_code, found.node_id), (0, 1));
}
