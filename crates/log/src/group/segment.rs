//! One segment as the bookkeeping knows it.

use super::start::Begun;
use crate::block::Block;
use crate::name::SegmentName;
use base::Offset;

/// A segment: its closed blocks. The last one of a log may have an open block besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base: Offset,
    pub(crate) blocks: Vec<Block>,
    /// Closed blocks that the first one stands for besides itself, because they are damaged.
    pub(super) lost: u32,
    /// Largest timestamp of the closed blocks, so that a search by time skips whole segments.
    pub(super) max_timestamp: i64,
    pub(super) begun: Begun,
    /// Set if a rewrite made it, or an import: then nothing is appended to it, ever.
    pub(super) rewritten: Option<Rewritten>,
}

/// What is known of a segment that a rewrite or an import made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Which of them.
    pub(crate) number: u32,
    /// CRC-32C of all its bytes. Offsets in it have holes, so they don't follow from their places.
    pub(crate) crc: u32,
}

impl Segment {
    pub(super) fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            rewrite: self.rewritten.map_or(0, |rewritten| rewritten.number),
        }
    }

    pub(super) fn new(base: Offset) -> Segment {
        Segment {
            base,
            rewritten: None,
            blocks: Vec::new(),
            lost: 0,
            max_timestamp: i64::MIN,
            begun: Begun::default(),
        }
    }

    pub(super) fn push(&mut self, block: Block) {
        self.begun.at(block.max_timestamp);
        self.max_timestamp = self.max_timestamp.max(block.max_timestamp);
        self.blocks.push(block);
    }

    /// True if nothing is appended to it, ever.
    pub(super) fn is_sealed(&self) -> bool {
        self.rewritten.is_some()
    }

    /// Entries of the sidecar.
    pub(super) fn count(&self) -> u32 {
        self.lost + self.blocks.len() as u32
    }

    pub(super) fn cut(&mut self, blocks: u32) {
        self.blocks.truncate((blocks - self.lost) as usize);
        self.max_timestamp = self
            .blocks
            .iter()
            .map(|block| block.max_timestamp)
            .max()
            .unwrap_or(i64::MIN);
    }

    /// Bytes in closed blocks.
    pub(super) fn closed_len(&self) -> u32 {
        self.blocks.last().map_or(0, Block::end)
    }
}
