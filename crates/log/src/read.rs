//! Plans of reads, run off the shard: owned, so that nothing of the shard is borrowed meanwhile.
//!
//! A block is read whole and its checksum is compared every time before a byte of it is used;
//! that costs a fraction of the copy out of the page cache and leaves no way past it.

pub(crate) mod buffers;
mod time;

pub use time::{TimePlan, TimeQuery, Unpack};

use crate::block::Located;
use crate::fault::ReadFault;
use crate::files::{Files, Kind};
use base::{Batch, BatchHeader, Bug, GroupId, Mark, Offset, RaftIndex, checksum, mark, planted};
use bytes::Bytes;
use std::io;

/// A fetch from files.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(crate) group: GroupId,
    pub(crate) cuts: u64,
    pub(crate) blocks: Vec<Located>,
    pub(crate) from: Offset,
    pub(crate) upto: Offset,
    pub(crate) bytes_max: u32,
}

impl ReadPlan {
    /// Bytes of memory that it takes at most: blocks are read whole.
    pub fn memory(&self) -> u64 {
        self.blocks.iter().map(memory_of).sum()
    }

    /// Makes it take no more than this, if its first block fits: that stays in any case.
    pub fn shrink(&mut self, bytes: u64) {
        let mut sum = 0;
        let kept = self.blocks.iter().take_while(|located| {
            sum += memory_of(located);
            sum <= bytes
        });
        let kept = kept.count().max(1);
        self.blocks.truncate(kept);
    }

    /// Reads. Whole batches, the one containing `from` first and always whole, then as many as
    /// fit. `None` if the device would have to be waited for and `wait` is false.
    pub fn run(&self, files: &Files, wait: bool) -> Result<Option<Vec<Bytes>>, ReadFault> {
        mark(Mark::ColdRead);
        let mut pieces = Vec::new();
        let mut room = u64::from(self.bytes_max);
        for located in &self.blocks {
            let Some(bytes) = load(files, self.group, self.cuts, located, wait)? else {
                return Ok(None);
            };
            let (mut start, mut end, mut full) = (None, 0, false);
            for (pos, header) in walk(files, self.group, located, &bytes) {
                let header = header?;
                let len = header.total_len();
                if header.next_offset() <= self.from {
                    continue;
                }
                let first = pieces.is_empty() && start.is_none();
                full = header.next_offset() > self.upto || (!first && len as u64 > room);
                if full {
                    break;
                }
                room = room.saturating_sub(len as u64);
                start = start.or(Some(pos));
                end = pos + len;
            }
            pieces.extend(start.map(|start| bytes.slice(start..end)));
            if full {
                break;
            }
        }
        Ok(Some(pieces))
    }
}

/// For a lost block no memory is taken: it is as long as its whole segment.
fn memory_of(located: &Located) -> u64 {
    match located.block.is_lost() {
        true => 0,
        false => u64::from(located.block.len),
    }
}

/// A read of entries for a follower or a machine that catches up.
#[derive(Clone, Debug)]
pub struct EntriesPlan {
    pub(crate) group: GroupId,
    pub(crate) cuts: u64,
    pub(crate) blocks: Vec<Located>,
    pub(crate) from: RaftIndex,
    pub(crate) upto: RaftIndex,
    pub(crate) bytes_max: u64,
}

impl EntriesPlan {
    /// Reads the batches in order of their index, at least one if there is one, then as many as
    /// fit.
    pub fn run(&self, files: &Files) -> Result<Vec<(RaftIndex, Batch)>, ReadFault> {
        mark(Mark::ColdRead);
        let mut entries = Vec::new();
        let mut room = self.bytes_max;
        for located in &self.blocks {
            let bytes = load(files, self.group, self.cuts, located, true)?
                .ok_or_else(|| corrupt(files, self.group, located, "it can't be read"))?;
            let indexes = located.block.first_index.0..;
            for (index, (pos, header)) in indexes.zip(walk(files, self.group, located, &bytes)) {
                let len = header?.total_len();
                if index < self.from.0 {
                    continue;
                }
                if index > self.upto.0 || (!entries.is_empty() && len as u64 > room) {
                    return Ok(entries);
                }
                room = room.saturating_sub(len as u64);
                let mut whole = bytes.slice(pos..pos + len);
                let batch = Batch::split_from(&mut whole)
                    .map_err(|e| corrupt(files, self.group, located, &e.to_string()))?;
                entries.push((RaftIndex(index), batch));
            }
        }
        Ok(entries)
    }
}

/// The bytes of a block, verified. `None` if they would have to be waited for.
pub(crate) fn load(
    files: &Files,
    group: GroupId,
    cuts: u64,
    located: &Located,
    wait: bool,
) -> Result<Option<Bytes>, ReadFault> {
    match read_block(files, group, located, wait) {
        Ok(bytes) => Ok(bytes),
        // What the plan meant was cut off and perhaps written over: that is not corruption.
        Err(ReadFault::Corrupt { .. }) if files.cuts(group) != Some(cuts) => Err(ReadFault::Gone),
        Err(fault) => {
            if matches!(fault, ReadFault::Corrupt { .. }) {
                mark(Mark::BlockCorruption);
            }
            Err(fault)
        }
    }
}

fn read_block(
    files: &Files,
    group: GroupId,
    located: &Located,
    wait: bool,
) -> Result<Option<Bytes>, ReadFault> {
    let block = &located.block;
    if block.is_lost() {
        // It is as long as its whole segment: not even room is made for it.
        let what = "the segment was damaged together with its sidecar";
        return Err(corrupt(files, group, located, what));
    }
    let file = files.existing(group, located.segment)?;
    let mut buffer = files.buffers.take(block.len as usize);
    let pos = u64::from(block.pos);
    let read = if wait {
        file.read_at(buffer.room(), pos).map(|()| true)
    } else {
        file.read_at_cached(buffer.room(), pos)
    };
    match read {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(corrupt(
                files,
                group,
                located,
                "the file ends before the block does",
            ));
        }
        Err(source) => {
            let path = files.path(group, located.segment, Kind::Data);
            return Err(ReadFault::Io { path, source });
        }
    }
    if checksum::crc32c(buffer.as_ref()) != block.crc && !planted(Bug::SkipVerification) {
        return Err(corrupt(
            files,
            group,
            located,
            "the block's checksum doesn't match its bytes",
        ));
    }
    Ok(Some(buffer.share()))
}

/// The batches of a block: position in it and header. Ends with an error if the bytes are not
/// whole batches, which a verified block's are.
pub(crate) fn walk<'a>(
    files: &'a Files,
    group: GroupId,
    located: &'a Located,
    bytes: &'a Bytes,
) -> impl Iterator<Item = (usize, Result<BatchHeader, ReadFault>)> + 'a {
    let mut pos = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(pos..).filter(|rest| !rest.is_empty())?;
        let at = pos;
        match BatchHeader::parse(rest) {
            Ok(header) if header.total_len() <= rest.len() => {
                pos += header.total_len();
                Some((at, Ok(header)))
            }
            _ => {
                pos = bytes.len();
                Some((
                    at,
                    Err(corrupt(
                        files,
                        group,
                        located,
                        "the block doesn't hold batches",
                    )),
                ))
            }
        }
    })
}

pub(crate) fn corrupt(files: &Files, group: GroupId, located: &Located, what: &str) -> ReadFault {
    ReadFault::Corrupt {
        group,
        file: files.path(group, located.segment, Kind::Data),
        offset: u64::from(located.block.pos),
        record: located.block.base_offset,
        what: what.to_string(),
        remedy: crate::fault::remedy_of(group).to_string(),
    }
}

#[cfg(test)]
mod tests;
