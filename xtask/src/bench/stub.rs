//! The broker that keeps nothing (`crates/e2e/examples/stub_broker.rs`), as a process.

use crate::run::{cargo, checked, target_directory};
use crate::server::{START_MAX, lines, word};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Builds one of e2e's examples and returns its path.
pub fn build(example: &str) -> Result<PathBuf, String> {
    let what = ["build", "--release", "--package", "e2e", "--example"];
    checked(cargo().args(what).arg(example))?;
    Ok(target_directory()?.join("release/examples").join(example))
}

/// A running one; ended when this goes.
pub struct Stub {
    child: Child,
    /// Where Kafka clients connect.
    pub kafka: String,
}

impl Stub {
    /// Starts one whose topics have so many partitions.
    pub fn start(binary: &Path, partitions: u32) -> Result<Stub, String> {
        let child = Command::new(binary)
            .arg(partitions.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let kafka = String::new();
        let mut stub = Stub { child, kafka };
        let stdout = stub.child.stdout.take().expect("it is piped");
        let line = lines(stdout).recv_timeout(START_MAX);
        let line = line.map_err(|_| "the stub didn't get ready")?;
        stub.kafka = word(&line, "kafka=")?;
        Ok(stub)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
