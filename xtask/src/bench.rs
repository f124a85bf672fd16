//! `cargo xtask bench`: one node against Apache Kafka, in turns (A B A B), under Kafka's own
//! ProducerPerformance and ConsumerPerformance. Both brokers run all the while; each run has a
//! topic of its own, and the page cache is written back before it, so neither pays for the
//! other's writes. With `--ceiling` a third one takes its turns: a broker that keeps nothing,
//! which shows how much the load itself reaches on this machine.

mod care;
mod groups;
mod load;
mod machine;
mod process;
mod report;
mod stub;

use crate::run::{self, checked, flag, only_flags, output, root};
use crate::server::Server;
use load::{Load, Rates, Way};
use process::Usage;
use std::path::PathBuf;
use std::process::Command;
use stub::Stub;

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
    way: Way,
    properties: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "1 KiB x 12 partitions",
        record_bytes: 1024,
        partitions: 12,
        records: 600_000,
        way: Way::Produce,
        properties: &[],
    },
    Row {
        name: "100 B x 12 partitions",
        record_bytes: 100,
        partitions: 12,
        records: 3_000_000,
        way: Way::Produce,
        properties: &[],
    },
    Row {
        name: "1 KiB x 1,000 partitions",
        record_bytes: 1024,
        partitions: 1000,
        records: 400_000,
        way: Way::Produce,
        properties: &[],
    },
    Row {
        name: "one in flight, 1 KiB x 12",
        record_bytes: 1024,
        partitions: 12,
        records: 20_000,
        way: Way::Produce,
        properties: &[
            "max.in.flight.requests.per.connection=1",
            "linger.ms=0",
            "batch.size=1",
        ],
    },
    Row {
        name: "consume 1 KiB x 12 partitions",
        record_bytes: 1024,
        partitions: 12,
        records: 1_000_000,
        way: Way::Consume,
        properties: &[],
    },
    Row {
        name: "one request of one record at a time, 1 KiB x 12",
        record_bytes: 1024,
        partitions: 12,
        records: 10_000,
        way: Way::OneByOne,
        properties: &[],
    },
];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// A.
    Flotilla,
    /// B.
    Kafka,
    /// Keeps nothing.
    Stub,
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
    if let Some(rest) = args.split_first().filter(|(first, _)| *first == "care") {
        return care::run(rest.1);
    }
    if let Some(rest) = args.split_first().filter(|(first, _)| *first == "groups") {
        return groups::run(rest.1);
    }
    let valued = [
        "--peer", "--rounds", "--scale", "--row", "--binary", "--set",
    ];
    only_flags(args, &valued, &["--write", "--ceiling"])?;
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
        return Err("usage: --rounds and --scale are above 0, --row is 1 to 6".into());
    }
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    let ceiling = args.iter().any(|arg| arg == "--ceiling");
    let stub = ceiling.then(|| stub::build("stub_broker")).transpose()?;
    let one_by_one = stub::build("one_by_one")?;
    let mut bench = Bench::start(binary, stub, one_by_one, peer, flag(args, "--set")?)?;
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
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let page = page + report::remarks(&before);
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Both brokers, running.
struct Bench {
    binary: PathBuf,
    stub: Option<PathBuf>,
    one_by_one: PathBuf,
    server: Server,
    kafka: Kafka,
    data: PathBuf,
    topics: u32,
}

impl Bench {
    fn start(
        binary: PathBuf,
        stub: Option<PathBuf>,
        one_by_one: PathBuf,
        peer: PathBuf,
        set: Option<String>,
    ) -> Result<Bench, String> {
        let data = run::target_directory()?.join("bench/data");
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        let server = Server::start(&binary, &data, &set)?;
        let kafka = Kafka::up(peer)?;
        Ok(Bench {
            binary,
            stub,
            one_by_one,
            server,
            kafka,
            data,
            topics: 0,
        })
    }

    /// All rounds of a row, after one that isn't counted; each has an outcome of every broker.
    fn row(&mut self, row: &Row, rounds: usize, scale: f64) -> Result<Vec<Vec<Outcome>>, String> {
        println!("bench: {}", row.name);
        let mut brokers = vec![Broker::Flotilla, Broker::Kafka];
        // A broker that keeps nothing has nothing to consume.
        if self.stub.is_some() && row.way != Way::Consume {
            brokers.push(Broker::Stub);
        }
        let records = f64::from(row.records) * scale;
        for broker in &brokers {
            self.once(*broker, row, (records * WARM_UP).max(1.0) as u32)?;
        }
        let mut outcomes = Vec::new();
        for round in 1..=rounds {
            let mut of_round = Vec::new();
            for broker in &brokers {
                let outcome = self.once(*broker, row, records.max(1.0) as u32)?;
                println!("  round {round} {broker:?} {}", report::brief(&outcome));
                of_round.push(outcome);
            }
            outcomes.push(of_round);
        }
        Ok(outcomes)
    }

    fn once(&mut self, broker: Broker, row: &Row, records: u32) -> Result<Outcome, String> {
        let stub = match (broker, &self.stub) {
            (Broker::Stub, Some(binary)) => Some(Stub::start(binary, row.partitions)?),
            _ => None,
        };
        let (bootstrap, pid) = match (broker, &stub) {
            (Broker::Stub, None) => unreachable!("it takes no turn without being built"),
            (Broker::Stub, Some(stub)) => (stub.kafka.clone(), stub.pid()),
            (Broker::Flotilla, _) => (self.server.kafka.clone(), self.server.pid()),
            (Broker::Kafka, _) => (self.kafka.bootstrap.clone(), self.kafka.pid()?),
        };
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let partitions = row.partitions.to_string();
        if broker != Broker::Stub {
            self.topic(&["create", &topic, "--partitions", &partitions], &bootstrap)?;
        }
        let load = Load {
            way: row.way,
            topic: &topic,
            bootstrap: &bootstrap,
            records,
            record_bytes: row.record_bytes,
            partitions: row.partitions,
            properties: row.properties,
            one_by_one: &self.one_by_one,
        };
        if row.way == Way::Consume {
            let way = Way::Produce;
            Load { way, ..load }.run(&self.kafka.peer)?;
        }
        checked(&mut Command::new("sync"))?;
        let before = (Usage::of(pid)?, self.syncs(broker));
        let rates = load.run(&self.kafka.peer)?;
        let usage = Usage::of(pid)?.since(&before.0);
        let syncs = self
            .syncs(broker)
            .zip(before.1)
            .map(|(after, before)| after - before);
        if broker != Broker::Stub {
            self.topic(&["delete", &topic], &bootstrap)?;
        }
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
            Broker::Flotilla => process::counted_syncs(&self.server.metrics()?),
            Broker::Kafka | Broker::Stub => None,
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
