//! ListOffsets and OffsetForLeaderEpoch.

use crate::testing::{NOW, TERM, World};
use base::record::Builder;
use base::{Batch, GroupId, Offset, Refusal};
use log::TimeQuery;
use shard::{Command, OffsetAnswer, OffsetQuery, Reply};
use wire_kafka::ApiKey;
use wire_kafka::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire_kafka::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse,
};
use wire_kafka::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

fn request(parts: &[(&str, i32, i64)]) -> ListOffsetsRequest {
    let topic = |(name, partition_index, timestamp): &(&str, i32, i64)| ListOffsetsTopic {
        name: name.to_string(),
        partitions: vec![ListOffsetsPartition {
            partition_index: *partition_index,
            timestamp: *timestamp,
            ..Default::default()
        }],
    };
    let topics = parts.iter().map(topic).collect();
    ListOffsetsRequest {
        replica_id: -1,
        topics,
        ..Default::default()
    }
}

fn known(offset: i64, leader_epoch: i32) -> Result<OffsetAnswer, Refusal> {
    Ok(OffsetAnswer::Known {
        offset: Offset(offset),
        timestamp: -1,
        leader_epoch,
    })
}

fn parts(answer: &ListOffsetsResponse) -> Vec<&ListOffsetsPartitionResponse> {
    answer
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .collect()
}

#[test]
fn each_sign_asks_for_its_offset_in_the_versions_that_have_it() {
    let rows = [
        (1, -1, OffsetQuery::Latest),
        (1, -2, OffsetQuery::Earliest),
        (1, 0, OffsetQuery::AtTime(0)),
        (5, 99, OffsetQuery::AtTime(99)),
        (7, -3, OffsetQuery::MaxTimestamp),
        (8, -4, OffsetQuery::Earliest),
        (11, -4, OffsetQuery::Earliest),
    ];
    for (version, timestamp, expected) in rows {
        let asked = request(&[("orders", 0, timestamp)]);
        let reply = Reply::Offsets(vec![known(12, 4)]);
        let (command, answer) = World::new().call(version, &asked, reply);
        let Command::Offsets { parts: sent } = command else {
            panic!("not a question")
        };
        assert_eq!(sent[0].query, expected);
        let told = parts(&answer)[0];
        assert_eq!((told.error_code, told.offset, told.timestamp), (0, 12, -1));
        assert_eq!(told.leader_epoch, if version >= 4 { 4 } else { -1 });
    }
}

#[test]
fn version_0_is_answered_with_as_many_offsets_as_it_asks_for() {
    let segments = |until, most| OffsetQuery::Segments { until, most };
    let rows = [
        (-1, 1, OffsetQuery::Latest),
        (-1, 3, segments(i64::MAX, 3)),
        (-1, -1, segments(i64::MAX, 0)),
        (-2, 5, OffsetQuery::Earliest),
        (-2, 0, segments(i64::MAX, 0)),
        (99, 2, segments(99, 2)),
    ];
    for (timestamp, most, expected) in rows {
        let mut asked = request(&[("nope", 0, -1), ("orders", 0, timestamp)]);
        asked.topics[1].partitions[0].max_num_offsets = most;
        let (answer, offsets) = match expected {
            OffsetQuery::Segments { .. } => {
                let begins = vec![Offset(30), Offset(12)];
                (Ok(OffsetAnswer::Segments(begins)), vec![30, 12])
            }
            _ => (known(12, 4), vec![12]),
        };
        let (command, answer) = World::new().call(0, &asked, Reply::Offsets(vec![answer]));
        let Command::Offsets { parts: sent } = command else {
            panic!("not a question")
        };
        assert_eq!(sent[0].query, expected);
        let told = parts(&answer);
        assert_eq!((told[0].error_code, told[1].error_code), (3, 0));
        assert_eq!(told[1].old_style_offsets, offsets);
        assert!(told[0].old_style_offsets.is_empty());
    }
}

#[test]
fn signs_that_a_version_lacks_are_refused_and_remote_ones_are_empty() {
    let rows = [
        (6, -3, 35),
        (7, -4, 35),
        (8, -5, 35),
        (10, -6, 35),
        (11, -7, 35),
        (1, -9, 35),
    ];
    for (version, timestamp, code) in rows {
        let mut world = World::new();
        let answer = world.ask(version, &request(&[("orders", 0, timestamp)]));
        assert!(world.command().is_none());
        let told = parts(&answer)[0];
        assert_eq!(
            (told.error_code, told.offset, told.timestamp),
            (code, -1, -1)
        );
    }
    for (version, timestamp) in [(9, -5), (11, -6)] {
        for (found, code) in [(known(12, 4), 0), (Err(Refusal::UnknownLeaderEpoch), 75)] {
            let asked = request(&[("orders", 0, timestamp), ("nope", 0, timestamp)]);
            let (_, answer) = World::new().call(version, &asked, Reply::Offsets(vec![found]));
            let told = parts(&answer)[0];
            assert_eq!((told.error_code, told.offset), (code, -1));
            assert_eq!((told.timestamp, told.leader_epoch), (-1, -1));
            assert_eq!(parts(&answer)[1].error_code, 3);
        }
    }
}

#[test]
fn doubles_are_invalid_and_the_rest_is_answered() {
    let asked = request(&[
        ("orders", 0, -1),
        ("orders", 1, -1),
        ("nope", 0, -1),
        ("orders", 0, -2),
        ("orders", 2, -7),
        ("far", 0, -1),
    ]);
    let (command, answer) = World::new().call(5, &asked, Reply::Offsets(vec![known(4, 5)]));
    let Command::Offsets { parts: sent } = command else {
        panic!("not a question")
    };
    assert_eq!(sent.len(), 1);
    let codes: Vec<i16> = parts(&answer).iter().map(|part| part.error_code).collect();
    // What is named twice is answered once.
    assert_eq!(codes, [42, 0, 3, 35, 6]);
    assert_eq!(parts(&answer)[1].offset, 4);
}

#[test]
fn leader_epochs_and_refusals_pass() {
    let mut asked = request(&[("orders", 0, -1)]);
    asked.topics[0].partitions[0].current_leader_epoch = 3;
    for (refusal, code) in [
        (Refusal::FencedLeaderEpoch, 74),
        (Refusal::UnknownLeaderEpoch, 75),
        (Refusal::OffsetNotAvailable, 78),
        (Refusal::LeaderNotAvailable, 6),
    ] {
        let (command, answer) = World::new().call(5, &asked, Reply::Offsets(vec![Err(refusal)]));
        let Command::Offsets { parts: sent } = command else {
            panic!("not a question")
        };
        assert_eq!(sent[0].leader_epoch, Some(3));
        let told = parts(&answer)[0];
        assert_eq!(
            (told.error_code, told.offset, told.leader_epoch),
            (code, -1, -1)
        );
    }
}

#[test]
fn an_offset_that_is_not_there_yet_is_told_in_codes_that_the_version_knows() {
    for version in 0..=11 {
        let refused = Reply::Offsets(vec![Err(Refusal::OffsetNotAvailable)]);
        let (_, answer) = World::new().call(version, &request(&[("orders", 0, -1)]), refused);
        let code = if version < 5 { 5 } else { 78 };
        assert_eq!(parts(&answer)[0].error_code, code, "{version}");
    }
}

fn stamped(attributes: i16, times: &[i64]) -> Batch {
    let mut builder = Builder::new(NOW.wall.0 + times[0]).attributes(attributes);
    times
        .iter()
        .for_each(|time| builder.push(NOW.wall.0 + time, None, Some(b"v"), &[]));
    if attributes == 0 {
        return builder.build();
    }
    let compression = base::batch::Compression::Gzip;
    let body = wire_kafka::compress::compress(compression, builder.record_bytes()).unwrap();
    builder.build_with_body(body)
}

#[test]
fn a_time_is_looked_up_off_the_loop_also_in_compressed_batches() {
    for attributes in [0, 1] {
        let mut world = World::new();
        let batches = [stamped(0, &[0, 10]), stamped(attributes, &[20, 30, 40])];
        let log = world.store(GroupId(1), &batches);
        let at = |ms: i64| TimeQuery::At(NOW.wall.0 + ms);
        let search = |query| {
            let plan = log.plan_time(query, Offset(5));
            Ok(OffsetAnswer::Search {
                plan,
                leader_epoch: TERM.epoch(),
            })
        };
        world.send(
            5,
            &request(&[("orders", 0, 25), ("orders", 1, -1), ("orders", 2, 99)]),
        );
        world.answer_with(Reply::Offsets(vec![
            search(at(25)),
            known(7, 2),
            search(at(99)),
        ]));
        assert!(world.frames().is_empty(), "the look-up isn't done");
        world.read_cold();
        let answer: ListOffsetsResponse = world.answer(ApiKey::ListOffsets, 5);
        let told: Vec<(i16, i64, i64, i32)> = parts(&answer)
            .iter()
            .map(|p| (p.error_code, p.offset, p.timestamp, p.leader_epoch))
            .collect();
        let found = (0, 3, NOW.wall.0 + 30, TERM.epoch());
        assert_eq!(told, [found, (0, 7, -1, 2), (0, -1, -1, -1)]);
    }
}

/// Others' reads wait behind each step, not behind the whole.
#[test]
fn many_look_ups_are_done_step_by_step() {
    let mut world = World::new();
    let log = world.store(GroupId(1), &[stamped(0, &[0, 10])]);
    let mut read = crate::ColdRead::new(world.storage.files());
    for at in 0..70 {
        let late = TimeQuery::At(NOW.wall.0 + 10);
        read.time(at, log.plan_time(late, Offset(2)));
    }
    let rest = read.step().expect_err("two steps more");
    let rest = rest.step().expect_err("one step more");
    let found = rest.step().expect("that was all").0;
    assert!(found.iter().map(|(at, _)| *at).eq(0..70));
    assert!(
        found
            .iter()
            .all(|(_, found)| matches!(found, Ok(crate::cold::Found::Time(Some((Offset(1), _))))))
    );
}

#[test]
fn rot_under_a_look_up_is_told() {
    let mut world = World::new();
    let log = world.store(GroupId(1), &[stamped(0, &[0, 10])]);
    world.disk.rot();
    let plan = log.plan_time(TimeQuery::Max, Offset(2));
    world.send(7, &request(&[("orders", 0, -3)]));
    world.answer_with(Reply::Offsets(vec![Ok(OffsetAnswer::Search {
        plan,
        leader_epoch: 5,
    })]));
    world.read_cold();
    let answer: ListOffsetsResponse = world.answer(ApiKey::ListOffsets, 7);
    assert_eq!(
        (parts(&answer)[0].error_code, parts(&answer)[0].offset),
        (56, -1)
    );
    assert!(world.out.notes.concat().contains("corrupt at byte"));
    let (looks, _) = world.command().expect("the shard is told");
    assert!(matches!(looks, Command::Check { group, .. } if group == GroupId(1)));
}

#[test]
fn the_end_of_a_leader_epoch_is_told() {
    let part = |partition, current_leader_epoch| OffsetForLeaderPartition {
        partition,
        current_leader_epoch,
        leader_epoch: 3,
    };
    let topics = vec![OffsetForLeaderTopic {
        topic: "orders".to_owned(),
        partitions: vec![part(0, -1), part(7, -1), part(1, 4)],
    }];
    for version in 2..=4 {
        let asked = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: topics.clone(),
        };
        let reply = Reply::EpochEnds(vec![Ok((2, Offset(50))), Err(Refusal::FencedLeaderEpoch)]);
        let (command, answer) = World::new().call(version, &asked, reply);
        let Command::EpochEnds { parts } = command else {
            panic!("not a question")
        };
        let sent: Vec<_> = parts
            .iter()
            .map(|p| (p.group, p.current_epoch, p.epoch))
            .collect();
        assert_eq!(sent, [(GroupId(1), None, 3), (GroupId(2), Some(4), 3)]);
        let told: Vec<_> = answer.topics[0]
            .partitions
            .iter()
            .map(|p| (p.partition, p.error_code, p.leader_epoch, p.end_offset))
            .collect();
        assert_eq!(told, [(0, 0, 2, 50), (7, 3, -1, -1), (1, 74, -1, -1)]);
    }
}
