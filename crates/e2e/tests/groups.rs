//! Consumer groups by the command line tool: going on where a group stopped, also after kill -9;
//! sharing; lag; moving and deleting.

use e2e::{Fleet, Scratch, Setup, Tool};
use serde_json::Value;

fn lines(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}

fn read(tool: &Tool, args: &[&str]) -> Vec<String> {
    let text = tool.run(&[&["consume", "orders"], args].concat()).ok();
    text.lines().map(str::to_owned).collect()
}

fn json(tool: &Tool, args: &[&str]) -> Value {
    let text = tool.run(&[args, &["--output", "json"]].concat()).ok();
    serde_json::from_str(&text).expect("JSON")
}

fn lag(tool: &Tool, group: &str) -> i64 {
    let rows = json(tool, &["group", "lag", group]);
    let rows = rows.as_array().expect("a row for each partition");
    rows.iter().filter_map(|row| row["lag"].as_i64()).sum()
}

#[test]
fn a_group_goes_on_where_it_stopped_also_after_kill() {
    let scratch = Scratch::new("groups");
    let setup =
        Setup::single(&scratch.join("data")).with(&["--set", "group.initial.rebalance.delay.ms=0"]);
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "3"]);
    tool.produce("orders", &lines(0, 300));
    let mut seen = read(&tool, &["--group", "audit", "-n", "120"]);
    assert_eq!(seen.len(), 120);
    node.kill();

    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(
        lag(&tool, "audit"),
        180,
        "what was committed is there after kill -9"
    );
    seen.extend(read(&tool, &["--group", "audit"]));
    seen.sort();
    let mut all = lines(0, 300);
    all.sort();
    assert_eq!(seen, all, "every record once");
    assert_eq!(lag(&tool, "audit"), 0);
    let listed = json(&tool, &["group", "list"]);
    assert_eq!(listed[0]["group"], "audit", "{listed}");
    assert_eq!(listed[0]["state"], "Empty", "{listed}");
    assert_eq!(node.stop().code(), Some(0));
}

#[test]
fn offsets_are_moved_in_every_way_and_only_on_demand() {
    let scratch = Scratch::new("reset");
    let node = Setup::single(&scratch.join("data"))
        .with(&["--set", "group.initial.rebalance.delay.ms=0"])
        .start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "1"]);
    tool.produce("orders", &lines(0, 100));
    assert_eq!(read(&tool, &["--group", "g"]).len(), 100);
    let reset = |args: &[&str]| {
        let head = ["group", "reset-offsets", "g", "--topic", "orders"];
        json(&tool, &[&head, args].concat())["partitions"][0]["after"].clone()
    };
    assert_eq!(reset(&["--to-earliest"]), 0);
    assert_eq!(lag(&tool, "g"), 0, "nothing moves without --execute");
    assert_eq!(reset(&["--to-offset", "40", "--execute"]), 40);
    assert_eq!(lag(&tool, "g"), 60);
    assert_eq!(reset(&["--shift-by", "-50", "--execute"]), 0);
    assert_eq!(reset(&["--shift-by", "30", "--execute"]), 30);
    assert_eq!(reset(&["--to-current"]), 30);
    assert_eq!(reset(&["--to-latest"]), 100);
    assert_eq!(reset(&["--by-duration", "1h"]), 0);
    assert_eq!(reset(&["--to-datetime", "2100-01-01T00:00:00"]), 100);
    let file = scratch.join("plan.csv");
    std::fs::write(&file, "orders,0,77\n").expect("writable");
    let path = file.to_str().expect("a path in text");
    let plan = [
        "group",
        "reset-offsets",
        "g",
        "--from-file",
        path,
        "--execute",
    ];
    tool.run(&plan).ok();
    assert_eq!(read(&tool, &["--group", "g"]), lines(77, 100));

    let usage = tool.run(&["group", "reset-offsets", "g", "--to-latest"]);
    usage.failed(2);
    let gone = tool.run(&["group", "describe", "nobody"]).failed(1);
    assert!(gone.contains("GROUP_ID_NOT_FOUND"), "{gone}");
    tool.run(&["group", "delete", "g", "--topic", "orders"])
        .ok();
    let described = json(&tool, &["group", "members", "g"]);
    assert_eq!(described["members"], Value::Array(Vec::new()));
    tool.run(&["group", "delete", "g"]).ok();
    let listed = json(&tool, &["group", "list"]);
    assert_eq!(listed, Value::Array(Vec::new()), "{listed}");
}

#[test]
fn the_death_of_a_coordinator_costs_no_offset() {
    let scratch = Scratch::new("coordinator");
    let mut fleet = Fleet::start(
        scratch.path(),
        &["--set", "group.initial.rebalance.delay.ms=0"],
    );
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("orders", &["--partitions", "3", "--replicas", "3"]);
    tool.produce("orders", &lines(0, 300));
    let mut seen = read(&tool, &["--group", "audit", "-n", "100"]);
    let described = json(&tool, &["group", "describe", "audit"]);
    let coordinator = described["coordinator"].as_i64().expect("a node");
    fleet.kill(i32::try_from(coordinator).expect("a small number"));
    assert_eq!(lag(&tool, "audit"), 200);
    seen.extend(read(&tool, &["--group", "audit"]));
    seen.sort();
    let mut all = lines(0, 300);
    all.sort();
    assert_eq!(seen, all, "every record once");
    let moved = json(&tool, &["group", "describe", "audit"]);
    assert_ne!(moved["coordinator"], described["coordinator"], "{moved}");
}
