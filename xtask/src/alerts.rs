//! `cargo xtask alerts`: promtool over `docs/alerts`: the rules can be read, they fire where their
//! tests say, and the metrics of a node that has been used pass its check. Without promtool
//! nothing was checked, which is an error and no success.

use crate::run::{checked, exists, flag, only_flags, output, root, target_directory};
use crate::server::Server;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    only_flags(args, &["--promtool", "--binary"], &[])?;
    let promtool: String = flag(args, "--promtool")?.unwrap_or_else(|| "promtool".into());
    if !exists(&promtool, "--version") {
        return Err(format!(
            "nothing was checked: there is no {promtool}; it comes with Prometheus (Debian: apt-get install prometheus), \
             --promtool PATH names one"
        ));
    }
    let alerts = root().join("docs/alerts");
    let rules = ["flotilla.yml", "flotilla.test.yml"].map(|name| alerts.join(name));
    checked(
        Command::new(&promtool)
            .args(["check", "rules"])
            .arg(&rules[0]),
    )?;
    checked(
        Command::new(&promtool)
            .args(["test", "rules"])
            .arg(&rules[1]),
    )?;
    let binary = flag(args, "--binary")?.map_or_else(crate::run::build_flotilla, Ok)?;
    let metrics = used_node(&binary)?;
    check(&promtool, &metrics)?;
    println!(
        "alerts: rules, their tests and {} lines of metrics pass",
        metrics.lines().count()
    );
    Ok(())
}

/// The metrics of a node that has topics, records, a group with lag, and refused a call.
fn used_node(binary: &PathBuf) -> Result<String, String> {
    let data = target_directory()?.join("alerts/data");
    let server = Server::start(binary, &data, &[])?;
    let tool = |words: &[&str]| {
        let mut command = Command::new(binary);
        output(command.args(words).args(["--bootstrap", &server.kafka]))
    };
    tool(&["topic", "create", "used", "--partitions", "3"])?;
    let file = root().join("README.md").display().to_string();
    tool(&["produce", "used", "--file", &file])?;
    tool(&["consume", "used", "--group", "readers", "-n", "5"])?;
    if tool(&["topic", "create", "used"]).is_ok() {
        return Err("a topic could be made twice".into());
    }
    let metrics = server.metrics();
    server.stop()?;
    metrics.ok_or_else(|| "the node tells no metrics".into())
}

fn check(promtool: &str, metrics: &str) -> Result<(), String> {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{promtool}: {e}"))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(metrics.as_bytes())
        .map_err(|e| format!("{promtool}: {e}"))?;
    drop(stdin);
    let done = child
        .wait_with_output()
        .map_err(|e| format!("{promtool}: {e}"))?;
    // It ends with 0 on some of what it complains about.
    let said = [done.stdout, done.stderr].concat();
    if done.status.success() && said.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(format!("promtool check metrics: {}\n{said}", done.status))
}
