//! What kills, power losses and time leave of a data directory.

use super::file::{Inode, Old};
use super::{SECTOR, SimDisk, State};
use base::Random;

/// The last writes are not aimed at: what nothing newer speaks of can't be told from what was never
/// written.
const LATEST_WRITES: usize = 6;
/// So many before them are: a checkpoint soon makes older ones of the write-ahead log needless.
const AIMED_WRITES: usize = 12;

/// How much of what wasn't synced a power loss leaves.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    Everything,
    Percent(u64),
}

impl Inode {
    fn restore(&mut self, sector: usize, old: &Old) {
        let start = sector * SECTOR;
        let end = start + SECTOR;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        match old {
            Some(old) => self.bytes[start..end].copy_from_slice(&old[..]),
            None => self.bytes[start..end].fill(0),
        }
    }

    fn power_loss(&mut self, random: &mut Random, leaves: Leaves) {
        let mut keep = || match leaves {
            Leaves::Nothing => false,
            Leaves::Everything => true,
            Leaves::Percent(percent) => random.percent(percent),
        };
        let (written, durable) = (self.bytes.len(), self.durable_len);
        let new_length = keep();
        for (sector, old) in std::mem::take(&mut self.unsynced) {
            if !keep() || sector * SECTOR >= written {
                self.restore(sector, &old);
            }
        }
        for (sector, old) in std::mem::take(&mut self.forgotten) {
            self.restore(sector, &old);
        }
        let len = match (new_length, leaves) {
            (true, _) => written,
            (false, Leaves::Percent(_)) if written > durable && random.percent(50) => {
                random.between(durable as u64, written as u64) as usize
            }
            (false, _) => durable,
        };
        self.bytes.resize(len, 0);
        self.durable_len = len;
        self.show_rot();
    }

    /// The process is gone, the machine runs on. What a failed sync gave up has left the cache, or
    /// the next process reads it and only a power loss shows that the device never got it.
    fn killed(&mut self, random: &mut Random) {
        if random.percent(50) {
            self.leave_cache();
        }
        self.show_rot();
    }

    /// What a failed sync gave up leaves the cache, as any clean page may: the device's bytes show.
    pub(super) fn leave_cache(&mut self) {
        let len = self.bytes.len();
        for (sector, old) in std::mem::take(&mut self.forgotten) {
            if sector * SECTOR < len {
                self.restore(sector, &old);
            }
        }
        self.bytes.truncate(len);
    }
}

impl State {
    /// Where a bit flips: half the time in what was written not long ago, for most of what is older
    /// isn't needed any more; else anywhere.
    fn rotten_place(&mut self, files: &[(String, usize)]) -> (String, usize, usize) {
        let recent: Vec<(usize, usize, usize)> = self
            .recent
            .iter()
            .filter(|(inode, ..)| files.iter().any(|(_, of)| of == inode))
            .copied()
            .collect();
        let settled = recent.len().saturating_sub(LATEST_WRITES);
        if settled > 0 && self.random.percent(50) {
            let oldest = settled.saturating_sub(AIMED_WRITES) as u64;
            let nth = oldest + self.random.below(settled as u64 - oldest);
            let (inode, pos, len) = recent[nth as usize];
            let pos = pos + self.random.below(len as u64) as usize;
            let path = files.iter().find(|(_, of)| *of == inode);
            if let Some((path, _)) = path.filter(|_| pos < self.inodes[inode].bytes.len()) {
                return (path.clone(), inode, pos);
            }
        }
        let (path, inode) = files[self.random.below(files.len() as u64) as usize].clone();
        let bytes = &self.inodes[inode].bytes;
        // Zeros are most often room that was written ahead; a flip there tells nothing.
        let mut pos = self.random.below(bytes.len() as u64) as usize;
        for _ in 0..16 {
            if bytes[pos] != 0 {
                break;
            }
            pos = self.random.below(bytes.len() as u64) as usize;
        }
        (path, inode, pos)
    }
}

impl SimDisk {
    /// `kill -9`: what was written stays, synced or not.
    pub(crate) fn kill(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.dead = true;
        for inode in &mut state.inodes {
            inode.killed(&mut state.random);
        }
    }

    /// The power goes.
    pub(crate) fn power_loss(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.dead = true;
        let leaves = match state.random.below(4) {
            0 => Leaves::Nothing,
            1 => Leaves::Everything,
            _ => Leaves::Percent(state.random.between(10, 90)),
        };
        state.names.power_loss(&mut state.random);
        let reachable = state.names.reachable();
        for (at, inode) in state.inodes.iter_mut().enumerate() {
            if reachable.contains(&at) {
                inode.power_loss(&mut state.random, leaves);
            } else {
                *inode = Inode::default();
            }
        }
    }

    /// Files leave the page cache: what had rotted shows.
    pub(crate) fn drop_caches(&self, of: impl Fn(&str) -> bool) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let files = state.names.files().filter(|(path, _)| of(path));
        let there: Vec<usize> = files.map(|(_, inode)| inode).collect();
        for inode in there {
            state.inodes[inode].show_rot();
        }
    }

    /// Flips a bit of durable data in one of the files that `of` picks; says where. While the
    /// node runs, an open file's cache hides it.
    pub(crate) fn rot(&self, of: impl Fn(&str) -> bool) -> Option<String> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let files: Vec<(String, usize)> = state
            .names
            .files()
            .filter(|(path, inode)| of(path) && !state.inodes[*inode].bytes.is_empty())
            .map(|(path, inode)| (path.to_string(), inode))
            .collect();
        if files.is_empty() {
            return None;
        }
        let (path, inode, pos) = state.rotten_place(&files);
        let len = state.inodes[inode].bytes.len();
        let mask = 1u8 << state.random.below(8);
        let file = &mut state.inodes[inode];
        if file.unsynced.contains_key(&(pos / SECTOR)) {
            return None;
        }
        file.rot.push((pos, mask));
        if state.dead {
            file.show_rot();
        }
        let what = format!("a bit of {path} at {pos} of {len}");
        state.damage.destroyed.push(what.clone());
        state.damage.flips += 1;
        state.damage.flips_in_segments += usize::from(path.starts_with("groups/"));
        Some(what)
    }
}
