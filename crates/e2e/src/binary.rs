//! The binary under test: built once a process by cargo, or named by `E2E_BINARY`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Uses this binary instead of building one. Counts only before the first [`flotilla`].
pub fn choose(path: PathBuf) {
    let _ = BINARY.set(path);
}

/// The path of the binary.
pub fn flotilla() -> &'static Path {
    BINARY.get_or_init(|| match std::env::var_os("E2E_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// The root of the checkout.
pub fn checkout() -> &'static Path {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    room.ancestors()
        .nth(2)
        .expect("the room lies two folders below the root")
}

/// Builds the server alone: with the features of its own and not those of the test tools.
fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--package",
            "flotilla",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(checkout())
        .output()
        .expect("cargo can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the server doesn't build:\n{errors}"
    );
    let built = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "flotilla")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.expect("cargo names the executable it built")
}
