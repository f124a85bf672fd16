use super::*;
use crate::Image;
use base::Uuid;

const GOLDEN: &str = include_str!("../../testdata/v1/snapshot.txt");
const RECORDS: &str = include_str!("../../testdata/v1/records.txt");

fn bytes_of(hex: &str) -> Vec<u8> {
    let pairs = hex.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

/// What the golden records lead to, but for those that take something away.
fn state() -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for line in RECORDS.lines().filter(|line| !line.starts_with('#')) {
        let (name, hex) = line.split_once(' ').unwrap();
        // The last two came later than the snapshot.
        let left_out = [
            "topic_deleted",
            "node_unregistered",
            "partitions_recovered",
            "partitions_renewed",
        ];
        if !left_out.contains(&name) {
            meta.replay(&bytes_of(hex));
        }
    }
    meta
}

#[test]
fn a_snapshot_of_version_1_is_written_and_read_as_ever() {
    let state = state();
    let hex: String = state
        .snapshot()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hex, GOLDEN.trim());
    let restored = Meta::restore(Defaults::default(), &bytes_of(GOLDEN));
    assert_eq!(restored, Ok(state));
}

#[test]
fn what_is_gone_is_remembered_where_it_must_be() {
    let mut meta = state();
    let (topic, node) = (Uuid([0xab; 16]), NodeId(300));
    meta.replay(&Record::TopicDeleted { id: topic }.encode());
    meta.replay(&Record::NodeUnregistered { node }.encode());
    let restored = Meta::restore(Defaults::default(), &meta.snapshot()).expect("its own");
    assert_eq!(restored, meta);
    let image: Image = restored.image.clone();
    assert!(image.topics.is_empty() && image.has_left(node));
    assert_eq!(restored.next_group(), GroupId(202), "no group comes twice");
}

#[test]
fn anything_else_is_refused() {
    let whole = bytes_of(GOLDEN);
    for cut in 0..whole.len() {
        assert!(Meta::restore(Defaults::default(), &whole[..cut]).is_err());
    }
    let mut newer = whole;
    newer[0] = 9;
    assert!(Meta::restore(Defaults::default(), &newer).is_err());
}
