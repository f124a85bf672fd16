//! The stream: order, cuts, garbage, bounds.

use super::*;
use crate::testing::{NOW, World, batch, decode};
use base::{Offset, Random, Refusal};
use shard::{Acks, Appended, Command};
use wire_kafka::frame;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::ApiVersionsResponse;
use wire_kafka::messages::describe_cluster_request::DescribeClusterRequest;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::ProduceResponse;

fn produce(acks: i16, value: &[u8]) -> ProduceRequest {
    let records = Some(batch(value).to_bytes().into());
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "orders".to_owned(),
            partition_data: vec![PartitionProduceData { index: 0, records }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn appended(offset: i64) -> Reply {
    let (base_offset, start_offset) = (Offset(offset), Offset(0));
    Reply::Appended(vec![Ok(Appended {
        base_offset,
        append_time: None,
        start_offset,
    })])
}

fn client() -> ApiVersionsRequest {
    let name = || "test".to_owned();
    ApiVersionsRequest {
        client_software_name: name(),
        client_software_version: name(),
    }
}

fn correlation(frame: &Bytes) -> i32 {
    i32::from_be_bytes(frame[..4].try_into().unwrap())
}

#[test]
fn answers_leave_in_the_order_of_requests() {
    let mut world = World::new();
    world.send(9, &produce(-1, b"a"));
    world.send(3, &client());
    world.send(9, &produce(1, b"b"));
    assert!(world.frames().is_empty(), "the first is not answered yet");
    let (_, first) = world.command().unwrap();
    let (_, third) = world.command().unwrap();
    world.reply(third, appended(8));
    assert!(
        world.frames().is_empty(),
        "a later answer waits for its turn"
    );
    world.reply(first, appended(7));
    let frames = world.frames();
    assert_eq!(
        frames.iter().map(correlation).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let (_, answer): (_, ProduceResponse) = decode(ApiKey::Produce, 9, &frames[2]);
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 8);
}

#[test]
fn the_planted_bug_lets_an_answer_overtake() {
    base::probe::plant(Some(Bug::AnswersOutOfOrder));
    let mut world = World::new();
    world.send(9, &produce(-1, b"a"));
    world.send(3, &client());
    let early = world.frames();
    let (_, first) = world.command().unwrap();
    world.reply(first, appended(7));
    base::probe::plant(None);
    assert_eq!(early.iter().map(correlation).collect::<Vec<_>>(), [2]);
    assert_eq!(
        world.frames().iter().map(correlation).collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_stream_split_anywhere_is_answered_alike() {
    let mut world = World::new();
    let mut stream = world.encode(3, &client());
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    stream.extend(world.encode(9, &all));
    stream.extend(world.encode(0, &DescribeClusterRequest::default()));
    world.push(stream.clone());
    let whole = world.frames();
    assert_eq!(whole.len(), 3);
    for cut in 1..stream.len() {
        let mut world = World::new();
        world.push(stream[..cut].to_vec());
        world.push(stream[cut..].to_vec());
        assert_eq!(world.frames(), whole, "cut at {cut}");
    }
    let mut world = World::new();
    stream.iter().for_each(|byte| world.push(vec![*byte]));
    assert_eq!(world.frames(), whole);
    assert_eq!(world.connection.pending_bytes(), 0);
}

#[test]
fn half_a_frame_waits() {
    let mut world = World::new();
    let bytes = world.encode(3, &client());
    world.push(bytes[..bytes.len() - 1].to_vec());
    assert!(world.frames().is_empty());
    assert_eq!(world.connection.pending_bytes(), bytes.len() - 1);
    assert!(world.connection.wants_bytes());
    assert!(world.out.close.is_none());
}

#[test]
fn a_frame_length_out_of_range_closes() {
    for length in [-1i32, i32::MIN, 104_857_601, i32::MAX] {
        let mut world = World::new();
        let result = world
            .connection
            .on_bytes(NOW, length.to_be_bytes().to_vec().into());
        let close = result.unwrap_err();
        assert_eq!(world.connection.take().close, Some(close));
        assert!(!world.connection.wants_bytes());
        // Whatever follows is not looked at.
        let bytes = world.encode(3, &client());
        world.push(bytes);
        assert!(world.frames().is_empty());
    }
}

#[test]
fn the_configured_limit_holds() {
    let mut world = World::with(&[("socket.request.max.bytes", "1024")]);
    world.push(1025i32.to_be_bytes().to_vec());
    assert!(world.out.close.is_some());
}

#[test]
fn what_was_asked_before_a_bad_frame_is_still_answered() {
    let mut world = World::new();
    let mut bytes = world.encode(9, &produce(-1, b"a"));
    bytes.extend((-1i32).to_be_bytes());
    world.push(bytes);
    assert!(world.out.close.is_none(), "an answer is still due");
    assert!(!world.connection.wants_bytes());
    world.answer_with(appended(7));
    assert_eq!(world.frames().len(), 1);
    assert!(world.out.close.is_some());
}

/// A frame with this header and nothing after it.
fn header(key: i16, version: i16) -> Vec<u8> {
    let mut bytes = 12i32.to_be_bytes().to_vec();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(7i32.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes
}

#[test]
fn what_is_not_served_closes_as_kafka_does() {
    for (key, version) in [
        (3, 14),
        (3, 99),
        (3, -1),
        (999, 0),
        (-5, 0),
        (1, 3),
        (2, 0),
        (11, 0),
    ] {
        let mut world = World::new();
        world.push(header(key, version));
        assert!(world.frames().is_empty(), "{key} version {version}");
        assert!(world.out.close.is_some(), "{key} version {version}");
    }
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_the_oldest_form() {
    for version in [5i16, 99, i16::MAX, -1] {
        let mut world = World::new();
        world.push(header(18, version));
        // As a real broker answers: code 35 and the versions of this API.
        let golden: &[u8] = &[
            0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4,
        ];
        assert_eq!(world.sent, golden);
        assert!(world.out.close.is_none());
        world.sent.clear();
        let answer: ApiVersionsResponse = world.ask(0, &client());
        assert_eq!(answer.error_code, 0);
    }
}

#[test]
fn malformed_requests_close() {
    let frames: [&[u8]; 5] = [
        b"",
        b"\0\x03",
        b"\0\x03\0\x01\0\0\0\x07\0\x20x",
        b"\0\x03\0\x01\0\0\0\x07\0\0\0\0\0\x32",
        b"\0\x00\0\x09\0\0\0\x07\xff\xff\0\0\xff\xff\0\0\0\x09\xff\xff\xff\xff\x0f",
    ];
    for frame in frames {
        let mut world = World::new();
        let mut bytes = (frame.len() as i32).to_be_bytes().to_vec();
        bytes.extend(frame);
        world.push(bytes);
        assert!(world.frames().is_empty(), "{frame:?}");
        assert!(world.out.close.is_some(), "{frame:?}");
    }
}

#[test]
fn garbage_never_panics_and_never_holds_much() {
    let mut random = Random::new(11);
    let mut seeds = Vec::new();
    let mut world = World::new();
    seeds.push(world.encode(9, &produce(-1, b"a")));
    seeds.push(world.encode(
        12,
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
    ));
    seeds.push(world.encode(3, &client()));
    for _ in 0..3000 {
        let mut connection = world.connect();
        let mut bytes = seeds[random.below(3) as usize].clone();
        for _ in 0..random.below(6) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
        }
        if random.percent(70) {
            let length = (bytes.len() - 4) as i32;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        let _ = connection.on_bytes(NOW, bytes.into());
        assert!(connection.pending_bytes() < 1 << 16);
    }
}

#[test]
fn only_so_many_requests_are_in_flight() {
    let mut world = World::new();
    let count = PIPELINE_MAX + 10;
    let stream: Vec<u8> = (0..count)
        .flat_map(|_| world.encode(9, &produce(-1, b"a")))
        .collect();
    world.push(stream);
    let mut posted = VecDeque::new();
    while let Some((_, to)) = world.command() {
        posted.push_back(to);
    }
    assert_eq!(posted.len(), PIPELINE_MAX);
    assert!(!world.connection.wants_bytes());
    for offset in 0..count {
        let to = posted.pop_front().unwrap();
        world.reply(to, appended(offset as i64));
        while let Some((_, to)) = world.command() {
            posted.push_back(to);
        }
    }
    let order: Vec<i32> = world.frames().iter().map(correlation).collect();
    assert_eq!(order, (1..=count as i32).collect::<Vec<_>>());
    assert!(world.connection.wants_bytes());
    assert_eq!(world.connection.pending_bytes(), 0);
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut world = World::new();
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let one = world.encode(9, &request);
    world.push(one.clone());
    let answer_bytes = world.frames()[0].len() + 4;
    let count = ANSWER_BYTES_MAX / answer_bytes + 100;
    let stream = one.repeat(count);
    world.connection.on_bytes(NOW, stream.into()).unwrap();
    have_all_turns(&mut world.connection);
    assert!(!world.connection.wants_bytes());
    let first = taken(&mut world.connection);
    assert!((ANSWER_BYTES_MAX..ANSWER_BYTES_MAX + answer_bytes).contains(&first));
    world.connection.resume(NOW);
    have_all_turns(&mut world.connection);
    let rest = taken(&mut world.connection);
    assert_eq!(first + rest, count * answer_bytes);
}

fn have_all_turns(connection: &mut Connection) {
    while connection.yields() {
        connection.resume(NOW);
    }
}

fn taken(connection: &mut Connection) -> usize {
    connection.take().bytes.iter().map(Bytes::len).sum()
}

#[test]
fn after_so_much_work_others_have_their_turn() {
    let mut world = World::new();
    let one = world.encode(0, &ApiVersionsRequest::default());
    world.push(one.clone());
    let answer_bytes = world.frames()[0].len() + 4;
    let in_a_turn = TURN_BYTES_MAX.div_ceil(one.len() - 4 + answer_bytes);
    let count = 3 * in_a_turn + 1;
    let connection = &mut world.connection;
    connection
        .on_bytes(NOW, one.repeat(count).into())
        .expect("it goes on");
    for _ in 0..3 {
        assert!(connection.yields());
        assert!(!connection.wants_bytes());
        assert_eq!(connection.resume_at(), None, "it needn't wait for anything");
        assert_eq!(taken(connection), in_a_turn * answer_bytes);
        connection.resume(NOW);
    }
    assert!(!connection.yields());
    assert!(connection.wants_bytes());
    assert_eq!(taken(connection), answer_bytes);
}

#[test]
fn the_nodes_budget_holds_a_connection_back() {
    let mut world = World::with(&[("queued.max.request.bytes", "1048576")]);
    world.send(9, &produce(-1, &[1; 700_000]));
    let (_, first) = world.command().unwrap();
    let mut other = world.connect();
    let bytes = world.encode(9, &produce(-1, &[2; 700_000]));
    other.on_bytes(NOW, bytes.into()).unwrap();
    assert!(world.command().is_none(), "there is no room for both");
    assert!(!other.wants_bytes());
    assert!(other.resume_at().is_some_and(|at| at > NOW.mono));
    other.resume(NOW);
    assert!(world.command().is_none());
    world.reply(first, appended(0));
    other.resume(NOW);
    assert!(world.command().is_some());
    assert_eq!(other.resume_at(), None);
}

#[test]
fn small_requests_need_nothing_of_the_budget() {
    let mut world = World::with(&[("queued.max.request.bytes", "1048576")]);
    let budget = world.broker.budget().clone();
    let _all = budget.take(budget.limit()).unwrap();
    world.send(9, &produce(-1, &[1; 40_000]));
    assert!(world.command().is_some());
    world.send(9, &produce(-1, &[1; 40_000]));
    assert!(world.command().is_none(), "two are more than one may have");
    assert!(!world.connection.wants_bytes());
    assert!(budget.is_lacked(NOW.mono, Duration::ZERO));
}

#[test]
fn without_acks_there_is_no_answer() {
    let mut world = World::new();
    world.send(9, &produce(0, b"a"));
    world.send(3, &client());
    let (command, to) = world.command().unwrap();
    assert!(matches!(
        command,
        Command::Append {
            acks: Acks::None,
            ..
        }
    ));
    let to = to.unwrap();
    to.sink.reply(to.ticket, appended(7));
    world.settle();
    assert_eq!(
        world.frames().iter().map(correlation).collect::<Vec<_>>(),
        [2]
    );
    assert!(world.out.close.is_none());
}

/// A client whose partition is led elsewhere now would go on sending to nobody.
#[test]
fn without_acks_a_refusal_by_the_partition_closes() {
    let mut world = World::new();
    world.send(9, &produce(0, b"a"));
    let refused = Err(Refusal::NotLeader { leader: None });
    world.answer_with(Reply::Appended(vec![refused]));
    world.settle();
    assert!(world.frames().is_empty());
    assert!(world.out.close.is_some());
}

#[test]
fn without_acks_a_refusal_closes() {
    let mut unknown = produce(0, b"a");
    unknown.topic_data[0].name = "nope".to_owned();
    let mut broken = produce(0, b"a");
    broken.topic_data[0].partition_data[0].records = Some(Bytes::from_static(b"x").into());
    for request in [unknown, broken] {
        let mut world = World::new();
        world.send(9, &request);
        assert!(world.frames().is_empty());
        assert!(world.out.close.is_some());
    }
}

#[test]
fn a_reply_that_nobody_waits_for_is_dropped() {
    let mut world = World::new();
    world.connection.on_reply(NOW, 0, appended(1));
    world.connection.on_reply(NOW, u64::MAX, appended(1));
    world.send(9, &produce(-1, b"a"));
    world.answer_with(appended(7));
    world.connection.on_reply(NOW, 0, appended(1));
    world.settle();
    assert_eq!(world.frames().len(), 1);
}

#[test]
fn a_small_batch_does_not_keep_all_that_came_with_it() {
    let mut world = World::new();
    let mut stream = world.encode(9, &produce(-1, b"small"));
    stream.extend(world.encode(9, &produce(-1, &[7; 10_000])));
    let chunk = Bytes::from(stream);
    let range = chunk.as_ptr_range();
    world.push(chunk.clone());
    let mut inside = || match world.command().unwrap().0 {
        Command::Append { parts, .. } => range.contains(&parts[0].batch.body().as_ptr()),
        other => panic!("not an append: {other:?}"),
    };
    assert!(!inside(), "the small one is copied");
    assert!(inside(), "the large one is shared");
}

#[test]
fn what_is_served_is_counted() {
    let counters = Arc::new(Counters::default());
    let mut world = World::new();
    world.connection = world.connect().counted(counters.clone());
    world.send(9, &produce(-1, b"a"));
    world.send(9, &produce(0, b"a"));
    let (_, to) = world.command().unwrap();
    world.reply(to, appended(1));
    let (_, to) = world.command().unwrap();
    world.reply(to, appended(2));
    let left = world.sent.len() as u64;
    world.push((-1i32).to_be_bytes().to_vec());
    let counts = counters.counts();
    let produce = counts.iter().find(|count| count.api == "Produce").unwrap();
    assert_eq!(
        (
            produce.requests,
            produce.waits.total(),
            produce.answer_bytes
        ),
        (2, 1, left)
    );
    assert_eq!(counters.closed_connections(), 1);
}

#[test]
fn a_produce_request_of_a_client_gets_this_answer() {
    // Version 3 written by hand: client "c", no transaction, acks -1, 5 s, "orders"-0, a batch.
    let records = batch(b"v").to_bytes();
    let mut body = b"\0\0\0\x03\0\0\0\x2a\0\x01c\xff\xff\xff\xff\0\0\x13\x88\0\0\0\x01\0\x06orders\
        \0\0\0\x01\0\0\0\0"
        .to_vec();
    body.extend((records.len() as i32).to_be_bytes());
    body.extend(&records);
    let mut world = World::new();
    let length = (body.len() as i32).to_be_bytes();
    world.push([&length[..], &body].concat());
    let command = world.answer_with(appended(1234));
    let Command::Append {
        acks,
        deadline,
        parts,
    } = command
    else {
        panic!("not an append")
    };
    assert_eq!(
        (acks, deadline),
        (Acks::All, NOW.mono.after(Duration::from_secs(5)))
    );
    assert_eq!(parts[0].batch.to_bytes(), records, "byte for byte");
    let golden = b"\0\0\0\x2e\0\0\0\x2a\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\
        \0\0\0\0\0\0\x04\xd2\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(world.sent, golden);
    let mut frames = frame::Frames::new(100);
    frames.push(world.sent.clone().into());
    assert!(frames.next_frame().unwrap().is_some());
}
