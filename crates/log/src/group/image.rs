//! A group's part of a checkpoint: everything its bookkeeping can't take from sidecars.

use super::{Front, GroupLog, Internal, Rewritten, Segment, TermRun, Undo};
use crate::block::{Block, FIELD_BYTES};
use crate::field::{Fields, put_count, put_i64, put_sized, put_u32, put_u64};
use crate::name::SegmentName;
use crate::origin::RUN_BYTES;
use crate::shape::Compact;
use crate::turn::Settings;
use base::batch::HEADER_BYTES;
use base::{BatchHeader, Bug, GroupId, Offset, RaftIndex, Term, planted};
use bytes::Bytes;

/// What a checkpoint knows about a segment. Blocks below the commit are in the sidecar; the others
/// may be cut off or opened again, and their sidecar's entries overwritten before a crash, so the
/// checkpoint holds them itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentImage {
    pub(crate) base: Offset,
    /// Raft index of its first batch.
    pub(crate) first_index: RaftIndex,
    /// Offset after the blocks in the sidecar.
    pub(crate) next: Offset,
    /// Bytes of the blocks in the sidecar.
    pub(crate) closed_len: u32,
    /// Number of the blocks in the sidecar.
    pub(crate) blocks: u32,
    /// The closed blocks after those.
    pub(super) loose: Vec<Block>,
    /// Set if a rewrite made it.
    pub(crate) rewritten: Option<Rewritten>,
}

/// A log read from a checkpoint, before its segments' blocks are loaded.
pub(crate) struct GroupImage {
    pub(super) log: GroupLog,
    pub(crate) segments: Vec<SegmentImage>,
}

impl GroupLog {
    /// Appends this log's part of a checkpoint.
    pub fn checkpoint(&self, out: &mut Vec<u8>) {
        put_u64(out, self.group.0);
        put_u32(out, self.settings.segment_bytes);
        let forgotten = planted(Bug::StartNotCheckpointed);
        put_i64(out, if forgotten { 0 } else { self.start_offset.0 });
        put_i64(out, self.end_offset.0);
        put_u64(out, self.last_index.0);
        put_u32(out, self.last_term.0);
        put_u64(out, self.committed.0);
        put_u64(out, self.cuts);
        put_count(out, self.segments.len());
        for segment in &self.segments {
            self.put_segment(out, segment);
        }
        put_block(out, self.open.as_ref());
        put_count(out, self.terms.len());
        self.terms.iter().for_each(|run| run.put(out));
        put_count(out, self.internals.len());
        for entry in &self.internals {
            put_u64(out, entry.index.0);
            put_sized(out, &entry.data);
        }
        put_count(out, self.tail.len());
        for undo in &self.tail {
            undo.put(out);
        }
        put_u64(out, self.front.index.0);
        put_i64(out, self.front.offset.0);
        put_u64(out, self.floor.0);
        put_u32(out, self.rewrites);
        put_i64(out, self.clean.0);
        out.push(u8::from(self.compact.is_some()));
        if let Some(compact) = &self.compact {
            compact.put(out);
        }
        put_u32(out, self.settings.incarnation);
    }

    fn put_segment(&self, out: &mut Vec<u8>, segment: &Segment) {
        // Not at the commit itself: if what comes after is cut off, the block may be open again.
        let settled = |block: &Block| block.last_index() < self.committed;
        let (stable, loose) = segment
            .blocks
            .split_at(segment.blocks.partition_point(settled));
        let first = segment.blocks.first().or(self.open.as_ref());
        let last = stable.last();
        let image = SegmentImage {
            base: segment.base,
            first_index: first.map_or(RaftIndex(0), |block| block.first_index),
            next: last.map_or(segment.base, |block| block.next_offset),
            closed_len: last.map_or(0, Block::end),
            blocks: segment.lost + stable.len() as u32,
            loose: loose.to_vec(),
            rewritten: segment.rewritten,
        };
        image.put(out);
    }

    /// Reads it back from a checkpoint of a version; `None` if it can't be one. `whole` is what the
    /// fields borrow from.
    pub(crate) fn from_checkpoint(
        fields: &mut Fields<'_>,
        whole: &Bytes,
        version: u32,
    ) -> Option<GroupImage> {
        let group = GroupId(fields.u64()?);
        let mut log = GroupLog::new(
            group,
            Settings {
                segment_bytes: fields.u32()?,
                incarnation: 0,
            },
        );
        log.start_offset = Offset(fields.i64()?);
        log.end_offset = Offset(fields.i64()?);
        log.last_index = RaftIndex(fields.u64()?);
        log.last_term = Term(fields.u32()?);
        log.committed = RaftIndex(fields.u64()?);
        log.cuts = fields.u64()?;
        let segments = read_many(fields, 36, |fields| SegmentImage::read(fields, version))?;
        log.open = read_block(fields)?;
        log.terms = read_many(fields, RUN_BYTES, TermRun::read)?;
        log.internals = read_many(fields, 12, |fields| {
            let index = RaftIndex(fields.u64()?);
            Some(Internal {
                index,
                data: whole.slice_ref(fields.sized()?),
            })
        })?;
        log.tail = read_many(fields, 22, Undo::read)?.into();
        // In version 1 every log began at its first entry.
        if version >= 2 {
            log.front = Front {
                index: RaftIndex(fields.u64()?),
                offset: Offset(fields.i64()?),
            };
            log.floor = RaftIndex(fields.u64()?);
        }
        if version >= 3 {
            log.rewrites = fields.u32()?;
            log.clean = Offset(fields.i64()?);
            log.compact = match fields.u8()? {
                0 => None,
                1 => Some(Compact::read(fields)?),
                _ => return None,
            };
        }
        if version >= 4 {
            log.settings.incarnation = fields.u32()?;
        }
        let front = log.front.index.0.checked_sub(1)?;
        let begins = front <= log.committed.0
            && log.floor <= log.committed
            && log.start_offset <= log.end_offset;
        let uncommitted = log.last_index.0.checked_sub(log.committed.0)?;
        let fits = begins
            && uncommitted == log.tail.len() as u64
            && (log.open.is_none() || !segments.is_empty());
        fits.then_some(GroupImage { log, segments })
    }

    /// Every entry after the committed one: index, term, and the header of a batch or the data of
    /// an internal entry.
    pub(crate) fn uncommitted(&self) -> Vec<crate::Entry> {
        let indexes = self.committed.0 + 1..;
        let entry = |(index, undo): (u64, &Undo)| {
            let index = RaftIndex(index);
            let body = match &undo.head {
                Some(head) => {
                    let header = BatchHeader::parse(head).ok()?;
                    crate::EntryBody::Batch(header, header.total_len() as u32)
                }
                None => crate::EntryBody::Internal(self.internal(index)?.clone()),
            };
            Some(crate::Entry {
                index,
                term: self.term_of(index)?,
                body,
            })
        };
        indexes.zip(&self.tail).filter_map(entry).collect()
    }

    /// How many cuts there have been.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts
    }

    /// The open block and its segment.
    pub(crate) fn open_block(&self) -> Option<(SegmentName, Block)> {
        Some((self.segments.last()?.name(), self.open?))
    }

    /// Names of all segments, and their lengths.
    pub(crate) fn segment_files(&self) -> impl Iterator<Item = (SegmentName, u32)> + '_ {
        let last = self.segments.len().wrapping_sub(1);
        self.segments.iter().enumerate().map(move |(i, segment)| {
            let len = if i == last {
                self.segment_len()
            } else {
                segment.closed_len()
            };
            (segment.name(), len)
        })
    }
}

impl GroupImage {
    pub(crate) fn group(&self) -> GroupId {
        self.log.group
    }

    /// The term of an entry of a segment, wherever the first index is.
    pub(crate) fn term_of(&self, index: RaftIndex) -> Term {
        self.log.term_before(index.next())
    }

    /// The term of the batch at an offset.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<Term> {
        self.log.epoch_of(offset)
    }

    /// The index of the first batch at or after an index.
    pub(crate) fn next_batch_index(&self, mut index: RaftIndex) -> RaftIndex {
        while self.log.internal(index).is_some() {
            index = index.next();
        }
        index
    }

    /// The index after the last entry in the sidecar of a segment, counted from 0.
    pub(crate) fn index_after(&self, nth: usize) -> RaftIndex {
        let loose = self.segments[nth]
            .loose
            .first()
            .map(|block| block.first_index);
        let next = loose.or(self.segments.get(nth + 1).map(|next| next.first_index));
        next.or(self.log.open.map(|open| open.first_index))
            .unwrap_or(self.log.last_index.next())
    }

    /// The whole log, once the blocks of every segment are known, in the order of `segments`. Of
    /// a damaged segment one block stands for all.
    /// `None` if they don't fit together.
    pub(crate) fn with_blocks(mut self, blocks: Vec<Vec<Block>>) -> Option<GroupLog> {
        if blocks.len() != self.segments.len() {
            return None;
        }
        for (image, blocks) in self.segments.iter().zip(blocks) {
            let mut segment = Segment::new(image.base);
            segment.rewritten = image.rewritten;
            segment.lost = image.blocks.checked_sub(blocks.len() as u32)?;
            blocks
                .into_iter()
                .chain(image.loose.iter().copied())
                .for_each(|b| segment.push(b));
            self.log.segments.push(segment);
        }
        let (open, segments) = (self.log.open, &self.log.segments);
        let joined = open.is_none_or(|o| segments.last().is_some_and(|s| s.closed_len() == o.pos));
        let undo_fits = self
            .log
            .tail
            .iter()
            .all(|undo| match undo.segments.checked_sub(1) {
                Some(last) => segments
                    .get(last as usize)
                    .is_some_and(|s| s.lost <= undo.blocks && undo.blocks <= s.count()),
                None => undo.blocks == 0,
            });
        let last = segments.len().wrapping_sub(1);
        let filled = |(nth, segment): (usize, &Segment)| {
            !segment.blocks.is_empty() || (nth == last && open.is_some())
        };
        let filled = segments.iter().enumerate().all(filled);
        (joined && undo_fits && filled).then_some(self.log)
    }
}

impl SegmentImage {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            rewrite: self.rewritten.map_or(0, |rewritten| rewritten.number),
        }
    }

    /// One that was imported, of three blocks.
    #[cfg(test)]
    pub(crate) fn of_import(base: Offset, number: u32, crc: u32) -> SegmentImage {
        SegmentImage {
            base,
            first_index: RaftIndex(1),
            next: Offset(6),
            closed_len: 100,
            blocks: 3,
            loose: Vec::new(),
            rewritten: Some(Rewritten { number, crc }),
        }
    }

    /// True if the checkpoint needn't hold blocks of it itself.
    pub(crate) fn has_all_in_sidecar(&self) -> bool {
        self.loose.is_empty() && self.blocks > 0
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.base.0);
        put_u64(out, self.first_index.0);
        put_i64(out, self.next.0);
        put_u32(out, self.closed_len);
        put_u32(out, self.blocks);
        put_count(out, self.loose.len());
        self.loose.iter().for_each(|block| block.put(out));
        put_u32(out, self.rewritten.map_or(0, |rewritten| rewritten.number));
        if let Some(rewritten) = self.rewritten {
            put_u32(out, rewritten.crc);
        }
    }

    /// As a checkpoint of a version has it.
    pub(crate) fn read(fields: &mut Fields<'_>, version: u32) -> Option<SegmentImage> {
        Some(SegmentImage {
            base: Offset(fields.i64()?),
            first_index: RaftIndex(fields.u64()?),
            next: Offset(fields.i64()?),
            closed_len: fields.u32()?,
            blocks: fields.u32()?,
            loose: read_many(fields, FIELD_BYTES, Block::read)?,
            // Before version 3 there were no rewrites.
            rewritten: match version {
                3.. => match fields.u32()? {
                    0 => None,
                    number => Some(Rewritten {
                        number,
                        crc: fields.u32()?,
                    }),
                },
                _ => None,
            },
        })
    }
}

impl Undo {
    fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.last_term.0);
        put_i64(out, self.end_offset.0);
        put_u32(out, self.segments);
        put_u32(out, self.blocks);
        put_block(out, self.open.as_ref());
        out.push(u8::from(self.head.is_some()));
        out.extend_from_slice(self.head.as_ref().map_or(&[], |head| &head[..]));
    }

    fn read(fields: &mut Fields<'_>) -> Option<Undo> {
        Some(Undo {
            last_term: Term(fields.u32()?),
            end_offset: Offset(fields.i64()?),
            segments: fields.u32()?,
            blocks: fields.u32()?,
            open: read_block(fields)?,
            head: match fields.u8()? {
                0 => None,
                1 => Some(read_head(fields)?),
                _ => return None,
            },
        })
    }
}

fn read_head(fields: &mut Fields<'_>) -> Option<[u8; HEADER_BYTES]> {
    let head: [u8; HEADER_BYTES] = fields.take(HEADER_BYTES)?.try_into().ok()?;
    BatchHeader::parse(&head).ok()?;
    Some(head)
}

fn put_block(out: &mut Vec<u8>, block: Option<&Block>) {
    out.push(u8::from(block.is_some()));
    if let Some(block) = block {
        block.put(out);
    }
}

fn read_block(fields: &mut Fields<'_>) -> Option<Option<Block>> {
    match fields.u8()? {
        0 => Some(None),
        1 => Block::read(fields).map(Some),
        _ => None,
    }
}

pub(crate) fn read_many<T>(
    fields: &mut Fields<'_>,
    least: usize,
    read: impl Fn(&mut Fields<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = fields.count(least)?;
    (0..count).map(|_| read(fields)).collect()
}
