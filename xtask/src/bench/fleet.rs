//! `cargo xtask bench fleet`: what those who write notice while a cluster changes. Three nodes with three replicas of each of 100
//! partitions, under half of the load that they can take: a fourth node comes and takes its share; it is emptied again; a node that was
//! away catches up; and then everything is quiet. Each figure is held against a bound. The load is `interop/care/Care.java`.

use super::care::{self, Row, median, metric};
use crate::run::{self, flag, only_flags, output, root, wait_until};
use crate::server::Server;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: cargo xtask bench fleet [--binary PATH] [--rounds N] [--gigabytes N] [--write]";
/// Rounds, each calm, then with a node that takes its share, then with one that is emptied.
const ROUNDS: usize = 3;
const PARTITIONS: u32 = 100;
/// Records with which the most that goes is measured.
const MOST_RECORDS: u32 = 300_000;
/// Records of a probe, a thousand a second.
const PROBE_RECORDS: u32 = 10_000;
/// How much slower 99 of 100 answers may be meanwhile.
const SLOWER_MAX: f64 = 2.0;
/// Longest wait until replicas are where they should be.
const MOVED_MAX: Duration = Duration::from_secs(900);
/// How long nothing may move once all is well.
const QUIET: Duration = Duration::from_secs(60);
/// The number of the node that comes.
const NEWCOMER: u32 = 4;

const HEAD: &str = "\
# What those who write notice while a cluster changes

Written by `cargo xtask bench fleet --write`: three nodes and a fourth on one machine, Kafka's Java producer on it too.
A probe sends 1,000 records a second one by one, acks=all, beside the load named; the figure is the time that 99 of 100 answers took at most.
";

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--binary", "--rounds", "--gigabytes"], &["--write"])?;
    let rounds = flag(args, "--rounds")?.unwrap_or(ROUNDS);
    if rounds == 0 {
        return Err(USAGE.into());
    }
    let cache = run::target_directory()?.join("bench/fleet");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    let jars = crate::tools::fetch(&root().join("interop/tools"), &cache)?;
    let data = cache.join("data");
    let nodes = Server::start_three(&binary, &data, &[])?;
    let addresses: Vec<&str> = nodes.iter().map(|node| node.kafka.as_str()).collect();
    let mut fleet = Fleet {
        bootstrap: addresses.join(","),
        binary,
        jars,
        data,
        nodes,
        rate: String::new(),
    };
    let partitions = PARTITIONS.to_string();
    let counts = ["--partitions", &partitions, "--replicas", "3"];
    fleet.tool(&[&["topic", "create", "t"], &counts[..]].concat())?;
    let told = fleet.load(&["most", "t", &MOST_RECORDS.to_string()])?;
    let most: u32 = told
        .trim()
        .parse()
        .map_err(|_| format!("the load printed {told:?}"))?;
    fleet.rate = (most / 2).to_string();
    println!("bench: at most {most} records/s");
    let mut rows = fleet.come_and_go(rounds)?;
    rows.push(fleet.behind(flag(args, "--gigabytes")?.unwrap_or(10))?);
    rows.push(fleet.quiet()?);
    fleet.end()?;
    let page = care::page(HEAD, &rows)?;
    println!("{page}");
    if args.iter().any(|arg| arg == "--write") {
        let path = root().join("docs/bench-fleet.md");
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

struct Fleet {
    binary: PathBuf,
    jars: String,
    data: PathBuf,
    bootstrap: String,
    nodes: Vec<Server>,
    /// Records a second beside the probe: half of the most that goes.
    rate: String,
}

/// What was seen while something was done.
struct Meanwhile {
    /// Of the probes, in ms.
    p99: f64,
    took: Duration,
}

impl Fleet {
    fn load(&self, args: &[&str]) -> Result<String, String> {
        care::load(&self.jars, &self.bootstrap, args)
    }

    fn tool(&self, args: &[&str]) -> Result<String, String> {
        let seconds = MOVED_MAX.as_secs().to_string();
        let mut command = Command::new(&self.binary);
        command.args(args);
        output(command.args(["--bootstrap", &self.bootstrap, "--timeout", &seconds]))
    }

    fn probe(&self) -> Result<f64, String> {
        let told = self.load(&["probe", "t", &PROBE_RECORDS.to_string(), &self.rate, "t"])?;
        let p99 = told.split_whitespace().nth(1);
        let p99 = p99.and_then(|ms| ms.parse().ok());
        p99.ok_or_else(|| format!("the load printed {told:?}"))
    }

    /// Probes as long as something is done, once at least: the middle of what they saw.
    #[expect(clippy::disallowed_methods, reason = "measures time")]
    fn during(
        &self,
        work: impl FnOnce() -> Result<(), String> + Send,
    ) -> Result<Meanwhile, String> {
        std::thread::scope(|scope| {
            let working = scope.spawn(|| {
                let began = Instant::now();
                work().map(|()| began.elapsed())
            });
            let mut seen = Vec::new();
            while seen.is_empty() || !working.is_finished() {
                seen.push(self.probe()?);
            }
            let took = working.join().map_err(|_| "the work panicked")??;
            let p99 = median(seen);
            Ok(Meanwhile { p99, took })
        })
    }

    /// Replicas of the newcomer.
    fn share(&self) -> Result<u64, String> {
        let told = self.tool(&["cluster", "nodes", "--output", "json"])?;
        let nodes: Value = serde_json::from_str(&told).map_err(|e| format!("{told}: {e}"))?;
        let mut all = nodes.as_array().into_iter().flatten();
        let newcomer = all.find(|node| node["node"] == NEWCOMER);
        let replicas = newcomer.and_then(|node| node["replicas"].as_u64());
        replicas.ok_or_else(|| format!("no replicas of node {NEWCOMER} in {told}"))
    }

    fn come_and_go(&mut self, rounds: usize) -> Result<Vec<Row>, String> {
        let (mut calm, mut coming, mut going) = (Vec::new(), Vec::new(), Vec::new());
        let (mut came, mut went) = (Vec::new(), Vec::new());
        let (mut least, mut left) = (u64::MAX, 0);
        let id = NEWCOMER.to_string();
        for _ in 0..rounds {
            calm.push(self.probe()?);
            let node = Server::join(&self.binary, &self.data, NEWCOMER, &self.nodes, &[])?;
            self.tool(&["cluster", "health", "--wait"])?;
            let seen = self.during(|| self.tool(&["cluster", "rebalance"]).map(drop))?;
            coming.push(seen.p99);
            came.push(seen.took.as_secs_f64());
            least = least.min(self.share()?);
            let seen = self.during(|| self.tool(&["cluster", "drain", &id]).map(drop))?;
            going.push(seen.p99);
            went.push(seen.took.as_secs_f64());
            left = left.max(self.share()?);
            node.stop()?;
            self.tool(&["cluster", "remove", &id])?;
            println!(
                "bench: p99 calm {calm:?}, while a node fills {coming:?}, while it empties {going:?}"
            );
        }
        let (calm, coming, going) = (median(calm), median(coming), median(going));
        let beside = format!(
            "{} records/s of 1,000 bytes beside the probe, half of the most; medians of {rounds}",
            self.rate
        );
        Ok(vec![
            Row {
                name: "produce p99 while a fourth node takes its share",
                what: format!(
                    "{beside}; `cluster rebalance` took {:.0} s, the node has {least} of {} replicas then",
                    median(came),
                    3 * PARTITIONS
                ),
                seen: format!("{coming:.1} ms, {calm:.1} ms before: {:.2}x", coming / calm),
                wanted: format!("at most {SLOWER_MAX}x"),
            },
            Row {
                name: "produce p99 while it is emptied",
                what: format!(
                    "the same; `cluster drain` took {:.0} s, the node has {left} replicas then",
                    median(went)
                ),
                seen: format!("{going:.1} ms, {calm:.1} ms before: {:.2}x", going / calm),
                wanted: format!("at most {SLOWER_MAX}x, no replica left"),
            },
        ])
    }

    /// A node that was away while much was written.
    fn behind(&mut self, gigabytes: u64) -> Result<Row, String> {
        let mut away = self.nodes.pop().ok_or("there are three")?;
        away.kill()?;
        // 10 kB a record.
        let records = (gigabytes * 100_000).to_string();
        self.load(&["keys", "t", &records, &records, "10000"])?;
        let calm = self.probe()?;
        let back = away.back(&self.binary)?;
        let seen = self.during(|| self.tool(&["cluster", "health", "--wait"]).map(drop))?;
        self.nodes.push(back);
        Ok(Row {
            name: "produce p99 while a node catches up",
            what: format!(
                "{gigabytes} GB behind; the same load beside the probe; all in sync after {:.0} s",
                seen.took.as_secs_f64()
            ),
            seen: format!(
                "{:.1} ms, {calm:.1} ms before: {:.2}x",
                seen.p99,
                seen.p99 / calm
            ),
            wanted: format!("at most {SLOWER_MAX}x"),
        })
    }

    /// What nobody asked for once all is well: leaders that change.
    fn quiet(&self) -> Result<Row, String> {
        let balanced = || {
            let told = self.tool(&["cluster", "health"]).is_ok();
            let elsewhere = self.sum("flotilla_leaders_elsewhere").ok()?;
            (told && elsewhere == 0.0).then_some(())
        };
        let balanced = wait_until(MOVED_MAX, balanced).is_some();
        let before = self.sum("flotilla_elections_won_total")?;
        wait_until(QUIET, || None::<()>);
        let elections = self.sum("flotilla_elections_won_total")? - before;
        Ok(Row {
            name: "leaders that change once all is well",
            what: format!(
                "every partition {} led by its first replica, then {} s",
                if balanced { "is" } else { "isn't" },
                QUIET.as_secs()
            ),
            seen: format!("{elections}"),
            wanted: "0".into(),
        })
    }

    fn sum(&self, name: &str) -> Result<f64, String> {
        let of = |node: &Server| {
            let metrics = node.metrics().ok_or("a node tells no metrics")?;
            metric(&metrics, name)
        };
        self.nodes.iter().map(of).sum()
    }

    fn end(self) -> Result<(), String> {
        self.nodes.into_iter().try_for_each(Server::stop)
    }
}
