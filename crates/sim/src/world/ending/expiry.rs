//! In the end of some runs producers that are silent for a moment are to be forgotten: then all of them are silent, and every
//! replica must forget them by itself.

use super::World;
use crate::client::Role;
use crate::client::admin::cordons::EXPIRATION_MS;
use base::{GroupId, NodeId};

impl World {
    /// A replica that still remembers a producer, if they are to be forgotten.
    pub(super) fn remembered(&mut self) -> Option<String> {
        if !self.ending.expires {
            return None;
        }
        for place in 0..self.plan.nodes {
            let Some(process) = &self.nodes[place].process else {
                continue;
            };
            if self.is_given_up(place) {
                continue;
            }
            let node = NodeId(place as u32 + 1);
            if process
                .broker
                .image()
                .of_node(node, EXPIRATION_MS)
                .is_none()
            {
                // What was asked before may have got lost.
                self.ask_to_expire();
                return Some(format!(
                    "node {node} hasn't heard for how long producers are remembered"
                ));
            }
        }
        for part in self.expected_parts() {
            let Some((group, places)) = self.placed(part).filter(|_| !self.book.doomed(part))
            else {
                continue;
            };
            for place in places.into_iter().filter(|place| !self.is_given_up(*place)) {
                let process = self.nodes[place].process.as_ref();
                let known = process.and_then(|p| p.shard.producers_remembered(GroupId(group)));
                if known.is_some_and(|known| known > 0) {
                    return Some(format!("node {} remembers producers of {part}", place + 1));
                }
            }
        }
        None
    }

    fn ask_to_expire(&mut self) {
        for client in &mut self.clients {
            if let Role::Admin(admin) = &mut client.role {
                admin.expire_producers();
            }
        }
    }
}
