//! Bad input costs little and never takes the node down.

use e2e::{Node, Scratch, Setup, Tool, wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

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
        .set_read_timeout(Some(Duration::from_secs(20)))
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
