//! Who belongs to a group: how that changes, and who this replica is in it.

use super::{Group, ProposeError};
use crate::configure::{self, id_of};
use crate::entry::{self, Body};
use base::{Bug, Configuration, Member, NodeId, RaftIndex, Term, limits, planted};
use raft::eraftpb;

impl Group {
    /// Appends an entry that changes the configuration once it is committed, if this replica leads
    /// and knows that no other change is under way. The step must be one that a leader may take.
    pub fn propose_configuration(
        &mut self,
        next: &Configuration,
    ) -> Result<RaftIndex, ProposeError> {
        if self.configuration_is_pending() || !self.committed_in_term() {
            return Err(ProposeError);
        }
        assert!(
            configure::is_one_step(self.configuration(), next) || planted(Bug::VotersChangedAtOnce),
            "{:?} doesn't follow on {:?}",
            next,
            self.configuration()
        );
        self.propose(Body::Internal(next.encode().into()))
    }

    /// True if the log has an entry that will change the configuration once it is committed.
    pub fn configuration_is_pending(&self) -> bool {
        let proposed = |body: &Body| match body {
            Body::Internal(data) => Configuration::decode(data).is_some(),
            Body::Batch(_) => false,
        };
        self.raw.store().configuration_is_pending() || self.stash.values().any(proposed)
    }

    /// Takes the configuration of a committed entry, unless what holds is of a later one.
    pub(super) fn reconfigure(&mut self, entry: &eraftpb::Entry) -> bool {
        let (now, by) = self.raw.store().configuration();
        let at = RaftIndex(entry.index);
        let Some(next) = Configuration::decode(&entry::internal_data(entry)) else {
            return false;
        };
        if at <= by {
            return false;
        }
        let steps = configure::steps(now, &next);
        // First: a snapshot that a step leads to must name whom it is for.
        self.raw.mut_store().configure(next, at);
        for step in steps {
            let done = self.raw.apply_conf_change(&step);
            done.expect("each step is one that the crate takes after the one before");
        }
        if !self.is_elector() && self.is_leader() {
            self.resign();
        }
        true
    }

    /// From here on nobody but this replica belongs to the group, and all that its log holds is
    /// committed, in a term that none of the others has come to. Whatever they had committed that isn't
    /// here is lost, so only who was told to accept that asks for it. False if it can't be now.
    ///
    /// It is an entry of the log like any other configuration, but for that nobody voted on it. `times`
    /// is larger each time that anybody of the group is told to: two that are told so one after the
    /// other, and don't know of each other, have no term in common.
    pub fn go_on_alone(&mut self, times: u32) -> bool {
        if self.installing.is_some() {
            return false;
        }
        let alone = Configuration {
            voters: match planted(Bug::SurvivorKeepsOthersVotes) {
                true => self.configuration().voters.clone(),
                false => vec![self.me],
            },
            aim: self.configuration().aim,
            ..Configuration::default()
        };
        let data = Body::Internal(alone.encode().into());
        let least = self.term().0.saturating_add(limits::TERMS_LEFT_OUT);
        let own = limits::TERMS_LEFT_OUT * (times % limits::TIMES_ALONE_MAX);
        let term = match planted(Bug::SurvivorKeepsItsTerm) {
            true => Term(self.term().0.saturating_add(1)),
            false => Term(least.max(own)),
        };
        let index = self.last_index().next();
        let entry = entry::entry_of(index, term, entry::describe(&data));
        let raft = &mut self.raw.raft;
        raft.become_follower(u64::from(term.0), raft::INVALID_ID);
        raft.raft_log.append(&[entry]);
        raft.raft_log.commit_to(index.0);
        true
    }

    /// Who belongs to the group.
    pub fn configuration(&self) -> &Configuration {
        self.raw.store().configuration().0
    }

    /// The entry that said who belongs to the group; 0 for what it began with.
    pub fn configured(&self) -> RaftIndex {
        self.raw.store().configuration().1
    }

    /// Which member this replica is, or will be.
    pub fn me(&self) -> Member {
        self.me
    }

    /// True if this replica has a say.
    pub fn is_elector(&self) -> bool {
        self.configuration().electors().any(|m| m == self.me)
    }

    /// True if nobody else has a say: nobody could lead in this replica's place.
    pub fn is_only_elector(&self) -> bool {
        self.is_elector() && self.configuration().electors().all(|m| m == self.me)
    }
}

/// The crate's number of whom a vote was given to, of which the node is kept. Of two members on one
/// node the older one is gone for good before the newer one has a say, so it can't have won by this
/// vote: it is as if the newer one had been given it.
pub(super) fn voted_for(vote: Option<NodeId>, configuration: &Configuration) -> u64 {
    let Some(node) = vote else {
        return 0;
    };
    let there = configuration.members().filter(|m| m.node == node).max();
    id_of(there.unwrap_or(Member::founder(node)))
}
