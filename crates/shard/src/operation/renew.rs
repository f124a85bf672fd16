//! A replica whose data is damaged gives its place to a new one on the same node, which gets
//! everything from the others. The damaged one has neither voted nor acknowledged since the damage was
//! found, so it is lost to its group already; the new one is another member of it, as after a move
//! (`reconfigure.rs`), and nobody takes it for the one before.
//!
//! The damaged one's files go as soon as the controller has put the new one on record. So it is asked
//! for only while most of the group's replicas are in sync without it, as their leader says; and only a
//! while after that leader has shown that it knows of this one (`suspect.rs`): by then it knows of others
//! that stand aside too. Of two damaged replicas one at most goes, unless the other is found later.
//!
//! A device that damages what it is given does so again. After a few successors within an hour the
//! next one has to wait, and whoever operates the node is told.
//!
//! Not here: replicas that know of a loss elsewhere (`suspect.rs`), whose data may be the last; and
//! group 0, which the controller doesn't place.

use crate::Shard;
use crate::peer::Peer;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, Member, Mono, Term, limits, mark, planted};
use meta::Command;
use std::collections::{BTreeMap, VecDeque};

/// Damaged replicas of this node.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// Those that wait for successors. With each: the term in which its leader shows that it knows, and
    /// since when.
    waiting: BTreeMap<GroupId, Option<(Term, Mono)>>,
    /// When replicas here gave their place to others lately; of each group the last few times.
    renewed: BTreeMap<GroupId, VecDeque<Mono>>,
    /// When the controller is asked again.
    next: Mono,
}

impl Damage {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn insert(&mut self, group: GroupId) {
        self.waiting.entry(group).or_default();
    }

    /// True if the replicas of a group here were damaged so often of late that the next one waits.
    fn is_held_back(&self, group: GroupId, now: Mono) -> bool {
        let lately = |at: &&Mono| now.since(**at) < limits::RENEWALS_WITHIN;
        let times = self.renewed.get(&group);
        times.is_some_and(|at| at.iter().filter(lately).count() >= limits::RENEWALS_MAX)
    }

    fn count_renewal(&mut self, group: GroupId, now: Mono) {
        let lately = |at: &Mono| now.since(*at) < limits::RENEWALS_WITHIN;
        self.renewed.retain(|_, at| at.back().is_some_and(lately));
        let times = self.renewed.entry(group).or_default();
        times.push_back(now);
        if times.len() > limits::RENEWALS_MAX {
            times.pop_front();
        }
    }
}

impl Shard {
    /// A replica's own data is damaged: others have what it lost.
    pub(crate) fn on_damaged(&mut self, group: GroupId, why: &str) {
        if planted(Bug::DamageLeftAlone) {
            return;
        }
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        let fresh = replica.suspect.is_none();
        if fresh && self.damage.is_held_back(group, self.now.mono) {
            self.alarm(format!(
                "the replica of group {group} here was damaged {} times within an hour and gets no \
                 successor before that hour is over: the device of this node damages what it is given. \
                 Move what is on this node away ('flotilla cluster drain'), then replace the device",
                limits::RENEWALS_MAX + 1
            ));
        }
        if group == GroupId::META && fresh {
            let remedy = self.as_a_lost_disk();
            self.alarm(format!(
                "the metadata on this node is damaged ({why}), and no other takes its place: this node \
                 hears of no change any more. {remedy}"
            ));
        }
        self.damage.insert(group);
        self.suspect(group, why);
    }

    /// At each beat: asks the controller for new replicas in the place of damaged ones, a few at a
    /// time.
    pub(crate) fn renew_damaged(&mut self) {
        let now = self.now.mono;
        self.stats.renewals_held_back = 0;
        let groups: Vec<GroupId> = self.damage.waiting.keys().copied().collect();
        let mut members: Vec<(GroupId, Member)> = Vec::new();
        for group in groups {
            let known = self.damage.waiting[&group];
            let Some(replica) = self.replicas.get(&group) else {
                continue;
            };
            let leader = self.leader_that_knows(replica);
            let knows = leader.map(|(term, _)| term);
            let since = known.filter(|(term, _)| knows == Some(*term));
            let since = since.or_else(|| knows.map(|term| (term, now)));
            let long = since.is_some_and(|(_, at)| now.since(at) >= limits::LEADER_SILENCE);
            let held_back = self.damage.is_held_back(group, now);
            let spare = leader.is_some_and(|(_, leader)| self.is_spare(replica, leader));
            if long && !held_back && spare {
                members.push((group, replica.group.me()));
            }
            self.stats.renewals_held_back += u64::from(held_back);
            self.damage.waiting.insert(group, since);
        }
        if members.is_empty() || now < self.damage.next || self.lost.is_some() || self.leaving {
            return;
        }
        members.truncate(limits::MOVES_AT_ONCE);
        self.damage.next = now.after(limits::LEADER_SILENCE);
        let deadline = self.damage.next;
        self.tell_controller(Command::Renew { members }, deadline);
    }

    /// The node that leads a damaged replica's group and its term, if it shows this one as behind.
    fn leader_that_knows(&self, replica: &Replica) -> Option<(Term, &Peer)> {
        let (term, _, leader) = self.peer_that_leads(replica.id, |peer| !peer.lost)?;
        let knows = leader.led.lacks(replica.id, self.settings.node);
        (knows && term >= replica.group.term()).then_some((term, leader))
    }

    /// True if most of a group's replicas are in sync without this one, as their leader says.
    fn is_spare(&self, replica: &Replica, leader: &Peer) -> bool {
        let image = self.image();
        let Some(info) = image.partition(replica.id) else {
            return false;
        };
        let target = info.target();
        let others = target.iter().filter(|m| **m != replica.group.me());
        let in_sync =
            others.filter(|m| self.hears(m.node) && !leader.led.lacks(replica.id, m.node));
        in_sync.count() * 2 > target.len()
    }

    /// A replica ends here: if it was damaged, that is over.
    pub(crate) fn forget_damage(&mut self, group: GroupId) {
        if self.damage.waiting.remove(&group).is_some() {
            self.damage.count_renewal(group, self.now.mono);
            mark(Mark::ReplicaRenewed);
            self.stats.replicas_renewed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_few_successors_within_an_hour_are_enough() {
        let (mut damage, group) = (Damage::default(), GroupId(7));
        let minutes = |n: u64| Mono(0).after(Duration::from_secs(60 * n));
        for at in 0..limits::RENEWALS_MAX as u64 {
            assert!(!damage.is_held_back(group, minutes(at)));
            damage.count_renewal(group, minutes(at));
        }
        assert!(damage.is_held_back(group, minutes(59)));
        assert!(!damage.is_held_back(GroupId(8), minutes(59)));
        assert!(
            !damage.is_held_back(group, minutes(60)),
            "an hour after the first one"
        );
        damage.count_renewal(group, minutes(60));
        assert!(damage.is_held_back(group, minutes(60)));
    }
}
