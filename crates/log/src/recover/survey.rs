//! The first reading of the write-ahead log: every frame is checked, and what was cut off is
//! noted, so that replay doesn't write what must not be written any more. What can be read isn't
//! durable for that: the survey notes which frames are not known to be, and writes them again.

use crate::fault::Fault;
use crate::turn::Record;
use crate::wal::record::{self, Logged};
use crate::wal::scan::{Found, Link};
use crate::wal::{self, SECTOR};
use base::{Bug, GroupId, RaftIndex, planted};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Everything from an index on was cut off by the record with this number.
#[derive(Clone, Copy, Debug)]
struct Cut {
    record: u64,
    from: RaftIndex,
}

#[derive(Debug, Default)]
struct Cuts {
    cuts: Vec<Cut>,
    last_index: RaftIndex,
}

/// What the first reading found. Records are numbered from 0 in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Survey {
    groups: BTreeMap<GroupId, Cuts>,
    records: u64,
    /// The turn of the last record.
    seen: u64,
    pub(super) last_turn: u64,
    /// Frames of the last file that no frame knows to be synced, and where they lie.
    unproven: Vec<(u64, Bytes)>,
    /// No frame knows the last file's header to be synced.
    header_unproven: bool,
}

impl Survey {
    /// Reads everything, and finds the end of the last file.
    pub(super) fn run(found: &mut Found, covered: u64) -> Result<Survey, Fault> {
        let mut survey = Survey {
            last_turn: covered,
            ..Survey::default()
        };
        for link in &mut found.chain {
            let mut pos = link.from;
            // The header after it says that all before it was synced.
            survey.unproven.clear();
            survey.header_unproven = pos == SECTOR;
            while let Some(read) = link.read(pos)? {
                if read.synced.generation == link.header.generation {
                    survey.header_unproven = false;
                    survey.unproven.retain(|(at, _)| *at >= read.synced.pos);
                }
                survey.unproven.push((pos, read.whole));
                if !survey.frame(&read_records(link, pos, &read.body)?, covered) {
                    let what = "a frame belongs to an earlier turn than the one before it";
                    return Err(Fault::corrupt(&link.path(), pos, what));
                }
                pos = read.next;
            }
            link.end = Some(pos);
        }
        survey.groups.retain(|_, group| !group.cuts.is_empty());
        // From the back: the lowest cut at or after each.
        for group in survey.groups.values_mut() {
            let mut lowest = RaftIndex(u64::MAX);
            for cut in group.cuts.iter_mut().rev() {
                lowest = lowest.min(cut.from);
                cut.from = lowest;
            }
        }
        Ok(survey)
    }

    /// Makes sure that the end of the log is on the device. After a failed sync the page cache may
    /// hold, as if it were written, what the device never got; one more sync would prove nothing,
    /// and a power loss after this start would take what it relied on. So what isn't known to be
    /// synced is written again. It is written as it was, so a crash in between tears nothing.
    pub(super) fn prove(&mut self, last: &Link) -> Result<(), Fault> {
        let unproven = std::mem::take(&mut self.unproven);
        let path = last.path();
        let write = |bytes: &[u8], pos| {
            last.file
                .write_at(&[bytes], pos)
                .map_err(|e| Fault::from_io(&path, "write", e))
        };
        if !planted(Bug::TrustPageCache) {
            if self.header_unproven {
                write(&last.header.encode(), 0)?;
            }
            for (pos, frame) in unproven {
                write(&frame, pos)?;
            }
        }
        wal::sync(&*last.file, &path)
    }

    /// Notes a frame's records; false if its turns go back.
    fn frame(&mut self, records: &[Logged], covered: u64) -> bool {
        let mut turn = 0;
        for record in records {
            match record {
                Logged::Turn(number) => {
                    turn = *number;
                    if turn < self.seen {
                        return false;
                    }
                    self.seen = turn;
                    self.last_turn = self.last_turn.max(turn);
                }
                _ if turn <= covered => {}
                Logged::Whole(record) => self.record(record),
                Logged::Direct { group, index, .. } => self.entry(*group, *index),
            }
            self.records += 1;
        }
        true
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Batch { group, index, .. } | Record::Internal { group, index, .. } => {
                self.entry(*group, *index);
            }
            Record::Truncate { group, from, .. } => self.cut(*group, *from),
            Record::Remove { group } => self.cut(*group, RaftIndex(0)),
            Record::Install { group, .. } => self.cut(*group, RaftIndex(1)),
            Record::Create { .. }
            | Record::State { .. }
            | Record::Block { .. }
            | Record::Drop { .. } => {}
        }
    }

    /// An entry at or below one seen before discards what follows it.
    fn entry(&mut self, group: GroupId, index: RaftIndex) {
        let last = self.groups.entry(group).or_default().last_index;
        if index <= last {
            self.cut(group, index);
        }
        self.groups.entry(group).or_default().last_index = index;
    }

    fn cut(&mut self, group: GroupId, from: RaftIndex) {
        let record = self.records;
        let group = self.groups.entry(group).or_default();
        group.cuts.push(Cut { record, from });
        group.last_index = group.last_index.min(from.prev());
    }

    /// True if an entry was cut off, or its group removed, by a later record.
    pub(super) fn cut_off(&self, record: u64, group: GroupId, index: RaftIndex) -> bool {
        let Some(group) = self.groups.get(&group) else {
            return false;
        };
        let later = group.cuts.partition_point(|cut| cut.record <= record);
        group.cuts.get(later).is_some_and(|cut| cut.from <= index)
    }
}

impl Survey {
    /// True if a group was removed by a later record than this one.
    pub(super) fn removed_after(&self, record: u64, group: GroupId) -> bool {
        self.cut_off(record, group, RaftIndex(0))
    }

    /// True if a group that the checkpoint knows was removed later.
    pub(super) fn removed(&self, group: GroupId) -> bool {
        let cuts = self.groups.get(&group).and_then(|group| group.cuts.first());
        cuts.is_some_and(|cut| cut.from == RaftIndex(0))
    }
}

/// Decodes a frame's records.
pub(super) fn read_records(link: &Link, pos: u64, body: &Bytes) -> Result<Vec<Logged>, Fault> {
    record::read_all(body).ok_or_else(|| {
        let what = "a frame holds records that this version can't read";
        Fault::corrupt(&link.path(), pos, what)
    })
}
