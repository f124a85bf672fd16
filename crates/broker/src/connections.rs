//! How many connections clients may have at a time: in all, and from one address. Who counts them is at the sockets.

use crate::Settings;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The bounds as they stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// All connections (`max.connections`).
    pub all: usize,
    /// Those from one address (`max.connections.per.ip`).
    each: usize,
    /// Those from certain addresses (`max.connections.per.ip.overrides`).
    named: BTreeMap<IpAddr, u32>,
}

impl ConnectionBounds {
    /// By the settings and what was `set` since by key. A bound that the process can't keep to (open files) still holds.
    pub(crate) fn of(settings: &Settings, set: impl Fn(&'static str) -> Option<String>) -> Self {
        let number = |key| set(key).and_then(|value| value.trim().parse().ok());
        let all = number("max.connections").map_or(settings.connections_max, |set: usize| {
            set.min(settings.connections_max)
        });
        let named = set("max.connections.per.ip.overrides");
        let named = named.and_then(|value| meta::config::counts(&value));
        ConnectionBounds {
            all,
            each: number("max.connections.per.ip").unwrap_or(settings.connections_each),
            named: named.unwrap_or_else(|| settings.connections_named.clone()),
        }
    }

    /// From this address.
    pub fn from(&self, address: IpAddr) -> usize {
        let named = self.named.get(&address);
        named.map_or(self.each, |count| {
            usize::try_from(*count).unwrap_or(usize::MAX)
        })
    }
}
