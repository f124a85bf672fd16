//! The write-ahead log: preallocated files, written front to back, recycled.
//!
//! Each use of a file has a generation of its own, from a counter that only grows. The file's
//! first sector names it, and where the generation before it ended; so the files form a chain,
//! and what lies beyond an end is never read again. Every frame's checksum covers its generation
//! and position. A frame is padded to whole sectors, so a synced sector is never written again.

pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod record;
pub(crate) mod scan;

use crate::fault::Fault;
use base::{Bug, Disk, File, Mark, Open, mark, planted};
use frame::Frame;
use header::Header;
use std::sync::Arc;

/// A write of this many bytes at a multiple of it survives a crash whole or not at all.
pub(crate) const SECTOR: u64 = 512;
/// The directory of the files.
pub(crate) const DIR: &str = "wal";
/// Bytes of the first file, and of one that is needed before the flusher made it.
pub(crate) const QUICK_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A place in the write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) generation: u64,
    pub(crate) pos: u64,
}

/// The path of a file.
pub(crate) fn path(number: u64) -> String {
    format!("{DIR}/{number:08}.wal")
}

/// The file that is written to.
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    pub(crate) len: u64,
    /// Where the next frame goes.
    pub(crate) at: Position,
}

/// Files that go round: one is written, one waits for a flush, one is ready.
const FILES_IN_TURN: usize = 3;

/// A file without anything that is still needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free {
    pub(crate) number: u64,
    pub(crate) len: u64,
}

/// A file that is full, and needed until a checkpoint covers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) generation: u64,
}

/// The write-ahead log, open for writing.
pub(crate) struct Wal {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file_bytes: u64,
    pub(crate) free_max: usize,
    pub(crate) active: Active,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) free: Vec<Free>,
    /// The file that was to be next, and found no room. Its header may be there, so no other file may get
    /// its generation.
    pub(crate) begun: Option<Free>,
    /// Everything before this is known to be durable.
    pub(crate) synced: Position,
    /// The last synced position that a frame tells of.
    pub(crate) told: Position,
    pub(crate) next_generation: u64,
    pub(crate) next_number: u64,
    /// Bytes written since the start of the last checkpoint.
    pub(crate) used: u64,
}

impl Wal {
    /// Writes a frame, not durable before [`Wal::sync`]. The answer is where it went.
    pub(crate) fn write(&mut self, frame: &mut Frame) -> Result<Position, Fault> {
        if self.active.at.pos + frame.len() > self.active.len {
            self.switch(frame.len())?;
        }
        let at = self.active.at;
        frame.seal(at, self.synced);
        let path = path(self.active.number);
        frame
            .write_to(&*self.active.file, at.pos)
            .map_err(|e| Fault::from_io(&path, "write", e))?;
        self.told = self.synced;
        self.active.at.pos += frame.len();
        self.used += frame.len();
        Ok(at)
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        if self.synced < self.active.at {
            sync(&*self.active.file, &path(self.active.number))?;
            self.synced = self.active.at;
        }
        Ok(())
    }

    /// Says how far the last sync reached, if no frame does so yet. Not synced: it speaks of what
    /// is. Left out if the file has no room; the next file's header says the same.
    pub(crate) fn tell(&mut self) -> Result<(), Fault> {
        if self.told >= self.synced || self.active.at.pos + SECTOR > self.active.len {
            return Ok(());
        }
        match self.write(&mut Frame::marker()) {
            Ok(_) | Err(Fault::Full { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Goes on in another file, with room for `len` bytes at least.
    fn switch(&mut self, len: u64) -> Result<(), Fault> {
        // The new header says where this generation ends; that must be durable first.
        self.sync()?;
        let need = SECTOR + len;
        let found = match self.begun.take() {
            // A frame is tried again as it is, so the room in there is enough.
            Some(begun) => Some(begun),
            None => {
                let fits = |free: &Free| free.len >= need;
                self.free
                    .iter()
                    .position(fits)
                    .map(|at| self.free.remove(at))
            }
        };
        let next = match found {
            Some(next) => next,
            None => {
                let len = need
                    .next_multiple_of(SECTOR)
                    .max(QUICK_FILE_BYTES.min(self.file_bytes));
                let made = Free {
                    number: self.next_number,
                    len,
                };
                create(&*self.disk, made)?;
                self.next_number += 1;
                made
            }
        };
        match start_file(&*self.disk, next, self.next_generation, self.active.at) {
            Ok(active) => {
                let old = std::mem::replace(&mut self.active, active);
                let generation = old.at.generation;
                self.sealed.push(Sealed {
                    number: old.number,
                    len: old.len,
                    generation,
                });
            }
            Err(fault) => {
                self.begun = Some(next);
                return Err(fault);
            }
        }
        self.next_generation += 1;
        Ok(())
    }

    /// The file that the flusher should make, so that a write needn't.
    pub(crate) fn wanted(&mut self) -> Option<Free> {
        let lens = self.free.iter().map(|free| free.len);
        let lens = lens.chain(self.sealed.iter().map(|sealed| sealed.len));
        let lens = lens.chain(self.begun.iter().map(|begun| begun.len));
        let whole = |len: &u64| *len >= self.file_bytes;
        if lens.chain([self.active.len]).filter(whole).count() >= FILES_IN_TURN {
            return None;
        }
        let wanted = Free {
            number: self.next_number,
            len: self.file_bytes.max(2 * SECTOR),
        };
        self.next_number += 1;
        Some(wanted)
    }

    /// A checkpoint from `start` on is durable: files before it are free. Files beyond those kept
    /// for reuse, and small ones once there is a proper one, are removed.
    pub(crate) fn recycle(&mut self, start: Position) -> Result<(), Fault> {
        let (gone, kept): (Vec<_>, Vec<_>) = self
            .sealed
            .iter()
            .partition(|sealed| sealed.generation < start.generation);
        self.sealed = kept;
        for Sealed { number, len, .. } in gone {
            mark(Mark::WalRecycled);
            self.free.push(Free { number, len });
        }
        self.free.sort_by_key(|free| std::cmp::Reverse(free.len));
        while let Some(last) = self.free.last() {
            let small = last.len < self.file_bytes && self.free.len() > 1;
            if self.free.len() <= self.free_max.max(1) && !small {
                break;
            }
            let path = path(last.number);
            self.disk
                .remove(&path)
                .map_err(|e| Fault::from_io(&path, "remove", e))?;
            self.free.pop();
        }
        Ok(())
    }
}

/// Makes a file: zeros, durable, and so is its name.
pub(crate) fn create(disk: &dyn Disk, made: Free) -> Result<(), Fault> {
    let path = path(made.number);
    let file = disk
        .open(&path, Open::OrCreate)
        .map_err(|e| Fault::from_io(&path, "open", e))?;
    file.preallocate(made.len)
        .map_err(|e| Fault::from_io(&path, "preallocate", e))?;
    disk.sync_dir(DIR)
        .map_err(|e| Fault::from_io(DIR, "sync", e))
}

/// Begins a generation in a file. Its header becomes durable with the first frame's sync.
pub(crate) fn start_file(
    disk: &dyn Disk,
    next: Free,
    generation: u64,
    previous: Position,
) -> Result<Active, Fault> {
    let path = path(next.number);
    let file = disk
        .open_journal(&path)
        .map_err(|e| Fault::from_io(&path, "open", e))?;
    let header = Header {
        number: next.number,
        generation,
        len: next.len,
        previous,
    };
    file.write_at(&[&header.encode()], 0)
        .map_err(|e| Fault::from_io(&path, "write", e))?;
    let at = Position {
        generation,
        pos: SECTOR,
    };
    Ok(Active {
        number: next.number,
        file,
        len: next.len,
        at,
    })
}

/// Syncs a file. A failure is final: the system may have dropped what it could not write.
pub(crate) fn sync(file: &dyn File, path: &str) -> Result<(), Fault> {
    match file.sync_data() {
        Err(_) if planted(Bug::RetryFailedSync) => {
            let _ = file.sync_data();
            Ok(())
        }
        done => done.map_err(|source| {
            mark(Mark::SyncFailed);
            Fault::from_io(path, "sync", source)
        }),
    }
}

/// As [`sync`], for several files; `path` names the one at a place.
pub(crate) fn sync_many(
    disk: &dyn Disk,
    files: &[Arc<dyn File>],
    path: impl Fn(usize) -> String,
) -> Result<(), Fault> {
    match disk.sync_many(files) {
        Err(_) if planted(Bug::RetryFailedSync) => {
            let _ = disk.sync_many(files);
            Ok(())
        }
        done => done.map_err(|(at, source)| {
            mark(Mark::SyncFailed);
            Fault::from_io(&path(at), "sync", source)
        }),
    }
}

/// As [`sync`], for everything below a directory. False if the files have to be synced one by one.
pub(crate) fn sync_below(disk: &dyn Disk, dir: &str, files: usize) -> Result<bool, Fault> {
    match disk.sync_below(dir, files) {
        Err(_) if planted(Bug::RetryFailedSync) => {
            let _ = disk.sync_below(dir, files);
            Ok(true)
        }
        done => done.map_err(|source| {
            mark(Mark::SyncFailed);
            Fault::from_io(dir, "sync", source)
        }),
    }
}

#[cfg(test)]
mod tests;
