//! The second reading of the write-ahead log: records go through the groups' bookkeeping again.

use super::load;
use super::survey::{Survey, read_records};
use crate::fault::Fault;
use crate::files::Files;
use crate::group::GroupLog;
use crate::import::ImportImage;
use crate::origin::Origin;
use crate::pending::{Dirty, Pending};
use crate::recovered::{Entry, EntryBody, Recovered, RecoveredGroup};
use crate::turn::{HardState, Place, Record, Turn};
use crate::wal::record::Logged;
use crate::wal::scan::Link;
use base::batch::HEADER_BYTES;
use base::{Batch, BatchHeader, Disk, GroupId, RaftIndex, Term};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch whose bytes recovery has not seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) index: RaftIndex,
    pub(super) term: Term,
    pub(super) place: Place,
    pub(super) head: [u8; HEADER_BYTES],
}

/// A group as far as it is recovered.
pub(super) struct Group {
    pub(super) log: GroupLog,
    pub(super) state: HardState,
    pub(super) app: Bytes,
    pub(super) app_index: RaftIndex,
    pub(super) entries: Vec<Entry>,
    pub(super) direct: Vec<Direct>,
    /// Entries up to here come from the checkpoint.
    pub(super) checkpointed: RaftIndex,
    pub(super) suspect: Option<String>,
}

impl Group {
    pub(super) fn new(log: GroupLog) -> Group {
        Group {
            log,
            state: HardState::default(),
            app: Bytes::new(),
            app_index: RaftIndex(0),
            entries: Vec::new(),
            direct: Vec::new(),
            checkpointed: RaftIndex(0),
            suspect: None,
        }
    }

    fn cut(&mut self, turn: &mut Turn, from: RaftIndex) {
        self.log.truncate(turn, from);
        while self.entries.last().is_some_and(|entry| entry.index >= from) {
            self.entries.pop();
        }
        while self
            .direct
            .last()
            .is_some_and(|direct| direct.index >= from)
        {
            self.direct.pop();
        }
        self.checkpointed = self.checkpointed.min(from.prev());
    }

    /// Nothing of what was found before matters any more, damage neither.
    fn install(
        &mut self,
        log: GroupLog,
        suspect: Option<String>,
        app: Bytes,
        app_index: RaftIndex,
    ) {
        *self = Group {
            state: self.state,
            app,
            app_index,
            suspect,
            ..Group::new(log)
        };
    }

    /// Makes way for an entry: a later term at an index discards what follows it. False if the
    /// entry can't come here.
    fn make_way(&mut self, turn: &mut Turn, index: RaftIndex, term: Term) -> bool {
        let log = &self.log;
        if index.0 == 0 || i32::try_from(term.0).is_err() || index > log.last_index().next() {
            return false;
        }
        if index <= log.last_index() {
            if index <= log.committed() || log.term_of(index).is_none_or(|old| term <= old) {
                return false;
            }
            self.cut(turn, index);
        }
        term >= self.log.last_term() && term.0 > 0
    }

    /// True if the header is one that the log can take now.
    fn takes(&self, header: &BatchHeader, term: Term) -> bool {
        let next = header
            .base_offset
            .0
            .checked_add(i64::from(header.last_offset_delta) + 1);
        header.base_offset == self.log.end_offset()
            && header.leader_epoch == term.epoch()
            && next.is_some()
    }

    fn commit(&mut self, turn: &mut Turn) {
        let known = self.state.commit.min(self.log.last_index());
        self.log.commit(turn, known);
    }
}

/// The state of replay.
pub(super) struct Replay {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Arc<Files>,
    pub(super) survey: Survey,
    /// Turns up to this one are in the checkpoint.
    covered: u64,
    record: u64,
    turn: u64,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) blob: Bytes,
    pub(super) report: Vec<String>,
    pub(super) pending: Pending,
    pub(super) dirty: Dirty,
}

impl Replay {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        files: Arc<Files>,
        survey: Survey,
        covered: u64,
    ) -> Replay {
        let (pending, dirty) = super::empty();
        Replay {
            disk,
            files,
            survey,
            covered,
            record: 0,
            turn: 0,
            groups: BTreeMap::new(),
            blob: Bytes::new(),
            report: Vec::new(),
            pending,
            dirty,
        }
    }

    /// Replays a file.
    pub(super) fn link(&mut self, link: &Link) -> Result<(), Fault> {
        let mut pos = link.from;
        while let Some(read) = link.read(pos)? {
            for logged in read_records(link, pos, &read.body)? {
                if !self.apply(logged)? {
                    let what = format!("record {} doesn't follow from those before", self.record);
                    return Err(Fault::corrupt(&link.path(), pos, what));
                }
                self.record += 1;
            }
            self.pending
                .settle(&*self.disk, &self.files, &mut self.dirty)?;
            pos = read.next;
        }
        Ok(())
    }

    /// Applies a record; false if it can't be.
    fn apply(&mut self, logged: Logged) -> Result<bool, Fault> {
        Ok(match logged {
            Logged::Turn(number) => {
                self.turn = number;
                true
            }
            _ if self.turn <= self.covered => true,
            Logged::Direct {
                group,
                index,
                term,
                place,
                head,
            } => self.direct(
                group,
                Direct {
                    index,
                    term,
                    place,
                    head,
                },
            ),
            Logged::Whole(record) => self.whole(record)?,
        })
    }

    fn whole(&mut self, record: Record) -> Result<bool, Fault> {
        Ok(match record {
            Record::Create { group, settings } => {
                self.pending.push(record, false);
                let new = Group::new(GroupLog::new(group, settings));
                self.groups.insert(group, new).is_none()
            }
            Record::Remove { group } => self.remove(group),
            Record::State { group, state } => {
                let mut turn = Turn::new(self.turn);
                let Some(group) = self.groups.get_mut(&group) else {
                    return Ok(false);
                };
                group.state = state;
                group.commit(&mut turn);
                self.settle_later(turn, false);
                true
            }
            Record::Batch {
                group,
                index,
                term,
                batch,
                place,
            } => self.batch(group, index, term, &batch, place),
            Record::Internal {
                group,
                index,
                term,
                data,
            } => {
                let mut turn = Turn::new(self.turn);
                let Some(found) = self.groups.get_mut(&group) else {
                    return Ok(false);
                };
                if !found.make_way(&mut turn, index, term) {
                    return Ok(false);
                }
                found
                    .log
                    .append_internal(&mut turn, index, term, data.clone());
                found.entries.push(Entry {
                    index,
                    term,
                    body: EntryBody::Internal(data),
                });
                self.settle_later(turn, false);
                true
            }
            Record::Truncate { group, from, .. } => {
                let mut turn = Turn::new(self.turn);
                let found = self.groups.get_mut(&group);
                let Some(found) = found.filter(|found| from > found.log.committed()) else {
                    return Ok(false);
                };
                found.cut(&mut turn, from);
                self.settle_later(turn, false);
                true
            }
            Record::Install {
                group,
                origin,
                imported,
                app,
                app_index,
                cuts: _,
            } => return self.install(group, origin, imported, app, app_index),
            Record::Block { .. } | Record::Drop { .. } => false,
        })
    }

    /// A group's files are removed at the end, if the group isn't there again by then. What it
    /// dropped isn't what a group that comes again drops.
    fn remove(&mut self, group: GroupId) -> bool {
        self.pending.keep_dropped(group);
        self.dirty.dropped.retain(|(of, _), _| *of != group);
        self.groups.remove(&group).is_some()
    }

    fn install(
        &mut self,
        group: GroupId,
        origin: Origin,
        imported: Option<ImportImage>,
        app: Bytes,
        upto: RaftIndex,
    ) -> Result<bool, Fault> {
        let mut turn = Turn::new(self.turn);
        let found = self.groups.get(&group);
        let Some(found) = found.filter(|found| origin.index >= found.log.committed()) else {
            return Ok(false);
        };
        let old = found.log.clone();
        let image = old.install_again(&mut turn, origin, imported, app.clone(), upto);
        let removed = self.survey.removed_after(self.record, group);
        let Some((log, suspect)) = load::with_blocks(self, image, removed)? else {
            return Ok(false);
        };
        if let Some(found) = self.groups.get_mut(&group) {
            found.install(log, suspect, app, upto);
        }
        self.settle_later(turn, false);
        Ok(true)
    }

    fn batch(
        &mut self,
        group: GroupId,
        index: RaftIndex,
        term: Term,
        batch: &Batch,
        place: Place,
    ) -> bool {
        let cut_off = self.survey.cut_off(self.record, group, index);
        let mut turn = Turn::new(self.turn);
        let Some(found) = self.groups.get_mut(&group) else {
            return false;
        };
        let header = batch.header();
        let fits = found.make_way(&mut turn, index, term)
            && found.takes(&header, term)
            && batch.verify().is_ok();
        if !fits {
            return false;
        }
        if !found
            .log
            .append_placed(&mut turn, index, term, batch, place)
        {
            return false;
        }
        let body = EntryBody::Batch(header, batch.len() as u32);
        found.entries.push(Entry { index, term, body });
        self.settle_later(turn, cut_off);
        true
    }

    fn direct(&mut self, group: GroupId, direct: Direct) -> bool {
        let Direct {
            index,
            term,
            place,
            head,
        } = direct;
        let mut turn = Turn::new(self.turn);
        let Some(found) = self.groups.get_mut(&group) else {
            return false;
        };
        let Ok(header) = BatchHeader::parse(&head) else {
            return false;
        };
        if !found.make_way(&mut turn, index, term) || !found.takes(&header, term) {
            return false;
        }
        if !found
            .log
            .append_direct(&mut turn, index, term, &head, place)
        {
            return false;
        }
        let body = EntryBody::Batch(header, header.total_len() as u32);
        found.entries.push(Entry { index, term, body });
        found.direct.push(direct);
        self.settle_later(turn, false);
        true
    }

    /// Notes what is to be written again. A batch that was cut off later is left out.
    fn settle_later(&mut self, turn: Turn, cut_off: bool) {
        for record in turn.records {
            let skip = cut_off && matches!(record, Record::Batch { .. });
            if !skip {
                self.pending.push(record, false);
            }
        }
    }

    /// Commits what is known to be committed, and was not there yet when that was read.
    pub(super) fn commit(&mut self) {
        let mut turn = Turn::new(self.turn);
        for group in self.groups.values_mut() {
            group.commit(&mut turn);
        }
        self.settle_later(turn, false);
    }

    /// Hands out what was recovered, and what is to be synced by the next flush.
    pub(super) fn finish(mut self) -> Result<(Recovered, Dirty), Fault> {
        self.pending
            .settle_all(&*self.disk, &self.files, &mut self.dirty)?;
        let mut groups = Vec::with_capacity(self.groups.len());
        for (_, mut group) in self.groups {
            // The pending batches were written just now.
            group.log.settled(group.log.last_index());
            let commit = group.log.committed();
            groups.push(RecoveredGroup {
                log: group.log,
                state: HardState {
                    commit,
                    ..group.state
                },
                app: group.app,
                app_index: group.app_index,
                entries: group.entries,
                suspect: group.suspect,
            });
        }
        let (blob, report) = (self.blob, self.report);
        let next_turn = self.survey.last_turn + 1;
        Ok((
            Recovered {
                groups,
                blob,
                report,
                next_turn,
                fresh: false,
                lost: None,
            },
            self.dirty,
        ))
    }
}
