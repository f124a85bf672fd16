//! Where segments go that batches aren't appended to: those of a rewrite, and those that a snapshot
//! brings. Files of their own, which nothing names yet, made durable piece by piece, so that a sync
//! never has much to do.

use crate::block::Block;
use crate::fault::Fault;
use crate::files::{Files, Key, Kind, group_dir};
use crate::name::SegmentName;
use crate::wal;
use base::{Batch, Bug, File, GroupId, Offset, RaftIndex, Term, checksum, limits, planted};
use std::sync::Arc;

/// A segment that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) base: Offset,
    pub(crate) blocks: Vec<Block>,
    pub(crate) crc: u32,
}

/// The segments of one number.
pub(crate) struct Output {
    group: GroupId,
    number: u32,
    segment_bytes: u32,
    /// The planted bug that leaves out its syncs.
    hasty: Bug,
    made: Vec<Made>,
    open: Option<Opened>,
}

/// The segment that is written.
struct Opened {
    key: Key,
    file: Arc<dyn File>,
    hasty: Bug,
    first_index: RaftIndex,
    batches: u64,
    blocks: Vec<Block>,
    block: Option<Block>,
    /// Bytes in the file, and those that come after them.
    written: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({}, {})", self.group, self.number)
    }
}

impl Output {
    pub(crate) fn new(group: GroupId, number: u32, segment_bytes: u32, hasty: Bug) -> Output {
        Output {
            group,
            number,
            segment_bytes,
            hasty,
            made: Vec::new(),
            open: None,
        }
    }

    /// Adds a batch, in a new segment if it doesn't fit into this one. Its index is the one it
    /// had, or less.
    pub(crate) fn push(
        &mut self,
        files: &Files,
        index: RaftIndex,
        term: Term,
        batch: &Batch,
    ) -> Result<(), Fault> {
        let most = u64::from(self.segment_bytes);
        let full = |open: &Opened| open.len() + batch.len() as u64 > most;
        if self.open.as_ref().is_some_and(full) {
            self.close(files)?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let name = SegmentName {
                    base: batch.header().base_offset,
                    rewrite: self.number,
                };
                let opened = Opened::new(files, self.group, name, index, self.hasty)?;
                self.open.insert(opened)
            }
        };
        open.push(term, batch);
        Ok(())
    }

    /// Writes what was added, and syncs it. Returns how many bytes that were.
    pub(crate) fn write(&mut self, files: &Files) -> Result<u64, Fault> {
        match &mut self.open {
            Some(open) if !open.buffer.is_empty() => open.write(files),
            _ => Ok(0),
        }
    }

    fn close(&mut self, files: &Files) -> Result<(), Fault> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let closed = open.close(files);
        // Even if that failed, so that all of it can be taken away again.
        self.made.push(Made {
            base: open.key.segment.base,
            crc: open.crc(),
            blocks: open.blocks,
        });
        closed
    }

    /// Ends the last segment; the names of all become durable.
    pub(crate) fn finish(&mut self, files: &Files) -> Result<Vec<Made>, Fault> {
        self.close(files)?;
        if !self.made.is_empty() && !planted(self.hasty) {
            let dir = group_dir(self.group);
            files
                .disk
                .sync_dir(&dir)
                .map_err(|e| Fault::from_io(&dir, "sync", e))?;
        }
        Ok(std::mem::take(&mut self.made))
    }

    /// Takes everything away that was written. What can't be removed is removed by the next start.
    pub(crate) fn abandon(&mut self, files: &Files) {
        let open = self.open.take().map(|open| open.key.segment.base);
        let made = std::mem::take(&mut self.made);
        let bases = made.into_iter().map(|made| made.base).chain(open);
        for base in bases {
            for kind in [Kind::Data, Kind::Index] {
                let key = self.key(base, kind);
                let _ = files.disk.remove(&key.path());
            }
        }
    }

    fn key(&self, base: Offset, kind: Kind) -> Key {
        let rewrite = self.number;
        Key {
            group: self.group,
            segment: SegmentName { base, rewrite },
            kind,
        }
    }
}

impl Opened {
    fn new(
        files: &Files,
        group: GroupId,
        segment: SegmentName,
        first_index: RaftIndex,
        hasty: Bug,
    ) -> Result<Opened, Fault> {
        let kind = Kind::Data;
        let key = Key {
            group,
            segment,
            kind,
        };
        Ok(Opened {
            key,
            file: files.made_anew(key)?,
            hasty,
            first_index,
            batches: 0,
            blocks: Vec::new(),
            block: None,
            written: 0,
            buffer: Vec::new(),
        })
    }

    fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn push(&mut self, term: Term, batch: &Batch) {
        let index = RaftIndex(self.first_index.0 + self.batches);
        let block = Block::of_batch(self.len() as u32, index, term, batch.head());
        self.batches += 1;
        self.buffer.extend_from_slice(batch.head());
        self.buffer.extend_from_slice(batch.body());
        if self.block.is_some_and(|open| open.term != term) {
            self.blocks.extend(self.block.take());
        }
        match &mut self.block {
            Some(open) => open.grow(&block),
            None => self.block = Some(block),
        }
        if self.block.is_some_and(|b| b.len >= limits::BLOCK_BYTES) {
            self.blocks.extend(self.block.take());
        }
    }

    fn write(&mut self, files: &Files) -> Result<u64, Fault> {
        let path = self.key.path();
        self.file
            .write_at(&[&self.buffer], self.written)
            .map_err(|e| Fault::from_io(&path, "write", e))?;
        let bytes = self.buffer.len() as u64;
        self.written += bytes;
        self.buffer.clear();
        self.sync(files, &self.file, &path)?;
        Ok(bytes)
    }

    fn close(&mut self, files: &Files) -> Result<(), Fault> {
        self.blocks.extend(self.block.take());
        if !self.buffer.is_empty() {
            self.write(files)?;
        }
        let key = Key {
            kind: Kind::Index,
            ..self.key
        };
        let mut entries = Vec::new();
        for (nth, block) in self.blocks.iter().enumerate() {
            entries.extend_from_slice(&block.sidecar_entry(key.group, key.segment, nth as u32));
        }
        let file = files.made_anew(key)?;
        file.write_at(&[&entries], 0)
            .map_err(|e| Fault::from_io(&key.path(), "write", e))?;
        self.sync(files, &file, &key.path())
    }

    fn crc(&self) -> u32 {
        let grow = |crc, block: &Block| checksum::combine(crc, block.crc, u64::from(block.len));
        self.blocks.iter().fold(checksum::crc32c(&[]), grow)
    }

    fn sync(&self, files: &Files, file: &Arc<dyn File>, path: &str) -> Result<(), Fault> {
        if planted(self.hasty) {
            return Ok(());
        }
        let one = [Arc::clone(file)];
        wal::sync_many(&*files.disk, &one, |_| path.to_owned())
    }
}
