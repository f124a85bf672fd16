//! A replica whose data is damaged gives its place to a new one on the same node, which gets
//! everything from the others. The damaged one has neither voted nor acknowledged since the damage was
//! found, so it is lost to its group already; the new one is another member of it, as after a move
//! (`reconfigure.rs`), and nobody takes it for the one before.
//!
//! The damaged one's files go as soon as the controller has put the new one on record. So it is asked
//! for only while most of the group's replicas are in sync without it, as their leader says.
//!
//! Not here: replicas that know of a loss elsewhere (`suspect.rs`), whose data may be the last; and
//! group 0, which the controller doesn't place.

use crate::Shard;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, Member, limits, mark, planted};
use meta::Command;

impl Shard {
    /// A replica's own data is damaged: others have what it lost.
    pub(crate) fn on_damaged(&mut self, group: GroupId, why: &str) {
        if planted(Bug::DamageLeftAlone) {
            return;
        }
        if let Some(replica) = self.replicas.get_mut(&group) {
            replica.suspect.get_or_insert_with(|| why.to_string());
            self.damaged.insert(group);
        }
        self.suspect(group, why);
    }

    /// Asks the controller for new replicas in the place of damaged ones, a few at a time.
    pub(crate) fn renew_damaged(&mut self) {
        let now = self.now.mono;
        let idle = self.damaged.is_empty() || now < self.next_renewal;
        if idle || self.lost.is_some() || self.leaving {
            return;
        }
        let damaged = self.damaged.iter().filter_map(|g| self.replicas.get(g));
        let spare = damaged.filter(|replica| self.is_spare(replica));
        let members: Vec<(GroupId, Member)> = spare
            .map(|replica| (replica.id, replica.group.me()))
            .take(limits::MOVES_AT_ONCE)
            .collect();
        if members.is_empty() {
            return;
        }
        self.next_renewal = now.after(limits::LEADER_SILENCE);
        let deadline = self.next_renewal;
        self.tell_controller(Command::Renew { members }, deadline);
    }

    /// True if most of a group's replicas are in sync without this one.
    fn is_spare(&self, replica: &Replica) -> bool {
        let image = self.image();
        let Some(info) = image.partition(replica.id) else {
            return false;
        };
        let heard = self.peers.values().filter(|peer| !peer.lost);
        let leads = heard.filter_map(|peer| Some((peer.led.get(replica.id)?.0, peer)));
        let Some((_, leader)) = leads
            .max_by_key(|(term, _)| *term)
            .filter(|(term, _)| *term >= replica.group.term())
        else {
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
        if self.damaged.remove(&group) {
            mark(Mark::ReplicaRenewed);
            self.stats.replicas_renewed += 1;
        }
    }
}
