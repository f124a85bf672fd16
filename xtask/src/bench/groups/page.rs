//! The page that shows what was measured.

use super::Store;
use super::cases::CASES;
use crate::bench::cluster::Side;

const HEAD: &str = "\
# Groups and idle partitions against Apache Kafka

Made by this command, which needs Java and the script that starts Apache Kafka:

```
cargo xtask bench groups --peer PATH/TO/kafka.sh --write
```

Each case ran once, on a fresh cluster of each side, on loopback of one machine, with the load beside it. Members are small clients
of our own (`crates/e2e/examples/group_load.rs`), each with a connection; the same for both sides. Processor time is user and system
time of all the brokers' processes.
";

/// Figures on one line.
pub fn brief(figures: &super::Figures) -> String {
    let shown = figures
        .iter()
        .map(|(name, value)| format!("{value:.2} {name}"));
    shown.collect::<Vec<_>>().join(", ")
}

/// The whole page.
pub fn page(store: &Store, machine: &[String]) -> String {
    let mut page = format!("{HEAD}\n");
    for fact in machine {
        page.push_str(&format!("- {fact}\n"));
    }
    for case in CASES {
        let ours = store.figures(case, Side::Flotilla).unwrap_or_default();
        let theirs = store.figures(case, Side::Kafka).unwrap_or_default();
        page.push_str(&format!(
            "\n## {}\n\n{}. Wanted: {}.\n\n",
            case.name, case.what, case.wanted
        ));
        if ours.is_empty() && theirs.is_empty() {
            page.push_str("Not measured.\n");
            continue;
        }
        page.push_str("| | Flotilla | Kafka | ratio |\n|---|---:|---:|---:|\n");
        let names = if ours.is_empty() { &theirs } else { &ours };
        for (name, _) in names {
            let of = |side: &[(String, f64)]| {
                side.iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| *value)
            };
            let (ours, theirs) = (of(&ours), of(&theirs));
            let shown =
                |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
            let ratio = ours.zip(theirs).filter(|(_, theirs)| *theirs > 0.0);
            let ratio = ratio.map(|(ours, theirs)| ours / theirs);
            page.push_str(&format!(
                "| {name} | {} | {} | {} |\n",
                shown(ours),
                shown(theirs),
                shown(ratio)
            ));
        }
    }
    page
}
