//! A cluster grows and shrinks under load: a node joins, takes its share, others are emptied, and
//! nothing that was acknowledged is lost or there twice.

use e2e::writers::{FAST, Load};
use e2e::{Fleet, Scratch, Tool, judge, wait};
use serde_json::Value;
use std::path::Path;

/// The topic under load.
const LOADED: &str = "loaded";
const LOADED_PARTITIONS: i32 = 6;
/// Batches that every partition under load gets acknowledged between two steps.
const BATCHES_BETWEEN: usize = 5;
const LINES: usize = 2_000;

fn json(tool: &Tool, args: &[&str]) -> Value {
    let text = tool.run(&[args, &["--output", "json"]].concat()).ok();
    serde_json::from_str(&text).expect("JSON")
}

/// Replicas and preferred leaders of each node.
fn shares(tool: &Tool) -> Vec<(i64, i64)> {
    let nodes = json(tool, &["cluster", "nodes"]);
    let number = |node: &Value, field: &str| node[field].as_i64().expect("a number");
    let nodes = nodes.as_array().expect("nodes").iter();
    let shares = nodes.map(|node| (number(node, "replicas"), number(node, "preferred")));
    shares.collect()
}

/// Folders of groups in a node's directory, the metadata's aside.
fn groups(data: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(data.join("groups")).expect("a data directory");
    let names = folders.map(|entry| entry.expect("a folder").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| !name.trim_start_matches('0').is_empty())
        .collect()
}

#[test]
fn a_node_joins_takes_its_share_and_others_are_emptied_under_load() {
    let scratch = Scratch::new("fleet");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    let loaded = LOADED_PARTITIONS.to_string();
    let durable = ["--replicas", "3", "--config", "min.insync.replicas=2"];
    tool.create(LOADED, &[&["--partitions", &loaded], &durable[..]].concat());
    tool.create("bulk", &[&["--partitions", "94"], &durable[..]].concat());
    fleet.settle(LOADED).expect("the load's replicas");
    fleet.settle("bulk").expect("the other replicas");
    let mut lines: Vec<String> = (0..LINES).map(|n| format!("line {n}")).collect();
    tool.produce("bulk", &lines);
    // Groups live in partitions too, and those move like any other.
    let committed = tool.run(&["consume", "bulk", "--group", "g", "--count", "500"]);
    assert_eq!(committed.ok().lines().count(), 500);
    let load = Load::start(&fleet.bootstrap(), LOADED, LOADED_PARTITIONS, FAST);
    load.progress(BATCHES_BETWEEN).expect("the load");

    let newcomer = fleet.newcomer(scratch.path());
    let data = newcomer.data.clone();
    fleet.join(newcomer);
    let tool = Tool::new(&fleet.bootstrap());
    // Every node knows of it once all say that all is well.
    tool.run(&["cluster", "health", "--wait"]).ok();
    let planned = json(&tool, &["cluster", "plan"]);
    assert!(planned["partitions"].as_array().expect("moves").len() > 50);
    let before = shares(&tool);
    let dry = tool.run(&["cluster", "rebalance", "--dry-run"]).ok();
    assert!(dry.contains("replicas to be copied"), "{dry}");
    assert_eq!(shares(&tool), before, "a dry run moves nothing");
    tool.run(&["cluster", "rebalance", "--timeout", "60"]).ok();
    load.progress(BATCHES_BETWEEN)
        .expect("the load after rebalancing");
    for at in [0, 1] {
        let of = |share: &(i64, i64)| if at == 0 { share.0 } else { share.1 };
        let all: Vec<i64> = shares(&tool).iter().map(of).collect();
        let (most, fewest) = (
            all.iter().max().expect("some"),
            all.iter().min().expect("some"),
        );
        assert!(most - fewest <= 1, "{all:?}");
    }
    let again = tool.run(&["cluster", "rebalance"]).ok();
    assert!(
        again.contains("nothing has to move"),
        "it is quiet then: {again}"
    );

    // One of the first nodes is emptied, and filled again.
    tool.run(&["cluster", "drain", "2", "--timeout", "60"]).ok();
    assert_eq!(shares(&tool)[1], (0, 0));
    tool.create("meanwhile", &["--partitions", "9", "--replicas", "3"]);
    assert_eq!(
        shares(&tool)[1],
        (0, 0),
        "nothing new goes to a drained node"
    );
    load.progress(BATCHES_BETWEEN)
        .expect("the load without node 2");
    tool.run(&["cluster", "drain", "2", "--undo"]).ok();

    // The one that joined goes for good.
    let refused = tool.run(&["cluster", "remove", "4"]).failed(1);
    assert!(refused.contains("drain 4"), "{refused}");
    tool.run(&["cluster", "drain", "4", "--timeout", "60"]).ok();
    let refused = tool.run(&["cluster", "remove", "4"]).failed(1);
    assert!(refused.contains("stop it first"), "{refused}");
    wait::until("nothing to be left of what it had", || {
        groups(&data).is_empty().then_some(())
    });
    fleet.leave(4).expect("it stops in good order");
    wait::until("node 4 to be missed", || {
        (tool.run(&["cluster", "health"]).code == Some(1)).then_some(())
    });
    tool.run(&["cluster", "remove", "4"]).ok();
    tool.run(&["cluster", "rebalance", "--timeout", "60"]).ok();
    tool.run(&["cluster", "health", "--wait"]).ok();
    load.progress(BATCHES_BETWEEN)
        .expect("the load on three nodes");

    // A node that was away leads nothing until it is asked to.
    fleet.leave(1).expect("it stops in good order");
    fleet.restart(1);
    tool.run(&["cluster", "health", "--wait"]).ok();
    tool.run(&["cluster", "rebalance", "--timeout", "60"]).ok();
    wait::until("everybody to lead what is preferred there", || {
        let nodes = json(&tool, &["cluster", "nodes"]);
        let mut nodes = nodes.as_array().expect("nodes").iter();
        nodes
            .all(|node| node["leads"] == node["preferred"])
            .then_some(())
    });

    let history = load.finish().expect("everything reads back");
    assert_eq!(judge::problems(&history), Vec::<String>::new());
    let mut read = tool.consume("bulk");
    read.sort();
    lines.sort();
    assert_eq!(read, lines);
    let lag = json(&tool, &["group", "describe", "g"]);
    assert!(
        lag.to_string().contains("bulk"),
        "its offsets moved along: {lag}"
    );
    assert_eq!(fleet.deaths(), Vec::<String>::new());
}
