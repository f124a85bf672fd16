//! What is in the write-ahead log and not yet in the segments: settled file by file.
//!
//! Writes to one file keep their order, so what overwrites something that was cut off comes after
//! it. Files are independent of each other. Settling can be cut off at any point and done again.

use crate::block::SIDECAR_ENTRY_BYTES;
use crate::fault::Fault;
use crate::files::{Files, Key, Kind, group_dir};
use crate::name::SegmentName;
use crate::turn::{Place, Record};
use base::{Batch, Bug, Disk, GroupId, Offset, Open, planted};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

/// Batches in one write of a segment at most.
const BATCHES_PER_WRITE: usize = 512;

/// Bytes that lie next to each other.
#[derive(Debug)]
enum Extent {
    Batches {
        pos: u64,
        len: u64,
        batches: Vec<Batch>,
    },
    Entries {
        pos: u64,
        bytes: Vec<u8>,
    },
}

/// What was written since the last flush and is not yet synced.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) files: BTreeSet<Key>,
    /// Directories that have new names.
    pub(crate) dirs: BTreeSet<String>,
    /// Segments that are gone, and the turn in which they went: their files go once a checkpoint
    /// that doesn't name them is durable.
    pub(crate) dropped: BTreeMap<(GroupId, SegmentName), u64>,
}

impl Dirty {
    /// A file was written at a position; at 0 its name may be new.
    pub(crate) fn wrote(&mut self, key: Key, pos: u64) {
        self.files.insert(key);
        if pos == 0 {
            self.dirs.insert(group_dir(key.group));
        }
    }

    pub(crate) fn forget(&mut self, group: GroupId) {
        self.files.retain(|key| key.group != group);
        self.dropped.retain(|(of, _), _| *of != group);
        self.dirs.remove(&group_dir(group));
    }
}

/// The directory of all groups.
pub(crate) const GROUPS: &str = "groups";

/// Makes a group's directory.
pub(crate) fn make_group_dir(
    disk: &dyn Disk,
    group: GroupId,
    dirty: &mut Dirty,
) -> Result<(), Fault> {
    let dir = group_dir(group);
    disk.create_dir(&dir)
        .map_err(|e| Fault::from_io(&dir, "create", e))?;
    dirty.dirs.insert(GROUPS.to_string());
    Ok(())
}

/// Makes the files of a group's first segment, so that the first write to it needn't: a filesystem
/// may take long to find room for a name, and with many groups the writes of all wait for that.
/// Nothing relies on them; a start that doesn't need them removes them.
fn make_first_segment(disk: &dyn Disk, group: GroupId, dirty: &mut Dirty) -> Result<(), Fault> {
    for kind in [Kind::Data, Kind::Index] {
        let segment = SegmentName::appended(Offset(0));
        let path = Key {
            group,
            segment,
            kind,
        }
        .path();
        disk.open(&path, Open::OrCreate)
            .map_err(|e| Fault::from_io(&path, "create", e))?;
    }
    dirty.dirs.insert(group_dir(group));
    Ok(())
}

/// What is left to do.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    removed: BTreeSet<GroupId>,
    created: BTreeSet<GroupId>,
    cuts: BTreeMap<GroupId, u64>,
    dropped: BTreeMap<(GroupId, SegmentName), u64>,
    batches: Writes,
    /// Nobody reads sidecars but a start after a checkpoint: they wait for the flush that makes one.
    sidecars: Writes,
    /// Bytes of batches pushed since they were last written.
    bytes: u64,
}

/// What is to be written to each file, in order.
type Writes = BTreeMap<Key, VecDeque<Extent>>;

impl Pending {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.created.is_empty()
            && self.cuts.is_empty()
            && self.dropped.is_empty()
            && self.batches.is_empty()
            && self.sidecars.is_empty()
    }

    /// True if something of the group is still to be cut off or removed: what is written to its
    /// segments now could be overwritten by an older write that waits here.
    pub(crate) fn cuts(&self, group: GroupId) -> bool {
        self.cuts.contains_key(&group) || self.removed.contains(&group)
    }

    fn forget_writes(&mut self, group: GroupId) {
        self.batches.retain(|key, _| key.group != group);
        self.sidecars.retain(|key, _| key.group != group);
    }

    /// The files of dropped segments of a group needn't go.
    pub(crate) fn keep_dropped(&mut self, group: GroupId) {
        self.dropped.retain(|(of, _), _| *of != group);
    }

    /// Adds a record; a direct batch is in its segment already.
    pub(crate) fn push(&mut self, record: Record, direct: bool) {
        match record {
            Record::Create { group, .. } => {
                self.created.insert(group);
            }
            Record::Remove { group } => {
                self.forget_writes(group);
                self.created.remove(&group);
                self.cuts.remove(&group);
                self.keep_dropped(group);
                self.removed.insert(group);
            }
            Record::Truncate { group, cuts, .. } => {
                self.cuts.insert(group, cuts);
            }
            Record::Install { group, cuts, .. } => {
                self.forget_writes(group);
                self.cuts.insert(group, cuts);
            }
            Record::Batch {
                group,
                batch,
                place,
                ..
            } if !direct => {
                self.push_batch(group, place, batch);
            }
            Record::Block {
                group,
                segment,
                nth,
                block,
            } => {
                let segment = SegmentName::appended(segment);
                let key = Key {
                    group,
                    segment,
                    kind: Kind::Index,
                };
                self.push_entry(key, nth, &block.sidecar_entry(group, segment, nth));
            }
            Record::Drop {
                group,
                segments,
                turn,
            } => {
                let segments = segments.into_iter();
                self.dropped.extend(segments.map(|s| ((group, s), turn)));
            }
            Record::Batch { .. } | Record::State { .. } | Record::Internal { .. } => {}
        }
    }

    pub(crate) fn push_batch(&mut self, group: GroupId, place: Place, batch: Batch) {
        let key = Key {
            group,
            segment: SegmentName::appended(place.segment),
            kind: Kind::Data,
        };
        let extents = self.batches.entry(key).or_default();
        let (at, added) = (u64::from(place.pos), batch.len() as u64);
        self.bytes += added;
        match extents.back_mut() {
            Some(Extent::Batches { pos, len, batches })
                if *pos + *len == at && batches.len() < BATCHES_PER_WRITE =>
            {
                *len += added;
                batches.push(batch);
            }
            _ => extents.push_back(Extent::Batches {
                pos: at,
                len: added,
                batches: vec![batch],
            }),
        }
    }

    fn push_entry(&mut self, key: Key, nth: u32, entry: &[u8; SIDECAR_ENTRY_BYTES]) {
        let extents = self.sidecars.entry(key).or_default();
        let at = u64::from(nth) * SIDECAR_ENTRY_BYTES as u64;
        match extents.back_mut() {
            Some(Extent::Entries { pos, bytes }) if *pos + bytes.len() as u64 == at => {
                bytes.extend_from_slice(entry);
            }
            _ => extents.push_back(Extent::Entries {
                pos: at,
                bytes: entry.to_vec(),
            }),
        }
    }

    /// Does all of it, in the page cache.
    pub(crate) fn settle_all(
        &mut self,
        disk: &dyn Disk,
        files: &Files,
        dirty: &mut Dirty,
    ) -> Result<(), Fault> {
        self.settle(disk, files, dirty)?;
        write_out(&mut self.sidecars, files, dirty)
    }

    /// Removes what went and makes the directories of what came, of so many groups at most: a large topic
    /// takes a second. False if there are more.
    pub(crate) fn make(
        &mut self,
        disk: &dyn Disk,
        files: &Files,
        dirty: &mut Dirty,
        most: usize,
    ) -> Result<bool, Fault> {
        while let Some(group) = self.removed.first().copied() {
            files.forget(group);
            remove_dir(disk, &group_dir(group))?;
            // Again: a reader may have opened one of its files in between, and the id may come again.
            files.forget(group);
            dirty.forget(group);
            dirty.dirs.insert(GROUPS.to_string());
            self.removed.remove(&group);
        }
        for _ in 0..most {
            let Some(group) = self.created.first().copied() else {
                break;
            };
            make_group_dir(disk, group, dirty)?;
            make_first_segment(disk, group, dirty)?;
            files.begin(group);
            self.created.remove(&group);
        }
        Ok(self.created.is_empty())
    }

    /// Does all of it but the sidecars, in the page cache. What is done is taken out, so that the
    /// rest can be tried again.
    pub(crate) fn settle(
        &mut self,
        disk: &dyn Disk,
        files: &Files,
        dirty: &mut Dirty,
    ) -> Result<(), Fault> {
        self.make(disk, files, dirty, usize::MAX)?;
        // Before anything is overwritten.
        while let Some((group, cuts)) = self.cuts.pop_first() {
            files.set_cuts(group, cuts);
        }
        write_out(&mut self.batches, files, dirty)?;
        // After the writes: some of them may have been for these.
        if planted(Bug::UnlinkBeforeCheckpoint) {
            for ((group, segment), _) in std::mem::take(&mut self.dropped) {
                unlink_segment(disk, files, group, segment)?;
            }
        }
        dirty.dropped.append(&mut self.dropped);
        self.bytes = 0;
        Ok(())
    }
}

fn write_out(writes: &mut Writes, files: &Files, dirty: &mut Dirty) -> Result<(), Fault> {
    while let Some(mut entry) = writes.first_entry() {
        let key = *entry.key();
        let file = files.writable(key)?;
        while let Some(extent) = entry.get().front() {
            let pos = extent
                .write(&*file)
                .map_err(|e| Fault::from_io(&key.path(), "write", e));
            dirty.wrote(key, pos?);
            entry.get_mut().pop_front();
        }
        entry.remove();
    }
    Ok(())
}

/// Removes the files of a segment that is gone. Who reads them still goes on reading; who opens
/// them later is told that they are gone.
pub(crate) fn unlink_segment(
    disk: &dyn Disk,
    files: &Files,
    group: GroupId,
    segment: SegmentName,
) -> Result<(), Fault> {
    files.drop_upto(group, segment);
    for kind in [Kind::Data, Kind::Index] {
        let key = Key {
            group,
            segment,
            kind,
        };
        files.close(key);
        match disk.discard(&key.path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::from_io(&key.path(), "remove", e));
            }
            _ => {}
        }
        // Again: a reader may have opened it in between.
        files.close(key);
    }
    Ok(())
}

impl Extent {
    fn write(&self, file: &dyn base::File) -> io::Result<u64> {
        match self {
            Extent::Batches { pos, batches, .. } => {
                let pieces: Vec<&[u8]> = batches
                    .iter()
                    .flat_map(|batch| [&batch.head()[..], batch.body()])
                    .collect();
                file.write_at(&pieces, *pos).map(|()| *pos)
            }
            Extent::Entries { pos, bytes } => file.write_at(&[bytes], *pos).map(|()| *pos),
        }
    }
}

/// Removes a directory; it may be gone already.
pub(crate) fn remove_dir(disk: &dyn Disk, dir: &str) -> Result<(), Fault> {
    match disk.remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Fault::from_io(dir, "remove", e)),
        _ => Ok(()),
    }
}
