//! The segment files that are open: a bounded, shared set. Readers and the storage thread find
//! them here; the least recently used ones are closed.

use crate::fault::{Fault, ReadFault};
use crate::name::SegmentName;
use crate::read::buffers::Buffers;
use base::{Disk, File, GroupId, Offset, Open};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// A segment has two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// The batches.
    Data,
    /// The sidecar of closed blocks.
    Index,
}

/// Names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) group: GroupId,
    pub(crate) segment: SegmentName,
    pub(crate) kind: Kind,
}

impl Key {
    pub(crate) fn path(&self) -> String {
        let ending = match self.kind {
            Kind::Data => "log",
            Kind::Index => "idx",
        };
        let stem = self.segment.stem();
        format!("{}/{stem}.{ending}", group_dir(self.group))
    }
}

/// The directory of a group's segments.
pub(crate) fn group_dir(group: GroupId) -> String {
    format!("groups/{}", group.0)
}

struct Slot {
    file: Arc<dyn File>,
    used: u64,
}

/// What readers must know of a group.
#[derive(Clone, Default)]
struct Known {
    /// Which life of the group it is: one that was removed may come again under its id.
    life: u64,
    /// How often it was cut.
    cuts: u64,
    /// Of each rewrite, segments up to this base are gone: they go from the front. Of rewrites
    /// before the latest two nothing is left, for a rewrite takes the place of all before it.
    gone: BTreeMap<u32, Offset>,
}

/// Rewrites of which it is known how far they are gone: appended segments, the latest rewrite, the
/// one before it and one that came to nothing.
const REWRITES_KNOWN: usize = 4;

impl Known {
    fn drop_upto(&mut self, segment: SegmentName) {
        let upto = self.gone.entry(segment.rewrite).or_insert(segment.base);
        *upto = segment.base.max(*upto);
        if self.gone.len() > REWRITES_KNOWN {
            let oldest = self.gone.keys().copied().find(|rewrite| *rewrite > 0);
            oldest.and_then(|rewrite| self.gone.remove(&rewrite));
        }
    }

    fn is_gone(&self, segment: SegmentName) -> bool {
        match self.gone.get(&segment.rewrite) {
            Some(upto) => segment.base <= *upto,
            None => {
                let latest = self.gone.keys().next_back();
                segment.rewrite > 0 && latest.is_some_and(|latest| segment.rewrite < *latest)
            }
        }
    }
}

#[derive(Default)]
struct State {
    slots: BTreeMap<Key, Slot>,
    /// The groups that exist.
    groups: BTreeMap<GroupId, Known>,
    clock: u64,
    lives: u64,
    /// How often files were closed because they go away: a file opened before that must not be
    /// kept after it.
    closings: u64,
}

/// The open segment files of a data directory.
pub struct Files {
    pub(crate) disk: Arc<dyn Disk>,
    /// What blocks are read into.
    pub(crate) buffers: Arc<Buffers>,
    open_max: usize,
    state: Mutex<State>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Files {
        Files {
            disk,
            buffers: Arc::default(),
            open_max: open_max.max(1),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// How often a group was cut; `None` if it doesn't exist.
    pub(crate) fn cuts(&self, group: GroupId) -> Option<u64> {
        self.state().groups.get(&group).map(|known| known.cuts)
    }

    /// A group begins.
    pub(crate) fn begin(&self, group: GroupId) {
        let mut state = self.state();
        state.groups.remove(&group);
        state.known(group);
    }

    /// Which life of a group this is; `None` if it doesn't exist.
    pub(crate) fn life(&self, group: GroupId) -> Option<u64> {
        self.state().groups.get(&group).map(|known| known.life)
    }

    /// A group exists, or was cut. Said before anything that was cut off is written over.
    pub(crate) fn set_cuts(&self, group: GroupId, cuts: u64) {
        self.state().known(group).cuts = cuts;
    }

    /// Segments of a group up to this one, of the same rewrite, are gone: said before their files
    /// are removed.
    pub(crate) fn drop_upto(&self, group: GroupId, segment: SegmentName) {
        if let Some(known) = self.state().groups.get_mut(&group) {
            known.drop_upto(segment);
        }
    }

    /// True if a group, or this segment of it, is gone.
    fn is_gone(&self, group: GroupId, segment: SegmentName) -> bool {
        let state = self.state();
        let known = state.groups.get(&group);
        known.is_none_or(|known| known.is_gone(segment))
    }

    /// A group is gone: its files are closed here.
    pub(crate) fn forget(&self, group: GroupId) {
        let mut state = self.state();
        state.groups.remove(&group);
        state.closings += 1;
        state.slots.retain(|key, _| key.group != group);
    }

    pub(crate) fn path(&self, group: GroupId, segment: SegmentName, kind: Kind) -> String {
        Key {
            group,
            segment,
            kind,
        }
        .path()
    }

    /// Closes a file that is about to be removed.
    pub(crate) fn close(&self, key: Key) {
        let mut state = self.state();
        state.slots.remove(&key);
        state.closings += 1;
    }

    /// A segment's batches, to read.
    pub(crate) fn existing(
        &self,
        group: GroupId,
        segment: SegmentName,
    ) -> Result<Arc<dyn File>, ReadFault> {
        if self.is_gone(group, segment) {
            return Err(ReadFault::Gone);
        }
        let key = Key {
            group,
            segment,
            kind: Kind::Data,
        };
        self.open(key, Open::Existing)
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound if self.is_gone(group, segment) => ReadFault::Gone,
                io::ErrorKind::NotFound => ReadFault::Corrupt {
                    group,
                    file: key.path(),
                    offset: 0,
                    record: segment.base,
                    what: "the file is missing".to_string(),
                    remedy: crate::fault::remedy_of(group).to_string(),
                },
                _ => ReadFault::Io {
                    path: key.path(),
                    source,
                },
            })
    }

    /// A file to write, made if it isn't there.
    pub(crate) fn writable(&self, key: Key) -> Result<Arc<dyn File>, Fault> {
        self.open(key, Open::OrCreate)
            .map_err(|e| Fault::from_io(&key.path(), "open", e))
    }

    /// An empty file to write that nobody else knows of yet. What an earlier process may have left
    /// there is cut off.
    pub(crate) fn made_anew(&self, key: Key) -> Result<Arc<dyn File>, Fault> {
        let made = self.disk.open(&key.path(), Open::OrCreate);
        made.and_then(|file| file.set_len(0).map(|()| file))
            .map_err(|e| Fault::from_io(&key.path(), "make", e))
    }

    /// A file for one use; if it isn't open it isn't kept open either.
    pub(crate) fn opened(&self, key: Key) -> io::Result<Arc<dyn File>> {
        let open = self
            .state()
            .slots
            .get(&key)
            .map(|slot| Arc::clone(&slot.file));
        open.map_or_else(|| self.disk.open(&key.path(), Open::Existing), Ok)
    }

    fn open(&self, key: Key, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.clock += 1;
        let (now, closings) = (state.clock, state.closings);
        if let Some(slot) = state.slots.get_mut(&key) {
            slot.used = now;
            return Ok(Arc::clone(&slot.file));
        }
        // The system is asked without the lock, so that one slow open doesn't hold up all reads.
        drop(state);
        let file = self.disk.open(&key.path(), how)?;
        let mut state = self.state();
        if state.closings == closings {
            if state.slots.len() >= self.open_max {
                state.evict(self.open_max);
            }
            state.slots.insert(
                key,
                Slot {
                    file: Arc::clone(&file),
                    used: now,
                },
            );
        }
        Ok(file)
    }
}

impl State {
    /// What is known of a group, which begins if it doesn't exist.
    fn known(&mut self, group: GroupId) -> &mut Known {
        let lives = &mut self.lives;
        self.groups.entry(group).or_insert_with(|| {
            *lives += 1;
            Known {
                life: *lives,
                ..Known::default()
            }
        })
    }

    /// Closes the least recently used eighth, so that the search for them is rare.
    fn evict(&mut self, open_max: usize) {
        let mut used: Vec<u64> = self.slots.values().map(|slot| slot.used).collect();
        let kept = open_max - open_max.div_ceil(8);
        let cut = used.len().saturating_sub(kept).clamp(1, used.len());
        let (_, oldest_kept, _) = used.select_nth_unstable(cut - 1);
        let oldest_kept = *oldest_kept;
        self.slots.retain(|_, slot| slot.used > oldest_kept);
    }
}
