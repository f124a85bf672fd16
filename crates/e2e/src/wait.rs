//! Waiting for a condition, with a deadline; and the clock, in one place.

use std::time::{Duration, Instant};

/// Pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);
/// Longest wait for anything in a test.
pub const LONG: Duration = Duration::from_secs(60);

/// The moment.
#[expect(
    clippy::disallowed_methods,
    reason = "real processes live in real time"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until `ready` has an answer, at most for `within`.
#[expect(
    clippy::disallowed_methods,
    reason = "a pause between two looks at a condition"
)]
pub fn poll<T>(within: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + within;
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if now() >= end {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Looks until `ready` has an answer; an error that names `what` if that takes too long.
pub fn patiently<T>(what: &str, ready: impl FnMut() -> Option<T>) -> Result<T, String> {
    poll(LONG, ready).ok_or_else(|| format!("waited {} s for {what}", LONG.as_secs()))
}

/// Looks until `ready` has an answer; panics with `what` if that takes too long.
#[track_caller]
pub fn until<T>(what: &str, ready: impl FnMut() -> Option<T>) -> T {
    patiently(what, ready).unwrap_or_else(|problem| panic!("{problem}"))
}
