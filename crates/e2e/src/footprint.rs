//! How little a node takes: time from exec to the first acknowledgement, memory when idle, size
//! of the binary.

use crate::node::Setup;
use crate::scratch::Scratch;
use crate::{binary, wait};
use base::batch::Compression;
use cli::client::producer::{Outgoing, Producer, Record};
use cli::client::{Cluster, Deadline};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Fresh starts that are timed.
const STARTS: usize = 15;
/// How long a node is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);

/// What is promised: the first acknowledgement comes within this.
pub const FIRST_ACK_MAX: Duration = Duration::from_millis(100);
/// An idle node takes less memory than this.
pub const IDLE_BYTES_MAX: u64 = 50_000_000;
/// The stripped binary is smaller than this.
pub const BINARY_BYTES_MAX: u64 = 40_000_000;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// From exec to the first acknowledgement, over fresh starts on empty directories, sorted.
    pub first_acks: Vec<Duration>,
    /// Resident memory of an idle node.
    pub idle_bytes: u64,
    /// Size of the stripped binary.
    pub binary_bytes: u64,
}

/// Measures the binary.
pub fn measure() -> Footprint {
    binary::flotilla();
    let mut first_acks: Vec<Duration> = (0..STARTS).map(|_| first_ack()).collect();
    first_acks.sort();
    Footprint {
        first_acks,
        idle_bytes: idle_bytes(),
        binary_bytes: binary_bytes(),
    }
}

/// One start on an empty directory, as a client meets it: find the node, have a topic made, send.
fn first_ack() -> Duration {
    let scratch = Scratch::new("start");
    let setup = Setup::single(&scratch.join("data"));
    let start = wait::now();
    let node = setup.start();
    let until = Deadline::after(wait::LONG);
    let mut cluster = Cluster::new(&node.kafka).expect("an address");
    let mut producer = Producer::open(&mut cluster, "first", Compression::None, until)
        .expect("the topic is made by itself");
    let record = Record {
        timestamp: cli::client::deadline::wall_ms(),
        key: None,
        value: Some(bytes::Bytes::from_static(b"first")),
        headers: Vec::new(),
    };
    let outgoing = Outgoing {
        partition: 0,
        records: vec![record],
    };
    producer
        .send(&mut cluster, &[outgoing], until)
        .expect("acknowledged");
    start.elapsed()
}

fn idle_bytes() -> u64 {
    let scratch = Scratch::new("idle");
    let node = Setup::single(&scratch.join("data")).start();
    wait::poll(IDLE, || None::<()>);
    node.resident_bytes()
}

/// The size without symbols, if they can be stripped here; else with them.
fn binary_bytes() -> u64 {
    let scratch = Scratch::new("strip");
    let stripped = scratch.join("flotilla");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(binary::flotilla())
        .status();
    let path = if strip.is_ok_and(|status| status.success()) {
        &stripped
    } else {
        binary::flotilla()
    };
    std::fs::metadata(path).expect("the binary is there").len()
}

impl Footprint {
    /// The middle of the times to the first acknowledgement.
    pub fn first_ack_median(&self) -> Duration {
        self.first_acks[self.first_acks.len() / 2]
    }

    /// What is promised and not kept.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let median = self.first_ack_median();
        if median > FIRST_ACK_MAX {
            problems.push(format!(
                "first acknowledgement after {median:?}, not {FIRST_ACK_MAX:?}"
            ));
        }
        if self.idle_bytes > IDLE_BYTES_MAX {
            problems.push(format!("{} bytes resident when idle", self.idle_bytes));
        }
        if self.binary_bytes > BINARY_BYTES_MAX {
            problems.push(format!("the binary has {} bytes", self.binary_bytes));
        }
        problems
    }

    /// For other programs.
    pub fn json(&self) -> Value {
        let slowest = self.first_acks.last().copied().unwrap_or_default();
        json!({
            "first_ack_median_ms": self.first_ack_median().as_secs_f64() * 1e3,
            "first_ack_max_ms": slowest.as_secs_f64() * 1e3,
            "idle_bytes": self.idle_bytes,
            "binary_bytes": self.binary_bytes,
            "problems": self.problems(),
        })
    }
}
