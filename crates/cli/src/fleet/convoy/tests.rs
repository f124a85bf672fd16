use super::super::plan::Partition;
use super::*;

fn name(index: i32) -> Name {
    ("t".to_owned(), index)
}

fn change(index: i32, from: &[i32], to: &[i32]) -> Move {
    let partition = Partition {
        topic: "t".to_owned(),
        index,
        replicas: from.to_vec(),
        bytes: 10,
    };
    Move {
        partition,
        target: to.to_vec(),
    }
}

fn at(replicas: &[i32]) -> Placed {
    Placed {
        replicas: replicas.to_vec(),
        leader: replicas[0],
        ..Placed::default()
    }
}

/// Asks for all that may be asked for.
fn launch(convoy: &mut Convoy, seen: &Seen) -> Vec<Name> {
    let next = convoy.next(seen);
    let names = next.iter().map(|m| super::super::name_of(&m.partition));
    let names = names.collect();
    for change in next {
        let topic = seen[&super::super::name_of(&change.partition)].topic;
        convoy.fly(change, Some(topic));
    }
    names
}

fn convoy(at_once: usize, moves: Vec<Move>) -> Convoy {
    Convoy::new(at_once, moves, Vec::new(), BTreeMap::new())
}

#[test]
fn partitions_of_a_topic_that_is_deleted_meanwhile_are_gone_and_the_others_go_on() {
    let all = (0..3).map(|index| change(index, &[1, 2], &[1, 3]));
    let mut convoy = convoy(2, all.collect());
    let mut seen: Seen = (0..3).map(|index| (name(index), at(&[1, 2]))).collect();
    assert_eq!(launch(&mut convoy, &seen), [name(0), name(1)]);
    // One that moves, and one that waits.
    seen.remove(&name(0));
    seen.remove(&name(2));
    seen.insert(name(1), at(&[1, 3]));
    for _ in 0..=LOOKS_FOR_GONE_MAX {
        convoy.land(&seen);
        assert_eq!(launch(&mut convoy, &seen), []);
        convoy.unled(&seen);
    }
    assert!(convoy.is_over());
    let report = convoy.report();
    assert_eq!((report.moved, report.gone, report.changed.len()), (1, 2, 0));
}

#[test]
fn a_topic_that_was_deleted_and_made_anew_is_another_one() {
    let mut convoy = convoy(1, vec![change(0, &[1, 2], &[1, 3])]);
    let mut seen = Seen::from([(name(0), at(&[1, 2]))]);
    launch(&mut convoy, &seen);
    seen.get_mut(&name(0)).expect("it").topic = Uuid::from_random(1, 1);
    for _ in 0..=LOOKS_FOR_GONE_MAX {
        convoy.land(&seen);
    }
    assert!(convoy.is_over());
    assert_eq!(convoy.report().gone, 1);
}

#[test]
fn what_waits_for_silent_nodes_keeps_nobody_else_waiting() {
    let mut convoy = convoy(1, (0..3).map(|i| change(i, &[1, 2], &[1, 3])).collect());
    let leaderless = Placed {
        leader: -1,
        offline: [1, 2].into(),
        ..at(&[1, 2])
    };
    let mut seen = Seen::from([
        (name(0), leaderless),
        (name(1), at(&[1, 2])),
        (name(2), at(&[1, 2])),
    ]);
    assert_eq!(
        launch(&mut convoy, &seen),
        [name(1)],
        "the first one has no leader"
    );
    let awaits = Placed {
        moving: true,
        adding: vec![3],
        offline: [3].into(),
        ..at(&[1, 3])
    };
    seen.insert(name(1), awaits);
    convoy.land(&seen);
    assert_eq!(
        launch(&mut convoy, &seen),
        [name(2)],
        "nor does a silent node's share count"
    );
    seen.insert(name(2), at(&[1, 3]));
    convoy.land(&seen);
    assert_eq!(launch(&mut convoy, &seen), []);
    let (what, for_nodes) = convoy.stuck(&seen);
    assert_eq!(
        what,
        "waiting for t-0 (nobody leads it: nodes 1,2 are silent), t-1 (it lacks a replica: node 3 is silent)"
    );
    assert!(for_nodes);
    let mut other = convoy.elsewhere();
    for _ in 0..=LOOKS_AT_SILENCE_MAX {
        other.land(&seen);
    }
    assert_eq!(
        other.report().changed,
        [name(1)],
        "who drains plans it anew"
    );
}

#[test]
fn what_waits_for_full_nodes_keeps_nobody_else_waiting() {
    let mut convoy = convoy(1, (0..2).map(|i| change(i, &[1, 2], &[1, 3])).collect());
    let mut seen = Seen::from([(name(0), at(&[1, 2])), (name(1), at(&[1, 2]))]);
    assert_eq!(launch(&mut convoy, &seen), [name(0)]);
    let moves = |full: &[i32]| Placed {
        moving: true,
        adding: vec![3],
        full: full.iter().copied().collect(),
        ..at(&[1, 3])
    };
    seen.insert(name(0), moves(&[]));
    assert_eq!(convoy.in_question(&seen), [1, 3].into());
    assert_eq!(launch(&mut convoy, &seen), []);
    seen.insert(name(0), moves(&[3]));
    assert_eq!(launch(&mut convoy, &seen), [name(1)]);
    seen.insert(name(1), at(&[1, 3]));
    convoy.land(&seen);
    let (what, for_nodes) = convoy.stuck(&seen);
    assert_eq!(what, "waiting for t-0 (it lacks a replica: node 3 is full)");
    assert!(for_nodes);
    let others = Seen::from([(name(9), moves(&[3]))]);
    let mut next = super::tests::convoy(1, vec![change(1, &[1, 2], &[1, 3])]);
    let others: Seen = others.into_iter().chain([(name(1), at(&[1, 2]))]).collect();
    assert_eq!(
        launch(&mut next, &others),
        [name(1)],
        "nor do others' moves"
    );
}

#[test]
fn a_plan_is_not_carried_out_where_somebody_else_was_faster_unless_it_says_all() {
    let all = || vec![change(0, &[1, 2], &[1, 3]), change(1, &[1, 2], &[1, 3])];
    let seen = Seen::from([(name(0), at(&[4, 1])), (name(1), at(&[2, 1]))]);
    let mut planned = convoy(9, all());
    assert_eq!(
        launch(&mut planned, &seen),
        [name(1)],
        "an order is no other place"
    );
    assert_eq!(planned.report().changed, [name(0)]);
    let mut said = convoy(9, all()).absolute();
    assert_eq!(launch(&mut said, &seen), [name(0), name(1)]);
}

#[test]
fn a_first_replica_that_is_silent_is_not_waited_for() {
    let to_lead = BTreeMap::from([(name(0), 3), (name(1), 3), (name(2), 3)]);
    let mut convoy = Convoy::new(9, Vec::new(), Vec::new(), to_lead);
    let silent = Placed {
        offline: [3].into(),
        ..at(&[1, 3])
    };
    let seen = Seen::from([(name(0), silent), (name(1), at(&[1, 3]))]);
    assert_eq!(convoy.unled(&seen), [name(1)], "and the third one is gone");
    assert_eq!(convoy.unled(&Seen::from([(name(1), at(&[3, 1]))])), []);
    assert!(convoy.is_over());
}

/// The cluster refuses to have it lead.
#[test]
fn a_first_replica_without_room_is_not_waited_for() {
    let to_lead = BTreeMap::from([(name(0), 3), (name(1), 3)]);
    let mut convoy = Convoy::new(9, Vec::new(), Vec::new(), to_lead);
    let mut seen = Seen::from([
        (name(0), at(&[1, 3])),
        (
            name(1),
            Placed {
                offline: [3].into(),
                ..at(&[1, 3])
            },
        ),
    ]);
    assert_eq!(
        convoy.in_question(&seen),
        [].into(),
        "who is silent isn't asked"
    );
    seen.remove(&name(1));
    assert_eq!(convoy.in_question(&seen), [3].into());
    survey::mark_full(&mut seen, &[3, 4].into());
    assert_eq!(seen[&name(0)].full, [3].into());
    assert_eq!(convoy.unled(&seen), []);
    assert!(convoy.is_over());
}

#[test]
fn what_others_began_is_watched_and_not_asked_for_again() {
    let began = vec![change(0, &[1, 2], &[1, 3])];
    let mut convoy = Convoy::new(9, Vec::new(), began, BTreeMap::new());
    let mut seen = Seen::from([(name(0), at(&[1, 2]))]);
    assert_eq!(launch(&mut convoy, &seen), []);
    // Taken back: nobody asks for it once more.
    for _ in 0..=LOOKS_IN_VAIN_MAX {
        convoy.land(&seen);
        assert_eq!(launch(&mut convoy, &seen), []);
    }
    assert!(convoy.is_over());
    seen.clear();
    assert_eq!(convoy.report().changed, [name(0)]);
}
