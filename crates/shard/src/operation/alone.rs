//! A group goes on with one replica, because it has lost its majority for good and somebody accepts
//! what that may lose: the survivor makes itself the only one with a say, in a term far beyond those
//! that the others may have come to, and what its log holds counts as committed. From then on it leads,
//! and steers the group to its replicas as ever (`reconfigure.rs`).
//!
//! Of partitions the metadata says so (`meta::recover`), of group 0 only who starts the node: nobody
//! else is left to say it. Nothing here ever does it by itself.
//!
//! A survivor knows by its own configuration whether it has done so already: as long as somebody has a
//! say in it who is over, it hasn't. Whoever was lost is over, and never gets a say again.

use crate::Shard;
use base::{Bug, GroupId, Mark, Member, mark, planted};

impl Shard {
    /// Does so for the groups of which the metadata says it.
    pub(super) fn go_on_where_told(&mut self) {
        let told = self.moving.iter().copied().filter(|g| self.is_told(*g));
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            // A start must know that the others are over.
            self.record_metadata_commit();
        }
        for group in told {
            let image = self.image();
            // Each time that this is put on record it is another aim.
            let times = image.partition(group).map_or(0, |info| info.aim());
            self.go_on_alone(group, times);
        }
    }

    fn is_told(&self, group: GroupId) -> bool {
        let image = self.image();
        let (Some(replica), Some(info)) = (self.replicas.get(&group), image.partition(group))
        else {
            return false;
        };
        let me = replica.group.me();
        let other = |member: Member| planted(Bug::LostKeepTheirPlaces) && member != me;
        let over = |member: Member| info.is_over(member) || other(member);
        // What was begun is looked at again once it is durable.
        let durable = replica.group.persisted_index() == replica.group.last_index();
        info.survivor() == Some(me)
            && replica.suspect.is_none()
            && durable
            && replica.group.configuration().electors().any(over)
    }

    /// True if a member has no place in its group any more, as far as is known here: it isn't listened
    /// to. Of a group that went on alone there may be a majority that doesn't know it yet, and comes back:
    /// it could elect a leader, whose word nobody else may take.
    pub(super) fn is_over(&self, group: GroupId, member: Member) -> bool {
        let there = self.replicas.get(&group);
        let belongs = |m: Member| m == member;
        if there.is_none_or(|r| r.group.configuration().members().any(belongs)) {
            return false;
        }
        let image = self.image();
        let info = image.partition(group);
        info.is_some_and(|info| info.is_over(member))
    }

    /// Group 0 of this node goes on without the others that had a say in it.
    pub(crate) fn go_on_without_others(&mut self) {
        let replica = &self.replicas[&GroupId::META];
        if replica.suspect.is_none() && !replica.is_alone() {
            self.go_on_alone(GroupId::META, 0);
        }
    }

    fn go_on_alone(&mut self, group: GroupId, times: u32) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let before: Vec<String> = replica
            .group
            .configuration()
            .electors()
            .map(|member| member.to_string())
            .collect();
        let (last, committed) = (replica.group.last_index(), replica.high.0);
        if !replica.group.go_on_alone(times) {
            return;
        }
        mark(Mark::WentOnAlone);
        replica.elect_at = None;
        self.alarm(format!(
            "group {group} goes on with this replica alone, of {}: it was known to be committed up to \
             entry {committed}, and what is here ends at {last}; what others had beyond that is lost",
            before.join(", ")
        ));
        self.rouse(group);
        self.touch(group);
    }
}
