//! Changes of a group's configuration, as the crate wants them.
//!
//! The log carries whole configurations (`base::Configuration`); the crate takes single changes.
//! A leader's next configuration is always one step away from the one it has. A follower's may be
//! any number of steps away, for it may have begun with none, or with a snapshot: it takes them all
//! at once, and only what comes out of them is ever used.
//!
//! Here too: who is who. The crate knows a replica by one number, made of node and incarnation.

use base::{Configuration, Member, NodeId};
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};

/// The crate's number of a replica. That of a founder is its node's, but for node 0: to the crate 0
/// is nobody.
pub(crate) fn id_of(member: Member) -> u64 {
    u64::from(member.incarnation) << 32 | u64::from(member.node.nonzero())
}

/// The replica with this number.
pub(crate) fn member_of(id: u64) -> Member {
    Member {
        node: NodeId::of_nonzero(id as u32),
        incarnation: (id >> 32) as u32,
    }
}

/// The crate's form of a configuration.
pub(crate) fn state_of(configuration: &Configuration) -> ConfState {
    let ids = |members: &[Member]| members.iter().copied().map(id_of).collect::<Vec<_>>();
    let Configuration {
        voters,
        outgoing,
        learners,
        aim: _,
    } = configuration;
    let (next, now): (Vec<Member>, Vec<Member>) = learners
        .iter()
        .partition(|member| outgoing.contains(member));
    ConfState {
        voters: ids(voters),
        voters_outgoing: ids(outgoing),
        learners: ids(&now),
        learners_next: ids(&next),
        ..ConfState::default()
    }
}

/// The configuration that the crate's form stands for, made for this aim.
pub(crate) fn of_state(state: &ConfState, aim: u32) -> Configuration {
    let members = |ids: &[u64]| ids.iter().copied().map(member_of).collect::<Vec<_>>();
    let mut learners = members(&state.learners);
    learners.extend(members(&state.learners_next));
    Configuration {
        voters: members(&state.voters),
        outgoing: members(&state.voters_outgoing),
        learners,
        aim,
    }
}

/// True if a leader may go from one to the other: learners come and go; or, with voters changing,
/// the joint configuration is entered; or it is left. Aims don't go back.
pub(crate) fn is_one_step(from: &Configuration, to: &Configuration) -> bool {
    if to.aim < from.aim {
        return false;
    }
    if from.is_joint() {
        return *to == from.left();
    }
    let same = |a: &[Member], b: &[Member]| a.iter().all(|m| b.contains(m)) && a.len() == b.len();
    match to.is_joint() {
        true => same(&to.outgoing, &from.voters) && !to.voters.is_empty(),
        false => same(&to.voters, &from.voters),
    }
}

/// The crate's changes that lead from one configuration to the other.
pub(crate) fn steps(from: &Configuration, to: &Configuration) -> Vec<ConfChangeV2> {
    let mut steps = Vec::new();
    if from == to {
        return steps;
    }
    let now = from.left();
    if from.is_joint() {
        steps.push(ConfChangeV2::default());
    }
    // Where the joint configuration is entered from; learners are dealt with when it is.
    let mut base = to.clone();
    if to.is_joint() {
        base.voters = std::mem::take(&mut base.outgoing);
        base.learners.clone_from(&now.learners);
        base.learners.retain(|m| !base.voters.contains(m));
    }
    let changes = changes(&now, &base);
    let voters_change = now.voters.iter().any(|m| !base.voters.contains(m))
        || base.voters.iter().any(|m| !now.voters.contains(m));
    if now.voters.is_empty() || !voters_change {
        // A group without voters takes them one by one.
        steps.extend(
            changes
                .into_iter()
                .map(|change| change_of(vec![change], false)),
        );
    } else {
        steps.push(change_of(changes, true));
        steps.push(ConfChangeV2::default());
    }
    if to.is_joint() {
        steps.push(change_of(self::changes(&base, to), true));
    }
    steps
}

/// Single changes that make the voters and learners of one those of the other, additions first, so
/// that there is always a voter.
fn changes(from: &Configuration, to: &Configuration) -> Vec<ConfChangeSingle> {
    let mut changes = Vec::new();
    let mut push = |member: &Member, kind| {
        changes.push(ConfChangeSingle {
            change_type: kind,
            node_id: id_of(*member),
            ..ConfChangeSingle::default()
        });
    };
    let new = |m: &&Member| !from.voters.contains(m);
    for member in to.voters.iter().filter(new) {
        push(member, ConfChangeType::AddNode);
    }
    let new = |m: &&Member| !from.learners.contains(m);
    for member in to.learners.iter().filter(new) {
        push(member, ConfChangeType::AddLearnerNode);
    }
    let gone = |m: &&Member| !to.voters.contains(m) && !to.learners.contains(m);
    for member in from.voters.iter().chain(&from.learners).filter(gone) {
        push(member, ConfChangeType::RemoveNode);
    }
    changes
}

fn change_of(changes: Vec<ConfChangeSingle>, joint: bool) -> ConfChangeV2 {
    let transition = match joint {
        true => ConfChangeTransition::Explicit,
        false => ConfChangeTransition::Auto,
    };
    ConfChangeV2 {
        transition,
        changes: changes.into(),
        ..ConfChangeV2::default()
    }
}

#[cfg(test)]
mod tests;
