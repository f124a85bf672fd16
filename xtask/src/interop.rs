//! `cargo xtask interop clients` (`tools`, `suite`, `diff`, `connect` and `frameworks` are modules of their own): stock clients in their own languages write to a running node
//! and read back, alone and as members of groups. Their sources are under `interop/`; what they need is fetched by the package
//! manager of their language into the target directory.

use crate::run::{self, checked, exists, flag, only_flags, root};
use crate::server::Target;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Records each client writes with each compression.
const RECORDS: u32 = 500;

/// A client, what it needs to run, and how it is run.
struct Client {
    name: &'static str,
    needs: &'static [(&'static str, &'static str)],
    /// Its programs, to be run one after the other.
    prepare: fn(&Path) -> Result<Vec<Command>, String>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "java",
        needs: &[("java", "-version"), ("mvn", "-version")],
        prepare: java,
    },
    Client {
        name: "python",
        needs: &[("python3", "--version")],
        prepare: python,
    },
    Client {
        name: "go",
        needs: &[("go", "version")],
        prepare: go,
    },
];

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let usage = "usage: cargo xtask interop clients [--bootstrap HOST:PORT] [--only NAME,..] \
                 [--records N] [--binary PATH] [--all] | tools [--bootstrap HOST:PORT] \
                 [--binary PATH] [--jars DIRECTORY] [--record] | suite NAME .. | diff .. | connect .. | frameworks ..";
    match args.split_first() {
        Some((what, rest)) if what == "clients" => clients(rest).map(|_| ()),
        Some((what, rest)) if what == "tools" => crate::tools::run(rest),
        Some((what, rest)) if what == "suite" => crate::suites::run(rest),
        Some((what, rest)) if what == "diff" => crate::diff::run(rest),
        Some((what, rest)) if what == "connect" => crate::connect::run(rest),
        Some((what, rest)) if what == "frameworks" => crate::frameworks::run(rest),
        _ => Err(usage.into()),
    }
}

/// Runs the clients whose toolchains are there, and names those that weren't run; with `--all` a
/// missing one is an error.
pub fn clients(args: &[String]) -> Result<crate::ci::NotRun, String> {
    only_flags(
        args,
        &["--bootstrap", "--only", "--records", "--binary"],
        &["--all"],
    )?;
    let only: Option<String> = flag(args, "--only")?;
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|o| o == name))
    };
    let records: u32 = flag(args, "--records")?.unwrap_or(RECORDS);
    let cache = run::target_directory()?.join("interop");
    let target = Target::of(args, &cache.join("data"), 1, &[])?;
    let (mut failed, mut not_run) = (Vec::new(), Vec::new());
    for client in CLIENTS.iter().filter(|client| wanted(client.name)) {
        let missing = client
            .needs
            .iter()
            .find(|(program, probe)| !exists(program, probe));
        match missing {
            Some((program, _)) if args.iter().any(|arg| arg == "--all") => {
                return Err(format!("{}: {program} is not installed", client.name));
            }
            Some((program, _)) => {
                println!("interop: {} skipped: no {program}", client.name);
                not_run.push(format!("client {} (no {program})", client.name));
            }
            None => match round_trip(client, &cache, &target.bootstrap, records) {
                Ok(()) => println!("interop: {} ok", client.name),
                Err(problem) => {
                    eprintln!("interop: {} FAILED: {problem}", client.name);
                    failed.push(client.name);
                }
            },
        }
    }
    target.release()?;
    if failed.is_empty() {
        Ok(not_run)
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

fn round_trip(client: &Client, cache: &Path, bootstrap: &str, records: u32) -> Result<(), String> {
    let cache = cache.join(client.name);
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    // A name of its own for each run, so that a cluster that is there already can be used twice.
    let topic = format!("interop-{}-{}", client.name, std::process::id());
    for mut program in (client.prepare)(&cache)? {
        checked(program.args([bootstrap, &topic, &records.to_string()]))?;
    }
    Ok(())
}

fn sources(client: &str) -> PathBuf {
    root().join("interop").join(client)
}

fn java(cache: &Path) -> Result<Vec<Command>, String> {
    let jars = cache.join("jars");
    let done = cache.join("complete");
    let pom = sources("java").join("pom.xml");
    if newer(&pom, &done) {
        let mut fetch = Command::new("mvn");
        fetch
            .args(["-q", "-B", "-f"])
            .arg(&pom)
            .arg("dependency:copy-dependencies");
        checked(fetch.arg(format!("-DoutputDirectory={}", jars.display())))?;
        std::fs::write(&done, "").map_err(|e| format!("{}: {e}", done.display()))?;
    }
    let program = |source: &str| {
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-cp", &format!("{}/*", jars.display())]);
        command.arg(sources("java").join(source));
        command
    };
    Ok(vec![program("RoundTrip.java"), program("Groups.java")])
}

fn python(cache: &Path) -> Result<Vec<Command>, String> {
    let python = environment(&sources("python").join("requirements.txt"), cache)?;
    let program = |source: &str| {
        let mut command = Command::new(&python);
        command.arg(sources("python").join(source));
        command
    };
    Ok(vec![program("round_trip.py"), program("groups.py")])
}

/// A Python that has these requirements, made in the cache if they changed.
pub fn environment(requirements: &Path, cache: &Path) -> Result<PathBuf, String> {
    let environment = cache.join("venv");
    let done = cache.join("complete");
    let python = environment.join("bin/python");
    if newer(requirements, &done) {
        checked(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
        let mut fetch = Command::new(&python);
        fetch.args([
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-r",
        ]);
        checked(fetch.arg(requirements))?;
        std::fs::write(&done, "").map_err(|e| format!("{}: {e}", done.display()))?;
    }
    Ok(python)
}

fn go(cache: &Path) -> Result<Vec<Command>, String> {
    let binary = cache.join("round-trip");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(sources("go"));
    checked(&mut build)?;
    Ok(vec![Command::new(binary)])
}

/// True if `source` changed after `done` was written, or `done` isn't there.
fn newer(source: &Path, done: &Path) -> bool {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified());
    match (changed(source), changed(done)) {
        (Ok(source), Ok(done)) => source > done,
        _ => true,
    }
}
