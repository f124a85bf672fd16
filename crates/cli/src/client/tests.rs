mod member;
pub(crate) mod node;
mod reader;

use super::producer::{Outgoing, Placed, Record};
use super::*;
use base::Batch;
use base::batch::Compression;
use node::{Act, Script};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use wire_kafka::ApiKey;

const MODERN: &[(ApiKey, i16)] = &[
    (ApiKey::ApiVersions, 4),
    (ApiKey::Metadata, 13),
    (ApiKey::Produce, 13),
    (ApiKey::InitProducerId, 6),
];

pub(crate) fn modern(acts: &[Act]) -> Script {
    Script {
        spoken: MODERN.to_vec(),
        acts: acts.to_vec(),
        ..Script::default()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn batch(values: &[&'static str]) -> Outgoing {
    let record = |value: &&'static str| Record {
        timestamp: 5,
        key: None,
        value: Some(value.as_bytes().into()),
        headers: Vec::new(),
    };
    Outgoing {
        partition: 0,
        records: values.iter().map(record).collect(),
    }
}

fn open(address: &str) -> (Cluster, Producer) {
    let mut cluster = Cluster::new(address).expect("an address");
    let producer = Producer::open(&mut cluster, "t", Compression::None, soon()).expect("opened");
    (cluster, producer)
}

#[test]
fn a_batch_keeps_its_sequence_through_all_attempts() {
    let acts = [
        Act::Answer(6, -1),
        Act::Hang,
        Act::Answer(7, -1),
        Act::Answer(0, 40),
        Act::Answer(0, 42),
    ];
    let (address, script) = node::start(modern(&acts));
    let (mut cluster, mut producer) = open(&address);
    let mut send = |values: &[&'static str]| producer.send(&mut cluster, &[batch(values)], soon());
    let placed = send(&["a", "b"]).expect("placed at the fourth attempt");
    assert_eq!(
        placed,
        [Placed {
            partition: 0,
            base_offset: 40,
            records: 2
        }]
    );
    send(&["c"]).expect("placed at once");
    let batches = &script.lock().expect("no panic").batches;
    assert!(
        batches[..4].iter().all(|b| b == &batches[0]),
        "an attempt differs from the first"
    );
    let header = |at: usize| {
        Batch::split_from(&mut batches[at].clone())
            .expect("a batch")
            .header()
    };
    assert_eq!((header(0).producer_id.0, header(0).base_sequence), (7, 0));
    assert_eq!((header(4).producer_id.0, header(4).base_sequence), (7, 2));
}

#[test]
fn a_duplicate_counts_as_placed_and_a_refusal_ends_it() {
    let (address, script) = node::start(modern(&[Act::Answer(46, -1), Act::Answer(10, -1)]));
    let (mut cluster, mut producer) = open(&address);
    let placed = producer
        .send(&mut cluster, &[batch(&["a"])], soon())
        .expect("it is in the log");
    assert_eq!(placed[0].base_offset, -1);
    let refused = producer
        .send(&mut cluster, &[batch(&["b"])], soon())
        .expect_err("too large");
    assert!(
        matches!(refused, Trouble::Refused { code: Code(10), .. }),
        "{refused}"
    );
    assert!(
        refused
            .remedy()
            .expect("a remedy")
            .contains("--batch-bytes")
    );
    assert_eq!(script.lock().expect("no panic").batches.len(), 2);
}

#[test]
fn attempts_end_at_the_deadline_with_the_last_obstacle() {
    static OVER: AtomicBool = AtomicBool::new(false);
    // The last attempt is under way when the time is over.
    let acts = [Act::Hang, Act::Answer(19, -1), Act::Over(&OVER)];
    let (address, script) = node::start(modern(&acts));
    let (mut cluster, mut producer) = open(&address);
    let trouble = producer
        .send(&mut cluster, &[batch(&["a"])], Deadline::told(&OVER))
        .expect_err("refused");
    assert_eq!(script.lock().expect("no panic").batches.len(), 3);
    assert!(
        trouble.to_string().contains("NOT_ENOUGH_REPLICAS"),
        "{trouble}"
    );
    assert!(
        trouble
            .remedy()
            .expect("a remedy")
            .contains("min.insync.replicas")
    );
}

#[test]
fn a_refusal_that_passes_is_asked_about_again_and_another_one_is_told() {
    let mut cluster = Cluster::new("127.0.0.1:1").expect("an address");
    let refused = |code| Trouble::refused("asking", code, None);
    let address = "a:1".to_owned();
    let mut obstacles = vec![
        refused(Code(41)),
        Trouble::Broken {
            address,
            source: std::io::ErrorKind::ConnectionReset.into(),
        },
        refused(Code::REQUEST_TIMED_OUT),
        refused(Code::TOPIC_ALREADY_EXISTS),
    ];
    let outcome: Result<(), Trouble> = cluster.persist(soon(), |_| Err(obstacles.remove(0)));
    let trouble = outcome.expect_err("refused");
    assert!(
        trouble.to_string().contains("TOPIC_ALREADY_EXISTS"),
        "{trouble}"
    );
    assert!(obstacles.is_empty());
}

#[test]
fn an_old_node_is_spoken_to_in_its_versions() {
    let spoken = vec![
        (ApiKey::ApiVersions, 2),
        (ApiKey::Metadata, 5),
        (ApiKey::Produce, 3),
    ];
    let script = Script {
        spoken,
        acts: vec![Act::Answer(0, 0)],
        ..Script::default()
    };
    let (address, script) = node::start(script);
    let (mut cluster, mut producer) = open(&address);
    producer
        .send(&mut cluster, &[batch(&["a"])], soon())
        .expect("placed");
    let script = script.lock().expect("no panic");
    for expected in [
        (ApiKey::ApiVersions, 4),
        (ApiKey::ApiVersions, 0),
        (ApiKey::Produce, 3),
    ] {
        assert!(
            script.seen.contains(&expected),
            "{expected:?} not in {:?}",
            script.seen
        );
    }
    let header = Batch::split_from(&mut script.batches[0].clone())
        .expect("a batch")
        .header();
    assert_eq!(
        header.producer_id.0, -1,
        "there is no InitProducerId, so no identity"
    );
}

#[test]
fn an_answer_that_announces_too_much_is_refused_unread() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client");
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let trouble = Connection::open(&address, soon()).expect_err("this is no Kafka listener");
    assert!(matches!(trouble, Trouble::Garbled { .. }), "{trouble}");
    assert!(trouble.remedy().expect("a remedy").contains("--bootstrap"));
}

#[test]
fn nobody_there_is_told_at_once() {
    let (port, _held) = nobody_at();
    let mut cluster = Cluster::new(&format!("127.0.0.1:{port}")).expect("an address");
    let trouble = cluster.topics(None, soon()).expect_err("nobody listens");
    assert!(matches!(trouble, Trouble::Unreachable { .. }), "{trouble}");
    let asked = cluster.persist(soon(), |cluster| cluster.topics(None, soon()));
    let trouble = asked.expect_err("nobody listens");
    assert!(matches!(trouble, Trouble::Unreachable { .. }), "{trouble}");
    assert!(Cluster::new("localhost").is_err() && Cluster::new("").is_err());
}

#[test]
fn a_node_that_is_not_there_is_told_with_those_that_are() {
    let mut cluster = Cluster::new("127.0.0.1:1").expect("an address");
    assert!(
        cluster
            .must_know(99)
            .unwrap_err()
            .to_string()
            .contains("names none")
    );
    cluster.know(1, "127.0.0.1:1".into());
    cluster.know(2, "127.0.0.1:2".into());
    assert!(cluster.must_know(2).is_ok());
    let said = cluster.must_know(99).unwrap_err().to_string();
    assert!(
        said.contains("no node 99") && said.contains("nodes 1, 2"),
        "{said}"
    );
}

#[test]
fn who_may_go_anywhere_goes_where_somebody_leads() {
    let (address, script) = node::start(Script {
        // A node 2 isn't among those that are named.
        topics: vec![vec![node::topic(&[1, 2, -1, 1])]],
        ..modern(&[Act::Answer(0, 40)])
    });
    let (mut cluster, mut producer) = open(&address);
    let from = [0, 1, 2, 3].map(|from| producer.led_from(from));
    assert_eq!(from, [0, 3, 3, 3]);
    producer
        .send(&mut cluster, &[batch(&["a"])], soon())
        .expect("partition 0 is led");
    assert_eq!(script.lock().expect("no panic").batches.len(), 1);
}

/// An address at which nobody listens, as long as what comes with it lives: nobody else takes it meanwhile.
pub(crate) fn nobody_at() -> (u16, (TcpListener, TcpStream)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    let port = taken.local_addr().expect("bound").port();
    (port, (listener, taken))
}

#[test]
fn groups_are_listed_without_a_node_that_the_others_miss_too() {
    let (port, _held) = nobody_at();
    let (address, script) = node::start(Script {
        spoken: vec![
            (ApiKey::ApiVersions, 4),
            (ApiKey::Metadata, 12),
            (ApiKey::ListGroups, 5),
            (ApiKey::DescribeCluster, 2),
        ],
        controller: Some((2, port)),
        ..Script::default()
    });
    let mut cluster = Cluster::new(&address).expect("an address");
    let listed = super::groups::list(&mut cluster, soon()).expect("one answers");
    assert!(listed.is_empty());
    let seen = script.lock().expect("no panic").seen.clone();
    assert!(seen.iter().any(|(api, _)| *api == ApiKey::ListGroups));
}

#[test]
fn a_change_that_a_dying_controller_did_not_answer_is_asked_for_again() {
    let (address, script) = node::start(Script {
        spoken: vec![
            (ApiKey::ApiVersions, 4),
            (ApiKey::Metadata, 12),
            (ApiKey::IncrementalAlterConfigs, 1),
        ],
        altered: vec![7, 41, 0],
        ..Script::default()
    });
    let mut cluster = Cluster::new(&address).expect("an address");
    let topic = crate::args::Resource::topic("t");
    let edits = crate::config::edits(&[], &["retention.ms".to_owned()]);
    crate::config::alter(&mut cluster, &topic, edits, false, soon()).expect("the third takes it");
    assert!(script.lock().expect("no panic").altered.is_empty());
}

#[test]
fn a_controller_that_went_away_is_looked_for_again() {
    let (address, _) = node::start(modern(&[]));
    let mut cluster = Cluster::new(&address).expect("an address");
    let mut asked = 0;
    let outcome = cluster.persist(soon(), |cluster| {
        cluster.topics(None, soon())?;
        asked += 1;
        let source = std::io::ErrorKind::ConnectionRefused.into();
        match asked {
            1 => Err(Trouble::Unreachable {
                address: "a:1".to_owned(),
                source,
            }),
            _ => Ok(()),
        }
    });
    outcome.expect("asked again");
    assert_eq!(asked, 2);
}
