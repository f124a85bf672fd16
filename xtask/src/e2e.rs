//! `cargo xtask e2e`: long end-to-end runs of real processes. `faults` kills or stops leaders of
//! a fleet of three under load; the work is done by the room `e2e`, this builds and reports.

use crate::ci::NotRun;
use crate::interop;
use crate::run::{self, cargo, checked, flag, only_flags, output, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const USAGE: &str = "usage: cargo xtask e2e faults [--kills 20] [--stops 0] [--leaves 0] \
                     [--calm SECONDS] [--partitions 6] [--seconds 3600] [--binary PATH] [--write]\n       \
                     cargo xtask e2e upgrade [--from COMMIT | --old PATH] [--binary PATH] [--rises]\n       \
                     cargo xtask e2e mixed [--seconds 1800] [--seed N] [--binary PATH] [--write]\n       \
                     cargo xtask e2e narrow [--mbit 100] [--megabytes 500] [--binary PATH]\n       \
                     cargo xtask e2e footprint [--binary PATH]";

/// The commit that an upgrade begins with: what ran until this change landed.
const BEFORE: &str = "HEAD~1";
/// The last commit whose newest level was 5 (`meta::LEVELS`): from here an upgrade crosses a level. Who
/// adds a level sets this to the last commit before it.
const LEVEL_BEFORE: &str = "211999dc22f53da4a3720209eaa93b1d510b41d1";

/// Where the results stand for people.
const PAGE: &str = "docs/faults.md";
const MIXED_PAGE: &str = "docs/faults-mixed.md";

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    match args.split_first() {
        Some((what, rest)) if what == "faults" => faults(rest),
        Some((what, rest)) if what == "mixed" => mixed(rest),
        Some((what, rest)) if what == "narrow" => narrow(rest),
        Some((what, rest)) if what == "upgrade" => upgrade(rest),
        Some((what, rest)) if what == "footprint" => footprint(rest),
        _ => Err(USAGE.into()),
    }
}

/// The gate's share: stock clients whose toolchains are there, upgrades from commits that are, then
/// faults for the time given. Names what wasn't run.
pub fn gate(minutes: u64) -> Result<NotRun, String> {
    let mut not_run = interop::clients(&[])?;
    for (from, more) in [(BEFORE, None), (LEVEL_BEFORE, Some("--rises"))] {
        if is_here(from)? {
            let words = ["--from", from].into_iter().chain(more);
            upgrade(&words.map(str::to_owned).collect::<Vec<_>>())?;
        } else {
            println!(
                "e2e: no upgrade from {from} was tried: it isn't here (is this a shallow clone?)"
            );
            not_run.push(format!("upgrade from {from} (not in this clone)"));
        }
    }
    let seconds = (minutes * 30).to_string();
    let words = [
        "--kills",
        "10000",
        "--stops",
        "10000",
        "--seconds",
        &seconds,
    ];
    faults(&words.map(str::to_owned))?;
    Ok(not_run)
}

/// Rolls three nodes from the binary of an earlier commit to this one's, under load. The earlier
/// one is built in a checkout of its own below the target directory. With `--rises` the cluster's level
/// has to be another one after it.
fn upgrade(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--from", "--old", "--binary"], &["--rises"])?;
    let from: Option<String> = flag(args, "--from")?;
    let old = match flag(args, "--old")? {
        Some(path) => path,
        None => build_commit(from.as_deref().unwrap_or(BEFORE))?,
    };
    let new = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    checked(cargo().args(["build", "--release", "--package", "e2e", "--bin", "upgrade"]))?;
    let tool = run::target_directory()?.join("release/upgrade");
    let rises = args.iter().find(|arg| *arg == "--rises");
    checked(Command::new(tool).arg(old).arg(new).args(rises))
}

fn git(words: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(root()).args(words);
    git
}

fn is_here(commit: &str) -> Result<bool, String> {
    let commit = format!("{commit}^{{commit}}");
    let mut look = git(&["rev-parse", "--quiet", "--verify", &commit]);
    let status = look.stdout(Stdio::null()).status();
    Ok(status.map_err(|e| format!("git: {e}"))?.success())
}

/// The server of a commit, built from a copy of it. One that is given by its whole name is kept.
fn build_commit(commit: &str) -> Result<PathBuf, String> {
    let place = run::target_directory()?.join("upgrade");
    let kept = place.join(format!("flotilla-{commit}"));
    if kept.exists() {
        return Ok(kept);
    }
    let (copy, packed) = (place.join("checkout"), place.join("checkout.tar"));
    let failed = |e: std::io::Error| format!("{}: {e}", copy.display());
    if copy.exists() {
        std::fs::remove_dir_all(&copy).map_err(failed)?;
    }
    std::fs::create_dir_all(&copy).map_err(failed)?;
    checked(git(&["archive", "--output"]).arg(&packed).arg(commit))?;
    // The files are new, however old the commit is: what was built of another one lies beside them.
    checked(
        Command::new("tar")
            .arg("-xmf")
            .arg(&packed)
            .arg("-C")
            .arg(&copy),
    )?;
    let built = place.join("target");
    let mut build = cargo();
    build.args(["build", "--release", "--package", "flotilla"]);
    build.current_dir(&copy).env("CARGO_TARGET_DIR", &built);
    // It has to work, not to be fast, and is to be built in a third of the time.
    checked(build.envs(QUICK_BUILD))?;
    let built = built.join("release/flotilla");
    if commit.len() < WHOLE_NAME {
        return Ok(built);
    }
    let failed = |e: std::io::Error| format!("{}: {e}", kept.display());
    std::fs::copy(&built, &kept).map_err(failed)?;
    Ok(kept)
}

/// Characters of a commit's name; what is shorter may mean another commit tomorrow.
const WHOLE_NAME: usize = 40;
/// The profile for servers of earlier commits.
const QUICK_BUILD: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];

/// Measures start, memory and size of the release binary against what is promised.
fn footprint(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--binary"], &[])?;
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    checked(cargo().args([
        "build",
        "--release",
        "--package",
        "e2e",
        "--bin",
        "footprint",
    ]))?;
    let measure = run::target_directory()?.join("release/footprint");
    checked(Command::new(measure).arg(binary))
}

/// Builds both sides in release and runs the faults; JSON goes to the target directory.
fn faults(args: &[String]) -> Result<(), String> {
    let valued = [
        "--kills",
        "--stops",
        "--leaves",
        "--calm",
        "--partitions",
        "--seconds",
        "--binary",
    ];
    only_flags(args, &valued, &["--write"])?;
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    checked(cargo().args(["build", "--release", "--package", "e2e", "--bin", "faults"]))?;
    let target = run::target_directory()?;
    let mut command = Command::new(target.join("release/faults"));
    command.arg("--binary").arg(&binary);
    command.args(args.iter().filter(|arg| *arg != "--write"));
    command.stderr(Stdio::inherit());
    let printed = output(&mut command)?;
    let results: Value = serde_json::from_str(&printed).map_err(|e| format!("the results: {e}"))?;
    let path = target.join("faults.json");
    std::fs::write(&path, &printed).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("e2e: results in {}", path.display());
    if args.iter().any(|arg| arg == "--write") {
        write_page(&root().join(PAGE), &results)?;
    }
    Ok(())
}

/// One trouble after the other, in a network namespace of its own: for root, or whoever may make one.
fn mixed(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--seconds", "--seed", "--binary"], &["--write"])?;
    let seconds: u64 = flag(args, "--seconds")?.unwrap_or(1800);
    let seed: u64 = flag(args, "--seed")?.unwrap_or_else(|| u64::from(std::process::id()));
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    let printed = apart("mixed", &binary, [seed, seconds])?;
    println!("{printed}");
    if args.iter().any(|arg| arg == "--write") {
        let results = serde_json::from_str(&printed).map_err(|e| format!("the results: {e}"))?;
        let path = root().join(MIXED_PAGE);
        let page = mixed_page(&results);
        std::fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// A node catches up behind a narrow line, in a network namespace of its own.
fn narrow(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--mbit", "--megabytes", "--binary"], &[])?;
    let mbit: u64 = flag(args, "--mbit")?.unwrap_or(100);
    let megabytes: u64 = flag(args, "--megabytes")?.unwrap_or(500);
    let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
    println!("{}", apart("narrow", &binary, [mbit, megabytes])?);
    Ok(())
}

/// Runs a program of the room `e2e` in namespaces of its own; gives what it prints.
fn apart(program: &str, binary: &Path, numbers: [u64; 2]) -> Result<String, String> {
    checked(cargo().args(["build", "--release", "--package", "e2e", "--bin", program]))?;
    let tool = run::target_directory()?.join("release").join(program);
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(tool);
    command.arg(binary).args(numbers.map(|n| n.to_string()));
    command.stderr(Stdio::inherit());
    output(&mut command)
}

fn mixed_page(results: &Value) -> String {
    let mut page = String::from(MIXED_HEAD);
    for row in results["rows"].as_array().into_iter().flatten() {
        let name = row["trouble"].as_str().unwrap_or_default();
        page.push_str(&format!(
            "| {name} | {} | {} ms | {} ms |\n",
            row["times"], row["healed_median_ms"], row["healed_max_ms"]
        ));
    }
    let problems = results["problems"].as_array().map_or(0, Vec::len);
    page.push_str(&format!(
        "\nSeed {}, {} seconds, {} records acknowledged; problems: {problems}.\n",
        results["seed"], results["seconds"], results["records_acknowledged"]
    ));
    page
}

/// Rows of faults that were not run this time stay.
fn write_page(path: &Path, results: &Value) -> Result<(), String> {
    let failed = |e| format!("{}: {e}", path.display());
    let before = std::fs::read_to_string(path).map_err(failed)?;
    let name_of = |row: &str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let rows = before.lines().skip_while(|line| !line.starts_with("|---"));
    let mut rows: Vec<String> = rows.skip(1).map(str::to_owned).collect();
    for result in results.as_array().into_iter().flatten() {
        let row = row(result);
        match rows.iter_mut().find(|old| name_of(old) == name_of(&row)) {
            Some(old) => *old = row,
            None => rows.push(row),
        }
    }
    std::fs::write(path, format!("{HEAD}{}\n", rows.join("\n"))).map_err(failed)
}

fn row(result: &Value) -> String {
    let text = |name: &str| match &result[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let problems = result["problems"].as_array().map_or(0, Vec::len);
    format!(
        "| {} | {} | {} | {} | {} ms | {} ms | {problems} |",
        text("fault"),
        text("times"),
        text("partitions"),
        text("records_acknowledged"),
        text("gap_median_ms"),
        text("gap_max_ms"),
    )
}

const HEAD: &str = "\
# Leaders lost under load

Made by `cargo xtask e2e faults --kills 20 --stops 20 --leaves 6 --calm 600 --write`, whole or in parts: three processes of the release
binary on one machine, one idempotent writer with acks=all on each partition, a reader beside them; the leader of one partition
after the other is killed (and started again), stopped (and continued), or told to end; or nothing happens for ten minutes of full
load, and no leader may change. Afterwards everything is read back and judged: nothing acknowledged lost, nothing twice, offsets
contiguous, order kept, what a reader saw still there, and the stopped nodes' segments equal byte for byte.

A gap is the longest time that a partition whose leader was hit had no acknowledgement; it includes the client's own search for
the new leader. The aims, for a machine with nothing else to do: after kill -9 a median below 700 ms and a longest gap below 1.5 s; after SIGSTOP
1.2 s and 2 s; after SIGTERM 50 ms and 0.5 s for clients that know KIP-951, 300 ms and 1 s for others. Nothing fails for missing an
aim; five times an aim, median or longest, is a problem like a lost record and fails the run, here and in the gate.

| fault | times | partitions | records acknowledged | median gap | longest gap | problems |
|---|---:|---:|---:|---:|---:|---:|
";

const MIXED_HEAD: &str = "\
# One trouble after the other

Made by `cargo xtask e2e mixed --write`, as root on Linux: three processes, each in a network namespace of its own on one
bridge, the third one on a small disk; one idempotent writer with acks=all on each of six partitions with three replicas
and min.insync.replicas=2, a reader beside them. Chance chooses what happens to which node, for 0.2 to 6 seconds; in a third of the rounds
a second node has slow syncs, a one-way cut or loses its answers to clients at the same time. After each round everything has to go on and
all replicas to be in sync again within a minute. At the end all is read back and judged: nothing acknowledged lost, nothing twice,
offsets contiguous, order kept, what a reader saw still there, and the stopped nodes' segments equal byte for byte.

The times are from the end of a trouble until every partition has acknowledged ten batches more and all replicas are in sync; where nodes are
started again or one after the other, or a disk is given up (after ten seconds of silence) and filled again, that is part of it.

| trouble | times | as before after, median | longest |
|---|---:|---:|---:|
";
