//! The node's budget for requests that have not arrived whole: a request counts in the budget when
//! it is served, but its first half needs memory too, and a client may never send the second.

use base::Mono;
use base::limits::REQUEST_FREE_BYTES as FREE_BYTES;
use broker::{Budget, Share};
use std::sync::Arc;
use std::time::Duration;

/// The largest share taken at once.
const STEP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How long a request may take to arrive while it has a share that others ask for in vain.
pub const UNFINISHED_MAX: Duration = Duration::from_secs(10);
/// How long a connection may wait for a share, longer than those may take who have one. Half-sent
/// requests that wait for each other would wait for ever.
pub const STARVE_MAX: Duration = Duration::from_secs(20);
/// Pause before the budget is asked again.
const RETRY: Duration = Duration::from_millis(5);
/// Pause before it is looked again whether others need the share of a slow one.
const LOOK: Duration = Duration::from_millis(500);

/// The shares of one connection.
#[derive(Default)]
pub struct Intake {
    shares: Vec<Share>,
    bytes: u64,
    /// Bytes of the request that had arrived when this was asked last.
    arrived: usize,
    /// When the first of its shares was taken.
    since: Option<Mono>,
    starving_since: Option<Mono>,
}

/// Why a connection is ended before its request has arrived.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The budget had no share for too long.
    #[error(
        "there was no memory for its request for {} seconds (queued.max.request.bytes)",
        STARVE_MAX.as_secs()
    )]
    Starved,
    /// Others need its share.
    #[error(
        "after {} seconds its request has not arrived, and others wait for the {bytes} bytes of memory \
         that it holds (queued.max.request.bytes)",
        UNFINISHED_MAX.as_secs()
    )]
    Slow {
        /// What it holds.
        bytes: u64,
    },
}

impl Intake {
    /// Makes the shares fit what is unfinished. False if the budget has no more: then nothing is
    /// to be read until a later call says true.
    pub fn cover(
        &mut self,
        budget: &Arc<Budget>,
        unfinished: usize,
        now: Mono,
    ) -> Result<bool, Ended> {
        let needed = (unfinished as u64).saturating_sub(FREE_BYTES);
        if needed == 0 {
            *self = Intake::default();
            return Ok(true);
        }
        if unfinished < self.arrived {
            // Another request than the one before.
            self.since = None;
        }
        self.arrived = unfinished;
        let since = *self.since.get_or_insert(now);
        let slow = self.starving_since.is_none() && now.since(since) >= UNFINISHED_MAX;
        if slow && budget.is_lacked(now, LOOK) {
            return Err(Ended::Slow { bytes: self.bytes });
        }
        while self.bytes < needed {
            let step = self.bytes.clamp(FREE_BYTES, STEP_BYTES_MAX);
            let Some(share) = budget.take(step) else {
                budget.lack(now);
                let since = *self.starving_since.get_or_insert(now);
                return if now.since(since) < STARVE_MAX {
                    Ok(false)
                } else {
                    Err(Ended::Starved)
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

    /// When to call [`Intake::cover`] again even if nothing comes.
    pub fn resume_at(&self, now: Mono) -> Option<Mono> {
        if self.is_starving() {
            return Some(now.after(RETRY));
        }
        let due = self.since?.after(UNFINISHED_MAX);
        Some(due.max(now.after(LOOK)))
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
        assert_eq!(last.cover(&budget, MIB as usize, late), Err(Ended::Starved));
    }

    #[test]
    fn who_takes_long_is_ended_only_if_others_need_its_share() {
        let budget = Arc::new(Budget::new(2 * MIB));
        let mut slow = Intake::default();
        let whole = MIB as usize;
        assert_eq!(slow.cover(&budget, whole, Mono(1)), Ok(true));
        let due = Mono(1).after(UNFINISHED_MAX);
        assert_eq!(slow.resume_at(Mono(1)), Some(due));
        let later = due.after(UNFINISHED_MAX);
        assert_eq!(slow.cover(&budget, whole + 1, later), Ok(true));

        let mut starving = Intake::default();
        assert_eq!(starving.cover(&budget, 3 * whole, later), Ok(false));
        // One that has just begun may take its time.
        let mut next = slow.cover(&budget, whole / 2, later);
        assert_eq!(next, Ok(true));
        next = slow.cover(&budget, whole, later.after(UNFINISHED_MAX / 2));
        assert_eq!(next, Ok(true));
        let late = later.after(UNFINISHED_MAX);
        assert_eq!(starving.cover(&budget, 3 * whole, late), Ok(false));
        let ended = slow.cover(&budget, whole + 1, late);
        assert!(matches!(ended, Err(Ended::Slow { bytes }) if bytes >= MIB / 2));
        drop(slow);
        assert_eq!(starving.cover(&budget, 2 * whole, late), Ok(true));
    }
}
