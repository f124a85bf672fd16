//! `connections.max.idle.ms`: how long a connection may be without traffic.

use base::Mono;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Rings when a connection may have been idle for too long. It is set again only when it rings,
/// so that traffic costs nothing.
pub struct IdleTimer {
    limit: Option<Duration>,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    /// A timer for a connection that may be idle for `limit`; none: for ever.
    pub fn new(limit: Option<Duration>) -> IdleTimer {
        let never = Duration::from_secs(u64::from(u32::MAX));
        IdleTimer {
            limit,
            timer: Box::pin(sleep(limit.unwrap_or(never))),
        }
    }

    /// Waits until it rings.
    pub async fn over(&mut self) {
        self.timer.as_mut().await;
    }

    /// Sets the timer for a connection with traffic at `active`; false if that is too long ago.
    pub fn set(&mut self, active: Mono, now: Mono) -> bool {
        let limit = self.limit.unwrap_or(Duration::MAX);
        let left = limit.saturating_sub(now.since(active));
        let at = Instant::now().checked_add(left);
        if let Some(at) = at.filter(|_| !left.is_zero()) {
            self.timer.as_mut().reset(at);
        }
        !left.is_zero()
    }
}
