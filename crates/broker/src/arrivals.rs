//! How fast connections come, on the whole node and from each address (KIP-612). One too many on the node waits, and with it
//! those behind it; one too many from its address is turned away, but only after a while, so that it doesn't come again at
//! once. Time comes as an argument; who waits and who is turned away is at the sockets.

use crate::quotas::{Bucket, Buckets};
use crate::{Broker, ConnectionBounds};
use arc_swap::ArcSwap;
use base::Mono;
use meta::{Quotas, Whom};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for one connection: as in Kafka the length of a window of its measurements.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The key of addresses' quotas.
const KEY: &str = "connection_creation_rate";
/// A number that is no bound.
const UNBOUNDED: u32 = i32::MAX as u32;

/// What has a bucket. The node's own is the last one to be given up where there are too many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whence {
    Address(IpAddr),
    Listener(Arc<str>),
    Anywhere,
}

/// How many may come in a second by a listener.
#[derive(Clone, Debug)]
struct Way<'a> {
    listener: &'a Arc<str>,
    by_listener: u32,
    in_all: u32,
}

impl Way<'_> {
    /// What of it is bounded, and how.
    fn bounds(&self) -> impl Iterator<Item = (Whence, f64)> + '_ {
        let listener = Whence::Listener(Arc::clone(self.listener));
        let both = [
            (listener, self.by_listener),
            (Whence::Anywhere, self.in_all),
        ];
        let bounded = both.into_iter().filter(|(_, rate)| *rate < UNBOUNDED);
        // No wait is longer than a second, so that one a second is the least that comes.
        bounded.map(|(whence, rate)| (whence, f64::from(rate.max(1))))
    }
}

/// What came, and what may come.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    buckets: Buckets<Whence>,
    rates: ArcSwap<Rates>,
}

/// Quotas of addresses, connections a second.
#[derive(Debug, Default, PartialEq)]
struct Rates {
    default: Option<f64>,
    named: BTreeMap<IpAddr, f64>,
}

impl Rates {
    fn of(quotas: &Quotas) -> Rates {
        let mut rates = Rates::default();
        for (entity, set) in quotas {
            let amount = set.get(KEY).map(|amount| amount.get());
            match (&entity.ip, amount) {
                (Some(Whom::Default), amount) => rates.default = amount,
                (Some(Whom::Named(name)), Some(amount)) => {
                    rates.named.extend(address(name).map(|of| (of, amount)));
                }
                _ => {}
            }
        }
        rates
    }

    fn of_address(&self, address: IpAddr) -> Option<f64> {
        self.named.get(&address).copied().or(self.default)
    }
}

/// An address as quotas name it; there is one that has a name.
fn address(name: &str) -> Option<IpAddr> {
    let parsed = name.parse().ok().map(|ip: IpAddr| ip.to_canonical());
    parsed.or((name == "localhost").then_some(Ipv4Addr::LOCALHOST.into()))
}

impl Arrivals {
    /// Takes quotas that were changed.
    pub(crate) fn take_quotas(&self, quotas: &Quotas) {
        self.rates.store(Arc::new(Rates::of(quotas)));
    }

    fn pace(&self, now: Mono, way: &Way<'_>) -> Duration {
        let waits = way.bounds().map(|(whence, rate)| {
            self.buckets.with(whence, rate, now, |bucket| {
                bucket.tokens -= 1.0;
                bucket.wait_for(0.0).min(WAIT_MAX)
            })
        });
        waits.max().unwrap_or_default()
    }

    fn admit(&self, now: Mono, address: IpAddr, way: &Way<'_>) -> Result<(), Duration> {
        let Some(rate) = self.rates.load().of_address(address) else {
            return Ok(());
        };
        let taken = self
            .buckets
            .with(Whence::Address(address), rate, now, |bucket| {
                let wait = bucket.wait_for(1.0);
                if wait.is_zero() {
                    bucket.tokens -= 1.0;
                    return Ok(());
                }
                Err(wait.min(WAIT_MAX))
            });
        if taken.is_err() {
            for (whence, rate) in way.bounds() {
                let give_back = |bucket: &mut Bucket| bucket.tokens += 1.0;
                self.buckets.with(whence, rate, now, give_back);
            }
        }
        taken
    }
}

impl ConnectionBounds {
    fn way<'a>(&self, listener: &'a Arc<str>) -> Way<'a> {
        Way {
            listener,
            by_listener: self.a_second_by(listener),
            in_all: self.a_second,
        }
    }
}

impl Broker {
    /// Counts a connection that came; how long it waits, and with it those that come behind it by
    /// the same listener.
    pub fn pace_connection(&self, now: Mono, listener: &Arc<str>) -> Duration {
        let bounds = self.connection_bounds();
        self.0.arrivals.pace(now, &bounds.way(listener))
    }

    /// Counts it against the quota of its address. If that is too much it isn't let in, and isn't counted after all; the error
    /// is for how long it shouldn't hear of that.
    pub fn admit_connection(
        &self,
        now: Mono,
        listener: &Arc<str>,
        address: IpAddr,
    ) -> Result<(), Duration> {
        let bounds = self.connection_bounds();
        self.0.arrivals.admit(now, address, &bounds.way(listener))
    }
}

#[cfg(test)]
mod tests;
