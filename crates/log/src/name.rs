//! What a segment is called.
//!
//! Where a batch was appended, its segment is called by the offset it begins at. What compaction
//! writes in the place of such segments covers the same offsets, so it carries a number too:
//! old and new lie side by side until a checkpoint names the new ones.

use base::Offset;

/// Names a segment of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Offset of its first batch, when it was made.
    pub base: Offset,
    /// Which rewrite of the log made it; 0: batches were appended to it.
    pub rewrite: u32,
}

impl SegmentName {
    /// A segment that batches are appended to.
    pub fn appended(base: Offset) -> SegmentName {
        SegmentName { base, rewrite: 0 }
    }

    /// The file's name without its ending.
    pub(crate) fn stem(self) -> String {
        match self.rewrite {
            0 => format!("{:020}", self.base.0),
            rewrite => format!("{:020}-{rewrite}", self.base.0),
        }
    }

    /// Reads back [`SegmentName::stem`]; `None` for what isn't one, to the last letter.
    pub(crate) fn from_stem(stem: &str) -> Option<SegmentName> {
        let (base, rewrite) = stem.split_once('-').unwrap_or((stem, "0"));
        let name = SegmentName {
            base: Offset(base.parse().ok()?),
            rewrite: rewrite.parse().ok()?,
        };
        (name.stem() == stem).then_some(name)
    }
}
