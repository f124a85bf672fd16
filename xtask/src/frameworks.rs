//! `cargo xtask interop frameworks`: applications of frameworks that stand on Kafka's clients, over a node or three: Kafka Streams and
//! Spring Kafka, Flink, Spark and Debezium, Pekko, Beam and SmallRye, Faust, Quix Streams, FastStream, Bytewax and Celery; Goka and Watermill; clients of the years of Kafka 0.8 to 2.0; and exporters of lag. Each is one file under
//! `interop/frameworks` that checks for itself what came of it, and ends with an error if something didn't come.

use crate::run::{self, checked, flag, only_flags, root};
use crate::server::Target;
use std::path::Path;
use std::process::Command;

/// The frameworks, and their programs: Java's in directories of their names, Python's all in one.
const FRAMEWORKS: [(&str, &str); 16] = [
    ("streams", "Streams.java"),
    ("spring", "Spring.java"),
    ("flink", "Flink.java"),
    ("spark", "Spark.java"),
    ("debezium", "Debezium.java"),
    ("pekko", "Pekko.java"),
    ("beam", "Beam.java"),
    ("smallrye", "SmallRye.java"),
    ("faust", "faust_words.py"),
    ("quix", "quix_counts.py"),
    ("faststream", "faststream_chain.py"),
    ("bytewax", "bytewax_counts.py"),
    ("celery", "celery_tasks.py"),
    ("go", "main.go"),
    ("old", "old_clients.py"),
    ("exporters", "lag_exporters.py"),
];
/// Exporters of lag, by their programs' names, and where Go finds them.
const EXPORTERS: [(&str, &str); 2] = [
    (
        "kafka_exporter",
        "github.com/danielqsj/kafka_exporter@v1.9.0",
    ),
    ("kminion", "github.com/cloudhut/kminion/v2@v2.3.5"),
];
/// Packages of Java that Flink and Spark reach into.
const OPENED: [&str; 11] = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.util.calendar",
];
/// Longest time for one program.
const LIMIT_SECONDS: u32 = 600;

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
    let all = root().join("interop/frameworks");
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS.to_string());
    let (main, kind) = program.rsplit_once('.').unwrap_or((program, ""));
    match kind {
        "go" => {
            let built = cache.join("go-program");
            let mut go = Command::new("go");
            go.args(["build", "-o"]).arg(&built).arg(".");
            checked(go.current_dir(all.join(name)))?;
            command.arg(built);
        }
        "py" => {
            let cache = cache.join("python");
            std::fs::create_dir_all(&cache).map_err(|e| format!("{}: {e}", cache.display()))?;
            let here = all.join("python");
            let python = crate::interop::environment(&here.join("requirements.txt"), &cache)?;
            command.arg(python).arg(here.join(program));
        }
        _ => {
            let class_path = compiled(&all.join(name), program, &cache.join(name))?;
            command.args(["java", "-Xmx900m", "-cp", &class_path]);
            let opened =
                OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
            command.args(opened).arg(main);
        }
    }
    command.arg(bootstrap);
    if name == "exporters" {
        command.arg(exporters(&cache.join(name))?);
    }
    checked(&mut command).map_err(|e| format!("{name}: {e}"))
}

/// The class path with what a program needs and with the program, compiled: Flink and Spark carry its classes to where they run them.
fn compiled(here: &Path, program: &str, cache: &Path) -> Result<String, String> {
    let jars = crate::tools::fetch(here, cache)?;
    let classes = cache.join("classes").display().to_string();
    let mut compiler = Command::new("javac");
    compiler.args(["-nowarn", "-cp", &format!("{jars}/*"), "-d", &classes]);
    checked(compiler.arg(here.join(program)))?;
    // Beside a program may lie what configures its logging.
    Ok(format!("{classes}:{}:{jars}/*", here.display()))
}

/// The directory with the exporters, each built unless it is there already.
fn exporters(programs: &Path) -> Result<&Path, String> {
    std::fs::create_dir_all(programs).map_err(|e| format!("{}: {e}", programs.display()))?;
    for (name, module) in EXPORTERS {
        if !programs.join(name).exists() {
            let mut go = Command::new("go");
            checked(go.args(["install", module]).env("GOBIN", programs))?;
        }
    }
    Ok(programs)
}
