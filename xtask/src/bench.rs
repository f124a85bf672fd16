//! `cargo xtask bench`: one node, or three with three replicas of everything, against as many of Apache
//! Kafka, in turns (A B A B), under Kafka's own ProducerPerformance and ConsumerPerformance. Both run all the while; each run has a
//! topic of its own, and the page cache is written back before it, so neither pays for the
//! other's writes. With `--ceiling` a third one takes its turns: a broker that keeps nothing,
//! which shows how much the load itself reaches on this machine.

mod care;
mod cluster;
mod fleet;
mod groups;
mod load;
mod machine;
mod process;
mod report;
mod stub;

use crate::run::{self, checked, flag, only_flags, root};
use cluster::{Cluster, Side, Tools};
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
    if let Some(rest) = args.split_first().filter(|(first, _)| *first == "fleet") {
        return fleet::run(rest.1);
    }
    let valued = [
        "--peer", "--nodes", "--rounds", "--scale", "--row", "--binary", "--set",
    ];
    only_flags(args, &valued, &["--write", "--ceiling"])?;
    let nodes: u32 = flag(args, "--nodes")?.unwrap_or(1);
    let rounds: usize = flag(args, "--rounds")?.unwrap_or(ROUNDS);
    let scale: f64 = flag(args, "--scale")?.unwrap_or(1.0);
    let only: Option<usize> = flag(args, "--row")?;
    if rounds == 0 || scale <= 0.0 || only.is_some_and(|row| !(1..=ROWS.len()).contains(&row)) {
        return Err("usage: --rounds and --scale are above 0, --row is 1 to 6".into());
    }
    if ![1, 3].contains(&nodes) {
        return Err("usage: --nodes is 1 or 3".into());
    }
    let tools = Tools::gather(args, "produce", "one_by_one")?;
    let ceiling = args.iter().any(|arg| arg == "--ceiling");
    let stub = ceiling.then(|| stub::build("stub_broker")).transpose()?;
    let set: Option<String> = flag(args, "--set")?;
    let mut bench = Bench::start(&tools, stub, nodes, set.as_deref())?;
    let mut measured = Vec::new();
    for (at, row) in ROWS.iter().enumerate() {
        // Our own client asks one node, whoever leads.
        let can = nodes == 1 || row.way != Way::OneByOne;
        if can && only.is_none_or(|only| only == at + 1) {
            measured.push((row, bench.row(row, rounds, scale)?));
        }
    }
    let machine = machine::facts(&run::target_directory()?)?;
    bench.flotilla.stop()?;
    let page = report::page(&measured, nodes, rounds, scale, &machine);
    println!("{page}");
    if args.iter().any(|arg| arg == "--write") {
        let path = root().join(match nodes {
            1 => "docs/bench.md",
            _ => "docs/bench-replicated.md",
        });
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let page = page + report::remarks(&before);
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Both clusters, running.
struct Bench<'a> {
    tools: &'a Tools,
    stub: Option<PathBuf>,
    flotilla: Cluster<'a>,
    kafka: Cluster<'a>,
    nodes: u32,
    topics: u32,
}

impl<'a> Bench<'a> {
    fn start(
        tools: &'a Tools,
        stub: Option<PathBuf>,
        nodes: u32,
        set: Option<&str>,
    ) -> Result<Bench<'a>, String> {
        // As the script has it for Kafka.
        let safe = (nodes > 1).then_some("min.insync.replicas=2");
        let set: Vec<&str> = set.into_iter().chain(safe).collect();
        Ok(Bench {
            tools,
            stub,
            flotilla: Cluster::start(tools, Side::Flotilla, nodes, &set)?,
            kafka: Cluster::start(tools, Side::Kafka, nodes, &[])?,
            nodes,
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
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let cluster = match broker {
            Broker::Flotilla => &self.flotilla,
            Broker::Kafka => &self.kafka,
            Broker::Stub => {
                let built = self.stub.as_ref().ok_or("the stub wasn't built")?;
                let stub = Stub::start(built, row.partitions)?;
                let load = self.load(row, &topic, &stub.kafka, records);
                return self.measure(load, || Usage::of(stub.pid()), || None);
            }
        };
        let (partitions, replicas) = (row.partitions.to_string(), self.nodes.to_string());
        let counts = ["--partitions", &partitions, "--replicas", &replicas];
        cluster.tool(&[&["topic", "create", &topic], &counts[..]].concat())?;
        let load = self.load(row, &topic, &cluster.bootstrap, records);
        if row.way == Way::Consume {
            let way = Way::Produce;
            Load { way, ..load }.run(&self.tools.peer)?;
        }
        let outcome = self.measure(load, || cluster.usage(), || cluster.syncs())?;
        cluster.tool(&["topic", "delete", &topic])?;
        Ok(outcome)
    }

    fn load<'b>(&'b self, row: &Row, topic: &'b str, bootstrap: &'b str, records: u32) -> Load<'b> {
        Load {
            way: row.way,
            topic,
            bootstrap,
            records,
            record_bytes: row.record_bytes,
            partitions: row.partitions,
            properties: row.properties,
            one_by_one: &self.tools.load,
        }
    }

    /// Runs a load, and looks what was used for it.
    fn measure(
        &self,
        load: Load<'_>,
        used: impl Fn() -> Result<Usage, String>,
        syncs: impl Fn() -> Option<f64>,
    ) -> Result<Outcome, String> {
        checked(&mut Command::new("sync"))?;
        let before = (used()?, syncs());
        let rates = load.run(&self.tools.peer)?;
        let usage = used()?.since(&before.0);
        let syncs = syncs().zip(before.1).map(|(after, before)| after - before);
        Ok(Outcome {
            rates,
            usage,
            syncs,
        })
    }
}

#[cfg(test)]
mod tests;
