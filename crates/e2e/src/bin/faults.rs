//! `faults`: kills or stops leaders of a fleet of three under load and judges what clients were
//! told. Run by `cargo xtask e2e faults`; prints JSON on stdout, the table on stderr.

use e2e::faults::{Fault, Plan, Report, TABLE_HEAD, run};
use e2e::{Scratch, binary};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: faults [--binary PATH] [--kills N] [--stops N] [--leaves N] [--calm SECONDS] \
                     [--partitions N] [--seconds N]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number =
        |name: &str, default: u64| value(name).map_or(Ok(default), |text| text.parse::<u64>());
    let numbers = (
        number("--kills", 20),
        number("--stops", 0),
        number("--partitions", 6),
        number("--seconds", 3600),
        number("--calm", 0),
        number("--leaves", 0),
    );
    let (Ok(kills), Ok(stops), Ok(partitions), Ok(seconds), Ok(calm), Ok(leaves)) = numbers else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(path) = value("--binary") {
        binary::choose(path.into());
    }
    let plan = |fault, times: u64| Plan {
        fault,
        times: times as usize,
        partitions: partitions as i32,
        hints: true,
        within: Duration::from_secs(seconds),
    };
    let calm = Plan {
        within: Duration::from_secs(calm),
        ..plan(Fault::Calm, calm.min(1))
    };
    let leave = plan(Fault::Leave, leaves);
    let plans = [
        plan(Fault::Kill, kills),
        plan(Fault::Stop, stops),
        leave,
        Plan {
            hints: false,
            ..leave
        },
        calm,
    ];
    let reports: Vec<Report> = plans
        .into_iter()
        .filter(|plan| plan.times > 0)
        .map(carry_out)
        .collect();
    println!(
        "{}",
        Value::Array(reports.iter().map(Report::json).collect())
    );
    eprintln!("{TABLE_HEAD}");
    reports
        .iter()
        .for_each(|report| eprintln!("{}", report.row()));
    let problems: Vec<&String> = reports.iter().flat_map(|report| &report.problems).collect();
    problems
        .iter()
        .for_each(|problem| eprintln!("problem: {problem}"));
    if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a plan; what went wrong can be looked at afterwards.
fn carry_out(plan: Plan) -> Report {
    let mut place = Scratch::new("faults");
    let mut report = run(plan, place.path());
    report.problems.extend(plan.too_long(&report.gaps));
    if !report.problems.is_empty() {
        place.keep();
    }
    report
}
