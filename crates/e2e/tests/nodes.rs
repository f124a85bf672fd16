//! What an operator sees of nodes that come and go, with the tool and without a cluster.

use e2e::tool::offline;
use e2e::{Fleet, Scratch, Tool};
use serde_json::Value;

fn seen(tool: &Tool, args: &[&str]) -> Value {
    let text = tool.run(&[args, &["--output", "json"]].concat()).ok();
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_silent_node_is_named_and_health_can_be_waited_for() {
    let scratch = Scratch::new("nodes");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    let status = seen(&tool, &["cluster", "status"]);
    assert_eq!(status["healthy"], true, "{status}");
    for node in status["nodes"].as_array().expect("nodes") {
        let facts = (&node["state"], &node["replicas"], &node["votes"]);
        assert_eq!(facts, (&"alive".into(), &3.into(), &true.into()), "{node}");
    }

    // A running node's directory is not looked into.
    let data = fleet.node(3).setup().data.to_string_lossy().into_owned();
    let refused = offline(&["log", "verify", "--data-dir", &data]).failed(2);
    assert!(refused.contains("is in use by process"), "{refused}");

    fleet.leave(3).expect("in good order");
    let tool = Tool::new(&fleet.bootstrap());
    let gone = e2e::wait::until("node 3 to be missed", || {
        let gone = tool.run(&["cluster", "health"]);
        (gone.code == Some(1) && gone.stdout.contains("node 3 is silent")).then_some(gone)
    });
    assert!(gone.stdout.contains("not in sync"), "{}", gone.stdout);
    let nodes = seen(&tool, &["cluster", "nodes"]);
    assert_eq!(nodes[2]["state"], "silent", "{nodes}");

    let verified = offline(&["log", "verify", "--data-dir", &data]).ok();
    assert!(verified.contains(": whole"), "{verified}");
    let listed = offline(&["log", "inspect", "--data-dir", &data, "--output", "json"]).ok();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let groups = listed["groups"].as_array().expect("groups");
    let names: Vec<&str> = groups
        .iter()
        .filter_map(|g| g["partition"].as_str())
        .collect();
    assert_eq!(names, ["(metadata)", "t-0", "t-1", "t-2"]);

    fleet.restart(3);
    tool.run(&["cluster", "health", "--wait"]).ok();
}

#[test]
fn what_is_no_data_directory_is_said_to_be_none() {
    let scratch = Scratch::new("nowhere");
    let nowhere = scratch.path().to_string_lossy().into_owned();
    let refused = offline(&["log", "inspect", "--data-dir", &nowhere]).failed(2);
    assert!(refused.contains("no data directory"), "{refused}");
}
