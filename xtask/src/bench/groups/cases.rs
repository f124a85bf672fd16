//! What is measured, and what is wanted of it.

use super::Figures;
use crate::bench::cluster::{Cluster, Load, Side, Tools, bytes_read};
use crate::run::{checked, wait_until};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MIB: f64 = 1024.0 * 1024.0;
/// Seconds of a quiet cluster or of idle groups that are looked at.
const SECONDS: u64 = 30;
/// Time in which a new cluster comes to rest.
const REST: Duration = Duration::from_secs(30);

/// One section of the page.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub wanted: &'static str,
    run: fn(&Tools, Side) -> Result<Figures, String>,
}

impl Case {
    pub fn run(&self, tools: &Tools, side: Side) -> Result<Figures, String> {
        (self.run)(tools, side)
    }
}

pub const CASES: &[Case] = &[
    Case {
        name: "idle-classic",
        what: "1,000 groups of 10 members each, classic, a heartbeat every 3 s, one node",
        wanted: "at most 0.33 of Kafka's processor time, below 8 % of a core",
        run: |tools, side| idle_groups(tools, side, "classic", "3000"),
    },
    Case {
        name: "idle-consumer",
        what: "1,000 groups of 10 members each, KIP-848, a heartbeat every 5 s, one node",
        wanted: "at most 0.33 of Kafka's processor time, below 5 % of a core",
        run: |tools, side| idle_groups(tools, side, "consumer", "5000"),
    },
    Case {
        name: "commits",
        what: "5,000 commits a second by 100 groups, three nodes, three replicas",
        wanted: "at most 0.33 of Kafka's processor time",
        run: commits,
    },
    Case {
        name: "joins",
        what: "1,000 members join a group of KIP-848 one after the other, 10,000 partitions, one node",
        wanted: "the slowest join, which assigns all partitions anew, below 50 ms",
        run: joins,
    },
    Case {
        name: "death-classic",
        what: "one of two members falls silent, classic, session 6 s",
        wanted: "the other learns it less than 500 ms after the session",
        run: |tools, side| death(tools, side, "classic"),
    },
    Case {
        name: "death-consumer",
        what: "one of two members falls silent, KIP-848, session 6 s",
        wanted: "the other learns it less than 500 ms after the session",
        run: |tools, side| death(tools, side, "consumer"),
    },
    Case {
        name: "broker-death",
        what: "kill -9 of one of three nodes under 100 groups of 5 members, classic",
        wanted: "no rebalance",
        run: broker_death,
    },
    Case {
        name: "idle-partitions",
        what: "10,000 partitions on one node, nobody there",
        wanted: "below 3 % of a core, below 160 MB",
        run: |tools, side| idle_partitions(tools, side, 1, 10_000),
    },
    Case {
        name: "idle-replicas",
        what: "3 nodes with 3,000 replicas each, nobody there",
        wanted: "below 2 % of a core in all",
        run: |tools, side| idle_partitions(tools, side, 3, 3000),
    },
    Case {
        name: "readers",
        what: "20 groups read a topic of 100 MiB that isn't in the page cache, all at once, one node",
        wanted: "read from the disk once",
        run: readers,
    },
];

fn idle_groups(
    tools: &Tools,
    side: Side,
    protocol: &str,
    interval: &str,
) -> Result<Figures, String> {
    let cluster = Cluster::start(tools, side, 1, &[])?;
    cluster.topic("t", 10)?;
    let seconds = SECONDS.to_string();
    let load = cluster.load("idle", &["t", protocol, "1000", "10", interval, &seconds])?;
    let (share, resident) = share_of_a_core(&cluster, &load)?;
    let summary = load.summary()?;
    Ok(vec![
        ("% of a core", share),
        ("resident MiB", resident),
        ("heartbeat p50 ms", summary.value("p50_ms")?),
        ("heartbeat p99 ms", summary.value("p99_ms")?),
        ("rebalances", summary.value("moves")?),
    ])
}

/// What the cluster takes while the load is steady.
fn share_of_a_core(cluster: &Cluster<'_>, load: &Load) -> Result<(f64, f64), String> {
    load.steady()?;
    quiet_share(cluster, Duration::from_secs(SECONDS - 1))
}

#[expect(clippy::disallowed_methods, reason = "measures time")]
fn quiet_share(cluster: &Cluster<'_>, time: Duration) -> Result<(f64, f64), String> {
    let (start, before) = (Instant::now(), cluster.usage()?);
    rest(time);
    let used = cluster.usage()?.since(&before);
    let share = used.cpu_s / start.elapsed().as_secs_f64() * 100.0;
    Ok((share, used.resident / MIB))
}

/// Nothing is waited for but time.
fn rest(time: Duration) {
    wait_until(time, || None::<()>);
}

fn commits(tools: &Tools, side: Side) -> Result<Figures, String> {
    let cluster = Cluster::start(tools, side, 3, &["default.replication.factor=3"])?;
    cluster.topic("t", 10)?;
    let seconds = SECONDS.to_string();
    let load = cluster.load("commits", &["t", "100", "5000", &seconds])?;
    let (share, resident) = share_of_a_core(&cluster, &load)?;
    let summary = load.summary()?;
    Ok(vec![
        ("commits/s", summary.value("rate")?),
        ("% of a core, three nodes", share),
        ("resident MiB, three nodes", resident),
        ("commit p50 ms", summary.value("p50_ms")?),
        ("commit p99 ms", summary.value("p99_ms")?),
    ])
}

fn joins(tools: &Tools, side: Side) -> Result<Figures, String> {
    let cluster = Cluster::start(tools, side, 1, &[])?;
    cluster.topic("t", 10_000)?;
    rest(REST);
    let load = cluster.load("joins", &["t", "1000"])?;
    load.steady()?;
    let summary = load.summary()?;
    Ok(vec![
        ("last join ms", summary.value("last_ms")?),
        ("join p50 ms", summary.value("p50_ms")?),
        ("join p99 ms", summary.value("p99_ms")?),
        ("slowest join ms", summary.value("max_ms")?),
    ])
}

fn death(tools: &Tools, side: Side, protocol: &str) -> Result<Figures, String> {
    let settings = [
        "group.consumer.min.session.timeout.ms=6000",
        "group.consumer.session.timeout.ms=6000",
        "group.consumer.min.heartbeat.interval.ms=1000",
        "group.consumer.heartbeat.interval.ms=1000",
    ];
    let cluster = Cluster::start(tools, side, 1, &settings)?;
    cluster.topic("t", 10)?;
    let load = cluster.load("death", &["t", protocol, "6000"])?;
    load.steady()?;
    let over = load.summary()?.value("over_ms")?;
    Ok(vec![("ms beyond the session", over)])
}

fn broker_death(tools: &Tools, side: Side) -> Result<Figures, String> {
    let mut cluster = Cluster::start(tools, side, 3, &["default.replication.factor=3"])?;
    cluster.topic("t", 10)?;
    let seconds = SECONDS.to_string();
    let load = cluster.load("idle", &["t", "classic", "100", "5", "3000", &seconds])?;
    load.steady()?;
    rest(Duration::from_secs(5));
    cluster.kill_first()?;
    let summary = load.summary()?;
    Ok(vec![
        ("rebalances", summary.value("moves")?),
        (
            "longest time between heartbeats ms",
            summary.value("gap_ms")?,
        ),
    ])
}

fn idle_partitions(
    tools: &Tools,
    side: Side,
    nodes: u32,
    partitions: u32,
) -> Result<Figures, String> {
    let cluster = Cluster::start(tools, side, nodes, &[])?;
    let (replicas, partitions) = (nodes.to_string(), partitions.to_string());
    cluster.tool(&[
        "topic",
        "create",
        "t",
        "--partitions",
        &partitions,
        "--replicas",
        &replicas,
    ])?;
    rest(REST);
    let (share, resident) = quiet_share(&cluster, Duration::from_secs(SECONDS))?;
    Ok(vec![("% of a core", share), ("resident MiB", resident)])
}

fn readers(tools: &Tools, side: Side) -> Result<Figures, String> {
    let records = 100_000;
    let cluster = Cluster::start(tools, side, 1, &["group.initial.rebalance.delay.ms=0"])?;
    cluster.topic("t", 4)?;
    let mut produce = Command::new(&tools.peer);
    produce.args(["run", "org.apache.kafka.tools.ProducerPerformance"]);
    produce.args(["--bootstrap-server", &cluster.bootstrap, "--topic", "t"]);
    produce.args([
        "--num-records",
        &records.to_string(),
        "--record-size",
        "1048",
    ]);
    produce.args(["--throughput", "-1"]);
    checked(produce.stdout(Stdio::null()))?;
    rest(REST);
    checked(&mut Command::new("sync"))?;
    let drop = "/proc/sys/vm/drop_caches";
    std::fs::write(drop, "3").map_err(|e| format!("{drop}: {e}; this case needs root"))?;
    let pid = cluster.pids[0];
    let (before, used) = (bytes_read(pid)?, cluster.usage()?);
    let groups = (0..20).map(|nth| {
        let group = format!("reader-{nth}");
        let args = ["consume", "t", "--group", &group];
        let mut command = cluster.tool_command(&args);
        let child = command.stdout(Stdio::null()).spawn();
        child.map_err(|e| format!("a reader: {e}"))
    });
    let groups: Result<Vec<_>, String> = groups.collect();
    for mut group in groups? {
        let status = group.wait().map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(format!("a reader ended with {status}"));
        }
    }
    let read = (bytes_read(pid)? - before) / MIB;
    let cpu = cluster.usage()?.since(&used).cpu_s;
    Ok(vec![
        ("read from the disk, of the topic's size", read / 100.0),
        (
            "broker CPU s per million",
            cpu / (records as f64 * 20.0) * 1e6,
        ),
    ])
}
