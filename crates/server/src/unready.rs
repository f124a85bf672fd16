//! Says why the node isn't ready as long as it isn't, so that a log tells whom a start waits for, or what is
//! missing since: soon, then more and more seldom. What the reason is, [`Health`] knows.

use crate::health::Health;
use serve_http::Probe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// When it is said for the first time: most starts are over by then.
const FIRST: Duration = Duration::from_secs(3);
/// The longest pause before it is said again; pauses double.
const SELDOM: Duration = Duration::from_secs(60);

/// When to say again why something isn't as it should be.
#[derive(Debug)]
struct Saying {
    waited: Duration,
    next: Duration,
    pause: Duration,
}

impl Saying {
    fn new() -> Saying {
        Saying {
            waited: Duration::ZERO,
            next: FIRST,
            pause: FIRST,
        }
    }

    /// So much time has gone by: how long it has been in all, if that is to be said now.
    fn after(&mut self, wait: Duration) -> Option<Duration> {
        self.waited += wait;
        if self.waited < self.next {
            return None;
        }
        self.pause = (self.pause * 2).min(SELDOM);
        self.next = self.waited + self.pause;
        Some(self.waited)
    }

    /// How long it has been, if anything was said.
    fn said(&self) -> Option<Duration> {
        (self.next > FIRST).then_some(self.waited)
    }
}

/// Watches until the node is told to stop.
pub async fn tell(health: Arc<Health>) {
    let (mut saying, mut started) = (Saying::new(), false);
    loop {
        sleep(LOOK).await;
        if health.stopping.load(Ordering::Relaxed) {
            return;
        }
        let Some(why) = health.not_ready() else {
            if let Some(waited) = saying.said() {
                tracing::info!("ready after {} s", waited.as_secs());
            }
            (saying, started) = (Saying::new(), true);
            continue;
        };
        if let Some(waited) = saying.after(LOOK) {
            let waited = waited.as_secs();
            match started {
                false => tracing::info!("not ready after {waited} s: {why}"),
                true => tracing::warn!("not ready any more, for {waited} s: {why}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_soon_and_then_more_and_more_seldom() {
        let mut saying = Saying::new();
        let looks = (0..600).filter_map(|_| saying.after(LOOK));
        let said: Vec<u64> = looks.map(|waited| waited.as_secs()).collect();
        assert_eq!(said, [3, 9, 21, 45, 93, 153, 213, 273]);
        assert!(saying.said().is_some());
        assert_eq!(Saying::new().said(), None);
    }
}
