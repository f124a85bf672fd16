//! The part of a log in front of its first index, as a replica takes it over from its leader: batch
//! by batch, in order of their offsets, into segments of its own.
//!
//! Nothing names these segments until the log begins anew with them ([`crate::GroupLog::install`]);
//! then they are whole and synced, with their names. An import that comes to nothing leaves files
//! that the next start removes, if it doesn't come to that itself.
//!
//! What is read in front of a first index is of one compaction, said by how far that one went
//! ([`Prefix::clean`]). Of two, one piece each, a deleted key might come back: from the first its
//! record, from the second no marker any more.

use crate::fault::Fault;
use crate::field::{Fields, put_count, put_i64, put_u32};
use crate::files::{Files, Kind};
use crate::group::SegmentImage;
use crate::name::SegmentName;
use crate::origin::{Origin, TermRun};
use crate::output::{Made, Output};
use crate::pending::{Dirty, GROUPS, make_group_dir};
use crate::shape::Compact;
use base::{Batch, Bug, GroupId, Offset, RaftIndex, planted};

/// What is known of the part of a log in front of its first index, besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Records before this were compacted.
    pub clean: Offset,
    /// The latest compaction that was asked for, if that is known.
    pub compact: Option<Compact>,
}

impl Prefix {
    /// Appends its bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.clean.0);
        out.push(u8::from(self.compact.is_some()));
        if let Some(compact) = &self.compact {
            compact.put(out);
        }
    }

    /// Reads what [`Prefix::put`] wrote at the front of `bytes`, and what comes after it.
    pub fn take(bytes: &[u8]) -> Option<(Prefix, &[u8])> {
        let mut fields = Fields::new(bytes);
        let prefix = Prefix::read(&mut fields)?;
        Some((prefix, &bytes[bytes.len() - fields.left()..]))
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<Prefix> {
        Some(Prefix {
            clean: Offset(fields.i64()?),
            compact: match fields.u8()? {
                0 => None,
                1 => Some(Compact::read(fields)?),
                _ => return None,
            },
        })
    }
}

/// Why an import was given up. It has taken its files away again.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// What it was to write.
    #[error(transparent)]
    Write(#[from] Fault),
    /// A batch that can't come where it came.
    #[error("a batch at offset {0} doesn't belong where it came in the records of a snapshot")]
    Unfit(Offset),
}

/// Segments that an import made, durable, to be taken in by [`crate::GroupLog::install`].
#[derive(Clone, Debug)]
pub struct Imported {
    group: GroupId,
    pub(crate) number: u32,
    pub(crate) prefix: Prefix,
    pub(crate) segments: Vec<Made>,
}

impl Imported {
    /// It isn't wanted any more: its files go. Nothing ever named them, so nobody reads them. What
    /// can't be removed is removed by the next start.
    pub fn remove(&self, files: &Files) {
        for made in &self.segments {
            let segment = SegmentName {
                base: made.base,
                rewrite: self.number,
            };
            for kind in [Kind::Data, Kind::Index] {
                let _ = files.disk.remove(&files.path(self.group, segment, kind));
            }
        }
    }
}

/// What was imported, as the write-ahead log says it: the blocks are in sidecars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportImage {
    pub(crate) number: u32,
    pub(crate) prefix: Prefix,
    pub(crate) segments: Vec<SegmentImage>,
}

impl ImportImage {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.number);
        self.prefix.put(out);
        put_count(out, self.segments.len());
        self.segments.iter().for_each(|segment| segment.put(out));
    }
}

/// An import under way.
#[derive(Debug)]
pub struct Import {
    group: GroupId,
    number: u32,
    prefix: Prefix,
    origin: Origin,
    output: Output,
    /// The next batch begins here or later.
    next: Offset,
    batches: u64,
}

impl Import {
    pub(crate) fn new(
        group: GroupId,
        number: u32,
        segment_bytes: u32,
        origin: Origin,
        prefix: Prefix,
    ) -> Import {
        Import {
            group,
            number,
            prefix,
            next: Offset(0),
            origin,
            output: Output::new(group, number, segment_bytes, Bug::InstalledBeforeSync),
            batches: 0,
        }
    }

    /// The next batch that is wanted begins here or later.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Takes the next batches and makes them durable. With the last one all is done: that ends where
    /// the first entry that is left begins.
    pub fn take(
        &mut self,
        files: &Files,
        batches: &[Batch],
    ) -> Result<Option<Imported>, ImportFault> {
        let taken = self.write(files, batches);
        if taken.is_err() {
            self.output.abandon(files);
        }
        taken
    }

    /// It isn't wanted any more.
    pub fn abandon(&mut self, files: &Files) {
        self.output.abandon(files);
    }

    fn write(&mut self, files: &Files, batches: &[Batch]) -> Result<Option<Imported>, ImportFault> {
        // A replica that is new has no directory before its first batch.
        make_group_dir(&*files.disk, self.group, &mut Dirty::default())?;
        for batch in batches {
            self.push(files, batch)?;
        }
        self.output.write(files)?;
        let cut_short = planted(Bug::ImportCutShort) && self.next > Offset(0);
        if self.next < self.origin.next_offset && !cut_short {
            return Ok(None);
        }
        let segments = self.output.finish(files)?;
        files
            .disk
            .sync_dir(GROUPS)
            .map_err(|e| Fault::from_io(GROUPS, "sync", e))?;
        Ok(Some(Imported {
            group: self.group,
            number: self.number,
            prefix: self.prefix,
            segments,
        }))
    }

    fn push(&mut self, files: &Files, batch: &Batch) -> Result<(), ImportFault> {
        let header = batch.header();
        let (base, next) = (header.base_offset, header.next_offset());
        let runs = self.origin.terms.partition_point(|run| run.offset <= base);
        let run: Option<&TermRun> = runs.checked_sub(1).map(|last| &self.origin.terms[last]);
        let term = run.map(|run| run.term);
        // Every batch was an entry once, and the first entry of a log is none: so the indexes that are
        // counted here stay below those of the entries that are left.
        let fits = base >= self.next
            && next <= self.origin.next_offset
            && self.batches.saturating_add(1) < self.origin.index.0
            && term.is_some_and(|term| term.epoch() == header.leader_epoch)
            && batch.verify().is_ok();
        let Some(term) = term.filter(|_| fits) else {
            return Err(ImportFault::Unfit(base));
        };
        self.batches += 1;
        self.next = next;
        let index = RaftIndex(self.batches);
        self.output.push(files, index, term, batch)?;
        Ok(())
    }
}
