//! The storage thread's half: turns go to the write-ahead log, then to their segments.
//!
//! Order within a write: direct batches into their segments and synced, then the frames, then one
//! sync of the log. So a descriptor that can be read speaks of bytes that were durable before it.

use crate::checkpoint::{self, Body, Checkpoint};
use crate::fault::Fault;
use crate::files::{Files, Key, Kind, group_dir};
use crate::flush::Flush;
use crate::name::SegmentName;
use crate::pending::{Dirty, GROUPS, Pending, make_group_dir};
use crate::recovered::Recovered;
use crate::turn::{Record, Turn};
use crate::wal::frame::{Encoder, Frame};
use crate::wal::{self, Position, Wal};
use base::{Batch, Disk, File, GroupId, Mark, limits, mark};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

/// What the storage is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// Bytes of a file of the write-ahead log; the first one is smaller, so that a start is quick.
    pub wal_file_bytes: u64,
    /// Files of the write-ahead log that are kept for reuse at most.
    pub wal_files_max: usize,
    /// Segment files open at most.
    pub open_files: usize,
    /// Batches at least this long go to their segment only.
    pub direct_batch_bytes: u32,
    /// Groups whose directories are made before turns that wait are written.
    pub created_at_once: usize,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            wal_file_bytes: 64 * 1024 * 1024,
            wal_files_max: 4,
            open_files: limits::OPEN_FILES_DEFAULT,
            direct_batch_bytes: limits::DIRECT_BATCH_BYTES,
            created_at_once: limits::CREATED_AT_ONCE,
        }
    }
}

/// What a write has begun and not finished: nothing of it is acknowledged.
#[derive(Default)]
struct Outgoing {
    direct: VecDeque<(Key, u64, Batch)>,
    /// Segments that got direct batches and are not synced yet.
    unsynced: BTreeMap<Key, Arc<dyn File>>,
    frames: VecDeque<Frame>,
    /// For the segments, once the frames are durable.
    records: Vec<(Record, bool)>,
    /// Groups that are cut or removed in here.
    cut: BTreeSet<GroupId>,
    /// A turn with a checkpoint's body, and where its frame went.
    checkpoint: Option<(u64, Body, Option<Position>)>,
    /// How it is known that acknowledged data is gone.
    lost: Option<String>,
}

/// The data directory, open.
pub struct Storage {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: StorageSettings,
    pub(crate) files: Arc<Files>,
    pub(crate) wal: Wal,
    pub(crate) pending: Pending,
    pub(crate) dirty: Dirty,
    outgoing: Outgoing,
    /// Durable in the log, to be flushed once settled.
    checkpoint: Option<Checkpoint>,
    flushing: bool,
    /// The last segment of each group whose name is known to be durable.
    named: BTreeMap<GroupId, SegmentName>,
    /// Set by a fault after which nothing is known about what is durable.
    broken: bool,
}

impl Storage {
    /// Opens a data directory, made if it isn't there, and recovers what is in it.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: StorageSettings,
    ) -> Result<(Storage, Recovered), Fault> {
        crate::recover::open(disk, settings)
    }

    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        settings: StorageSettings,
        files: Arc<Files>,
        wal: Wal,
        dirty: Dirty,
    ) -> Storage {
        Storage {
            disk,
            settings,
            files,
            wal,
            pending: Pending::default(),
            dirty,
            outgoing: Outgoing::default(),
            checkpoint: None,
            flushing: false,
            named: BTreeMap::new(),
            broken: false,
        }
    }

    /// The open segment files, to be shared with readers.
    pub fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    /// Makes turns durable: after `Ok` everything in them is there after any crash. After
    /// [`Fault::Full`] the turns are kept and [`Storage::retry`] tries again; after another fault
    /// the process stops.
    pub fn write(&mut self, turns: Vec<Turn>) -> Result<(), Fault> {
        let mut encoder = Encoder::default();
        for turn in turns {
            self.admit(turn, &mut encoder);
        }
        self.outgoing.frames.extend(encoder.finish());
        self.retry()
    }

    /// Tries again what [`Fault::Full`] stopped.
    pub fn retry(&mut self) -> Result<(), Fault> {
        self.guard(Storage::carry_out)
    }

    /// Writes what [`Storage::write`] left for later; after `Ok` everything is readable, and a
    /// flush that waited can be taken. After [`Fault::Full`] it can be called again.
    pub fn settle(&mut self) -> Result<(), Fault> {
        let all = self.flush_waits();
        self.guard(|storage| {
            let (disk, files) = (&*storage.disk, &*storage.files);
            if all {
                storage.pending.settle_all(disk, files, &mut storage.dirty)
            } else {
                storage.pending.settle(disk, files, &mut storage.dirty)
            }
        })
    }

    /// A part of [`Storage::settle`], so that turns needn't wait for a topic of thousands of partitions.
    /// False if there is more to do.
    pub fn settle_some(&mut self) -> Result<bool, Fault> {
        let made = self.guard(|storage| {
            let (disk, files) = (&*storage.disk, &*storage.files);
            let dirty = &mut storage.dirty;
            let most = storage.settings.created_at_once;
            storage.pending.make(disk, files, dirty, most)
        })?;
        if made {
            self.settle()?;
        }
        Ok(made)
    }

    /// Bytes that wait for [`Storage::settle`]. They are in memory meanwhile.
    pub fn unsettled_bytes(&self) -> u64 {
        self.pending.bytes()
    }

    /// True if a flush could be run once all is settled.
    pub fn flush_waits(&self) -> bool {
        self.checkpoint.is_some() && !self.flushing
    }

    /// The queue ran empty: tells recovery how far the last sync reached.
    pub fn idle(&mut self) -> Result<(), Fault> {
        self.guard(|storage| {
            if storage.outgoing.frames.is_empty() {
                storage.wal.tell()
            } else {
                Ok(())
            }
        })
    }

    /// Runs a step unless an earlier one left the directory in doubt.
    fn guard<T>(
        &mut self,
        step: impl FnOnce(&mut Storage) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.broken {
            let source = io::Error::other("an earlier write or sync failed");
            return Err(Fault::Io {
                path: ".".to_string(),
                op: "write",
                source,
            });
        }
        let done = step(self);
        self.broken = matches!(&done, Err(fault) if !matches!(fault, Fault::Full { .. }));
        done
    }

    /// Encodes a turn and decides which of its batches go to their segments directly.
    fn admit(&mut self, turn: Turn, encoder: &mut Encoder) {
        if turn.is_empty() {
            return;
        }
        encoder.turn(turn.number);
        for record in turn.records {
            let direct = self.is_direct(&record);
            encoder.record(&record, direct);
            match &record {
                Record::Truncate { group, .. } | Record::Install { group, .. } => {
                    self.outgoing.cut.insert(*group);
                }
                Record::Remove { group } => {
                    self.outgoing.cut.insert(*group);
                    self.named.remove(group);
                }
                Record::Batch {
                    group,
                    batch,
                    place,
                    ..
                } if direct => {
                    let key = Key {
                        group: *group,
                        segment: SegmentName::appended(place.segment),
                        kind: Kind::Data,
                    };
                    self.outgoing
                        .direct
                        .push_back((key, u64::from(place.pos), batch.clone()));
                }
                _ => {}
            }
            self.outgoing.records.push((record, direct));
        }
        if let Some(body) = turn.checkpoint {
            self.outgoing.checkpoint = Some((turn.number, body, None));
        }
        if let Some(why) = turn.lost {
            self.outgoing.lost.get_or_insert(why);
        }
    }

    /// A batch goes to its segment directly if it is large, and if nothing of its group waits to
    /// be cut off: what it would overwrite must be known as cut off first, and nothing older may
    /// be written over it later.
    fn is_direct(&self, record: &Record) -> bool {
        let Record::Batch { group, batch, .. } = record else {
            return false;
        };
        batch.len() >= self.settings.direct_batch_bytes as usize
            && !self.outgoing.cut.contains(group)
            && !self.pending.cuts(*group)
    }

    fn carry_out(&mut self) -> Result<(), Fault> {
        self.write_direct()?;
        while let Some(frame) = self.outgoing.frames.front_mut() {
            let at = self.wal.write(frame)?;
            if let Some((turn, _, place)) = &mut self.outgoing.checkpoint
                && frame.first_turn <= *turn
            {
                *place = Some(at);
            }
            self.outgoing.frames.pop_front();
        }
        self.wal.sync()?;
        if let Some(why) = &self.outgoing.lost {
            checkpoint::keep_loss(&*self.disk, why)?;
        }
        let done = std::mem::take(&mut self.outgoing);
        for (record, direct) in done.records {
            self.pending.push(record, direct);
        }
        if let Some((turn, body, at)) = done.checkpoint {
            let start = at.expect("a turn with a checkpoint has a frame");
            self.checkpoint = Some(Checkpoint::new(turn, start, body));
        }
        Ok(())
    }

    /// Writes and syncs direct batches, and the names of their files where those are new.
    fn write_direct(&mut self) -> Result<(), Fault> {
        while let Some((key, pos, batch)) = self.outgoing.direct.front() {
            mark(Mark::DirectBatch);
            let (key, pos) = (*key, *pos);
            if self.named.get(&key.group) != Some(&key.segment) {
                make_group_dir(&*self.disk, key.group, &mut self.dirty)?;
            }
            let file = self.files.writable(key)?;
            file.write_at(&[batch.head(), batch.body()], pos)
                .map_err(|e| Fault::from_io(&key.path(), "write", e))?;
            self.dirty.wrote(key, pos);
            self.outgoing.unsynced.insert(key, file);
            self.outgoing.direct.pop_front();
        }
        let (keys, files): (Vec<Key>, Vec<Arc<dyn File>>) = self
            .outgoing
            .unsynced
            .iter()
            .map(|(key, file)| (*key, Arc::clone(file)))
            .unzip();
        wal::sync_many(&*self.disk, &files, |at| keys[at].path())?;
        while let Some((key, _)) = self.outgoing.unsynced.first_key_value() {
            if self.named.get(&key.group) != Some(&key.segment) {
                for dir in [group_dir(key.group), GROUPS.to_string()] {
                    self.disk
                        .sync_dir(&dir)
                        .map_err(|e| Fault::from_io(&dir, "sync", e))?;
                }
                self.named.insert(key.group, key.segment);
            }
            self.outgoing.unsynced.pop_first();
        }
        Ok(())
    }

    /// True if a checkpoint would do something, and none is under way.
    pub fn wants_checkpoint(&self) -> bool {
        self.log_wants_checkpoint() || self.drops_want_checkpoint()
    }

    /// It would let the write-ahead log be recycled, which has filled a file since the last checkpoint.
    /// Not more often: each syncs every segment that was written to.
    pub(crate) fn log_wants_checkpoint(&self) -> bool {
        let full = !self.wal.sealed.is_empty() || self.wal.used >= self.wal.active.len;
        full && !self.is_checkpoint_under_way()
    }

    /// It would let files of dropped segments be removed.
    pub(crate) fn drops_want_checkpoint(&self) -> bool {
        !self.dirty.dropped.is_empty() && !self.is_checkpoint_under_way()
    }

    fn is_checkpoint_under_way(&self) -> bool {
        self.flushing || self.checkpoint.is_some() || self.outgoing.checkpoint.is_some()
    }

    /// After a turn with a checkpoint was written and settled: the flush to run.
    pub fn take_flush(&mut self) -> Option<Flush> {
        if self.flushing || self.broken || !self.pending.is_empty() {
            return None;
        }
        let checkpoint = self.checkpoint.take()?;
        self.flushing = true;
        self.wal.used = 0;
        let mut dirty = std::mem::take(&mut self.dirty);
        // What went in a later turn is still named by this checkpoint.
        let named = |_: &(GroupId, SegmentName), turn: &mut u64| *turn > checkpoint.turn;
        self.dirty.dropped = dirty.dropped.extract_if(.., named).collect();
        // Nothing relies on what goes.
        dirty
            .files
            .retain(|key| !dirty.dropped.contains_key(&(key.group, key.segment)));
        let groups = dirty.dropped.keys().map(|(group, _)| *group);
        let lives = groups
            .map(|group| (group, self.files.life(group)))
            .collect();
        Some(Flush {
            lives,
            disk: Arc::clone(&self.disk),
            files: Arc::clone(&self.files),
            dirty,
            checkpoint,
            prepare: self.wal.wanted(),
            prepared: false,
            done: false,
        })
    }

    /// The flush was run: recycles files of the write-ahead log. One that failed for want of room
    /// can be given back too; what it had to do is then part of the next one.
    pub fn flushed(&mut self, flush: Flush) -> Result<(), Fault> {
        self.flushing = false;
        if let Some(made) = flush.prepare.filter(|_| flush.prepared) {
            self.wal.free.push(made);
        }
        if !flush.done {
            self.dirty.dropped.extend(flush.dropped());
            self.dirty.files.extend(flush.dirty.files);
            self.dirty.dirs.extend(flush.dirty.dirs);
            // Ask for another checkpoint.
            self.wal.used = self.wal.active.len;
            return Ok(());
        }
        let start = flush.checkpoint.start;
        self.guard(|storage| storage.wal.recycle(start))
    }
}

#[cfg(test)]
mod tests;
