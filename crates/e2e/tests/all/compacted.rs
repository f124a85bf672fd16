//! A partition of which something was compacted moves to a node that joined, which then has the last
//! record of every key although most entries of the log are gone.

use e2e::{Fleet, Scratch, Tool, http, wait};
use std::collections::BTreeMap;

const KEYS: usize = 500;
const RECORDS: usize = 40_000;
/// Makes the records some segments' worth.
const PADDING: usize = 60;

/// True once a node shows that it has counted something.
fn counted(address: &str, name: &str) -> bool {
    http::figure(address, &format!("{name} ")).is_some_and(|count| count > 0.0)
}

/// The last value of each key, in the order of the topic's one partition.
fn last_values<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
    let pair = |line: &'a str| line.split_once('=').expect("a key and a value");
    lines.map(pair).collect()
}

#[test]
fn a_compacted_partition_moves_with_the_last_record_of_every_key() {
    let scratch = Scratch::new("compacted");
    let often = ["--set", "log.cleaner.backoff.ms=100"];
    let mut fleet = Fleet::start(scratch.path(), &often);
    let tool = Tool::new(&fleet.bootstrap());
    let small = ["--config", "segment.bytes=1048576"];
    let compact = ["--config", "cleanup.policy=compact", "--replicas", "3"];
    let one = ["--partitions", "1"];
    tool.create("compacted", &[&small[..], &compact, &one].concat());
    fleet.settle("compacted").expect("its replicas");
    let padding = "x".repeat(PADDING);
    let lines: Vec<String> = (0..RECORDS)
        .map(|n| format!("key{}={n}-{padding}", n % KEYS))
        .collect();
    let input = lines.join("\n") + "\n";
    tool.run_with(&input, &["produce", "compacted", "--key-separator", "="])
        .ok();
    let nodes = [1, 2, 3].map(|id| fleet.node(id).setup().http.clone());
    wait::until("compaction on all replicas", || {
        let done = |node: &String| counted(node, "flotilla_compactions_total");
        nodes.iter().all(done).then_some(())
    });

    let newcomer = fleet.newcomer(scratch.path());
    let address = newcomer.http.clone();
    fleet.join(newcomer);
    let tool = Tool::new(&fleet.bootstrap());
    tool.run(&["cluster", "reassign", "compacted-0=4", "--timeout", "60"])
        .ok();
    // A node's figures are copied now and then, not with each event.
    wait::until("the records to have come with a snapshot", || {
        counted(&address, "flotilla_snapshot_bytes_total").then_some(())
    });
    let read = tool
        .run(&["consume", "compacted", "--key-separator", "="])
        .ok();
    assert!(
        read.lines().count() < RECORDS,
        "most of what was written over is gone"
    );
    assert_eq!(
        last_values(read.lines()),
        last_values(lines.iter().map(String::as_str))
    );
    assert_eq!(fleet.deaths(), Vec::<String>::new());
}
