//! Real records of Kafka are read and written back byte for byte; garbage is skipped.

use super::consumer::{CurrentMember, GroupEpoch, Held, Member, Regex, Target, TargetMember};
use super::group::Saved;
use super::offset::View;
use super::*;
use crate::command::{Protocol, TopicPartitions};
use base::Uuid;
use proptest::prelude::*;

const KAFKA: &str = include_str!("../../testdata/v1/kafka-4.3.1.txt");
const OURS: &str = include_str!("../../testdata/v1/more.txt");

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
}

/// The records of a file of key and value in hex.
fn records(text: &'static str) -> Vec<Record> {
    let value = |text: &str| (text != "-").then(|| bytes(text).into());
    lines(text)
        .map(|(key, rest)| Record {
            key: bytes(key).into(),
            value: value(rest),
        })
        .collect()
}

/// One of everything.
pub(crate) fn captured() -> Vec<Record> {
    records(KAFKA).into_iter().chain(records(OURS)).collect()
}

/// Reads a value and writes it again.
fn again(key: &Key<'_>, value: &[u8]) -> Option<Vec<u8>> {
    Some(match key {
        Key::Offset { .. } => View::decode(value)?.encode(),
        Key::Group(_) => Saved::decode(value)?.encode(),
        Key::ConsumerGroup(_) => GroupEpoch::decode(value)?.encode(),
        Key::ConsumerPartitions(_) => value.to_vec(),
        Key::ConsumerMember(..) => Member::decode(value)?.encode(),
        Key::ConsumerTarget(_) => Target::decode(value)?.encode(),
        Key::ConsumerTargetMember(..) => TargetMember::decode(value)?.encode(),
        Key::ConsumerCurrentMember(..) => CurrentMember::decode(value)?.encode(),
        Key::ConsumerRegex(..) => Regex::decode(value)?.encode(),
    })
}

#[test]
fn records_of_kafka_are_read_and_written_byte_for_byte() {
    for record in captured() {
        let key = Key::decode(&record.key).unwrap();
        assert_eq!(key.encode(), record.key);
        if let Some(value) = record.value {
            let ours = again(&key, &value).map(|bytes| hex(&bytes));
            assert_eq!(ours, Some(hex(&value)), "{key:?}");
        }
    }
}

/// What the records of Kafka say, in the words of its own formatter.
#[test]
fn records_of_kafka_say_what_kafkas_formatter_says() {
    let records = records(KAFKA);
    let value = |at: usize| records[at].value.as_deref().unwrap();
    let key = |at: usize| Key::decode(&records[at].key).unwrap();
    let offset = View::decode(value(3)).unwrap();
    let orders = |partition| Key::Offset {
        group: "classic-g",
        topic: "orders",
        partition,
    };
    assert_eq!(key(3), orders(1));
    assert_eq!((offset.offset, offset.leader_epoch), (3, 0));
    assert_eq!((offset.metadata, offset.expires_ms), ("", None));
    assert_eq!(offset.committed_ms, 1_795_263_506_094);
    assert_eq!(offset.topic_id.to_string(), "FOHmXlGbQDWKhFqaYzp4qw");
    let group = Saved::decode(value(6)).unwrap();
    assert_eq!(group.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(group.protocol.as_deref(), Some("range"));
    assert_eq!(group.members[0].instance.as_deref(), Some("inst-1"));
    assert_eq!(group.leader.as_ref(), Some(&group.members[0].id));
    assert_eq!(group.members[0].rebalance_timeout_ms, 300_000);
    let current = CurrentMember::decode(value(13)).unwrap();
    assert_eq!(
        (current.epoch, current.previous_epoch, current.state),
        (2, 0, 0)
    );
    assert_eq!(current.assigned[0].partitions, [0, 1]);
    assert_eq!(current.assigned[0].epochs.as_deref(), Some(&[2, 2][..]));
    assert_eq!(records[16].value, None);
}

/// Kinds that the capture doesn't have; `more.txt` was written by hand after the definitions in
/// Kafka's jar and read back by Kafka's own formatter.
#[test]
fn kinds_beyond_the_capture_are_written_as_ever() {
    let id = Uuid([0xab; 16]);
    let expiring = View {
        offset: 7,
        leader_epoch: 3,
        metadata: "why",
        committed_ms: 1000,
        expires_ms: Some(2000),
        topic_id: id,
    };
    let idless = View {
        expires_ms: None,
        topic_id: Uuid::ZERO,
        ..expiring
    };
    let classic = Member {
        instance: Some("i".into()),
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        topics: vec!["t".into()],
        regex: Some("t.*".into()),
        rebalance_timeout_ms: 5,
        assignor: Some("range".into()),
        classic: Some(consumer::ClassicMember {
            session_timeout_ms: 6,
            protocols: vec![Protocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"m"),
            }],
        }),
    };
    let held = |epochs| Held {
        topic: id,
        partitions: vec![1],
        epochs,
    };
    let current = CurrentMember {
        epoch: 2,
        previous_epoch: 1,
        state: 1,
        assigned: vec![held(None)],
        revoking: vec![held(Some(vec![2]))],
    };
    let target = TargetMember {
        partitions: vec![TopicPartitions {
            topic: id,
            partitions: vec![0, 1],
        }],
    };
    let regex = Regex {
        topics: vec!["a".into(), "b".into()],
        version: 9,
        matched_ms: 10,
    };
    let offset = |partition| Key::Offset {
        group: "g",
        topic: "t",
        partition,
    };
    let ours = [
        Record::new(offset(0), expiring.encode()),
        Record::new(offset(1), idless.encode()),
        Record::new(Key::ConsumerMember("g", "m"), classic.encode()),
        Record::new(Key::ConsumerCurrentMember("g", "m"), current.encode()),
        Record::new(Key::ConsumerTargetMember("g", "m"), target.encode()),
        Record::new(Key::ConsumerRegex("g", "t.*"), regex.encode()),
        Record::new(Key::ConsumerGroup("g"), GroupEpoch::default().encode()),
        Record::new(Key::ConsumerTarget("g"), Target::default().encode()),
    ];
    let text = |record: &Record| {
        let value = record.value.as_ref().map_or("-".into(), |v| hex(v));
        format!("{} {value}", hex(&record.key))
    };
    let ours: Vec<String> = ours.iter().map(text).collect();
    let golden: Vec<&str> = OURS.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(ours, golden);
}

/// Older layouts, which other brokers wrote and a migrated log may hold.
#[test]
fn older_versions_are_read() {
    let old = bytes("0000000000000000002a0001780000000000000005");
    let old = View::decode(&old).unwrap();
    assert_eq!((old.offset, old.metadata, old.committed_ms), (42, "x", 5));
    assert_eq!(old.leader_epoch, -1);
    let with_expiry = bytes("0001000000000000002a00000000000000000005ffffffffffffffff");
    assert_eq!(View::decode(&with_expiry).unwrap().expires_ms, None);
    let third = bytes("0003000000000000002a0000000100000000000000000005");
    let third = View::decode(&third).unwrap();
    assert_eq!((third.leader_epoch, third.committed_ms), (1, 5));
    // Version 0 knows no rebalance time-out, static name or time stamp.
    let group = "0000".to_owned()
        + "0001630000000300017200016d"
        + "00000001"
        + "00016d00016300026868000000090000000173000000026161";
    let group = Saved::decode(&bytes(&group)).unwrap();
    assert_eq!((group.generation, group.since_ms), (3, -1));
    assert_eq!(group.members[0].rebalance_timeout_ms, 9);
    assert_eq!(&group.members[0].assignment[..], b"aa");
}

proptest! {
    #[test]
    fn reading_takes_anything(
        which in any::<proptest::sample::Index>(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        cut in any::<usize>(),
    ) {
        let all = captured();
        let record = which.get(&all);
        let key = Key::decode(&record.key).unwrap();
        let mut value = record.value.clone().unwrap_or_default().to_vec();
        for (at, byte) in edits {
            if let Some(len) = value.len().checked_sub(1) {
                value[at % (len + 1)] = byte;
            }
        }
        value.truncate(cut % (value.len() + 1));
        let _ = again(&key, &value);
        let mut key = record.key.to_vec();
        key.truncate(cut % (key.len() + 1));
        let _ = Key::decode(&key);
    }
}
