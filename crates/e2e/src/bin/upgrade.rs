//! `upgrade`: rolls a fleet of three from one binary to another under load and judges what clients
//! were told. Run by `cargo xtask e2e upgrade`.

use e2e::{Scratch, binary, upgrade};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(PathBuf::from);
    let (Some(old), Some(new)) = (args.next(), args.next()) else {
        eprintln!("usage: upgrade OLD-BINARY NEW-BINARY [--rises]");
        return ExitCode::from(2);
    };
    let rises = args
        .next()
        .is_some_and(|word| word.as_os_str() == "--rises");
    binary::choose(new.clone());
    let mut place = Scratch::new("upgrade");
    let report = upgrade::run((&old, &new), rises, place.path());
    println!(
        "upgrade: {}; {} records acknowledged, {} problems",
        report.level,
        report.acked,
        report.problems.len()
    );
    if report.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    place.keep();
    let named = report.problems.iter();
    named.for_each(|problem| eprintln!("problem: {problem}"));
    ExitCode::FAILURE
}
