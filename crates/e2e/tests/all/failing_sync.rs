//! A sync that fails: the node stops at once and acknowledges nothing that it may not have. What
//! it acknowledged before is there at the next start.

use e2e::disk::Syncs;
use e2e::{Scratch, Setup, Tool, skip};
use std::fs;

#[test]
fn a_failed_sync_stops_the_node_and_loses_nothing() {
    let scratch = Scratch::new("eio");
    let Some(syncs) = Syncs::build(scratch.path()) else {
        return skip::without(skip::COMPILER);
    };
    let plain = Setup::single(&scratch.join("data"));
    let setup = syncs.reach(plain.clone(), "node");
    let mut node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &["--partitions", "2"]);
    let lines: Vec<String> = (0..200).map(|n| format!("line {n:03}")).collect();
    tool.produce("t", &lines);

    syncs.fail("node", true);
    let done = tool.run_with("never acknowledged\n", &["produce", "t", "--timeout", "3"]);
    assert_ne!(done.code, Some(0), "acknowledged although the sync failed");
    assert_eq!(
        node.wait_end().code(),
        Some(1),
        "a failed sync is no orderly end"
    );
    let log = fs::read_to_string(setup.log()).expect("a log");
    assert!(
        log.contains(".wal") || log.contains("sync"),
        "the log doesn't say why:\n{log}"
    );

    let node = plain.start();
    let mut read = Tool::new(&node.kafka).consume("t");
    // What was never acknowledged may be there or not.
    read.retain(|line| line != "never acknowledged");
    read.sort();
    assert_eq!(read, lines);
}
