//! Three processes: a cluster forms, leaders die or freeze under load, nothing is lost.

use e2e::faults::{Fault, Plan, run};
use e2e::{Fleet, Scratch, Tool};
use std::time::Duration;

fn plan(fault: Fault) -> Plan {
    Plan {
        fault,
        times: 2,
        partitions: 3,
        hints: true,
        within: Duration::from_secs(120),
    }
}

#[test]
fn killed_leaders_lose_nothing() {
    let scratch = Scratch::new("kills");
    let report = run(plan(Fault::Kill), scratch.path());
    assert_eq!(report.done, 2);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

#[test]
fn frozen_leaders_lose_nothing() {
    let scratch = Scratch::new("stops");
    let report = run(plan(Fault::Stop), scratch.path());
    assert_eq!(report.done, 2);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

#[test]
fn leaders_that_leave_lose_nothing() {
    let scratch = Scratch::new("leaves");
    let report = run(plan(Fault::Leave), scratch.path());
    assert_eq!(report.done, 2);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

#[test]
fn all_killed_at_once_come_back_with_everything() {
    let scratch = Scratch::new("all");
    let mut fleet = Fleet::start(scratch.path(), &[]);
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    let lines: Vec<String> = (0..2000).map(|n| format!("line {n:05}")).collect();
    tool.produce("t", &lines);
    for id in 1..=3 {
        fleet.kill(id);
    }
    // The first two wait for each other, so they are started side by side.
    fleet.restart_all();
    fleet.settle("t").expect("it settles");
    let mut read = tool.consume("t");
    read.sort();
    assert_eq!(read, lines);
}

#[test]
fn one_node_after_the_other_can_be_restarted_in_good_order() {
    let scratch = Scratch::new("rolling");
    let mut fleet = Fleet::start_from_zero(scratch.path());
    let tool = Tool::new(&fleet.bootstrap());
    tool.create("t", &["--partitions", "3", "--replicas", "3"]);
    for id in 0..3 {
        tool.produce("t", &[format!("before {id}")]);
        assert_eq!(fleet.node(id).stop().code(), Some(0));
        tool.produce("t", &[format!("without {id}")]);
        fleet.restart(id);
        fleet.settle("t").expect("it settles");
    }
    let mut read = tool.consume("t");
    read.sort();
    assert_eq!(
        read,
        [
            "before 0",
            "before 1",
            "before 2",
            "without 0",
            "without 1",
            "without 2"
        ]
    );
}
