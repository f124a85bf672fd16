//! How fast records are sent, and what a person at a terminal sees of it.

use crate::args::{Output, Produce};
use crate::client::deadline::{sleep, wall_ms};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Between two looks of the person.
const LOOK_MS: i64 = 250;

/// Counts records, and holds them back if they come faster than they may go.
pub struct Pace {
    rate: Option<u32>,
    records: u64,
    start_ms: i64,
    shown_ms: i64,
    shows: bool,
}

impl Pace {
    pub fn new(args: &Produce) -> Pace {
        let now = wall_ms();
        // Who types sees what was typed.
        let file = args.file.is_some() || !std::io::stdin().is_terminal();
        let people = args.target.output == Output::Text && std::io::stderr().is_terminal();
        Pace {
            rate: args.rate,
            records: 0,
            start_ms: now,
            shown_ms: now,
            shows: file && people,
        }
    }

    /// One more record; true if it came before its time, so that what is gathered goes out now.
    pub fn count(&mut self) -> bool {
        self.records += 1;
        self.early_ms() > 0
    }

    fn early_ms(&self) -> i64 {
        let due = |rate: u32| (self.records * 1000 / u64::from(rate)) as i64;
        let passed = wall_ms() - self.start_ms;
        self.rate.map_or(0, |rate| due(rate) - passed)
    }

    /// Waits until the next record may go.
    pub fn wait(&self) {
        if let Ok(ms @ 1..) = u64::try_from(self.early_ms()) {
            sleep(Duration::from_millis(ms));
        }
    }

    /// Everything counted so far is in the log.
    pub fn sent(&mut self) {
        let now = wall_ms();
        if self.shows && now - self.shown_ms >= LOOK_MS {
            self.shown_ms = now;
            let rate = self.records as f64 * 1000.0 / (now - self.start_ms).max(1) as f64;
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "\r{} records, {rate:.0} a second ", self.records);
            let _ = stderr.flush();
        }
    }

    /// Leaves the line to what comes next.
    pub fn end(&self) {
        if self.shows && self.shown_ms > self.start_ms {
            let _ = write!(std::io::stderr(), "\r{:40}\r", "");
        }
    }
}
