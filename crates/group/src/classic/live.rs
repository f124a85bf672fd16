//! A classic group as its leader sees it: its state, its members, who waits for what.

use super::member::{Member, own};
use super::subscription;
use crate::command::Protocol;
use crate::record::group::Saved;
use crate::record::{Key, Record};
use crate::reply::{Join, Joined, JoinedMember, Reply, Synced};
use crate::{Caller, Decision, Groups};
use base::{Mono, Refusal, WallMs};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// How many protocols, each with as much as a record of the group may hold, members may offer: more
/// than any client has.
pub(crate) const PROTOCOLS_OFFERED: usize = 4;

/// Bytes that a member's protocols take.
pub(crate) fn bytes_of(protocols: &[Protocol]) -> usize {
    let bytes = |protocol: &Protocol| protocol.name.len() + protocol.metadata.len();
    protocols.iter().map(bytes).sum()
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No members.
    Empty,
    /// Members join.
    Preparing,
    /// All have joined; their leader assigns.
    Completing,
    /// All have their assignments.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Preparing => "PreparingRebalance",
            State::Completing => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// What ends a phase of joining when its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinEnd {
    /// Who hasn't joined is out.
    Rebalance,
    /// A first rebalance waits a little for more members, the longer the more come.
    Initial {
        /// How long this wait is.
        delay_ms: i32,
        /// How long waits may go on after it.
        left_ms: i32,
    },
}

/// A classic group.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) name: Arc<str>,
    pub(crate) state: State,
    /// It was empty before the joining that is under way.
    pub(crate) initial: bool,
    pub(crate) since_ms: i64,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) generation: i32,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    /// Static names and whose they are.
    pub(crate) instances: BTreeMap<String, Arc<str>>,
    /// Ids that were given and not used yet, and until when they are good.
    pub(crate) pending: BTreeMap<Arc<str>, Mono>,
    /// Joins that wait.
    pub(crate) joining: usize,
    /// How many members offer each protocol.
    offers: BTreeMap<String, usize>,
    /// Bytes of all that they offer.
    offered_bytes: usize,
    /// Members that haven't asked for their assignment in this generation.
    pub(crate) unsynced: BTreeSet<Arc<str>>,
    /// The topics its members consume; `None` if that isn't known.
    pub(crate) topics: Option<BTreeSet<String>>,
    /// Somebody came during the first rebalance's wait.
    pub(crate) newcomer: bool,
    pub(crate) join_end: Option<(Mono, JoinEnd)>,
    pub(crate) sync_end: Option<Mono>,
}

impl Live {
    /// A group without members.
    pub(crate) fn empty(name: Arc<str>, now: WallMs) -> Live {
        Live {
            name,
            state: State::Empty,
            initial: false,
            since_ms: now.0,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            joining: 0,
            offers: BTreeMap::new(),
            offered_bytes: 0,
            unsynced: BTreeSet::new(),
            topics: None,
            newcomer: false,
            join_end: None,
            sync_end: None,
        }
    }

    /// The group as its record says.
    pub(crate) fn from_saved(name: Arc<str>, saved: &Saved) -> Live {
        let mut live = Live::empty(name, WallMs(saved.since_ms));
        live.generation = saved.generation;
        live.protocol_type.clone_from(&saved.protocol_type);
        live.protocol.clone_from(&saved.protocol);
        live.leader.clone_from(&saved.leader);
        let protocol = saved.protocol.as_deref().unwrap_or("");
        for member in &saved.members {
            live.insert(Member::from_saved(member, protocol));
        }
        if !live.members.is_empty() {
            live.state = State::Stable;
        }
        live.topics = live.consumed();
        live
    }

    /// Its record.
    pub(crate) fn record(&self) -> Record {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let saved = Saved {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since_ms: self.since_ms,
            members: self
                .members
                .values()
                .map(|m| m.to_saved(protocol))
                .collect(),
        };
        Record::new(Key::Group(&self.name), saved.encode())
    }

    pub(crate) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    pub(crate) fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    pub(crate) fn go(&mut self, state: State, now: WallMs) {
        self.initial = self.state == State::Empty;
        self.state = state;
        self.since_ms = now.0;
    }

    fn count(&mut self, protocols: &[Protocol], offered: bool) {
        let bytes = bytes_of(protocols);
        self.offered_bytes = if offered {
            self.offered_bytes + bytes
        } else {
            self.offered_bytes.saturating_sub(bytes)
        };
        for protocol in protocols {
            let count = self.offers.entry(protocol.name.clone()).or_default();
            *count = if offered {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
            if *count == 0 {
                self.offers.remove(&protocol.name);
            }
        }
    }

    /// Adds a member; the first one leads.
    pub(crate) fn insert(&mut self, member: Member) {
        self.count(&member.protocols, true);
        self.joining += usize::from(member.join.is_some());
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), member.id.clone());
        }
        self.pending.remove(&member.id);
        self.leader.get_or_insert_with(|| member.id.clone());
        self.members.insert(member.id.clone(), member);
    }

    /// True if the group's members may offer this instead of what one of them (`old`) offers: no
    /// more than what a few protocols of the largest group need that a record holds. What is
    /// larger could never be on record, but would be kept as long as its session.
    pub(crate) fn fits(&self, protocols: &[Protocol], old: &str, record_max: u32) -> bool {
        let old = self
            .members
            .get(old)
            .map_or(0, |member| bytes_of(&member.protocols));
        let offered = self.offered_bytes.saturating_sub(old) + bytes_of(protocols);
        offered <= PROTOCOLS_OFFERED * record_max as usize
    }

    /// Takes a member, or an id that waits to be used, out of the group.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        self.unsynced.remove(id);
        let member = self.members.remove(id)?;
        self.count(&member.protocols, false);
        self.joining -= usize::from(member.join.is_some());
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// A member says anew what it can do.
    pub(crate) fn update(
        &mut self,
        id: &str,
        protocols: &[Protocol],
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
    ) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let protocols = own(protocols);
        let old = std::mem::replace(&mut member.protocols, protocols.clone());
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        self.count(&old, false);
        self.count(&protocols, true);
    }

    /// A member's join waits from now on. One that waited before was given up by the client.
    pub(crate) fn park_join(&mut self, id: &str, caller: Caller) {
        if let Some(member) = self.members.get_mut(id) {
            self.joining += usize::from(member.join.is_none());
            member.join = Some(caller);
        }
    }

    /// Answers a join that waits.
    pub(crate) fn answer_join(&mut self, id: &str, answer: Join, out: &mut Decision) -> bool {
        let waiting = self.members.get_mut(id).and_then(|m| m.join.take());
        let Some(caller) = waiting else {
            return false;
        };
        self.joining -= 1;
        out.replies.push((caller, Reply::JoinGroup(answer)));
        true
    }

    /// Answers a sync that waits.
    pub(crate) fn answer_sync(
        &mut self,
        id: &str,
        answer: Result<Synced, Refusal>,
        out: &mut Decision,
    ) -> bool {
        let waiting = self.members.get_mut(id).and_then(|m| m.sync.take());
        let Some(caller) = waiting else {
            return false;
        };
        out.replies.push((caller, Reply::SyncGroup(answer)));
        true
    }

    /// Answers every join and sync that waits with the same refusal.
    pub(crate) fn refuse_waiting(&mut self, refusal: &Refusal, out: &mut Decision) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.answer_join(&id, refused(&id, refusal.clone()), out);
            self.answer_sync(&id, Err(refusal.clone()), out);
        }
    }

    pub(crate) fn all_joined(&self) -> bool {
        self.members.len() == self.joining && self.pending.is_empty()
    }

    /// How long a rebalance waits: as long as its most patient member wants.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        let all = self.members.values().map(|m| m.rebalance_timeout_ms);
        all.max().unwrap_or(0).max(0)
    }

    /// True if somebody of this type with these protocols can join.
    pub(crate) fn accepts(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let shared = |name: &str| self.offers.get(name) == Some(&self.members.len());
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| {
                // While all ids are still unused, nobody restricts the choice.
                self.members.is_empty() || shared(&protocol.name)
            })
    }

    /// The protocol that most members like best among those that all can do. At a draw the name
    /// decides.
    pub(crate) fn choose(&self) -> Option<String> {
        let mut candidates: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, count) in &self.offers {
            if *count == self.members.len() {
                candidates.insert(name, 0);
            }
        }
        for member in self.members.values() {
            if let Some(name) = member.vote(&candidates) {
                candidates.entry(name).and_modify(|votes| *votes += 1);
            }
        }
        let best = candidates.iter().rev().max_by_key(|(_, votes)| **votes);
        best.map(|(name, _)| (*name).to_owned())
    }

    /// The topics that its members consume, as far as they say it in a form that is known.
    pub(crate) fn consumed(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumer() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(subscription::topics(&member.metadata(protocol))?);
        }
        Some(all)
    }

    /// What a member is told of the generation.
    pub(crate) fn joined(&self, id: &str) -> Join {
        let members = if self.is_leader(id) {
            self.roster()
        } else {
            Vec::new()
        };
        Join {
            member: id.to_owned(),
            outcome: Ok(Joined {
                generation: self.generation,
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                leader: self.leader.as_deref().unwrap_or("").to_owned(),
                skip_assignment: false,
                members,
            }),
        }
    }

    /// All members as the leader needs to see them.
    pub(crate) fn roster(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let entry = |member: &Member| JoinedMember {
            member: member.id.to_string(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        self.members.values().map(entry).collect()
    }

    pub(crate) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }

    /// Refuses who isn't the member that it says it is.
    pub(crate) fn check(&self, id: &str, instance: Option<&str>) -> Result<(), Refusal> {
        if let Some(instance) = instance {
            let holder = self.instances.get(instance);
            let holder = holder.ok_or_else(unknown_member)?;
            if **holder != *id {
                let text = "the static member has been taken over by another one";
                return Err(Refusal::FencedInstance(text.to_owned()));
            }
        }
        match self.members.contains_key(id) {
            true => Ok(()),
            false => Err(unknown_member()),
        }
    }
}

pub(crate) fn unknown_member() -> Refusal {
    Refusal::UnknownMember("the group has no such member".to_owned())
}

/// A join that is refused.
pub(crate) fn refused(member: &str, refusal: Refusal) -> Join {
    Join {
        member: member.to_owned(),
        outcome: Err(refusal),
    }
}

impl Groups {
    /// A group that isn't live: as its record says, or nothing but offsets.
    pub(crate) fn dormant(&self, name: &str) -> Option<Live> {
        match self.groups.get_key_value(name) {
            Some((name, crate::groups::Group::Classic(saved))) => {
                Some(Live::from_saved(name.clone(), saved))
            }
            Some(_) => None,
            None => {
                let (name, _) = self.offsets.get_key_value(name)?;
                Some(Live::empty(name.clone(), WallMs(-1)))
            }
        }
    }
}
