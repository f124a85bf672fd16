//! Unclean elections: a partition that has no leader because most of its replicas are on nodes that
//! aren't heard goes on with one that is (`alone.rs`, `meta::recover`). What only the others had is lost,
//! also what was acknowledged, and their replicas are made anew when they come back. So it is done
//! only when somebody asks for it, or where `unclean.leader.election.enable` says so.
//!
//! Of the replicas that are left the one with the most goes on (`ends.rs`). A node that isn't heard here
//! may be heard by others: whoever cuts a cluster in two and elects in both halves has two leaders until
//! the halves meet.

use super::prefer::Part;
use crate::Shard;
use crate::api::ReplyTo;
use base::{Bug, GroupId, Mono, NodeId, Refusal, limits, planted};
use meta::Command;

impl Shard {
    /// Has the replicas that are left lead, where there is no majority; answered with
    /// [`crate::Reply::Preferred`].
    pub(crate) fn elect_unclean(&mut self, groups: &[GroupId], deadline: Mono, to: ReplyTo) {
        let Some(to) = self.may_elect(groups.len(), to) else {
            return;
        };
        let silent = self.silent_for(std::time::Duration::ZERO);
        let mut chosen = Vec::new();
        let parts = groups
            .iter()
            .map(|group| match self.survivor_of(*group, &silent) {
                Ok(node) => {
                    chosen.push((*group, node));
                    Part::UntilLed(*group)
                }
                Err(why) => Part::Done(Err(why)),
            });
        let parts = parts.collect();
        self.order_survivors(chosen, silent, deadline);
        self.await_leaders(parts, deadline, to);
    }

    /// Does the same for the topics that are to have it, once nodes were silent for long. By the node
    /// that leads the metadata.
    pub(crate) fn elect_unclean_where_enabled(&mut self) {
        let meta = &self.replicas[&GroupId::META];
        let leads = meta.was_leader && meta.group.committed_in_term();
        if !leads || !self.beats.is_multiple_of(limits::BEATS_A_SECOND) {
            return;
        }
        let silent = self.silent_for(limits::UNCLEAN_PATIENCE);
        let image = self.image();
        if silent.is_empty() || image.allows_recovery().is_err() {
            return;
        }
        let enabled = image
            .topics
            .values()
            .filter(|topic| topic.settings.unclean_election);
        let groups = enabled.flat_map(|topic| topic.partitions.iter().map(|info| info.group));
        let mut chosen: Vec<_> = self.survivors_of(groups, &silent).collect();
        // Those for which nobody was found come last, so that they keep nobody waiting.
        chosen.sort_by_key(|(group, _)| self.is_asked_in_vain(*group));
        chosen.truncate(limits::SURVIVORS_AT_ONCE);
        let deadline = self.now.mono.after(limits::LEADER_SILENCE);
        self.order_survivors(chosen, silent, deadline);
    }

    /// Asks again for what was asked for here: who has the most isn't known at once.
    pub(crate) fn elect_unclean_again(&mut self) {
        let groups = self.elections_that_wait();
        if groups.is_empty() || !self.beats.is_multiple_of(limits::BEATS_A_SECOND) {
            return;
        }
        let silent = self.silent_for(std::time::Duration::ZERO);
        let chosen = self.survivors_of(groups.into_iter(), &silent).collect();
        let deadline = self.now.mono.after(limits::LEADER_SILENCE);
        self.order_survivors(chosen, silent, deadline);
    }

    /// Those of the groups that have no majority and may go on, with who could lead each.
    fn survivors_of(
        &self,
        groups: impl Iterator<Item = GroupId>,
        silent: &[NodeId],
    ) -> impl Iterator<Item = (GroupId, NodeId)> {
        groups.filter_map(|group| Some((group, self.survivor_of(group, silent).ok()?)))
    }

    /// The controller chooses among all that are left (`ends.rs`).
    fn order_survivors(&mut self, groups: Vec<(GroupId, NodeId)>, silent: Vec<NodeId>, by: Mono) {
        if !groups.is_empty() {
            self.tell_controller(Command::GoOnAlone { groups, silent }, by);
        }
    }

    /// Who may lead alone, and without whom, by what the controller hears itself: whoever asks may be the one
    /// that hears nobody, and the question may have waited.
    pub(crate) fn who_goes_on(
        &mut self,
        mut groups: Vec<(GroupId, NodeId)>,
        mut silent: Vec<NodeId>,
    ) -> (Vec<(GroupId, NodeId)>, Vec<NodeId>) {
        silent.retain(|node| self.is_silent(*node, limits::SURELY_SILENT));
        groups.retain(|(group, _)| self.survivor_of(*group, &silent).is_ok());
        (self.with_the_longest_logs(groups, &silent), silent)
    }

    /// True if a node was silent for so long that it may be done without, if somebody asks for it.
    pub(crate) fn is_gone(&self, node: NodeId) -> bool {
        self.is_silent(node, limits::UNCLEAN_PATIENCE)
    }

    fn is_silent(&self, node: NodeId, time: std::time::Duration) -> bool {
        match self.peers.get(&node) {
            // Whoever was stopped itself heard nobody either.
            Some(peer) => {
                let listened = self.now.mono.since(peer.heard.max(self.awake_since));
                peer.lost && listened >= time
            }
            None => node != self.settings.node,
        }
    }

    /// Nodes of the cluster that weren't heard for so long.
    fn silent_for(&self, time: std::time::Duration) -> Vec<NodeId> {
        let image = self.image();
        let placed = image.topics.values().flat_map(|topic| &topic.partitions);
        let placed = placed.flat_map(|info| &info.replicas);
        let silent = placed.filter(|node| self.is_silent(**node, time));
        let mut nodes: Vec<NodeId> = silent.copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Who is to lead a group without its majority.
    fn survivor_of(&self, group: GroupId, silent: &[NodeId]) -> Result<NodeId, Refusal> {
        let image = self.image();
        let info = image.partition(group).ok_or(Refusal::UnknownTopic)?;
        image.allows_recovery()?;
        let gone = |node: NodeId| silent.contains(&node);
        let needed =
            self.leader_heard(group).is_none_or(|(node, _)| gone(node)) && info.has_lost(gone);
        if !needed && !planted(Bug::UncleanWhileMajorityLives) {
            return Err(Refusal::election_not_needed());
        }
        let none = "no replica of the partition is on a node that is heard";
        let left = info.survivors(gone);
        left.first()
            .copied()
            .ok_or_else(|| Refusal::EligibleLeadersNotAvailable(none.to_owned()))
    }
}
