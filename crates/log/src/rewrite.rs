//! Compaction of the part of a log in front of its first index: of each key the last record stays.
//!
//! A rewrite is a job off the loop, done in small steps so that it can be slowed down, watched and
//! given up between any two. First the keys of what is dirty are noted (`keys.rs`), in bounded
//! memory: if they are too many, the rest is left to the next rewrite. Then every segment up to
//! there is gone through batch by batch (`filter.rs`), and what stays is written to new segments
//! (`../output.rs`), whole and durable before anyone hears of them. Small ones are merged on the way.
//!
//! It decides nothing: what may go was said by the leader ([`Compact`]).

mod filter;
mod keys;

use crate::block::{Block, Located};
use crate::fault::{Fault, ReadFault};
use crate::files::Files;
use crate::name::SegmentName;
use crate::output::{Made, Output};
use crate::read::{corrupt, load, walk};
use crate::shape::Compact;
use base::batch::Compression;
use base::{Batch, Bug, GroupId, Offset, ProducerId, RaftIndex, limits};
use bytes::Bytes;
use filter::{Filter, Outcome};
use keys::Keys;
use std::collections::BTreeMap;

/// How the records of compressed batches are come by. This room knows no compression.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The plain records of a batch; `None` if they can't be had.
    pub unpack: fn(&Batch) -> Option<Bytes>,
    /// Plain records, packed.
    pub pack: fn(Compression, &[u8]) -> Option<Vec<u8>>,
}

/// What a rewrite needs to know besides the log.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where the last batch of each live producer begins: it stays even without records, for the
    /// sake of its sequence.
    pub producers: BTreeMap<ProducerId, Offset>,
    /// For compressed batches.
    pub codec: Codec,
    /// Bytes of memory that the keys may take; of more keys, some are left to the next rewrite.
    pub keys_bytes: usize,
    /// What nobody who writes records knows, so that none can make their keys meet in the map.
    pub secret: [u64; 2],
}

/// A segment to be rewritten.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: SegmentName,
    pub(crate) blocks: Vec<Block>,
}

impl Source {
    fn end(&self) -> Offset {
        let last = self.blocks.last();
        last.map_or(self.name.base, |last| last.next_offset)
    }
}

/// Why a rewrite was given up. It has taken its files away again.
#[derive(Debug, thiserror::Error)]
pub enum RewriteFault {
    /// What it was to read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// What it was to write.
    #[error(transparent)]
    Write(#[from] Fault),
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// There is more to do. Bytes that were read and written.
    More(u64),
    /// All is done, and durable.
    Done(Rewrote),
}

/// What a rewrite made, to be taken in by [`crate::GroupLog::replace`].
#[derive(Clone, Debug)]
pub struct Rewrote {
    pub(crate) number: u32,
    pub(crate) sources: Vec<SegmentName>,
    pub(crate) segments: Vec<Made>,
    pub(crate) clean: Offset,
    /// Bytes and records before and after.
    pub counts: Counts,
}

/// What a rewrite has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of the segments that were rewritten.
    pub bytes_before: u64,
    /// Bytes of those that took their place.
    pub bytes_after: u64,
    /// Records that were looked at.
    pub records_before: u64,
    /// Records that stayed.
    pub records_after: u64,
}

/// The next block.
#[derive(Clone, Copy, Debug, Default)]
struct At {
    source: usize,
    block: usize,
}

#[derive(Debug)]
enum Phase {
    /// Keys are noted.
    Map,
    /// Batches are copied. Records before this offset were noted.
    Copy(Offset),
}

fn bytes_of<'a>(blocks: impl Iterator<Item = &'a Block>) -> u64 {
    blocks.map(|block| u64::from(block.len)).sum()
}

/// A rewrite under way.
#[derive(Debug)]
pub struct Rewrite {
    group: GroupId,
    cuts: u64,
    number: u32,
    /// Where the log starts, and up to where it was compacted before.
    start: Offset,
    clean: Offset,
    compact: Compact,
    sources: Vec<Source>,
    kept: Kept,
    keys: Keys,
    phase: Phase,
    at: At,
    /// Bytes of blocks that are still to be read.
    left: u64,
    output: Output,
    counts: Counts,
}

impl Rewrite {
    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, which has them all at hand"
    )]
    pub(crate) fn new(
        group: GroupId,
        cuts: u64,
        number: u32,
        segment_bytes: u32,
        (start, clean): (Offset, Offset),
        compact: Compact,
        sources: Vec<Source>,
        kept: Kept,
    ) -> Rewrite {
        let blocks = || sources.iter().flat_map(|source| &source.blocks);
        let dirty = blocks().filter(|block| block.next_offset > clean);
        let left = bytes_of(dirty) + bytes_of(blocks());
        let first = sources.first().map_or(clean, |source| source.name.base);
        let end = sources.last().map_or(clean, Source::end);
        let records = end.0.saturating_sub(clean.max(first).0).max(0) as u64;
        Rewrite {
            keys: Keys::new(records, kept.keys_bytes, kept.secret),
            left,
            group,
            cuts,
            number,
            start,
            clean,
            compact,
            sources,
            kept,
            phase: Phase::Map,
            at: At::default(),
            output: Output::new(group, number, segment_bytes, Bug::SwitchBeforeSync),
            counts: Counts::default(),
        }
    }

    /// Whose log it is.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// What it writes at most: all that it reads, if nothing may go.
    pub fn bytes_max(&self) -> u64 {
        bytes_of(self.sources.iter().flat_map(|source| &source.blocks))
    }

    /// Bytes that are still to be gone through: keys are noted first, so what is dirty counts twice.
    pub fn bytes_left(&self) -> u64 {
        self.left
    }

    /// Does about as much as [`limits::COMPACTION_STEP_BYTES`] says. After an error nothing of it
    /// is left.
    pub fn step(&mut self, files: &Files) -> Result<Step, RewriteFault> {
        let stepped = self.go_on(files);
        if stepped.is_err() {
            self.output.abandon(files);
        }
        stepped
    }

    /// It isn't wanted any more.
    pub fn abandon(&mut self, files: &Files) {
        self.output.abandon(files);
    }

    fn go_on(&mut self, files: &Files) -> Result<Step, RewriteFault> {
        let mut bytes = 0;
        while bytes < limits::COMPACTION_STEP_BYTES {
            let Some(located) = self.next_block() else {
                if let Phase::Map = self.phase {
                    self.begin_copy(None);
                    continue;
                }
                return self.finish(files).map(Step::Done);
            };
            bytes += u64::from(located.block.len);
            match self.phase {
                Phase::Map => self.note_keys(files, &located)?,
                Phase::Copy(noted) => self.copy(files, &located, noted)?,
            }
        }
        bytes += self.output.write(files)?;
        Ok(Step::More(bytes))
    }

    /// Moves to the next block: of those that are dirty while keys are noted.
    fn next_block(&mut self) -> Option<Located> {
        loop {
            let source = self.sources.get(self.at.source)?;
            let Some(block) = source.blocks.get(self.at.block).copied() else {
                self.at = At {
                    source: self.at.source + 1,
                    block: 0,
                };
                continue;
            };
            self.at.block += 1;
            if matches!(self.phase, Phase::Copy(_)) || block.next_offset > self.clean {
                let segment = source.name;
                self.left -= u64::from(block.len);
                return Some(Located { segment, block });
            }
        }
    }

    /// Keys are noted up to `upto`, or all of them. What lies wholly after that stays as it is.
    fn begin_copy(&mut self, upto: Option<Offset>) {
        let end = self.sources.last().map_or(self.clean, Source::end);
        let upto = upto.unwrap_or(end);
        self.sources.retain(|source| source.name.base < upto);
        self.left = self.bytes_max();
        self.phase = Phase::Copy(upto);
        self.at = At::default();
    }

    fn note_keys(&mut self, files: &Files, located: &Located) -> Result<(), RewriteFault> {
        for batch in self.batches(files, located)? {
            let header = batch.header();
            if header.base_offset < self.clean || !filter::takes_part(&header) {
                continue;
            }
            if !self.keys.have_room_for(header.records as usize) {
                self.begin_copy(Some(header.base_offset));
                return Ok(());
            }
            let Some(plain) = (self.kept.codec.unpack)(&batch) else {
                continue;
            };
            filter::note(&mut self.keys, &header, &plain);
        }
        Ok(())
    }

    fn copy(
        &mut self,
        files: &Files,
        located: &Located,
        noted: Offset,
    ) -> Result<(), RewriteFault> {
        let last = self.sources.last().map_or(noted, Source::end);
        for (nth, batch) in self.batches(files, located)?.into_iter().enumerate() {
            let filter = Filter {
                keys: &self.keys,
                noted,
                start: self.start,
                last,
                compact: &self.compact,
                kept: &self.kept,
            };
            let before = batch.header();
            let batch = match filter.pass(&batch) {
                Outcome::Same => Some(batch),
                Outcome::Less(less) => Some(less),
                Outcome::Nothing => None,
            };
            self.counts.bytes_before += before.total_len() as u64;
            self.counts.records_before += before.records as u64;
            if let Some(batch) = batch {
                self.counts.bytes_after += batch.len() as u64;
                self.counts.records_after += batch.header().records as u64;
                let index = RaftIndex(located.block.first_index.0 + nth as u64);
                self.output.push(files, index, located.block.term, &batch)?;
            }
        }
        Ok(())
    }

    /// The batches of a block.
    fn batches(&self, files: &Files, located: &Located) -> Result<Vec<Batch>, ReadFault> {
        let bytes = load(files, self.group, self.cuts, located, true)?
            .ok_or_else(|| corrupt(files, self.group, located, "it can't be read"))?;
        let mut batches = Vec::new();
        for (pos, header) in walk(files, self.group, located, &bytes) {
            let mut whole = bytes.slice(pos..pos + header?.total_len());
            let batch = Batch::split_from(&mut whole)
                .map_err(|e| corrupt(files, self.group, located, &e.to_string()))?;
            batches.push(batch);
        }
        Ok(batches)
    }

    fn finish(&mut self, files: &Files) -> Result<Rewrote, RewriteFault> {
        let segments = self.output.finish(files)?;
        let Phase::Copy(noted) = self.phase else {
            unreachable!("batches are copied before all is done");
        };
        Ok(Rewrote {
            number: self.number,
            sources: self.sources.iter().map(|source| source.name).collect(),
            segments,
            clean: noted,
            counts: self.counts,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
