//! The bookkeeping of one group's log: where every entry lies, in memory, without IO.
//!
//! A [`GroupLog`] decides all positions: when a segment is rolled, where a batch goes, when a
//! block closes. It depends on nothing but the sequence of calls, so recovery, which replays the
//! write-ahead log through the same calls, arrives at the same state. Commits don't change any
//! position; they only drop undo marks.
//!
//! It is not the storage: it pushes records onto a [`Turn`], and [`crate::Storage`] writes them.

mod fresh;
mod image;
mod install;
mod plan;
mod prefix;
mod segment;
mod start;

use fresh::Fresh;
pub(crate) use image::{GroupImage, SegmentImage, read_many};
pub(crate) use segment::{Rewritten, Segment};
use start::Front;
pub use start::SegmentFacts;

use crate::block::Block;
use crate::origin::TermRun;
use crate::shape::Compact;
use crate::turn::{Place, Record, Settings, Turn};
use base::batch::HEADER_BYTES;
use base::{
    Batch, BatchHeader, Bug, GroupId, Mark, Offset, RaftIndex, Term, limits, mark, planted,
};
use bytes::Bytes;
use std::collections::VecDeque;

/// An entry that may still be cut off, and the state before it, to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Undo {
    last_term: Term,
    end_offset: Offset,
    segments: u32,
    /// Closed blocks of the last segment.
    blocks: u32,
    open: Option<Block>,
    /// The header, if the entry is a batch: recovery hands it to the shard without a read.
    head: Option<[u8; HEADER_BYTES]>,
}

/// An internal entry; they stay in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Internal {
    index: RaftIndex,
    data: Bytes,
}

/// The bookkeeping of one group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLog {
    group: GroupId,
    settings: Settings,
    start_offset: Offset,
    end_offset: Offset,
    last_index: RaftIndex,
    last_term: Term,
    committed: RaftIndex,
    cuts: u64,
    /// Where what is left begins.
    front: Front,
    /// The largest floor of the starts that were applied.
    floor: RaftIndex,
    /// The latest compaction that the leader asked for.
    compact: Option<Compact>,
    /// Records before this were compacted.
    clean: Offset,
    /// Rewrites that were begun.
    rewrites: u32,
    /// A segment is followed by a new one once its records span this time (`segment.ms`).
    segment_ms: i64,
    segments: Vec<Segment>,
    open: Option<Block>,
    terms: Vec<TermRun>,
    internals: Vec<Internal>,
    /// One per entry after `committed`.
    tail: VecDeque<Undo>,
    fresh: Fresh,
}

impl GroupLog {
    /// The empty log of a new group.
    pub fn new(group: GroupId, settings: Settings) -> GroupLog {
        GroupLog {
            group,
            settings,
            start_offset: Offset(0),
            end_offset: Offset(0),
            last_index: RaftIndex(0),
            last_term: Term(0),
            committed: RaftIndex(0),
            cuts: 0,
            front: Front::default(),
            floor: RaftIndex(0),
            compact: None,
            clean: Offset(0),
            rewrites: 0,
            segment_ms: i64::MAX,
            segments: Vec::new(),
            open: None,
            terms: Vec::new(),
            internals: Vec::new(),
            tail: VecDeque::new(),
            fresh: Fresh::default(),
        }
    }

    /// Whose log it is.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// What was fixed when it was made.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Index of the last entry; 0 if there is none.
    pub fn last_index(&self) -> RaftIndex {
        self.last_index
    }

    /// Term of the last entry; 0 if there is none.
    pub fn last_term(&self) -> Term {
        self.last_term
    }

    /// The first offset that can be read.
    pub fn start_offset(&self) -> Offset {
        self.start_offset
    }

    /// The next offset to give.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Entries up to here can't be cut off any more.
    pub fn committed(&self) -> RaftIndex {
        self.committed
    }

    /// Adds a stamped batch: its base offset is [`GroupLog::end_offset`], its epoch is `term`.
    pub fn append_batch(&mut self, turn: &mut Turn, index: RaftIndex, term: Term, batch: &Batch) {
        let header = batch.header();
        assert_eq!(
            header.base_offset, self.end_offset,
            "a batch is stamped with the log's end"
        );
        assert_eq!(
            header.leader_epoch,
            term.epoch(),
            "a batch is stamped with its term"
        );
        debug_assert!(
            batch.verify().is_ok(),
            "a batch is verified where it arrives"
        );
        let rolls = self.must_roll(&header);
        self.push_batch(turn, index, term, batch, rolls);
    }

    /// As [`GroupLog::append_batch`], but to the place that the batch went to when it was first
    /// written: whether a segment was full or too old then is not asked again. False if it can't
    /// be that place.
    pub(crate) fn append_placed(
        &mut self,
        turn: &mut Turn,
        index: RaftIndex,
        term: Term,
        batch: &Batch,
        place: Place,
    ) -> bool {
        let Some(rolls) = self.rolls_for(place) else {
            return false;
        };
        self.push_batch(turn, index, term, batch, rolls);
        true
    }

    fn push_batch(
        &mut self,
        turn: &mut Turn,
        index: RaftIndex,
        term: Term,
        batch: &Batch,
        rolls: bool,
    ) {
        let place = self.place_batch(turn, index, term, batch.head(), rolls);
        let group = self.group;
        turn.records.push(Record::Batch {
            group,
            index,
            term,
            batch: batch.clone(),
            place,
        });
        self.close_full_block(turn);
    }

    /// As [`GroupLog::append_placed`] for a batch whose bytes are in the segment already.
    pub(crate) fn append_direct(
        &mut self,
        turn: &mut Turn,
        index: RaftIndex,
        term: Term,
        head: &[u8; HEADER_BYTES],
        place: Place,
    ) -> bool {
        let Some(rolls) = self.rolls_for(place) else {
            return false;
        };
        self.place_batch(turn, index, term, head, rolls);
        self.close_full_block(turn);
        true
    }

    /// Adds an entry that takes no offset.
    pub fn append_internal(&mut self, turn: &mut Turn, index: RaftIndex, term: Term, data: Bytes) {
        self.begin_entry(index, term, None);
        self.close_block(turn);
        self.internals.push(Internal {
            index,
            data: data.clone(),
        });
        turn.records.push(Record::Internal {
            group: self.group,
            index,
            term,
            data,
        });
    }

    /// What every entry does first: checks its place in order, leaves an undo mark.
    fn begin_entry(&mut self, index: RaftIndex, term: Term, head: Option<[u8; HEADER_BYTES]>) {
        assert_eq!(index, self.last_index.next(), "entries follow one another");
        assert!(term >= self.last_term && term.0 > 0, "terms don't go back");
        self.tail.push_back(Undo {
            last_term: self.last_term,
            end_offset: self.end_offset,
            segments: self.segments.len() as u32,
            blocks: self.segments.last().map_or(0, Segment::count),
            open: self.open,
            head,
        });
        if term > self.last_term {
            self.terms.push(TermRun {
                term,
                index,
                offset: self.end_offset,
            });
        }
        self.last_index = index;
        self.last_term = term;
    }

    /// Adds the next batch to its block, in a new segment if it `rolls`.
    fn place_batch(
        &mut self,
        turn: &mut Turn,
        index: RaftIndex,
        term: Term,
        head: &[u8; HEADER_BYTES],
        rolls: bool,
    ) -> Place {
        let header = BatchHeader::parse(head).expect("a batch's header parses");
        self.begin_entry(index, term, Some(*head));
        self.make_room(turn, term, rolls);
        let segment = self
            .segments
            .last_mut()
            .expect("room was made in a segment");
        segment.begun.at(header.max_timestamp);
        let segment = segment.base;
        let pos = self.segment_len();
        let batch = Block::of_batch(pos, index, term, head);
        self.fresh.before_append(self.open);
        match &mut self.open {
            Some(open) => open.grow(&batch),
            None => self.open = Some(batch),
        }
        self.fresh.appended(index, self.open);
        self.end_offset = header.next_offset();
        Place { segment, pos }
    }

    /// True if the next batch begins a segment: the last one would grow too long or is too old, or
    /// was imported, or all of it lies before a start that was asked for.
    ///
    /// The last holds although that start may not be committed yet: once it is, the last segment
    /// may go, and whether it goes before or after the next batch is appended must not change
    /// where that batch lies (recovery may learn of the commit earlier than the shard did).
    fn must_roll(&self, header: &BatchHeader) -> bool {
        let used = self.segment_len();
        let Some(last) = self.segments.last() else {
            return true;
        };
        let fits = used as usize + header.total_len() <= self.settings.segment_bytes as usize;
        let old = last.begun.is_older(header.max_timestamp, self.segment_ms);
        let crowded = self.internals_since(last) > limits::INTERNALS_PER_SEGMENT;
        used > 0 && (last.is_sealed() || !fits || old || crowded || self.start_asked_at_end())
    }

    /// Internal entries after the first batch of a segment. They go with it: where starts are asked for
    /// often and little is written, they would be many.
    fn internals_since(&self, segment: &Segment) -> usize {
        if self.internals.len() <= limits::INTERNALS_PER_SEGMENT {
            return 0;
        }
        let Some(first) = segment.first_block(self.open.as_ref()) else {
            return 0;
        };
        let before = |entry: &Internal| entry.index < first.first_index;
        self.internals.len() - self.internals.partition_point(before)
    }

    /// Whether a batch that lies at `place` begins a segment; `None` if the next one can't lie there.
    fn rolls_for(&self, place: Place) -> Option<bool> {
        let goes_on = self.segments.last().is_some_and(|last| {
            let next = place.pos == self.segment_len();
            last.base == place.segment && next && !last.is_sealed()
        });
        let rolls = place.pos == 0 && place.segment == self.end_offset;
        (goes_on || rolls).then_some(!goes_on)
    }

    /// Closes the block at a change of term, and the segment if the next batch begins a new one.
    fn make_room(&mut self, turn: &mut Turn, term: Term, rolls: bool) {
        if self.open.is_some_and(|open| open.term != term) {
            self.close_block(turn);
        }
        if rolls {
            if !self.segments.is_empty() {
                mark(Mark::SegmentRolled);
            }
            self.close_block(turn);
            self.segments.push(Segment::new(self.end_offset));
        }
    }

    fn close_full_block(&mut self, turn: &mut Turn) {
        if self
            .open
            .is_some_and(|open| open.len >= limits::BLOCK_BYTES)
        {
            self.close_block(turn);
        }
    }

    /// Bytes in the last segment.
    fn segment_len(&self) -> u32 {
        match (&self.open, self.segments.last()) {
            (Some(open), _) => open.end(),
            (None, Some(segment)) => segment.closed_len(),
            (None, None) => 0,
        }
    }

    fn close_block(&mut self, turn: &mut Turn) {
        let Some(block) = self.open.take() else {
            return;
        };
        let segment = self
            .segments
            .last_mut()
            .expect("an open block lies in a segment");
        let nth = segment.count();
        segment.push(block);
        let segment = segment.base;
        turn.records.push(Record::Block {
            group: self.group,
            segment,
            nth,
            block,
        });
    }

    /// Cuts everything from `from` on. `from` lies above [`GroupLog::committed`]; past the end
    /// nothing happens.
    pub fn truncate(&mut self, turn: &mut Turn, from: RaftIndex) {
        assert!(from > self.committed, "a committed entry can't be cut off");
        if from > self.last_index {
            return;
        }
        let kept = (from.0 - self.committed.0 - 1) as usize;
        let undo = self
            .tail
            .drain(kept..)
            .next()
            .expect("there is a mark for every entry cut");
        self.segments.truncate(undo.segments as usize);
        if let Some(segment) = self.segments.last_mut() {
            segment.cut(undo.blocks);
        }
        self.open = undo.open;
        if !planted(Bug::TruncateKeepsOffsets) {
            self.end_offset = undo.end_offset;
        }
        self.last_index = from.prev();
        self.last_term = undo.last_term;
        while self.terms.last().is_some_and(|run| run.index >= from) {
            self.terms.pop();
        }
        while self
            .internals
            .last()
            .is_some_and(|entry| entry.index >= from)
        {
            self.internals.pop();
        }
        self.fresh.truncated(from);
        self.cuts += 1;
        mark(Mark::Truncated);
        if !planted(Bug::ForgetTruncation) {
            let (group, cuts) = (self.group, self.cuts);
            turn.records.push(Record::Truncate { group, from, cuts });
        }
    }

    /// Entries up to `index` can't be cut any more, and the changes of the log's shape among them
    /// are applied. Going back is ignored.
    pub fn commit(&mut self, turn: &mut Turn, index: RaftIndex) {
        assert!(
            index <= self.last_index,
            "what isn't here can't be committed here"
        );
        let before = self.committed;
        while self.committed < index {
            self.tail
                .pop_front()
                .expect("there is a mark for every uncommitted entry");
            self.committed = self.committed.next();
        }
        self.apply_shapes(turn, before);
    }

    /// Everything up to `index` is in its segment: plans may read so far.
    pub fn settled(&mut self, index: RaftIndex) {
        self.fresh.settled(index.min(self.last_index));
    }

    /// The term of an entry, 0 for index 0; `None` past the end, and before the entry that comes
    /// before the first one.
    pub fn term_of(&self, index: RaftIndex) -> Option<Term> {
        if index > self.last_index || index < self.front.index.prev() {
            return None;
        }
        Some(self.term_before(index.next()))
    }

    /// The term of the last entry before an index, 0 if there is none or it isn't known.
    fn term_before(&self, index: RaftIndex) -> Term {
        let runs = self.terms.partition_point(|run| run.index < index);
        let last = runs.checked_sub(1);
        last.map_or(Term(0), |last| self.terms[last].term)
    }

    /// The first index of every term in the log, oldest first; the first of them may begin before
    /// [`GroupLog::first_index`].
    pub fn term_starts(&self) -> Vec<(RaftIndex, Term)> {
        self.terms.iter().map(|run| (run.index, run.term)).collect()
    }

    /// The next offset after an entry. Exact for every index from [`GroupLog::committed`] on; for
    /// earlier ones only where a block ends, else `None`.
    pub fn next_offset_of(&self, index: RaftIndex) -> Option<Offset> {
        if index > self.last_index {
            return None;
        }
        if index == self.last_index {
            return Some(self.end_offset);
        }
        if index >= self.committed {
            let after = (index.0 - self.committed.0) as usize;
            return Some(self.tail[after].end_offset);
        }
        match self.block_at_or_before(index) {
            _ if index == self.front.index.prev() => Some(self.front.offset),
            _ if index < self.front.index => None,
            Some(block) if index >= block.last_index() => {
                Some(block.next_offset.max(self.front.offset))
            }
            Some(_) => None,
            None => Some(self.front.offset),
        }
    }

    /// The last block that begins at or before an index.
    fn block_at_or_before(&self, index: RaftIndex) -> Option<&Block> {
        if let Some(open) = self.open.as_ref().filter(|open| open.first_index <= index) {
            return Some(open);
        }
        let begun = |segment: &Segment| {
            segment
                .blocks
                .first()
                .is_some_and(|block| block.first_index <= index)
        };
        let blocks = &self.segments[self.segments.partition_point(begun).checked_sub(1)?].blocks;
        blocks.get(
            blocks
                .partition_point(|block| block.first_index <= index)
                .checked_sub(1)?,
        )
    }

    /// Data of an internal entry; `None` if the entry is a batch or isn't there.
    pub fn internal(&self, index: RaftIndex) -> Option<&Bytes> {
        let at = self
            .internals
            .binary_search_by_key(&index, |entry| entry.index)
            .ok()?;
        Some(&self.internals[at].data)
    }

    /// Internal entries after an index, in order.
    pub fn internals_after(&self, index: RaftIndex) -> impl Iterator<Item = (RaftIndex, &Bytes)> {
        let from = self.internals.partition_point(|entry| entry.index <= index);
        let entries = self.internals[from..].iter();
        entries.map(|entry| (entry.index, &entry.data))
    }

    /// The leader epoch of the batch at an offset; `None` from the end on.
    pub fn epoch_of(&self, offset: Offset) -> Option<Term> {
        if offset < Offset(0) || offset >= self.end_offset {
            return None;
        }
        let runs = self.terms.partition_point(|run| run.offset <= offset);
        runs.checked_sub(1).map(|last| self.terms[last].term)
    }

    /// The largest epoch up to `epoch` and the offset where it ended; -1 and -1 if there is none.
    pub fn epoch_end(&self, epoch: i32) -> (i32, Offset) {
        let runs = self.terms.partition_point(|run| run.term.epoch() <= epoch);
        let Some(last) = runs.checked_sub(1) else {
            // An epoch of entries that are gone ended where the first one known began.
            let first = self
                .terms
                .first()
                .filter(|_| self.front.index > RaftIndex(1));
            return match first {
                Some(first) if epoch >= 0 => (epoch, first.offset),
                _ => (-1, Offset(-1)),
            };
        };
        let end = self
            .terms
            .get(runs)
            .map_or(self.end_offset, |next| next.offset);
        (self.terms[last].term.epoch(), end)
    }
}

#[cfg(test)]
mod tests;
