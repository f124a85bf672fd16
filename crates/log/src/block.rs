//! Blocks: the runs of batches that segments are cut into.
//!
//! A block holds consecutive Raft indexes of one term and no internal entry, so the n-th batch of
//! a block has index `first_index + n`. It is the unit of the sparse index, of the time index and
//! of checksums on reads. The closed ones lie in the segment's sidecar, one fixed-size entry each.

use crate::field::{Fields, put_i64, put_u32, put_u64};
use crate::name::SegmentName;
use base::batch::{HEADER_BYTES, UNCOVERED_BYTES};
use base::{BatchHeader, GroupId, Offset, RaftIndex, Term, checksum};

/// Bytes of a sidecar's entry.
pub(crate) const SIDECAR_ENTRY_BYTES: usize = 64;
/// Bytes of a block's fields without padding and checksum.
pub(crate) const FIELD_BYTES: usize = 52;

/// A run of batches in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it starts in its segment.
    pub pos: u32,
    /// Bytes.
    pub len: u32,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset after its last record.
    pub next_offset: Offset,
    /// Raft index of its first batch.
    pub first_index: RaftIndex,
    /// Batches.
    pub count: u32,
    /// Term of all its batches.
    pub term: Term,
    /// Largest timestamp of all its records.
    pub max_timestamp: i64,
    /// CRC-32C of all its bytes.
    pub crc: u32,
}

impl Block {
    /// The block of a single batch, told from its header alone: its checksum follows from
    /// Kafka's own.
    pub(crate) fn of_batch(
        pos: u32,
        index: RaftIndex,
        term: Term,
        head: &[u8; HEADER_BYTES],
    ) -> Block {
        let header = BatchHeader::parse(head).expect("a batch's header parses");
        let len = header.total_len();
        let outside = checksum::crc32c(&head[..UNCOVERED_BYTES]);
        Block {
            pos,
            len: len as u32,
            base_offset: header.base_offset,
            next_offset: header.next_offset(),
            first_index: index,
            count: 1,
            term,
            // One that compaction emptied has no record with that time.
            max_timestamp: match header.records {
                0 => i64::MIN,
                _ => header.max_timestamp,
            },
            crc: checksum::combine(outside, header.crc, (len - UNCOVERED_BYTES) as u64),
        }
    }

    /// True for the one that recovery puts in the place of blocks that it couldn't tell apart any
    /// more: no batch has term 0.
    pub(crate) fn is_lost(&self) -> bool {
        self.term == Term(0)
    }

    /// Adds the block that follows.
    pub(crate) fn grow(&mut self, next: &Block) {
        self.crc = checksum::combine(self.crc, next.crc, u64::from(next.len));
        self.len += next.len;
        self.next_offset = next.next_offset;
        self.count += next.count;
        self.max_timestamp = self.max_timestamp.max(next.max_timestamp);
    }

    /// Where it ends in its segment.
    pub fn end(&self) -> u32 {
        self.pos + self.len
    }

    /// Raft index of its last batch.
    pub fn last_index(&self) -> RaftIndex {
        RaftIndex(self.first_index.0 + u64::from(self.count) - 1)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_u32(out, self.pos);
        put_u32(out, self.len);
        put_i64(out, self.base_offset.0);
        put_i64(out, self.next_offset.0);
        put_u64(out, self.first_index.0);
        put_u32(out, self.count);
        put_u32(out, self.term.0);
        put_i64(out, self.max_timestamp);
        put_u32(out, self.crc);
    }

    /// Reads the fields. `None` as well for a block that can't be: empty, or past 4 GiB.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Option<Block> {
        let block = Block {
            pos: fields.u32()?,
            len: fields.u32()?,
            base_offset: Offset(fields.i64()?),
            next_offset: Offset(fields.i64()?),
            first_index: RaftIndex(fields.u64()?),
            count: fields.u32()?,
            term: Term(fields.u32()?),
            max_timestamp: fields.i64()?,
            crc: fields.u32()?,
        };
        let sound = block.count > 0
            && block.len > 0
            && block.pos.checked_add(block.len).is_some()
            && block.base_offset < block.next_offset
            && block
                .first_index
                .0
                .checked_add(u64::from(block.count))
                .is_some();
        sound.then_some(block)
    }

    /// The sidecar's entry number `nth`. Its checksum covers where it belongs, so an entry that
    /// a misdirected write put elsewhere is told.
    pub(crate) fn sidecar_entry(
        &self,
        group: GroupId,
        segment: SegmentName,
        nth: u32,
    ) -> [u8; SIDECAR_ENTRY_BYTES] {
        let mut out = Vec::with_capacity(SIDECAR_ENTRY_BYTES);
        self.put(&mut out);
        out.resize(SIDECAR_ENTRY_BYTES - 4, 0);
        let sum = sidecar_sum(group, segment, nth, &out);
        put_u32(&mut out, sum);
        out.try_into()
            .expect("fields, padding and checksum make one entry")
    }

    /// Reads back [`Block::sidecar_entry`]; `None` if it isn't that entry, to the last bit.
    pub(crate) fn from_sidecar(
        entry: &[u8],
        group: GroupId,
        segment: SegmentName,
        nth: u32,
    ) -> Option<Block> {
        let (body, sum) = entry.split_at_checked(SIDECAR_ENTRY_BYTES - 4)?;
        if sum != sidecar_sum(group, segment, nth, body).to_le_bytes() {
            return None;
        }
        Block::read(&mut Fields::new(&body[..FIELD_BYTES]))
    }
}

fn sidecar_sum(group: GroupId, segment: SegmentName, nth: u32, body: &[u8]) -> u32 {
    let mut place = Vec::with_capacity(24 + SIDECAR_ENTRY_BYTES);
    put_u64(&mut place, group.0);
    put_i64(&mut place, segment.base.0);
    put_u32(&mut place, nth);
    if segment.rewrite > 0 {
        put_u32(&mut place, segment.rewrite);
    }
    place.extend_from_slice(body);
    checksum::crc32c(&place)
}

/// A block and the segment it lies in, as plans carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) segment: SegmentName,
    pub(crate) block: Block,
}
