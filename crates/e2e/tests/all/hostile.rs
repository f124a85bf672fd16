//! Bad input costs little and never takes the node down.

use base::record::Builder;
use e2e::{Node, Scratch, Setup, Tool, http, wait, wire};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire_kafka::Records;
use wire_kafka::frame;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::FetchResponse;
use wire_kafka::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire_kafka::messages::produce_response::ProduceResponse;

/// The last versions of Produce and Fetch that name topics.
const BY_NAME: i16 = 12;
const MIB: usize = 1024 * 1024;
/// Memory that bad input may cost.
const COST_MAX: u64 = 64 * 1024 * 1024;

fn node(name: &str) -> (Scratch, Node) {
    let scratch = Scratch::new(name);
    let node = Setup::single(&scratch.join("data")).start();
    (scratch, node)
}

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(&node.kafka).expect("the node accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout");
    stream
}

/// True if the other side closed; an answer before that is fine.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return true,
        }
    }
}

/// Writes one record of so many bytes, as often as it takes until the new topic has a leader.
fn produce(stream: &mut TcpStream, topic: &str, bytes: usize) {
    let mut batch = Builder::new(0);
    batch.push(0, None, Some(&vec![b'x'; bytes]), &[]);
    let partition = PartitionProduceData {
        index: 0,
        records: Some(batch.build().into()),
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    wait::until("the record is taken", || {
        let answer: ProduceResponse = wire::ask(stream, BY_NAME, &request).expect("an answer");
        let code = answer.responses[0].partition_responses[0].error_code;
        (code == 0).then_some(())
    });
}

/// All that there is from the start of a topic on.
fn everything(topic: &str) -> FetchRequest {
    let partition = FetchPartition {
        partition_max_bytes: i32::MAX,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 1000,
        min_bytes: 1,
        max_bytes: i32::MAX,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn still_works(node: &mut Node) {
    assert!(node.is_alive(), "the node died");
    let tool = Tool::new(&node.kafka);
    tool.create("alive", &["--if-not-exists"]);
    tool.produce("alive", &["still here".to_owned()]);
    assert!(tool.consume("alive").contains(&"still here".to_owned()));
}

#[test]
fn garbage_is_answered_with_a_closed_connection() {
    let (_scratch, mut node) = node("garbage");
    let mut random = base::Random::new(7);
    let noise: Vec<u8> = (0..4096).map(|_| random.below(256) as u8).collect();
    // A frame of a few bytes of nonsense, plain noise, and another protocol's hello.
    let inputs: [&[u8]; 4] = [
        &[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        &noise,
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
    ];
    for input in inputs {
        let mut stream = connect(&node);
        let _ = stream.write_all(input);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        assert!(
            is_closed(&mut stream),
            "left open after {:?}",
            &input[..input.len().min(8)]
        );
    }
    still_works(&mut node);
}

#[test]
fn a_frame_header_of_2_gib_costs_nothing() {
    let (_scratch, mut node) = node("huge");
    let before = node.resident_bytes();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = connect(&node);
        let _ = stream.write_all(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 3]);
        assert!(is_closed(&mut stream), "a frame of 2 GiB is waited for");
        // The largest that is allowed, of which little comes.
        let mut stream = connect(&node);
        stream
            .write_all(&(100 * 1024 * 1024i32).to_be_bytes())
            .expect("accepted");
        stream.write_all(&[0, 0, 0, 3]).expect("accepted");
        streams.push(stream);
    }
    still_works(&mut node);
    let cost = node.resident_bytes().saturating_sub(before);
    assert!(cost < COST_MAX, "headers alone cost {cost} bytes");
}

#[test]
fn half_a_frame_and_a_closed_connection_harm_nobody() {
    let (_scratch, mut node) = node("half");
    for length in [1, 3, 4, 7, 12] {
        let frame = [0, 0, 0, 40, 0, 18, 0, 3, 0, 0, 0, 1];
        let mut stream = connect(&node);
        stream.write_all(&frame[..length]).expect("accepted");
    }
    still_works(&mut node);
}

#[test]
fn ten_thousand_idle_connections_are_held_cheaply() {
    let (_scratch, mut node) = node("idle");
    // Each takes a descriptor here and one in the node.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let room = limit.maximum.unwrap_or(u64::MAX).saturating_sub(500);
    let count = usize::try_from(room.min(10_000)).expect("at most 10,000");
    let before = node.resident_bytes();
    let streams: Vec<TcpStream> = (0..count).map(|_| connect(&node)).collect();
    still_works(&mut node);
    let each = node.resident_bytes().saturating_sub(before) / count as u64;
    assert!(
        each < 16 * 1024,
        "an idle connection of {count} costs {each} bytes"
    );
    drop(streams);
    wait::until("room for new clients", || {
        let tool = Tool::new(&node.kafka);
        (tool.run(&["topic", "list"]).code == Some(0)).then_some(())
    });
}

#[test]
fn answers_that_nobody_reads_cost_bounded_memory() {
    let (_scratch, mut node) = node("unread");
    Tool::new(&node.kafka).create("large", &[]);
    let mut producer = connect(&node);
    for _ in 0..96 {
        produce(&mut producer, "large", MIB - 1024);
    }
    let before = node.resident_bytes();
    // All that was asked for here are 6 GiB.
    let one = frame::request(BY_NAME, 1, None, &everything("large")).concat();
    let mut greedy: Vec<TcpStream> = (0..12).map(|_| connect(&node)).collect();
    for stream in &mut greedy {
        stream.write_all(&one.repeat(10)).expect("the node reads");
    }
    let held = || http::figure(&node.http, "flotilla_answers_in_flight_bytes");
    // The last of it may be too little for one more answer.
    let most = base::limits::ANSWERS_IN_FLIGHT_BYTES as f64 * 0.75;
    wait::until("most of the answers' memory is taken", || {
        (held()? >= most).then_some(())
    });
    // Others go on: less at once, but as much as one batch.
    let mut modest = connect(&node);
    for _ in 0..20 {
        let answer: FetchResponse =
            wire::ask(&mut modest, BY_NAME, &everything("large")).expect("an answer");
        let records = answer.responses[0].partitions[0].records.as_ref();
        assert!(records.map_or(0, Records::len) > MIB - 1024);
    }
    let cost = node.resident_bytes().saturating_sub(before);
    assert!(cost < 768 * MIB as u64, "unread answers cost {cost} bytes");
    drop(greedy);
    wait::until("their memory is given back", || {
        (held()? < MIB as f64).then_some(())
    });
    still_works(&mut node);
}

#[test]
fn half_sent_requests_stop_nobody_for_long() {
    let scratch = Scratch::new("trickle");
    let setup = Setup::single(&scratch.join("data"));
    let mut node = setup
        .with(&["--set", "queued.max.request.bytes=16777216"])
        .start();
    Tool::new(&node.kafka).create("others", &[]);
    // They say that they send 32 MiB each, and send as much as the node takes, in small pieces.
    let mut slow: Vec<TcpStream> = (0..4).map(|_| connect(&node)).collect();
    for stream in &mut slow {
        let head = [&(32 * MIB as i32).to_be_bytes()[..], &[0, 0, 0, 9]].concat();
        stream.write_all(&head).expect("the node reads");
        stream.set_nonblocking(true).expect("a socket");
    }
    let mut push = || {
        let piece = vec![0; 64 * 1024];
        slow.iter_mut()
            .for_each(|stream| drop(stream.write(&piece)));
    };
    wait::until("all memory for requests is taken", || {
        push();
        let held = http::figure(&node.http, "flotilla_requests_in_flight_bytes")?;
        (held > 15.0 * MIB as f64).then_some(())
    });
    // Small requests don't wait at all, larger ones until somebody gives way.
    let mut client = connect(&node);
    produce(&mut client, "others", 1000);
    let mut client = connect(&node);
    produce(&mut client, "others", 900_000);
    let log = std::fs::read_to_string(node.setup().log()).expect("the node's messages");
    assert!(log.contains("others wait for the"), "{log}");
    still_works(&mut node);
}
