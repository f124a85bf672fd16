//! The clock of the tool, in one place: deadlines, pauses between attempts, timestamps.

#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pause after the first failed attempt; it doubles.
pub const PAUSE_MIN: Duration = Duration::from_millis(5);
/// Longest pause between attempts, if nothing else is said.
pub const PAUSE_MAX: Duration = Duration::from_millis(100);

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(End);

#[derive(Clone, Copy, Debug)]
enum End {
    At(Instant),
    /// Once a test says so.
    #[cfg(test)]
    Told(&'static AtomicBool),
}

impl Deadline {
    /// The moment `wait` from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a tool for people reads the real clock"
    )]
    pub fn after(wait: Duration) -> Deadline {
        Deadline(End::At(Instant::now() + wait))
    }

    /// The moment at which a test says that it is over.
    #[cfg(test)]
    pub fn told(over: &'static AtomicBool) -> Deadline {
        Deadline(End::Told(over))
    }

    /// What is left; none if it has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a tool for people reads the real clock"
    )]
    pub fn left(self) -> Option<Duration> {
        let left = match self.0 {
            End::At(end) => end.checked_duration_since(Instant::now()),
            #[cfg(test)]
            End::Told(over) => (!over.load(Ordering::Relaxed)).then_some(Duration::from_secs(60)),
        };
        left.filter(|left| !left.is_zero())
    }

    /// The earlier of this and `wait` from now.
    pub fn within(self, wait: Duration) -> Deadline {
        match (self.0, Deadline::after(wait).0) {
            (End::At(this), End::At(other)) => Deadline(End::At(this.min(other))),
            #[cfg(test)]
            (end, _) => Deadline(end),
        }
    }
}

/// The pauses between attempts at one thing.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
    deadline: Deadline,
}

impl Pauses {
    /// Before the first attempt.
    pub fn until(deadline: Deadline) -> Pauses {
        Pauses {
            next: PAUSE_MIN,
            longest: PAUSE_MAX,
            deadline,
        }
    }

    /// The same with pauses that grow up to `longest`.
    pub fn growing_to(mut self, longest: Duration) -> Pauses {
        self.longest = longest;
        self
    }

    /// When no time is left for another attempt.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Waits before another attempt; false if there is no time for one.
    #[expect(
        clippy::disallowed_methods,
        reason = "a refused call is only worth repeating later"
    )]
    pub fn wait(&mut self) -> bool {
        let Some(left) = self.deadline.left() else {
            return false;
        };
        std::thread::sleep(self.next.min(left));
        self.next = (self.next * 2).min(self.longest);
        self.deadline.left().is_some()
    }
}

/// Waits between two looks at something that changes by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool for people that watches has to wait"
)]
pub fn sleep(wait: Duration) {
    std::thread::sleep(wait);
}

/// Milliseconds since 1970, for the timestamps of records.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool for people reads the real clock"
)]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
