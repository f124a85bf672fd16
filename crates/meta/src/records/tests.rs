use super::*;
use crate::{Amount, Defaults, Endpoint, Entity, Meta, Resource, ResourceKind, Whom};
use base::{Machine, Partition};
use proptest::prelude::*;

/// One of each kind, as the first release wrote them.
fn version_1() -> Vec<(&'static str, Record)> {
    let info = |rack: Option<&str>| NodeInfo::new("node.example", 9092, rack);
    let endpoint = |listener: &str| Endpoint {
        listener: listener.to_owned(),
        host: "node.example".to_owned(),
        port: 9093,
    };
    let partition = |group, nodes: &[u32]| PartitionInfo {
        group: GroupId(group),
        replicas: nodes.iter().map(|node| NodeId(*node)).collect(),
        moves: None,
    };
    let configs = [("durability", "memory"), ("retention.ms", "-1")];
    vec![
        (
            "node_registered",
            Record::NodeRegistered {
                node: NodeId(1),
                info: info(Some("a")),
            },
        ),
        (
            "node_without_rack",
            Record::NodeRegistered {
                node: NodeId(300),
                info: info(None),
            },
        ),
        (
            "topic_created",
            Record::TopicCreated {
                name: "orders.v1".to_owned(),
                id: Uuid([0xab; 16]),
                partitions: vec![partition(1, &[1, 300]), partition(200, &[300, 1])],
                configs: configs.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            },
        ),
        (
            "topic_deleted",
            Record::TopicDeleted {
                id: Uuid([0xab; 16]),
            },
        ),
        (
            "producer_ids_allocated",
            Record::ProducerIdsAllocated {
                next: ProducerId(2000),
            },
        ),
        (
            "node_with_listeners",
            Record::NodeRegistered {
                node: NodeId(300),
                info: NodeInfo {
                    endpoints: ["INSIDE", "OUTSIDE"].map(endpoint).into(),
                    rack: None,
                },
            },
        ),
        (
            "config_changed",
            Record::ConfigChanged {
                resource: Resource::new(ResourceKind::Node, "300"),
                set: configs.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                gone: vec!["segment.bytes".to_owned()],
            },
        ),
        (
            "partitions_added",
            Record::PartitionsAdded {
                id: Uuid([0xab; 16]),
                partitions: vec![partition(201, &[1, 300])],
            },
        ),
        (
            "quota_changed",
            Record::QuotaChanged {
                entity: Entity {
                    user: Some(Whom::Named("alice".to_owned())),
                    client: Some(Whom::Default),
                    ip: None,
                },
                key: "producer_byte_rate".to_owned(),
                amount: Some(Amount::new(1024.5)),
            },
        ),
        (
            "quota_gone",
            Record::QuotaChanged {
                entity: Entity {
                    ip: Some(Whom::Named("127.0.0.1".to_owned())),
                    ..Entity::default()
                },
                key: "connection_creation_rate".to_owned(),
                amount: None,
            },
        ),
        (
            "node_unregistered",
            Record::NodeUnregistered { node: NodeId(300) },
        ),
        (
            "partitions_reassigned",
            Record::PartitionsReassigned {
                id: Uuid([0xab; 16]),
                partitions: vec![(Partition(1), placed())],
            },
        ),
        (
            "node_housed",
            Record::NodeHoused {
                node: NodeId(300),
                home: crate::Home {
                    address: "h:9192".to_owned(),
                    directory: Uuid([0xcd; 16]),
                    release: "0.1.0".to_owned(),
                    generation: 2,
                },
            },
        ),
        ("level_raised", Record::LevelRaised { level: Level(300) }),
        (
            "levels_declared",
            Record::LevelsDeclared {
                node: NodeId(300),
                levels: Levels {
                    min: Level(1),
                    max: Level(200),
                },
            },
        ),
        (
            "partitions_recovered",
            Record::PartitionsRecovered {
                id: Uuid([0xab; 16]),
                partitions: vec![(Partition(1), recovered())],
            },
        ),
        (
            "partitions_renewed",
            Record::PartitionsRecovered {
                id: Uuid([0xab; 16]),
                partitions: vec![(Partition(1), renewed()), (Partition(2), recovered())],
            },
        ),
        (
            "group_ids_left_out",
            Record::GroupIdsLeftOut { next: GroupId(150) },
        ),
    ]
}

/// A replica on 300 goes, one on 2 comes; one on 4 was to come and isn't any more.
fn placed() -> Placed {
    let nodes = |nodes: &[u32]| nodes.iter().map(|node| NodeId(*node)).collect();
    Placed {
        replicas: nodes(&[1, 2, 300]),
        moves: Moves {
            founders: nodes(&[300, 1]),
            next_incarnation: 3,
            incarnations: vec![
                Member {
                    node: NodeId(4),
                    incarnation: 1,
                },
                Member {
                    node: NodeId(2),
                    incarnation: 2,
                },
            ],
            adding: nodes(&[2]),
            removing: nodes(&[300]),
            leaving: nodes(&[4, 300]),
            under_way: true,
            survivor: None,
            renewed: Vec::new(),
        },
    }
}

/// The same, and the one on 300 goes on alone.
fn recovered() -> Placed {
    let mut placed = placed();
    placed.moves.survivor = Some(Member::founder(NodeId(300)));
    placed
}

/// The same, and the one on 1 has a successor.
fn renewed() -> Placed {
    let mut placed = placed();
    placed.moves.renewed = vec![NodeId(1)];
    placed
}

const GOLDEN: &str = include_str!("../../testdata/v1/records.txt");

fn golden() -> Vec<(&'static str, Vec<u8>)> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let line = |line: &'static str| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name, hex.as_bytes().chunks(2).map(byte).collect())
    };
    GOLDEN
        .lines()
        .filter(|text| !text.starts_with('#'))
        .map(line)
        .collect()
}

#[test]
fn records_of_version_1_are_written_and_read_as_ever() {
    let golden = golden();
    let known = version_1();
    assert_eq!(golden.len(), known.len());
    for ((name, bytes), (known_name, record)) in golden.iter().zip(&known) {
        assert_eq!(name, known_name);
        assert_eq!(Record::decode(bytes).as_ref(), Ok(record), "{name}");
        if bytes[1] == record.encode()[1] {
            assert_eq!(record.encode(), bytes, "{name}");
        }
    }
}

#[test]
fn a_log_of_version_1_still_replays() {
    let mut meta = Meta::new(Defaults::default());
    for (name, bytes) in golden() {
        if name == "topic_deleted" {
            let image = meta.image(3);
            let topic = image.topic("orders.v1").unwrap();
            assert_eq!(topic.partitions[1].replicas, [NodeId(300), NodeId(1)]);
            assert_eq!(topic.settings.durability, crate::Durability::Memory);
            assert_eq!(image.groups[&GroupId(200)].1, Partition(1));
        }
        meta.replay(&bytes);
    }
    let image = meta.image(5);
    assert!(image.topics.is_empty() && image.groups.is_empty() && image.names.is_empty());
    assert_eq!(image.nodes.len(), 1, "one was unregistered");
    let node = Resource::new(ResourceKind::Node, "300");
    assert_eq!(image.configs[&node]["retention.ms"], "-1");
    let quota = image.quotas.values().next().unwrap();
    assert_eq!(quota["producer_byte_rate"].get(), 1024.5);
    assert_eq!(meta.next_group, GroupId(201));
}

#[test]
fn a_record_of_a_newer_version_is_skipped() {
    let mut meta = Meta::new(Defaults::default());
    let before = meta.clone();
    for (_, mut bytes) in golden() {
        bytes[1] = 3;
        meta.replay(&bytes);
    }
    meta.replay(&[200, 1, 5]);
    assert_eq!(meta, before);
}

proptest! {
    #[test]
    fn replay_takes_anything(
        which in 0usize..13,
        edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut meta = Meta::new(Defaults::default());
        let mut bytes = golden()[which].1.clone();
        for (at, to) in edits {
            let at = at % bytes.len();
            bytes[at] = to;
        }
        meta.replay(&bytes);
        meta.replay(&bytes);
        let image = meta.image(1);
        prop_assert_eq!(image.topics.len(), image.names.len());
    }
}
