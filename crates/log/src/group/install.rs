//! A log that begins anew after an entry of its leader's: what this replica needs next is gone there,
//! and a snapshot stands for it.
//!
//! One record says so and it is all. Before it is durable the old log stands with everything that
//! was acknowledged, after it the new one: there is nothing between them that a crash could leave.
//! Records in front of the new beginning were written and synced before (`import.rs`); the record
//! names their segments, so they are there when it is.

use super::{Front, GroupImage, GroupLog, Rewritten, Segment, SegmentImage};
use crate::block::Block;
use crate::import::{Import, ImportImage, Imported, Prefix};
use crate::origin::Origin;
use crate::output::Made;
use crate::turn::{Record, Turn};
use base::{Bug, Offset, RaftIndex, planted};
use bytes::Bytes;

impl GroupLog {
    /// What a follower needs to know of everything before the first entry that is there, besides
    /// the records of [`GroupLog::prefix`]; `None` if there is nothing before it.
    pub fn origin(&self) -> Option<Origin> {
        let origin = self.origin_after(self.front.index.prev(), self.front.offset)?;
        Some(Origin {
            // Starts that reach further are entries that come after.
            start_offset: self.start_offset.min(self.front.offset),
            ..origin
        })
    }

    /// The same as if all up to an entry were gone, for a log of which nobody reads what was before. The
    /// offset is that after the entry. `None` if the entry isn't known.
    pub fn origin_after(&self, index: RaftIndex, next_offset: Offset) -> Option<Origin> {
        let known = self.front.index.prev()..=self.last_index();
        let runs = self.terms.partition_point(|run| run.index <= index);
        (index > RaftIndex(0) && known.contains(&index)).then(|| Origin {
            index,
            start_offset: next_offset,
            next_offset,
            terms: self.terms[..runs].to_vec(),
        })
    }

    /// What lies in front of the first entry, to be read by offset; `None` if nothing does.
    pub fn prefix(&self) -> Option<Prefix> {
        (self.yielded() > 0).then_some(Prefix {
            clean: self.clean,
            compact: self.compact,
        })
    }

    /// Bytes in front of the first entry.
    pub fn prefix_bytes(&self) -> u64 {
        self.segments().take(self.yielded()).map(|s| s.bytes).sum()
    }

    /// Begins to take over what lies in front of another log's first entry.
    pub fn plan_import(&mut self, origin: Origin, prefix: Prefix) -> Import {
        self.rewrites += 1;
        let segment_bytes = self.settings.segment_bytes;
        Import::new(self.group, self.rewrites, segment_bytes, origin, prefix)
    }

    /// Everything here goes, and a log that begins after the origin takes its place: empty but for
    /// what was imported. `app` are the shard's own bytes as of `app_index`, as in a checkpoint.
    ///
    /// What is committed here is a beginning of what the origin stands for. So segments that begin
    /// before its offset are dropped as if the start had passed them; those that begin later hold
    /// only what is cut off, and batches that are still to come may take their names.
    pub fn install(
        &mut self,
        turn: &mut Turn,
        origin: Origin,
        imported: Option<Imported>,
        app: Bytes,
        app_index: RaftIndex,
    ) {
        let segments: Vec<Segment> = imported.iter().flat_map(Imported::segments).collect();
        let image = imported.map(|imported| ImportImage {
            number: imported.number,
            prefix: imported.prefix,
            segments: segments.iter().map(SegmentImage::of_closed).collect(),
        });
        self.begin_anew(turn, origin, image, app, app_index);
        self.segments = segments;
    }

    /// As [`GroupLog::install`], from the record of it: the blocks of its segments are still to be
    /// loaded.
    pub(crate) fn install_again(
        mut self,
        turn: &mut Turn,
        origin: Origin,
        image: Option<ImportImage>,
        app: Bytes,
        app_index: RaftIndex,
    ) -> GroupImage {
        let segments = image.as_ref().map(|image| image.segments.clone());
        self.begin_anew(turn, origin, image, app, app_index);
        GroupImage {
            log: self,
            segments: segments.unwrap_or_default(),
        }
    }

    fn begin_anew(
        &mut self,
        turn: &mut Turn,
        origin: Origin,
        imported: Option<ImportImage>,
        app: Bytes,
        app_index: RaftIndex,
    ) {
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
        if let Some(imported) = &imported {
            // No rewrite and no import after this one may take its name.
            new.rewrites = new.rewrites.max(imported.number);
            (new.clean, new.compact) = (imported.prefix.clean, imported.prefix.compact);
        }
        *self = new;
        let (group, cuts) = (self.group, self.cuts);
        if !planted(Bug::InstallNotLogged) {
            turn.records.push(Record::Install {
                group,
                origin,
                imported,
                app,
                app_index,
                cuts,
            });
        }
        self.drop_files(turn, dropped);
    }
}

impl Imported {
    fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        let number = self.number;
        self.segments.iter().map(move |made| made.segment(number))
    }
}

impl Made {
    /// As a log knows it.
    pub(super) fn segment(&self, number: u32) -> Segment {
        let mut segment = Segment::new(self.base);
        let crc = self.crc;
        segment.rewritten = Some(Rewritten { number, crc });
        self.blocks.iter().for_each(|block| segment.push(*block));
        segment
    }
}

impl SegmentImage {
    /// Of one whose blocks are all in its sidecar.
    fn of_closed(segment: &Segment) -> SegmentImage {
        let first = segment.blocks.first();
        let last = segment.blocks.last();
        SegmentImage {
            base: segment.base,
            first_index: first.map_or(RaftIndex(0), |block| block.first_index),
            next: last.map_or(segment.base, |block| block.next_offset),
            closed_len: last.map_or(0, Block::end),
            blocks: segment.count(),
            loose: Vec::new(),
            rewritten: segment.rewritten,
        }
    }
}
