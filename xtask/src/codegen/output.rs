//! Writes the generated files, or compares them with those that are there.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The text as rustfmt lays it out with the workspace's settings.
pub fn pretty(text: &str) -> Result<String, String> {
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("rustfmt: {e}"))?;
    let mut input = rustfmt.stdin.take().expect("stdin was asked for");
    input
        .write_all(text.as_bytes())
        .map_err(|e| format!("rustfmt: {e}"))?;
    drop(input);
    let done = rustfmt
        .wait_with_output()
        .map_err(|e| format!("rustfmt: {e}"))?;
    if !done.status.success() {
        return Err(format!("rustfmt refused:\n{text}"));
    }
    String::from_utf8(done.stdout).map_err(|e| format!("rustfmt: {e}"))
}

/// Replaces the directory's content by `files`.
pub fn write(root: &Path, files: &[(String, String)]) -> Result<(), String> {
    fs::create_dir_all(root).map_err(|e| format!("{}: {e}", root.display()))?;
    for name in names(root)? {
        if !files.iter().any(|(file, _)| *file == name) {
            fs::remove_file(root.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    for (name, text) in files {
        fs::write(root.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// An error that names the files which aren't what the generator would write.
pub fn check(root: &Path, files: &[(String, String)]) -> Result<(), String> {
    let mut stale: Vec<String> = names(root)?;
    stale.retain(|name| !files.iter().any(|(file, _)| file == name));
    for (name, text) in files {
        if fs::read_to_string(root.join(name)).ok().as_ref() != Some(text) {
            stale.push(name.clone());
        }
    }
    match stale.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "stale: {}; run `cargo xtask codegen`",
            stale.join(", ")
        )),
    }
}

fn names(root: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root).map_err(|e| format!("{}: {e}", root.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}
