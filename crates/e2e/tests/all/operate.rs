//! What an operator does in a day: settings, partitions, quotas; everything survives a restart.

use e2e::{Fleet, Scratch, Setup, Tool, wait};
use serde_json::Value;

fn json(tool: &Tool, args: &[&str]) -> Value {
    let text = tool.run(&[args, &["--output", "json"]].concat()).ok();
    serde_json::from_str(&text).expect("JSON")
}

fn value(tool: &Tool, resource: &str, key: &str) -> (String, String) {
    let entries = json(tool, &["config", "get", resource, key]);
    let text = |field: &str| entries[0][field].as_str().unwrap_or("none").to_owned();
    (text("value"), text("from"))
}

fn pair(value: &str, from: &str) -> (String, String) {
    (value.to_owned(), from.to_owned())
}

#[test]
fn settings_change_while_a_node_runs_and_survive_its_death() {
    let scratch = Scratch::new("operate");
    let setup = Setup::single(&scratch.join("data"));
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "2"]);
    let retention = "retention.ms";
    assert_eq!(
        value(&tool, "topic/orders", retention),
        pair("604800000", "default")
    );
    tool.run(&["config", "set", "nodes", "log.retention.ms=5000000"])
        .ok();
    let all = pair("5000000", "all nodes, changed");
    assert_eq!(value(&tool, "topic/orders", retention), all);
    tool.run(&["config", "set", "node/1", "log.retention.ms=6000000"])
        .ok();
    let own = pair("6000000", "node, changed");
    assert_eq!(value(&tool, "topic/orders", retention), own);
    tool.run(&[
        "topic",
        "alter",
        "orders",
        "--partitions",
        "4",
        "-c",
        "retention.ms=7000000",
    ])
    .ok();
    tool.run(&["config", "set", "topic/orders", "cleanup.policy+=compact"])
        .ok();
    node.kill();

    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    assert_eq!(
        value(&tool, "topic/orders", retention),
        pair("7000000", "topic")
    );
    let policy = pair("delete,compact", "topic");
    assert_eq!(value(&tool, "topic/orders", "cleanup.policy"), policy);
    let topics = json(&tool, &["topic", "list"]);
    assert_eq!(topics[0]["partitions"], 4);
    let diff = json(&tool, &["config", "diff", "topic/orders"]);
    assert_eq!(diff.as_array().map(Vec::len), Some(2), "{diff}");
    tool.run(&["config", "reset", "topic/orders", retention])
        .ok();
    assert_eq!(value(&tool, "topic/orders", retention), own);
}

#[test]
fn what_can_not_be_set_is_refused_with_its_reason() {
    let scratch = Scratch::new("refused-settings");
    let node = Setup::single(&scratch.join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &[]);
    let why = |args: &[&str]| {
        let done = tool.run(args);
        assert_eq!(done.code, Some(1), "{args:?}");
        done.stderr
    };
    let fixed = why(&["config", "set", "node/1", "num.partitions=7"]);
    assert!(
        fixed.contains("Cannot update these configs dynamically: [num.partitions]"),
        "{fixed}"
    );
    let wrong = why(&["config", "set", "topic/t", "retention.ms=-5"]);
    assert!(wrong.contains("Value must be at least -1"), "{wrong}");
    let typo = why(&["config", "set", "node/1", "log.retention.mss=5"]);
    assert!(typo.contains("did you mean 'log.retention.ms'"), "{typo}");
    let fewer = why(&["topic", "alter", "t", "--partitions", "1"]);
    assert!(fewer.contains("already has 1 partition"), "{fewer}");
    let dry = tool
        .run(&["topic", "alter", "t", "--partitions", "3", "--dry-run"])
        .ok();
    assert!(dry.contains("could change"), "{dry}");
    assert_eq!(json(&tool, &["topic", "list"])[0]["partitions"], 1);
}

#[test]
fn a_cluster_tells_who_is_there_and_what_it_speaks() {
    let scratch = Scratch::new("info");
    let node = Setup::single(&scratch.join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &["--partitions", "3"]);
    let info = json(&tool, &["cluster", "info"]);
    assert_eq!(
        (&info["controller"], &info["partitions"]),
        (&1.into(), &3.into())
    );
    assert_eq!(info["nodes"][0]["address"], node.kafka.as_str());
    let versions = json(&tool, &["api-versions"]);
    let rows = versions.as_array().expect("a list");
    let produce = rows.iter().find(|row| row["api"] == "Produce").unwrap();
    assert_eq!(produce["max"], 13);
}

/// Changes go in by one node and show on the others; whichever is asked.
#[test]
fn any_node_takes_any_change() {
    let scratch = Scratch::new("any-node");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tools: Vec<Tool> = (1..=3)
        .map(|id| Tool::new(&fleet.node(id).kafka.clone()))
        .collect();
    tools[0].create("t", &["--partitions", "1", "--replicas", "3"]);
    for (at, tool) in tools.iter().enumerate() {
        let partitions = at + 2;
        let bytes = format!("retention.bytes={partitions}000");
        let count = partitions.to_string();
        tool.run(&["topic", "alter", "t", "--partitions", &count, "-c", &bytes])
            .ok();
        wait::until("all nodes to be heard", || {
            let info = json(tool, &["cluster", "info"]);
            (info["nodes"].as_array().map(Vec::len) == Some(3)).then_some(())
        });
        for other in &tools {
            wait::patiently("the change everywhere", || {
                let known = json(other, &["topic", "list"])[0]["partitions"] == partitions;
                // Who hasn't heard of the topic yet has no configuration of it.
                let (value, _) = known.then(|| value(other, "topic/t", "retention.bytes"))?;
                (value == format!("{partitions}000")).then_some(())
            })
            .expect("it shows");
        }
    }
    fleet
        .settle("t")
        .expect("new partitions are led and in sync");
    tools[2]
        .run(&["config", "set", "node/1", "log.segment.bytes=2000000"])
        .ok();
    let own = pair("2000000", "node, changed");
    wait::until("the key elsewhere", || {
        (value(&tools[1], "node/1", "log.segment.bytes") == own).then_some(())
    });
    fleet.stop().expect("in good order");
}
