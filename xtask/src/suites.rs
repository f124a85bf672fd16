//! `cargo xtask interop suite NAME`: a client's own suite of integration tests against running nodes, case by case, each in a
//! process of its own with a time limit. The suites come from the package registries of their languages; which cases there are,
//! and which aren't run for what reason, stands in `interop/suites/NAME.txt`, what came of them in `NAME.results.txt`.
//!
//! A case passes only if the suite's own report says that it ran and passed: a skip is no pass, an exit code alone proves nothing.
//! A run goes on where the last one stopped: what has a result is not run again, unless `--again` asks for it.

mod kafka_python;
mod kgo;
mod librdkafka;
mod process;
mod results;
#[cfg(test)]
mod tests;

use crate::run::{self, exists, flag, only_flags, read, root};
use crate::server::{self, Target};
use results::{Column, Outcome, Results};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A suite: where it comes from, and how one case of it is run.
struct Suite {
    name: &'static str,
    /// The package and its version, as the page about compatibility names them.
    package: &'static str,
    needs: &'static [(&'static str, &'static str)],
    /// Longest time for one case.
    limit: Duration,
    /// Fetches and builds it in a directory that may hold what an earlier run left; returns where the cases run.
    prepare: fn(&Path) -> Result<PathBuf, String>,
    command: fn(&Path, &str, &Cluster) -> Command,
    /// What the output of a case says.
    judge: fn(&str, &str) -> Outcome,
}

/// Who is tested.
struct Cluster {
    bootstrap: String,
    /// Records that one test moves at most, where the suite lets us say.
    records: u32,
    replicas: u32,
}

const SUITES: &[Suite] = &[kgo::SUITE, kafka_python::SUITE, librdkafka::SUITE];

/// Records that one test moves at most, unless `--records` says otherwise.
const RECORDS: u32 = 500_000;

/// A case of the file.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    name: String,
    /// Why it is not run.
    skipped: Option<String>,
}

const USAGE: &str = "usage: cargo xtask interop suite kgo|kafka-python|librdkafka [--nodes 1|3] [--binary PATH] \
     [--bootstrap HOST:PORT,.. [--kafka]] [--only CASE,..] [--records N] [--again]";

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let (name, args) = args.split_first().ok_or(USAGE)?;
    let suite = SUITES.iter().find(|s| s.name == name).ok_or(USAGE)?;
    let valued = ["--nodes", "--binary", "--bootstrap", "--only", "--records"];
    only_flags(args, &valued, &["--again", "--kafka"])?;
    if let Some((program, _)) = suite.needs.iter().find(|(p, probe)| !exists(p, probe)) {
        return Err(format!("{name}: {program} is not installed"));
    }
    let nodes: u32 = flag(args, "--nodes")?.unwrap_or(1);
    let given = flag::<String>(args, "--bootstrap")?;
    let is_kafka = args.iter().any(|arg| arg == "--kafka");
    let column = match (is_kafka, nodes, &given) {
        (true, 1, Some(_)) => Column::Kafka,
        (true, 3, Some(_)) => Column::KafkaThree,
        (false, 1, _) => Column::One,
        (false, 3, _) => Column::Three,
        _ => return Err(USAGE.into()),
    };
    let cache = run::target_directory()?.join("interop/suites").join(name);
    let logs = cache.join("logs");
    std::fs::create_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;
    let _alone = alone(&cache)?;
    let directory = (suite.prepare)(&cache)?;
    let only = flag::<String>(args, "--only")?;
    let cases = wanted(cases(&read(&file(name, "txt"))?), only.as_deref())?;

    let how = arguments(nodes)?;
    let how: Vec<&str> = how.iter().map(String::as_str).collect();
    let target = Target::of(args, &cache.join("data"), nodes, &how)?;
    let cluster = Cluster {
        bootstrap: target.bootstrap.clone(),
        records: flag(args, "--records")?.unwrap_or(RECORDS),
        replicas: nodes,
    };
    let again = args.iter().any(|arg| arg == "--again");
    let ran = run_cases(suite, &directory, &logs, &cases, &cluster, (column, again));
    target.release().and(ran)
}

/// Holds the suite's directory as long as it lives: a second run would empty what the nodes of the first one write, and
/// both would write over the other's results.
fn alone(cache: &Path) -> Result<File, String> {
    let path = cache.join("lock");
    let lock = File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    lock.try_lock().map_err(|_| {
        let path = cache.display();
        format!("another run of this suite uses {path}: wait for its end, or set another CARGO_TARGET_DIR")
    })?;
    Ok(lock)
}

fn run_cases(
    suite: &Suite,
    directory: &Path,
    logs: &Path,
    cases: &[Case],
    cluster: &Cluster,
    (column, again): (Column, bool),
) -> Result<(), String> {
    let path = file(suite.name, "results.txt");
    let mut results = Results::read(&path)?;
    let (mut passed, mut others) = (0, Vec::new());
    for case in cases {
        let name = &case.name;
        let outcome = match (&case.skipped, results.of(name, column)) {
            (Some(_), _) => continue,
            (None, Some(outcome)) if !again => outcome,
            _ => {
                let log = logs.join(format!("{}.{column:?}", name.replace('/', "_")));
                let command = (suite.command)(directory, name, cluster);
                let ended = process::run(command, &log, suite.limit)?;
                let outcome = match ended {
                    process::Ended::OverTime => Outcome::OverTime,
                    process::Ended::ByItself => (suite.judge)(name, &read(&log)?),
                };
                println!("{}: {name} {outcome}", suite.name);
                results.set(name, column, outcome);
                results.write(&path)?;
                results::write_page(SUITES)?;
                outcome
            }
        };
        match outcome {
            Outcome::Passed => passed += 1,
            _ => others.push(format!("{name} {outcome}")),
        }
    }
    println!("{}: {passed} passed", suite.name);
    // What doesn't pass on Kafka either says nothing about us.
    let unlike = |other: &String| {
        let name = other.split(' ').next().unwrap_or_default();
        let reference = column.reference();
        column != reference && results.of(name, reference) == Some(Outcome::Passed)
    };
    let unlike: Vec<String> = others.into_iter().filter(unlike).collect();
    match unlike.is_empty() {
        true => Ok(()),
        false => Err(format!("pass on Kafka and not here: {}", unlike.join(", "))),
    }
}

/// Nodes as the suites expect them: topics of four partitions, and groups that don't wait for more members at first.
fn arguments(nodes: u32) -> Result<Vec<String>, String> {
    let mut set = vec!["num.partitions=4", "group.initial.rebalance.delay.ms=0"];
    let mut args = Vec::new();
    let address = server::free_addresses(1)?.remove(0);
    let listener = format!("advertised.listeners=PLAINTEXT://{address}");
    if nodes == 3 {
        set.extend(["default.replication.factor=3", "min.insync.replicas=2"]);
    } else {
        // One suite looks whether the address was given by name.
        args.extend(["--rack", "RACK1", "--kafka", &address]);
        set.push(&listener);
    }
    args.extend(set.into_iter().flat_map(|key| ["--set", key]));
    Ok(args.into_iter().map(str::to_owned).collect())
}

fn file(suite: &str, ending: &str) -> PathBuf {
    root()
        .join("interop/suites")
        .join(format!("{suite}.{ending}"))
}

/// One case a line; `#- why` before cases up to the next empty line: they are not run.
fn cases(text: &str) -> Vec<Case> {
    let mut skipped = None;
    let mut cases = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(why) = line.strip_prefix("#-") {
            skipped = Some(why.trim().to_owned());
        } else if line.is_empty() {
            skipped = None;
        } else if !line.starts_with('#') {
            let skipped = skipped.clone();
            let name = line.to_owned();
            cases.push(Case { name, skipped });
        }
    }
    cases
}

/// The cases that `--only` names, also those that are otherwise not run.
fn wanted(all: Vec<Case>, only: Option<&str>) -> Result<Vec<Case>, String> {
    let Some(only) = only else { return Ok(all) };
    let find = |name: &str| match all.iter().any(|case| case.name == name) {
        true => Ok(Case {
            name: name.to_owned(),
            skipped: None,
        }),
        false => Err(format!("there is no case {name}")),
    };
    only.split(',').map(find).collect()
}
