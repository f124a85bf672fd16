//! How leaderships begin and change hands on purpose.

use super::{Group, Role};
use crate::configure::id_of;
use base::NodeId;

impl Group {
    /// Starts an election, pre-vote first, if this replica has a say and may win.
    pub fn campaign(&mut self) {
        if self.may_campaign() {
            let _ = self.raw.campaign();
        }
    }

    /// False while a snapshot isn't durable: between the old log and the new one there are entries that
    /// the crate would look for. And while the log isn't, if this is the only elector: it would lead
    /// at once, and a leader's own log is durable.
    pub fn may_campaign(&self) -> bool {
        let durable = self.persisted_index() == self.last_index();
        self.installing.is_none() && self.is_elector() && (durable || !self.is_only_elector())
    }

    /// Ends loyalty to a leader whose node fell silent, so that this replica may vote.
    pub fn forget_leader(&mut self) {
        if self.role() != Role::Leader {
            self.raw.tick();
            self.raw.tick();
        }
    }

    /// Hands the leadership to the replica of another node that has a say.
    pub fn transfer(&mut self, to: NodeId) {
        let member = self.configuration().electors().find(|m| m.node == to);
        if let Some(member) = member {
            self.raw.transfer_leader(id_of(member));
        }
    }
}
