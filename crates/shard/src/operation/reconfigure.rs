//! Other replicas for groups: the leader of each steers it towards the members that the metadata
//! names. New ones begin as learners; once they have caught up, the group elects and commits with
//! both electorates for a moment; then without the old one. Each step is an entry of the log that
//! follows on what holds, so whoever leads next goes on where this one was, whatever it was.
//!
//! Who votes on metadata is another matter (`controllers.rs`).
//!
//! Nothing is remembered but the metadata and the log. What is asked for may change at any step, or
//! be taken back: then the next step leads elsewhere.

use crate::Shard;
use crate::replica::Replica;
use base::{Bug, Configuration, GroupId, Mark, Member, Mono, NodeId, limits, mark, planted};
use meta::{AIMS_NAMED, Command, Level, PartitionInfo};
use std::collections::BTreeSet;

/// What a leader does next for a group that isn't as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: something is on its way.
    Wait,
    /// Another configuration.
    Configure(Configuration),
    /// Hands over to one of these, who go on.
    HandOver(Vec<Member>),
    /// It is as it should be.
    Arrived,
}

impl Shard {
    /// Takes the next step of every group that this node leads and that isn't as it should be.
    pub(crate) fn reconfigure(&mut self) {
        self.reconfigure_controllers();
        if self.moving.is_empty() {
            return;
        }
        self.go_on_where_told();
        let image = self.image();
        let leads = |r: &Replica| r.was_leader && r.group.committed_in_term();
        let led = |group: &&GroupId| self.replicas.get(group).is_some_and(|r| leads(r));
        let led: Vec<_> = self.moving.iter().filter(led).copied().collect();
        let mut receiving = Receiving::default();
        for group in &led {
            let learners = &self.replicas[group].configuration.0.learners;
            receiving.count(learners, |node| self.receives(node));
        }
        let mut arrived = Vec::new();
        for group in led {
            let Some(info) = image.partition(group) else {
                continue;
            };
            let replica = &self.replicas[&group];
            let aim = Aim::of(info, image.level, replica.group.configuration());
            let there = replica.group.configuration();
            let coming = aim.coming(there);
            let room = !there.learners.is_empty()
                || receiving.has_room(&coming, |node| self.receives(node));
            match next_step(replica, &aim, room, self.now.mono) {
                Step::Arrived if self.is_sealed(group) => arrived.push((group, aim)),
                Step::Arrived => self.seal(group),
                step => {
                    if let Step::Configure(next) = &step
                        && there.learners.is_empty()
                    {
                        receiving.count(&next.learners, |node| self.receives(node));
                    }
                    self.take(group, step);
                }
            }
        }
        self.report_arrived(arrived);
    }

    /// True if what a replica on this node lacks is sent to it.
    fn receives(&self, node: NodeId) -> bool {
        self.hears(node) && self.has_room(node)
    }

    /// Does what a step says.
    pub(super) fn take(&mut self, group: GroupId, step: Step) {
        match step {
            Step::Wait | Step::Arrived => {}
            Step::Configure(next) => self.configure(group, &next),
            Step::HandOver(heirs) => {
                if let Some(heir) = self.best_heir(&self.replicas[&group], &heirs) {
                    mark(Mark::LeaderMovedAway);
                    self.hand_over(group, heir);
                }
            }
        }
    }

    fn configure(&mut self, group: GroupId, next: &Configuration) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let joint = replica.group.configuration().is_joint();
        if replica.group.propose_configuration(next).is_err() {
            return;
        }
        match (joint, next.is_joint()) {
            (false, true) => mark(Mark::BecameJoint),
            (true, _) => mark(Mark::JointLeft),
            _ => mark(Mark::LearnerAdded),
        }
        self.wake_group(group);
        self.touch(group);
    }

    /// True if whoever can be elected knows the configuration, also after the power goes everywhere.
    ///
    /// A replica may forget what it knew to be committed, but not what came with an entry that it
    /// has; and one that lacks a committed entry isn't elected. Before that is certain the replicas
    /// that go must stay, for a start could believe that their votes are needed.
    pub(super) fn is_sealed(&self, group: GroupId) -> bool {
        let replica = &self.replicas[&group];
        let sealed = replica.sealed;
        sealed.is_some_and(|(configured, entry)| {
            configured == replica.group.configured() && entry <= replica.high.0
        })
    }

    pub(super) fn seal(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let configured = replica.group.configured();
        if replica.sealed.is_some_and(|(at, _)| at == configured) {
            return;
        }
        if let Ok(entry) = replica.group.propose_internal(bytes::Bytes::new()) {
            replica.sealed = Some((configured, entry));
            self.wake_group(group);
            self.touch(group);
        }
    }

    /// The controller is told until the image says that it knows.
    fn report_arrived(&mut self, groups: Vec<(GroupId, Aim)>) {
        if groups.is_empty() || self.now.mono < self.next_report {
            return;
        }
        self.next_report = self.now.mono.after(limits::LEADER_SILENCE);
        let deadline = self.next_report;
        let groups = groups.into_iter();
        let word = match self.image().level >= AIMS_NAMED {
            true => Command::Arrived {
                groups: groups.map(|(group, aim)| (group, aim.count)).collect(),
            },
            false => Command::Reassigned {
                groups: groups.map(|(group, aim)| (group, aim.voters)).collect(),
            },
        };
        self.tell_controller(word, deadline);
    }
}

/// Groups that this node, as their leader, brings replicas into. Those whose new replica is on a node that
/// isn't heard, or is full, are counted for themselves: nothing is sent to them, so they keep nobody else
/// waiting.
#[derive(Default)]
struct Receiving {
    sent: usize,
    waiting: usize,
}

impl Receiving {
    fn of(&mut self, learners: &[Member], receives: impl Fn(NodeId) -> bool) -> &mut usize {
        match learners.iter().all(|learner| receives(learner.node)) {
            true => &mut self.sent,
            false => &mut self.waiting,
        }
    }

    fn count(&mut self, learners: &[Member], receives: impl Fn(NodeId) -> bool) {
        if !learners.is_empty() {
            *self.of(learners, receives) += 1;
        }
    }

    fn has_room(&mut self, learners: &[Member], receives: impl Fn(NodeId) -> bool) -> bool {
        *self.of(learners, receives) < limits::MOVES_AT_ONCE
    }
}

/// What a group is to be.
struct Aim {
    /// Its count; that of the configuration where the cluster doesn't count yet.
    count: u32,
    voters: Vec<Member>,
}

impl Aim {
    fn of(info: &PartitionInfo, level: Level, there: &Configuration) -> Aim {
        Aim {
            count: match level >= AIMS_NAMED || there.aim > 0 {
                true => info.aim(),
                false => there.aim,
            },
            voters: info.target(),
        }
    }

    /// Those that don't vote yet.
    fn coming(&self, there: &Configuration) -> Vec<Member> {
        let new = |member: &&Member| !there.voters.contains(member);
        self.voters.iter().filter(new).copied().collect()
    }
}

/// Only one that stays may end what has two electorates: it still leads then.
pub(super) fn leave_joint(replica: &Replica) -> Step {
    let there = replica.group.configuration();
    match there.voters.contains(&replica.group.me()) {
        true => Step::Configure(there.left()),
        false => Step::HandOver(there.voters.clone()),
    }
}

/// `room`: this node may bring replicas into this group, beside those that it brings into others.
fn next_step(replica: &Replica, aim: &Aim, room: bool, now: Mono) -> Step {
    let group = &replica.group;
    if group.configuration_is_pending() || !group.may_propose() {
        return Step::Wait;
    }
    let there = group.configuration();
    // The group was led towards a later aim than this node has heard of.
    if there.aim > aim.count {
        return Step::Wait;
    }
    let set = |members: &[Member]| members.iter().copied().collect::<BTreeSet<_>>();
    if there.is_joint() {
        return leave_joint(replica);
    }
    let next = Configuration {
        aim: aim.count,
        ..there.clone()
    };
    let learners = aim.coming(there);
    if set(&there.learners) != set(&learners) {
        return match room || learners.is_empty() {
            true => Step::Configure(Configuration { learners, ..next }),
            false => Step::Wait,
        };
    }
    if set(&there.voters) == set(&aim.voters) {
        // Before the word that it arrived: whoever leads it from here on knows for which aim it did.
        return match there.aim == aim.count {
            true => Step::Arrived,
            false => Step::Configure(next),
        };
    }
    // What a learner lacks then is what came in the last moment.
    let caught_up = |m: &Member| replica.is_in_sync(*m, now, limits::LEARNER_LAG);
    if !learners.iter().all(caught_up) {
        return Step::Wait;
    }
    let outgoing = match planted(Bug::VotersChangedAtOnce) {
        true => Vec::new(),
        false => there.voters.clone(),
    };
    Step::Configure(Configuration {
        voters: aim.voters.clone(),
        outgoing,
        learners: Vec::new(),
        aim: aim.count,
    })
}
