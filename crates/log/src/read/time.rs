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
        let mut best: Option<(i64, Batch)> = None;
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
                if better {
                    let mut whole = bytes.slice(pos..pos + header.total_len());
                    if let Ok(batch) = Batch::split_from(&mut whole) {
                        best = Some((header.max_timestamp, batch));
                    }
                }
            }
        }
        Ok(Some(best.map(|(max, batch)| match self.at {
            TimeQuery::At(time) => {
                let first = batch.header().base_offset.max(self.from);
                find(&batch, time, self.from, first, unpack)
            }
            TimeQuery::Max => {
                let last = Offset(batch.header().next_offset().0 - 1);
                find(&batch, max, self.from, last, unpack)
            }
        })))
    }
}

/// The first record of a batch stamped at or after `time`, from an offset on; `otherwise` if it
/// can't be told.
fn find(
    batch: &Batch,
    time: i64,
    from: Offset,
    otherwise: Offset,
    unpack: Unpack<'_>,
) -> (Offset, i64) {
    let header = batch.header();
    if header.has_append_time() {
        return (header.base_offset.max(from), header.max_timestamp);
    }
    let plain = match header.compression() {
        Ok(Compression::None) => Some(batch.body().clone()),
        Ok(_) => unpack(batch),
        Err(_) => None,
    };
    let found = plain.and_then(|plain| find_record(&header, &plain, time, from));
    found.unwrap_or((otherwise, header.max_timestamp))
}

fn find_record(
    header: &BatchHeader,
    plain: &[u8],
    time: i64,
    from: Offset,
) -> Option<(Offset, i64)> {
    let mut pos = 0;
    for _ in 0..header.records {
        let record = record::read(plain, &mut pos).ok()?;
        let stamp = header.base_timestamp.checked_add(record.timestamp_delta)?;
        let offset = record.offset(header);
        if stamp >= time && offset >= from {
            return Some((offset, stamp));
        }
    }
    None
}
