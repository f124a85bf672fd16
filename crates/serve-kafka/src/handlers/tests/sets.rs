//! Fetches of clients that read message sets.

use super::fetch::{bytes_of, first, found, part, request};
use crate::testing::{NOW, TERM, World, batch};
use base::batch::Compression;
use base::record::Builder;
use base::{Batch, GroupId, Mono, Offset};
use shard::{Command, Reply};
use std::time::Duration;
use wire_kafka::messages::fetch_request::FetchPartition;
use wire_kafka::messages::fetch_response::FetchResponse;
use wire_kafka::{ApiKey, compress};

#[test]
fn message_sets_end_where_their_room_does() {
    let value = vec![0; 60 << 20];
    let mut builder = Builder::new(NOW.wall.0);
    builder.push(NOW.wall.0, None, Some(&value), &[]);
    let packed = compress::compress(Compression::Zstd, builder.record_bytes()).unwrap();
    let large = builder
        .compression(Compression::Zstd)
        .build_with_body(packed);
    let asked = request(&[("orders", &[part(0, 0), part(1, 0)])]);
    let both = || found(vec![large.clone()], None);
    let (_, answer) = World::new().call(3, &asked, Reply::Read(vec![both(), both()]));
    let parts = &answer.responses[0].partitions;
    assert!(bytes_of(&parts[0]).len() > value.len(), "one batch, whole");
    assert_eq!((parts[1].error_code, bytes_of(&parts[1])), (0, Vec::new()));
}

/// A batch over the offsets from `base` to `last`, of which only the first record is left, or none.
fn compacted(base: i64, last: i64, left: bool) -> Batch {
    let mut header = batch(b"first").header();
    header.last_offset_delta = i32::try_from(last - base).unwrap();
    header.records = i32::from(left);
    let body = if left {
        batch(b"first").body().clone()
    } else {
        Default::default()
    };
    let mut sealed = Batch::sealed(header, body);
    sealed.stamp(Offset(base), TERM);
    sealed
}

fn at(base: i64, value: &[u8]) -> Batch {
    let mut batch = batch(value);
    batch.stamp(Offset(base), TERM);
    batch
}

/// Where a read begins in each of its partitions, how many bytes it takes there, and what it waits for.
fn reads(command: Command) -> (Vec<(GroupId, i64, u32)>, u32, Mono) {
    let Command::Read {
        parts,
        bytes_min,
        deadline,
        ..
    } = command
    else {
        panic!("{command:?}")
    };
    let reads = parts
        .iter()
        .map(|part| (part.group, part.offset.0, part.bytes_max));
    (reads.collect(), bytes_min, deadline)
}

#[test]
fn who_reads_message_sets_gets_past_batches_that_have_nothing_for_it() {
    for version in 0..4 {
        let mut world = World::new();
        let mut small = part(0, 3);
        small.partition_max_bytes = 100;
        let other = FetchPartition {
            partition: 1,
            ..small.clone()
        };
        world.send(version, &request(&[("orders", &[small, other])]));
        // The record asked for is gone, and the next batch didn't fit.
        let hollow = found(vec![compacted(0, 4, true)], None);
        let read = Reply::Read(vec![hollow, found(Vec::new(), None)]);
        reads(world.answer_with(read));
        let (parts, bytes_min, deadline) = reads({
            let none = found(vec![compacted(5, 6, false)], None);
            world.answer_with(Reply::Read(vec![none, found(Vec::new(), None)]))
        });
        let (first, second) = (GroupId(1), GroupId(2));
        assert_eq!(parts, [(first, 5, 2 << 20), (second, 3, 2 << 20)]);
        assert_eq!(
            (bytes_min, deadline),
            (1, NOW.mono.after(Duration::from_millis(500)))
        );
        let last = found(vec![at(7, b"seven")], None);
        let parts = reads(world.answer_with(Reply::Read(vec![last, found(Vec::new(), None)]))).0;
        assert_eq!(parts, [(first, 7, 2 << 20), (second, 3, 2 << 20)]);
        let answer: FetchResponse = world.answer(ApiKey::Fetch, version);
        let bytes = bytes_of(super::fetch::first(&answer));
        assert_eq!(bytes[..8], 7i64.to_be_bytes(), "version {version}");
        assert!(bytes.ends_with(b"seven"));
        assert!(bytes_of(&answer.responses[0].partitions[1]).is_empty());
    }
}

#[test]
fn who_has_records_of_another_partition_does_not_wait_for_those_behind_a_hole() {
    let mut world = World::new();
    world.send(3, &request(&[("orders", &[part(0, 3), part(1, 0)])]));
    let hollow = found(vec![compacted(0, 4, true)], None);
    world.answer_with(Reply::Read(vec![hollow, found(vec![at(0, b"here")], None)]));
    let (parts, bytes_min, deadline) =
        reads(world.answer_with(Reply::Read(vec![found(Vec::new(), None)])));
    assert_eq!(parts, [(GroupId(1), 5, 2 << 20)]);
    assert_eq!((bytes_min, deadline), (0, NOW.mono));
    let answer: FetchResponse = world.answer(ApiKey::Fetch, 3);
    assert!(bytes_of(first(&answer)).is_empty());
    assert!(bytes_of(&answer.responses[0].partitions[1]).ends_with(b"here"));
    assert_eq!(world.broker.answers().used(), 0);
}

#[test]
fn a_fetch_goes_on_behind_holes_only_so_often() {
    let mut world = World::new();
    world.send(2, &request(&[("orders", &[part(0, 0)])]));
    let mut reads = 0;
    while let Some((_, to)) = world.command() {
        let hollow = found(vec![compacted(reads, reads, false)], None);
        world.reply(to, Reply::Read(vec![hollow]));
        reads += 1;
    }
    assert_eq!(reads, 65);
    let answer: FetchResponse = world.answer(ApiKey::Fetch, 2);
    assert!(bytes_of(first(&answer)).is_empty());
}
