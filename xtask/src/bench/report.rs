//! Medians, ratios, and the page that shows them.

use crate::bench::{Outcome, Row};

/// One figure of a run and how it is shown.
struct Figure {
    name: &'static str,
    of: fn(&Outcome) -> Option<f64>,
    show: fn(f64) -> String,
}

const FIGURES: &[Figure] = &[
    Figure {
        name: "records/s",
        of: |o| Some(o.rates.rate),
        show: whole,
    },
    Figure {
        name: "p50 ms",
        of: |o| Some(o.rates.latency.as_ref()?.p50_ms),
        show: millis,
    },
    Figure {
        name: "p99 ms",
        of: |o| Some(o.rates.latency.as_ref()?.p99_ms),
        show: millis,
    },
    Figure {
        name: "p99.9 ms",
        of: |o| Some(o.rates.latency.as_ref()?.p999_ms),
        show: millis,
    },
    Figure {
        name: "broker CPU s per million",
        of: |o| Some(cpu_per_million(o)),
        show: tenths,
    },
    Figure {
        name: "resident MiB",
        of: |o| Some(o.usage.resident / MIB),
        show: whole,
    },
    Figure {
        name: "written MiB",
        of: |o| Some(o.usage.written / MIB),
        show: whole,
    },
    Figure {
        name: "fdatasyncs",
        of: |o| o.syncs,
        show: whole,
    },
];

const MIB: f64 = 1024.0 * 1024.0;

fn cpu_per_million(outcome: &Outcome) -> f64 {
    outcome.usage.cpu_s * 1e6 / outcome.rates.records
}

/// A run on one line.
pub fn brief(outcome: &Outcome) -> String {
    let shown = FIGURES.iter().filter_map(|figure| {
        let value = (figure.of)(outcome)?;
        Some(format!("{} {}", (figure.show)(value), figure.name))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// The whole page.
pub fn page(
    measured: &[(&Row, Vec<Vec<Outcome>>)],
    nodes: u32,
    rounds: usize,
    scale: f64,
    machine: &[String],
) -> String {
    let mut page = String::from(match nodes {
        1 => HEAD,
        _ => REPLICATED,
    });
    page.push_str(&format!(
        "\nRounds: {rounds}. Scale of the record counts: {scale}.\n\n"
    ));
    for fact in machine {
        page.push_str(&format!("- {fact}\n"));
    }
    for (row, outcomes) in measured {
        page.push_str(&format!("\n## {}\n\n", row.name));
        let ceiling = outcomes.iter().any(|round| round.len() > CEILING);
        let what = if rounds == 1 { "one round" } else { "median" };
        page.push_str(&format!("| {what} | Flotilla | Kafka | ratio |"));
        page.push_str(if ceiling { " ceiling | share |" } else { "" });
        page.push_str("\n|---|---:|---:|---:|");
        page.push_str(if ceiling { "---:|---:|" } else { "" });
        page.push('\n');
        for figure in FIGURES {
            page.push_str(&line(figure, outcomes, ceiling));
        }
    }
    page
}

const REPLICATED: &str = "\
# Three nodes against Apache Kafka

Made by this command, which needs Java and the script that starts Apache Kafka:

```
cargo xtask bench --nodes 3 --peer PATH/TO/kafka.sh --write
```

Three nodes of each side on one machine, every partition with three replicas, min.insync.replicas 2 on both sides. As in
[bench](bench.md): both clusters run all the while, runs take turns, the load is Kafka's own with acks=all and
otherwise default settings. Flotilla answers when a majority has synced the records; Kafka answers when all replicas in sync have them in
their page caches. Processor time, memory, written bytes and syncs are those of the three nodes together.
";

const HEAD: &str = "\
# One node against Apache Kafka

Made by this command, which needs Java and the script that starts Apache Kafka:

```
cargo xtask bench --peer PATH/TO/kafka.sh --ceiling --write
```

Both brokers run all the while with one node each; runs take turns (A B A B), each with a topic of
its own, after an uncounted first round. The load is Kafka's ProducerPerformance with acks=all and
otherwise default settings, on the same machine as the broker, so it takes its share of the
processor from both alike. Flotilla answers after fdatasync; Kafka's default never syncs an append.
Latencies of the rows that send as fast as they can are mostly time spent in the producer's queue.
Processor time is user and system time of the broker's process over the run; written bytes are what
the kernel charges to the process. The ceiling, where there is one, is a broker that answers at once
and keeps nothing (`--ceiling`): what the load itself reaches on this machine, beside a broker that
costs next to nothing. The share is our figure as a part of it.
";

/// What was written by hand below the figures: it is kept, to be read again beside the new ones.
pub fn remarks(page: &str) -> &str {
    page.find("\n## Read with care")
        .map_or("", |at| &page[at..])
}

/// The place of the broker that keeps nothing in a round, after Flotilla and Kafka.
const CEILING: usize = 2;

/// A figure's line; nothing if no run has it.
fn line(figure: &Figure, outcomes: &[Vec<Outcome>], ceiling: bool) -> String {
    let of = |round: &Vec<Outcome>, side: usize| round.get(side).and_then(figure.of);
    let side = |side: usize| median(outcomes.iter().filter_map(|r| of(r, side)).collect());
    let (ours, theirs, ceilings) = (side(0), side(1), side(CEILING));
    if ours.is_none() && theirs.is_none() {
        return String::new();
    }
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure.show);
    let ratio = |of: Option<f64>| match ours.zip(of) {
        Some((ours, of)) if of > 0.0 => format!("{:.2}", ours / of),
        _ => "-".into(),
    };
    let mut line = format!(
        "| {} | {} | {} | {} |",
        figure.name,
        shown(ours),
        shown(theirs),
        ratio(theirs)
    );
    if ceiling {
        line.push_str(&format!(" {} | {} |", shown(ceilings), ratio(ceilings)));
    }
    line.push('\n');
    line
}

/// A number without decimals, its thousands set apart.
fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if value <= -0.5 {
        format!("-{shown}")
    } else {
        shown
    }
}

/// Whole milliseconds, and hundredths where there are few.
fn millis(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        whole(value)
    }
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}
