//! A full disk: writes are refused, reads go on, metadata stays writable, and it recovers by
//! itself. Needs a small file system of its own, so it runs where one can be mounted, by root or in
//! a namespace.

use e2e::disk::SmallDisk;
use e2e::{Fleet, Scratch, Setup, Tool, skip, wait};
use serde_json::Value;

/// Room for the log's files, the reserve and some data.
const MEBIBYTES: u32 = 400;

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let scratch = Scratch::new("full");
    let Some(disk) = SmallDisk::mount(&scratch.join("disk"), MEBIBYTES) else {
        return skip::where_mounts_are_mine("a_full_disk_refuses_writes_and_recovers_by_itself");
    };
    let mut node = Setup::single(&disk.path().join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &["--partitions", "1"]);
    tool.produce("t", &["before".to_owned()]);

    // Somebody else fills the disk to the last block.
    disk.fill();
    // A write that meets the full disk before the node knows of it waits without an answer; once
    // it knows, it says so.
    wait::until("a refusal that names the disk", || {
        let done = tool.run_with("while full\n", &["produce", "t", "--timeout", "2"]);
        let named = done.stderr.contains("KAFKA_STORAGE_ERROR");
        (done.code != Some(0) && named).then_some(())
    });
    assert!(node.is_alive(), "the node died of a full disk");
    assert_eq!(
        tool.consume("t").first().map(String::as_str),
        Some("before"),
        "reads go on"
    );

    disk.relieve();
    wait::until("writes again", || {
        let done = tool.run_with("after\n", &["produce", "t", "--timeout", "2"]);
        (done.code == Some(0)).then_some(())
    });
    let read = tool.consume("t");
    assert!(
        read.contains(&"before".to_owned()) && read.contains(&"after".to_owned()),
        "{read:?}"
    );
    assert_eq!(node.stop().code(), Some(0));
}

/// What the tool says in JSON.
fn seen(tool: &Tool, args: &[&str]) -> Value {
    let said = tool.run(&[args, &["--output", "json"]].concat()).ok();
    serde_json::from_str(&said).expect("JSON")
}

/// The leader has room. It says at once that most others haven't, and what frees space is committed.
#[test]
fn with_two_of_three_disks_full_records_are_refused_and_retention_makes_room() {
    const RESERVE: u64 = 32 << 20;
    let scratch = Scratch::new("two_full");
    let small = |id: i32| SmallDisk::mount(&scratch.join(&format!("disk{id}")), MEBIBYTES);
    let (Some(second), Some(third)) = (small(2), small(3)) else {
        return skip::where_mounts_are_mine(
            "with_two_of_three_disks_full_records_are_refused_and_retention_makes_room",
        );
    };
    let host = |_| "127.0.0.1".to_owned();
    let reserve = format!("disk.reserve.bytes={RESERVE}");
    let fleet = Fleet::start_arranged(1..=3, host, |id, setup| Setup {
        data: match id {
            1 => scratch.join("data"),
            _ => scratch.join(&format!("disk{id}")).join("data"),
        },
        ..setup.with(&["--set", &reserve])
    });
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    let led_by_1 = wait::until("a partition that node 1 leads", || {
        let topic = seen(&tool, &["topic", "describe", "t"]);
        let partitions = topic["partitions"].as_array().expect("a list").clone();
        let led = partitions.iter().find(|p| p["leader"] == 1)?;
        Some(led["partition"].as_i64().expect("a number").to_string())
    });
    let write = |line: &str| {
        let to = ["produce", "t", "--partition", &led_by_1, "--timeout", "2"];
        tool.run_with(&format!("{line}\n"), &to)
    };
    write("before").ok();

    second.fill_but(RESERVE / 2);
    third.fill_but(RESERVE / 2);
    wait::until("a refusal that says why", || {
        let done = write("while full");
        (done.code != Some(0) && done.stderr.contains("NOT_ENOUGH_REPLICAS")).then_some(())
    });
    wait::until("two full nodes", || {
        let nodes = seen(&tool, &["cluster", "nodes"]);
        let full = nodes.as_array().expect("a list").iter();
        (full.filter(|node| node["state"] == "full").count() == 2).then_some(())
    });
    let problems = tool.run(&["cluster", "health"]);
    assert_eq!(problems.code, Some(1), "{}", problems.stdout);
    let named = problems.stdout.contains("node 2 has no room");
    assert!(named, "{}", problems.stdout);

    let keep = |ms: &str| {
        let retention = format!("retention.ms={ms}");
        tool.run(&["config", "set", "topic/t", &retention]).ok();
    };
    keep("1");
    wait::until("an end of what is past its retention", || {
        tool.consume("t").is_empty().then_some(())
    });
    keep("-1");

    second.relieve();
    third.relieve();
    wait::until("writes again", || {
        (write("after").code == Some(0)).then_some(())
    });
    assert!(tool.consume("t").contains(&"after".to_owned()));
    fleet.stop().expect("all end in good order");
}
