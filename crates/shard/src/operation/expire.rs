//! Idempotent producers that are silent for long are forgotten (`producer.id.expiration.ms`), by each
//! replica for itself: only whoever leads judges producers, and what a replica still knows of one that
//! others forgot harms nobody.

use crate::Shard;
use crate::producers::LOOKS_PER_EXPIRATION;
use base::{Bug, GroupId, Mono, planted};
use std::collections::VecDeque;
use std::time::Duration;

/// The key of this node that changes while it runs, as Kafka names it.
const EXPIRATION_MS: &str = "producer.id.expiration.ms";
/// A short time is looked after more often, so that it isn't over for long before somebody looks; but
/// not more often than this.
const LOOKS_MIN: Duration = Duration::from_millis(100);
/// Groups looked at in one turn at most.
const GROUPS_PER_TURN: usize = 256;

/// A round over all replicas.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    next_round: Mono,
    left: VecDeque<GroupId>,
}

impl Shard {
    /// Begins a round if it is time, and goes on with the one under way. Beats are often enough for
    /// both.
    pub(crate) fn expire_producers(&mut self) {
        let is_due = self.now.mono >= self.expiries.next_round;
        if !is_due && self.expiries.left.is_empty() {
            return;
        }
        let expiration = self.producer_expiration();
        if is_due {
            self.expiries.next_round = self.now.mono.after(self.between_expiries(expiration));
            self.expiries.left = self.replicas.keys().copied().collect();
        }
        for _ in 0..GROUPS_PER_TURN {
            let Some(group) = self.expiries.left.pop_front() else {
                return;
            };
            if let Some(replica) = self.replicas.get_mut(&group) {
                let after = match planted(Bug::ExpiredTooEarly) {
                    true => Duration::ZERO,
                    false => expiration,
                };
                replica.producers.expire(self.now.mono, after);
            }
        }
    }

    fn producer_expiration(&self) -> Duration {
        let set = self.changed(EXPIRATION_MS).map(Duration::from_millis);
        set.unwrap_or(self.settings.producers.expiration)
    }

    fn between_expiries(&self, expiration: Duration) -> Duration {
        let often = (expiration / LOOKS_PER_EXPIRATION).max(LOOKS_MIN);
        often.min(self.settings.producers.check)
    }

    /// Configurations changed: the next round may be due earlier.
    pub(crate) fn reconsider_producers(&mut self) {
        let between = self.between_expiries(self.producer_expiration());
        let next = self.now.mono.after(between);
        self.expiries.next_round = self.expiries.next_round.min(next);
    }
}
