//! Fetch: batches from memory and from files, limits, sessions, hints.

use crate::testing::{NOW, TERM, THERE, World, batch, id_of};
use base::{Batch, GroupId, Offset, Refusal, Term};
use log::ReadPlan;
use shard::{Command, ReadAnswer, Reply};
use std::time::Duration;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::{FetchResponse, PartitionData};
use wire_kafka::{ApiKey, Records};

pub(super) fn part(partition: i32, fetch_offset: i64) -> FetchPartition {
    let partition_max_bytes = 1 << 20;
    FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes,
        ..Default::default()
    }
}

pub(super) fn request(topics: &[(&str, &[FetchPartition])]) -> FetchRequest {
    let topic = |(name, partitions): &(&str, &[FetchPartition])| FetchTopic {
        topic: name.to_string(),
        topic_id: id_of(name),
        partitions: partitions.to_vec(),
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

pub(super) fn found(hot: Vec<Batch>, cold: Option<ReadPlan>) -> Result<ReadAnswer, Refusal> {
    let (high_watermark, start_offset) = (Offset(9), Offset(1));
    let last_stable = high_watermark;
    Ok(ReadAnswer {
        high_watermark,
        last_stable,
        start_offset,
        diverging: None,
        hot,
        cold,
    })
}

pub(super) fn first(answer: &FetchResponse) -> &PartitionData {
    &answer.responses[0].partitions[0]
}

pub(super) fn bytes_of(part: &PartitionData) -> Vec<u8> {
    part.records
        .as_ref()
        .map(Records::to_bytes)
        .unwrap_or_default()
        .to_vec()
}

#[test]
fn hot_batches_are_sent_as_they_are() {
    let batches = vec![batch(b"a"), batch(&[2; 5000])];
    let expected = [batches[0].to_bytes(), batches[1].to_bytes()].concat();
    for version in 4..=18 {
        let reply = Reply::Read(vec![found(batches.clone(), None)]);
        let asked = request(&[("orders", &[part(0, 0)])]);
        let (_, answer) = World::new().call(version, &asked, reply);
        let part = first(&answer);
        assert_eq!(
            (
                part.error_code,
                part.high_watermark,
                part.last_stable_offset
            ),
            (0, 9, 9)
        );
        assert_eq!(part.log_start_offset, if version >= 5 { 1 } else { -1 });
        assert_eq!(bytes_of(part), expected);
        assert_eq!((answer.session_id, answer.error_code), (0, 0));
        if version >= 13 {
            assert_eq!(answer.responses[0].topic_id, id_of("orders"));
        }
    }
}

#[test]
fn limits_and_epochs_reach_the_shard() {
    let mut asked = request(&[("orders", &[part(1, 42)])]);
    (asked.min_bytes, asked.max_bytes) = (100_000, 5000);
    let place = &mut asked.topics[0].partitions[0];
    (place.current_leader_epoch, place.last_fetched_epoch) = (5, 4);
    let reply = || Reply::Read(vec![found(Vec::new(), None)]);
    let (command, _) = World::new().call(12, &asked, reply());
    let Command::Read {
        bytes_min,
        bytes_max,
        deadline,
        parts,
    } = command
    else {
        panic!()
    };
    assert_eq!(
        (bytes_min, bytes_max),
        (5000, 5000),
        "more than there may be isn't waited for"
    );
    assert_eq!(deadline, NOW.mono.after(Duration::from_millis(500)));
    assert_eq!((parts[0].group, parts[0].offset), (GroupId(2), Offset(42)));
    assert_eq!(
        (parts[0].leader_epoch, parts[0].last_fetched_epoch),
        (Some(5), Some(4))
    );

    let mut asked = request(&[("orders", &[part(1, 42)])]);
    (asked.min_bytes, asked.max_bytes, asked.max_wait_ms) = (-1, i32::MAX, -1);
    asked.topics[0].partitions[0].partition_max_bytes = -1;
    let (command, _) = World::new().call(8, &asked, reply());
    let Command::Read {
        bytes_min,
        bytes_max,
        deadline,
        parts,
    } = command
    else {
        panic!()
    };
    assert_eq!((bytes_min, bytes_max, deadline), (0, 55 << 20, NOW.mono));
    assert_eq!(
        (parts[0].leader_epoch, parts[0].last_fetched_epoch),
        (None, None)
    );
    assert_eq!(parts[0].bytes_max, 0);
}

#[test]
fn nothing_new_is_an_empty_list_of_records() {
    let asked = request(&[("orders", &[part(0, 9)])]);
    let reply = Reply::Read(vec![found(Vec::new(), None)]);
    let (_, answer) = World::new().call(11, &asked, reply);
    assert_eq!(first(&answer).records, Some(Records::EMPTY));
    assert_eq!(first(&answer).aborted_transactions, None);
    let mut committed = request(&[("orders", &[part(0, 9)])]);
    committed.isolation_level = 1;
    let reply = Reply::Read(vec![found(Vec::new(), None)]);
    let (_, answer) = World::new().call(11, &committed, reply);
    assert_eq!(first(&answer).aborted_transactions, Some(Vec::new()));
}

#[test]
fn in_a_session_only_changes_are_asked_and_told() {
    let mut world = World::new();
    let mut open = request(&[("orders", &[part(0, 9), part(1, 9)])]);
    open.session_epoch = 0;
    let nothing = || found(Vec::new(), None);
    let (_, answer) = world.call(11, &open, Reply::Read(vec![nothing(), nothing()]));
    assert_eq!(answer.responses[0].partitions.len(), 2, "all of it is news");
    let id = answer.session_id;
    assert_ne!(id, 0);

    let mut next = request(&[]);
    (next.session_id, next.session_epoch) = (id, 1);
    let reply = Reply::Read(vec![nothing(), found(vec![batch(b"new")], None)]);
    let (command, answer) = world.call(11, &next, reply);
    let Command::Read { parts, .. } = command else {
        panic!("both are read")
    };
    assert_eq!(parts.len(), 2);
    let told: Vec<i32> = answer.responses[0]
        .partitions
        .iter()
        .map(|p| p.partition_index)
        .collect();
    assert_eq!((answer.session_id, told), (id, vec![1]));

    let again = world.ask(11, &next);
    assert_eq!(again.error_code, 71, "the epoch was used");
}

#[test]
fn a_session_that_is_not_there_is_not_found() {
    for (id, epoch) in [(0, 5), (7, 1)] {
        let mut asked = request(&[("orders", &[part(0, 0)])]);
        (asked.session_id, asked.session_epoch) = (id, epoch);
        let answer = World::new().ask(11, &asked);
        assert_eq!((answer.error_code, answer.responses.len()), (70, 0));
    }
    let mut asked = request(&[("orders", &[part(0, 0)])]);
    (asked.session_id, asked.session_epoch) = (7, -1);
    let reply = Reply::Read(vec![found(Vec::new(), None)]);
    let (_, answer) = World::new().call(11, &asked, reply);
    assert_eq!((answer.error_code, answer.session_id), (0, 0));
    assert_eq!(answer.responses.len(), 1);
}

#[test]
fn parts_keep_their_order_whoever_refuses_them() {
    let asked = request(&[
        ("nope", &[part(0, 0)]),
        ("orders", &[part(0, 0), part(9, 0), part(1, 0)]),
        ("far", &[part(0, 0)]),
    ]);
    let reply = Reply::Read(vec![
        found(vec![batch(b"a")], None),
        Err(Refusal::OffsetOutOfRange),
    ]);
    let (_, answer) = World::new().call(11, &asked, reply);
    let codes: Vec<i16> = answer
        .responses
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [3, 0, 3, 1, 6]);
    let out_of_range = &answer.responses[1].partitions[2];
    let known = (out_of_range.high_watermark, out_of_range.log_start_offset);
    assert_eq!(known, (-1, -1));
    assert_eq!(out_of_range.records, Some(Records::EMPTY));
}

#[test]
fn an_unknown_topic_id_is_told_per_partition() {
    let mut asked = request(&[("orders", &[part(0, 0)])]);
    asked.topics[0].topic_id = base::Uuid([9; 16]);
    let answer = World::new().ask(13, &asked);
    assert_eq!((answer.error_code, first(&answer).error_code), (0, 100));
}

#[test]
fn a_refusal_for_the_leader_tells_who_it_is() {
    let asked = request(&[
        ("orders", &[part(0, 0), part(1, 0)]),
        ("far", &[part(0, 0)]),
    ]);
    let reply = || {
        Reply::Read(vec![
            Err(Refusal::NotLeader {
                leader: Some((THERE, Term(9))),
            }),
            Err(Refusal::FencedLeaderEpoch),
        ])
    };
    let (_, answer) = World::new().call(16, &asked, reply());
    let leaders: Vec<(i16, i32, i32)> = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|p| {
            (
                p.error_code,
                p.current_leader.leader_id,
                p.current_leader.leader_epoch,
            )
        })
        .collect();
    assert_eq!(leaders, [(6, 2, 9), (74, 1, TERM.epoch()), (6, 2, 7)]);
    let nodes: Vec<i32> = answer
        .node_endpoints
        .iter()
        .map(|node| node.node_id)
        .collect();
    assert_eq!(nodes, [2, 1]);
    let (_, answer) = World::new().call(15, &asked, reply());
    assert!(answer.node_endpoints.is_empty());
    assert_eq!(first(&answer).current_leader.leader_id, -1);
}

#[test]
fn divergence_is_told() {
    let mut diverged = found(Vec::new(), None);
    diverged.as_mut().unwrap().diverging = Some((3, Offset(17)));
    let asked = request(&[("orders", &[part(0, 20)])]);
    let (_, answer) = World::new().call(12, &asked, Reply::Read(vec![diverged]));
    let told = &first(&answer).diverging_epoch;
    assert_eq!(
        (told.epoch, told.end_offset, first(&answer).error_code),
        (3, 17, 0)
    );
}

/// Three batches in files, and a plan that reads them.
fn stored(world: &mut World, bytes_max: u32) -> (Vec<u8>, ReadPlan) {
    let mut batches = vec![batch(b"a"), batch(&[2; 3000]), batch(b"c")];
    let log = world.store(GroupId(1), &batches);
    batches
        .iter_mut()
        .zip(0..)
        .for_each(|(batch, at)| batch.stamp(Offset(at), TERM));
    let whole = batches
        .iter()
        .map(Batch::to_bytes)
        .collect::<Vec<_>>()
        .concat();
    (whole, log.plan_read(Offset(0), Offset(3), bytes_max))
}

#[test]
fn what_lies_in_files_is_read_at_once_if_nothing_has_to_be_waited_for() {
    let mut world = World::new();
    let (expected, plan) = stored(&mut world, 1 << 20);
    let asked = request(&[("orders", &[part(0, 0)])]);
    let (_, answer) = world.call(11, &asked, Reply::Read(vec![found(Vec::new(), Some(plan))]));
    assert_eq!(bytes_of(first(&answer)), expected);
    assert!(world.out.cold.is_empty());
}

#[test]
fn the_first_batch_is_whole_however_small_the_limit() {
    let mut world = World::new();
    let (expected, plan) = stored(&mut world, 1);
    let asked = request(&[("orders", &[part(0, 0)])]);
    let (_, answer) = world.call(11, &asked, Reply::Read(vec![found(Vec::new(), Some(plan))]));
    let len = batch(b"a").len();
    assert_eq!(bytes_of(first(&answer)), expected[..len]);
}

#[test]
fn what_would_wait_is_handed_out_and_later_answers_wait_for_it() {
    let mut world = World::new();
    let (expected, plan) = stored(&mut world, 1 << 20);
    world.disk.slow_down();
    world.send(11, &request(&[("orders", &[part(0, 0), part(1, 0)])]));
    let (_, to) = world.command().unwrap();
    let hot = found(vec![batch(b"hot")], None);
    world.reply(to, Reply::Read(vec![found(Vec::new(), Some(plan)), hot]));
    world.send(
        0,
        &wire_kafka::messages::api_versions_request::ApiVersionsRequest::default(),
    );
    assert!(world.frames().is_empty());
    assert_eq!(world.out.cold.len(), 1);
    world.read_cold();
    let frames = world.frames();
    assert_eq!(frames.len(), 2);
    let (_, answer): (_, FetchResponse) = crate::testing::decode(ApiKey::Fetch, 11, &frames[0]);
    assert_eq!(bytes_of(first(&answer)), expected);
    let second = &answer.responses[0].partitions[1];
    assert_eq!(bytes_of(second), batch(b"hot").to_bytes());
}

#[test]
fn rotten_bytes_are_never_served() {
    for slow in [false, true] {
        for (version, code) in [(11, 56), (5, 6)] {
            let mut world = World::new();
            let (_, plan) = stored(&mut world, 1 << 20);
            world.disk.rot();
            if slow {
                world.disk.slow_down();
            }
            world.send(version, &request(&[("orders", &[part(0, 0)])]));
            world.answer_with(Reply::Read(vec![found(Vec::new(), Some(plan))]));
            world.read_cold();
            let answer: FetchResponse = world.answer(ApiKey::Fetch, version);
            assert_eq!(first(&answer).error_code, code);
            assert!(bytes_of(first(&answer)).is_empty());
            let note = world.out.notes.concat();
            assert!(
                note.contains("groups/1/") && note.contains("corrupt at byte"),
                "{note}"
            );
            let (looks, _) = world.command().expect("the shard is told");
            assert!(matches!(looks, Command::Check { group, .. } if group == GroupId(1)));
        }
    }
}

#[test]
fn with_no_memory_left_the_first_batch_is_answered_and_nothing_else() {
    let mut world = World::new();
    let node = world.broker.answers().clone();
    let _all = node.take(node.limit()).unwrap();
    let asked = request(&[("orders", &[part(0, 0), part(1, 0)])]);
    let hot = || found(vec![batch(&[1; 9000]), batch(b"more")], None);
    let (_, answer) = world.call(11, &asked, Reply::Read(vec![hot(), hot()]));
    let parts = &answer.responses[0].partitions;
    assert_eq!(bytes_of(&parts[0]), batch(&[1; 9000]).to_bytes());
    assert_eq!((parts[1].error_code, bytes_of(&parts[1])), (0, Vec::new()));

    let (expected, plan) = stored(&mut world, 1 << 20);
    let cold = || found(Vec::new(), Some(plan.clone()));
    let parts = vec![found(Vec::new(), None), cold(), cold()];
    let two = [part(0, 9), part(1, 0)];
    let asked = request(&[("orders", &two), ("keyed", &[part(0, 0)])]);
    let (_, answer) = world.call(11, &asked, Reply::Read(parts));
    let parts = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<_> = parts.map(bytes_of).collect();
    assert!(told == [Vec::new(), expected, Vec::new()], "one block");
    assert_eq!(node.used(), node.limit());
}

#[test]
fn records_count_until_they_are_written_and_no_more_are_held_than_a_connection_may() {
    let mut world = World::new();
    let node = world.broker.answers().clone();
    let asked = request(&[("orders", &[part(0, 0)])]);
    for _ in 0..3 {
        world.send(11, &asked);
    }
    let large = vec![7; crate::ANSWER_BYTES_MAX + 1];
    let callers: Vec<_> = (0..3)
        .map(|_| world.command().unwrap().1.unwrap())
        .collect();
    // The second is answered first: what is ready counts too.
    for at in [1, 0, 2] {
        let reply = Reply::Read(vec![found(vec![batch(&large)], None)]);
        world.connection.on_reply(NOW, callers[at].ticket, reply);
        assert!(node.used() > large.len() as u64);
        assert!(!world.connection.wants_bytes());
    }
    let out = world.connection.take();
    let bytes: usize = out.bytes.iter().map(|piece| piece.len()).sum();
    assert!(
        (large.len()..large.len() + 1000).contains(&bytes),
        "{bytes}"
    );
    assert!(!world.connection.wants_bytes(), "nothing is written yet");
    drop(out);
    assert_eq!(node.used(), 0);
    world.connection.resume(NOW);
    assert!(world.connection.wants_bytes());
}

#[test]
fn a_cold_read_counts_from_before_it_begins() {
    let mut world = World::new();
    let (expected, plan) = stored(&mut world, 1 << 20);
    world.disk.slow_down();
    world.send(11, &request(&[("orders", &[part(0, 0)])]));
    world.answer_with(Reply::Read(vec![found(Vec::new(), Some(plan))]));
    assert_eq!(world.out.cold.len(), 1);
    assert_eq!(world.broker.answers().used(), expected.len() as u64);
    world.read_cold();
    let answer: FetchResponse = world.answer(ApiKey::Fetch, 11);
    assert_eq!(bytes_of(first(&answer)), expected);
    assert_eq!(world.broker.answers().used(), 0);
}

#[test]
fn nobody_waits_longer_than_a_minute() {
    let mut asked = request(&[("orders", &[part(0, 0)])]);
    asked.max_wait_ms = i32::MAX;
    let reply = Reply::Read(vec![found(Vec::new(), None)]);
    let (command, _) = World::new().call(11, &asked, reply);
    let Command::Read { deadline, .. } = command else {
        panic!()
    };
    assert_eq!(deadline, NOW.mono.after(Duration::from_secs(60)));
}

#[test]
fn who_keeps_a_fetch_learns_that_its_connection_is_gone() {
    let mut world = World::new();
    // One part is refused by the broker, so that the reply goes through its hands.
    let asked = request(&[("orders", &[part(0, 0)]), ("none", &[part(0, 0)])]);
    world.send(11, &asked);
    let to = world.command().unwrap().1.unwrap();
    assert!(!to.sink.is_gone());
    world.connection = world.connect();
    assert!(to.sink.is_gone());
}

#[test]
fn a_connection_waits_for_only_so_many_partitions() {
    let mut world = World::new();
    let parts: Vec<_> = (0..6_000).map(|partition| part(partition, 0)).collect();
    let asked = request(&[("orders", &parts)]);
    for _ in 0..3 {
        world.send(11, &asked);
    }
    let (_, first) = world.command().expect("served");
    let (_, second) = world.command().expect("served");
    assert!(world.command().is_none(), "two of them wait");
    assert!(!world.connection.wants_bytes());
    let none = || Reply::Read((0..3).map(|_| found(Vec::new(), None)).collect());
    world.reply(first, none());
    assert!(world.command().is_some(), "the third is served");
    world.reply(second, none());
}
