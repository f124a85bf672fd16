//! Consumer groups by the command line tool: going on where a group stopped, also after kill -9;
//! sharing; lag; moving and deleting.

use e2e::{Fleet, Scratch, Setup, Tool, wait};
use serde_json::Value;
use std::collections::BTreeSet;

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

/// What each member of a group holds.
fn holdings(tool: &Tool, group: &str) -> Vec<BTreeSet<i64>> {
    let described = tool.run(&["group", "members", group, "--output", "json"]);
    let described: Value = serde_json::from_str(&described.stdout).unwrap_or_default();
    let held = |member: &Value| {
        let partitions = member["assigned"]["orders"].as_array();
        let partitions = partitions.into_iter().flatten();
        partitions.filter_map(Value::as_i64).collect()
    };
    let members = described["members"].as_array().into_iter().flatten();
    members.map(held).collect()
}

#[test]
fn members_of_the_newer_protocol_share_and_take_over() {
    let scratch = Scratch::new("shares");
    let interval = [
        "--set",
        "group.consumer.min.heartbeat.interval.ms=200",
        "--set",
        "group.consumer.heartbeat.interval.ms=200",
    ];
    let node = Setup::single(&scratch.join("data")).with(&interval).start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "3"]);
    let consumer = |count: &'static str| {
        let tool = tool.clone();
        std::thread::spawn(move || {
            let by = ["--group", "audit", "--group-protocol", "consumer"];
            read(&tool, &[&by[..], &["--follow", "-n", count]].concat())
        })
    };
    let first = consumer("230");
    wait::until("the first member to have everything", || {
        (holdings(&tool, "audit") == [BTreeSet::from([0, 1, 2])]).then_some(())
    });
    let second = consumer("40");
    wait::until("the second member to have its part", || {
        let held = holdings(&tool, "audit");
        let of_two = held.len() == 2 && held.iter().all(|held| !held.is_empty());
        let once = held.iter().map(BTreeSet::len).sum::<usize>() == 3;
        (of_two && once).then_some(())
    });
    assert_eq!(
        json(&tool, &["group", "describe", "audit"])["type"],
        "consumer"
    );
    for partition in ["0", "1", "2"] {
        let lines = (0..90).map(|n| format!("{partition} {n}\n"));
        let place = ["produce", "orders", "--partition", partition];
        tool.run_with(&lines.collect::<String>(), &place).ok();
    }
    let mut seen = second.join().expect("no panic");
    assert_eq!(seen.len(), 40);
    // What the second one left, the first one takes over, from where it stopped.
    seen.extend(first.join().expect("no panic"));
    assert_eq!(seen.len(), 270);
    let distinct: BTreeSet<String> = seen.into_iter().collect();
    assert_eq!(distinct.len(), 270, "every record once");
    assert_eq!(lag(&tool, "audit"), 0);
}

#[test]
fn a_static_member_keeps_its_place_while_it_is_away() {
    let scratch = Scratch::new("static");
    let node = Setup::single(&scratch.join("data"))
        .with(&["--set", "group.initial.rebalance.delay.ms=0"])
        .start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "3"]);
    tool.produce("orders", &lines(0, 100));
    for protocol in ["classic", "consumer"] {
        let by = ["--group", protocol, "--group-protocol", protocol];
        let by = [&by[..], &["--group-instance-id", "desk"]].concat();
        let mut seen = read(&tool, &[&by[..], &["-n", "10"]].concat());
        assert_eq!(seen.len(), 10, "{protocol}");
        let described = json(&tool, &["group", "members", protocol]);
        assert_eq!(described["members"][0]["instance"], "desk", "{described}");
        assert_eq!(holdings(&tool, protocol), [BTreeSet::from([0, 1, 2])]);
        seen.extend(read(&tool, &by));
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!((seen.len(), distinct.len()), (100, 100), "{protocol}");
    }
}

/// A static member that leads its group comes back into the generation that goes on, and is not asked to
/// share out: what was added while it was away it has to look for itself.
#[test]
fn a_static_member_that_comes_back_finds_the_partitions_that_came_meanwhile() {
    let scratch = Scratch::new("groups-grown");
    let setup =
        Setup::single(&scratch.join("data")).with(&["--set", "group.initial.rebalance.delay.ms=0"]);
    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "1"]);
    tool.produce("orders", &lines(0, 10));
    let by = ["--group", "audit", "--group-instance-id", "desk"];
    let seen = read(&tool, &by);
    assert_eq!(seen, lines(0, 10));
    tool.run(&["topic", "alter", "orders", "--partitions", "9"])
        .ok();
    let keyed: Vec<String> = (10..200).map(|n| format!("{n}=line {n}")).collect();
    let input = keyed.join("\n") + "\n";
    tool.run_with(&input, &["produce", "orders", "--key-separator", "="])
        .ok();
    let mut seen = read(&tool, &by);
    seen.sort();
    let mut sent = lines(10, 200);
    sent.sort();
    assert_eq!(seen, sent, "also of the new partitions");
}
