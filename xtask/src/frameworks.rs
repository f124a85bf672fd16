//! `cargo xtask interop frameworks`: applications of frameworks that stand on Kafka's clients, over a node or three: Kafka Streams and
//! Spring Kafka. Each is one Java file under `interop/frameworks` that checks for itself what came of it, tells it line by line, and ends with
//! an error if something didn't come.

use crate::run::{self, checked, exists, flag, only_flags, root};
use crate::server::Target;
use std::path::Path;
use std::process::Command;

/// The frameworks: the directory of each, and its program.
const FRAMEWORKS: [(&str, &str); 2] = [("streams", "Streams.java"), ("spring", "Spring.java")];

const USAGE: &str = "usage: cargo xtask interop frameworks [--bootstrap HOST:PORT,..] [--binary PATH] [--nodes 1|3] [--only NAME,..]";

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--bootstrap", "--binary", "--nodes", "--only"], &[])?;
    let only: Option<String> = flag(args, "--only")?;
    let is_wanted = |name: &str| {
        let among = |only: &String| only.split(',').any(|one| one == name);
        only.as_ref().is_none_or(among)
    };
    let wanted: Vec<_> = FRAMEWORKS.iter().filter(|(n, _)| is_wanted(n)).collect();
    if wanted.is_empty() {
        return Err(USAGE.into());
    }
    for (program, probe) in [("java", "-version"), ("mvn", "-version")] {
        if !exists(program, probe) {
            return Err(format!("{program} is not installed"));
        }
    }
    let cache = run::target_directory()?.join("interop/frameworks");
    std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
    let nodes: u32 = flag(args, "--nodes")?.unwrap_or(1);
    let target = Target::of(
        args,
        &cache.join("data"),
        nodes,
        &["--set", "num.partitions=4"],
    )?;
    let ran: Vec<Result<(), String>> = wanted
        .iter()
        .map(|(name, program)| one(name, program, &cache, &target.bootstrap))
        .collect();
    target.release()?;
    ran.into_iter().collect()
}

fn one(name: &str, program: &str, cache: &Path, bootstrap: &str) -> Result<(), String> {
    let here = root().join("interop/frameworks").join(name);
    let jars = crate::tools::fetch(&here, &cache.join(name))?;
    let mut java = Command::new("java");
    java.args(["-Xmx600m", "-cp", &format!("{jars}/*")]);
    checked(java.arg(here.join(program)).arg(bootstrap)).map_err(|e| format!("{name}: {e}"))
}
