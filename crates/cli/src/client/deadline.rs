//! The clock of the tool, in one place: deadlines, pauses between attempts, timestamps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pause after the first failed attempt; it doubles up to [`PAUSE_MAX`].
pub const PAUSE_MIN: Duration = Duration::from_millis(5);
/// Longest pause between attempts.
pub const PAUSE_MAX: Duration = Duration::from_millis(100);

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `wait` from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "a tool for people reads the real clock"
    )]
    pub fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now() + wait)
    }

    /// What is left; none if it has passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a tool for people reads the real clock"
    )]
    pub fn left(self) -> Option<Duration> {
        self.0
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// The earlier of this and `wait` from now.
    pub fn within(self, wait: Duration) -> Deadline {
        Deadline(self.0.min(Deadline::after(wait).0))
    }
}

/// The pauses between attempts at one thing.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    deadline: Deadline,
}

impl Pauses {
    /// Before the first attempt.
    pub fn until(deadline: Deadline) -> Pauses {
        Pauses {
            next: PAUSE_MIN,
            deadline,
        }
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
        self.next = (self.next * 2).min(PAUSE_MAX);
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
