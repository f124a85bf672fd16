//! A simulated file: its bytes, and for each unsynced sector what the device still has.

use super::{ENOSPC, Fails, RECENT_WRITES, SECTOR, SimDisk, State, eio};
use base::File;
use std::collections::BTreeMap;
use std::io;

/// Percent of the reads of a file before which what a failed sync gave up leaves the cache.
const LEAVES_CACHE_PERCENT: u64 = 2;

/// What a sector was before; `None` for zeros.
pub(super) type Old = Option<Box<[u8; SECTOR]>>;

/// One file's content.
#[derive(Default)]
pub(super) struct Inode {
    /// As a process reads it.
    pub(super) bytes: Vec<u8>,
    /// The length that is durable.
    pub(super) durable_len: usize,
    /// Sectors written and not synced, with what the device has.
    pub(super) unsynced: BTreeMap<usize, Old>,
    /// Sectors that a failed sync gave up: a later sync doesn't write them.
    pub(super) forgotten: BTreeMap<usize, Old>,
    /// Flipped bits that the cache still hides: position and mask.
    pub(super) rot: Vec<(usize, u8)>,
}

/// A handle.
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: usize,
}

impl Inode {
    /// Remembers what the device has of the sectors that cover a range.
    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            if self.unsynced.contains_key(&sector) {
                continue;
            }
            let old = match self.forgotten.remove(&sector) {
                Some(old) => old,
                None => self.sector(sector),
            };
            self.unsynced.insert(sector, old);
        }
        self.rot.retain(|(pos, _)| *pos < from || *pos >= to);
    }

    fn sector(&self, sector: usize) -> Old {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.bytes.len());
        if start >= end || self.bytes[start..end].iter().all(|byte| *byte == 0) {
            return None;
        }
        let mut old = Box::new([0; SECTOR]);
        old[..end - start].copy_from_slice(&self.bytes[start..end]);
        Some(old)
    }

    fn write(&mut self, pos: usize, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let end = pos + piece.len();
        self.touch(pos, end);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[pos..end].copy_from_slice(piece);
    }

    fn set_len(&mut self, len: usize) {
        let (low, high) = (len.min(self.bytes.len()), len.max(self.bytes.len()));
        self.touch(low, high);
        self.bytes.resize(len, 0);
    }

    fn is_synced(&self) -> bool {
        self.unsynced.is_empty() && self.durable_len == self.bytes.len()
    }

    fn synced(&mut self) {
        self.unsynced.clear();
        self.durable_len = self.bytes.len();
    }

    /// The file is read from the device again: flipped bits show.
    pub(super) fn show_rot(&mut self) {
        for (pos, mask) in std::mem::take(&mut self.rot) {
            if let Some(byte) = self.bytes.get_mut(pos) {
                *byte ^= mask;
            }
        }
    }
}

impl State {
    /// Writes what fits of `pieces`; the whole, or an error after a part.
    fn write_pieces(&mut self, inode: usize, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut pos = usize::try_from(pos).expect("files fit in memory");
        let mut allowed = total;
        let mut result = Ok(());
        if let Err(dead) = self.burn() {
            allowed = self.random.below(total as u64 + 1) as usize / SECTOR * SECTOR;
            result = Err(dead);
        } else if self.hits(Fails::Write) {
            self.damage.failed_writes += 1;
            allowed = self.random.below(total as u64 + 1) as usize / SECTOR * SECTOR;
            result = Err(eio());
        } else if self.capacity.is_some() {
            let len = self.inodes[inode].bytes.len();
            let fits = len.saturating_sub(pos) as u64 + self.room();
            if fits < total as u64 {
                self.damage.refused += 1;
                allowed = fits as usize;
                result = Err(io::Error::from_raw_os_error(ENOSPC));
            }
        }
        if result.is_ok() && self.hits(Fails::Misdirect) {
            pos = self.astray(inode, pos, total);
        }
        if result.is_ok() && total > 0 {
            self.recent.push_back((inode, pos, total));
            if self.recent.len() > RECENT_WRITES {
                self.recent.pop_front();
            }
        }
        let mut left = allowed;
        for piece in pieces {
            let take = piece.len().min(left);
            self.inodes[inode].write(pos, &piece[..take]);
            pos += take;
            left -= take;
        }
        result
    }

    /// Another sector of the file for a write that goes astray.
    fn astray(&mut self, inode: usize, pos: usize, len: usize) -> usize {
        let sectors = (self.inodes[inode].bytes.len() / SECTOR) as u64;
        let to = self.random.below(sectors.max(1)) as usize * SECTOR;
        self.damage
            .destroyed
            .push(format!("{len} bytes for {pos} went to {to}"));
        to
    }

    fn sync(&mut self, inode: usize) -> io::Result<()> {
        self.burn()?;
        if self.hits(Fails::Sync) {
            self.fail_sync(inode);
            return Err(eio());
        }
        self.inodes[inode].synced();
        Ok(())
    }

    /// Syncs all files and names below a directory.
    pub(super) fn sync_below(&mut self, dir: &str) -> io::Result<()> {
        let (files, dirs) = self.names.below(dir);
        for inode in files {
            if !self.inodes[inode].is_synced() {
                self.sync(inode)?;
            }
        }
        for dir in dirs {
            self.burn()?;
            self.names.sync(&dir)?;
        }
        Ok(())
    }

    /// A sync that fails: each sector made it or didn't, and all count as clean from now on.
    fn fail_sync(&mut self, inode: usize) {
        let file = &mut self.inodes[inode];
        for (sector, old) in std::mem::take(&mut file.unsynced) {
            if self.random.percent(50) {
                file.forgotten.insert(sector, old);
            }
        }
        self.damage.failed_syncs += 1;
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.alive()?.inodes[self.inode].bytes.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        if state.hits(Fails::Read) {
            state.damage.failed_reads += 1;
            return Err(eio());
        }
        let State { inodes, random, .. } = &mut *state;
        let file = &mut inodes[self.inode];
        if !file.forgotten.is_empty() && random.percent(LEAVES_CACHE_PERCENT) {
            file.leave_cache();
        }
        let bytes = &file.bytes;
        let start = usize::try_from(pos).unwrap_or(usize::MAX);
        let from = start
            .checked_add(buf.len())
            .and_then(|end| bytes.get(start..end));
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn read_at_cached(&self, buf: &mut [u8], pos: u64) -> io::Result<bool> {
        {
            let mut state = self.disk.alive()?;
            let cold = state.cold_percent;
            if cold > 0 && state.random.percent(cold) {
                return Ok(false);
            }
        }
        self.read_at(buf, pos).map(|()| true)
    }

    fn write_at(&self, pieces: &[&[u8]], pos: u64) -> io::Result<()> {
        self.disk.alive()?.write_pieces(self.inode, pieces, pos)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.burn()?;
        let len = usize::try_from(len).expect("files fit in memory");
        let grows = len.saturating_sub(state.inodes[self.inode].bytes.len());
        if grows as u64 > state.room() {
            state.damage.refused += 1;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        state.inodes[self.inode].set_len(len);
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.burn()?;
        let len = usize::try_from(len).expect("files fit in memory");
        let have = state.inodes[self.inode].bytes.len();
        if len <= have {
            return Ok(());
        }
        if (len - have) as u64 > state.room() {
            state.damage.refused += 1;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if state.hits(Fails::Sync) {
            state.fail_sync(self.inode);
            return Err(eio());
        }
        let file = &mut state.inodes[self.inode];
        file.bytes.resize(len, 0);
        file.synced();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.alive()?.sync(self.inode)
    }
}
