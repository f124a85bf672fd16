//! A data directory that loses, tears and rots.
//!
//! # The fault model
//!
//! A file is its *cache* (what the process reads back) and its *durable image* (what is left
//! after the power goes). Both are the same 512-byte sectors; a sector that was written and not
//! synced is kept twice, old and new.
//!
//! - **Kill** (`kill -9`): the cache stays. Unsynced sectors stay unsynced: a process that starts
//!   again reads them, but a power loss may still take them.
//! - **Power loss**: every unsynced sector is, by chance, old or new. An unsynced length is the
//!   old one, the new one or something between. A cut that wasn't synced may come back with the
//!   old bytes. Names (create, rename, remove, make a directory) that weren't made durable by
//!   `sync_dir` are lost from some point of each directory on. Synced data always survives.
//! - **A fuse** burns down with each operation that changes something; when it is out, the
//!   operation stops in the middle and all later ones fail: so a kill or a power loss can come
//!   between any two steps of storage, of recovery too.
//! - **A failed sync** (EIO) leaves each unsynced sector written or not, by chance, and *forgets*
//!   that it was unsynced, as Linux does: a second sync succeeds and proves nothing. What wasn't
//!   written stays in the cache, also for the next process, or leaves it: with a kill, or before
//!   any read.
//! - **EIO** on a write or a read: the call fails, a write after some of its sectors.
//! - **ENOSPC**: a capacity; a write that would grow past it fails after what fits.
//! - **Rot**: a bit of durable data flips. A page that is in the cache of an open file hides it;
//!   it shows when the file is opened again or the node starts again. Half the flips are aimed at
//!   what was written not long ago.
//! - **Misdirection**: a write lands at another sector of the same file.
//!
//! Rot and misdirection destroy what was synced, so the plan of a run limits them to a minority
//! of the nodes. A sync that lies (succeeds without writing) isn't modelled.
//!
//! A sync of everything below a directory goes file by file, so a crash or an error finds some of
//! them synced.
//!
//! No operation takes time here: the world draws the delays.

mod crash;
mod file;
mod names;
#[cfg(test)]
mod tests;

use base::{Disk, File, Open, Random};
use file::{Inode, SimFile};
use names::Names;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// The unit that a device writes whole.
pub(crate) const SECTOR: usize = 512;
/// Writes that are remembered, to know what is new.
const RECENT_WRITES: usize = 200;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// One node's data directory. Clones share it; it outlives the node's processes.
#[derive(Clone)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    /// The process that this handle belongs to: a dead one's handles fail.
    life: u64,
}

/// Which operation an armed error is to hit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fails {
    Sync,
    Write,
    Read,
    /// Not an error: the write goes astray.
    Misdirect,
}

/// An armed fault: it hits the operation after `skip` others of its kind.
#[derive(Clone, Copy, Debug)]
struct Armed {
    fails: Fails,
    skip: u32,
}

/// What happened to a disk, for the trace and for what a node is excused of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage {
    /// Synced data was destroyed: the node may refuse to start or to vote.
    pub(crate) destroyed: Vec<String>,
    /// How many of these are flipped bits.
    pub(crate) flips: usize,
    /// How many of those are in segments and their sidecars.
    pub(crate) flips_in_segments: usize,
    /// Syncs that failed in this life: the process must stop.
    pub(crate) failed_syncs: u32,
    /// Writes that failed in this life.
    pub(crate) failed_writes: u32,
    /// Reads that failed in this life.
    pub(crate) failed_reads: u32,
    /// Writes refused for want of room in this life.
    pub(crate) refused: u32,
}

struct State {
    inodes: Vec<Inode>,
    names: Names,
    random: Random,
    life: u64,
    fuse: Option<u32>,
    dead: bool,
    armed: Vec<Armed>,
    capacity: Option<u64>,
    /// Percent of reads that would have to wait for the device.
    cold_percent: u64,
    damage: Damage,
    /// The last writes: file, place, bytes.
    recent: VecDeque<(usize, usize, usize)>,
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

impl SimDisk {
    /// An empty directory; `random` decides what a crash leaves.
    pub(crate) fn new(random: Random) -> SimDisk {
        let state = State {
            inodes: Vec::new(),
            names: Names::default(),
            random,
            life: 0,
            fuse: None,
            dead: false,
            armed: Vec::new(),
            capacity: None,
            cold_percent: 0,
            damage: Damage::default(),
            recent: VecDeque::new(),
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
            life: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("one thread")
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        state.check_alive(self.life)?;
        Ok(state)
    }

    /// The handle for the process that starts now.
    pub(crate) fn boot(&self) -> SimDisk {
        let mut state = self.lock();
        state.life += 1;
        state.dead = false;
        state.fuse = None;
        state.armed.clear();
        state.damage = Damage {
            destroyed: std::mem::take(&mut state.damage.destroyed),
            flips: state.damage.flips,
            flips_in_segments: state.damage.flips_in_segments,
            ..Damage::default()
        };
        SimDisk {
            state: self.state.clone(),
            life: state.life,
        }
    }

    /// After `operations` more changes the disk stops answering this process.
    pub(crate) fn light_fuse(&self, operations: u32) {
        self.lock().fuse = Some(operations);
    }

    /// True once the fuse is out: whatever the process does now doesn't count.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Lets the operation of this kind after `skip` others fail.
    pub(crate) fn arm(&self, fails: Fails, skip: u32) {
        self.lock().armed.push(Armed { fails, skip });
    }

    /// Disarms what hasn't hit yet.
    pub(crate) fn disarm(&self) {
        self.lock().armed.clear();
    }

    /// Puts the fuse out.
    pub(crate) fn put_out_fuse(&self) {
        self.lock().fuse = None;
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> u64 {
        self.lock().room().min(1 << 40)
    }

    /// Sets how many bytes fit; `None` for plenty.
    pub(crate) fn set_capacity(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// Sets how many percent of the reads find nothing in the cache.
    pub(crate) fn set_cold_percent(&self, percent: u64) {
        self.lock().cold_percent = percent;
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.lock().used()
    }

    /// What happened to it.
    pub(crate) fn damage(&self) -> Damage {
        self.lock().damage.clone()
    }

    /// The segments that were appended to of a group, by the offset in their name, past all faults.
    pub(crate) fn segments(&self, group: u64) -> BTreeMap<i64, Vec<u8>> {
        let (state, dir) = (self.lock(), format!("groups/{group}/"));
        let name = |path: &str| {
            let name = path.strip_prefix(&dir)?.strip_suffix(".log")?;
            name.parse::<i64>().ok()
        };
        let files = state.names.files();
        let files = files.filter_map(|(path, inode)| Some((name(path)?, inode)));
        files
            .map(|(base, inode)| (base, state.inodes[inode].bytes.clone()))
            .collect()
    }

    /// The bytes of a file as a process would read them, past all faults.
    #[cfg(test)]
    pub(crate) fn peek(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = state.names.file(path)?;
        Some(state.inodes[inode].bytes.clone())
    }
}

impl State {
    fn check_alive(&self, life: u64) -> io::Result<()> {
        if self.dead || life != self.life {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(())
    }

    /// Burns the fuse by one operation; an error if it is out.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => {
                self.dead = true;
                self.fuse = None;
                Err(io::Error::other("the process is dead"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// True if an armed fault hits this operation.
    fn hits(&mut self, fails: Fails) -> bool {
        let Some(at) = self.armed.iter().position(|armed| armed.fails == fails) else {
            return false;
        };
        if self.armed[at].skip > 0 {
            self.armed[at].skip -= 1;
            return false;
        }
        self.armed.remove(at);
        true
    }

    fn used(&self) -> u64 {
        self.names
            .files()
            .map(|(_, inode)| self.inodes[inode].bytes.len() as u64)
            .sum()
    }

    fn room(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.alive()?;
        let inode = match (state.names.file(path), how) {
            (Some(inode), _) => inode,
            (None, Open::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (None, Open::OrCreate) => {
                state.burn()?;
                state.inodes.push(Inode::default());
                let inode = state.inodes.len() - 1;
                state.names.create(path, inode)?;
                inode
            }
        };
        state.inodes[inode].show_rot();
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.burn()?;
        state.names.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.burn()?;
        state.names.rename(from, to)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.alive()?.names.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.burn()?;
        state.names.create_dir(dir);
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.burn()?;
        state.names.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.burn()?;
        if state.hits(Fails::Sync) {
            state.damage.failed_syncs += 1;
            return Err(eio());
        }
        state.names.sync(dir)
    }

    fn sync_below(&self, dir: &str, _: usize) -> io::Result<bool> {
        let mut state = self.alive()?;
        // Not every filesystem can: the same node meets both.
        if state.random.percent(50) {
            return Ok(false);
        }
        state.sync_below(dir)?;
        Ok(true)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.alive()?;
        Ok(match state.capacity {
            None => 1 << 40,
            Some(_) => state.room(),
        })
    }
}
