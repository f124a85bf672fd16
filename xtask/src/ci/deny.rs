//! Licences, bans and sources of every dependency. `cargo deny` judges if it is installed; else
//! a check of our own reads the same `deny.toml` (the subset it uses) and the resolved graph.

use crate::run::{cargo, checked, exists, metadata, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What `deny.toml` says, as far as the own check reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    licences: BTreeSet<String>,
    /// A banned crate, and the crates that may bring it along all the same.
    banned: BTreeMap<String, BTreeSet<String>>,
}

/// Runs whichever check there is and says which.
pub fn check() -> Result<(), String> {
    if exists("cargo-deny", "--version") {
        println!("deny: cargo-deny (licenses bans sources)");
        return checked(cargo().args(["deny", "check", "licenses", "bans", "sources"]));
    }
    println!("deny: cargo-deny is not installed; own check of licences, bans and sources ran");
    let text =
        std::fs::read_to_string(root().join("deny.toml")).map_err(|e| format!("deny.toml: {e}"))?;
    let problems = judge(&Policy::parse(&text), &metadata(true)?);
    for problem in &problems {
        eprintln!("deny: {problem}");
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("{} dependencies refused", problems.len()))
    }
}

impl Policy {
    /// Reads `allow = [...]` of `[licenses]`, `crate = "..."` and `wrappers = [...]` of `[bans]`.
    fn parse(text: &str) -> Policy {
        let mut policy = Policy::default();
        let mut section = "";
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
        {
            if line.starts_with('[') {
                section = line;
            }
            match section {
                "[licenses]" => policy.licences.extend(quoted(line)),
                "[bans]" if line.contains("crate = ") => {
                    let wrappers = line.split("wrappers = [").nth(1).unwrap_or_default();
                    let wrappers = quoted(wrappers.split(']').next().unwrap_or_default()).collect();
                    policy
                        .banned
                        .extend(quoted(line).next().map(|name| (name, wrappers)));
                }
                _ => {}
            }
        }
        policy
    }
}

/// The quoted words of a line.
fn quoted(line: &str) -> impl Iterator<Item = String> {
    line.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// Everything in the resolved graph that the policy refuses.
fn judge(policy: &Policy, metadata: &Value) -> Vec<String> {
    let mut problems = bans(policy, metadata);
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &policy.licences) {
            problems.push(format!(
                "{name} has the licence {licence:?}, which is not allowed"
            ));
        }
        match package["source"].as_str() {
            None | Some("registry+https://github.com/rust-lang/crates.io-index") => {}
            Some(source) => {
                problems.push(format!("{name} comes from {source}, not from crates.io"))
            }
        }
    }
    problems
}

/// Every edge of the graph to a banned crate that no wrapper excuses.
fn bans(policy: &Policy, metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let name = |of: &Value| of["name"].as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<&str, String> = packages
        .map(|p| (p["id"].as_str().unwrap_or_default(), name(p)))
        .collect();
    let mut problems = Vec::new();
    for node in metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let user = node["id"]
            .as_str()
            .and_then(|id| names.get(id))
            .cloned()
            .unwrap_or_default();
        for id in node["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let used = names.get(id).cloned().unwrap_or_default();
            if policy
                .banned
                .get(&used)
                .is_some_and(|wrappers| !wrappers.contains(&user))
            {
                problems.push(format!(
                    "{user} depends on {used}, which is banned; deny.toml says why"
                ));
            }
        }
    }
    problems
}

/// True if an SPDX expression can be met by allowed licences. `AND` binds closer than `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = term(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= term(words, at, allowed);
    }
    met
}

fn term(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1; // the closing one
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        let name = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(&name);
    }
    allowed.contains(*word)
}

#[cfg(test)]
mod tests;
