//! The node's budget for requests that have not arrived whole: a request counts in the budget when
//! it is served, but its first half needs memory too, and a client may never send the second.

use base::Mono;
use broker::{Budget, Share};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an unfinished request that each connection has for free.
pub const FREE_BYTES: u64 = 64 * 1024;
/// The largest share taken at once.
const STEP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How long a connection may wait for a share. Half-sent requests that wait for each other would
/// wait for ever.
pub const STARVE_MAX: Duration = Duration::from_secs(10);
/// Pause before the budget is asked again.
pub const RETRY: Duration = Duration::from_millis(5);

/// The shares of one connection.
#[derive(Default)]
pub struct Intake {
    shares: Vec<Share>,
    bytes: u64,
    starving_since: Option<Mono>,
}

/// The budget had no share for too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for its request for {} seconds", STARVE_MAX.as_secs())]
pub struct Starved;

impl Intake {
    /// Makes the shares fit what is unfinished. False if the budget has no more: then nothing is
    /// to be read until a later call says true.
    pub fn cover(
        &mut self,
        budget: &Arc<Budget>,
        unfinished: usize,
        now: Mono,
    ) -> Result<bool, Starved> {
        let needed = (unfinished as u64).saturating_sub(FREE_BYTES);
        if needed == 0 {
            *self = Intake::default();
        }
        while self.bytes < needed {
            let step = self.bytes.clamp(FREE_BYTES, STEP_BYTES_MAX);
            let Some(share) = budget.take(step) else {
                let since = *self.starving_since.get_or_insert(now);
                return if now.since(since) < STARVE_MAX {
                    Ok(false)
                } else {
                    Err(Starved)
                };
            };
            self.shares.push(share);
            self.bytes += step;
        }
        self.starving_since = None;
        Ok(true)
    }

    /// True while the budget has no share.
    pub fn is_starving(&self) -> bool {
        self.starving_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_small_request_costs_nothing_and_a_finished_one_gives_everything_back() {
        let budget = Arc::new(Budget::new(MIB));
        let mut intake = Intake::default();
        assert_eq!(
            intake.cover(&budget, FREE_BYTES as usize, Mono(0)),
            Ok(true)
        );
        assert_eq!(budget.used(), 0);
        assert_eq!(intake.cover(&budget, MIB as usize / 2, Mono(0)), Ok(true));
        assert!(budget.used() >= MIB / 2 - FREE_BYTES);
        assert_eq!(intake.cover(&budget, 0, Mono(0)), Ok(true));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn half_sent_requests_never_exceed_the_budget_and_starve_in_the_end() {
        let budget = Arc::new(Budget::new(8 * MIB));
        let mut intakes: Vec<Intake> = (0..100).map(|_| Intake::default()).collect();
        let mut refused = 0;
        for intake in &mut intakes {
            let covered = intake
                .cover(&budget, MIB as usize, Mono(0))
                .expect("just asked");
            refused += usize::from(!covered);
        }
        assert!(refused >= 90, "{refused}");
        assert!(budget.used() <= 8 * MIB);
        let last = intakes.last_mut().expect("a hundred");
        assert!(last.is_starving());
        let soon = Mono(0).after(STARVE_MAX / 2);
        assert_eq!(last.cover(&budget, MIB as usize, soon), Ok(false));
        let late = Mono(0).after(STARVE_MAX);
        assert_eq!(last.cover(&budget, MIB as usize, late), Err(Starved));
    }
}
