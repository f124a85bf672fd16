//! kafka-python's integration tests, from its source package.

use super::{Cluster, Outcome, Suite};
use crate::run::checked;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const VERSION: &str = "3.0.12";
/// What the suite takes the broker for.
const KAFKA: &str = "4.3.0";

pub(super) const SUITE: Suite = Suite {
    name: "kafka-python",
    package: "kafka-python 3.0.12, integration",
    needs: &[("python3", "--version"), ("tar", "--version")],
    limit: Duration::from_secs(150),
    prepare,
    command,
    judge,
};

/// The source package lacks a module that starts brokers; nothing of it is needed for one that runs already.
const SERVICE: &str = "class SpawnedService:\n    pass\n\n\nclass ExternalService:\n    def __init__(self, host, port):\n        \
    self.host, self.port = host, port\n\n    def open(self):\n        pass\n\n    def close(self):\n        pass\n";

fn prepare(cache: &Path) -> Result<PathBuf, String> {
    let source = cache.join(format!("kafka_python-{VERSION}"));
    let done = cache.join("complete");
    if done.exists() {
        return Ok(source);
    }
    let environment = cache.join("venv");
    checked(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    let pip = |args: &[&str]| {
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", "--disable-pip-version-check", "-q"]);
        checked(pip.args(args).current_dir(cache))
    };
    let package = format!("kafka-python=={VERSION}");
    pip(&["download", "--no-deps", "--no-binary", ":all:", &package])?;
    pip(&[
        "install",
        &package,
        "pytest",
        "pytest-mock",
        "pytest-timeout",
        "mock",
    ])?;
    pip(&["install", "crc32c", "lz4", "python-snappy", "zstandard"])?;
    let mut unpack = Command::new("tar");
    unpack
        .arg("-xzf")
        .arg(format!("kafka_python-{VERSION}.tar.gz"));
    checked(unpack.current_dir(cache))?;
    let write = |path: &str, text: &str| {
        let path = source.join(path);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    };
    write("test/service.py", SERVICE)?;
    // Python has a package `test` of its own, which would be found first.
    write("test/__init__.py", "")?;
    let wanted = source.join(format!("servers/{KAFKA}/kafka-bin"));
    std::fs::create_dir_all(&wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
    std::fs::write(&done, "").map_err(|e| format!("{}: {e}", done.display()))?;
    Ok(source)
}

fn command(source: &Path, case: &str, cluster: &Cluster) -> Command {
    // The suite knows one address.
    let first = cluster.bootstrap.split(',').next().unwrap_or_default();
    let mut command = Command::new(source.with_file_name("venv").join("bin/python"));
    command.args(["-m", "pytest", "-rA", "-q", "--timeout=120"]);
    command.arg(format!("test/integration/{case}"));
    command.current_dir(source);
    command.env("KAFKA_URI", format!("kafka://{first}"));
    command.env("KAFKA_VERSION", KAFKA);
    command
}

pub(super) fn judge(case: &str, output: &str) -> Outcome {
    let says = |verdict: &str| {
        let line = format!("{verdict} test/integration/{case}");
        let is_it =
            |l: &str| l == line || l.strip_prefix(&line).is_some_and(|r| r.starts_with(' '));
        output.lines().any(is_it)
    };
    if says("PASSED") && !says("ERROR") {
        Outcome::Passed
    } else if output.lines().any(|line| line.starts_with("SKIPPED [")) {
        Outcome::Skipped
    } else {
        Outcome::Failed
    }
}
