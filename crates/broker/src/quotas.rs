//! Quotas: who has which, and keeping to them. Each entity that has a quota has a bucket of
//! tokens that fills at the rate of the quota; what a client does takes tokens, and a client that
//! has taken too many waits until they are back. Time comes as an argument.
//!
//! Quotas bind on each node by itself, as in Kafka.

use crate::{Action, Broker, Principal, Resource, Verb, authorise, lock};
use base::{Mono, Now, Refusal};
use meta::{Command, Entity, QuotaChange, Quotas, Whom};
use shard::ReplyTo;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Time whose tokens a bucket holds, so that a client may make up for a pause: Kafka measures over
/// eleven windows of a second.
const BURST: Duration = Duration::from_secs(11);
/// Longest wait that a client is told at a time. What it owes beyond that it still owes then.
const THROTTLE_MAX: Duration = Duration::from_secs(30);
/// Buckets that a node keeps at most.
const BUCKETS_MAX: usize = 10_000;

/// What a quota bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bounded {
    /// Bytes of produce requests.
    Produced,
    /// Bytes of fetch answers.
    Fetched,
    /// Seconds of this node's time.
    Time,
    /// Partitions made and deleted.
    Mutations,
}

impl Bounded {
    fn key(self) -> &'static str {
        match self {
            Bounded::Produced => "producer_byte_rate",
            Bounded::Fetched => "consumer_byte_rate",
            Bounded::Time => "request_percentage",
            Bounded::Mutations => "controller_mutation_rate",
        }
    }

    /// Tokens a second for a quota's number.
    fn rate(self, amount: f64) -> f64 {
        match self {
            // Percent of one core's time.
            Bounded::Time => amount / 100.0,
            _ => amount,
        }
    }
}

/// Tokens of one entity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    rate: f64,
    pub(crate) tokens: f64,
    at: Mono,
}

impl Bucket {
    fn full(rate: f64, now: Mono) -> Bucket {
        Bucket {
            rate,
            tokens: rate * BURST.as_secs_f64(),
            at: now,
        }
    }

    fn refill(&mut self, rate: f64, now: Mono) {
        let most = rate * BURST.as_secs_f64();
        let earned = now.since(self.at).as_secs_f64() * rate;
        self.tokens = (self.tokens + earned).min(most);
        self.rate = rate;
        self.at = self.at.max(now);
    }

    /// How long until nothing is owed any more.
    fn wait(&self) -> Duration {
        self.wait_for(0.0)
    }

    /// How long until there are so many tokens.
    pub(crate) fn wait_for(&self, tokens: f64) -> Duration {
        if self.tokens >= tokens {
            return Duration::ZERO;
        }
        let seconds = (tokens - self.tokens) / self.rate;
        Duration::from_secs_f64(seconds.min(THROTTLE_MAX.as_secs_f64()))
    }

    fn is_full(&self, now: Mono) -> bool {
        let mut later = *self;
        later.refill(self.rate, now);
        later.tokens >= self.rate * BURST.as_secs_f64()
    }
}

/// The buckets of a node, by what is bounded of whom.
#[derive(Debug)]
pub(crate) struct Buckets<K = (Bounded, Entity)>(Mutex<BTreeMap<K, Bucket>>);

impl<K> Default for Buckets<K> {
    fn default() -> Buckets<K> {
        Buckets(Mutex::default())
    }
}

impl<K: Ord> Buckets<K> {
    /// Lets somebody at an entity's bucket. There are never more than the bound: full ones are
    /// like new, so they go first.
    pub(crate) fn with<T>(
        &self,
        key: K,
        rate: f64,
        now: Mono,
        then: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut buckets = lock(&self.0);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= BUCKETS_MAX {
                buckets.pop_first();
            }
        }
        let bucket = buckets
            .entry(key)
            .or_insert_with(|| Bucket::full(rate, now));
        bucket.refill(rate, now);
        then(bucket)
    }
}

/// The quota that binds a client, and whose bucket counts: the most specific entry wins, in
/// Kafka's order.
fn binding(quotas: &Quotas, user: &str, client: &str, key: &str) -> Option<(Entity, f64)> {
    let name = |name: &str| Some(Whom::Named(name.to_owned()));
    let default = || Some(Whom::Default);
    let orders = [
        (name(user), name(client)),
        (name(user), default()),
        (name(user), None),
        (default(), name(client)),
        (default(), default()),
        (default(), None),
        (None, name(client)),
        (None, default()),
    ];
    orders.into_iter().find_map(|(u, c)| {
        let of = Entity {
            user: u,
            client: c,
            ip: None,
        };
        let amount = quotas.get(&of)?.get(key)?.get();
        // Each user and client that an entry stands for has a bucket of its own.
        let counted = Entity {
            user: of.user.and_then(|_| name(user)),
            client: of.client.and_then(|_| name(client)),
            ip: None,
        };
        Some((counted, amount))
    })
}

impl Broker {
    /// Changes quotas, or only says whether it could; parts that the door refuses keep their
    /// places. Answered with `Reply::Meta(Ok(Each(..)))`.
    pub fn alter_quotas(
        &self,
        now: Now,
        principal: &Principal,
        changes: Vec<Result<QuotaChange, Refusal>>,
        validate_only: bool,
        timeout: Duration,
        to: ReplyTo,
    ) {
        let allowed = authorise(principal, Action::AlterConfigs, Resource::Cluster);
        let decided = changes
            .into_iter()
            .map(|change| allowed.clone().and(change))
            .collect();
        let command = |changes| Command::AlterQuotas {
            changes,
            validate_only,
        };
        self.change::<(), _>(Verb::AlterQuotas, now, timeout, to, decided, command);
    }

    /// True if anybody has a quota.
    pub fn has_quotas(&self) -> bool {
        !self.0.image.load().quotas.is_empty()
    }

    /// Counts what a client does against its quota; how long it has to wait now.
    pub fn charge(
        &self,
        now: Now,
        principal: &Principal,
        client: &str,
        what: Bounded,
        amount: f64,
    ) -> Duration {
        self.at_bucket(now, principal, client, what, |bucket| {
            bucket.tokens -= amount;
            bucket.wait()
        })
        .unwrap_or_default()
    }

    /// As [`Broker::charge`], but what a client does that owes already is refused and not
    /// counted; the error is how long it has to wait.
    pub fn permit(
        &self,
        now: Now,
        principal: &Principal,
        client: &str,
        what: Bounded,
        amount: f64,
    ) -> Result<(), Duration> {
        self.at_bucket(now, principal, client, what, |bucket| {
            if bucket.tokens < 0.0 {
                return Err(bucket.wait());
            }
            bucket.tokens -= amount;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// None if no quota binds the client.
    fn at_bucket<T>(
        &self,
        now: Now,
        principal: &Principal,
        client: &str,
        what: Bounded,
        then: impl FnOnce(&mut Bucket) -> T,
    ) -> Option<T> {
        let image = self.0.image.load();
        if image.quotas.is_empty() {
            return None;
        }
        let (entity, amount) = binding(&image.quotas, &principal.name, client, what.key())?;
        let (key, rate) = ((what, entity), what.rate(amount));
        Some(self.0.buckets.with(key, rate, now.mono, then))
    }
}

#[cfg(test)]
mod tests;
