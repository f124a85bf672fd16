//! A full disk: writes are refused, reads go on, metadata stays writable, and it recovers by
//! itself. Needs a small file system of its own, so it runs where one can be mounted, by root or in
//! a namespace.

use e2e::disk::SmallDisk;
use e2e::{Scratch, Setup, Tool, skip, wait};

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
