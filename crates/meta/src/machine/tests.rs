use super::*;
use crate::{
    Amount, ConfigChange, Edit, Entity, MorePartitions, NewTopic, Placement, QuotaChange, Resource,
    ResourceKind, Whom,
};
use base::Partition;
use proptest::collection::vec;
use proptest::prelude::*;

/// Few names and ids, so that commands meet.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a.b".to_owned()),
        Just("a_b".to_owned()),
        Just("orders".to_owned()),
        Just("bad name".to_owned()),
        "[a-c]{1,2}",
    ]
}

fn placement() -> impl Strategy<Value = Placement> {
    let node = (1u32..6).prop_map(NodeId);
    prop_oneof![
        (proptest::option::of(0u32..5), proptest::option::of(0u32..5)).prop_map(
            |(partitions, replicas)| Placement::Spread {
                partitions,
                replicas
            }
        ),
        vec(vec(node, 0..3), 0..3).prop_map(Placement::Manual),
    ]
}

fn new_topic() -> impl Strategy<Value = NewTopic> {
    let configs = prop_oneof![
        Just(BTreeMap::new()),
        Just(BTreeMap::from([(
            "retention.ms".to_owned(),
            "5".to_owned()
        )])),
        Just(BTreeMap::from([(
            "retention.ms".to_owned(),
            "x".to_owned()
        )])),
    ];
    (names(), any::<u8>(), placement(), configs).prop_map(|(name, id, placement, configs)| {
        NewTopic {
            name,
            id: Uuid([id; 16]),
            placement,
            configs,
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let wanted = prop_oneof![
        names().prop_map(TopicRef::Name),
        any::<u8>().prop_map(|id| TopicRef::Id(Uuid([id; 16]))),
    ];
    let info = (0u16..3, proptest::option::of("[ab]"))
        .prop_map(|(port, rack)| NodeInfo::new("h", port, rack.as_deref()));
    prop_oneof![
        4 => (vec(new_topic(), 0..4), any::<bool>())
            .prop_map(|(topics, validate_only)| Command::CreateTopics { topics, validate_only }),
        2 => vec(wanted, 0..3).prop_map(|topics| Command::DeleteTopics { topics }),
        2 => (1u32..6, info)
            .prop_map(|(node, info)| Command::RegisterNode { node: NodeId(node), info }),
        1 => (0u32..2000).prop_map(|count| Command::AllocateProducerIds { count }),
        4 => operator_command(),
    ]
}

/// What operators ask; few names and keys, so that commands meet.
fn operator_command() -> impl Strategy<Value = Command> {
    let kind = prop_oneof![
        4 => Just(ResourceKind::Topic),
        2 => Just(ResourceKind::Node),
        1 => Just(ResourceKind::Group),
        1 => Just(ResourceKind::ClientMetrics),
    ];
    let name = prop_oneof![3 => names(), 1 => Just(String::new()), 1 => Just("1".to_owned())];
    let key = prop_oneof![
        Just("retention.ms"),
        Just("cleanup.policy"),
        Just("log.segment.bytes"),
        Just("log.cleanup.policy"),
        Just("consumer.session.timeout.ms"),
        Just("interval.ms"),
        Just("metrics"),
        Just("no.such.key"),
    ];
    let value = prop_oneof![Just("5000000"), Just("compact"), Just("delete"), Just("x")];
    let edit = (0u8..4, value).prop_map(|(kind, value)| match kind {
        0 => Edit::Set(value.to_owned()),
        1 => Edit::Append(value.to_owned()),
        2 => Edit::Subtract(value.to_owned()),
        _ => Edit::Delete,
    });
    let edits = vec((key.prop_map(str::to_owned), edit), 0..3);
    let change = (kind, name, any::<bool>(), edits).prop_map(|(kind, name, replace, edits)| {
        let resource = Resource::new(kind, name);
        ConfigChange {
            resource,
            replace,
            edits,
        }
    });
    let node = (1u32..6).prop_map(NodeId);
    let more = (
        names(),
        0i32..9,
        proptest::option::of(vec(vec(node, 0..3), 0..3)),
    )
        .prop_map(|(topic, count, assignment)| MorePartitions {
            topic,
            count,
            assignment,
        });
    let whom = proptest::option::of(prop_oneof![
        Just(Whom::Default),
        "[ab]?".prop_map(Whom::Named),
    ]);
    let amount = proptest::option::of(-1i32..5).prop_map(|n| n.map(|n| Amount::new(n.into())));
    let quota = (whom.clone(), whom, amount).prop_map(|(user, client, amount)| QuotaChange {
        entity: Entity {
            user,
            client,
            ip: None,
        },
        edits: vec![("producer_byte_rate".to_owned(), amount)],
    });
    prop_oneof![
        4 => (vec(change, 0..3), any::<bool>())
            .prop_map(|(changes, validate_only)| Command::AlterConfigs { changes, validate_only }),
        2 => (vec(more, 0..3), any::<bool>())
            .prop_map(|(topics, validate_only)| Command::AddPartitions { topics, validate_only }),
        1 => (vec(quota, 0..3), any::<bool>())
            .prop_map(|(changes, validate_only)| Command::AlterQuotas { changes, validate_only }),
        1 => (1u32..6).prop_map(|node| Command::UnregisterNode { node: NodeId(node), generation: None }),
        2 => (1u32..6, 0u8..3, any::<bool>()).prop_map(introduction),
        2 => (names(), proptest::option::of(vec((1u32..6).prop_map(NodeId), 1..4)))
            .prop_map(reassignment),
    ]
}

fn introduction((node, directory, joins): (u32, u8, bool)) -> Command {
    let home = crate::Home {
        address: format!("h:{directory}"),
        directory: Uuid([directory; 16]),
        release: "1".to_owned(),
        generation: u32::from(!joins && directory == 2),
    };
    let node = NodeId(node);
    Command::IntroduceNode { node, home, joins }
}

fn reassignment((topic, target): (String, Option<Vec<NodeId>>)) -> Command {
    let change = crate::Reassignment {
        topic,
        partition: Partition(0),
        target,
    };
    Command::Reassign {
        changes: vec![change],
        keep_factor: false,
    }
}

/// What must hold of every state.
fn check(meta: &Meta) {
    let image = &meta.image;
    assert_eq!(image.topics.len(), image.names.len());
    let mut load = Load::default();
    let mut groups = 0;
    for (name, topic) in image.topics.iter() {
        assert_eq!((name, &image.names[&topic.id]), (&topic.name, name));
        for (at, partition) in topic.partitions.iter().enumerate() {
            let (same, place) = &image.groups[&partition.group];
            assert!(Arc::ptr_eq(same, topic) && place.0 as usize == at);
            assert!(partition.group < meta.next_group && partition.group > GroupId::META);
            load.add(&partition.replicas);
            groups += 1;
        }
    }
    assert_eq!(groups, image.groups.len());
    assert_eq!(load, meta.load);
    for topic in image.topics.values() {
        let settings = TopicSettings::parse(&topic.configs, &meta.effective);
        assert_eq!(*topic.settings, settings, "what is configured holds");
        let valid = crate::config::validate(&topic.configs, &BTreeMap::new());
        assert_eq!(valid, Ok(()));
    }
    assert!(image.configs.values().all(|set| !set.is_empty()));
    assert!(image.quotas.values().all(|set| !set.is_empty()));
}

proptest! {
    #[test]
    fn a_replica_that_only_replays_is_in_the_same_state(commands in vec(command(), 1..30)) {
        let mut leader = Meta::new(Defaults::default());
        let mut log: Vec<bytes::Bytes> = Vec::new();
        for command in commands {
            let before = leader.clone();
            let decision = leader.handle(Now::default(), command.clone());
            prop_assert_eq!(&leader, &before, "a decision changes nothing");
            let again = leader.handle(Now::default(), command);
            prop_assert_eq!(&decision.records, &again.records, "it follows from the state");
            prop_assert_eq!(&decision.reply, &again.reply);
            decision.records.iter().for_each(|record| leader.replay(record));
            log.extend(decision.records);
            check(&leader);
        }
        let mut follower = Meta::new(Defaults::default());
        log.iter().for_each(|record| follower.replay(record));
        prop_assert_eq!(&follower, &leader);
        let restored = Meta::restore(Defaults::default(), &leader.snapshot());
        prop_assert_eq!(restored.as_ref(), Ok(&leader), "a snapshot says it all");
    }

    #[test]
    fn producer_ids_are_given_once(counts in vec(1u32..5000, 1..20)) {
        let mut meta = Meta::new(Defaults::default());
        let mut next = 0;
        for count in counts {
            let command = Command::AllocateProducerIds { count };
            let decision = meta.handle(Now::default(), command);
            prop_assert_eq!(decision.reply, Reply::ProducerIds(ProducerId(next)));
            decision.records.iter().for_each(|record| meta.replay(record));
            next += i64::from(count);
        }
    }
}

impl Meta {
    /// Decides, and takes in what came of it.
    pub(crate) fn obey(&mut self, command: Command) -> Reply {
        let Decision { records, reply } = self.handle(Now::default(), command);
        for record in records {
            self.replay(&record);
        }
        reply
    }
}

fn with_topics(names: &[&str]) -> Meta {
    let mut meta = Meta::new(Defaults::default());
    let info = NodeInfo::new("h", 1, None);
    meta.obey(Command::RegisterNode {
        node: NodeId(1),
        info,
    });
    let topic = |(at, name): (usize, &&str)| NewTopic {
        name: (*name).to_owned(),
        id: Uuid([at as u8 + 1; 16]),
        placement: Placement::Spread {
            partitions: Some(2),
            replicas: None,
        },
        configs: BTreeMap::new(),
    };
    let topics = names.iter().enumerate().map(topic).collect();
    meta.obey(Command::CreateTopics {
        topics,
        validate_only: false,
    });
    meta
}

#[test]
fn an_image_shares_what_did_not_change() {
    let mut meta = with_topics(&["a", "b"]);
    let before = meta.image(3);
    meta.obey(Command::DeleteTopics {
        topics: vec![TopicRef::Name("b".to_owned())],
    });
    let after = meta.image(4);
    assert!(Arc::ptr_eq(
        before.topic("a").unwrap(),
        after.topic("a").unwrap()
    ));
    assert!(before.topic("b").is_some() && after.topic("b").is_none());
    assert_eq!((before.version, after.version), (3, 4));
    assert!(after.partition(GroupId(1)).is_some() && after.partition(GroupId(3)).is_none());
    // What isn't of topics leaves all of them where they are.
    let before = meta.image(9);
    meta.obey(Command::AllocateProducerIds { count: 5 });
    meta.obey(Command::RegisterNode {
        node: NodeId(2),
        info: NodeInfo::new("h", 2, None),
    });
    meta.obey(Command::DeleteTopics {
        topics: vec![TopicRef::Name("nowhere".into())],
    });
    let after = meta.image(10);
    assert!(after.has_topics_of(&before));
    assert!(Arc::ptr_eq(&after.names, &before.names));
    assert!(Arc::ptr_eq(&after.groups, &before.groups));
    meta.obey(Command::DeleteTopics {
        topics: vec![TopicRef::Name("a".into())],
    });
    assert!(!meta.image(11).has_topics_of(&after));
}

#[test]
fn deletions_are_answered_in_order_and_a_topic_named_twice_stays() {
    let mut meta = with_topics(&["a", "b", "c"]);
    let name = |name: &str| TopicRef::Name(name.to_owned());
    let id = |id: u8| TopicRef::Id(Uuid([id; 16]));
    let topics = vec![name("b"), name("none"), id(1), id(77), name("c"), id(3)];
    let twice = Err(Refusal::InvalidRequest(
        "The provided topic name maps to an ID that was already supplied.".to_owned(),
    ));
    assert_eq!(
        meta.obey(Command::DeleteTopics { topics }),
        Reply::TopicsDeleted(vec![
            Ok(("b".to_owned(), Uuid([2; 16]))),
            Err(Refusal::UnknownTopic),
            Ok(("a".to_owned(), Uuid([1; 16]))),
            Err(Refusal::UnknownTopicId),
            twice.clone(),
            twice,
        ])
    );
    assert_eq!(meta.image(1).topics.keys().collect::<Vec<_>>(), ["c"]);
    let reply = meta.obey(Command::DeleteTopics {
        topics: vec![name("c"), name("c")],
    });
    let twice = Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned()));
    assert_eq!(reply, Reply::TopicsDeleted(vec![twice.clone(), twice]));
}

#[test]
fn a_node_that_says_the_same_again_logs_nothing() {
    let mut meta = Meta::new(Defaults::default());
    let info = |port| NodeInfo::new("h", port, None);
    let register = |port| Command::RegisterNode {
        node: NodeId(1),
        info: info(port),
    };
    assert_eq!(meta.obey(register(1)), Reply::Done);
    assert!(meta.handle(Now::default(), register(1)).records.is_empty());
    meta.obey(register(2));
    assert_eq!(meta.image(1).nodes[&NodeId(1)], info(2));
}

#[test]
fn a_topic_s_settings_come_from_its_configuration_over_the_node_s_defaults() {
    let mut meta = with_topics(&[]);
    meta.defaults.topic = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
    meta.effective = meta.defaults.topic.clone();
    let configs = BTreeMap::from([("durability".to_owned(), "disk".to_owned())]);
    let topic = NewTopic {
        name: "t".to_owned(),
        id: Uuid([5; 16]),
        placement: Placement::Spread {
            partitions: None,
            replicas: None,
        },
        configs,
    };
    meta.obey(Command::CreateTopics {
        topics: vec![topic],
        validate_only: false,
    });
    let image = meta.image(1);
    let settings = &image.topic("t").unwrap().settings;
    assert_eq!(settings.min_insync_replicas, 2);
    assert_eq!(settings.durability, crate::Durability::Disk);
}

#[test]
fn a_node_is_forgotten_only_when_it_has_no_replica_and_nothing_new_goes_to_a_cordoned_one() {
    use crate::{ConfigChange, Edit, Reassignment, Resource, ResourceKind};
    let mut meta = with_topics(&["a"]);
    let info = NodeInfo::new("h", 2, None);
    let node = NodeId(2);
    meta.obey(Command::RegisterNode { node, info });
    let cordon = |value: &str| Command::AlterConfigs {
        changes: vec![ConfigChange {
            resource: Resource::new(ResourceKind::Node, "1"),
            replace: false,
            edits: vec![(crate::CORDONED.to_owned(), Edit::Set(value.to_owned()))],
        }],
        validate_only: false,
    };
    let create = |name: &str, id: u8, replicas: u32| Command::CreateTopics {
        topics: vec![NewTopic {
            name: name.to_owned(),
            id: Uuid([id; 16]),
            placement: Placement::Spread {
                partitions: Some(3),
                replicas: Some(replicas),
            },
            configs: BTreeMap::new(),
        }],
        validate_only: false,
    };
    meta.obey(cordon("*"));
    match meta.obey(create("two", 8, 2)) {
        Reply::TopicsCreated(parts) => {
            let why = parts[0].as_ref().expect_err("one node is cordoned");
            assert!(
                why.to_string()
                    .contains("only 1 broker(s) are registered or some brokers have"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
    meta.obey(create("one", 9, 1));
    let on = |meta: &Meta, topic: &str| {
        let all = meta.image.topics[topic].partitions.iter();
        all.map(|p| p.replicas.clone()).collect::<Vec<_>>()
    };
    assert_eq!(on(&meta, "one"), vec![vec![NodeId(2)]; 3]);

    let forget = || Command::UnregisterNode {
        node: NodeId(1),
        generation: None,
    };
    let refused = meta.obey(forget());
    let named = matches!(&refused, Reply::Each(parts)
        if matches!(&parts[0], Err(Refusal::Policy(why)) if why.contains("2 replica(s)")));
    assert!(named, "{refused:?}");
    // Also while a replica only waits until its group does without it.
    let changes = (0..2).map(|partition| Reassignment {
        topic: "a".to_owned(),
        partition: Partition(partition),
        target: Some(vec![NodeId(2)]),
    });
    let changes = changes.collect();
    let keep_factor = false;
    meta.obey(Command::Reassign {
        changes,
        keep_factor,
    });
    assert!(matches!(&meta.obey(forget()), Reply::Each(parts) if parts[0].is_err()));
    let partitions = meta.image.topics["a"].partitions.iter();
    let groups = partitions.map(|p| (p.group, p.aim())).collect();
    meta.obey(Command::Arrived { groups });
    assert_eq!(meta.obey(forget()), Reply::Each(vec![Ok(())]));
    assert!(
        meta.image.configs.is_empty(),
        "its number may become another node's"
    );
}
