//! Where the logs of those that are left end: the controller asks before it lets a replica go on without
//! its majority, so that as little as possible is lost.
//!
//! Of logs without a leader the one whose last entry is of the latest term, and then the longest of those,
//! has whatever any of them knows to be committed. Who has less would have to give up what was there.

use crate::Shard;
use base::{GroupId, Mark, Mono, NodeId, RaftIndex, Term, limits, mark};
use consensus::Item;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer is as good as new. It is asked for once a second.
const FRESH: Duration = Duration::from_secs(3);
/// How long answers are waited for: a node of an earlier release gives none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions after which it is begun anew.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// What others said, and since when they are asked.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    told: BTreeMap<(GroupId, NodeId), (Mono, Term, RaftIndex)>,
    asked: BTreeMap<GroupId, Mono>,
}

impl Shard {
    /// Of each group the replica that is left with the most, whichever was proposed; without the groups of
    /// which that isn't known yet. Whoever wants it asks again.
    pub(crate) fn with_the_longest_logs(
        &mut self,
        groups: Vec<(GroupId, NodeId)>,
        silent: &[NodeId],
    ) -> Vec<(GroupId, NodeId)> {
        let now = self.now.mono;
        self.ends.told.retain(|_, told| now.since(told.0) < FRESH);
        self.ends
            .asked
            .retain(|_, since| now.since(*since) < FORGOTTEN);
        let mut chosen = Vec::new();
        for (group, _) in groups {
            if let Some(node) = self.with_the_longest_log(group, silent) {
                chosen.push((group, node));
            }
        }
        for (group, node) in &chosen {
            // Should it lose its majority once more, all are asked anew.
            self.ends.asked.remove(group);
            mark(Mark::UncleanElection);
            self.alarm(format!(
                "group {group} has no majority among the nodes that are heard: the replica of node {node} \
                 is to lead alone, and what only the others had is lost"
            ));
        }
        chosen
    }

    /// True if it was asked for long who has the most of a group, and nobody was found.
    pub(crate) fn is_asked_in_vain(&self, group: GroupId) -> bool {
        let since = self.ends.asked.get(&group);
        since.is_some_and(|since| self.now.mono.since(*since) > PATIENCE + FRESH)
    }

    fn with_the_longest_log(&mut self, group: GroupId, silent: &[NodeId]) -> Option<NodeId> {
        let now = self.now.mono;
        let image = self.image();
        let left = image
            .partition(group)?
            .survivors(|node| silent.contains(&node));
        let since = *self.ends.asked.entry(group).or_insert(now);
        let (mut best, mut unknown) = (None, false);
        for node in left {
            match self.end_on(group, node) {
                Some(end) if best.is_none_or(|(known, _)| known < end) => best = Some((end, node)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        if unknown && now.since(since) < PATIENCE {
            return None;
        }
        best.map(|(_, node)| node)
    }

    /// Where the log of one replica ends, if that is known; else it is asked.
    fn end_on(&mut self, group: GroupId, node: NodeId) -> Option<(Term, RaftIndex)> {
        if node == self.settings.node {
            return self.end_here(group);
        }
        let told = self.ends.told.get(&(group, node));
        let told = told.map(|(_, term, index)| (*term, *index));
        if told.is_none()
            && let Some(peer) = self.peers.get_mut(&node)
        {
            peer.outbox.push(Item::AskEnd(group));
        }
        told
    }

    /// Zeros if there is no log, nothing while it isn't durable or if it is damaged: who can't vote for
    /// itself can't lead alone, and others may come back that have everything. Nothing either of a log that
    /// is on disk and not open yet, for the metadata that tells of it hasn't come since the start.
    fn end_here(&self, group: GroupId) -> Option<(Term, RaftIndex)> {
        match self.replicas.get(&group) {
            None if self.stored.contains_key(&group) => None,
            None => Some((Term(0), RaftIndex(0))),
            Some(replica) if replica.suspect.is_some() => None,
            Some(replica) => {
                let last = replica.group.last_index();
                let durable = replica.group.persisted_index() == last;
                durable.then(|| (replica.log.last_term(), last))
            }
        }
    }

    pub(crate) fn on_end_asked(&mut self, from: NodeId, group: GroupId) {
        if let Some((term, index)) = self.end_here(group)
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.outbox.push(Item::End(group, term, index));
        }
    }

    pub(crate) fn on_end(&mut self, from: NodeId, group: GroupId, end: (Term, RaftIndex)) {
        // Unasked, or long ago.
        if self.ends.asked.contains_key(&group) && self.ends.told.len() < limits::ENDS_MAX {
            let now = self.now.mono;
            self.ends.told.insert((group, from), (now, end.0, end.1));
        }
    }
}
