//! A flush: what lets the write-ahead log forget. Runs off the storage thread.
//!
//! The order is everything: segments, sidecars and their names become durable, then the
//! checkpoint that relies on them is replaced, and only then may files of the log be recycled.

use crate::checkpoint::{self, Checkpoint};
use crate::fault::Fault;
use crate::files::{Files, Key};
use crate::name::SegmentName;
use crate::pending::{Dirty, GROUPS, unlink_segment};
use crate::wal::{self, Free};
use base::{Bug, Disk, GroupId, Mark, mark, planted};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Files synced together: enough to share the file system's commits, few enough that a large
/// batch's own sync isn't held up behind them.
const SYNCS_TOGETHER: usize = 16;

/// A flush to run: segments are synced, then the checkpoint is replaced.
pub struct Flush {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) files: Arc<Files>,
    pub(crate) dirty: Dirty,
    /// The lives of the groups whose segments go: a group that was removed and came again has
    /// other segments, perhaps under the same names.
    pub(crate) lives: BTreeMap<GroupId, Option<u64>>,
    pub(crate) checkpoint: Checkpoint,
    /// A file of the write-ahead log to make ahead of need.
    pub(crate) prepare: Option<Free>,
    pub(crate) prepared: bool,
    pub(crate) done: bool,
}

impl Flush {
    /// Runs it. After [`Fault::Full`] it can be run again, or given back as it is; after another
    /// fault the process stops.
    pub fn run(&mut self) -> Result<(), Fault> {
        if !planted(Bug::RecycleBeforeSync) {
            self.sync()?;
        }
        checkpoint::replace(&*self.disk, &self.checkpoint)?;
        mark(Mark::Checkpointed);
        self.done = true;
        // Only now: a start after a crash before this still reads the old checkpoint, and looks for
        // these files. One after it removes what the new checkpoint doesn't name.
        for (group, segment) in self.dropped().map(|(name, _)| name) {
            unlink_segment(&*self.disk, &self.files, *group, *segment)?;
        }
        if let Some(prepare) = self.prepare.filter(|_| !self.prepared) {
            self.prepared = self.make_ahead(prepare)?;
        }
        Ok(())
    }

    /// Makes durable what was written to segments. All at once, if that can be: with a thousand
    /// partitions, each sync would have the device flush its cache once more.
    fn sync(&self) -> Result<(), Fault> {
        let nothing = self.dirty.files.is_empty() && self.dirty.dirs.is_empty();
        if nothing {
            return Ok(());
        }
        let dirty = self.dirty.files.len() + self.dirty.dirs.len();
        if wal::sync_below(&*self.disk, GROUPS, dirty)? {
            mark(Mark::SyncedAtOnce);
            return Ok(());
        }
        let keys: Vec<Key> = self.dirty.files.iter().copied().collect();
        for keys in keys.chunks(SYNCS_TOGETHER) {
            self.sync_files(keys)?;
        }
        for dir in &self.dirty.dirs {
            self.sync_dir(dir)?;
        }
        Ok(())
    }

    /// The segments to remove, of groups that still live, and the turns in which they went.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (&(GroupId, SegmentName), &u64)> {
        let lives = |group| self.lives.get(group) == Some(&self.files.life(*group));
        self.dirty
            .dropped
            .iter()
            .filter(move |((group, _), _)| lives(group))
    }

    /// Makes a file of the write-ahead log; false without the room for it. It isn't needed yet
    /// (the next write makes a smaller one, or reports it), so it leaves as much room to others as
    /// it takes, and nothing behind if there was less than it seemed.
    fn make_ahead(&self, made: Free) -> Result<bool, Fault> {
        let path = wal::path(made.number);
        let free = self
            .disk
            .free_bytes()
            .map_err(|e| Fault::from_io(&path, "measure room for", e))?;
        if free < made.len.saturating_mul(2) {
            return Ok(false);
        }
        match wal::create(&*self.disk, made) {
            Ok(()) => Ok(true),
            Err(Fault::Full { .. }) => match self.disk.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(Fault::from_io(&path, "remove", e))
                }
                _ => Ok(false),
            },
            Err(fault) => Err(fault),
        }
    }

    fn sync_files(&self, keys: &[Key]) -> Result<(), Fault> {
        let (mut there, mut files) = (Vec::new(), Vec::new());
        for key in keys {
            match self.files.opened(*key) {
                Ok(file) => {
                    there.push(*key);
                    files.push(file);
                }
                // Its group was removed meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Fault::from_io(&key.path(), "open", e)),
            }
        }
        wal::sync_many(&*self.disk, &files, |at| there[at].path())
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Fault> {
        match self.disk.sync_dir(dir) {
            // Its group was removed meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|e| Fault::from_io(dir, "sync", e)),
        }
    }
}
