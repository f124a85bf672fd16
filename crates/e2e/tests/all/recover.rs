//! Most nodes are lost for good, with their disks: what is left goes on when somebody accepts the loss.

use e2e::{Fleet, Scratch, Tool, binary, http, wait};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn recover(data: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut tool = Command::new(binary::flotilla());
    tool.args(["cluster", "recover", "--data-dir"]).arg(data);
    let done = tool.args(args).output().expect("the tool can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

/// Until what a node says of the partitions that aren't as they should be is so.
fn until_moving(fleet: &mut Fleet, node: i32, wanted: impl Fn(f64) -> bool) {
    let http = fleet.node(node).http.clone();
    wait::until("replicas as they should be", || {
        let moving = http::figure(&http, "flotilla_moving_partitions ")?;
        wanted(moving).then_some(())
    });
}

/// Until these vote on metadata, and know it.
fn until_voters(tool: &Tool, wanted: &[i64]) {
    wait::until("those who are to vote", || {
        let text = tool.run(&["cluster", "nodes", "--output", "json"]).ok();
        let nodes: Value = serde_json::from_str(&text).expect("JSON");
        let nodes = nodes.as_array().expect("nodes").iter();
        let votes = nodes.filter(|node| node["votes"] == true);
        let votes: Vec<i64> = votes.filter_map(|node| node["node"].as_i64()).collect();
        (votes == wanted).then_some(())
    });
}

#[test]
fn of_three_nodes_two_are_lost_with_their_disks_and_the_third_goes_on() {
    let scratch = Scratch::new("recover");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    tool.create("single", &["--partitions", "3", "--replicas", "1"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    let lines: Vec<String> = (0..300).map(|n| format!("line {n:04}")).collect();
    tool.produce("t", &lines);
    tool.run(&["cluster", "health", "--wait"]).ok();

    let left = fleet.node(3).setup().data.clone();
    for id in [1, 2] {
        let lost = fleet.node(id).setup().data.clone();
        fleet.kill(id);
        std::fs::remove_dir_all(&lost).expect("it is dead");
    }
    let (code, _, said) = recover(&left, &[]);
    assert_eq!(code, Some(2), "the node runs: {said}");
    fleet.kill(3);

    // Without the word nothing happens.
    let (code, told, said) = recover(&left, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(told.contains("Nothing was changed"), "{told}");
    let (code, _, said) = recover(&left, &["--lost", "1,7"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("node 7 isn't in this cluster"), "{said}");
    // Two of three are a majority: it would lose what it has if one of them went on alone.
    let (code, _, said) = recover(&left, &["--lost", "1", "--accept-data-loss"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("nodes 2, 3 are left of the 3"), "{said}");

    let (code, told, said) = recover(&left, &["--accept-data-loss", "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(report["lost"], serde_json::json!([1, 2]));
    let parts = report["partitions"].as_array().expect("partitions");
    let of = |topic: &str| {
        let parts = parts.iter();
        let of_topic = |part: &&Value| {
            part["partition"]
                .as_str()
                .is_some_and(|p| p.starts_with(topic))
        };
        parts.filter(of_topic).cloned().collect::<Vec<_>>()
    };
    let ends = of("t-")
        .iter()
        .map(|part| part["end_offset"].as_i64().expect("a number"))
        .sum::<i64>();
    assert_eq!(ends, 300, "{report}");
    assert!(
        of("t-")
            .iter()
            .all(|part| part["goes_on"] == "with node 3 alone"),
        "{report}"
    );
    // The partition of node 3 itself isn't concerned.
    assert_eq!(of("single-").len(), 2, "{report}");
    assert!(
        of("single-")
            .iter()
            .all(|part| part["may_be_missing"] == "all of it"),
        "{report}"
    );

    fleet.restart(3);
    // Nothing can arrive before there are others.
    until_moving(&mut fleet, 3, |moving| moving > 0.0);
    let third = Tool::new(&fleet.node(3).kafka.clone());
    let read = |tool: &Tool| {
        let mut read = tool.consume("t");
        read.sort();
        read
    };
    assert_eq!(read(&third), lines);
    third.run(&["topic", "delete", "single"]).ok();

    // Empty directories take the lost numbers, and get their replicas.
    fleet.join_anew(1);
    fleet.join_anew(2);
    third
        .run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
    until_moving(&mut fleet, 3, |moving| moving == 0.0);
    until_voters(&third, &[1, 2, 3]);
    fleet.kill(3);
    let newcomers = Tool::new(&fleet.bootstrap());
    let more: Vec<String> = (300..400).map(|n| format!("line {n:04}")).collect();
    newcomers.produce("t", &more);
    assert_eq!(read(&newcomers), [lines, more].concat());
    fleet.restart(3);
    newcomers
        .run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
}

/// In a cluster of three with three replicas there is no other node that could take them.
#[test]
fn a_node_whose_disk_is_lost_is_replaced_under_its_number() {
    let scratch = Scratch::new("replaced");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    let lines: Vec<String> = (0..300).map(|n| format!("line {n:04}")).collect();
    tool.produce("t", &lines);

    let running = tool.run(&["cluster", "remove", "3", "--lost"]).failed(1);
    assert!(running.contains("it runs"), "{running}");
    let lost = fleet.node(3).setup().data.clone();
    fleet.kill(3);
    std::fs::remove_dir_all(&lost).expect("it is dead");
    let others = Tool::new(&fleet.bootstrap());
    others.run(&["cluster", "remove", "3", "--lost"]).ok();
    fleet.join_anew(3);
    others
        .run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
    until_voters(&others, &[1, 2, 3]);

    // What the third has now is needed, and its vote.
    fleet.kill(1);
    let left = Tool::new(&fleet.bootstrap());
    let more: Vec<String> = (300..400).map(|n| format!("line {n:04}")).collect();
    left.produce("t", &more);
    let mut read = left.consume("t");
    read.sort();
    assert_eq!(read, [lines, more].concat());
    fleet.restart(1);
}
