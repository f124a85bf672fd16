//! Quotas: kept, shown, and kept to.

use crate::testing::{NOW, World, batch, image_with};
use base::{Now, Refusal};
use broker::{Bounded, Principal};
use meta::{Amount, Entity, Image, Whom};
use shard::Reply;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire_kafka::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use wire_kafka::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire_kafka::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire_kafka::messages::describe_client_quotas_request::{
    ComponentData, DescribeClientQuotasRequest,
};
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::FetchResponse;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::ProduceResponse;
use wire_kafka::{ApiKey, Records};

fn entity(user: Option<Whom>, client: Option<Whom>) -> Entity {
    Entity {
        user,
        client,
        ip: None,
    }
}

fn named(name: &str) -> Option<Whom> {
    Some(Whom::Named(name.to_owned()))
}

/// A world in which clients that call themselves "test", as this one does, have these quotas.
fn world(quotas: &[(&str, f64)]) -> World {
    let world = World::new();
    let set = quotas
        .iter()
        .map(|(key, value)| (key.to_string(), Amount::new(*value)));
    let all = BTreeMap::from([(entity(None, named("test")), set.collect())]);
    world.broker.publish(Arc::new(Image {
        quotas: Arc::new(all),
        version: 99,
        ..image_with("more", 77)
    }));
    world
}

fn produce(bytes: usize) -> ProduceRequest {
    let records = Records::from(batch(&vec![7; bytes]));
    ProduceRequest {
        acks: 1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "orders".to_owned(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn later(seconds: u64) -> Now {
    Now {
        mono: NOW.mono.after(Duration::from_secs(seconds)),
        ..NOW
    }
}

/// A client that sends too fast is told how long to wait and isn't read from meanwhile; what it
/// has sent by then waits.
#[test]
fn a_client_that_sends_too_fast_is_told_and_muted() {
    let mut world = world(&[("producer_byte_rate", 100.0)]);
    world.send(9, &produce(3000));
    world.answer_with(Reply::Appended(vec![Err(Refusal::Timeout)]));
    let answer: ProduceResponse = world.answer(ApiKey::Produce, 9);
    let throttle = answer.throttle_time_ms;
    assert!((19_000..22_000).contains(&throttle), "{throttle}");
    assert!(!world.connection.wants_bytes());
    let until = world.connection.resume_at().expect("it ends by itself");
    assert_eq!(until.since(NOW.mono).as_millis() as i32, throttle);

    let question = MetadataRequest::default();
    world.send(9, &question);
    assert!(world.frames().is_empty(), "muted");
    world.connection.resume(later(31));
    assert!(
        !world.connection.take().bytes.is_empty(),
        "its time has come"
    );
    assert!(world.connection.resume_at().is_none());
}

/// What a client has read too much on one connection it doesn't get on another, and no session
/// begins with such an answer.
#[test]
fn a_client_that_reads_too_fast_gets_nothing_but_the_time_to_wait() {
    let mut world = world(&[("consumer_byte_rate", 100.0)]);
    let elsewhere = |world: &World, bytes| {
        let client = Principal::ANONYMOUS;
        let (broker, what) = (&world.broker, Bounded::Fetched);
        broker.charge(NOW, &client, "test", what, bytes)
    };
    assert!(elsewhere(&world, 1500.0) > Duration::ZERO);
    let fetch = FetchRequest {
        session_epoch: 0,
        topics: vec![FetchTopic {
            topic: "orders".to_owned(),
            partitions: vec![FetchPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = world.ask(12, &fetch);
    assert!((3_500..5_000).contains(&answer.throttle_time_ms));
    assert_eq!((answer.error_code, answer.session_id), (0, 0));
    assert!(answer.responses.is_empty());
    // Once it owes nothing it is served.
    world.send(12, &fetch);
    world.connection.resume(later(31));
    world.answer_with(Reply::Read(vec![Err(Refusal::UnknownTopic)]));
    let answer: FetchResponse = world.answer(ApiKey::Fetch, 12);
    assert_eq!(answer.throttle_time_ms, 0);
    assert_eq!(answer.responses[0].partitions[0].error_code, 3);
    assert_ne!(answer.session_id, 0);
}

#[test]
fn who_has_no_quota_is_never_told_to_wait() {
    let mut world = World::new();
    world.send(9, &produce(3000));
    world.answer_with(Reply::Appended(vec![Err(Refusal::Timeout)]));
    let answer: ProduceResponse = world.answer(ApiKey::Produce, 9);
    assert_eq!(answer.throttle_time_ms, 0);
    assert!(world.connection.wants_bytes());
}

#[test]
fn time_spent_on_a_client_counts() {
    let mut world = world(&[("request_percentage", 1.0)]);
    world.ask(9, &MetadataRequest::default());
    // One percent for eleven seconds is 110 ms.
    world.connection.spent(NOW, Duration::from_millis(100));
    assert!(world.connection.wants_bytes());
    world.connection.spent(NOW, Duration::from_millis(20));
    assert!(!world.connection.wants_bytes());
    world.send(9, &MetadataRequest::default());
    world.connection.resume(later(1));
    assert!(world.connection.wants_bytes(), "paid back");
}

#[test]
fn changes_beyond_the_quota_are_refused_where_the_version_knows_how() {
    let grow = |count| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "small".to_owned(),
            count,
            assignments: None,
        }],
        ..Default::default()
    };
    let done = || Reply::Meta(Ok(meta::Reply::Each(vec![Ok(())])));
    let mut strict = world(&[("controller_mutation_rate", 1.0)]);
    let (_, answer) = strict.call(3, &grow(21), done());
    assert_eq!(answer.results[0].error_code, 0, "a burst is let through");
    let answer = strict.ask(3, &grow(21));
    assert_eq!(answer.results[0].error_code, 89);
    assert!(answer.throttle_time_ms > 0);

    let mut patient = world(&[("controller_mutation_rate", 1.0)]);
    let (_, answer) = patient.call(2, &grow(21), done());
    assert_eq!(answer.results[0].error_code, 0);
    assert!(answer.throttle_time_ms > 0, "older versions wait instead");
}

#[test]
fn what_is_refused_for_its_size_or_its_name_is_not_counted() {
    let grow = |name: &str, count| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: name.to_owned(),
            count,
            assignments: None,
        }],
        ..Default::default()
    };
    let create = |name: &str, num_partitions| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused = || Reply::Meta(Err(Refusal::InvalidPartitions("no".to_owned())));
    let mut world = world(&[("controller_mutation_rate", 1.0)]);
    let (_, answer) = world.call(7, &create("new", 1_000_000), refused());
    let told = (answer.topics[0].error_code, answer.throttle_time_ms);
    assert_eq!(told, (37, 0));
    let answer = world.ask(7, &create("more", 100));
    let told = (answer.topics[0].error_code, answer.throttle_time_ms);
    assert_eq!(told, (36, 0));
    for (name, count) in [("more", 1_000_000), ("nope", 100)] {
        let (_, answer) = world.call(3, &grow(name, count), refused());
        assert_eq!(
            (answer.results[0].error_code, answer.throttle_time_ms),
            (37, 0)
        );
    }
    // Who owes is told of the quota only where something would be made.
    let (_, answer) = world.call(3, &grow("more", 100), refused());
    assert_eq!(answer.results[0].error_code, 37);
    assert_eq!(world.ask(7, &create("more", 1)).topics[0].error_code, 36);
    assert_eq!(world.ask(7, &create("new", 1)).topics[0].error_code, 89);
}

#[test]
fn quotas_are_set_for_whom_the_request_names() {
    let part = |kind: &str, name: Option<&str>| EntityData {
        entity_type: kind.to_owned(),
        entity_name: name.map(str::to_owned),
    };
    let op = |value: f64, remove| OpData {
        key: "producer_byte_rate".to_owned(),
        value,
        remove,
    };
    let entry = |entity, ops| EntryData { entity, ops };
    let request = AlterClientQuotasRequest {
        entries: vec![
            entry(
                vec![part("user", None), part("client-id", Some("c"))],
                vec![op(5.0, false)],
            ),
            entry(vec![part("planet", Some("x"))], vec![]),
            entry(vec![part("user", None), part("user", None)], vec![]),
            entry(
                vec![part("user", Some("u"))],
                vec![op(5.0, false), op(6.0, true)],
            ),
        ],
        validate_only: false,
    };
    for version in 0..=1 {
        let reply = Reply::Meta(Ok(meta::Reply::Each(vec![Ok(())])));
        let (command, answer) = World::new().call(version, &request, reply);
        let shard::Command::Meta {
            command: meta::Command::AlterQuotas { changes, .. },
            ..
        } = command
        else {
            panic!("{command:?}");
        };
        assert_eq!(changes[0].entity, entity(Some(Whom::Default), named("c")));
        let codes: Vec<i16> = answer.entries.iter().map(|e| e.error_code).collect();
        assert_eq!(codes, [0, 42, 42, 42]);
        assert_eq!(
            answer.entries[0].entity[1].entity_name.as_deref(),
            Some("c")
        );
    }
}

#[test]
fn quotas_are_found_by_filters() {
    let mut world = world(&[("producer_byte_rate", 1.0)]);
    let mut ask = |components: &[(&str, i8, Option<&str>)], strict| {
        let one = |(kind, how, name): &(&str, i8, Option<&str>)| ComponentData {
            entity_type: kind.to_string(),
            match_type: *how,
            match_: name.map(str::to_owned),
        };
        let request = DescribeClientQuotasRequest {
            components: components.iter().map(one).collect(),
            strict,
        };
        let answer = world.ask(1, &request);
        match answer.error_code {
            0 => Ok(answer.entries.unwrap().len()),
            code => Err(code),
        }
    };
    assert_eq!(ask(&[], false), Ok(1));
    assert_eq!(ask(&[], true), Ok(0));
    assert_eq!(ask(&[("client-id", 0, Some("test"))], true), Ok(1));
    assert_eq!(ask(&[("client-id", 0, Some("other"))], false), Ok(0));
    assert_eq!(ask(&[("client-id", 1, None)], false), Ok(0));
    assert_eq!(ask(&[("client-id", 2, None)], false), Ok(1));
    assert_eq!(
        ask(&[("client-id", 2, None), ("user", 2, None)], false),
        Ok(0)
    );
    assert_eq!(ask(&[("planet", 2, None)], false), Err(35));
    assert_eq!(ask(&[("", 2, None)], false), Err(42));
    assert_eq!(ask(&[("user", 9, None)], false), Err(42));
    assert_eq!(ask(&[("ip", 2, None), ("user", 2, None)], false), Err(42));
}
