//! Loading a checkpoint: groups from its body, closed blocks from the segments' sidecars.
//!
//! A damaged sidecar is made again from its segment: every byte of a batch is either under
//! Kafka's checksum or follows from its place (offset, length, epoch, magic).

use super::replay::{Group, Replay};
use crate::block::{Block, SIDECAR_ENTRY_BYTES};
use crate::checkpoint::{Checkpoint, GroupPart};
use crate::fault::{Fault, remedy_of};
use crate::files::{Key, Kind};
use crate::group::{GroupImage, GroupLog, SegmentImage};
use crate::pending::{Dirty, make_group_dir};
use base::{Batch, BatchHeader, GroupId, Offset, RaftIndex, Term, checksum, limits};
use bytes::Bytes;
use std::io;

/// Loads every group.
pub(super) fn checkpoint(replay: &mut Replay, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let (blob, parts) = checkpoint.read()?;
    replay.blob = blob;
    for part in parts {
        let id = part.image.group();
        let group = group(replay, part)?;
        replay.files.set_cuts(id, group.log.cuts());
        if replay.groups.insert(id, group).is_some() {
            return Err(Fault::corrupt(
                "checkpoint",
                0,
                format!("group {id} is in it twice"),
            ));
        }
    }
    Ok(())
}

fn group(replay: &mut Replay, part: GroupPart) -> Result<Group, Fault> {
    let id = part.image.group();
    replay.files.set_cuts(id, 0);
    // If the group is removed later, its directory may be gone, and replay wants to write.
    make_group_dir(&*replay.disk, id, &mut replay.dirty)?;
    let removed = replay.survey.removed(id);
    let (log, suspect) = with_blocks(replay, part.image, removed)?.ok_or_else(|| {
        Fault::corrupt(
            "checkpoint",
            0,
            format!("the parts of group {id} don't fit together"),
        )
    })?;
    let mut group = Group::new(log);
    group.entries = group.log.uncommitted();
    group.checkpointed = group.log.last_index();
    group.state = part.state;
    group.app = part.app;
    group.app_index = part.app_index;
    group.suspect = suspect;
    Ok(group)
}

/// A log with the blocks that the sidecars of its segments hold, and what is wrong with those.
/// `removed`: its files may be gone already, and nobody will read them. `None` if the parts don't
/// fit together.
pub(super) fn with_blocks(
    replay: &mut Replay,
    image: GroupImage,
    removed: bool,
) -> Result<Option<(GroupLog, Option<String>)>, Fault> {
    let mut suspect = None;
    let mut blocks = Vec::new();
    for (nth, segment) in image.segments.iter().enumerate() {
        if removed {
            blocks.push(unreadable(segment, image.index_after(nth)));
            continue;
        }
        let found = match sidecar(replay, image.group(), segment)? {
            Ok(found) => found,
            Err(at) => mend(replay, &image, nth, at, &mut suspect)?,
        };
        blocks.push(found);
    }
    let log = image.with_blocks(blocks);
    Ok(log.map(|log| (log, suspect)))
}

/// Reads the closed blocks of a segment; inside `Err`, the position of the first bad entry.
fn sidecar(
    replay: &Replay,
    group: GroupId,
    segment: &SegmentImage,
) -> Result<Result<Vec<Block>, u64>, Fault> {
    let key = Key {
        group,
        segment: segment.name(),
        kind: Kind::Index,
    };
    let len = segment.blocks as usize * SIDECAR_ENTRY_BYTES;
    let Some(bytes) = read(replay, key, len as u64)? else {
        return Ok(Err(0));
    };
    let mut blocks: Vec<Block> = Vec::with_capacity(segment.blocks as usize);
    for (nth, entry) in bytes.chunks_exact(SIDECAR_ENTRY_BYTES).enumerate() {
        let block = Block::from_sidecar(entry, group, segment.name(), nth as u32);
        match block.filter(|block| follows(blocks.last(), block, segment.base)) {
            Some(block) => blocks.push(block),
            None => return Ok(Err((nth * SIDECAR_ENTRY_BYTES) as u64)),
        }
    }
    Ok(if complete(&blocks, segment) {
        Ok(blocks)
    } else {
        Err(0)
    })
}

/// Reads the first bytes of a file; `None` if it isn't there or is shorter.
fn read(replay: &Replay, key: Key, len: u64) -> Result<Option<Bytes>, Fault> {
    if len == 0 {
        return Ok(Some(Bytes::new()));
    }
    let path = key.path();
    let file = match replay.files.opened(key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Fault::from_io(&path, "open", e))?,
    };
    if file.len().map_err(|e| Fault::from_io(&path, "stat", e))? < len {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0)
        .map_err(|e| Fault::from_io(&path, "read", e))?;
    Ok(Some(bytes.into()))
}

fn follows(before: Option<&Block>, block: &Block, base: Offset) -> bool {
    match before {
        None => block.pos == 0 && block.base_offset == base,
        Some(before) => {
            block.pos == before.end()
                && block.base_offset >= before.next_offset
                && block.first_index > before.last_index()
                && block.term >= before.term
        }
    }
}

fn complete(blocks: &[Block], segment: &SegmentImage) -> bool {
    blocks.len() == segment.blocks as usize
        && blocks.last().map_or(0, Block::end) == segment.closed_len
        && blocks.last().map_or(segment.base, |last| last.next_offset) == segment.next
}

/// Makes the blocks of a damaged sidecar again. If the segment is damaged too, its data can't be
/// read any more, and the group is suspect.
fn mend(
    replay: &mut Replay,
    image: &GroupImage,
    nth: usize,
    at: u64,
    suspect: &mut Option<String>,
) -> Result<Vec<Block>, Fault> {
    let (group, segment) = (image.group(), &image.segments[nth]);
    let key = Key {
        group,
        segment: segment.name(),
        kind: Kind::Index,
    };
    let data = Key {
        kind: Kind::Data,
        ..key
    };
    let bytes = read(replay, data, u64::from(segment.closed_len))?;
    let path = key.path();
    if let Some(blocks) = bytes.and_then(|bytes| rebuild(image, segment, bytes)) {
        replay.report.push(format!(
            "{path} was corrupt at byte {at}; made again from its segment"
        ));
        let mut out = Vec::new();
        for (nth, block) in blocks.iter().enumerate() {
            out.extend_from_slice(&block.sidecar_entry(group, segment.name(), nth as u32));
        }
        write(replay, key, &out)?;
        return Ok(blocks);
    }
    let what = format!(
        "{path} is corrupt at byte {at}, and {} is damaged too; {}",
        data.path(),
        remedy_of(group)
    );
    replay.report.push(what.clone());
    *suspect = Some(what);
    Ok(unreadable(segment, image.index_after(nth)))
}

fn write(replay: &mut Replay, key: Key, bytes: &[u8]) -> Result<(), Fault> {
    let dirty: &mut Dirty = &mut replay.dirty;
    let file = replay.files.writable(key)?;
    file.write_at(&[bytes], 0)
        .map_err(|e| Fault::from_io(&key.path(), "write", e))?;
    dirty.wrote(key, 0);
    Ok(())
}

/// Cuts a segment's batches into the blocks that they were in. `None` if anything doesn't match.
fn rebuild(image: &GroupImage, segment: &SegmentImage, mut bytes: Bytes) -> Option<Vec<Block>> {
    let crc = segment.rewritten.map(|rewritten| rewritten.crc);
    if crc.is_some_and(|crc| checksum::crc32c(&bytes) != crc) {
        return None;
    }
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut next = segment.base;
    let mut pos = 0u32;
    let mut index = segment.first_index;
    while !bytes.is_empty() {
        let header = BatchHeader::parse(&bytes).ok()?;
        let term = Term(u32::try_from(header.leader_epoch).ok()?);
        let batch = Batch::split_from(&mut bytes).ok()?;
        // In one that a rewrite made offsets have holes, and indexes count its batches.
        let (expected, follows) = match crc {
            None => {
                let expected = image.next_batch_index(index);
                let follows = header.base_offset == next;
                (expected, follows && image.term_of(expected) == term)
            }
            Some(_) => {
                let epoch = image.epoch_of(header.base_offset);
                (index, header.base_offset >= next && epoch == Some(term))
            }
        };
        let sound = batch.verify().is_ok() && follows;
        if !sound {
            return None;
        }
        let block = Block::of_batch(pos, expected, term, batch.head());
        let joins = open.is_some_and(|open| open.term == term && expected == index);
        if !joins {
            blocks.extend(open.take());
        }
        match &mut open {
            Some(open) => open.grow(&block),
            None => open = Some(block),
        }
        if open.is_some_and(|open| open.len >= limits::BLOCK_BYTES) {
            blocks.extend(open.take());
        }
        next = header.next_offset();
        pos = block.end();
        index = expected.next();
    }
    blocks.extend(open);
    complete(&blocks, segment).then_some(blocks)
}

/// One block that stands for all of them and can't be read: its checksum is made up.
fn unreadable(segment: &SegmentImage, after: RaftIndex) -> Vec<Block> {
    let count = after
        .0
        .saturating_sub(segment.first_index.0)
        .clamp(1, u64::from(u32::MAX));
    let whole = Block {
        pos: 0,
        len: segment.closed_len,
        base_offset: segment.base,
        next_offset: segment.next,
        first_index: segment.first_index,
        count: count as u32,
        term: Term(0),
        max_timestamp: i64::MIN,
        crc: 0x0bad_0bad,
    };
    if segment.blocks == 0 {
        Vec::new()
    } else {
        vec![whole]
    }
}
