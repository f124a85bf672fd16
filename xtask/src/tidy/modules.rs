//! No dead files: every Rust file is reached from a crate root by `mod`.

use super::{Breach, TextFile};
use std::collections::BTreeMap;

/// Checks that each file's parent declares it.
pub fn check(files: &[TextFile]) -> Vec<Breach> {
    let rust: BTreeMap<&str, &TextFile> = files
        .iter()
        .filter(|f| f.source.is_some())
        .map(|f| (f.path.as_str(), f))
        .collect();
    rust.keys()
        .filter(|path| !is_root(path) && !is_declared(path, &rust))
        .map(|path| {
            Breach::new(
                path,
                0,
                "no `mod` reaches this file; declare it or delete it",
            )
        })
        .collect()
}

/// Marks the files that only `#[cfg(test)] mod name;` reaches, and those below them.
pub fn mark_tests(files: &mut [TextFile]) {
    let mut below = Vec::new();
    for file in files.iter() {
        let Some(source) = &file.source else { continue };
        let code: Vec<&str> = source.code.lines().map(str::trim).collect();
        for pair in code.windows(2) {
            if let ("#[cfg(test)]", Some(name)) = (pair[0], declared(pair[1])) {
                below.push(format!("{}/{name}", folder_of(&file.path)));
            }
        }
    }
    for file in files {
        let under = |place: &String| {
            file.path
                .strip_prefix(place.as_str())
                .is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        file.test |= below.iter().any(under);
    }
}

/// The folder in which the modules that a file declares lie.
fn folder_of(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

/// Files that cargo finds by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let (name, folder) = (
        parts[parts.len() - 1],
        parts.get(parts.len().wrapping_sub(2)),
    );
    let found = ["bin", "tests", "benches", "examples"];
    // A program of several files lies in a folder of its own there.
    if name == "main.rs" && parts.len() > 2 && found.contains(&parts[parts.len() - 3]) {
        return true;
    }
    match folder {
        Some(&"src") => ["lib.rs", "main.rs"].contains(&name),
        Some(folder) if found.contains(folder) => parts[..parts.len() - 2].last() != Some(&"tests"),
        _ => name == "build.rs",
    }
}

fn is_declared(path: &str, rust: &BTreeMap<&str, &TextFile>) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else {
        return false;
    };
    let stem = name.trim_end_matches(".rs");
    let (folder, module) = match stem {
        "mod" => folder.rsplit_once('/').unwrap_or(("", folder)),
        _ => (folder, stem),
    };
    let parents = [
        format!("{folder}.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    let declares = |file: &TextFile| {
        let code = file
            .source
            .as_ref()
            .map_or("", |source| source.code.as_str());
        code.lines().any(|line| declared(line) == Some(module))
    };
    let in_tests = folder.ends_with("/tests");
    parents
        .iter()
        .any(|parent| rust.get(parent.as_str()).is_some_and(|file| declares(file)))
        || (in_tests
            && rust
                .iter()
                .any(|(p, f)| p.starts_with(folder) && declares(f)))
}

/// The module that a line like `pub(crate) mod name;` declares.
fn declared(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let starts = before.is_empty() || before.ends_with([' ', ']']);
    let name = after.trim_end().strip_suffix(';')?;
    starts.then_some(name.trim())
}
