use super::*;
use crate::Settings;
use crate::tests::{World, meta, run};
use base::{Mono, Term, Uuid};
use group::command::{Heartbeat, JoinGroup};
use meta::{NewTopic, Placement};
use std::collections::BTreeMap;

#[test]
fn a_group_lies_where_kafka_puts_it() {
    let known = [
        ("", 0),
        ("abc", 4),
        ("hello", 22),
        ("test", 48),
        ("Hello World", 26),
        ("polygenelubricants", 0),
    ];
    for (group, at) in known {
        assert_eq!(partition(group, 50), at, "{group}");
    }
}

/// Two partitions of `__consumer_offsets` on nodes 1 and 2: "abc" (hash 96354) lies in the first,
/// "a" (97) in the second, which is on nodes 2 and 3.
fn world() -> World {
    let world = World::new(&[]);
    let mut meta = meta();
    let nodes = |nodes: &[u32]| nodes.iter().map(|n| NodeId(*n)).collect::<Vec<_>>();
    let topic = NewTopic {
        name: CONSUMER_OFFSETS.to_owned(),
        id: Uuid([9; 16]),
        placement: Placement::Manual(vec![nodes(&[1, 2]), nodes(&[2, 3])]),
        configs: BTreeMap::new(),
    };
    let command = meta::Command::CreateTopics {
        topics: vec![topic],
        validate_only: false,
    };
    run(&mut meta, command);
    world.broker.publish(meta.image(11));
    world
}

fn beat(group: &str) -> Command {
    Command::Heartbeat(Heartbeat {
        group: group.to_owned(),
        generation: 1,
        member: "m".to_owned(),
        instance: None,
    })
}

fn join(group: &str) -> Command {
    Command::JoinGroup(JoinGroup {
        group: group.to_owned(),
        member: String::new(),
        instance: None,
        client: group::Client::default(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: Vec::new(),
        reason: None,
        requires_known_id: true,
        can_skip_assignment: true,
    })
}

#[test]
fn commands_go_to_the_partition_of_their_group_or_nowhere() {
    let world = world();
    let now = Now::default();
    let anyone = Principal::ANONYMOUS;
    let ask = |name: &str, command| {
        world.broker.group(now, &anyone, name, command, world.to(1));
    };
    ask("a", beat("a"));
    assert!(matches!(
        world.inbox.one(),
        (1, Reply::Group(Err(Refusal::NotCoordinator)))
    ));
    assert!(world.post.take().is_empty());
    ask("abc", beat("abc"));
    let (command, _) = world.post.one();
    let shard::Command::Group { deadline, .. } = command else {
        panic!("another command");
    };
    assert_eq!(deadline, Some(now.mono.after(Duration::from_secs(5))));
    ask("abc", join("abc"));
    let (command, _) = world.post.one();
    assert!(matches!(
        command,
        shard::Command::Group { deadline: None, .. }
    ));
}

#[test]
fn the_coordinator_is_who_leads_and_is_heard() {
    let world = world();
    let find = || world.broker.coordinator_of("abc");
    assert!(matches!(find(), Err(Refusal::CoordinatorNotAvailable(_))));
    let image = world.broker.image();
    let group = partition_of(&image, "abc").unwrap().group;
    let leads = |node| [(group, Term(3), Some(NodeId(node)))];
    world.broker.publish_leaders(&leads(2));
    assert_eq!(find(), Ok(NodeId(2)));
    world
        .broker
        .publish_heard(vec![NodeId(1), NodeId(3)], Mono(1));
    assert!(matches!(find(), Err(Refusal::CoordinatorNotAvailable(_))));
}

fn ask(world: &World, ticket: u64, group: &str) {
    let (now, to) = (Now::default(), world.to(ticket));
    world
        .broker
        .coordinator(now, &Principal::ANONYMOUS, group, to);
}

/// A group that was never led is about to be; one that was led may be without a leader for long.
#[test]
fn the_first_leader_is_waited_for_and_no_later_one() {
    let world = world();
    let group = partition_of(&world.broker.image(), "abc").unwrap().group;
    ask(&world, 1, "abc");
    let (command, to) = world.post.one();
    assert!(
        matches!(command, shard::Command::AwaitLeader { group: asked, .. } if asked == group),
        "{command:?}"
    );
    assert_eq!(to.unwrap().ticket, 1);
    world.broker.publish_leaders(&[(group, Term(3), None)]);
    ask(&world, 2, "abc");
    let (ticket, reply) = world.inbox.one();
    assert_eq!(ticket, 2);
    assert!(
        matches!(
            reply,
            Reply::Coordinator(Err(Refusal::CoordinatorNotAvailable(_)))
        ),
        "{reply:?}"
    );
}

#[test]
fn the_first_who_asks_has_the_topic_made_and_others_wait_for_it() {
    let world = World::with_topics();
    let ask = |ticket| ask(&world, ticket, "g");
    ask(1);
    let (command, to) = world.post.one();
    let shard::Command::Meta {
        command: meta::Command::CreateTopics { topics, .. },
        ..
    } = command
    else {
        panic!("another command");
    };
    assert_eq!(topics[0].configs["cleanup.policy"], "compact");
    assert_eq!(
        topics[0].placement,
        Placement::Spread {
            partitions: Some(50),
            replicas: Some(3)
        }
    );
    ask(2);
    assert!(world.post.take().is_empty());
    let to = to.unwrap();
    to.sink
        .reply(to.ticket, Reply::Meta(Err(Refusal::NoController)));
    let told = world.inbox.take();
    assert_eq!(told.iter().map(|(t, _)| *t).collect::<Vec<_>>(), [1, 2]);
    let refused =
        |reply: &Reply| matches!(reply, Reply::Led(Err(Refusal::CoordinatorNotAvailable(_))));
    assert!(told.iter().all(|(_, reply)| refused(reply)), "{told:?}");
    ask(3);
    let (_, to) = world.post.one();
    let made = meta::Reply::TopicsCreated(vec![Ok(meta::TopicCreated {
        name: CONSUMER_OFFSETS.to_owned(),
        id: Uuid([9; 16]),
        partitions: 1,
        replicas: 1,
        groups: vec![GroupId(7)],
    })]);
    let to = to.unwrap();
    to.sink.reply(to.ticket, Reply::Meta(Ok(made)));
    let (ticket, reply) = world.inbox.one();
    assert!(
        ticket == 3 && matches!(reply, Reply::Led(Ok(()))),
        "{reply:?}"
    );
}

#[test]
fn few_nodes_make_do_unless_somebody_said_how_many_replicas() {
    let replicas = |settings: &[(&str, &str)]| {
        let world = World::new(settings);
        world.broker.offsets_spec(&world.broker.image()).replicas
    };
    assert_eq!(replicas(&[]), Some(1));
    let given = [("offsets.topic.replication.factor", "3")];
    assert_eq!(replicas(&given), Some(3));
}

#[test]
fn bounds_of_sessions_must_be_in_order() {
    let wrong = [
        ("group.min.session.timeout.ms", "10"),
        ("group.max.session.timeout.ms", "5"),
    ];
    let error = Settings::parse(&wrong).unwrap_err();
    assert_eq!(error.key, "group.min.session.timeout.ms");
}
