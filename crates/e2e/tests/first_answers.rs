//! What clients are told that come as early as they can.

use bytes::Bytes;
use e2e::{Scratch, Setup, Tool, fleet, wait};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::metadata_response::MetadataResponse;
use wire_kafka::{Reader, Request, frame};

/// The answer to a client that connects as soon as somebody listens.
fn metadata(setup: &Setup) -> MetadataResponse {
    const VERSION: i16 = 9;
    let connect = || TcpStream::connect(&setup.kafka).ok();
    let mut stream = wait::poll(Duration::from_secs(20), connect).expect("somebody listens");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    let everything = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let request = frame::request(VERSION, 7, Some("early"), &everything).concat();
    stream.write_all(&request).expect("it is sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("a whole answer");
    let mut reader = Reader::new(Bytes::from(answer));
    frame::response_head(MetadataRequest::API, VERSION, &mut reader).expect("an answer's header");
    MetadataResponse::decode(VERSION, &mut reader).expect("an answer")
}

#[test]
fn the_first_answer_of_a_node_names_it() {
    let scratch = Scratch::new("first");
    let mut setup = Setup::single(&scratch.join("data"));
    setup.kafka = format!("127.0.0.1:{}", fleet::free_port());
    for n in 0..5 {
        let mut node = setup.spawn();
        assert_eq!(metadata(&setup).brokers.len(), 1, "of start {n}");
        node.wait_ready().expect("it is up");
        // Committed before the kill, but perhaps not yet known to be when the next start answers.
        Tool::new(&setup.kafka).create(&format!("t{n}"), &[]);
        node.kill();
    }
}
