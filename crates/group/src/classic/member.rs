//! A member of a live classic group.

use crate::Caller;
use crate::command::{JoinGroup, Protocol};
use crate::record::consumer as wire;
use crate::record::group::SavedMember;
use crate::reply::DescribedMember;
use base::Mono;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A member. Its session is a deadline beside an entry among the timers: a heartbeat moves the
/// deadline only, and the entry, when it comes up too early, is put in again.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Its join waits for the others.
    pub(crate) join: Option<Caller>,
    /// Its sync waits for the leader.
    pub(crate) sync: Option<Caller>,
    /// It has not been told its id yet, so it can't send heartbeats while its join waits.
    pub(crate) new: bool,
    /// When its session ends.
    pub(crate) deadline: Mono,
    /// The earliest entry among the timers for it.
    pub(crate) armed: Option<Mono>,
}

/// Copies what would otherwise keep the whole request in memory. Of two protocols of one name
/// the first counts.
pub(crate) fn own(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut owned: Vec<Protocol> = Vec::with_capacity(protocols.len());
    for protocol in protocols {
        if owned.iter().all(|known| known.name != protocol.name) {
            owned.push(Protocol {
                name: protocol.name.clone(),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            });
        }
    }
    owned
}

impl Member {
    pub(crate) fn joining(id: Arc<str>, join: &JoinGroup) -> Member {
        Member {
            id,
            instance: join.instance.clone(),
            client_id: join.client.id.clone(),
            client_host: join.client.host.clone(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: own(&join.protocols),
            assignment: Bytes::new(),
            join: None,
            sync: None,
            new: false,
            deadline: Mono(0),
            armed: None,
        }
    }

    /// As a record says. Of its protocols only the chosen one is known.
    pub(crate) fn from_saved(saved: &SavedMember, protocol: &str) -> Member {
        Member {
            id: saved.id.clone(),
            instance: saved.instance.clone(),
            client_id: saved.client_id.clone(),
            client_host: saved.client_host.clone(),
            rebalance_timeout_ms: saved.rebalance_timeout_ms,
            session_timeout_ms: saved.session_timeout_ms,
            protocols: vec![Protocol {
                name: protocol.to_owned(),
                metadata: saved.subscription.clone(),
            }],
            assignment: saved.assignment.clone(),
            join: None,
            sync: None,
            new: false,
            deadline: Mono(0),
            armed: None,
        }
    }

    /// A classic member of a consumer group, when the group becomes a classic one.
    pub(crate) fn converted(
        id: Arc<str>,
        wishes: &wire::Member,
        own: wire::ClassicMember,
    ) -> Member {
        Member {
            id,
            instance: wishes.instance.clone(),
            client_id: wishes.client_id.clone(),
            client_host: wishes.client_host.clone(),
            rebalance_timeout_ms: wishes.rebalance_timeout_ms,
            session_timeout_ms: own.session_timeout_ms,
            protocols: own.protocols,
            assignment: Bytes::new(),
            join: None,
            sync: None,
            new: false,
            deadline: Mono(0),
            armed: None,
        }
    }

    pub(crate) fn to_saved(&self, protocol: &str) -> SavedMember {
        SavedMember {
            id: self.id.clone(),
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// What `protocol` needs to know of it; nothing if it doesn't offer the protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let mut offered = self.protocols.iter();
        let found = offered.find(|offer| offer.name == protocol);
        found.map_or_else(Bytes::new, |offer| offer.metadata.clone())
    }

    /// Its vote: what it likes best of what all members can do.
    pub(crate) fn vote(&self, candidates: &BTreeMap<&str, usize>) -> Option<&str> {
        let mut offered = self.protocols.iter().map(|offer| offer.name.as_str());
        offered.find(|name| candidates.contains_key(name))
    }

    /// A member that waits for others can't send heartbeats, so it is not held against it; but
    /// one that doesn't know its id yet may be gone for good.
    pub(crate) fn excused(&self) -> bool {
        !self.new && (self.join.is_some() || self.sync.is_some())
    }

    pub(crate) fn describe(&self, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            member: self.id.to_string(),
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol.map_or_else(Bytes::new, |name| self.metadata(name)),
            assignment: self.assignment.clone(),
        }
    }
}
