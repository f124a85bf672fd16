//! Which replicas a beat looks at. Most of a node's replicas rest, most of the time: their group is
//! quiet, or has nobody else in it. A beat looks only at those that don't, so idle replicas cost
//! nothing.
//!
//! A replica may rest as long as nothing of it, and nothing said of its group by another node,
//! changes; time alone changes nothing. So whatever changes one of these rouses it: a turn that
//! collects from it, what a node says of it, a node that is lost, restarts or goes. Where assertions
//! are on, as in the simulator, each beat looks whether one was forgotten.

use crate::Shard;
use crate::operation::elect::Cause;
use crate::replica::{Replica, Rest};
use base::GroupId;
use consensus::Item;

impl Replica {
    /// Puts it on the list of those that the next beat looks at.
    pub(crate) fn rouse(&mut self, restless: &mut Vec<GroupId>) {
        if !self.restless {
            self.restless = true;
            restless.push(self.id);
        }
    }
}

impl Shard {
    /// The next beat looks at this replica.
    pub(crate) fn rouse(&mut self, group: GroupId) {
        if let Some(replica) = self.replicas.get_mut(&group) {
            replica.rouse(&mut self.restless);
        }
    }

    /// The next beat looks at all replicas.
    pub(crate) fn rouse_all(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.rouse(&mut self.restless);
        }
    }

    /// Looks at the replicas that don't rest.
    pub(crate) fn beat_groups(&mut self) {
        debug_assert!(
            self.replicas
                .values()
                .all(|replica| replica.restless || self.may_rest(replica)),
            "a replica rests that has something to do"
        );
        let mut groups = std::mem::take(&mut self.restless);
        // A group that went and came again since may be there twice.
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let Some(replica) = self.replicas.get_mut(&group) else {
                continue;
            };
            replica.restless = false;
            self.beat_group(group);
            if self.replicas.get(&group).is_some_and(|r| !self.may_rest(r)) {
                self.rouse(group);
            }
        }
    }

    /// True if a beat would find nothing to do for this replica, and at the next one neither.
    fn may_rest(&self, replica: &Replica) -> bool {
        if replica.group.is_leader() {
            !self.leaving && (replica.rest == Rest::Quiet || replica.is_alone())
        } else {
            self.is_promised_quiet(replica) && !self.is_promised_in_vain(replica)
        }
    }

    /// True if a peer promises quiet for a group of which this replica knows a later term.
    fn is_promised_in_vain(&self, replica: &Replica) -> bool {
        let (group, term) = (replica.id, replica.group.term());
        let mut peers = self.peers.values();
        peers.any(|peer| peer.led.is_stale_promise(group, term))
    }

    fn beat_group(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get(&group) else {
            return;
        };
        if replica.group.is_leader() {
            if self.leaving {
                self.leave_group(group);
            }
            let Some(replica) = self.replicas.get(&group) else {
                return;
            };
            if !replica.is_alone() && replica.rest != Rest::Quiet {
                self.beat_led_group(group);
                self.review_snapshots(group);
            }
        } else if !self.hears_leader(replica) {
            let cause = if replica.leader().is_some() {
                Cause::Lost
            } else {
                Cause::Leaderless
            };
            self.schedule_election(group, cause);
        } else {
            self.disown_if_stale(group);
        }
    }

    /// A peer promises quiet for a group of which this replica knows a later term.
    fn disown_if_stale(&mut self, group: GroupId) {
        let term = self.replicas[&group].group.term();
        for peer in self.peers.values_mut() {
            if peer.led.is_stale_promise(group, term) {
                peer.outbox.push(Item::Disown(group, term));
            }
        }
    }
}
