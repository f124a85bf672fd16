//! One run: a seed, perhaps a planted bug, to its outcome.

use crate::checkers::violation;
use crate::plan::Plan;
use crate::trace;
use crate::world::{Outcome, Tally, World};
use base::{Bug, Mark, probe};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A run's result and the coverage marks it hit.
pub struct Run {
    /// What it came to.
    pub outcome: Outcome,
    /// The trace, if it was asked for.
    pub lines: Vec<String>,
    /// Marks and how often.
    pub marks: BTreeMap<Mark, u64>,
}

/// Lets panics of a run be caught with their place, without a word on stderr. Once per process.
pub fn catch_panics() {
    panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|place| *place = Some(info.to_string()));
    }));
}

/// Runs a seed. A panic of the code under test is a broken promise like any other.
pub fn run(seed: u64, bug: Option<Bug>, readable: bool) -> Run {
    probe::plant(bug);
    probe::take_marks();
    let work = || World::new(Plan::new(seed), readable).run();
    let outcome = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let place = PANIC.with_borrow_mut(Option::take);
        let what = place
            .unwrap_or_else(|| "a panic".to_string())
            .replace('\n', " ");
        Outcome {
            violation: Some(violation("nothing panics", what)),
            hash: 0,
            tally: Tally::default(),
        }
    });
    probe::plant(None);
    let (lines, marks) = (trace::take_lines(), probe::take_marks());
    Run {
        outcome,
        lines,
        marks,
    }
}

/// True if most of the nodes that vote on metadata are lost in a seed's run.
pub fn is_ruined(seed: u64) -> bool {
    Plan::new(seed).ruin.is_some()
}

/// The plan of a seed in text.
pub fn describe(seed: u64) -> String {
    format!("{:#?}", Plan::new(seed))
}
