//! Where a log begins: the start that readers see, and the segments that go below it.
//!
//! Two different things. The *start offset* moves as soon as its entry is committed. Segments go
//! only if all of their entries lie at or below the *floor* too, up to which the leader gives up
//! what followers may still ask for: whoever lacks some of it gets a snapshot (`install.rs`). What
//! goes here is bookkeeping; the files are removed once a checkpoint that no longer names them is
//! durable (`flush.rs`).

use super::{GroupLog, Segment};
use crate::block::Block;
use crate::shape::Shape;
use crate::turn::{Record, Turn};
use base::{Mark, Offset, RaftIndex, mark};

/// Where what is left of a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    /// The first entry that is there. The term of the one before it is known still.
    pub(super) index: RaftIndex,
    /// The offset after the entry before it.
    pub(super) offset: Offset,
}

impl Default for Front {
    fn default() -> Front {
        Front {
            index: RaftIndex(1),
            offset: Offset(0),
        }
    }
}

/// The largest timestamp of a segment's first batch, as Kafka measures its age by. After a
/// restart from a checkpoint it is that of the first block: a segment may then live a little
/// longer. Says nothing of the content, so two logs are equal whatever it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun(Option<i64>);

impl PartialEq for Begun {
    fn eq(&self, _: &Begun) -> bool {
        true
    }
}

impl Eq for Begun {}

impl Begun {
    pub(super) fn at(&mut self, timestamp: i64) {
        self.0.get_or_insert(timestamp);
    }

    /// True if a batch stamped `timestamp` comes more than `most` after the first one. Batches
    /// without a time have no age.
    pub(super) fn is_older(&self, timestamp: i64, most: i64) -> bool {
        self.0
            .filter(|begun| *begun >= 0)
            .is_some_and(|begun| timestamp.saturating_sub(begun) > most)
    }
}

/// What retention needs to know about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Offset after its last record.
    pub end_offset: Offset,
    /// Raft index of its last batch.
    pub last_index: RaftIndex,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Largest timestamp of its records; negative if they have none.
    pub max_timestamp: i64,
    /// Largest timestamp of its first batch, or of its first block; negative if that has none.
    pub first_timestamp: i64,
}

impl GroupLog {
    /// The first entry that is there; one past the end if there is none. Of the one before it the
    /// term is still known.
    pub fn first_index(&self) -> RaftIndex {
        self.front.index
    }

    /// The largest floor that a committed start named: nothing up to here is kept for followers.
    pub fn floor(&self) -> RaftIndex {
        self.floor
    }

    /// True if there is a start that isn't known to be committed.
    pub fn start_is_pending(&self) -> bool {
        let newest_first = self.internals.iter().rev();
        newest_first
            .take_while(|entry| entry.index > self.committed)
            .any(|entry| matches!(Shape::decode(&entry.data), Some(Shape::Start { .. })))
    }

    /// What decides when a segment is followed by a new one. Batches that are there already stay
    /// where they are.
    pub fn roll_at(&mut self, segment_bytes: u32, segment_ms: i64) {
        self.settings.segment_bytes = segment_bytes;
        self.segment_ms = segment_ms;
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = SegmentFacts> + '_ {
        let last = self.segments.len().wrapping_sub(1);
        self.segments.iter().enumerate().map(move |(i, segment)| {
            let open = self.open.as_ref().filter(|_| i == last);
            segment.facts(open)
        })
    }

    /// Index of the first batch that is there.
    #[cfg(test)]
    pub(crate) fn first_batch(&self) -> Option<RaftIndex> {
        let block = self.segments.first()?.first_block(self.open.as_ref())?;
        Some(block.first_index)
    }

    /// True if a start that reaches the end of the log was appended after the last batch.
    pub(super) fn start_asked_at_end(&self) -> bool {
        // An internal entry closes the block, so there is none after the last batch otherwise.
        if self.open.is_some() {
            return false;
        }
        let indexes = (0..).map(|nth| RaftIndex(self.last_index.0.saturating_sub(nth)));
        let newest_first = self.internals.iter().rev().zip(indexes);
        newest_first
            .take_while(|(entry, index)| entry.index == *index)
            .any(|(entry, _)| match Shape::decode(&entry.data) {
                Some(Shape::Start { offset, .. }) => offset >= self.end_offset,
                Some(Shape::Compact(_)) | None => false,
            })
    }

    /// Applies the changes of shape after `before` that are committed now.
    pub(super) fn apply_shapes(&mut self, turn: &mut Turn, before: RaftIndex) {
        let (low, high) = (before, self.committed);
        let from = self.internals.partition_point(|entry| entry.index <= low);
        let upto = self.internals.partition_point(|entry| entry.index <= high);
        let committed = &self.internals[from..upto];
        let shapes: Vec<_> = committed
            .iter()
            .filter_map(|entry| Some((entry.index, Shape::decode(&entry.data)?)))
            .collect();
        for (index, shape) in shapes {
            // A leader never asks for more; replay is total all the same.
            match shape {
                Shape::Start { offset, floor } => {
                    let end = self.next_offset_of(index).unwrap_or(self.start_offset);
                    self.move_start(turn, offset.min(end), floor.min(index));
                }
                Shape::Compact(compact) => self.yield_to(compact, index),
            }
        }
    }

    /// Gives up what comes up to an entry, by whole segments: nobody here reads it any more, and a
    /// follower that lacks some of it is told otherwise what it stood for. For a log that no reader
    /// but its own machine has; it is remembered by the next checkpoint and nothing else.
    pub fn give_up(&mut self, turn: &mut Turn, upto: RaftIndex) {
        assert!(upto <= self.committed, "what isn't committed is needed");
        let before = self.segments().take_while(|s| s.last_index <= upto);
        let start = before.last().map_or(self.start_offset, |s| s.end_offset);
        self.move_start(turn, start, upto);
    }

    fn move_start(&mut self, turn: &mut Turn, offset: Offset, floor: RaftIndex) {
        if offset > self.start_offset {
            mark(Mark::StartMoved);
            self.start_offset = offset;
        }
        self.floor = self.floor.max(floor);
        self.drop_below_start(turn);
    }

    /// Drops the segments that lie before the start, as far as all have their entries.
    pub(super) fn drop_below_start(&mut self, turn: &mut Turn) {
        let (start, floor) = (self.start_offset, self.floor);
        let goes = |facts: &SegmentFacts| facts.end_offset <= start && facts.last_index <= floor;
        let gone = self.segments().take_while(goes).count();
        self.drop_segments(turn, gone);
        self.trim_entries(floor);
    }

    /// Forgets the first `gone` segments. All of their entries are committed, so no undo mark goes
    /// back to one of them; but the marks count segments from the first one on.
    fn drop_segments(&mut self, turn: &mut Turn, gone: usize) {
        let Some(last) = self.segments().take(gone).last() else {
            return;
        };
        mark(Mark::SegmentDropped);
        self.front_after(&last);
        if gone == self.segments.len() {
            self.open = None;
        }
        let segments = self.segments.drain(..gone).map(|s| s.name()).collect();
        for undo in &mut self.tail {
            undo.segments = undo.segments.saturating_sub(gone as u32);
            if undo.segments == 0 {
                (undo.blocks, undo.open) = (0, None);
            }
        }
        turn.records.push(Record::Drop {
            group: self.group,
            segments,
            turn: turn.number,
        });
    }

    /// What comes after a segment is the first that is there, or can be asked for by its index.
    pub(super) fn front_after(&mut self, last: &SegmentFacts) {
        if last.last_index >= self.front.index {
            self.front = Front {
                index: last.last_index.next(),
                offset: last.end_offset,
            };
        }
    }

    /// Forgets internal entries up to the floor that no batch precedes any more, and the terms
    /// before the entry in front of the first that is left.
    ///
    /// Where segments lie in front of the first index, terms are kept from the start on, for offsets
    /// are asked about by epoch, those of compacted records too. Such segments that batches were
    /// appended to keep the entries between those: their sidecars can be made again from them.
    pub(super) fn trim_entries(&mut self, floor: RaftIndex) {
        let first_of = |nth: usize| {
            let first = self.segments.get(nth)?.first_block(self.open.as_ref())?;
            Some(first.first_index)
        };
        let batch = first_of(self.yielded()).unwrap_or(self.last_index.next());
        self.front.index = self.front.index.max(floor.next().min(batch));
        let front = self.front.index;
        let appended = self.segments.partition_point(|s| s.rewritten.is_some());
        let first = first_of(appended).map_or(front, |first| first.min(front));
        let internals = self.internals.partition_point(|entry| entry.index < first);
        let first = first_of(0).map_or(front, |first| first.min(front));
        let start = self.start_offset;
        let by_index = self.terms.partition_point(|run| run.index < first);
        let by_offset = self.terms.partition_point(|run| run.offset <= start);
        self.internals.drain(..internals);
        self.terms
            .drain(..by_index.min(by_offset).saturating_sub(1));
    }
}

impl Segment {
    pub(super) fn first_block<'a>(&'a self, open: Option<&'a Block>) -> Option<&'a Block> {
        self.blocks.first().or(open)
    }

    /// `open` is the open block, if it lies in this segment.
    fn facts(&self, open: Option<&Block>) -> SegmentFacts {
        let last = open.or(self.blocks.last());
        let last = last.expect("a segment has a block");
        let open_time = open.map_or(i64::MIN, |block| block.max_timestamp);
        SegmentFacts {
            end_offset: last.next_offset,
            last_index: last.last_index(),
            bytes: u64::from(last.end()),
            max_timestamp: self.max_timestamp.max(open_time),
            first_timestamp: self.begun.0.unwrap_or(-1),
        }
    }
}
