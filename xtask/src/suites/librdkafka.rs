//! librdkafka's tests, from the package of Confluent's client for JavaScript, which carries its source. A case is a test's number,
//! or `0022/consumer` for the same with groups of KIP-848.

use super::{Cluster, Outcome, Suite};
use crate::run::checked;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "@confluentinc/kafka-javascript";
const VERSION: &str = "1.10.1";

pub(super) const SUITE: Suite = Suite {
    name: "librdkafka",
    package: "librdkafka in confluent-kafka-javascript 1.10.1",
    needs: &[
        ("npm", "--version"),
        ("make", "--version"),
        ("tar", "--version"),
    ],
    limit: Duration::from_secs(180),
    prepare,
    command,
    judge,
};

fn prepare(cache: &Path) -> Result<PathBuf, String> {
    let source = cache.join("package/deps/librdkafka");
    let tests = source.join("tests");
    let done = cache.join("complete");
    if done.exists() {
        return Ok(tests);
    }
    let sh = |line: &str, directory: &Path| {
        let mut shell = Command::new("sh");
        checked(shell.args(["-ec", line]).current_dir(directory))
    };
    let archive = format!("confluentinc-kafka-javascript-{VERSION}.tgz");
    sh(&format!("npm pack --silent {PACKAGE}@{VERSION}"), cache)?;
    sh(
        &format!("tar -xzf {archive} package/deps/librdkafka"),
        cache,
    )?;
    sh("chmod +x configure mklove/modules/* tests/*.sh", &source)?;
    sh("./configure --disable-sasl --disable-curl", &source)?;
    sh("make -j2 libs && make -j2 -C tests build", &source)?;
    std::fs::write(&done, "").map_err(|e| format!("{}: {e}", done.display()))?;
    Ok(tests)
}

fn command(tests: &Path, case: &str, cluster: &Cluster) -> Command {
    let (number, protocol) = case.split_once('/').unwrap_or((case, "classic"));
    // A file of its own for each run: the suite takes the address from nowhere else.
    let conf = tests.join(format!("flotilla-{}.conf", std::process::id()));
    let text = format!(
        "bootstrap.servers={}\ntest.topic.random=true\n",
        cluster.bootstrap
    );
    // Without it the suite says that it has no address, and the case fails.
    let _ = std::fs::write(&conf, text);
    let mut command = Command::new("./test-runner");
    command.args(["-p1", "-Q", "-L"]).current_dir(tests);
    command.env("LD_LIBRARY_PATH", "../src:../src-cpp");
    command.env("RDKAFKA_TEST_CONF", conf);
    command.env("TEST_KAFKA_VERSION", "4.3.0");
    command.env("TEST_CONSUMER_GROUP_PROTOCOL", protocol);
    command.env("TESTS", number);
    // Some tests call Kafka's scripts, from KAFKA_PATH if the caller has set it.
    command.env("BROKERS", &cluster.bootstrap);
    command
}

/// Reads the rows of the summary: exit codes say that all is well when nothing ran.
pub(super) fn judge(case: &str, output: &str) -> Outcome {
    let number = case.split('/').next().unwrap_or(case);
    let mut verdicts = Vec::new();
    for line in output.lines() {
        let mut cells = line.split('|').map(plain).skip(1);
        let (Some(name), Some(verdict)) = (cells.next(), cells.next()) else {
            continue;
        };
        if name.starts_with(number) {
            verdicts.push(verdict);
        }
    }
    let any = |verdict: &str| verdicts.iter().any(|v| v == verdict);
    if any("FAILED") || !(any("PASSED") || any("SKIPPED")) {
        Outcome::Failed
    } else if any("PASSED") {
        Outcome::Passed
    } else {
        Outcome::Skipped
    }
}

/// A cell without colours and spaces.
fn plain(cell: &str) -> String {
    let mut out = String::new();
    let mut coloured = false;
    for c in cell.chars() {
        match c {
            '\x1b' => coloured = true,
            'm' if coloured => coloured = false,
            _ if coloured => {}
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}
