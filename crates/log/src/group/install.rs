//! A log that begins anew after an entry of its leader's: what this replica needs next is gone there,
//! and a snapshot stands for it.
//!
//! One record says so and it is all. Before it is durable the old log stands with everything that
//! was acknowledged, after it the new one: there is nothing between them that a crash could leave.

use super::{Front, GroupLog, Segment};
use crate::origin::Origin;
use crate::turn::{Record, Turn};
use base::{Bug, RaftIndex, planted};
use bytes::Bytes;

impl GroupLog {
    /// What a follower needs to know of everything before the first entry that is there; `None` if
    /// there is nothing before it, or if there are records in front of it that it would need too.
    pub fn origin(&self) -> Option<Origin> {
        let index = self.front.index.prev();
        if index == RaftIndex(0) || self.yielded() > 0 {
            return None;
        }
        let runs = self.terms.partition_point(|run| run.index <= index);
        Some(Origin {
            index,
            // Starts that reach further are entries that come after.
            start_offset: self.start_offset.min(self.front.offset),
            next_offset: self.front.offset,
            terms: self.terms[..runs].to_vec(),
        })
    }

    /// Everything here goes, and an empty log that begins after the origin takes its place. `app`
    /// are the shard's own bytes as of `app_index`, as in a checkpoint.
    ///
    /// What is committed here is a beginning of what the origin stands for. So segments that begin
    /// before its offset are dropped as if the start had passed them; those that begin later hold
    /// only what is cut off, and batches that are still to come may take their names.
    pub fn install(&mut self, turn: &mut Turn, origin: Origin, app: Bytes, app_index: RaftIndex) {
        assert!(
            origin.index >= self.committed,
            "what is committed here is not replaced by less"
        );
        let next = match planted(Bug::SnapshotWithoutOffset) {
            true => self.end_offset,
            false => origin.next_offset,
        };
        let names = self.segments.iter().map(Segment::name);
        let dropped: Vec<_> = names.filter(|name| name.base < next).collect();
        let mut new = GroupLog::new(self.group, self.settings);
        (new.segment_ms, new.rewrites) = (self.segment_ms, self.rewrites);
        new.cuts = self.cuts + 1;
        new.start_offset = origin.start_offset;
        new.end_offset = next;
        (new.last_index, new.last_term) = (origin.index, origin.term());
        (new.committed, new.floor) = (origin.index, origin.index);
        new.front = Front {
            index: origin.index.next(),
            offset: next,
        };
        new.terms.clone_from(&origin.terms);
        *self = new;
        let (group, cuts) = (self.group, self.cuts);
        if !planted(Bug::InstallNotLogged) {
            turn.records.push(Record::Install {
                group,
                origin,
                app,
                app_index,
                cuts,
            });
        }
        if !dropped.is_empty() {
            turn.records.push(Record::Drop {
                group,
                segments: dropped,
                turn: turn.number,
            });
        }
    }
}
