//! Plans: which blocks answer a read. Made in the shard, run elsewhere.

use super::{GroupLog, Segment};
use crate::block::{Block, Located};
use crate::read::{EntriesPlan, ReadPlan, TimePlan, TimeQuery};
use base::{Offset, RaftIndex};

impl GroupLog {
    /// The blocks from block `nth` of segment `at` on, the open one last.
    pub(crate) fn blocks_from(&self, at: usize, nth: usize) -> impl Iterator<Item = Located> + '_ {
        let segments = self.segments.get(at..).unwrap_or(&[]).iter().enumerate();
        let closed = segments.flat_map(move |(i, segment)| {
            let skip = if i == 0 { nth } else { 0 };
            let blocks = segment.blocks.iter().skip(skip);
            blocks.map(|block| Located {
                segment: segment.name(),
                block: *block,
            })
        });
        let open = self.open.zip(self.segments.last());
        let open = open.map(|(block, segment)| Located {
            segment: segment.name(),
            block,
        });
        closed.chain(open).map_while(|located| {
            let block = self.fresh.readable(located.block)?;
            Some(Located { block, ..located })
        })
    }

    /// The blocks of one segment; the open one last, if it is the log's last segment.
    fn blocks_of(&self, at: usize) -> impl Iterator<Item = Located> + '_ {
        let is_last = at + 1 >= self.segments.len();
        let closed = self.segments.get(at).map_or(0, |s| s.blocks.len());
        self.blocks_from(at, 0)
            .take(if is_last { usize::MAX } else { closed })
    }

    /// The blocks from the first one on for which `before` no longer holds. `before` holds for a
    /// run of blocks at the beginning of the log.
    fn blocks_after(&self, before: impl Fn(&Block) -> bool) -> impl Iterator<Item = Located> + '_ {
        let passed = |segment: &Segment| segment.blocks.last().is_some_and(&before);
        let at = self.segments.partition_point(passed);
        let nth = match self.segments.get(at) {
            Some(segment) => segment.blocks.partition_point(&before),
            None => 0,
        };
        let skip_open = self.open.as_ref().is_some_and(before);
        self.blocks_from(at, nth)
            .take(if skip_open { 0 } else { usize::MAX })
    }

    /// What to read for a fetch from `from`: committed data only, below `upto`.
    pub fn plan_read(&self, from: Offset, upto: Offset, bytes_max: u32) -> ReadPlan {
        let mut blocks = Vec::new();
        let mut beyond_first = 0u64;
        let passed = |block: &Block| block.next_offset <= from;
        for located in self
            .blocks_after(passed)
            .take_while(|l| l.block.base_offset < upto)
        {
            // The first block may hold as little as its last batch for us.
            if !blocks.is_empty() {
                beyond_first += u64::from(located.block.len);
            }
            blocks.push(located);
            if beyond_first >= u64::from(bytes_max) {
                break;
            }
        }
        ReadPlan {
            group: self.group,
            cuts: self.cuts,
            blocks,
            from,
            upto,
            bytes_max,
        }
    }

    /// What to read for the batches with `from <= index <= upto`; internal entries are skipped.
    pub fn plan_entries(&self, from: RaftIndex, upto: RaftIndex, bytes_max: u64) -> EntriesPlan {
        let mut blocks = Vec::new();
        let mut beyond_first = 0u64;
        // What lies before is known by its offsets only.
        let from = from.max(self.front.index);
        let passed = |block: &Block| block.last_index() < from;
        for located in self
            .blocks_after(passed)
            .take_while(|l| l.block.first_index <= upto)
        {
            if !blocks.is_empty() {
                beyond_first += u64::from(located.block.len);
            }
            blocks.push(located);
            if beyond_first >= bytes_max {
                break;
            }
        }
        EntriesPlan {
            group: self.group,
            cuts: self.cuts,
            blocks,
            from,
            upto,
            bytes_max,
        }
    }

    /// Where to look for a record by its timestamp, below `upto`.
    pub fn plan_time(&self, at: TimeQuery, upto: Offset) -> TimePlan {
        let blocks = match at {
            TimeQuery::At(time) => self.first_blocks_at(time, upto),
            TimeQuery::Max => self.latest_blocks(upto),
        };
        TimePlan {
            group: self.group,
            cuts: self.cuts,
            blocks,
            at,
            from: self.start_offset,
            upto,
        }
    }

    /// The first block with a timestamp of at least `time`. If the log starts inside of it, the
    /// late one may lie before the start: then the next such block too.
    fn first_blocks_at(&self, time: i64, upto: Offset) -> Vec<Located> {
        let start = self.start_offset;
        let late = |located: &Located| {
            located.block.max_timestamp >= time && located.block.next_offset > start
        };
        // That of the last one says nothing of the open block.
        let last = self.segments.len().saturating_sub(1);
        let segments = self.segments.iter().enumerate();
        let segments = segments.filter(|(at, s)| s.max_timestamp >= time || *at == last);
        let mut found: Vec<Located> = Vec::new();
        for located in segments.flat_map(|(at, _)| self.blocks_of(at)).filter(late) {
            if located.block.base_offset >= upto {
                break;
            }
            found.push(located);
            if located.block.base_offset >= start {
                break;
            }
        }
        found
    }

    /// The block with the largest timestamp among those wholly between the start and `upto`, and those
    /// that these cut.
    fn latest_blocks(&self, upto: Offset) -> Vec<Located> {
        let start = self.start_offset;
        let mut best: Option<Located> = None;
        let mut found = Vec::new();
        let segments = self.latest_segments(upto).into_iter();
        for located in segments
            .flat_map(|at| self.blocks_of(at))
            .filter(|l| l.block.next_offset > start)
            .take_while(|l| l.block.base_offset < upto)
        {
            let block = &located.block;
            if block.base_offset < start || block.next_offset > upto {
                found.push(located);
            } else if best.is_none_or(|b| block.max_timestamp > b.block.max_timestamp) {
                best = Some(located);
            }
        }
        found.extend(best);
        found.sort_by_key(|located| located.block.base_offset);
        found
    }

    /// The segments to look for that in: of those wholly between the start and `upto` the first with the
    /// largest timestamp, and all others with something there.
    pub(crate) fn latest_segments(&self, upto: Offset) -> Vec<usize> {
        let start = self.start_offset;
        let mut best: Option<(usize, i64)> = None;
        let mut found = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let ends = segment.blocks.first().zip(segment.blocks.last());
            let Some((first, last)) = ends.filter(|_| at + 1 < self.segments.len()) else {
                // The open block is in it.
                found.push(at);
                continue;
            };
            if last.next_offset <= start || first.base_offset >= upto {
                continue;
            }
            let is_within = first.base_offset >= start && last.next_offset <= upto;
            if !is_within || self.fresh.readable(*last) != Some(*last) {
                found.push(at);
            } else if best.is_none_or(|(_, time)| segment.max_timestamp > time) {
                best = Some((at, segment.max_timestamp));
            }
        }
        found.extend(best.map(|(at, _)| at));
        found.sort_unstable();
        found
    }
}
