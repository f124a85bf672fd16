//! What a leader does at each of its driver's beats: it asks, and looks who answers.

use super::{Group, Role};
use crate::configure::id_of;
use base::{Member, NodeId};

impl Group {
    /// A leader's check that a quorum still answers; sends heartbeats too.
    pub fn tick(&mut self) {
        self.raw.tick();
    }

    /// What this replica is asked may still be on its way to it: at the next check it counts as one that
    /// answers.
    pub fn excuse(&mut self, member: Member) {
        if let Some(progress) = self.raw.raft.mut_prs().get_mut(id_of(member)) {
            progress.recent_active = true;
        }
    }

    /// Sends heartbeats.
    pub fn ping(&mut self) {
        self.raw.ping();
    }

    /// What is on its way to this replica is lost: probe it again.
    pub fn unreachable(&mut self, node: NodeId) {
        if self.role() == Role::Leader {
            let there: Vec<_> = self.configuration().members().collect();
            for member in there.into_iter().filter(|member| member.node == node) {
                self.raw.report_unreachable(id_of(member));
                self.snapshot_failed(member);
            }
        }
    }
}
