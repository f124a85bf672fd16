//! The starter set of alert rules speaks of metrics that a node has.

use e2e::{Scratch, Setup, Tool, binary, http, wait};
use std::collections::BTreeSet;

/// Words of the rules that are names of metrics.
fn named(rules: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = rules.lines().filter(|line| line.contains("expr:"));
    let words = words.flat_map(|line| line.split(word));
    words
        .filter(|word| word.starts_with("flotilla_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_of_the_alert_rules_exists() {
    let scratch = Scratch::new("alerts");
    let setup =
        Setup::single(&scratch.join("data")).with(&["--set", "group.initial.rebalance.delay.ms=0"]);
    let node = setup.start();
    let tool = Tool::new(&node.kafka);
    tool.create("orders", &["--partitions", "1"]);
    tool.produce("orders", &["one".to_owned(), "two".to_owned()]);
    tool.run(&["consume", "orders", "--group", "g", "-n", "1"])
        .ok();
    let rules = binary::checkout().join("docs/alerts/flotilla.yml");
    let named = named(&std::fs::read_to_string(rules).expect("the rules"));
    assert!(named.len() >= 12, "{named:?}");
    for name in named {
        // What a busy node can't tell in time is there at the next scrape.
        let samples = ["{", " "].map(|end| format!("{name}{end}"));
        wait::until(&name, || {
            samples
                .iter()
                .find_map(|start| http::figure(&node.http, start))
        });
    }
    drop(node);
}
