//! Members of the controller's own group. All nodes of the cluster follow it; its leader sees to it
//! that those have a say who are to ([`meta::controllers`]), with the steps by which partitions
//! move (`reconfigure.rs`): what follows has everything already, so a place is moved by the joint
//! configuration alone.
//!
//! Nothing of it is on record but the configurations themselves: what is wanted follows from the
//! metadata and from who is heard, whoever leads.

use super::reconfigure::Step;
use crate::Shard;
use base::{Configuration, GroupId, Mark, Member, NodeId, limits, mark};
use meta::{Candidate, Home};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Shard {
    /// Takes the next step of group 0, if this node leads it.
    pub(super) fn reconfigure_controllers(&mut self) {
        let step = self.next_controllers();
        match step {
            Step::Arrived if self.controllers_are_settled() => {}
            Step::Arrived => self.seal(GroupId::META),
            step => self.take(GroupId::META, step),
        }
    }

    fn next_controllers(&self) -> Step {
        let replica = &self.replicas[&GroupId::META];
        let group = &replica.group;
        let steady = replica.was_leader && group.committed_in_term() && group.may_propose();
        // An image of long ago would let those vote who are cordoned.
        if !steady || group.configuration_is_pending() || !self.knows_all_metadata() {
            return Step::Wait;
        }
        let there = group.configuration();
        if there.is_joint() {
            return super::reconfigure::leave_joint(replica);
        }
        // Before that there may be nodes to which those that formed the cluster vote for ever.
        let voters = match self.image().level >= meta::VOTERS_CHANGE {
            true => meta::controllers(&there.voters, &self.candidates()),
            false => there.voters.clone(),
        };
        let learners = self.followers(&voters);
        let set = |members: &[Member]| members.iter().copied().collect::<BTreeSet<_>>();
        let other_voters = voters != there.voters;
        if !other_voters && set(&learners) == set(&there.learners) {
            return Step::Arrived;
        }
        if other_voters {
            mark(Mark::ControllersChanged);
        }
        Step::Configure(Configuration {
            outgoing: match other_voters {
                true => there.voters.clone(),
                false => Vec::new(),
            },
            voters,
            learners,
            aim: 0,
        })
    }

    /// Those who belong to group 0, as candidates for a place among its voters.
    fn candidates(&self) -> Vec<Candidate> {
        let replica = &self.replicas[&GroupId::META];
        let (image, now) = (self.image(), self.now.mono);
        let candidate = |member: Member| {
            let node = member.node;
            let home = image.homes.get(&node);
            // One that formed the cluster and hasn't said yet where it lives is as good.
            let there = home.map_or(!image.has_left(node), |home| {
                home.generation == member.incarnation
            });
            // Under the number of one that was unregistered another one may be heard, which has no place
            // here before that one has left.
            let heard = member == replica.group.me() || (there && self.hears(node));
            let info = image.nodes.get(&node);
            Candidate {
                member,
                rack: info.and_then(|info| info.rack.clone()),
                open: there && !image.is_cordoned(node),
                heard,
                ready: heard && replica.is_in_sync(member, now, limits::LEARNER_LAG),
            }
        };
        let members = replica.group.configuration().members();
        members.map(candidate).collect()
    }

    /// All nodes of the cluster without a vote in group 0; those that were unregistered no longer.
    fn followers(&self, voters: &[Member]) -> Vec<Member> {
        let image = self.image();
        let member = |(node, home): (&NodeId, &Arc<Home>)| Member {
            node: *node,
            incarnation: home.generation,
        };
        let housed = image.homes.iter().map(member);
        let members = self.replicas[&GroupId::META].group.configuration();
        // One that formed the cluster may not have said yet where it lives.
        let known = |m: &Member| image.generations.contains_key(&m.node);
        let unheard = members.members().filter(|m| !known(m));
        let votes = |m: &Member| voters.iter().any(|voter| voter.node == m.node);
        housed.chain(unheard).filter(|m| !votes(m)).collect()
    }

    /// True if a node has a say in group 0.
    pub(crate) fn votes_on_metadata(&self, node: NodeId) -> bool {
        let group = &self.replicas[&GroupId::META].group;
        group.configuration().electors().any(|m| m.node == node)
    }

    /// True if nobody who had a say in group 0 before can believe that he still has one, also
    /// after a crash of all.
    pub(crate) fn controllers_are_settled(&self) -> bool {
        let began_so = self.replicas[&GroupId::META].group.configured() == base::RaftIndex(0);
        began_so || self.is_sealed(GroupId::META)
    }
}
