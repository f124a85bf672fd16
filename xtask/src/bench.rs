//! `cargo xtask bench`: one node against Apache Kafka, in turns (A B A B), under Kafka's own
//! ProducerPerformance. Both brokers run all the while; each run has a topic of its own, and the
//! page cache is written back before it, so neither pays for the other's writes.

mod load;
mod machine;
mod process;
mod report;

use crate::run::{self, checked, flag, only_flags, output, root};
use crate::server::Server;
use load::{Load, Rates};
use process::Usage;
use std::path::PathBuf;
use std::process::Command;

/// Rounds of a row, each one run of A and one of B.
const ROUNDS: usize = 3;
/// The part of a row's records that the uncounted first round sends.
const WARM_UP: f64 = 0.25;

/// One row of the table.
pub struct Row {
    /// What is measured.
    pub name: &'static str,
    record_bytes: u32,
    partitions: u32,
    records: u32,
    properties: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "1 KiB x 12 partitions",
        record_bytes: 1024,
        partitions: 12,
        records: 600_000,
        properties: &[],
    },
    Row {
        name: "100 B x 12 partitions",
        record_bytes: 100,
        partitions: 12,
        records: 3_000_000,
        properties: &[],
    },
    Row {
        name: "1 KiB x 1,000 partitions",
        record_bytes: 1024,
        partitions: 1000,
        records: 400_000,
        properties: &[],
    },
    Row {
        name: "one in flight, 1 KiB x 12",
        record_bytes: 1024,
        partitions: 12,
        records: 20_000,
        properties: &[
            "max.in.flight.requests.per.connection=1",
            "linger.ms=0",
            "batch.size=1",
        ],
    },
];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// A.
    Flotilla,
    /// B.
    Kafka,
}

/// What one run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the load saw.
    pub rates: Rates,
    /// What the broker used for it.
    pub usage: Usage,
    /// Syncs that the broker counted, if it counts them.
    pub syncs: Option<f64>,
}

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let valued = [
        "--peer", "--rounds", "--scale", "--row", "--binary", "--set",
    ];
    only_flags(args, &valued, &["--write"])?;
    let peer: PathBuf =
        flag(args, "--peer")?.unwrap_or_else(|| "../shared/peers/kafka/kafka.sh".into());
    let peer = std::path::absolute(root().join(&peer)).map_err(|e| e.to_string())?;
    if !peer.exists() {
        return Err(format!(
            "usage: --peer names no kafka.sh: {}",
            peer.display()
        ));
    }
    let rounds: usize = flag(args, "--rounds")?.unwrap_or(ROUNDS);
    let scale: f64 = flag(args, "--scale")?.unwrap_or(1.0);
    let only: Option<usize> = flag(args, "--row")?;
    if rounds == 0 || scale <= 0.0 || only.is_some_and(|row| !(1..=ROWS.len()).contains(&row)) {
        return Err("usage: --rounds and --scale are above 0, --row is 1 to 4".into());
    }
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    let mut bench = Bench::start(binary, peer, flag(args, "--set")?)?;
    let mut measured = Vec::new();
    for (at, row) in ROWS.iter().enumerate() {
        if only.is_none_or(|only| only == at + 1) {
            measured.push((row, bench.row(row, rounds, scale)?));
        }
    }
    let machine = machine::facts(&bench.data)?;
    bench.server.stop()?;
    let page = report::page(&measured, rounds, scale, &machine);
    println!("{page}");
    if args.iter().any(|arg| arg == "--write") {
        let path = root().join("docs/bench.md");
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Both brokers, running.
struct Bench {
    binary: PathBuf,
    server: Server,
    kafka: Kafka,
    data: PathBuf,
    topics: u32,
}

impl Bench {
    fn start(binary: PathBuf, peer: PathBuf, set: Option<String>) -> Result<Bench, String> {
        let data = run::target_directory()?.join("bench/data");
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        let server = Server::start(&binary, &data, &set)?;
        let kafka = Kafka::up(peer)?;
        Ok(Bench {
            binary,
            server,
            kafka,
            data,
            topics: 0,
        })
    }

    /// All rounds of a row, after one that isn't counted.
    fn row(&mut self, row: &Row, rounds: usize, scale: f64) -> Result<Vec<[Outcome; 2]>, String> {
        println!("bench: {}", row.name);
        let records = f64::from(row.records) * scale;
        self.both(row, (records * WARM_UP).max(1.0) as u32)?;
        let mut outcomes = Vec::new();
        for round in 1..=rounds {
            let pair = self.both(row, records.max(1.0) as u32)?;
            for (name, outcome) in ["flotilla", "kafka"].iter().zip(&pair) {
                println!("  round {round} {name:<8} {}", report::brief(outcome));
            }
            outcomes.push(pair);
        }
        Ok(outcomes)
    }

    fn both(&mut self, row: &Row, records: u32) -> Result<[Outcome; 2], String> {
        Ok([
            self.once(Broker::Flotilla, row, records)?,
            self.once(Broker::Kafka, row, records)?,
        ])
    }

    fn once(&mut self, broker: Broker, row: &Row, records: u32) -> Result<Outcome, String> {
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let (bootstrap, pid) = match broker {
            Broker::Flotilla => (self.server.kafka.clone(), self.server.pid()),
            Broker::Kafka => (self.kafka.bootstrap.clone(), self.kafka.pid()?),
        };
        self.topic(
            &[
                "create",
                &topic,
                "--partitions",
                &row.partitions.to_string(),
            ],
            &bootstrap,
        )?;
        checked(&mut Command::new("sync"))?;
        let before = (Usage::of(pid)?, self.syncs(broker));
        let load = Load {
            topic: &topic,
            bootstrap: &bootstrap,
            records,
            record_bytes: row.record_bytes,
            properties: row.properties,
        };
        let rates = load.run(&self.kafka.peer)?;
        let usage = Usage::of(pid)?.since(&before.0);
        let syncs = self
            .syncs(broker)
            .zip(before.1)
            .map(|(after, before)| after - before);
        self.topic(&["delete", &topic], &bootstrap)?;
        Ok(Outcome {
            rates,
            usage,
            syncs,
        })
    }

    fn topic(&self, args: &[&str], bootstrap: &str) -> Result<(), String> {
        let mut command = Command::new(&self.binary);
        command
            .arg("topic")
            .args(args)
            .args(["--bootstrap", bootstrap, "--timeout", "120"]);
        output(&mut command).map(drop)
    }

    fn syncs(&self, broker: Broker) -> Option<f64> {
        match broker {
            Broker::Flotilla => process::syncs(&self.server.http),
            Broker::Kafka => None,
        }
    }
}

/// Apache Kafka through its script; taken down when this goes.
struct Kafka {
    peer: PathBuf,
    bootstrap: String,
}

impl Kafka {
    fn up(peer: PathBuf) -> Result<Kafka, String> {
        let bootstrap = output(Command::new(&peer).args(["up", "1"]))?
            .trim()
            .to_owned();
        Ok(Kafka { peer, bootstrap })
    }

    fn pid(&self) -> Result<u32, String> {
        let pids = output(Command::new(&self.peer).arg("pids"))?;
        let first = pids
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        first.ok_or_else(|| "kafka.sh names no process".into())
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = Command::new(&self.peer).arg("down").status();
    }
}

#[cfg(test)]
mod tests;
