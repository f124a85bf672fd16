//! What turns wrote that can't be read from segments yet: storage does that in its own time. Until
//! then it is in memory, so it is counted. Whether it is durable is told apart from that
//! (`operation/collect.rs`).

use base::{GroupId, RaftIndex};
use std::collections::{BTreeSet, VecDeque};

/// The turns that aren't settled, and the one that is being made.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// Those that storage has, the oldest first.
    turns: VecDeque<Written>,
    current: Written,
    /// Bytes of batches in the turns that storage has.
    bytes: u64,
}

#[derive(Debug, Default)]
struct Written {
    turn: u64,
    bytes: u64,
    /// The last entries, by group.
    last: Vec<(GroupId, RaftIndex)>,
}

impl Unsettled {
    /// The current turn has entries of a group up to `last`, with so many bytes of batches.
    pub(crate) fn wrote(&mut self, group: GroupId, last: RaftIndex, bytes: u64) {
        self.current.bytes += bytes;
        self.current.last.push((group, last));
    }

    /// The current turn goes to storage. Returns its bytes of batches.
    pub(crate) fn close(&mut self, turn: u64) -> u64 {
        let written = std::mem::take(&mut self.current);
        let bytes = written.bytes;
        self.bytes += bytes;
        self.turns.push_back(Written { turn, ..written });
        bytes
    }

    /// All turns up to this one are settled. Returns up to where groups are.
    pub(crate) fn settled(&mut self, turn: u64) -> Vec<(GroupId, RaftIndex)> {
        let mut last = Vec::new();
        while let Some(written) = self.turns.pop_front_if(|written| written.turn <= turn) {
            self.bytes -= written.bytes;
            last.extend(written.last);
        }
        last
    }

    /// What was cut and is written again settles with its own turn, not with the old one.
    pub(crate) fn cut(&mut self, group: GroupId, from: RaftIndex) {
        let all = self.turns.iter_mut().chain([&mut self.current]);
        let last = all.flat_map(|written| &mut written.last);
        for (_, index) in last.filter(|(of, _)| *of == group) {
            *index = (*index).min(from.prev());
        }
    }

    /// Replicas ended. Their bytes are in memory until their turns are settled all the same.
    pub(crate) fn forget(&mut self, ended: &BTreeSet<GroupId>) {
        for written in self.turns.iter_mut().chain([&mut self.current]) {
            written.last.retain(|(of, _)| !ended.contains(of));
        }
    }

    /// The last turn that storage has and hasn't settled.
    pub(crate) fn last_turn(&self) -> Option<u64> {
        self.turns.back().map(|written| written.turn)
    }

    /// Bytes of batches in turns that storage has.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
