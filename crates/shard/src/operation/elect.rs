//! When a replica campaigns. No clock of its own drives it: a leader's node falls silent, its
//! connection breaks, or nobody leads; then the group's replicas try one after the other, so that
//! they don't split the vote.

use crate::Shard;
use crate::peer::Peer;
use crate::replica::Replica;
use base::{GroupId, Mark, NodeId, limits, mark};
use std::time::Duration;

/// Between the campaigns of two replicas of a group whose leader was lost.
const STAGGER: Duration = Duration::from_millis(30);
/// Before a replica tries again, or after somebody else's try; jitter comes on top. Doubles with
/// each try in vain, because a try cuts off the one before, whose votes may be slow to come.
const RETRY: Duration = Duration::from_millis(150);
/// Doublings at most.
const RETRY_DOUBLINGS_MAX: u32 = 3;
/// Terms that may go by without a leader before replicas give each other time: where every vote takes
/// its disk longer than the time between two tries, each would cut off the one before for ever.
const TERMS_IN_VAIN: u32 = 3;
/// How many times the longest wait between two tries such time is at most.
const TIME_FOR_VOTES_MAX: u32 = 4;

/// Why a replica is to campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// The group is new: its preferred leader goes first.
    Fresh,
    /// The leader's node is lost, or this node just started.
    Lost,
    /// There is no leader, perhaps because somebody campaigns.
    Leaderless,
}

impl Shard {
    /// Sets a time to campaign, unless one is set.
    pub(crate) fn schedule_election(&mut self, group: GroupId, cause: Cause) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        if replica.elect_at.is_some() || replica.group.is_leader() {
            return;
        }
        if !replica.group.is_elector() {
            // It may have got a say in an entry that the others know to be committed: then they can't
            // elect anybody without it. If it has none, nobody tells it that its leader stepped down.
            if replica.group.leader().is_some() {
                replica.group.resign();
                self.touch(group);
            }
            return;
        }
        let replica = &self.replicas[&group];
        let delay = election_delay(replica, self.settings.node, cause);
        self.set_election(group, delay);
    }

    fn set_election(&mut self, group: GroupId, delay: Option<Duration>) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let jitter = self
            .random
            .below(limits::ELECTION_JITTER.as_micros() as u64);
        let jitter = Duration::from_micros(jitter);
        let at = match delay {
            None => self.now.mono,
            Some(delay) if delay < RETRY => self.now.mono.after(delay + jitter / 10),
            Some(delay) => self.now.mono.after(delay + jitter),
        };
        replica.elect_at = Some(at);
        self.elections.insert((at, group));
    }

    pub(crate) fn run_elections(&mut self) {
        while let Some((at, group)) = self.elections.first().copied() {
            if at > self.now.mono {
                break;
            }
            self.elections.remove(&(at, group));
            if let Some(replica) = self.replicas.get_mut(&group)
                && replica.elect_at == Some(at)
            {
                replica.elect_at = None;
                self.campaign_if_leaderless(group);
            }
        }
    }

    fn campaign_if_leaderless(&mut self, group: GroupId) {
        let replica = &self.replicas[&group];
        let may = replica.group.is_elector() && replica.suspect.is_none() && !self.leaving;
        if !may || replica.group.is_leader() || self.hears_leader(replica) {
            return;
        }
        if !replica.group.may_campaign() {
            return self.set_election(group, Some(RETRY));
        }
        if let Some(delay) = self.time_for_votes(group) {
            return self.set_election(group, Some(delay));
        }
        mark(Mark::Campaigned);
        self.stats.campaigns += 1;
        let replica = self.replicas.get_mut(&group).expect("looked at just now");
        replica.group.forget_leader();
        replica.group.campaign();
        let again = RETRY * (1 << replica.campaigns.min(RETRY_DOUBLINGS_MAX));
        replica.campaigns += 1;
        self.touch(group);
        if !self.replicas[&group].is_alone() {
            self.set_election(group, Some(again));
        }
    }

    /// How long a try is put off because votes are asked for in a term that began since the last
    /// look, and those of several terms before it didn't come in time.
    fn time_for_votes(&mut self, group: GroupId) -> Option<Duration> {
        let replica = self.replicas.get_mut(&group)?;
        let term = replica.group.term();
        if term <= replica.term_looked_at {
            return None;
        }
        replica.term_looked_at = term;
        replica.terms_in_vain += 1;
        let beyond = replica.terms_in_vain.saturating_sub(TERMS_IN_VAIN);
        if beyond == 0 {
            return None;
        }
        let unit = RETRY * (1 << RETRY_DOUBLINGS_MAX);
        let range = unit * beyond.min(TIME_FOR_VOTES_MAX);
        let some = self.random.below(range.as_micros() as u64);
        Some(unit + Duration::from_micros(some))
    }

    /// True if the node that this follower takes for its leader is alive and stands by it: by a
    /// message not long ago, or by its promise for quiet groups.
    pub(crate) fn hears_leader(&self, replica: &Replica) -> bool {
        match replica.leader() {
            None => false,
            Some((leader, _)) if leader == self.settings.node => replica.group.is_leader(),
            Some((leader, _)) => {
                let peer = self.peers.get(&leader).filter(|p| !p.lost);
                let fresh = |(peer, contact): (&Peer, _)| peer.spoke_within(contact, self.now.mono);
                self.is_promised_quiet(replica) || peer.zip(replica.contact).is_some_and(fresh)
            }
        }
    }

    /// True if the leader that this follower knows is another node that is alive and has promised
    /// that the group is quiet.
    pub(crate) fn is_promised_quiet(&self, replica: &Replica) -> bool {
        replica.leader().is_some_and(|(leader, term)| {
            let peer = self.peers.get(&leader).filter(|p| !p.lost);
            peer.is_some_and(|p| p.led.get(replica.id) == Some((term, true)))
        })
    }

    /// A leader's node is lost: its followers here may vote for others, and campaign.
    pub(crate) fn on_leader_node_lost(&mut self, node: NodeId) {
        let led_by = |r: &&mut Box<Replica>| r.group.leader() == Some(node);
        let followers: Vec<_> = self
            .replicas
            .values_mut()
            .filter(led_by)
            .map(|replica| {
                replica.group.forget_leader();
                replica.elect_at = None;
                replica.id
            })
            .collect();
        for group in followers {
            self.rouse(group);
            self.schedule_election(group, Cause::Lost);
        }
    }
}

/// None: at once.
fn election_delay(replica: &Replica, node: NodeId, cause: Cause) -> Option<Duration> {
    let lost = replica.group.leader().filter(|_| cause == Cause::Lost);
    let electors = replica.group.configuration().electors();
    let order = electors.filter(|member| Some(member.node) != lost);
    let rank = order.take_while(|member| member.node != node).count() as u32;
    match cause {
        _ if replica.is_alone() => None,
        Cause::Fresh if rank == 0 => None,
        Cause::Fresh => Some(limits::LEADER_SILENCE + STAGGER * rank),
        Cause::Lost => Some(STAGGER * rank),
        Cause::Leaderless => Some(RETRY),
    }
}
