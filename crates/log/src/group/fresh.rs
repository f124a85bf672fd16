//! What is appended and not in its segment yet. A plan must not ask for it: a block whose end is
//! still on its way can't be read whole, so plans take the block as it was at the last batch that
//! settled.

use crate::block::Block;
use base::RaftIndex;
use std::collections::VecDeque;

/// The state of blocks around the last settled entry. Says nothing of the log's content, so two
/// logs are equal whatever is on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Fresh {
    /// Its block after each batch that isn't settled, in order.
    blocks: VecDeque<(RaftIndex, Block)>,
    /// The block that the last settled batch lies in, as it was after that batch.
    edge: Option<Block>,
}

impl PartialEq for Fresh {
    fn eq(&self, _: &Fresh) -> bool {
        true
    }
}

impl Eq for Fresh {}

impl Fresh {
    /// A batch is about to be added to the open block.
    pub(super) fn before_append(&mut self, open: Option<Block>) {
        if self.blocks.is_empty() {
            self.edge = open;
        }
    }

    /// A batch was added at `index`, to `open`.
    pub(super) fn appended(&mut self, index: RaftIndex, open: Option<Block>) {
        let block = open.expect("an appended batch lies in the open block");
        self.blocks.push_back((index, block));
    }

    pub(super) fn settled(&mut self, index: RaftIndex) {
        while self.blocks.front().is_some_and(|(at, _)| *at <= index) {
            self.edge = self.blocks.pop_front().map(|(_, block)| block);
        }
    }

    /// Everything from `from` on was cut off.
    pub(super) fn truncated(&mut self, from: RaftIndex) {
        while self.blocks.back().is_some_and(|(at, _)| *at >= from) {
            self.blocks.pop_back();
        }
    }

    /// The part of a block that can be read now.
    pub(super) fn readable(&self, block: Block) -> Option<Block> {
        let unsettled = self.blocks.front().map(|(at, _)| *at);
        if unsettled.is_none_or(|at| block.last_index() < at) {
            return Some(block);
        }
        self.edge
            .filter(|edge| edge.first_index == block.first_index)
    }
}
