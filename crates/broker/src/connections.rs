//! How many connections clients may have at a time, in all and from one address, and how many of them may come in a second.
//! Who counts those that are open is at the sockets; how fast they come is counted in `arrivals`.

use crate::{Settings, settings};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The bounds as they stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// New ones a second (`max.connection.creation.rate`).
    pub(crate) a_second: u32,
    /// The same by one listener.
    by_listener: BTreeMap<String, u32>,
    /// All connections (`max.connections`).
    pub all: usize,
    /// Those from one address (`max.connections.per.ip`).
    each: usize,
    /// Those from certain addresses (`max.connections.per.ip.overrides`).
    named: BTreeMap<IpAddr, u32>,
}

impl ConnectionBounds {
    /// By the settings and what was `set` since by key. A bound that the process can't keep to (open files) still holds.
    pub(crate) fn of(
        settings: &Settings,
        set: impl Fn(&str) -> Option<String>,
        of_listeners: impl IntoIterator<Item = String>,
    ) -> Self {
        let given = &settings.connections;
        let number = |key: &str| set(key).and_then(|value| value.trim().parse::<u32>().ok());
        let count = |key: &str| number(key).and_then(|set| usize::try_from(set).ok());
        let all = count("max.connections").map_or(given.max, |set| set.min(given.max));
        let named = set("max.connections.per.ip.overrides");
        let named = named.and_then(|value| meta::config::counts(&value));
        let mut by_listener = given.by_listener.clone();
        for name in of_listeners {
            let listener = settings::of_listener(&name).map(|(listener, _)| listener.to_owned());
            by_listener.extend(listener.zip(number(&name)));
        }
        ConnectionBounds {
            a_second: number("max.connection.creation.rate").unwrap_or(given.a_second),
            by_listener,
            all,
            each: count("max.connections.per.ip").unwrap_or(given.each),
            named: named.unwrap_or_else(|| given.named.clone()),
        }
    }

    /// New ones a second by this listener; what isn't said of it is said of the node.
    pub(crate) fn a_second_by(&self, listener: &str) -> u32 {
        let mut said = self.by_listener.iter();
        let said = said.find(|(name, _)| name.eq_ignore_ascii_case(listener));
        said.map_or(self.a_second, |(_, rate)| *rate)
    }

    /// From this address.
    pub fn from(&self, address: IpAddr) -> usize {
        let named = self.named.get(&address);
        named.map_or(self.each, |count| {
            usize::try_from(*count).unwrap_or(usize::MAX)
        })
    }
}
