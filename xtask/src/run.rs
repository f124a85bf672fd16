//! Running other programs, and the few facts about the checkout that every subcommand needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The root of the checkout.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask
        .parent()
        .expect("xtask lies in the workspace")
        .to_owned()
}

/// The cargo that runs us, in the root of the checkout.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The text of a file; bytes that are none are shown as such.
pub fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs to the end with output passed through; an error names the command.
pub fn checked(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed: {status}", shown(command)))
    }
}

/// Runs to the end and returns stdout.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{} failed: {}\n{stderr}",
            shown(command),
            output.status
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True if the program can be started.
pub fn exists(program: &str, probe: &str) -> bool {
    Command::new(program)
        .arg(probe)
        .output()
        .is_ok_and(|o| o.status.success())
}

/// `cargo metadata` as JSON, without dependencies' own packages unless asked.
pub fn metadata(with_dependencies: bool) -> Result<serde_json::Value, String> {
    let mut command = cargo();
    command.args(["metadata", "--format-version=1"]);
    if !with_dependencies {
        command.arg("--no-deps");
    }
    serde_json::from_str(&output(&mut command)?).map_err(|e| format!("cargo metadata: {e}"))
}

/// Builds the release binary and returns its path.
pub fn build_flotilla() -> Result<PathBuf, String> {
    checked(cargo().args(["build", "--release", "--package", "flotilla"]))?;
    Ok(target_directory()?.join("release/flotilla"))
}

/// Where builds and downloads are kept.
pub fn target_directory() -> Result<PathBuf, String> {
    let target = metadata(false)?["target_directory"]
        .as_str()
        .map(PathBuf::from);
    target.ok_or_else(|| "cargo metadata names no target directory".into())
}

/// Asks `ready` every few milliseconds until it has an answer, at most for `wait`.
#[expect(
    clippy::disallowed_methods,
    reason = "waits for other processes, with a deadline"
)]
pub fn wait_until<T>(wait: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + wait;
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// Looks up the value after `--name` and parses it.
pub fn flag<T: std::str::FromStr>(args: &[String], name: &str) -> Result<Option<T>, String> {
    let Some(at) = args.iter().position(|arg| arg == name) else {
        return Ok(None);
    };
    let value = args
        .get(at + 1)
        .ok_or(format!("usage: {name} wants a value"))?;
    value
        .parse()
        .map(Some)
        .map_err(|_| format!("usage: {name} can't be {value:?}"))
}

/// Refuses anything that isn't one of the named flags (each with a value or without one).
pub fn only_flags(args: &[String], valued: &[&str], bare: &[&str]) -> Result<(), String> {
    let mut at = 0;
    while at < args.len() {
        if valued.contains(&args[at].as_str()) {
            at += 2;
        } else if bare.contains(&args[at].as_str()) {
            at += 1;
        } else {
            let known = [valued, bare].concat().join(" ");
            return Err(format!(
                "usage: unknown argument {:?}; known: {known}",
                args[at]
            ));
        }
    }
    Ok(())
}
