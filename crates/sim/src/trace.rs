//! The trace of a run: a number that two runs of a seed share if everything happened the same
//! way, and, if somebody wants to read it, a line for everything.

use crate::scheduler::Micros;
use std::cell::RefCell;

thread_local! {
    /// Kept here so that a panic leaves them: the last lines before it tell most.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The trace.
pub(crate) struct Trace {
    hash: u64,
    readable: bool,
}

/// Takes the lines of the run that this thread did last.
pub(crate) fn take_lines() -> Vec<String> {
    LINES.take()
}

impl Trace {
    /// An empty trace; `readable` if lines are to be kept.
    pub(crate) fn new(readable: bool) -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            readable,
        }
    }

    /// Something happened.
    pub(crate) fn note(&mut self, what: u64, who: u64, more: u64) {
        for word in [what, who, more] {
            self.hash = (self.hash ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29);
        }
    }

    /// True if lines are kept.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// A line for the reader.
    pub(crate) fn tell(&self, now: Micros, line: impl FnOnce() -> String) {
        if self.readable {
            let line = format!("{:>3}.{:06}  {}", now / 1_000_000, now % 1_000_000, line());
            LINES.with_borrow_mut(|lines| lines.push(line));
        }
    }

    /// The number.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
