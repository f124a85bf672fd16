//! Unclean elections: a partition that has no leader because most of its replicas are on nodes that
//! aren't heard goes on with one that is (`alone.rs`, `meta::recover`). What only the others had is lost,
//! also what was acknowledged, and their replicas are made anew when they come back. So it is done
//! only when somebody asks for it, or where `unclean.leader.election.enable` says so.
//!
//! Of the replicas that are left the first that was in sync goes on, as far as is known, else the first
//! one. A node that isn't heard here may be heard by others: whoever cuts a cluster in two and elects
//! in both halves has two leaders until the halves meet.

use super::prefer::Part;
use crate::Shard;
use crate::api::ReplyTo;
use base::{GroupId, Mono, NodeId, Refusal, limits};
use meta::{Command, PartitionInfo};

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
                    Part::Until(*group, node)
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
        let chosen =
            groups.filter_map(|group| Some((group, self.survivor_of(group, &silent).ok()?)));
        let chosen = chosen.take(limits::MOVES_AT_ONCE).collect();
        let deadline = self.now.mono.after(limits::LEADER_SILENCE);
        self.order_survivors(chosen, silent, deadline);
    }

    fn order_survivors(&mut self, groups: Vec<(GroupId, NodeId)>, silent: Vec<NodeId>, by: Mono) {
        for (group, node) in &groups {
            self.note(format!(
                "group {group} has no majority among the nodes that are heard: the replica of node {node} \
                 is to lead alone, and what only the others had is lost"
            ));
        }
        if !groups.is_empty() {
            self.tell_controller(Command::GoOnAlone { groups, silent }, by);
        }
    }

    /// Nodes of the cluster that weren't heard for so long.
    fn silent_for(&self, time: std::time::Duration) -> Vec<NodeId> {
        let now = self.now.mono;
        let silent = |node: &&NodeId| match self.peers.get(node) {
            Some(peer) => peer.lost && now.since(peer.heard) >= time,
            None => **node != self.settings.node,
        };
        let image = self.image();
        let placed = image.topics.values().flat_map(|topic| &topic.partitions);
        let placed = placed.flat_map(|info| &info.replicas);
        let mut nodes: Vec<NodeId> = placed.filter(silent).copied().collect();
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
        if self
            .leader_heard(group)
            .is_some_and(|(node, _)| !gone(node))
            || !info.has_lost(gone)
        {
            return Err(Refusal::election_not_needed());
        }
        let none = "no replica of the partition is on a node that is heard";
        self.best_left(info, info.survivors(gone))
            .ok_or_else(|| Refusal::EligibleLeadersNotAvailable(none.to_owned()))
    }

    /// The first that was in sync when the last leader said so.
    fn best_left(&self, info: &PartitionInfo, left: Vec<NodeId>) -> Option<NodeId> {
        let group = info.group;
        let last = self.peer_that_leads(group, |_| true);
        let in_sync =
            |node: &&NodeId| last.is_some_and(|(_, _, peer)| !peer.led.lacks(group, **node));
        left.iter().find(in_sync).or(left.first()).copied()
    }
}
