//! What the leader alone knows of consumer groups: until when members may be silent, and which
//! version of the cluster's topics each group has been held against.
//!
//! Deadlines are kept per member; a queue holds at most one entry per member, at or before the
//! earliest of its deadlines. A heartbeat moves a deadline and leaves the queue alone; an entry
//! that comes up too early is put in again. Nobody is taken out when a member goes: who isn't a
//! member any more is dropped when its entry comes up, so that a fencing that is never written
//! comes up again.

use base::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The leader's own knowledge of consumer groups.
#[derive(Debug, Default)]
pub(crate) struct Soft {
    members: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Deadlines>>,
    queue: BTreeSet<(Mono, Arc<str>, Arc<str>)>,
    /// What was looked at already, by group.
    watches: BTreeMap<Arc<str>, Watch>,
    /// Hashes of topics, all of the same version of the topics.
    pub(super) hashes: Hashes,
}

/// Until when a member has to do what.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    /// To say that it is alive.
    pub(super) session: Option<Mono>,
    /// To leave this epoch.
    pub(super) rebalance: Option<(Mono, i32)>,
    /// To join again (classic members).
    pub(super) join: Option<Mono>,
    /// To ask for its assignment (classic members).
    pub(super) sync: Option<Mono>,
    /// Its entry in the queue.
    queued: Option<Mono>,
}

impl Deadlines {
    fn first(&self) -> Option<Mono> {
        let rebalance = self.rebalance.map(|(at, _)| at);
        [self.session, rebalance, self.join, self.sync]
            .into_iter()
            .flatten()
            .min()
    }

    /// Changes them. Where their entry in the queue is and where it has to be, if it is missing or
    /// too late.
    fn change(&mut self, change: impl FnOnce(&mut Deadlines)) -> Option<(Option<Mono>, Mono)> {
        change(self);
        let first = self.first()?;
        if self.queued.is_some_and(|queued| queued <= first) {
            return None;
        }
        Some((self.queued.replace(first), first))
    }
}

/// How far a group has followed the cluster's topics.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The version of the topics at which the group's metadata hash was found to be right.
    pub(super) topics: Option<u64>,
    /// The version of the topics, and when, of the last round over the regular expressions.
    pub(super) round: Option<(u64, Mono)>,
    /// Expressions that this round hasn't come to.
    pub(super) left: BTreeSet<String>,
}

/// Hashes of topics as of one version of the topics.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    pub(super) version: u64,
    pub(super) by_name: BTreeMap<String, i64>,
}

impl Soft {
    /// The next moment at which something may be due.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.queue.first().map(|(at, _, _)| *at)
    }

    /// Changes a member's deadlines. Whoever is known already, nearly everybody, costs two look-ups.
    pub(super) fn set(&mut self, group: &str, member: &str, change: impl FnOnce(&mut Deadlines)) {
        let members = self.members.get_mut(group);
        let known = members.and_then(|members| members.get_mut(member));
        let sooner = match known {
            Some(deadlines) => deadlines.change(change),
            None => {
                let mut deadlines = Deadlines::default();
                let sooner = deadlines.change(change);
                let members = self.members.entry(Arc::from(group)).or_default();
                members.insert(Arc::from(member), deadlines);
                sooner
            }
        };
        if let Some((old, new)) = sooner {
            self.requeue(group, member, old, new);
        }
    }

    fn requeue(&mut self, group: &str, member: &str, old: Option<Mono>, new: Mono) {
        let (group, member): (Arc<str>, Arc<str>) = (Arc::from(group), Arc::from(member));
        let mut entry = (old.unwrap_or(new), group, member);
        if old.is_some() {
            self.queue.remove(&entry);
        }
        entry.0 = new;
        self.queue.insert(entry);
    }

    /// Takes the next member out whose time has come, with its deadlines as they were. It is
    /// forgotten unless it is set again.
    pub(super) fn pop(&mut self, now: Mono) -> Option<(Arc<str>, Arc<str>, Deadlines)> {
        while self.due()? <= now {
            let (_, group, member) = self.queue.pop_first()?;
            let members = self.members.get_mut(&group)?;
            let mut deadlines = members.remove(&member)?;
            if members.is_empty() {
                self.members.remove(&group);
            }
            deadlines.queued = None;
            match deadlines.first() {
                None => {}
                Some(first) if first <= now => return Some((group, member, deadlines)),
                Some(_) => self.set(&group, &member, |known| *known = deadlines),
            }
        }
        None
    }

    /// How far the group has come.
    pub(super) fn watch(&mut self, group: &str) -> &mut Watch {
        if !self.watches.contains_key(group) {
            self.watches.insert(Arc::from(group), Watch::default());
        }
        self.watches.get_mut(group).expect("just inserted")
    }

    /// How far the group has come, if anything is known of that.
    pub(super) fn watched(&self, group: &str) -> Option<&Watch> {
        self.watches.get(group)
    }

    /// What is known of a group that is gone is of no use.
    pub(super) fn forget(&mut self, group: &str) {
        self.watches.remove(group);
    }
}
