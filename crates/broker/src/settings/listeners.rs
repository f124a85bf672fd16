//! Addresses: where the node listens, what it tells clients, who its peers are.

use base::NodeId;
use std::collections::BTreeMap;

/// A host, empty for all addresses of this machine, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The host, without brackets.
    pub host: String,
    /// The port; 0 for a free one.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl HostPort {
    /// Reads `HOST:PORT`; the host may be empty, and stands in brackets if it has colons.
    pub fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let valid = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
        let host = host.chars().all(valid).then(|| host.to_owned())?;
        Some(HostPort {
            host,
            port: port.parse().ok()?,
        })
    }

    /// True if it stands for all addresses of a machine, so that nobody can be told to use it.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

/// One address for Kafka clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where the node listens.
    pub bind: HostPort,
    /// What clients are told; none: where it listens.
    pub advertised: Option<HostPort>,
}

/// A node of the cluster and its address for nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeId,
    /// Its address.
    pub address: HostPort,
}

/// What is wrong with a value, and what would be right.
pub(super) type Wrong = (String, Option<String>);

fn wrong(why: String, allowed: &str) -> Wrong {
    (why, Some(allowed.to_owned()))
}

/// Reads `NAME://HOST:PORT,...`; an address without a name is PLAINTEXT.
fn named(value: &str) -> Result<Vec<(String, HostPort)>, Wrong> {
    let mut all: Vec<(String, HostPort)> = Vec::new();
    for item in meta::config::items(value) {
        let (name, address) = item.split_once("://").unwrap_or(("PLAINTEXT", item));
        let Some(address) = HostPort::parse(address).filter(|_| !name.is_empty()) else {
            return Err(wrong(
                format!("'{item}' is not an address"),
                "NAME://HOST:PORT",
            ));
        };
        let name = name.to_ascii_uppercase();
        if all.iter().any(|(other, _)| *other == name) {
            return Err(wrong(
                format!("two listeners are named {name}"),
                "different names",
            ));
        }
        all.push((name, address));
    }
    Ok(all)
}

/// The values of the keys that name listeners.
pub(super) struct Given<'a> {
    pub(super) listeners: &'a str,
    pub(super) advertised: Option<&'a str>,
    pub(super) protocols: &'a str,
    pub(super) controllers: &'a str,
}

/// Listeners, or the key at fault and what is wrong with its value.
pub(super) fn listeners(given: &Given<'_>) -> Result<Vec<Listener>, (&'static str, Wrong)> {
    let mine = |all: Vec<(String, HostPort)>| -> Vec<(String, HostPort)> {
        let foreign = |name: &str| {
            meta::config::items(given.controllers).any(|other| other.eq_ignore_ascii_case(name))
        };
        all.into_iter().filter(|(name, _)| !foreign(name)).collect()
    };
    let bound = mine(named(given.listeners).map_err(|e| ("listeners", e))?);
    check_bound(&bound).map_err(|e| ("listeners", e))?;
    let protocols = protocols(given.protocols).map_err(|e| (PROTOCOLS, e))?;
    for (name, _) in &bound {
        check_protocol(name, &protocols).map_err(|e| (PROTOCOLS, e))?;
    }
    let told = mine(named(given.advertised.unwrap_or("")).map_err(|e| (ADVERTISED, e))?);
    check_advertised(&told, &bound).map_err(|e| (ADVERTISED, e))?;
    let mut told: BTreeMap<String, HostPort> = told.into_iter().collect();
    let whole = |(name, bind)| Listener {
        advertised: told.remove(&name),
        name,
        bind,
    };
    Ok(bound.into_iter().map(whole).collect())
}

const PROTOCOLS: &str = "listener.security.protocol.map";
const ADVERTISED: &str = "advertised.listeners";

fn check_bound(bound: &[(String, HostPort)]) -> Result<(), Wrong> {
    if bound.is_empty() {
        return Err(wrong(
            "there is no listener for clients".to_owned(),
            "at least one",
        ));
    }
    for (at, (_, address)) in bound.iter().enumerate() {
        let same = |other: &(String, HostPort)| other.1.port != 0 && other.1 == *address;
        if bound[..at].iter().any(same) {
            return Err(wrong(
                format!("two listeners at {address}"),
                "different addresses",
            ));
        }
    }
    Ok(())
}

fn protocols(value: &str) -> Result<BTreeMap<String, String>, Wrong> {
    let pair = |item: &str| {
        let (name, protocol) = item.split_once(':')?;
        Some((
            name.trim().to_ascii_uppercase(),
            protocol.trim().to_ascii_uppercase(),
        ))
    };
    meta::config::items(value)
        .map(|item| {
            pair(item).ok_or_else(|| wrong(format!("'{item}' is not a pair"), "NAME:PROTOCOL"))
        })
        .collect()
}

fn check_protocol(name: &str, protocols: &BTreeMap<String, String>) -> Result<(), Wrong> {
    match protocols.get(name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(other) => Err(wrong(
            format!("listener {name} stands for {other}, which is not served"),
            "PLAINTEXT",
        )),
        None => Err(wrong(
            format!("no protocol is given for listener {name}"),
            "NAME:PLAINTEXT",
        )),
    }
}

fn check_advertised(
    told: &[(String, HostPort)],
    bound: &[(String, HostPort)],
) -> Result<(), Wrong> {
    for (name, address) in told {
        if !bound.iter().any(|(other, _)| other == name) {
            let names: Vec<&str> = bound.iter().map(|(name, _)| name.as_str()).collect();
            return Err(wrong(
                format!("there is no listener {name}"),
                &names.join(", "),
            ));
        }
        if address.is_wildcard() {
            return Err(wrong(
                format!("no client can reach {address}"),
                "an address that leads to this node",
            ));
        }
    }
    Ok(())
}

/// Reads `HOST:PORT,...`.
pub(super) fn join(value: &str) -> Result<Vec<HostPort>, Wrong> {
    let address = |item: &str| {
        let found = HostPort::parse(item).filter(|a| !a.is_wildcard() && a.port != 0);
        found.ok_or_else(|| wrong(format!("'{item}' is not an address"), "HOST:PORT,..."))
    };
    meta::config::items(value).map(address).collect()
}

/// Reads `ID@HOST:PORT,...`; `node` must be one of them.
pub(super) fn peers(value: &str, node: NodeId) -> Result<Vec<Peer>, Wrong> {
    const FORM: &str = "ID@HOST:PORT, each id and each address once";
    let mut all: Vec<Peer> = Vec::new();
    for item in meta::config::items(value) {
        let peer = item.split_once('@').and_then(|(id, address)| {
            let node = NodeId(id.trim().parse().ok().filter(|id| *id <= i32::MAX as u32)?);
            let address = HostPort::parse(address).filter(|a| !a.is_wildcard() && a.port != 0)?;
            Some(Peer { node, address })
        });
        let Some(peer) = peer else {
            return Err(wrong(
                format!("'{item}' is not a node and its address"),
                FORM,
            ));
        };
        if all.iter().any(|other| other.node == peer.node) {
            return Err(wrong(format!("node {} is there twice", peer.node), FORM));
        }
        // One of the two would never be heard, and no cluster would ever be formed.
        if let Some(other) = all.iter().find(|other| other.address == peer.address) {
            let what = format!("nodes {} and {} have one address", other.node, peer.node);
            return Err(wrong(what, FORM));
        }
        all.push(peer);
    }
    if !all.is_empty() && !all.iter().any(|peer| peer.node == node) {
        return Err(wrong(format!("this node, {node}, is not among them"), FORM));
    }
    all.sort_by_key(|peer| peer.node);
    Ok(all)
}
