//! How many connections clients may have at a time, in all and from one address, and how many of them may come in a second.
//! Who counts those that are open is at the sockets; how fast they come is counted in `arrivals`.

use crate::{Settings, settings};
use std::collections::BTreeMap;
use std::net::IpAddr;

const A_SECOND: &str = "max.connection.creation.rate";
const AT_A_TIME: &str = "max.connections";

/// The bounds as they stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// New ones a second (`max.connection.creation.rate`).
    pub(crate) a_second: u32,
    /// What is said of single listeners, by name of the listener and of the key.
    by_listener: BTreeMap<(String, &'static str), u32>,
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
        let parsed = |value: &str| value.trim().parse::<u32>().ok();
        let number = |key: &str| set(key).and_then(|value| parsed(&value));
        let count = |key: &str| number(key).and_then(|set| usize::try_from(set).ok());
        let all = count(AT_A_TIME).map_or(given.max, |set| set.min(given.max));
        let named = set("max.connections.per.ip.overrides");
        let named = named.and_then(|value| meta::config::counts(&value));
        let which = |name: &str| {
            let (listener, key) = settings::of_listener(name)?;
            Some((listener.to_owned(), key.name))
        };
        let started = settings.of_listeners().iter();
        let started = started.filter_map(|(name, value)| which(name).zip(parsed(value)));
        let changed = of_listeners.into_iter();
        let changed = changed.filter_map(|name| which(&name).zip(number(&name)));
        let by_listener = started.chain(changed).collect();
        ConnectionBounds {
            a_second: number(A_SECOND).unwrap_or(given.a_second),
            by_listener,
            all,
            each: count("max.connections.per.ip").unwrap_or(given.each),
            named: named.unwrap_or_else(|| given.named.clone()),
        }
    }

    /// New ones a second by this listener; what isn't said of it is said of the node.
    pub(crate) fn a_second_by(&self, listener: &str) -> u32 {
        self.by(listener, A_SECOND).unwrap_or(self.a_second)
    }

    /// At a time by this listener; the bound of the node holds as well.
    pub fn at_a_time_by(&self, listener: &str) -> usize {
        let said = self.by(listener, AT_A_TIME);
        said.map_or(self.all, |count| {
            usize::try_from(count).unwrap_or(usize::MAX)
        })
    }

    fn by(&self, listener: &str, key: &str) -> Option<u32> {
        let mut said = self.by_listener.iter();
        let said = said.find(|((name, of), _)| *of == key && name.eq_ignore_ascii_case(listener));
        said.map(|(_, number)| *number)
    }

    /// From this address.
    pub fn from(&self, address: IpAddr) -> usize {
        let named = self.named.get(&address);
        named.map_or(self.each, |count| {
            usize::try_from(*count).unwrap_or(usize::MAX)
        })
    }
}
