use super::*;
use crate::{Command, Defaults, Level, Levels, NewTopic, NodeInfo, Placement};
use base::Machine as _;
use std::collections::BTreeMap;

fn nodes(of: &[u32]) -> Vec<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

/// Five nodes that say where they live, and partitions on the first three, the last three, two, and one.
fn cluster() -> Meta {
    let mut meta = Meta::new(Defaults::default());
    for node in 1..=5 {
        let info = NodeInfo::new("h", node as u16, None);
        let home = home(node as u8, 0);
        let levels = crate::LEVELS;
        let node = NodeId(node);
        meta.obey(Command::RegisterNode { node, info });
        meta.obey(Command::IntroduceNode {
            node,
            home,
            joins: false,
        });
        meta.obey(Command::DeclareLevels { node, levels });
    }
    let placed = [&[1, 2, 3][..], &[3, 4, 5], &[2, 5], &[1]];
    let topics = (0..).zip(placed).map(|(at, replicas)| NewTopic {
        name: format!("t{at}"),
        id: Uuid([at + 1; 16]),
        placement: Placement::Manual(vec![nodes(replicas)]),
        configs: BTreeMap::new(),
    });
    meta.obey(Command::CreateTopics {
        topics: topics.collect(),
        validate_only: false,
    });
    meta
}

fn home(directory: u8, generation: u32) -> Home {
    Home {
        address: "h:1".to_owned(),
        directory: Uuid([directory; 16]),
        release: "1".to_owned(),
        generation,
    }
}

fn partition(meta: &Meta, at: usize) -> PartitionInfo {
    let name = format!("t{at}");
    meta.image(1).topic(&name).expect("it was made").partitions[0].clone()
}

fn member(node: u32, incarnation: u32) -> Member {
    Member {
        node: NodeId(node),
        incarnation,
    }
}

fn lose(meta: &mut Meta, lost: &[u32]) -> Result<(), Refusal> {
    match meta.obey(Command::Recover { lost: nodes(lost) }) {
        Reply::Each(mut parts) => parts.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_lost_the_majority_goes_on_alone_and_the_lost_are_over() {
    let mut meta = cluster();
    let given = meta.next_group();
    lose(&mut meta, &[1, 2]).expect("all that stay know the level");
    assert!(
        meta.next_group().0 > given.0 + 1_000_000,
        "nor any id of a group"
    );

    let first = partition(&meta, 0);
    assert_eq!(first.survivor(), Some(member(3, 0)));
    // No incarnation is given twice, though what gave the last ones may be lost.
    let new = AIMS_LEFT_OUT + 2;
    let anew = [member(1, new), member(2, new + 1), member(3, 0)];
    assert_eq!(first.target(), anew);
    assert!(first.is_moving());
    assert!(first.is_over(member(1, 0)) && first.is_over(member(2, 0)));
    assert!(!first.is_over(member(3, 0)));
    // Nothing of it was lost.
    assert_eq!(
        partition(&meta, 1).target(),
        partition(&cluster(), 1).target()
    );
    assert!(!partition(&meta, 1).is_moving());
    // One of two is no majority.
    assert_eq!(partition(&meta, 2).survivor(), Some(member(5, 0)));
    // What is gone is gone: nobody takes an empty directory for the one that had it.
    let gone = partition(&meta, 3);
    assert_eq!(gone.survivor(), None);
    assert_eq!(gone.target(), [member(1, new)]);
    // Its group says that it is as it should be.
    let groups = vec![(first.group, first.aim())];
    meta.obey(Command::Arrived { groups });
    assert_eq!(partition(&meta, 0).survivor(), None);
    assert!(!partition(&meta, 0).is_moving());
}

/// Of two producers with one id the later one's records would be taken for copies of the other's.
#[test]
fn a_producer_id_that_a_lost_fact_gave_is_not_given_again() {
    let mut meta = cluster();
    let next = |meta: &mut Meta| match meta.obey(Command::AllocateProducerIds { count: 10 }) {
        Reply::ProducerIds(first) => first,
        other => panic!("{other:?}"),
    };
    // The others got a block that the survivor doesn't know of.
    let mut others = cluster();
    assert_eq!(next(&mut meta), next(&mut others));
    let lost = next(&mut others);
    lose(&mut meta, &[1, 2]).expect("all that stay know the level");
    assert!(next(&mut meta) > lost);
}

#[test]
fn a_lost_directory_is_never_let_in_again_and_an_empty_one_is() {
    let mut meta = cluster();
    lose(&mut meta, &[1, 2]).expect("it can be done");
    let image = meta.image(1);
    assert!(image.has_left(NodeId(1)) && !image.has_left(NodeId(3)));
    assert_eq!(image.nodes.len(), 3);
    let introduce = |meta: &mut Meta, directory, joins| {
        let home = home(directory, 0);
        let node = NodeId(1);
        match meta.obey(Command::IntroduceNode { node, home, joins }) {
            Reply::Introduced(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    };
    introduce(&mut meta, 1, false).expect_err("it comes back with what it had");
    assert_eq!(introduce(&mut meta, 9, true), Ok(2));
    assert_eq!(introduce(&mut meta, 9, false), Ok(2));
    // A second try, after a crash in the middle, forgets nobody who came since.
    let before = meta.clone();
    lose(&mut meta, &[2]).expect("it can be done again");
    assert_eq!(meta.image.homes, before.image.homes);
    assert_eq!(meta.image.generations, before.image.generations);
}

#[test]
fn a_minority_that_is_lost_costs_no_partition_its_others() {
    let mut meta = cluster();
    lose(&mut meta, &[4]).expect("it can be done");
    let second = partition(&meta, 1);
    assert_eq!(second.survivor(), None, "two of three are left");
    assert_eq!(
        second.target(),
        [member(3, 0), member(4, AIMS_LEFT_OUT + 2), member(5, 0)]
    );
}

#[test]
fn of_several_that_are_left_the_first_goes_on_and_the_others_begin_anew() {
    let mut meta = cluster();
    let change = crate::Reassignment {
        topic: "t0".to_owned(),
        partition: Partition(0),
        target: Some(nodes(&[1, 2, 3, 4])),
    };
    meta.obey(Command::Reassign {
        changes: vec![change],
        keep_factor: false,
    });
    let left = partition(&meta, 0).target()[3];
    lose(&mut meta, &[1, 2]).expect("it can be done");
    let info = partition(&meta, 0);
    assert_eq!(info.survivor(), Some(member(3, 0)));
    assert!(
        info.is_over(left),
        "it may know more, and could follow nobody"
    );
    assert_eq!(info.target().len(), 4);
}

#[test]
fn a_partition_that_moved_goes_on_with_a_replica_that_was_there_before() {
    let mut meta = cluster();
    let change = crate::Reassignment {
        topic: "t0".to_owned(),
        partition: Partition(0),
        target: Some(nodes(&[4, 5, 1])),
    };
    meta.obey(Command::Reassign {
        changes: vec![change],
        keep_factor: false,
    });
    lose(&mut meta, &[1, 2]).expect("it can be done");
    let info = partition(&meta, 0);
    assert_eq!(
        info.survivor(),
        Some(member(3, 0)),
        "4 and 5 had nothing yet"
    );
    assert_eq!(info.member_on(NodeId(2)), None);
    // It is said again by whatever is on record later, until it is done.
    let restored = Meta::restore(Defaults::default(), &meta.snapshot());
    assert_eq!(restored.as_ref(), Ok(&meta));
}

#[test]
fn alone_only_without_a_majority_and_from_the_level_on() {
    let go_on = |meta: &mut Meta, node, silent: &[u32]| {
        let groups = vec![(partition(meta, 0).group, NodeId(node))];
        let silent = nodes(silent);
        match meta.obey(Command::GoOnAlone { groups, silent }) {
            Reply::Each(mut parts) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    };
    let mut meta = cluster();
    go_on(&mut meta, 3, &[1]).expect_err("two of three are heard");
    go_on(&mut meta, 1, &[1, 2]).expect_err("it isn't heard itself");
    go_on(&mut meta, 4, &[1, 2]).expect_err("it has no replica");
    assert_eq!(partition(&meta, 0), partition(&cluster(), 0));
    assert_eq!(go_on(&mut meta, 3, &[1, 2]), Ok(()));
    assert_eq!(partition(&meta, 0).survivor(), Some(member(3, 0)));
    assert!(
        !meta.image(1).has_left(NodeId(1)),
        "it may come back, for other replicas"
    );

    // Others that are heard begin anew too: they may have had something from a leader that isn't.
    let mut four = cluster();
    let change = crate::Reassignment {
        topic: "t0".to_owned(),
        partition: Partition(0),
        target: Some(nodes(&[1, 2, 3, 4])),
    };
    four.obey(Command::Reassign {
        changes: vec![change],
        keep_factor: false,
    });
    let heard = partition(&four, 0).target()[3];
    assert_eq!(go_on(&mut four, 3, &[1, 2]), Ok(()));
    assert!(partition(&four, 0).is_over(heard));
    assert_eq!(partition(&four, 0).target()[2], member(3, 0));

    let mut old = cluster();
    old.image.level = Level(2);
    let refused = go_on(&mut old, 3, &[1, 2]).expect_err("before its level");
    assert!(refused.to_string().contains("finalise"), "{refused}");
    let levels = Levels {
        min: Level(1),
        max: Level(2),
    };
    old.image.levels.insert(NodeId(4), levels);
    lose(&mut old, &[1, 2]).expect_err("node 4 couldn't read it");
    lose(&mut old, &[1, 2, 4]).expect("all that stay could");
    assert_eq!(old.image.level, RECOVERY);
}

/// As a controller does that has heard nothing of the node for long.
fn give_up(meta: &mut Meta, node: u32) -> Result<(), Refusal> {
    let decision = meta.unregister((NodeId(node), None), true);
    for record in &decision.records {
        meta.replay(record);
    }
    match decision.reply {
        Reply::Each(mut parts) => parts.remove(0),
        other => panic!("{other:?}"),
    }
}

/// [`cluster`] without the partitions that can't do without any of their replicas.
fn threefold() -> Meta {
    let mut meta = cluster();
    let topics = ["t2", "t3"].map(|name| crate::TopicRef::Name(name.to_owned()));
    meta.obey(Command::DeleteTopics {
        topics: topics.to_vec(),
    });
    meta
}

/// A successor has nothing until its group says so: whoever takes it for a replica leaves a group
/// that can't elect for ever.
#[test]
fn a_replica_that_was_renewed_is_not_counted_on_before_it_is_there() {
    let silent = |node: NodeId| node == NodeId(1);
    let mut meta = threefold();
    give_up(&mut meta, 2).expect("two of three are left");
    let first = partition(&meta, 0);
    assert!(first.has_lost(silent), "3 alone has what there was");
    assert_eq!(first.survivors(silent), nodes(&[3, 2]), "2 has nothing yet");
    give_up(&mut meta, 1).expect_err("3 alone has what there was");

    // The others go as well: with what is left, not with what is to come.
    let mut lost = meta.clone();
    lose(&mut lost, &[1]).expect("it can be done");
    assert_eq!(partition(&lost, 0).survivor(), Some(member(3, 0)));

    // It stays so while the partition is to go elsewhere and back, and through a snapshot.
    for target in [Some(nodes(&[3, 4, 5])), None] {
        let change = crate::Reassignment {
            topic: "t0".to_owned(),
            partition: Partition(0),
            target,
        };
        meta.obey(Command::Reassign {
            changes: vec![change],
            keep_factor: false,
        });
        assert!(partition(&meta, 0).has_lost(silent));
    }
    let mut meta = Meta::restore(Defaults::default(), &meta.snapshot()).expect("it was written");
    assert!(partition(&meta, 0).has_lost(silent));

    let groups = vec![(first.group, partition(&meta, 0).aim())];
    meta.obey(Command::Arrived { groups });
    assert!(!partition(&meta, 0).has_lost(silent));
    give_up(&mut meta, 1).expect("2 and 3 are there");
}

/// An older binary couldn't read it.
#[test]
fn what_was_renewed_is_kept_from_its_level_on() {
    let mut old = threefold();
    old.image.level = Level(4);
    give_up(&mut old, 2).expect("two of three are left");
    assert!(!partition(&old, 0).has_lost(|node| node == NodeId(1)));
    let restored = Meta::restore(Defaults::default(), &old.snapshot());
    assert_eq!(restored.as_ref(), Ok(&old));
}
