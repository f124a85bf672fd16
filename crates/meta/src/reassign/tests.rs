use super::*;
use crate::{Command, Defaults, NewTopic, NodeInfo, Placement};
use base::{Machine, Mono, Now, WallMs};

fn nodes(of: &[u32]) -> Vec<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

fn tell(meta: &mut Meta, command: Command) -> Reply {
    let now = Now {
        mono: Mono(0),
        wall: WallMs(0),
    };
    let decision = meta.handle(now, command);
    for record in decision.records {
        meta.replay(&record);
    }
    decision.reply
}

/// Five nodes and a partition on the first three.
fn cluster() -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for node in 1..=5 {
        let info = NodeInfo::new("h", node as u16, None);
        let node = NodeId(node);
        tell(&mut meta, Command::RegisterNode { node, info });
    }
    let topic = NewTopic {
        name: "t".to_owned(),
        id: Uuid::from_random(1, 2),
        placement: Placement::Manual(vec![nodes(&[1, 2, 3])]),
        configs: BTreeMap::new(),
    };
    let topics = vec![topic];
    let command = Command::CreateTopics {
        topics,
        validate_only: false,
    };
    tell(&mut meta, command);
    meta
}

fn info(meta: &Meta) -> PartitionInfo {
    meta.image(1).topic("t").unwrap().partitions[0].clone()
}

fn aim(meta: &mut Meta, target: Option<&[u32]>) -> Result<(), Refusal> {
    aim_keeping(meta, target, false)
}

fn aim_keeping(meta: &mut Meta, target: Option<&[u32]>, keep_factor: bool) -> Result<(), Refusal> {
    let change = Reassignment {
        topic: "t".to_owned(),
        partition: Partition(0),
        target: target.map(nodes),
    };
    let changes = vec![change];
    match tell(
        meta,
        Command::Reassign {
            changes,
            keep_factor,
        },
    ) {
        Reply::Each(mut parts) => parts.remove(0),
        other => panic!("{other:?}"),
    }
}

/// A leader says that the partition's group has come to this aim.
fn arrive_at(meta: &mut Meta, aim: u32) {
    let groups = vec![(info(meta).group, aim)];
    assert_eq!(tell(meta, Command::Arrived { groups }), Reply::Done);
}

fn arrive(meta: &mut Meta) {
    let aim = info(meta).aim();
    arrive_at(meta, aim);
}

/// Replicas, adding, removing.
fn shown(meta: &Meta) -> (Vec<NodeId>, Vec<NodeId>, Vec<NodeId>) {
    let info = info(meta);
    let (adding, removing) = info.reassigning().unwrap_or_default();
    (info.replicas.clone(), adding.to_vec(), removing.to_vec())
}

#[test]
fn clients_see_a_move_as_kafka_shows_it() {
    let mut meta = cluster();
    aim(&mut meta, Some(&[5, 1, 4])).unwrap();
    let moving = (nodes(&[5, 1, 4, 2, 3]), nodes(&[4, 5]), nodes(&[2, 3]));
    assert_eq!(shown(&meta), moving);
    arrive(&mut meta);
    assert_eq!(shown(&meta), (nodes(&[5, 1, 4]), vec![], vec![]));
    assert!(!info(&meta).is_moving());
    assert_eq!(info(&meta).founders(), nodes(&[1, 2, 3]));
}

#[test]
fn an_order_is_changed_at_once() {
    let mut meta = cluster();
    aim(&mut meta, Some(&[3, 2, 1])).unwrap();
    assert_eq!(shown(&meta), (nodes(&[3, 2, 1]), vec![], vec![]));
    assert!(!info(&meta).is_moving());
}

#[test]
fn a_cancelled_move_shows_the_old_replicas_and_keeps_the_new_ones_until_they_are_let_go() {
    let mut meta = cluster();
    assert_eq!(aim(&mut meta, None), Err(Refusal::NoReassignment));
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    let came = info(&meta).member_on(NodeId(4)).unwrap();
    aim(&mut meta, None).unwrap();
    assert_eq!(shown(&meta), (nodes(&[2, 3, 1]), vec![], vec![]));
    assert!(info(&meta).is_moving());
    assert_eq!(info(&meta).member_on(NodeId(4)), Some(came));
    assert_eq!(aim(&mut meta, None), Err(Refusal::NoReassignment));
    arrive(&mut meta);
    assert!(info(&meta).is_over(came));
    assert_eq!(info(&meta).member_on(NodeId(4)), None);
}

#[test]
fn a_replica_that_comes_again_is_another_member() {
    let mut meta = cluster();
    let mut seen = BTreeSet::from([Member::founder(NodeId(1))]);
    for _ in 0..3 {
        aim(&mut meta, Some(&[4, 2, 3])).unwrap();
        let target = info(&meta).target();
        let before = seen.clone();
        assert!(before.iter().all(|old| !target.contains(old)));
        arrive(&mut meta);
        seen.extend(target.iter().filter(|m| m.node == NodeId(4)));
        aim(&mut meta, Some(&[1, 2, 3])).unwrap();
        let target = info(&meta).target();
        assert!(seen.iter().all(|old| !target.contains(old)));
        seen.extend(target.iter().filter(|m| m.node == NodeId(1)));
        arrive(&mut meta);
    }
    assert_eq!(seen.len(), 7);
}

#[test]
fn what_is_asked_for_again_is_no_other_aim() {
    let mut meta = cluster();
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    let asked = info(&meta);
    let there = meta.image(1);
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    assert_eq!(meta.image(1).topic("t"), there.topic("t"));
    // Its leader's word holds for another order too.
    aim(&mut meta, Some(&[2, 3, 4])).unwrap();
    arrive_at(&mut meta, asked.aim());
    assert_eq!(shown(&meta), (nodes(&[2, 3, 4]), vec![], vec![]));
    assert!(!info(&meta).is_moving());
}

#[test]
fn old_news_of_an_arrival_ends_nothing() {
    let mut meta = cluster();
    let mut aims = Vec::new();
    // To and fro, and the same replicas again, while all of them are still there.
    for target in [Some(&[4, 2, 3][..]), None, Some(&[4, 2, 3]), Some(&[4, 2])] {
        aim(&mut meta, target).unwrap();
        aims.push(info(&meta).aim());
    }
    let before = shown(&meta);
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    let now = info(&meta);
    for old in aims {
        arrive_at(&mut meta, old);
        assert_eq!(info(&meta), now, "it may be anywhere since");
    }
    // Nor is a word believed that doesn't say which aim it means.
    let groups = vec![(now.group, now.target())];
    tell(&mut meta, Command::Reassigned { groups });
    assert!(info(&meta).is_moving());
    arrive(&mut meta);
    assert!(!info(&meta).is_moving());
    assert_ne!(shown(&meta), before);
}

#[test]
fn a_cluster_of_an_older_level_believes_the_names_of_those_who_vote() {
    let mut meta = cluster();
    meta.image.level = crate::Level(3);
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    let old = info(&meta).target();
    aim(&mut meta, None).unwrap();
    let say = |meta: &mut Meta, voters: &[Member]| {
        let groups = vec![(info(meta).group, voters.to_vec())];
        assert_eq!(tell(meta, Command::Reassigned { groups }), Reply::Done);
    };
    say(&mut meta, &old);
    assert!(info(&meta).is_moving());
    let target = info(&meta).target();
    say(&mut meta, &target);
    assert!(!info(&meta).is_moving());
}

#[test]
fn what_cannot_be_is_refused_in_the_words_of_kafka() {
    let mut meta = cluster();
    let refused = |why: &str| {
        let why = format!("The manual partition assignment {why}");
        Err(Refusal::InvalidReplicaAssignment(why))
    };
    assert_eq!(
        aim(&mut meta, Some(&[])),
        refused("includes an empty replica list.")
    );
    assert_eq!(
        aim(&mut meta, Some(&[1, 9])),
        refused("includes broker 9, but no such broker is registered.")
    );
    assert_eq!(
        aim(&mut meta, Some(&[1, 1])),
        refused("includes the broker 1 more than once.")
    );
    let why = "The replication factor is changed from 3 to 2".to_owned();
    assert_eq!(
        aim_keeping(&mut meta, Some(&[1, 2]), true),
        Err(Refusal::InvalidReplicationFactor(why))
    );
    assert_eq!(shown(&meta), (nodes(&[1, 2, 3]), vec![], vec![]));
}

#[test]
fn a_move_that_is_aimed_elsewhere_keeps_what_it_has() {
    let mut meta = cluster();
    aim(&mut meta, Some(&[4, 2, 3])).unwrap();
    let four = info(&meta).member_on(NodeId(4));
    aim(&mut meta, Some(&[4, 5, 3])).unwrap();
    let moving = (nodes(&[4, 5, 3, 1, 2]), nodes(&[4, 5]), nodes(&[1, 2]));
    assert_eq!(shown(&meta), moving);
    assert_eq!(info(&meta).member_on(NodeId(4)), four);
    for node in 1..=5 {
        assert!(info(&meta).member_on(NodeId(node)).is_some());
    }
}

#[test]
fn a_damaged_replica_gets_a_successor_on_its_node_and_clients_see_nothing_of_it() {
    let mut meta = cluster();
    let group = info(&meta).group;
    let damaged = Member::founder(NodeId(2));
    let renew = |meta: &mut Meta, member| {
        let members = vec![(group, member)];
        assert_eq!(tell(meta, Command::Renew { members }), Reply::Done);
    };
    renew(&mut meta, damaged);
    let successor = info(&meta).member_on(NodeId(2)).unwrap();
    assert!(successor.incarnation > 0 && info(&meta).is_over(damaged));
    assert_eq!(shown(&meta), (nodes(&[1, 2, 3]), vec![], vec![]));
    assert!(info(&meta).is_moving());

    // Asked again it is another's name, and nobody is renewed who isn't to stay, or as long as another
    // one comes. But the one that comes may be damaged too.
    renew(&mut meta, damaged);
    renew(&mut meta, Member::founder(NodeId(4)));
    renew(&mut meta, Member::founder(NodeId(3)));
    assert_eq!(info(&meta).member_on(NodeId(2)), Some(successor));
    let three = Member::founder(NodeId(3));
    assert_eq!(info(&meta).member_on(NodeId(3)), Some(three));
    renew(&mut meta, successor);
    let successor = info(&meta).member_on(NodeId(2)).unwrap();
    arrive(&mut meta);
    assert!(!info(&meta).is_moving());
    assert_eq!(info(&meta).member_on(NodeId(2)), Some(successor));

    // It may go like any other.
    aim(&mut meta, Some(&[1, 4, 3])).unwrap();
    renew(&mut meta, successor);
    assert_eq!(info(&meta).member_on(NodeId(2)), Some(successor));
    arrive(&mut meta);
    assert!(info(&meta).is_over(successor));

    // While replicas come and go, of those that are there none; of those that come any.
    aim(&mut meta, Some(&[5, 2, 3])).unwrap();
    let before: Vec<_> = info(&meta).target();
    for member in &before {
        renew(&mut meta, *member);
    }
    let renewed = |(was, is): &(Member, Member)| was != is;
    let after = info(&meta).target();
    let pairs: Vec<_> = before.into_iter().zip(after).filter(renewed).collect();
    assert_eq!(
        pairs.iter().map(|(was, _)| was.node).collect::<Vec<_>>(),
        nodes(&[5, 2])
    );
}
