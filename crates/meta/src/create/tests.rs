use crate::{Command, Defaults, Meta, NewTopic, NodeInfo, Placement, Reply, TopicCreated};
use base::{GroupId, NodeId, Refusal, Uuid};

fn cluster(nodes: u32) -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for node in 1..=nodes {
        let info = NodeInfo::new("h", 9092, None);
        meta.obey(Command::RegisterNode {
            node: NodeId(node),
            info,
        });
    }
    meta
}

fn topic(name: &str, placement: Placement) -> NewTopic {
    let mut id = [1u8; 16];
    for (at, byte) in name.bytes().enumerate() {
        id[at % 16] = id[at % 16].wrapping_mul(31).wrapping_add(byte);
    }
    NewTopic {
        name: name.to_owned(),
        id: Uuid(id),
        placement,
        configs: Default::default(),
    }
}

fn spread(partitions: u32, replicas: u32) -> Placement {
    Placement::Spread {
        partitions: Some(partitions),
        replicas: Some(replicas),
    }
}

fn create(meta: &mut Meta, topics: Vec<NewTopic>) -> Vec<Result<TopicCreated, Refusal>> {
    match meta.obey(Command::CreateTopics {
        topics,
        validate_only: false,
    }) {
        Reply::TopicsCreated(parts) => parts,
        other => panic!("an answer to another command: {other:?}"),
    }
}

fn why(meta: &mut Meta, topic: NewTopic) -> Refusal {
    create(meta, vec![topic]).remove(0).unwrap_err()
}

#[test]
fn groups_are_numbered_from_one_and_never_again() {
    let mut meta = cluster(3);
    let made = create(
        &mut meta,
        vec![topic("a", spread(2, 3)), topic("b", spread(1, 1))],
    );
    assert_eq!(made[0].as_ref().unwrap().groups, [GroupId(1), GroupId(2)]);
    assert_eq!(made[1].as_ref().unwrap().groups, [GroupId(3)]);
    let topics = vec![crate::TopicRef::Name("b".to_owned())];
    meta.obey(Command::DeleteTopics { topics });
    let made = create(&mut meta, vec![topic("b", spread(1, 1))]);
    assert_eq!(made[0].as_ref().unwrap().groups, [GroupId(4)]);
}

#[test]
fn what_is_left_open_comes_from_the_defaults() {
    let open = || Placement::Spread {
        partitions: None,
        replicas: None,
    };
    for (nodes, replicas) in [(1, 1), (2, 2), (5, 3)] {
        let made = create(&mut cluster(nodes), vec![topic("a", open())]);
        let made = made[0].as_ref().unwrap();
        assert_eq!((made.partitions, made.replicas), (1, replicas));
    }
    let mut meta = cluster(3);
    meta.defaults = Defaults {
        partitions: 6,
        replicas: Some(2),
        ..Defaults::default()
    };
    let made = create(&mut meta, vec![topic("a", open())]);
    let made = made[0].as_ref().unwrap();
    assert_eq!((made.partitions, made.replicas), (6, 2));
}

#[test]
fn numbers_that_can_t_be_are_refused_in_kafkas_words() {
    let mut meta = cluster(2);
    assert_eq!(
        why(&mut meta, topic("a", spread(1, 3))),
        Refusal::InvalidReplicationFactor(
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 \
             cannot be reached because only 2 broker(s) are registered or some brokers have all \
             their log directories cordoned."
                .to_owned()
        )
    );
    assert_eq!(
        why(&mut meta, topic("a", spread(0, 1))),
        Refusal::InvalidPartitions(
            "Number of partitions was set to an invalid non-positive value.".to_owned()
        )
    );
    assert_eq!(
        why(&mut meta, topic("a", spread(1, 0))),
        Refusal::InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned()
        )
    );
    let nobody = topic(
        "a",
        Placement::Spread {
            partitions: None,
            replicas: None,
        },
    );
    assert!(matches!(
        why(&mut cluster(0), nobody),
        Refusal::InvalidReplicationFactor(_)
    ));
}

/// Each could be made alone; all are placed and opened in one go on every node.
#[test]
fn more_partitions_than_are_made_in_one_go_are_refused_with_the_whole_request() {
    let mut meta = cluster(2);
    let halves = vec![topic("a", spread(6_000, 1)), topic("b", spread(4_001, 1))];
    for part in create(&mut meta, halves) {
        assert!(matches!(part, Err(Refusal::Policy(_))), "{part:?}");
    }
    let placed = Placement::Manual(vec![vec![NodeId(1)]; 10_001]);
    assert!(matches!(
        why(&mut meta, topic("a", placed)),
        Refusal::Policy(_)
    ));
    assert!(meta.image(1).topics.is_empty());
    assert!(create(&mut meta, vec![topic("a", spread(10_000, 1))])[0].is_ok());
}

#[test]
fn names_are_refused_when_taken_twice_or_colliding() {
    let mut meta = cluster(1);
    let parts = create(
        &mut meta,
        vec![
            topic("a.b", spread(1, 1)),
            topic("twice", spread(1, 1)),
            topic("a_b", spread(1, 1)),
            topic("twice", spread(1, 1)),
        ],
    );
    assert!(parts[0].is_ok());
    let twice = Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned()));
    assert_eq!((&parts[1], &parts[3]), (&twice, &twice));
    let collides = "Topic 'a_b' collides with existing topic: a.b".to_owned();
    assert_eq!(parts[2], Err(Refusal::InvalidTopic(collides.clone())));
    assert_eq!(
        why(&mut meta, topic("a_b", spread(1, 1))),
        Refusal::InvalidTopic(collides)
    );
    let exists = Refusal::TopicExists("a.b".to_owned());
    assert_eq!(why(&mut meta, topic("a.b", spread(9, 9))), exists);
    let topics = vec![crate::TopicRef::Name("a.b".to_owned())];
    meta.obey(Command::DeleteTopics { topics });
    assert!(create(&mut meta, vec![topic("a_b", spread(1, 1))])[0].is_ok());
    assert!(matches!(
        why(&mut meta, topic("__cluster_metadata", spread(1, 1))),
        Refusal::InvalidRequest(_)
    ));
}

#[test]
fn replicas_placed_by_hand_are_checked_and_kept() {
    let mut meta = cluster(3);
    let nodes = |lists: &[&[u32]]| {
        let list = |nodes: &&[u32]| nodes.iter().map(|node| NodeId(*node)).collect();
        Placement::Manual(lists.iter().map(list).collect())
    };
    let refused: &[(&[&[u32]], &str)] = &[
        (&[&[]], "includes an empty replica list."),
        (
            &[&[1, 4]],
            "includes broker 4, but no such broker is registered.",
        ),
        (&[&[2, 1, 2]], "includes the broker 2 more than once."),
        (
            &[&[1, 2], &[3]],
            "includes a partition with 1 replica(s), but this is not consistent with previous \
             partitions, which have 2 replica(s).",
        ),
    ];
    for (lists, text) in refused {
        let text = format!("The manual partition assignment {text}");
        let refusal = why(&mut meta, topic("a", nodes(lists)));
        assert_eq!(refusal, Refusal::InvalidReplicaAssignment(text));
    }
    create(&mut meta, vec![topic("a", nodes(&[&[3, 1], &[2, 3]]))])
        .remove(0)
        .unwrap();
    let image = meta.image(9);
    let kept = &image.topic("a").unwrap().partitions;
    assert_eq!(kept[0].replicas, [NodeId(3), NodeId(1)]);
    assert_eq!(kept[1].replicas, [NodeId(2), NodeId(3)]);
}

#[test]
fn a_configuration_that_can_t_be_is_refused() {
    let mut meta = cluster(1);
    let mut wanted = topic("a", spread(1, 1));
    wanted
        .configs
        .insert("retention.mss".to_owned(), "1".to_owned());
    let text = "Unknown topic config name: retention.mss".to_owned();
    assert_eq!(why(&mut meta, wanted), Refusal::InvalidConfig(text));
}

#[test]
fn validating_answers_as_creating_would_and_changes_nothing() {
    let mut meta = cluster(3);
    let before = meta.clone();
    let topics = vec![topic("a", spread(4, 2)), topic("b", spread(4, 4))];
    let reply = meta.obey(Command::CreateTopics {
        topics,
        validate_only: true,
    });
    let Reply::TopicsCreated(parts) = reply else {
        panic!("an answer to another command")
    };
    let made = parts[0].as_ref().unwrap();
    assert_eq!(
        (made.partitions, made.replicas, made.groups.len()),
        (4, 2, 0)
    );
    assert!(parts[1].is_err());
    assert_eq!(meta, before);
}

#[test]
fn an_id_in_use_is_refused() {
    let mut meta = cluster(1);
    let first = topic("a", spread(1, 1));
    let mut second = topic("b", spread(1, 1));
    second.id = first.id;
    let parts = create(&mut meta, vec![first, second.clone()]);
    assert!(parts[0].is_ok());
    assert!(matches!(parts[1], Err(Refusal::InvalidRequest(_))));
    assert!(matches!(why(&mut meta, second), Refusal::InvalidRequest(_)));
}
