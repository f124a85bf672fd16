//! Requests as real clients sent them, and the answers that they get, byte for byte.
//!
//! `clients.txt` holds for each client its requests (`>`) and our answers (`<`) as frames without
//! their lengths, in hexadecimal; `*` stands for an answer whose length follows the table of
//! configuration keys or that of APIs. A change of an answer shows here before a client sees it.

use crate::testing::{TERM, World, batch, id_of};
use base::{GroupId, Offset, ProducerId};
use meta::TopicCreated;
use shard::{Appended, Command, OffsetAnswer, ReadAnswer, Reply};

const CLIENTS: &str = include_str!("clients.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A shard in which everything works and each partition ends at offset 8.
fn reply(command: &Command) -> Reply {
    match command {
        Command::Append { parts, .. } => {
            let (base_offset, start_offset) = (Offset(7), Offset(0));
            let appended = Appended {
                base_offset,
                append_time: None,
                start_offset,
            };
            Reply::Appended(parts.iter().map(|_| Ok(appended)).collect())
        }
        Command::Read { parts, .. } => Reply::Read(parts.iter().map(|_| Ok(read())).collect()),
        Command::Offsets { parts } => {
            let known = || OffsetAnswer::Known {
                offset: Offset(8),
                timestamp: -1,
                leader_epoch: TERM.epoch(),
            };
            Reply::Offsets(parts.iter().map(|_| Ok(known())).collect())
        }
        Command::Meta { command, .. } => Reply::Meta(Ok(controller(command))),
        other => panic!("no client here asks for {other:?}"),
    }
}

fn read() -> ReadAnswer {
    let mut last = batch(b"value");
    last.stamp(Offset(7), TERM);
    ReadAnswer {
        high_watermark: Offset(8),
        last_stable: Offset(8),
        start_offset: Offset(0),
        diverging: None,
        hot: vec![last],
        cold: None,
    }
}

fn controller(command: &meta::Command) -> meta::Reply {
    match command {
        meta::Command::CreateTopics { topics, .. } => {
            let made = |topic: &meta::NewTopic| TopicCreated {
                name: topic.name.clone(),
                id: id_of(&topic.name),
                partitions: 1,
                replicas: 1,
                groups: vec![GroupId(77)],
            };
            meta::Reply::TopicsCreated(topics.iter().map(|topic| Ok(made(topic))).collect())
        }
        meta::Command::DeleteTopics { topics } => {
            let gone = || ("fresh".to_owned(), id_of("fresh"));
            meta::Reply::TopicsDeleted(topics.iter().map(|_| Ok(gone())).collect())
        }
        meta::Command::AllocateProducerIds { .. } => meta::Reply::ProducerIds(ProducerId(4000)),
        other => panic!("no client here asks for {other:?}"),
    }
}

fn answer_to(request: &[u8]) -> String {
    let mut world = World::new();
    world.push([&(request.len() as i32).to_be_bytes(), request].concat());
    while let Some((command, to)) = world.command() {
        let reply = reply(&command);
        world.reply(to, reply);
    }
    assert!(world.out.close.is_none(), "{:?}", world.out.close);
    let frames = world.frames();
    assert_eq!(frames.len(), 1);
    hex(&frames[0])
}

#[test]
fn real_clients_get_the_answers_written_down() {
    let (mut client, mut request) = ("", "");
    for line in CLIENTS.lines() {
        match line.split_at(2) {
            ("# ", name) => client = name,
            ("> ", sent) => request = sent,
            ("< ", "*") => {
                assert!(!answer_to(&bytes(request)).is_empty(), "{client}");
            }
            ("< ", expected) => {
                let answer = answer_to(&bytes(request));
                assert_eq!(answer, expected, "{client} asked {request}");
            }
            _ => panic!("not a line of a dialogue: {line}"),
        }
    }
}
