//! Followers whose nodes have no room for records: they are sent none, and nothing is read for them.

use super::Group;
use crate::configure::member_of;
use crate::entry;
use base::Member;
use raft::eraftpb::{self, MessageType};
use std::collections::BTreeSet;

impl Group {
    /// These replicas are sent no batches from now on, nor are entries read for them: what they lack they
    /// get once they aren't named any more, after their next answer to a heartbeat. Entries without
    /// records, heartbeats, snapshots and votes go to them as ever. True if they are others than before.
    pub fn withhold_from(&mut self, members: BTreeSet<Member>) -> bool {
        self.raw.mut_store().withhold_from(members)
    }

    /// Those that are sent none.
    pub fn withheld(&self) -> &BTreeSet<Member> {
        self.raw.store().withheld()
    }

    /// The crate sends what was proposed in this turn without asking the store for it: what isn't to be
    /// sent is cut off here. Returns the crate's numbers of those to whom less is sent than it believes.
    pub(super) fn hold_back(&self, messages: &mut [eraftpb::Message]) -> Vec<u64> {
        let withheld = self.withheld();
        if withheld.is_empty() {
            return Vec::new();
        }
        let mut cut = Vec::new();
        for message in messages {
            let is_append = message.get_msg_type() == MessageType::MsgAppend;
            if !is_append || !withheld.contains(&member_of(message.to)) {
                continue;
            }
            if let Some(first) = message.entries.iter().position(entry::is_batch) {
                let mut entries: Vec<_> = message.take_entries().into();
                entries.truncate(first);
                message.set_entries(entries.into());
                cut.push(message.to);
            }
        }
        cut
    }

    /// To the crate it is as if the messages to them were lost.
    pub(super) fn was_held_back(&mut self, ids: Vec<u64>) {
        for id in ids {
            self.raw.report_unreachable(id);
        }
    }
}
