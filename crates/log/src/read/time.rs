//! Looking up an offset by timestamp.

use super::{load, walk};
use crate::block::Located;
use crate::fault::ReadFault;
use crate::files::Files;
use base::batch::Compression;
use base::{Batch, BatchHeader, GroupId, Mark, Offset, mark, record};
use bytes::Bytes;

/// Which record is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeQuery {
    /// The first one stamped at or after this.
    At(i64),
    /// The one with the largest timestamp.
    Max,
}

/// A look-up in files.
#[derive(Clone, Debug)]
pub struct TimePlan {
    pub(crate) group: GroupId,
    pub(crate) cuts: u64,
    pub(crate) blocks: Vec<Located>,
    pub(crate) at: TimeQuery,
    /// Records before this are gone.
    pub(crate) from: Offset,
    pub(crate) upto: Offset,
}

/// Turns the records of a compressed batch into plain ones; `None` if it can't.
pub type Unpack<'a> = &'a dyn Fn(&Batch) -> Option<Bytes>;

impl TimePlan {
    /// Looks. Compressed batches are not opened: the answer is then the batch's first offset (or
    /// its last, for the largest timestamp). `None` outside if the device would have to be waited
    /// for, `None` inside if there is no such record.
    pub fn run(
        &self,
        files: &Files,
        wait: bool,
    ) -> Result<Option<Option<(Offset, i64)>>, ReadFault> {
        self.run_with(files, wait, &|_| None)
    }

    /// As [`TimePlan::run`], exact for compressed batches too.
    pub fn run_with(
        &self,
        files: &Files,
        wait: bool,
        unpack: Unpack<'_>,
    ) -> Result<Option<Option<(Offset, i64)>>, ReadFault> {
        mark(Mark::ColdRead);
        let mut best: Option<(i64, Found)> = None;
        for located in &self.blocks {
            let Some(bytes) = load(files, self.group, self.cuts, located, wait)? else {
                return Ok(None);
            };
            for (pos, header) in walk(files, self.group, located, &bytes) {
                let header = header?;
                if header.next_offset() > self.upto {
                    break;
                }
                if header.next_offset() <= self.from || header.records == 0 {
                    continue;
                }
                let better = match self.at {
                    TimeQuery::At(time) => header.max_timestamp >= time && best.is_none(),
                    TimeQuery::Max => best
                        .as_ref()
                        .is_none_or(|(max, _)| header.max_timestamp > *max),
                };
                let mut whole = bytes.slice(pos..pos + header.total_len());
                if better && let Ok(batch) = Batch::split_from(&mut whole) {
                    let found = self.promising(batch, unpack);
                    best = best_of(best, found);
                }
            }
        }
        Ok(Some(best.map(|(max, found)| match found {
            Found::Record(offset) => (offset, max),
            Found::In(batch) => self.find(&batch, unpack),
        })))
    }

    /// A batch that may have the record, and the largest timestamp there. One that the log starts inside of
    /// is opened at once: what makes it promising may be gone.
    fn promising(&self, batch: Batch, unpack: Unpack<'_>) -> Option<(i64, Found)> {
        let header = batch.header();
        let is_cut = header.base_offset < self.from && !header.has_append_time();
        let Some(plain) = is_cut.then(|| plain(&batch, unpack)).flatten() else {
            return Some((header.max_timestamp, Found::In(batch)));
        };
        let mut records = stamps(&header, &plain, self.from);
        let found = match self.at {
            TimeQuery::At(time) => records.find(|(_, stamp)| *stamp >= time),
            TimeQuery::Max => {
                records.reduce(|best, next| if next.1 > best.1 { next } else { best })
            }
        };
        found.map(|(offset, stamp)| (stamp, Found::Record(offset)))
    }

    /// The record in the batch that has it. If it can't be told: the first one for a time, the last one
    /// for the largest timestamp.
    fn find(&self, batch: &Batch, unpack: Unpack<'_>) -> (Offset, i64) {
        let header = batch.header();
        let first = header.base_offset.max(self.from);
        if header.has_append_time() {
            return (first, header.max_timestamp);
        }
        let (time, otherwise) = match self.at {
            TimeQuery::At(time) => (time, first),
            TimeQuery::Max => (header.max_timestamp, Offset(header.next_offset().0 - 1)),
        };
        let found = plain(batch, unpack).and_then(|plain| {
            let mut records = stamps(&header, &plain, self.from);
            records.find(|(_, stamp)| *stamp >= time)
        });
        found.unwrap_or((otherwise, header.max_timestamp))
    }
}

/// Where the record is.
enum Found {
    /// At this offset.
    Record(Offset),
    /// In this batch, which isn't opened yet.
    In(Batch),
}

/// The one with the larger timestamp, the first of equals.
fn best_of(best: Option<(i64, Found)>, next: Option<(i64, Found)>) -> Option<(i64, Found)> {
    match (best, next) {
        (Some(best), Some(next)) if next.0 > best.0 => Some(next),
        (best, next) => best.or(next),
    }
}

/// The records of a batch, unpacked.
fn plain(batch: &Batch, unpack: Unpack<'_>) -> Option<Bytes> {
    match batch.header().compression() {
        Ok(Compression::None) => Some(batch.body().clone()),
        Ok(_) => unpack(batch),
        Err(_) => None,
    }
}

/// Offset and timestamp of the records of a batch from an offset on.
fn stamps<'a>(
    header: &'a BatchHeader,
    plain: &'a [u8],
    from: Offset,
) -> impl Iterator<Item = (Offset, i64)> + 'a {
    let mut pos = 0;
    let records = (0..header.records).map_while(move |_| {
        let record = record::read(plain, &mut pos).ok()?;
        let stamp = header.base_timestamp.checked_add(record.timestamp_delta)?;
        Some((record.offset(header), stamp))
    });
    records.filter(move |(offset, _)| *offset >= from)
}
