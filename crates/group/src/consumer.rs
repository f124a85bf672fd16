//! Groups of KIP-848: members are told by their heartbeats what they may hold.
//!
//! The group has an epoch, raised whenever there is something to assign anew; a *target*, made by
//! an assignor on this side for an epoch (`target`, `assign`); and each member has an epoch and
//! what it holds now (`reconcile` leads the one to the other, and no partition has two holders).
//! All of that is in records (`state`); what only the leader knows - sessions and other deadlines,
//! which version of the topics was looked at - is in `soft`.
//!
//! Not here: the classic protocol among classic members (`crate::classic`); a classic member in a
//! consumer group is (`classic`), and so is a group's way from one protocol to the other
//! (`migrate`).

mod classic;
mod commit;
mod describe;
mod draft;
mod embedded;
mod hash;
mod heartbeat;
mod leave;
mod migrate;
mod pattern;
mod reconcile;
mod soft;
mod state;
mod target;
mod tick;
mod who;
mod wishes;

pub(crate) use commit::CommitRights;
pub(crate) use soft::Soft;
pub(crate) use state::Group;

use crate::record::Key;
use crate::{Groups, groups};
use std::sync::Arc;

impl Groups {
    /// Applies a record of a consumer group. The first one makes the group, also in place of a
    /// classic one; the tombstone of its epoch ends it.
    pub(crate) fn replay_consumer(&mut self, key: Key<'_>, value: Option<&[u8]>) {
        let name = key.group();
        let here = matches!(self.groups.get(name), Some(groups::Group::Consumer(_)));
        if value.is_none() && !here {
            return;
        }
        if Group::ends_with(&key, value) {
            self.groups.remove(name);
            return;
        }
        if !here {
            let group = groups::Group::Consumer(Box::default());
            self.groups.insert(Arc::from(name), group);
        }
        if let Some(groups::Group::Consumer(group)) = self.groups.get_mut(name) {
            group.apply(&key, value);
        }
    }
}

#[cfg(test)]
mod tests;
