//! The floors of the house: a room sees only rooms on lower floors. Computed from
//! `cargo metadata`, so a dependency can't hide.

use super::Breach;
use serde_json::Value;

/// Every room and its floor. A new room gets its floor here before anything else.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("wire-kafka", 1),
    ("consensus", 1),
    ("group", 1),
    ("meta", 1),
    ("flotilla-log", 1),
    ("os", 1),
    ("shard", 2),
    ("broker", 3),
    ("serve-kafka", 4),
    ("serve-http", 4),
    ("cli", 4),
    ("flotilla", 5),
    ("sim", 5),
    ("e2e", 5),
    ("xtask", 5),
];

/// The real world is seen by the server alone: everybody else is given ports.
const OS_SEEN_BY: &[&str] = &["flotilla"];
/// Who may use the asynchronous runtime.
const TOKIO_SEEN_BY: &[&str] = &["os", "flotilla", "serve-http"];

fn floor(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(room, _)| *room == name)
        .map(|(_, floor)| *floor)
}

/// Checks every dependency of every room.
pub fn check(metadata: &Value) -> Result<Vec<Breach>, String> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata lists no packages")?;
    let rooms: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut breaches = Vec::new();
    for package in packages {
        let room = package["name"].as_str().unwrap_or_default();
        let path = manifest(package, metadata);
        if floor(room).is_none() {
            let message =
                format!("the room `{room}` has no floor; give it one in xtask/src/tidy/floors.rs");
            breaches.push(Breach::new(&path, 0, message));
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            breaches.extend(edge(room, dependency, &rooms).map(|m| Breach::new(&path, 0, m)));
        }
    }
    Ok(breaches)
}

fn manifest(package: &Value, metadata: &Value) -> String {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let path = package["manifest_path"].as_str().unwrap_or("Cargo.toml");
    path.strip_prefix(root)
        .unwrap_or(path)
        .trim_start_matches('/')
        .to_owned()
}

/// What is wrong with one dependency of `room`, if anything.
fn edge(room: &str, dependency: &Value, rooms: &[&str]) -> Option<String> {
    let to = dependency["name"].as_str().unwrap_or_default();
    if to == "tokio" && !TOKIO_SEEN_BY.contains(&room) {
        return Some(format!(
            "`{room}` depends on tokio; be a sync step machine and let `server` drive it"
        ));
    }
    if !rooms.contains(&to) {
        return None;
    }
    if to == "os" && !OS_SEEN_BY.contains(&room) {
        return Some(format!(
            "`{room}` sees `os`; take a port from `base` and let `server` hand it in"
        ));
    }
    let features = dependency["features"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let shipped = dependency["kind"].is_null();
    if shipped && to == "base" && features.iter().any(|f| f == "probe") {
        return Some(format!(
            "`{room}` enables base/probe in [dependencies], which plants bugs in the server too \
             (features unite); use [dev-dependencies] or a feature of its own"
        ));
    }
    let (from_floor, to_floor) = (floor(room)?, floor(to)?);
    if to_floor < from_floor {
        return None;
    }
    Some(format!(
        "`{room}` (floor {from_floor}) sees `{to}` (floor {to_floor}); edges go down only: move the \
         shared word to a lower floor or add a verb to the facade"
    ))
}
