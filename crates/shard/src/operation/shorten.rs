//! Group 0's log gets shorter: with each checkpoint the metadata itself is kept, and what led to it
//! goes from the log, but for the last few segments, so that a node that was away for a moment
//! needs no snapshot.
//!
//! Each node does so by itself: what is applied is committed and the same everywhere. The checkpoint
//! that keeps the metadata is the one that no longer names what goes, so there is no moment at which a
//! crash would leave neither. A follower that lacks what went gets the metadata as a snapshot
//! (`snapshot.rs`).

use crate::Shard;
use crate::kept;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, RaftIndex, mark, planted};
use bytes::Bytes;

/// Segments of group 0 that stay although what they hold is applied.
const SEGMENTS_KEPT: usize = 2;

impl Shard {
    /// Gives up what led to the metadata that the checkpoint of this turn keeps.
    pub(crate) fn shorten_metadata(&mut self) {
        let (applied, keeps) = (self.controller.applied(), self.keeps_metadata());
        let Some(replica) = self.replicas.get_mut(&GroupId::META) else {
            return;
        };
        // What follows on a snapshot that is on its way will be needed.
        let lends = replica.lends_snapshot(self.now.mono);
        if !keeps || replica.suspect.is_some() || lends {
            return;
        }
        let segments: Vec<_> = replica.log.segments().collect();
        let older = segments.len().saturating_sub(SEGMENTS_KEPT);
        let goes = segments[..older].iter();
        let goes = goes.take_while(|s| s.last_index <= applied.min(replica.high.0));
        let Some(last) = goes.last() else {
            return;
        };
        mark(Mark::MetadataShortened);
        replica.log.give_up(&mut self.turn, last.last_index);
        replica.group.begin_at(replica.log.first_index());
    }

    /// What a checkpoint keeps of a replica beside its log.
    pub(crate) fn keep(&self, replica: &mut Replica) -> [Bytes; 2] {
        let rest = replica.kept();
        match replica.id == GroupId::META && self.keeps_metadata() {
            true => {
                let (metadata, applied) = self.controller.snapshot();
                let ahead = u64::from(planted(Bug::MetadataKeptAhead));
                kept::with_metadata(&metadata, RaftIndex(applied.0 + ahead), rest)
            }
            false => rest,
        }
    }

    /// True once no binary may come back that can't read what is kept then.
    fn keeps_metadata(&self) -> bool {
        self.controller.level() >= meta::METADATA_KEPT
    }

    /// The metadata as it was kept; false if it can't be read.
    pub(crate) fn take_kept_metadata(&mut self) -> bool {
        let stored = self.stored.get_mut(&GroupId::META);
        let Some(stored) = stored else {
            return true;
        };
        let first = stored.log.first_index();
        match stored.metadata.take() {
            Some((bytes, applied)) if !planted(Bug::MetadataForgottenAtRestart) => {
                let defaults = self.settings.defaults.clone();
                let restored = self.controller.restore(defaults, &bytes, applied);
                restored && applied.next() >= first
            }
            _ => first <= RaftIndex(1) || planted(Bug::MetadataForgottenAtRestart),
        }
    }
}
