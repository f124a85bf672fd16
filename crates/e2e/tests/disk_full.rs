//! A full disk: writes are refused, reads go on, metadata stays writable, and it recovers by
//! itself. Needs a small file system of its own, so it runs where one can be mounted.

use e2e::{Scratch, Setup, Tool, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for the log's files, the reserve and some data.
const SIZE: &str = "400m";

/// A file system in memory, gone with this.
struct Mounted(PathBuf);

impl Mounted {
    fn try_new(place: &Path) -> Option<Mounted> {
        fs::create_dir_all(place).ok()?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"])
            .arg(place);
        mount
            .output()
            .ok()?
            .status
            .success()
            .then(|| Mounted(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let scratch = Scratch::new("full");
    let Some(mounted) = Mounted::try_new(&scratch.join("disk")) else {
        eprintln!(
            "skipped: a_full_disk_refuses_writes_and_recovers_by_itself: can't mount a tmpfs"
        );
        return;
    };
    let mut node = Setup::single(&mounted.0.join("data")).start();
    let tool = Tool::new(&node.kafka);
    tool.create("t", &["--partitions", "1"]);
    tool.produce("t", &["before".to_owned()]);

    // Somebody else fills the disk to the last block.
    let ballast = mounted.0.join("ballast");
    let _ = fs::write(&ballast, vec![1; 512 * 1024 * 1024]);
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

    fs::remove_file(&ballast).expect("ours");
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
