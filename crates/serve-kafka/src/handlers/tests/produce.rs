//! Produce: where batches go, and each way in which they are refused.

use crate::testing::{NOW, THERE, World, batch, id_of};
use base::record::Builder;
use base::{Batch, Offset, Refusal, Term, Uuid, WallMs};
use shard::{Acks, Appended, Command, Reply};
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::PartitionProduceResponse;

fn request(parts: &[(&str, i32, Batch)]) -> ProduceRequest {
    let topic = |(name, index, batch): &(&str, i32, Batch)| TopicProduceData {
        name: name.to_string(),
        topic_id: id_of(name),
        partition_data: vec![PartitionProduceData {
            index: *index,
            records: Some(batch.to_bytes().into()),
        }],
    };
    let topic_data = parts.iter().map(topic).collect();
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data,
        ..Default::default()
    }
}

fn at(offset: i64) -> Result<Appended, Refusal> {
    let (base_offset, start_offset) = (Offset(offset), Offset(2));
    Ok(Appended {
        base_offset,
        append_time: None,
        start_offset,
    })
}

/// Sends one partition and answers it.
fn one(version: i16, reply: Result<Appended, Refusal>) -> (i16, PartitionProduceResponse) {
    let mut world = World::new();
    let (_, answer) = world.call(
        version,
        &request(&[("orders", 0, batch(b"v"))]),
        Reply::Appended(vec![reply]),
    );
    let part = answer.responses[0].partition_responses[0].clone();
    (part.error_code, part)
}

/// Sends one partition that is refused without the shard.
fn refused(version: i16, name: &str, batch: Batch) -> PartitionProduceResponse {
    let mut world = World::new();
    let answer = world.ask(version, &request(&[(name, 0, batch)]));
    assert!(world.command().is_none());
    answer.responses[0].partition_responses[0].clone()
}

#[test]
fn an_appended_batch_is_answered_with_its_place() {
    for version in 3..=13 {
        let (code, part) = one(version, at(77));
        assert_eq!((code, part.base_offset), (0, 77));
        assert_eq!(part.log_start_offset, if version >= 5 { 2 } else { -1 });
        assert_eq!(part.log_append_time_ms, -1);
    }
    let stamped = Appended {
        base_offset: Offset(0),
        append_time: Some(WallMs(123)),
        start_offset: Offset(0),
    };
    assert_eq!(one(8, Ok(stamped)).1.log_append_time_ms, 123);
}

#[test]
fn acks_and_time_out_reach_the_shard() {
    for (acks, expected) in [(-1, Acks::All), (1, Acks::Leader)] {
        let mut world = World::new();
        let mut asked = request(&[("orders", 1, batch(b"v"))]);
        asked.acks = acks;
        let (command, _) = world.call(9, &asked, Reply::Appended(vec![at(0)]));
        let Command::Append {
            acks,
            deadline,
            parts,
        } = command
        else {
            panic!("not an append")
        };
        assert_eq!(acks, expected);
        assert_eq!(deadline, NOW.mono.after(std::time::Duration::from_secs(1)));
        assert_eq!(parts[0].group, base::GroupId(2));
    }
}

#[test]
fn unknown_acks_are_refused_for_each_partition() {
    let mut asked = request(&[("orders", 0, batch(b"v")), ("orders", 1, batch(b"v"))]);
    asked.acks = 2;
    let mut world = World::new();
    let answer = world.ask(9, &asked);
    assert!(world.command().is_none());
    for topic in answer.responses {
        assert_eq!(topic.partition_responses[0].error_code, 21);
    }
}

#[test]
fn parts_keep_their_order_whoever_refuses_them() {
    let parts = [
        ("nope", 0, batch(b"v")),
        ("orders", 0, batch(b"v")),
        ("small", 0, batch(&[1; 200])),
        ("orders", 1, batch(b"v")),
        ("orders", 9, batch(b"v")),
        ("far", 0, batch(b"v")),
    ];
    let mut world = World::new();
    let reply = Reply::Appended(vec![at(10), Err(Refusal::OutOfOrderSequence("gap".into()))]);
    let (_, answer) = world.call(10, &request(&parts), reply);
    let told = answer.responses.iter().flat_map(|topic| {
        let parts = topic.partition_responses.iter();
        parts.map(|part| (topic.name.as_str(), part.error_code))
    });
    let codes: Vec<(&str, i16)> = told.collect();
    let expected = [
        ("nope", 3),
        ("orders", 0),
        ("small", 10),
        ("orders", 45),
        ("orders", 3),
        ("far", 6),
    ];
    assert_eq!(codes, expected);
    assert_eq!(
        answer.responses[3].partition_responses[0]
            .error_message
            .as_deref(),
        Some("gap")
    );
}

#[test]
fn topics_go_by_id_from_version_13() {
    let mut asked = request(&[("orders", 0, batch(b"v"))]);
    let (_, answer) = World::new().call(13, &asked, Reply::Appended(vec![at(3)]));
    assert_eq!(answer.responses[0].topic_id, id_of("orders"));
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 3);
    asked.topic_data[0].topic_id = Uuid([9; 16]);
    let answer = World::new().ask(13, &asked);
    assert_eq!(answer.responses[0].topic_id, Uuid([9; 16]));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 100);
}

#[test]
fn a_refusal_for_the_leader_tells_who_it_is() {
    let (code, part) = one(
        10,
        Err(Refusal::NotLeader {
            leader: Some((THERE, Term(9))),
        }),
    );
    assert_eq!(
        (
            code,
            part.current_leader.leader_id,
            part.current_leader.leader_epoch
        ),
        (6, 2, 9)
    );
    let mut world = World::new();
    let answer = world.ask(10, &request(&[("far", 0, batch(b"v"))]));
    let part = &answer.responses[0].partition_responses[0];
    assert_eq!((part.error_code, part.current_leader.leader_epoch), (6, 7));
    let node = &answer.node_endpoints[0];
    assert_eq!(
        (node.node_id, node.host.as_str(), node.port),
        (2, "there", 9092)
    );
    // Older versions have no place for it.
    assert!(
        World::new()
            .ask(9, &request(&[("far", 0, batch(b"v"))]))
            .node_endpoints
            .is_empty()
    );
    let (code, part) = one(10, Err(Refusal::NotLeader { leader: None }));
    assert_eq!((code, part.current_leader.leader_id), (6, -1));
}

#[test]
fn the_leader_comes_before_what_is_wrong_with_the_batch() {
    let mut broken = batch(b"v").to_bytes().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    let mut asked = request(&[("moved", 0, batch(b"v"))]);
    asked.topic_data[0].partition_data[0].records = Some(bytes::Bytes::from(broken).into());
    let answer = World::new().ask(10, &asked);
    let part = &answer.responses[0].partition_responses[0];
    assert_eq!((part.error_code, part.current_leader.leader_id), (6, 2));
}

#[test]
fn records_are_blamed_one_by_one_from_version_8() {
    let mut keyless = Builder::new(NOW.wall.0);
    keyless.push(NOW.wall.0, Some(b"k"), None, &[]);
    keyless.push(NOW.wall.0, None, None, &[]);
    let keyless = keyless.build();
    let part = refused(8, "keyed", keyless.clone());
    assert_eq!((part.error_code, part.base_offset), (87, -1));
    assert_eq!(part.record_errors.len(), 1);
    assert_eq!(part.record_errors[0].batch_index, 1);
    assert!(part.error_message.is_some());
    let part = refused(7, "keyed", keyless);
    assert_eq!(
        (
            part.error_code,
            part.record_errors.len(),
            part.error_message
        ),
        (87, 0, None)
    );
}

#[test]
fn broken_message_sets_and_transactions_are_refused() {
    let mut asked = request(&[("orders", 0, batch(b"v"))]);
    let mut old = batch(b"v").to_bytes().to_vec();
    old[16] = 1;
    asked.topic_data[0].partition_data[0].records = Some(bytes::Bytes::from(old).into());
    for (version, code) in [(0, 2), (2, 2), (3, 87)] {
        let answer = World::new().ask(version, &asked);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, code);
    }
    let mut transactional =
        Builder::new(NOW.wall.0)
            .attributes(0x10)
            .producer(base::ProducerId(5), 0, 0);
    transactional.push(NOW.wall.0, None, None, &[]);
    assert_eq!(refused(9, "orders", transactional.build()).error_code, 35);
}

#[test]
fn null_records_are_refused_not_ignored() {
    let mut asked = request(&[("orders", 0, batch(b"v"))]);
    asked.topic_data[0].partition_data[0].records = None;
    let answer = World::new().ask(9, &asked);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 87);
}

#[test]
fn a_shards_refusals_have_kafkas_codes() {
    let text = || "why".to_owned();
    let rows = [
        (Refusal::NotEnoughReplicas { min: 2 }, 19),
        (Refusal::NotEnoughReplicasAfterAppend { min: 2 }, 20),
        (Refusal::Timeout, 7),
        (Refusal::Busy(text()), 7),
        (Refusal::DuplicateSequence, 46),
        (
            Refusal::InvalidProducerEpoch {
                epoch: 1,
                current: 2,
            },
            47,
        ),
        (Refusal::UnknownProducer, 59),
        (Refusal::Storage(text()), 56),
        (Refusal::NoRoomElsewhere(text()), 19),
        (Refusal::LeaderNotAvailable, 6),
        (Refusal::UnknownTopic, 3),
        (Refusal::MessageTooLarge { bytes: 2, limit: 1 }, 10),
    ];
    for (refusal, expected) in rows {
        let (code, part) = one(9, Err(refusal.clone()));
        assert_eq!(code, expected, "{refusal:?}");
        assert_eq!(
            (
                part.base_offset,
                part.log_append_time_ms,
                part.log_start_offset
            ),
            (-1, -1, -1)
        );
        assert_eq!(part.error_message, crate::refusals::message(&refusal));
    }
}
