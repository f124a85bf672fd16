//! `cargo xtask bench groups`: what idle groups, commits, large groups and idle partitions cost,
//! and what the death of a member or a broker costs, against Apache Kafka. Each case runs on a
//! fresh cluster of each side; its figures are kept, and the next run goes on with what is
//! missing. The load is `crates/e2e/examples/group_load.rs`.

mod cases;
mod page;

use crate::bench::cluster::{Side, Tools};
use crate::run::{flag, only_flags, root, target_directory};
use cases::{CASES, Case};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Figures of a case by their names, in order.
type Figures = Vec<(&'static str, f64)>;

const USAGE: &str = "usage: cargo xtask bench groups [--peer PATH] [--binary PATH] [--only CASE,..] [--side flotilla|kafka] \
     [--again] [--write]";

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<(), String> {
    let valued = ["--peer", "--binary", "--only", "--side"];
    only_flags(args, &valued, &["--again", "--write"])?;
    let only: Option<String> = flag(args, "--only")?;
    let side: Option<String> = flag(args, "--side")?;
    let wanted = |case: &Case| {
        let names = only.as_deref().map(|only| only.split(','));
        names.is_none_or(|mut names| names.any(|name| name == case.name))
    };
    let sides: Vec<Side> = match side.as_deref() {
        None => vec![Side::Flotilla, Side::Kafka],
        Some("flotilla") => vec![Side::Flotilla],
        Some("kafka") => vec![Side::Kafka],
        Some(_) => return Err(USAGE.into()),
    };
    let tools = Tools::gather(args, "groups", "group_load")?;
    let mut store = Store::open(&target_directory()?.join("bench/groups.json"))?;
    let again = args.iter().any(|arg| arg == "--again");
    for case in CASES.iter().filter(|case| wanted(case)) {
        for side in &sides {
            if !again && store.figures(case, *side).is_some() {
                continue;
            }
            println!("bench: {} on {side:?}", case.name);
            let figures = case.run(&tools, *side)?;
            println!("  {}", page::brief(&figures));
            store.keep(case, *side, &figures)?;
        }
    }
    if args.iter().any(|arg| arg == "--write") {
        let machine = super::machine::facts(&target_directory()?)?;
        let path = root().join("docs/bench-groups.md");
        let text = page::page(&store, &machine);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// What was measured so far.
struct Store {
    path: PathBuf,
    kept: Map<String, Value>,
}

impl Store {
    fn open(path: &Path) -> Result<Store, String> {
        let kept = match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display())),
            Err(_) => Ok(Map::new()),
        };
        Ok(Store {
            path: path.to_owned(),
            kept: kept?,
        })
    }

    fn key(case: &Case, side: Side) -> String {
        format!("{}/{side:?}", case.name)
    }

    fn keep(&mut self, case: &Case, side: Side, figures: &Figures) -> Result<(), String> {
        let figures = figures
            .iter()
            .map(|(name, value)| (*name).to_owned() + "=" + &value.to_string());
        let figures: Vec<String> = figures.collect();
        self.kept.insert(Store::key(case, side), json!(figures));
        let text = serde_json::to_string_pretty(&self.kept).expect("a map of texts");
        std::fs::write(&self.path, text).map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// A case's figures by their names.
    fn figures(&self, case: &Case, side: Side) -> Option<Vec<(String, f64)>> {
        let kept = self.kept.get(&Store::key(case, side))?.as_array()?;
        let figure = |text: &Value| {
            let (name, value) = text.as_str()?.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        kept.iter().map(figure).collect()
    }
}

#[cfg(test)]
mod tests;
