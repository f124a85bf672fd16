//! Time as an argument. Two clocks: one that only runs forward, for waiting; one that people
//! read, for timestamps. Nothing in this workspace below `os` reads a clock on its own.

use std::time::Duration;

/// Microseconds on a clock that never goes back. Only differences mean something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Mono(pub u64);

impl Mono {
    /// The moment `wait` later.
    pub fn after(self, wait: Duration) -> Mono {
        Mono(
            self.0
                .saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// The moment `wait` earlier; the first one if there is none.
    pub fn before(self, wait: Duration) -> Mono {
        Mono(
            self.0
                .saturating_sub(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since 1970, as Kafka writes timestamps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct WallMs(pub i64);

/// What a step is told about time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For timestamps in records.
    pub wall: WallMs,
}
