use super::plan::Site;
use super::survey::Placed;
use super::*;

fn survey() -> Survey {
    let mut survey = Survey::default();
    for node in 1..=3 {
        let (rack, open) = (None, true);
        survey.sites.insert(node, Site { rack, open });
    }
    let placed = Placed {
        replicas: vec![1],
        removing: vec![2],
        moving: true,
        leader: 2,
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
    assert!(why(&survey, 3).contains("it runs"));
    survey.silent.insert(3);
    assert_eq!(stays(&survey, 3, false), None);
    // What is lost with a node can't be moved away.
    assert!(stays(&survey, 1, true).is_some_and(|why| why.contains("it runs")));
    survey.silent.insert(1);
    assert_eq!(stays(&survey, 1, true), None);
}

#[test]
fn a_node_that_is_away_for_a_moment_is_no_reason_to_copy_everything() {
    let mut survey = survey();
    survey.silent.insert(3);
    let refused = decide(&survey, Goal::Rebalance).expect_err("node 3 may come back");
    assert!(
        refused.to_string().contains("node 3 is silent"),
        "{refused}"
    );
    close(&mut survey, 3).expect("it is known");
    decide(&survey, Goal::Evacuate).expect("it is given up");
    close(&mut survey, 7).expect_err("nobody knows it");
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
