//! Who votes on metadata, as an operator sees it: a lost founder is replaced, a cluster of one grows to
//! three, and nodes find each other again by what they know themselves.

use e2e::{Fleet, Scratch, Tool, wait};
use serde_json::Value;

/// Who votes, as the tool shows it.
fn voters(tool: &Tool) -> Vec<i64> {
    let text = tool.run(&["cluster", "nodes", "--output", "json"]).ok();
    let nodes: Value = serde_json::from_str(&text).expect("JSON");
    let nodes = nodes.as_array().expect("nodes").iter();
    let votes = nodes.filter(|node| node["votes"] == true);
    votes.filter_map(|node| node["node"].as_i64()).collect()
}

fn until_voters(tool: &Tool, wanted: &[i64]) {
    wait::until("those who are to vote", || {
        (voters(tool) == wanted).then_some(())
    });
}

#[test]
fn a_founder_that_is_lost_with_its_disk_is_replaced_by_another_node() {
    let scratch = Scratch::new("founder");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let newcomer = fleet.newcomer(scratch.path());
    fleet.join(newcomer);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "4", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    assert_eq!(voters(&tool), [1, 2, 3]);

    let lost = fleet.node(1).setup().data.clone();
    fleet.kill(1);
    std::fs::remove_dir_all(&lost).expect("it is dead");

    tool.run(&["cluster", "drain", "1", "--timeout", "60"]).ok();
    until_voters(&tool, &[2, 3, 4]);
    tool.run(&["cluster", "remove", "1"]).ok();
    tool.run(&["cluster", "health", "--wait"]).ok();
    let lines: Vec<String> = (0..500).map(|n| format!("line {n:04}")).collect();
    tool.produce("t", &lines);

    // Any of the three may be lost now, and all may be restarted.
    fleet.kill(2);
    tool.create("without-two", &["--partitions", "1", "--replicas", "3"]);
    fleet.restart(2);
    for id in 2..=4 {
        fleet.kill(id);
    }
    fleet.restart_together(&[4, 3, 2]);
    tool.run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
    assert_eq!(voters(&tool), [2, 3, 4]);
    let mut read = tool.consume("t");
    read.sort();
    assert_eq!(read, lines);
}

#[test]
fn a_cluster_of_one_that_two_join_lives_on_without_the_first() {
    let scratch = Scratch::new("grown");
    let mut fleet = Fleet::start_alone(scratch.path());
    let alone = Tool::new(&fleet.bootstrap());
    alone.create("early", &["--partitions", "1", "--replicas", "1"]);
    let second = fleet.newcomer(scratch.path());
    fleet.join(second);
    assert_eq!(voters(&alone), [1], "two of two would be weaker");
    let third = fleet.newcomer(scratch.path());
    fleet.join(third);
    let tool = Tool::new(&fleet.bootstrap());
    until_voters(&tool, &[1, 2, 3]);
    // Whoever has what comes after the change knows of it.
    tool.create("grown", &["--partitions", "1", "--replicas", "3"]);

    fleet.kill(1);
    tool.create("late", &["--partitions", "2", "--replicas", "3"]);
    tool.produce("late", &["a".to_owned(), "b".to_owned()]);
    // A node comes while the first one is away, and takes the place of the second.
    let fourth = fleet.newcomer(scratch.path());
    fleet.join(fourth);
    tool.run(&["config", "set", "node/2", "cordoned.log.dirs=*"])
        .ok();
    until_voters(&tool, &[1, 3, 4]);
    // The first one knows nothing of the fourth, and comes back to it.
    fleet.kill(3);
    fleet.restart(1);
    let first = Tool::new(&fleet.node(1).kafka.clone());
    until_voters(&first, &[1, 3, 4]);
    fleet.restart(3);
    tool.run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
    assert_eq!(tool.consume("late").len(), 2);
}
