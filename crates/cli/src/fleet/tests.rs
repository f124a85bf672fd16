use super::drain::{must_know, without};
use super::plan::{Part, Site};
use super::survey::Placed;
use super::*;

fn survey() -> Survey {
    let mut survey = Survey::default();
    for node in 1..=3 {
        let (rack, part) = (None, Part::Takes);
        survey.sites.insert(node, Site { rack, part });
    }
    let placed = Placed {
        replicas: vec![1],
        removing: vec![2],
        moving: true,
        leader: 2,
        ..Placed::default()
    };
    survey.placed.insert(("t".to_owned(), 0), placed);
    survey
}

#[test]
fn a_vote_stays_where_it_is_as_long_as_old_binaries_may_come_back() {
    let why = keeps_its_vote(Some(1)).expect("level 1 has the voters that it began with");
    assert!(
        why.contains("at level 1") && why.contains("finalize"),
        "{why}"
    );
    assert_eq!(keeps_its_vote(Some(2)), None);
    assert_eq!(keeps_its_vote(None), None, "another cluster than ours");
}

#[test]
fn a_node_is_removed_only_if_it_is_empty_silent_and_has_no_vote() {
    let mut survey = survey();
    let why = |survey: &Survey, node| stays(survey, node, false).unwrap_or_default();
    assert!(why(&survey, 9).contains("not registered"));
    assert!(why(&survey, 1).contains("1 replica;"));
    // Also one that others only wait to let go.
    assert!(why(&survey, 2).contains("1 replica;"));
    assert!(!why(&survey, 1).contains("--lost"), "it runs");
    assert!(why(&survey, 3).contains("it runs"));
    survey.silent.insert(3);
    assert_eq!(stays(&survey, 3, false), None);
    // What is lost with a node can't be moved away.
    assert!(stays(&survey, 1, true).is_some_and(|why| why.contains("it runs")));
    survey.silent.insert(1);
    assert_eq!(stays(&survey, 1, true), None);
}

/// A node that isn't heard: it keeps what it has.
fn silence(survey: &mut Survey, node: i32) {
    survey.silent.insert(node);
    survey.sites.get_mut(&node).expect("a node").part = Part::Keeps;
}

fn put(survey: &mut Survey, index: i32, replicas: &[i32]) {
    let placed = Placed {
        replicas: replicas.to_vec(),
        leader: replicas[0],
        ..Placed::default()
    };
    survey.placed.insert(("u".to_owned(), index), placed);
}

#[test]
fn a_node_that_is_away_for_a_moment_is_no_reason_to_copy_everything() {
    let mut survey = survey();
    put(&mut survey, 0, &[3]);
    silence(&mut survey, 3);
    let refused = decide(&survey, Goal::Rebalance).expect_err("node 3 may come back");
    assert!(
        refused
            .to_string()
            .contains("node 3 is silent and has 1 replica"),
        "{refused}"
    );
    must_know(&survey, 3).expect("it is known");
    decide(&without(survey.clone(), &[3]), Goal::Evacuate).expect("it is given up");
    let unknown = must_know(&survey, 7)
        .expect_err("nobody knows it")
        .to_string();
    assert!(unknown.contains("1,2,3"), "{unknown}");
}

#[test]
fn a_node_that_was_drained_and_stopped_keeps_nobody_from_carrying_alike() {
    let mut survey = survey();
    for index in 0..4 {
        put(&mut survey, index, &[1]);
    }
    silence(&mut survey, 3);
    let moves = decide(&survey, Goal::Rebalance).expect("it has nothing");
    assert!(!moves.is_empty(), "nodes 1 and 2 share");
    assert!(
        moves.iter().all(|m| !m.target.contains(&3)),
        "a silent node gets nothing: {moves:?}"
    );
}

#[test]
fn a_refusal_names_the_nodes_that_get_nothing() {
    let mut survey = survey();
    survey.placed.clear();
    for node in 4..=5 {
        let (rack, part) = (None, Part::Leaves);
        survey.sites.insert(node, Site { rack, part });
    }
    silence(&mut survey, 5);
    put(&mut survey, 0, &[1, 2, 3]);
    let refused = decide(&without(survey, &[1]), Goal::Evacuate).expect_err("no room");
    let words =
        "u-0 has 3 replicas, and 2 nodes would be left to have one each (silent: 5; cordoned: 4)";
    assert_eq!(refused.to_string(), words);
}

#[test]
fn a_node_without_room_is_named_as_such_and_is_to_lead_nothing() {
    let mut survey = survey();
    survey.placed.clear();
    put(&mut survey, 0, &[3, 1]);
    put(&mut survey, 1, &[2, 1]);
    for placed in survey.placed.values_mut() {
        placed.leader = 1;
    }
    survey.full.insert(3);
    survey.sites.get_mut(&3).expect("a node").part = Part::Keeps;
    super::survey::mark_full(&mut survey.placed, &survey.full);
    let leads = BTreeMap::from([(("u".to_owned(), 1), 2)]);
    assert_eq!(survey.led_by_others(), leads);
    put(&mut survey, 2, &[1, 2]);
    let refused = decide(&without(survey, &[1]), Goal::Evacuate).expect_err("no room");
    assert!(refused.to_string().ends_with("(full: 3)"), "{refused}");
}

#[test]
fn who_takes_no_share_of_a_rebalance_is_named_with_the_reason() {
    let mut survey = survey();
    assert!(takes_no_share(&survey).is_empty());
    survey.sites.get_mut(&1).expect("a node").part = Part::Leaves;
    silence(&mut survey, 2);
    let told = takes_no_share(&survey);
    let named = |at: usize, what: &str| told[at].contains(what);
    assert_eq!(told.len(), 2);
    assert!(named(0, "node 1") && named(0, "drain 1 --undo"), "{told:?}");
    assert!(named(1, "node 2") && named(1, "doesn't answer"), "{told:?}");
}

#[test]
fn two_dead_nodes_are_emptied_one_after_the_other() {
    let mut survey = survey();
    survey.placed.clear();
    for node in 4..=5 {
        let (rack, part) = (None, Part::Takes);
        survey.sites.insert(node, Site { rack, part });
    }
    let replicas = [[1, 2, 4], [5, 3, 1], [4, 5, 2], [1, 4, 5]];
    for (index, replicas) in (0..).zip(&replicas) {
        put(&mut survey, index, replicas);
    }
    silence(&mut survey, 2);
    silence(&mut survey, 3);
    for dead in [2, 3] {
        let moves = decide(&without(survey.clone(), &[dead]), Goal::Evacuate).expect("room");
        assert!(!moves.is_empty());
        for change in moves {
            let added = change.adding();
            assert!(!added.contains(&2) && !added.contains(&3), "{added:?}");
            assert_eq!(
                change.removing(),
                [dead],
                "the other one is not its business"
            );
            let name = name_of(&change.partition);
            survey.placed.get_mut(&name).expect("known").replicas = change.target;
        }
        assert!(survey.on(dead).is_empty());
    }
}

#[test]
fn a_move_to_a_node_that_died_goes_elsewhere() {
    let mut survey = survey();
    survey.placed.clear();
    for node in 4..=5 {
        let (rack, part) = (None, Part::Takes);
        survey.sites.insert(node, Site { rack, part });
    }
    let moving = Placed {
        replicas: vec![5, 1, 3],
        removing: vec![2],
        adding: vec![5],
        moving: true,
        leader: 1,
        offline: [5].into(),
        ..Placed::default()
    };
    survey.placed.insert(("t".to_owned(), 0), moving);
    silence(&mut survey, 5);
    survey.sites.get_mut(&2).expect("cordoned").part = Part::Leaves;
    for drained in [2, 5] {
        let survey = without(survey.clone(), &[drained]);
        let moves = decide(&survey, Goal::Evacuate).expect("room");
        let mut target = moves[0].target.clone();
        target.sort_unstable();
        assert_eq!(target, [1, 3, 4], "node {drained} is drained");
    }
}

#[test]
fn changes_are_read_as_people_and_kafka_s_tool_write_them() {
    let topic = |index| ("a-b".to_owned(), index);
    assert_eq!(
        typed("a-b-12=3,1").expect("well formed"),
        (topic(12), vec![3, 1])
    );
    for wrong in ["a-b", "a-b=1", "a-1=x", "a-1=", "=1"] {
        assert!(
            matches!(typed(wrong), Err(Trouble::Usage { .. })),
            "{wrong}"
        );
    }
    let file = r#"{"version":1,"partitions":[{"topic":"a-b","partition":0,"replicas":[1,2],"log_dirs":["any"]}]}"#;
    assert_eq!(from_file(file), Ok(vec![(topic(0), vec![1, 2])]));
    assert!(from_file("{}").is_err());
    assert!(from_file(r#"{"partitions":[{"topic":"a"}]}"#).is_err());
}

#[test]
fn partitions_that_are_led_by_another_replica_get_their_first_one_back() {
    let mut survey = survey();
    let placed = |leader| Placed {
        replicas: vec![1, 2],
        leader,
        ..Placed::default()
    };
    for (index, leader) in [(1, 1), (2, 2), (3, -1)] {
        survey
            .placed
            .insert(("t".to_owned(), index), placed(leader));
    }
    let wanted = [(("t".to_owned(), 2), 1), (("t".to_owned(), 3), 1)];
    assert_eq!(survey.led_by_others(), BTreeMap::from(wanted));
}
