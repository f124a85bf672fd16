//! The load: Kafka's ProducerPerformance, and what it prints at its end.

use crate::run::output;
use std::path::Path;
use std::process::Command;

/// A run that takes longer is ended and counts as failed.
const RUN_SECONDS_MAX: u32 = 240;

/// One run of the load.
pub struct Load<'a> {
    /// Where to.
    pub topic: &'a str,
    /// On which broker.
    pub bootstrap: &'a str,
    /// How many.
    pub records: u32,
    /// Of which size.
    pub record_bytes: u32,
    /// What differs from the producer's defaults, beside acks=all.
    pub properties: &'a [&'a str],
}

/// What the load saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Records sent.
    pub records: f64,
    /// Records a second.
    pub rate: f64,
    /// Milliseconds from send to answer: half of the records were faster.
    pub p50_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// 999 of 1,000 were faster.
    pub p999_ms: f64,
}

impl Load<'_> {
    /// Runs it to its end.
    pub fn run(&self, peer: &Path) -> Result<Rates, String> {
        let mut command = Command::new("timeout");
        command.arg(RUN_SECONDS_MAX.to_string()).arg(peer);
        command.args(["run", "org.apache.kafka.tools.ProducerPerformance"]);
        command.args(["--bootstrap-server", self.bootstrap, "--topic", self.topic]);
        command.args(["--num-records", &self.records.to_string()]);
        command.args([
            "--record-size",
            &self.record_bytes.to_string(),
            "--throughput",
            "-1",
        ]);
        command
            .args(["--command-property", "acks=all"])
            .args(self.properties);
        let printed = output(&mut command)?;
        Rates::parse(&printed)
            .ok_or_else(|| format!("no summary in what the load printed:\n{printed}"))
    }
}

impl Rates {
    /// Reads the last summary, the one with percentiles.
    pub fn parse(printed: &str) -> Option<Rates> {
        let line = printed.lines().rev().find(|line| line.contains("99.9th"))?;
        let number = |part: &str| part.split_whitespace().next()?.parse::<f64>().ok();
        let part = |name: &str| {
            line.split(", ")
                .find(|part| part.contains(name))
                .and_then(number)
        };
        Some(Rates {
            records: part("records sent")?,
            rate: part("records/sec")?,
            p50_ms: part("50th")?,
            p99_ms: part("99th")?,
            p999_ms: part("99.9th")?,
        })
    }
}
