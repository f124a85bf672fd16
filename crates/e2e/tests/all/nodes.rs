//! What an operator sees of nodes that come and go, with the tool and without a cluster.

use e2e::tool::offline;
use e2e::{Fleet, Scratch, Tool, http, wait};
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
    // On a busy machine a node may be missed for a moment.
    let status = wait::until("a healthy status", || {
        Some(seen(&tool, &["cluster", "status"])).filter(|status| status["healthy"] == true)
    });
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
    // Who is asked for what may be any of the two that are left.
    wait::until("node 3 to be missed", || {
        let gone = tool.run(&["cluster", "health"]);
        let named = ["node 3 is silent", "not in sync"].map(|what| gone.stdout.contains(what));
        (gone.code == Some(1) && named == [true; 2]).then_some(())
    });
    wait::until("node 3 to be shown as silent", || {
        (seen(&tool, &["cluster", "nodes"])[2]["state"] == "silent").then_some(())
    });

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
fn a_node_that_comes_back_leads_again_what_it_is_to_lead() {
    let scratch = Scratch::new("balance");
    let often = "leader.imbalance.check.interval.seconds=1";
    let all = "leader.imbalance.per.broker.percentage=0";
    let mut fleet = Fleet::start(scratch.path(), &["--set", often, "--set", all]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "12", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    let leads = || -> Vec<u64> {
        let nodes = seen(&tool, &["cluster", "nodes"]);
        let nodes = nodes.as_array().expect("nodes");
        nodes.iter().filter_map(|n| n["leads"].as_u64()).collect()
    };
    let balanced = || (leads() == [4, 4, 4]).then_some(());
    wait::until("everybody to lead", balanced);
    fleet.kill(2);
    wait::until("others to lead", || (leads()[1] == 0).then_some(()));
    fleet.restart(2);
    wait::until("node 2 to lead again", balanced);
}

/// A replica that is far behind gets no more than the throttle lets through, until that is lifted.
#[test]
fn a_throttle_binds_and_lets_go() {
    let scratch = Scratch::new("throttle");
    let mut fleet = Fleet::start(scratch.path(), &["--set", "hot.tail.bytes=1048576"]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "1", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    fleet.kill(3);
    let lines: Vec<String> = (0..8000).map(|n| format!("{n:01000}")).collect();
    tool.produce("t", &lines);
    let rate = "leader.replication.throttled.rate";
    let replicas = "leader.replication.throttled.replicas";
    tool.run(&["config", "set", "nodes", &format!("{rate}=1000")])
        .ok();
    tool.run(&["config", "set", "topic/t", &format!("{replicas}=*")])
        .ok();
    // Each of the two may lead, and has to know of it.
    for id in 1..=2 {
        let own = Tool::new(&fleet.node(id).kafka);
        let known = |resource: &str, key: &str, value: &str| {
            seen(&own, &["config", "get", resource, key])[0]["value"] == value
        };
        wait::until("the throttle to be known", || {
            let node = known(&format!("node/{id}"), rate, "1000");
            (node && known("topic/t", replicas, "*")).then_some(())
        });
    }
    let others: Vec<String> = (1..=2).map(|id| fleet.node(id).http.clone()).collect();
    let waits = || -> f64 {
        let waits = |address: &String| http::figure(address, "flotilla_catch_up_waits_total ");
        others.iter().filter_map(waits).sum()
    };
    // The other one that is there may have waited for the node's own bound.
    let before = waits();
    fleet.restart(3);
    let third = fleet.node(3).http.clone();
    let records = || {
        let has = "flotilla_partition_high_watermark{topic=\"t\"";
        http::figure(&third, has).unwrap_or_default()
    };
    wait::until("the throttle to bind", || {
        (waits() > before + 20.0).then_some(())
    });
    assert!(records() < 4000.0, "8 MB at 1000 bytes a second");
    wait::until("node 3 to be missed", || {
        (tool.run(&["cluster", "health"]).code == Some(1)).then_some(())
    });
    tool.run(&["config", "reset", "nodes", rate]).ok();
    tool.run(&["cluster", "health", "--wait"]).ok();
    wait::until("the rest to have come", || {
        (records() == 8000.0).then_some(())
    });
}

/// Of two replicas that come, the one that isn't throttled doesn't wait for the one that is.
#[test]
fn a_throttle_binds_the_follower_that_it_is_for() {
    let scratch = Scratch::new("throttled");
    let mut fleet = Fleet::start(scratch.path(), &["--set", "hot.tail.bytes=1048576"]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "1", "--replicas", "1"]);
    let partition = |tool: &Tool| seen(tool, &["topic", "describe", "t"])["partitions"][0].clone();
    let leader = partition(&tool)["leader"].as_i64().expect("a node");
    let (free, bound) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let lines: Vec<String> = (0..8000).map(|n| format!("{n:01000}")).collect();
    tool.produce("t", &lines);
    let (node, rate) = (
        format!("node/{bound}"),
        "follower.replication.throttled.rate",
    );
    let named = "follower.replication.throttled.replicas";
    tool.run(&["config", "set", &node, &format!("{rate}=1000")])
        .ok();
    let list = format!("0:{bound}");
    tool.run(&["config", "set", "topic/t", &format!("{named}={list}")])
        .ok();
    // Who knows the later change knows the earlier one.
    let own = Tool::new(&fleet.node(leader as i32).kafka);
    wait::until("the throttle to be known to the leader", || {
        let set = seen(&own, &["config", "get", "topic/t", named]);
        (set[0]["value"] == list.as_str()).then_some(())
    });
    let target = format!("t-0={leader},{free},{bound}");
    tool.run(&["cluster", "reassign", &target, "--timeout", "5"])
        .failed(1);
    let mut records = |id: i64| {
        let has = "flotilla_partition_high_watermark{topic=\"t\"";
        http::figure(&fleet.node(id as i32).http, has).unwrap_or_default()
    };
    wait::until("the one that isn't throttled", || {
        (records(free) == 8000.0).then_some(())
    });
    assert!(records(bound) < 4000.0, "8 MB at 1000 bytes a second");
    tool.run(&["config", "reset", &node, rate]).ok();
    tool.run(&["cluster", "health", "--wait", "--timeout", "60"])
        .ok();
}

#[test]
fn what_is_no_data_directory_is_said_to_be_none() {
    let scratch = Scratch::new("nowhere");
    let nowhere = scratch.path().to_string_lossy().into_owned();
    let refused = offline(&["log", "inspect", "--data-dir", &nowhere]).failed(2);
    assert!(refused.contains("no data directory"), "{refused}");
}

#[test]
fn a_node_joins_carries_its_share_and_comes_back() {
    let scratch = Scratch::new("join");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let newcomer = fleet.newcomer(scratch.path());
    fleet.join(newcomer.clone());
    // Who only asks the newcomer hears that all is well when everybody knows of it.
    Tool::new(&newcomer.kafka)
        .run(&["cluster", "health", "--wait"])
        .ok();
    for id in 1..=4 {
        let at = fleet.node(id).setup().kafka.clone();
        let nodes = seen(&Tool::new(&at), &["cluster", "nodes"]);
        assert_eq!(
            nodes.as_array().map(Vec::len),
            Some(4),
            "node {id}: {nodes}"
        );
    }
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "8", "--replicas", "3"]);
    tool.run(&["cluster", "health", "--wait"]).ok();
    wait::until("node 4 to have and to lead its share", || {
        let of_4 = &seen(&tool, &["cluster", "nodes"])[3];
        let facts = (&of_4["state"], &of_4["votes"], &of_4["replicas"]);
        let all = facts == (&"alive".into(), &false.into(), &6.into());
        (all && of_4["leads"].as_u64() > Some(0)).then_some(())
    });
    let lines: Vec<String> = (0..2000).map(|n| format!("line {n:05}")).collect();
    tool.produce("t", &lines);

    // The newcomer alone is asked, dies, and comes back with everything.
    let sorted = |mut read: Vec<String>| {
        read.sort();
        read
    };
    let alone = Tool::new(&newcomer.kafka);
    assert_eq!(sorted(alone.consume("t")), lines);
    fleet.kill(4);
    fleet.restart(4);
    tool.run(&["cluster", "health", "--wait"]).ok();
    assert_eq!(sorted(alone.consume("t")), lines);

    // Its number with an erased directory is refused: others count on what was there.
    fleet.leave(4).expect("in good order");
    std::fs::remove_dir_all(&newcomer.data).expect("it is stopped");
    let refused = newcomer.try_start().expect_err("erased");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("lives in another data directory"),
        "{}",
        refused.stderr
    );

    // Once it is given up it gets its replicas anew under its number.
    wait::until("node 4 to be shown as silent", || {
        (seen(&tool, &["cluster", "nodes"])[3]["state"] == "silent").then_some(())
    });
    tool.run(&["cluster", "remove", "4", "--lost"]).ok();
    fleet.restart(4);
    Tool::new(&newcomer.kafka)
        .run(&["cluster", "health", "--wait"])
        .ok();
    assert_eq!(seen(&tool, &["cluster", "nodes"])[3]["replicas"], 6);
    assert_eq!(sorted(Tool::new(&newcomer.kafka).consume("t")), lines);
}

#[test]
fn a_directory_of_another_cluster_is_refused() {
    let scratch = Scratch::new("foreign");
    let fleet = Fleet::start(scratch.path(), &[]);
    let newcomer = fleet.newcomer(scratch.path());
    let mut alone = newcomer.clone();
    alone.args = vec!["--node-id".into(), "4".into()];
    assert_eq!(alone.start().stop().code(), Some(0));
    let refused = newcomer
        .try_start()
        .expect_err("it has a cluster of its own");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let said = refused
        .stderr
        .contains("the data directory of node 4 belongs to cluster");
    assert!(said, "{}", refused.stderr);
}
