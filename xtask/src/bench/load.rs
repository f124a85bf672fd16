//! The load: Kafka's ProducerPerformance or ConsumerPerformance, or a small client of our own, and
//! what it prints at its end.

use crate::run::output;
use std::path::Path;
use std::process::Command;

/// A run that takes longer is ended and counts as failed.
const RUN_SECONDS_MAX: u32 = 240;

/// Which way the records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the broker.
    Produce,
    /// From it, by one consumer in a group of its own.
    Consume,
    /// To it, one request at a time, by our own client (`crates/e2e/examples/one_by_one.rs`).
    OneByOne,
}

/// One run of the load.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// Which way.
    pub way: Way,
    /// Where to.
    pub topic: &'a str,
    /// On which broker.
    pub bootstrap: &'a str,
    /// How many.
    pub records: u32,
    /// Of which size.
    pub record_bytes: u32,
    /// Over how many partitions.
    pub partitions: u32,
    /// What differs from the producer's defaults, beside acks=all.
    pub properties: &'a [&'a str],
    /// Our own client.
    pub one_by_one: &'a Path,
}

/// What the load saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Records sent or consumed.
    pub records: f64,
    /// Records a second; of a consumer, once it has its partitions.
    pub rate: f64,
    /// How long answers took, if the load tells.
    pub latency: Option<Latency>,
}

/// Milliseconds from send to answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Half of the records were faster.
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
        command.arg(RUN_SECONDS_MAX.to_string());
        let (records, bytes) = (self.records.to_string(), self.record_bytes.to_string());
        let tool = match self.way {
            Way::Produce => "ProducerPerformance",
            Way::Consume => "ConsumerPerformance",
            Way::OneByOne => {
                command.arg(self.one_by_one);
                let partitions = self.partitions.to_string();
                command.args([self.bootstrap, self.topic, &partitions, &records, &bytes]);
                return self.rates(&output(&mut command)?);
            }
        };
        command.arg(peer);
        command.args(["run", &format!("org.apache.kafka.tools.{tool}")]);
        command.args(["--bootstrap-server", self.bootstrap, "--topic", self.topic]);
        command.args(["--num-records", &records]);
        if self.way == Way::Produce {
            command.args(["--record-size", &bytes, "--throughput", "-1"]);
            command
                .args(["--command-property", "acks=all"])
                .args(self.properties);
        }
        self.rates(&output(&mut command)?)
    }

    fn rates(&self, printed: &str) -> Result<Rates, String> {
        let rates = match self.way {
            Way::Produce | Way::OneByOne => Rates::parse(printed),
            Way::Consume => Rates::parse_consumer(printed),
        };
        rates.ok_or_else(|| format!("no summary in what the load printed:\n{printed}"))
    }
}

impl Rates {
    /// Reads a producer's last summary, the one with percentiles.
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
            latency: Some(Latency {
                p50_ms: part("50th")?,
                p99_ms: part("99th")?,
                p999_ms: part("99.9th")?,
            }),
        })
    }

    /// Reads a consumer's one line under its headings.
    pub fn parse_consumer(printed: &str) -> Option<Rates> {
        let mut lines = printed
            .lines()
            .skip_while(|line| !line.starts_with("start.time"));
        let headings: Vec<&str> = lines.next()?.split(", ").collect();
        let values: Vec<&str> = lines.next()?.split(", ").collect();
        let value = |name: &str| {
            let at = headings.iter().position(|heading| *heading == name)?;
            values.get(at)?.trim().parse::<f64>().ok()
        };
        Some(Rates {
            records: value("data.consumed.in.nMsg")?,
            rate: value("fetch.nMsg.sec")?,
            latency: None,
        })
    }
}
