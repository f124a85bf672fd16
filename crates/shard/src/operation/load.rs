//! A coordinator that has to replay what left memory: after a start, or after it had replayed
//! what didn't come to be. Jobs read the log piece by piece, a few partitions at a time, those
//! first that this node leads.

use crate::Shard;
use crate::api::Job;
use base::{Batch, GroupId, Mark, limits, mark};
use bytes::Bytes;
use log::ReadFault;

/// Partitions that are read at a time.
const LOADS_MAX: usize = 4;
/// Bytes that one job reads at most, so that a turn replays no more than these.
const LOAD_BYTES: u32 = limits::APPEND_MESSAGE_BYTES as u32;
/// Beats until a partition is looked at again of which nothing could be read.
const STALLED_BEATS: u64 = 5;

impl Shard {
    /// Starts as many jobs as there may be.
    pub(crate) fn load_coordinators(&mut self) {
        while self.coordinators.jobs.len() < LOADS_MAX {
            let to_load = &self.coordinators.to_load;
            let leads = |g: &&GroupId| self.replicas.get(g).is_some_and(|r| r.was_leader);
            let next = to_load.iter().find(leads).or(to_load.first()).copied();
            let Some(group) = next else { return };
            self.coordinators.to_load.remove(&group);
            self.load_coordinator(group);
        }
    }

    fn load_coordinator(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        let (from, upto) = (coordinator.applied, replica.high.1);
        let plan = replica.log.plan_read(from, upto, LOAD_BYTES);
        mark(Mark::CoordinatorLoads);
        let ticket = self.coordinators.next_job;
        self.coordinators.next_job += 1;
        coordinator.job = Some(ticket);
        self.coordinators.jobs.insert(ticket, group);
        self.effects.jobs.push(Job::Records {
            ticket,
            group,
            plan,
        });
    }

    /// A job is done. What it read for a machine that began anew meanwhile is of no use.
    pub(crate) fn on_records(&mut self, ticket: u64, result: Result<Vec<Bytes>, ReadFault>) {
        let Some(group) = self.coordinators.jobs.remove(&ticket) else {
            return;
        };
        let pieces = result.unwrap_or_else(|fault| {
            if !matches!(fault, ReadFault::Gone) {
                self.on_unreadable(group, &fault);
            }
            Vec::new()
        });
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let high = replica.high.1;
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        if coordinator.job != Some(ticket) {
            return self.touch(group);
        }
        coordinator.job = None;
        let before = coordinator.applied;
        for batch in pieces.into_iter().flat_map(batches) {
            if batch.header().next_offset() > high {
                break;
            }
            coordinator.replay(&batch);
        }
        if coordinator.applied > before {
            self.touch(group);
        } else {
            // Nothing of it has reached its segment yet, or a device fails.
            self.coordinators.stalled.insert(group);
        }
    }

    /// Looks again at what could not be read.
    pub(crate) fn review_stalled(&mut self) {
        if self.beats.is_multiple_of(STALLED_BEATS) {
            for group in std::mem::take(&mut self.coordinators.stalled) {
                self.touch(group);
            }
        }
    }
}

/// The batches of a piece of a log; what was verified on its way is whole.
pub(super) fn batches(mut piece: Bytes) -> impl Iterator<Item = Batch> {
    std::iter::from_fn(move || {
        if piece.is_empty() {
            return None;
        }
        Batch::split_from(&mut piece).ok()
    })
}
