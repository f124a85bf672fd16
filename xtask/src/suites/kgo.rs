//! franz-go's package `kgo`: its tests, compiled once. Those that touch no broker aren't cases.

use super::{Cluster, Outcome, Suite};
use crate::run::{checked, output};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MODULE: &str = "github.com/twmb/franz-go@v1.22.2";

pub(super) const SUITE: Suite = Suite {
    name: "kgo",
    package: "franz-go 1.22.2, package kgo",
    needs: &[("go", "version")],
    limit: Duration::from_secs(400),
    prepare,
    command,
    judge,
};

fn prepare(cache: &Path) -> Result<PathBuf, String> {
    let tests = cache.join("kgo.test");
    if !tests.exists() {
        let mut fetch = Command::new("go");
        fetch.args(["mod", "download", "-json", MODULE]);
        // Outside a module, so that nobody's go.mod matters.
        let told = output(fetch.current_dir(cache))?;
        let told: serde_json::Value =
            serde_json::from_str(&told).map_err(|e| format!("go mod download: {e}"))?;
        let module = told["Dir"].as_str().ok_or("go mod download tells no Dir")?;
        let mut build = Command::new("go");
        build
            .args(["test", "-c", "-o"])
            .arg(&tests)
            .arg("./pkg/kgo");
        checked(build.current_dir(module))?;
    }
    Ok(cache.to_owned())
}

/// TestPing goes first, because the suite learns in its first requests what the broker can do; run one after the other, because
/// otherwise a case may ask for that before it is known.
fn command(cache: &Path, case: &str, cluster: &Cluster) -> Command {
    let (name, chaos) = match case.strip_suffix("/chaos") {
        Some(name) => (name, true),
        None => (case, false),
    };
    let mut command = Command::new(cache.join("kgo.test"));
    command.args(["-test.count=1", "-test.v", "-test.parallel=1"]);
    command.arg(format!("-test.run=^(TestPing|{name})$"));
    command.current_dir(cache);
    command.env("KGO_SEEDS", &cluster.bootstrap);
    command.env("KGO_TEST_RF", cluster.replicas.to_string());
    command.env("KGO_TEST_RECORDS", cluster.records.to_string());
    command.env("KGO_LOG_LEVEL", "none");
    command.env("KGO_TEST_STABLE_FETCH", "true");
    if chaos {
        // Every connection dies after a second or so.
        command.env("KGO_TEST_CHAOS", "1");
        command.env("KGO_TEST_RECORDS", (cluster.records / 10).to_string());
    }
    command
}

pub(super) fn judge(case: &str, output: &str) -> Outcome {
    let name = case.strip_suffix("/chaos").unwrap_or(case);
    let says = |verdict: &str, name: &str| {
        let start = format!("--- {verdict}: {name}");
        output.lines().any(|line| {
            let rest = line.trim_start().strip_prefix(start.as_str());
            rest.is_some_and(|rest| rest.starts_with([' ', '/']))
        })
    };
    if says("FAIL", name) || !(says("PASS", name) || says("SKIP", name)) {
        Outcome::Failed
    } else if says("SKIP", name) {
        Outcome::Skipped
    } else {
        Outcome::Passed
    }
}
