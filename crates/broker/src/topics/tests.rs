use super::*;
use crate::tests::{AWAY, HERE, World};
use base::{Mono, Uuid};
use std::sync::atomic::Ordering;

const WAIT: Duration = Duration::from_millis(1);

fn spec(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        ..TopicSpec::default()
    }
}

fn create(world: &World, topics: Vec<TopicSpec>) {
    let now = Now {
        mono: Mono(10),
        ..Now::default()
    };
    world
        .broker
        .create_topics(now, &Principal::ANONYMOUS, topics, false, WAIT, world.to(1));
}

fn created(world: &World) -> Vec<Result<TopicCreated, Refusal>> {
    match world.inbox.one() {
        (1, Reply::Meta(Ok(meta::Reply::TopicsCreated(parts)))) => parts,
        other => panic!("another answer: {other:?}"),
    }
}

fn asked(world: &World) -> (Command, ReplyTo) {
    match world.post.one() {
        (shard::Command::Meta { command, .. }, Some(to)) => (command, to),
        other => panic!("another command: {:?}", other.0),
    }
}

fn made(name: &str) -> TopicCreated {
    TopicCreated {
        name: name.to_owned(),
        id: Uuid([1; 16]),
        partitions: 1,
        replicas: 1,
        groups: Vec::new(),
    }
}

/// Why a topic alone is refused without asking the controller.
fn why(topic: TopicSpec) -> Refusal {
    let world = World::with_topics();
    create(&world, vec![topic]);
    assert!(world.post.take().is_empty());
    created(&world).remove(0).unwrap_err()
}

#[test]
fn answers_cover_all_topics_in_the_order_of_the_request() {
    let world = World::with_topics();
    let names = ["here", "a", "twice", "b", "twice"];
    create(&world, names.into_iter().map(spec).collect());
    let (
        Command::CreateTopics {
            topics,
            validate_only: false,
        },
        to,
    ) = asked(&world)
    else {
        panic!()
    };
    let sent: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(sent, ["a", "b"]);
    assert!(topics[0].id != topics[1].id && topics[0].id != Uuid::ZERO);
    let answers = vec![Err(Refusal::InvalidTopic("x".to_owned())), Ok(made("b"))];
    to.sink.reply(
        to.ticket,
        Reply::Meta(Ok(meta::Reply::TopicsCreated(answers))),
    );
    let twice = Err(Refusal::InvalidRequest("Duplicate topic name.".to_owned()));
    assert_eq!(
        created(&world),
        [
            Err(Refusal::TopicExists("here".to_owned())),
            Err(Refusal::InvalidTopic("x".to_owned())),
            twice.clone(),
            Ok(made("b")),
            twice,
        ]
    );
}

#[test]
fn a_command_refused_as_a_whole_refuses_each_topic() {
    let world = World::with_topics();
    create(&world, vec![spec("a"), spec("here"), spec("b")]);
    let (_, to) = asked(&world);
    to.sink
        .reply(to.ticket, Reply::Meta(Err(Refusal::NoController)));
    let no = Err(Refusal::NoController);
    let exists = Err(Refusal::TopicExists("here".to_owned()));
    assert_eq!(created(&world), [no.clone(), exists, no]);
    world.post.full.store(true, Ordering::Relaxed);
    create(&world, vec![spec("a")]);
    assert!(matches!(created(&world)[..], [Err(Refusal::Busy(_))]));
}

#[test]
fn numbers_and_values_that_can_t_be_are_refused_without_the_controller() {
    let factor =
        "Replication factor must be larger than 0, or -1 to use the default value.".to_owned();
    let topic = TopicSpec {
        replicas: Some(-2),
        ..spec("a")
    };
    assert_eq!(why(topic), Refusal::InvalidReplicationFactor(factor));
    let count = "Number of partitions was set to an invalid non-positive value.".to_owned();
    let topic = TopicSpec {
        partitions: Some(0),
        ..spec("a")
    };
    assert_eq!(why(topic), Refusal::InvalidPartitions(count));
    let nulls = vec![("retention.ms".to_owned(), None), ("x".to_owned(), None)];
    let text = "Null value not supported for topic configs: retention.ms,x".to_owned();
    let topic = TopicSpec {
        configs: nulls,
        ..spec("a")
    };
    assert_eq!(why(topic), Refusal::InvalidConfig(text));
}

#[test]
fn a_placement_by_hand_is_put_in_order_or_refused() {
    let by_hand = |assignment: &[(i32, &[i32])]| TopicSpec {
        assignment: assignment
            .iter()
            .map(|(at, nodes)| (*at, nodes.to_vec()))
            .collect(),
        ..spec("a")
    };
    let world = World::with_topics();
    create(&world, vec![by_hand(&[(1, &[2, 3]), (0, &[1, 2])])]);
    let (Command::CreateTopics { topics, .. }, _) = asked(&world) else {
        panic!()
    };
    let nodes = |nodes: [u32; 2]| nodes.map(NodeId).to_vec();
    let expected = Placement::Manual(vec![nodes([1, 2]), nodes([2, 3])]);
    assert_eq!(topics[0].placement, expected);

    let both = TopicSpec {
        replicas: Some(1),
        ..by_hand(&[(0, &[1])])
    };
    let text = "A manual partition assignment was specified, but replication factor was not set \
                to -1.";
    assert_eq!(why(both), Refusal::InvalidRequest(text.to_owned()));
    let hole = Refusal::InvalidReplicaAssignment(
        "partitions should be a consecutive 0-based integer sequence".to_owned(),
    );
    assert_eq!(why(by_hand(&[(0, &[1]), (2, &[1])])), hole);
    assert_eq!(why(by_hand(&[(-1, &[1]), (0, &[1])])), hole);
    let twice = why(by_hand(&[(0, &[1]), (0, &[2])]));
    let text = "Found multiple manual partition assignments for partition 0".to_owned();
    assert_eq!(twice, Refusal::InvalidReplicaAssignment(text));
    assert!(matches!(
        why(by_hand(&[(0, &[-5])])),
        Refusal::InvalidReplicaAssignment(_)
    ));
}

#[test]
fn topics_are_made_on_the_way_only_if_the_node_may() {
    let names = || vec!["a".to_owned(), "here".to_owned()];
    let auto = |world: &World| {
        let to = world.to(1);
        world
            .broker
            .auto_create_topics(Now::default(), &Principal::ANONYMOUS, names(), WAIT, to);
    };
    let world = World::with_topics();
    auto(&world);
    let (Command::CreateTopics { topics, .. }, _) = asked(&world) else {
        panic!()
    };
    assert_eq!(
        topics[0].placement,
        Placement::Spread {
            partitions: None,
            replicas: None
        }
    );
    let world = World::new(&[("auto.create.topics.enable", "false")]);
    auto(&world);
    assert_eq!(
        created(&world),
        [Err(Refusal::UnknownTopic), Err(Refusal::UnknownTopic)]
    );
    assert!(world.post.take().is_empty());
}

#[test]
fn topics_are_deleted_unless_the_operator_forbids_it() {
    let wanted = || vec![TopicRef::Id(HERE), TopicRef::Name("none".to_owned())];
    let delete = |world: &World| {
        let to = world.to(1);
        world
            .broker
            .delete_topics(Now::default(), &Principal::ANONYMOUS, wanted(), WAIT, to);
    };
    let world = World::with_topics();
    delete(&world);
    let (command, to) = asked(&world);
    assert_eq!(command, Command::DeleteTopics { topics: wanted() });
    let parts = vec![Ok(("here".to_owned(), AWAY)), Err(Refusal::UnknownTopic)];
    let answer = meta::Reply::TopicsDeleted(parts);
    to.sink.reply(to.ticket, Reply::Meta(Ok(answer.clone())));
    let (1, Reply::Meta(Ok(reply))) = world.inbox.one() else {
        panic!()
    };
    assert_eq!(reply, answer);

    let world = World::new(&[("delete.topic.enable", "false")]);
    delete(&world);
    let (1, Reply::Meta(Ok(meta::Reply::TopicsDeleted(parts)))) = world.inbox.one() else {
        panic!()
    };
    assert!(
        parts
            .iter()
            .all(|part| matches!(part, Err(Refusal::Policy(_))))
    );
    assert_eq!(parts.len(), 2);
}
