//! When batches were written: how old is what a consumer has yet to read? Asked by who measures
//! lag, of any replica; what left memory is for the asker to read.

use crate::Shard;
use crate::api::{Reply, ReplyTo, Stamp};
use base::{GroupId, Offset};

impl Shard {
    pub(crate) fn report_stamps(&self, places: &[(GroupId, Offset)], to: &ReplyTo) {
        let stamps = places.iter().map(|(group, at)| self.stamp(*group, *at));
        to.sink.reply(to.ticket, Reply::Stamps(stamps.collect()));
    }

    fn stamp(&self, group: GroupId, at: Offset) -> Option<Stamp> {
        let replica = self.replicas.get(&group)?;
        // What was deleted isn't waited for any more.
        let at = at.max(replica.log.start_offset());
        let high = replica.high.1;
        if at >= high {
            return None;
        }
        let oldest = replica.group.first_batch().map(|b| b.header().base_offset);
        if oldest.is_none_or(|oldest| oldest > at) {
            // A byte is enough: the first batch comes whole.
            return Some(Stamp::InFiles(replica.log.plan_read(at, high, 1)));
        }
        let batch = replica.group.batches_from(at).next()?;
        Some(Stamp::Known(batch.header().written()))
    }
}
