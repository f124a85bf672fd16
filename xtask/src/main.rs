//! The project's own tools, one subcommand a module. Nothing here ships.

mod alerts;
mod bench;
mod ci;
mod codegen;
mod connect;
mod diff;
mod e2e;
mod frameworks;
mod interop;
mod run;
mod server;
mod sim;
mod suites;
mod tidy;
mod tools;

use std::process::ExitCode;

type Subcommand = fn(&[String]) -> Result<(), String>;

/// Name, what it does, and the function.
const SUBCOMMANDS: &[(&str, &str, Subcommand)] = &[
    (
        "ci",
        "the whole gate: fmt, clippy, tidy, deny, tests, seeds, end to end",
        ci::run,
    ),
    (
        "tidy",
        "the house rules: floors, words, sizes, headers, links",
        tidy::run,
    ),
    (
        "codegen",
        "write the wire messages from Kafka's definitions",
        codegen::run,
    ),
    (
        "sim",
        "run ranges of simulation seeds, replay one",
        sim::run,
    ),
    (
        "e2e",
        "long end-to-end runs of real processes (e2e faults --kills 20)",
        e2e::run,
    ),
    (
        "interop",
        "clients in other languages, and Kafka's own tools, against a node",
        interop::run,
    ),
    (
        "alerts",
        "the alert rules and the names of metrics, checked by promtool",
        alerts::run,
    ),
    (
        "bench",
        "rows against Apache Kafka, interleaved; bench groups: groups and idle partitions",
        bench::run,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        return usage("no subcommand given");
    };
    let Some((_, _, subcommand)) = SUBCOMMANDS.iter().find(|(known, _, _)| known == name) else {
        return usage(&format!("there is no subcommand `{name}`"));
    };
    match subcommand(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {name}: {message}");
            ExitCode::from(if message.starts_with("usage") { 2 } else { 1 })
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("xtask: {problem}\n\nusage: cargo xtask SUBCOMMAND [ARGS]\n");
    for (name, about, _) in SUBCOMMANDS {
        eprintln!("  {name:<8} {about}");
    }
    ExitCode::from(2)
}
