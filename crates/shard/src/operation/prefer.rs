//! Leaders become the preferred ones again, when somebody asks for it: whoever leads a group hands
//! it over to the replica that is named first. A node that is asked and doesn't lead the group
//! tells the one that does, and looks who leads until it is the preferred one or time is up.

use crate::Shard;
use crate::api::{Reply, ReplyTo};
use crate::peer::Peer;
use base::{GroupId, Mono, NodeId, Refusal, Term};
use consensus::Item;

/// Most calls that may wait for their elections.
const ELECTIONS_MAX: usize = 1_000;

/// A call that waits for leaders.
pub(crate) struct Preference {
    to: ReplyTo,
    pub(super) deadline: Mono,
    parts: Vec<Part>,
}

/// One group of it.
pub(super) enum Part {
    /// It is known what comes of it.
    Done(Result<(), Refusal>),
    /// Until this node leads the group.
    Until(GroupId, NodeId),
    /// Until somebody leads the group who is heard.
    UntilLed(GroupId),
}

impl Shard {
    /// Hands groups over to their preferred leaders; answered with [`Reply::Preferred`].
    pub(crate) fn prefer(&mut self, groups: &[GroupId], deadline: Mono, to: ReplyTo) {
        if let Some(to) = self.may_elect(groups.len(), to) {
            let parts = groups.iter().map(|group| self.prefer_one(*group)).collect();
            self.await_leaders(parts, deadline, to);
        }
    }

    /// Refuses a call for elections if there are too many.
    pub(super) fn may_elect(&self, groups: usize, to: ReplyTo) -> Option<ReplyTo> {
        if self.awaiting.preferences.len() < ELECTIONS_MAX {
            return Some(to);
        }
        let busy = Refusal::Busy("too many elections are under way".into());
        let parts = vec![Err(busy); groups];
        to.sink.reply(to.ticket, Reply::Preferred(parts));
        None
    }

    /// The call is answered when all are done.
    pub(super) fn await_leaders(&mut self, parts: Vec<Part>, deadline: Mono, to: ReplyTo) {
        self.awaiting.preferences.push(Preference {
            to,
            deadline,
            parts,
        });
        self.answer_preferences();
    }

    fn prefer_one(&mut self, group: GroupId) -> Part {
        let image = self.image();
        let Some(info) = image.partition(group) else {
            return Part::Done(Err(Refusal::UnknownTopic));
        };
        let preferred = *info
            .replicas
            .first()
            .expect("a partition has a replica at least");
        let unavailable = || {
            let why = "The preferred leader was not available.";
            Part::Done(Err(Refusal::PreferredLeaderNotAvailable(why.into())))
        };
        let Some((leader, _)) = self.leader_heard(group) else {
            return unavailable();
        };
        if leader == preferred {
            return Part::Done(Err(Refusal::election_not_needed()));
        }
        if preferred != self.settings.node && self.peers.get(&preferred).is_none_or(|p| p.lost) {
            return unavailable();
        }
        // It would have to catch up, be admitted or get room before it can lead: that is not waited for.
        if self.is_behind(group, leader, preferred) || !self.has_room(preferred) {
            return unavailable();
        }
        if leader == self.settings.node {
            self.hand_over(group, preferred);
        } else if let Some(peer) = self.peers.get_mut(&leader) {
            peer.outbox.push(Item::HandOver(group, preferred));
        }
        Part::Until(group, preferred)
    }

    /// Hands one group over, if this node leads it and the other one has a replica.
    pub(crate) fn hand_over(&mut self, group: GroupId, to: NodeId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        if replica.group.is_leader() {
            replica.group.transfer(to);
            // Only the ticks of a group that isn't quiet end a transfer that comes to nothing.
            self.wake_group(group);
            self.touch(group);
        }
    }

    /// Who leads a group, by this node's replica or else by what the peers say of themselves.
    pub(crate) fn leader_heard(&self, group: GroupId) -> Option<(NodeId, Term)> {
        if let Some(replica) = self.replicas.get(&group) {
            return replica.leader();
        }
        let (term, node, _) = self.peer_that_leads(group, |peer| !peer.lost)?;
        Some((node, term))
    }

    /// Of the peers of whom `which` is true, the one that says to lead a group in the latest term.
    pub(crate) fn peer_that_leads(
        &self,
        group: GroupId,
        which: impl Fn(&Peer) -> bool,
    ) -> Option<(Term, NodeId, &Peer)> {
        let peers = self.peers.iter().filter(|(_, peer)| which(peer));
        let leads = peers.filter_map(|(node, peer)| Some((peer.led.get(group)?.0, *node, peer)));
        leads.max_by_key(|(term, ..)| *term)
    }

    /// Answers the calls whose groups are led as they should be, or whose time is up.
    pub(super) fn answer_preferences(&mut self) {
        let now = self.now.mono;
        let mut waiting = Vec::new();
        for mut call in std::mem::take(&mut self.awaiting.preferences) {
            for part in &mut call.parts {
                let led = match part {
                    Part::Done(_) => continue,
                    Part::Until(group, node) => {
                        self.leader_heard(*group).is_some_and(|(n, _)| n == *node)
                    }
                    Part::UntilLed(group) => self.is_led(*group),
                };
                if led {
                    *part = Part::Done(Ok(()));
                } else if call.deadline <= now {
                    *part = Part::Done(Err(Refusal::Timeout));
                }
            }
            if call.parts.iter().all(|part| matches!(part, Part::Done(_))) {
                let done = call.parts.into_iter().map(|part| match part {
                    Part::Done(result) => result,
                    Part::Until(..) | Part::UntilLed(_) => Err(Refusal::Timeout),
                });
                let reply = Reply::Preferred(done.collect());
                call.to.sink.reply(call.to.ticket, reply);
            } else {
                waiting.push(call);
            }
        }
        self.awaiting.preferences = waiting;
    }

    /// True if somebody leads a group who is heard.
    pub(super) fn is_led(&self, group: GroupId) -> bool {
        let heard = |node| node == self.settings.node || self.hears(node);
        self.leader_heard(group)
            .is_some_and(|(node, _)| heard(node))
    }

    /// The groups that are to be led in any case.
    pub(super) fn elections_that_wait(&self) -> Vec<GroupId> {
        let parts = self
            .awaiting
            .preferences
            .iter()
            .flat_map(|call| &call.parts);
        let waits = |part: &Part| match part {
            Part::UntilLed(group) => Some(*group),
            _ => None,
        };
        parts.filter_map(waits).collect()
    }
}
