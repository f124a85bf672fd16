//! What clients are told that come as early as they can.

use e2e::{Scratch, Setup, Tool, fleet, wait, wire};
use std::net::TcpStream;
use std::time::Duration;
use wire_kafka::messages::metadata_request::MetadataRequest;
use wire_kafka::messages::metadata_response::MetadataResponse;

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
    wire::ask(&mut stream, VERSION, &everything).expect("an answer")
}

#[test]
fn the_first_answer_of_a_node_names_it_and_all_that_was_made_before() {
    let scratch = Scratch::new("first");
    let mut setup = Setup::single(&scratch.join("data"));
    setup.kafka = format!("127.0.0.1:{}", fleet::free_port());
    for n in 0..12 {
        let mut node = setup.spawn();
        let answer = metadata(&setup);
        assert_eq!(answer.brokers.len(), 1, "of start {n}");
        assert_eq!(answer.topics.len(), n, "what was made before start {n}");
        node.wait_ready().expect("it is up");
        // Committed before the kill, but perhaps not yet known to be when the next start begins.
        Tool::new(&setup.kafka).create(&format!("t{n}"), &[]);
        node.kill();
    }
}
