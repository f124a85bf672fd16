//! `cargo xtask bench care`: what compaction and retention cost those who write meanwhile, how much memory the compaction of many keys
//! takes, and how long a node needs to start again after it was killed with much on its disk. One node, no peer to compare with:
//! each figure is held against a bound. The load is `interop/care/Care.java`.

use super::machine;
use super::process::peak_resident;
use super::report;
use crate::run::{self, flag, only_flags, output, root, wait_until};
use crate::server::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Rounds, each calm and then busy.
const ROUNDS: usize = 5;
/// Records of a probe, a thousand a second.
const PROBE_RECORDS: u32 = 20_000;
/// Records a second that go to the topic beside the probe's, a kilobyte each.
const BUSY_RATE: u32 = 4_000;
/// How much slower 99 of 100 answers may be while logs are compacted and shortened.
const SLOWER_MAX: f64 = 1.5;
/// Longest time until a compaction is through.
const COMPACTION_MAX: Duration = Duration::from_secs(1800);
/// Longest time from the start after a kill until the node is ready.
const START_SECONDS_MAX: f64 = 5.0;
/// Room on the disk that is left beside what is written there, for the write-ahead log and for others.
const SPARE_BYTES: u64 = 8_000_000_000;
/// Small segments, so that there is always something to compact and to remove.
const SEGMENT: &str = "segment.bytes=8388608";

const USAGE: &str = "usage: cargo xtask bench care [--binary PATH] [--only latency|keys|restart] [--keys N] [--partitions N] \
     [--gigabytes N] [--write]";

/// A row of the page.
pub struct Row {
    pub name: &'static str,
    pub what: String,
    pub seen: String,
    pub wanted: String,
}

/// What runs where.
struct Place {
    binary: PathBuf,
    jars: String,
    data: PathBuf,
}

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let valued = [
        "--binary",
        "--only",
        "--keys",
        "--partitions",
        "--gigabytes",
    ];
    only_flags(args, &valued, &["--write"])?;
    let only: Option<String> = flag(args, "--only")?;
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let cache = run::target_directory()?.join("bench/care");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    let place = Place {
        binary: flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?,
        jars: crate::tools::fetch(&root().join("interop/tools"), &cache)?,
        data: cache.join("data"),
    };
    let mut rows = Vec::new();
    if is_wanted("latency") {
        rows.push(place.latency()?);
    }
    if is_wanted("keys") {
        rows.push(place.keys(flag(args, "--keys")?.unwrap_or(10_000_000))?);
    }
    if is_wanted("restart") {
        let partitions: u64 = flag(args, "--partitions")?.unwrap_or(10_000);
        rows.push(place.restart(partitions, flag(args, "--gigabytes")?.unwrap_or(20))?);
    }
    if rows.is_empty() {
        return Err(USAGE.into());
    }
    let page = page(HEAD, &rows)?;
    println!("{page}");
    if args.iter().any(|arg| arg == "--write") {
        let path = root().join("docs/bench-care.md");
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

impl Place {
    fn start(&self, args: &[&str]) -> Result<Server, String> {
        Server::start(&self.binary, &self.data, args)
    }

    fn load(&self, server: &Server, args: &[&str]) -> Result<String, String> {
        load(&self.jars, &server.kafka, args)
    }

    /// 99 of 100 answers, with as much written beside them to a topic that is left alone, and to one that is compacted and one
    /// that is shortened.
    fn latency(&self) -> Result<Row, String> {
        let server = self.start(&ARGS)?;
        let topic = |args: &[&str]| self.load(&server, &[&["topic"], args].concat());
        topic(&["probe", "12"])?;
        topic(&["calm", "4", SEGMENT])?;
        let dirty = [
            "min.cleanable.dirty.ratio=0.01",
            "max.compaction.lag.ms=1000",
        ];
        topic(
            &[
                &[
                    "busy",
                    "4",
                    SEGMENT,
                    "cleanup.policy=compact,delete",
                    "retention.bytes=16777216",
                ],
                &dirty[..],
            ]
            .concat(),
        )?;
        let (mut calm, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (beside, into) in [("calm", &mut calm), ("busy", &mut busy)] {
                let (records, rate) = (PROBE_RECORDS.to_string(), BUSY_RATE.to_string());
                let told = self.load(&server, &["probe", "probe", &records, &rate, beside])?;
                let p99 = told
                    .split_whitespace()
                    .nth(1)
                    .and_then(|ms| ms.parse().ok());
                let p99: f64 = p99.ok_or_else(|| format!("the load printed {told:?}"))?;
                println!("bench: p99 {p99} ms beside {beside}");
                into.push(p99);
            }
        }
        let metrics = server.metrics().ok_or("the node tells no metrics")?;
        let compactions = metric(&metrics, "flotilla_compactions_total")?;
        if compactions < 1.0 {
            return Err("nothing was compacted meanwhile, so this shows nothing".into());
        }
        server.stop()?;
        let (calm, busy) = (median(calm), median(busy));
        Ok(Row {
            name: "produce p99 under compaction and retention",
            what: format!(
                "1,000 records a second, {BUSY_RATE} kB/s beside them; medians of {ROUNDS}; {compactions} compactions"
            ),
            seen: format!("{busy:.1} ms, {calm:.1} ms without: {:.2}x", busy / calm),
            wanted: format!("at most {SLOWER_MAX}x"),
        })
    }

    /// Each key twice, so half of all goes.
    fn keys(&self, keys: u64) -> Result<Row, String> {
        let server = self.start(&FAST)?;
        let dirty = "min.cleanable.dirty.ratio=0.01";
        let configs = [
            "segment.bytes=268435456",
            "cleanup.policy=compact",
            dirty,
            "segment.ms=5000",
        ];
        self.load(&server, &[&["topic", "keyed", "1"], &configs[..]].concat())?;
        self.load(
            &server,
            &[
                "keys",
                "keyed",
                &(2 * keys).to_string(),
                &keys.to_string(),
                "100",
            ],
        )?;
        let before = peak_resident(server.pid())?;
        let removed = || {
            // A later segment is begun by a later record.
            let _ = self.load(&server, &["keys", "keyed", "1", "1", "100"]);
            let metrics = server.metrics()?;
            let removed = metric(&metrics, "flotilla_compaction_records_removed_total").ok()?;
            (removed >= 0.99 * keys as f64).then_some(removed)
        };
        let removed = wait_until(COMPACTION_MAX, removed).ok_or("the compaction isn't through")?;
        let after = peak_resident(server.pid())?;
        let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
        server.stop()?;
        Ok(Row {
            name: "memory of a compaction",
            what: format!("{keys} keys of one partition, each twice; {removed} records removed"),
            seen: format!(
                "peak {:.0} MiB, {:.0} MiB before it",
                mib(after),
                mib(before)
            ),
            wanted: "bounded".into(),
        })
    }

    /// Ready again after kill -9.
    fn restart(&self, partitions: u64, gigabytes: u64) -> Result<Row, String> {
        let (free, needed) = (free(&self.data)?, gigabytes * 1_200_000_000 + SPARE_BYTES);
        if free < needed {
            return Err(format!(
                "{} has {:.1} GB free, {gigabytes} GB of records need {:.1}: name fewer with --gigabytes",
                self.data.display(),
                free as f64 / 1e9,
                needed as f64 / 1e9
            ));
        }
        let server = self.start(&ARGS)?;
        let each = partitions / 2;
        for name in ["many-a", "many-b"] {
            self.load(&server, &["topic", name, &each.to_string()])?;
        }
        // 10 kB a record, of both topics.
        let records = (gigabytes * 1_000_000_000 / 10_000 / 2).to_string();
        for name in ["many-a", "many-b"] {
            self.load(&server, &["keys", name, &records, &records, "10000"])?;
        }
        let stored = stored(&self.data)?;
        let (server, took) = server.killed_and_back(&self.binary)?;
        server.stop()?;
        Ok(Row {
            name: "start after kill -9",
            what: format!(
                "{partitions} partitions, {:.1} GB on the disk",
                stored as f64 / 1e9
            ),
            seen: format!("ready after {:.2} s", took.as_secs_f64()),
            wanted: format!("below {START_SECONDS_MAX} s"),
        })
    }
}

/// Kafka's Java producer, as a steady load (`interop/care/Care.java`).
pub fn load(jars: &str, bootstrap: &str, args: &[&str]) -> Result<String, String> {
    let mut java = Command::new("java");
    java.args(["-Xmx400m", "-XX:+UseSerialGC", "-cp"]);
    java.arg(format!("{jars}/*"));
    java.arg(root().join("interop/care/Care.java"));
    output(java.arg(bootstrap).args(args))
}

/// What a node is configured with.
const ARGS: [&str; 4] = [
    "--set",
    "log.retention.check.interval.ms=1000",
    "--set",
    "log.cleaner.backoff.ms=1000",
];
/// And so that the compaction of many keys, which takes many rewrites, isn't slowed down.
const FAST: [&str; 6] = [
    ARGS[0],
    ARGS[1],
    ARGS[2],
    ARGS[3],
    "--set",
    "log.cleaner.io.max.bytes.per.second=2147483647",
];

pub fn metric(metrics: &str, name: &str) -> Result<f64, String> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| format!("the node tells no {name}"))
}

/// The middle of what several rounds saw.
pub fn median(all: Vec<f64>) -> f64 {
    report::median(all).expect("one round at least was measured")
}

/// What is free where the directory will be made.
fn free(data: &Path) -> Result<u64, String> {
    let parent = data.parent().unwrap_or(data);
    let told = output(
        Command::new("df")
            .args(["-B1", "--output=avail"])
            .arg(parent),
    )?;
    let bytes = told.split_whitespace().last().and_then(|b| b.parse().ok());
    bytes.ok_or_else(|| format!("df printed {told:?}"))
}

fn stored(data: &Path) -> Result<u64, String> {
    let told = output(Command::new("du").args(["-s", "-B1"]).arg(data))?;
    let bytes = told.split_whitespace().next().and_then(|b| b.parse().ok());
    bytes.ok_or_else(|| format!("du printed {told:?}"))
}

const HEAD: &str = "\
# What care for logs costs

Written by `cargo xtask bench care --write`: one node, Kafka's Java producer.
";

/// The page of these rows.
pub fn page(head: &str, rows: &[Row]) -> Result<String, String> {
    let mut page = format!("{head}\n| what | how | seen | wanted |\n|---|---|---|---|\n");
    for row in rows {
        let Row {
            name,
            what,
            seen,
            wanted,
        } = row;
        page.push_str(&format!("| {name} | {what} | {seen} | {wanted} |\n"));
    }
    page.push('\n');
    for fact in machine::facts(&run::target_directory()?)? {
        page.push_str(&format!("- {fact}\n"));
    }
    Ok(page)
}
