//! The part of a log that can't be asked for by Raft index any more: where compaction works.
//!
//! A committed [`Compact`] moves the first index past whole segments and leaves them where they
//! are, readable by offset. A rewrite (`rewrite.rs`, a job off the loop) makes fewer and smaller
//! ones of them, and [`GroupLog::replace`] takes those in. Where the write-ahead log is replayed
//! the first index moves in the same places; that segments were replaced is in the checkpoint
//! only. A crash before it finds the old ones, whose files are still there.

use super::{GroupLog, Segment};
use crate::block::Block;
use crate::name::SegmentName;
use crate::rewrite::{Kept, Rewrite, Rewrote, Source};
use crate::shape::Compact;
use crate::turn::{Record, Turn};
use base::{Mark, Offset, RaftIndex, mark};

impl GroupLog {
    /// Records before this offset were compacted.
    pub fn clean_offset(&self) -> Offset {
        self.clean
    }

    /// The latest compaction that is committed.
    pub fn compaction(&self) -> Option<Compact> {
        self.compact
    }

    /// Segments in front of the first index.
    pub(super) fn yielded(&self) -> usize {
        let front = self.front.index;
        let before = |segment: &Segment| {
            let first = segment.first_block(self.open.as_ref());
            first.is_some_and(|block| block.first_index < front)
        };
        self.segments.partition_point(before)
    }

    /// The entry at `index` asks for a compaction, and is committed: what it names can't be asked
    /// for by index from now on.
    ///
    /// A segment is named only if a batch after it comes before that entry: so it depends on
    /// nothing but the entries before whether it is, and nothing that may still be cut off goes
    /// back to it.
    pub(super) fn yield_to(&mut self, compact: Compact, index: RaftIndex) {
        let floor = compact.floor.min(index);
        self.floor = self.floor.max(floor);
        let facts: Vec<_> = self
            .segments()
            .take_while(|s| s.end_offset <= compact.below && s.last_index <= floor)
            .collect();
        let followed = |nth: &usize| {
            let next = self.segments.get(nth + 1);
            let first = next.and_then(|next| next.first_block(self.open.as_ref()));
            first.is_some_and(|block| block.first_index < index)
        };
        let last = (0..facts.len()).take_while(followed).last();
        if let Some(last) = last.map(|nth| facts[nth]) {
            self.front_after(&last);
        }
        self.compact = Some(compact);
        self.trim_entries(floor);
    }

    /// The segments that the latest compaction is about.
    fn sources(&self) -> impl Iterator<Item = &Segment> {
        let below = self.compact.map_or(Offset(0), |compact| compact.below);
        let yielded = &self.segments[..self.yielded()];
        let ends_before = move |segment: &&Segment| {
            let last = segment.blocks.last();
            last.is_some_and(|block| block.next_offset <= below && !block.is_lost())
        };
        yielded.iter().take_while(ends_before)
    }

    /// True if something was asked to be compacted and isn't yet.
    pub fn is_dirty(&self) -> bool {
        let last = self.sources().last().and_then(|last| last.blocks.last());
        last.is_some_and(|last| last.next_offset > self.clean)
    }

    /// What is to be done to compact this log; `None` if nothing is, or if not all of it is in its
    /// segments.
    pub fn plan_rewrite(&mut self, kept: Kept) -> Option<Rewrite> {
        let compact = self.compact.filter(|_| self.is_dirty())?;
        let mut sources = Vec::new();
        for segment in self.sources() {
            let name = segment.name();
            let readable = |block: &Block| self.fresh.readable(*block) == Some(*block);
            if !segment.blocks.iter().all(readable) {
                return None;
            }
            let blocks = segment.blocks.clone();
            sources.push(Source { name, blocks });
        }
        self.rewrites += 1;
        Some(Rewrite::new(
            self.group,
            self.cuts,
            self.rewrites,
            self.settings.segment_bytes,
            (self.start_offset, self.clean),
            compact,
            sources,
            kept,
        ))
    }

    /// Takes in what a rewrite made. False if what it was made of is gone meanwhile: then its
    /// files go.
    pub fn replace(&mut self, turn: &mut Turn, rewrote: Rewrote) -> bool {
        let made = rewrote.segments.iter().map(|segment| SegmentName {
            base: segment.base,
            rewrite: rewrote.number,
        });
        let first = self.segments.first().map(Segment::name);
        let at = rewrote.sources.iter().position(|s| Some(*s) == first);
        let left = &rewrote.sources[at.unwrap_or(rewrote.sources.len())..];
        let there = self.segments.iter().map(Segment::name);
        if left.is_empty() || !there.take(left.len()).eq(left.iter().copied()) {
            self.drop_files(turn, made.collect());
            return false;
        }
        mark(Mark::Compacted);
        let gone: Vec<SegmentName> = left.to_vec();
        let number = rewrote.number;
        let new: Vec<Segment> = rewrote
            .segments
            .iter()
            .map(|made| made.segment(number))
            .collect();
        for undo in &mut self.tail {
            undo.segments = undo.segments + new.len() as u32 - gone.len() as u32;
        }
        self.segments.splice(..gone.len(), new);
        self.clean = self.clean.max(rewrote.clean);
        self.drop_files(turn, gone);
        self.drop_below_start(turn);
        true
    }

    /// The files of these segments may go with the next checkpoint.
    pub(super) fn drop_files(&self, turn: &mut Turn, segments: Vec<SegmentName>) {
        if segments.is_empty() {
            return;
        }
        turn.records.push(Record::Drop {
            group: self.group,
            segments,
            turn: turn.number,
        });
    }
}
