//! When a leader's message shows that acknowledged data is gone. A replica that has lost some
//! neither votes nor takes entries nor acknowledges any from then on: others have what it lost.
//! Damage that a start or a read finds is in `log`'s recovery and in `catch_up`.
//!
//! Whoever stands aside tells the leader of its group: as long as nothing is written there nobody else
//! asks it for anything, and it would be taken for one that has everything.

use crate::Shard;
use base::{GroupId, Mark, Member, NodeId, limits, mark};
use consensus::{Contradiction, Item};

impl Shard {
    pub(crate) fn on_contradiction(
        &mut self,
        from: NodeId,
        group: GroupId,
        contradiction: Contradiction,
    ) {
        match contradiction {
            Contradiction::Lost { acknowledged, last } => {
                let why = format!(
                    "node {from} counts on entry {acknowledged} of group {group} here, whose log \
                     ends at {last}: this node has lost what it acknowledged"
                );
                self.lose_trust(&why);
                self.turn.lost.clone_from(&self.lost);
            }
            Contradiction::Replaced { index } => {
                let why = format!(
                    "node {from} leads group {group} without entry {index}, which is committed \
                     here: others have lost what they acknowledged"
                );
                self.alarm(format!(
                    "{why}; this replica keeps what it has and doesn't vote any more"
                ));
                self.suspect(group, &why);
            }
        }
    }

    /// This node has lost what it acknowledged. The write-ahead log is one for all groups: what one
    /// has lost at its end, others have too, votes among it.
    pub(crate) fn lose_trust(&mut self, why: &str) {
        self.alarm(format!(
            "{why}; none of its replicas votes any more. {}",
            self.as_a_lost_disk()
        ));
        self.lost.get_or_insert_with(|| why.to_string());
        let groups: Vec<_> = self.replicas.keys().copied().collect();
        for group in groups {
            self.suspect(group, why);
        }
    }

    /// What is to be done about a node that can't be relied upon.
    pub(super) fn as_a_lost_disk(&self) -> String {
        let node = self.settings.node;
        format!(
            "This is a lost disk, and an old copy of it can't be used: stop the node, give it up (flotilla \
             cluster remove {node} --lost), empty its data directory and start it with --join; if it has \
             always been alone, only a backup has what it lost"
        )
    }

    /// A group in which nobody else has a say has nobody to defer to.
    pub(crate) fn suspect(&mut self, group: GroupId, why: &str) {
        if let Some(replica) = self.replicas.get_mut(&group)
            && !replica.group.is_only_elector()
        {
            replica.suspect.get_or_insert_with(|| why.to_string());
            replica.group.resign();
            self.suspects.insert(group);
            self.touch(group);
        }
    }

    /// A node can't read the metadata up to what was committed: what it knows is of long ago. It goes on with
    /// none of it, even if nobody else knows better.
    pub(crate) fn lose_metadata(&mut self, why: &str) {
        self.alarm(format!(
            "the metadata on this node can't be read to its end, so it takes part in nothing: {why}. {}",
            self.as_a_lost_disk()
        ));
        if let Some(replica) = self.replicas.get_mut(&GroupId::META) {
            replica.suspect.get_or_insert_with(|| why.to_string());
            replica.group.resign();
            self.suspects.insert(GroupId::META);
            self.damage.insert(GroupId::META);
            self.touch(GroupId::META);
        }
    }

    /// At each beat: tells the leaders of replicas that stand aside here, until they show that they
    /// know.
    pub(crate) fn tell_leaders(&mut self) {
        let me = self.settings.node;
        let mut told = 0;
        for group in &self.suspects {
            let Some(replica) = self.replicas.get(group) else {
                continue;
            };
            for peer in self.peers.values_mut().filter(|peer| !peer.lost) {
                let leads = peer.led.get(*group);
                let term = replica.group.term();
                if leads.is_some_and(|(theirs, _)| theirs >= term) && !peer.led.lacks(*group, me) {
                    let incarnation = replica.group.me().incarnation;
                    peer.outbox.push(Item::Aside(*group, incarnation));
                    told += 1;
                }
            }
            if told >= limits::ASIDE_TOLD_AT_ONCE {
                return;
            }
        }
    }

    /// A follower says that it stands aside: it isn't in sync, however much it has.
    pub(crate) fn on_aside(&mut self, from: NodeId, group: GroupId, incarnation: u32) {
        let node = from;
        let member = Member { node, incarnation };
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let belongs = replica.group.configuration().members().any(|m| m == member);
        if replica.was_leader && belongs && replica.aside.insert(member) {
            mark(Mark::StoodAside);
            self.wake_group(group);
            self.review_behind(group);
        }
    }
}
