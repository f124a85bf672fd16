//! Nodes that are gone, or about to go, are in nobody's way: two dead ones are emptied and forgotten
//! one after the other, and one that was emptied and stopped keeps the others from nothing.

use e2e::{Fleet, Scratch, Tool, wait};
use serde_json::Value;

/// Replicas of each node.
fn replicas(tool: &Tool) -> Vec<(i64, i64)> {
    let text = tool.run(&["cluster", "nodes", "--output", "json"]).ok();
    let nodes: Value = serde_json::from_str(&text).expect("JSON");
    let number = |node: &Value, field: &str| node[field].as_i64().expect("a number");
    let nodes = nodes.as_array().expect("nodes").iter();
    let of = nodes.map(|node| (number(node, "node"), number(node, "replicas")));
    of.collect()
}

fn unhealthy(tool: &Tool) {
    wait::until("the dead to be missed", || {
        (tool.run(&["cluster", "health"]).code == Some(1)).then_some(())
    });
}

#[test]
fn two_dead_nodes_are_emptied_and_one_that_was_emptied_is_in_nobody_s_way() {
    let scratch = Scratch::new("dead");
    let host = |_| "127.0.0.1".to_owned();
    let mut fleet = Fleet::start_arranged(1..=5, host, |id, mut setup| {
        setup.data = scratch.join(&format!("node{id}"));
        setup
    });
    let tool = Tool::new(&fleet.bootstrap());
    tool.run(&["cluster", "health", "--wait"]).ok();
    tool.create("t", &["--partitions", "6", "--replicas", "3"]);
    let lines: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    tool.produce("t", &lines);

    // Emptied and stopped, and not forgotten.
    tool.run(&["cluster", "drain", "5"]).ok();
    fleet.leave(5).expect("it stops in good order");
    unhealthy(&tool);
    tool.run(&["cluster", "reassign", "t-0=1,2,3", "t-1=1,2,3", "t-2=1,2,3"])
        .ok();
    tool.run(&["cluster", "rebalance"]).ok();
    let shares = replicas(&tool);
    let most = shares.iter().map(|(_, count)| *count).max();
    assert_eq!((most, shares[4]), (Some(5), (5, 0)), "{shares:?}");
    fleet.restart(5);
    let undo = ["cluster", "drain", "5", "--undo", "--output", "json"];
    let undone: Value = serde_json::from_str(&tool.run(&undo).ok()).expect("JSON");
    assert_eq!(undone["cordoned"], false);
    tool.run(&["cluster", "health", "--wait"]).ok();

    // No partition loses its majority with nodes 2 and 3.
    let places = [
        "t-0=1,2,4",
        "t-1=3,1,5",
        "t-2=4,5,2",
        "t-3=5,4,3",
        "t-4=2,1,5",
        "t-5=1,4,5",
    ];
    tool.run(&[&["cluster", "reassign"], &places[..]].concat())
        .ok();
    fleet.kill(2);
    fleet.kill(3);
    unhealthy(&tool);
    let first = tool.run(&["cluster", "drain", "2"]).ok();
    assert!(first.contains("run `flotilla cluster remove 2`"), "{first}");
    tool.run(&["cluster", "drain", "3"]).ok();
    tool.run(&["cluster", "remove", "2"]).ok();
    tool.run(&["cluster", "remove", "3"]).ok();
    tool.run(&["cluster", "health", "--wait"]).ok();
    assert_eq!(replicas(&tool), [(1, 6), (4, 6), (5, 6)]);
    let mut read = tool.consume("t");
    read.sort();
    let mut sent = lines;
    sent.sort();
    assert_eq!(read, sent);
    assert_eq!(fleet.deaths(), Vec::<String>::new());
}

/// Of two replicas one is dead: nothing can be done about that partition, and it is said so; the
/// others move, and what is known of them is shown.
#[test]
fn a_partition_that_lost_its_majority_is_named_and_the_others_move() {
    let scratch = Scratch::new("majority");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.run(&["cluster", "health", "--wait"]).ok();
    tool.create("pair", &["--partitions", "3", "--replicas", "2"]);
    tool.create("single", &["--partitions", "1", "--replicas", "1"]);
    let places = ["pair-0=1,2", "pair-1=1,3", "pair-2=3,1", "single-0=2"];
    tool.run(&[&["cluster", "reassign"], &places[..]].concat())
        .ok();
    fleet.kill(2);
    wait::until("two partitions to be without a leader", || {
        let health = tool.run(&["cluster", "health"]).stdout;
        health
            .contains("2 partitions without a leader: pair-0, single-0")
            .then_some(())
    });
    let shown = tool.run(&["topic", "describe", "pair", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown.ok()).expect("JSON");
    let ends = |index: usize| shown["partitions"][index]["end"].as_i64();
    assert_eq!([ends(0), ends(1), ends(2)], [None, Some(0), Some(0)]);
    let why = tool
        .run(&["cluster", "drain", "2", "--timeout", "10"])
        .failed(1);
    let reason = "waiting for pair-0 (nobody leads it: node 2 is silent), single-0 (nobody";
    assert!(
        why.contains(reason) && why.contains("Lose a quorum"),
        "{why}"
    );
    let why = tool
        .run(&["cluster", "remove", "2", "--lost", "--timeout", "10"])
        .failed(1);
    assert!(why.contains("POLICY_VIOLATION"), "{why}");
    // With the node back nobody has to be asked again for what was begun.
    fleet.restart(2);
    tool.run(&["cluster", "drain", "2"]).ok();
    assert_eq!(replicas(&tool)[1], (2, 0));
}
