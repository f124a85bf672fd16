//! Entries that left memory: read from segments by a job, for a follower that is behind or for
//! the metadata that is read again after a start.

use crate::Shard;
use crate::api::Job;
use base::{Batch, GroupId, Mark, NodeId, RaftIndex, limits, mark};
use consensus::{Body, ColdEntries, NewEntry};
use log::ReadFault;

/// Jobs under way at most.
const JOBS_MAX: usize = 32;
/// Bytes that one job reads at most.
const JOB_BYTES: u64 = limits::APPEND_MESSAGE_BYTES;

/// For whom a job reads.
pub(crate) enum ColdRequest {
    /// For a follower of this group.
    Follower(GroupId, ColdEntries),
    /// For the metadata.
    Metadata,
}

impl ColdRequest {
    pub(crate) fn group(&self) -> GroupId {
        match self {
            ColdRequest::Follower(group, ..) => *group,
            ColdRequest::Metadata => GroupId::META,
        }
    }
}

impl Shard {
    /// Starts the jobs that a group's followers wait for.
    pub(crate) fn request_cold(&mut self, group: GroupId) {
        let wanted = match self.replicas.get_mut(&group) {
            Some(replica) => replica.group.take_cold(),
            None => return,
        };
        for wanted in wanted {
            let from = wanted.from;
            let spent = self.catch_up_left(group, wanted.to.node) == 0;
            if spent || self.cold.len() >= JOBS_MAX {
                if let Some(replica) = self.replicas.get_mut(&group) {
                    replica.group.decline_cold(&wanted);
                }
                continue;
            }
            mark(Mark::ColdCatchUp);
            self.read_cold(group, from, ColdRequest::Follower(group, wanted));
        }
    }

    /// Bytes that are being read for replicas on a node, at the most.
    pub(crate) fn being_read_for(&self, node: NodeId) -> u64 {
        let for_it = |request: &&ColdRequest| match request {
            ColdRequest::Follower(_, wanted) => wanted.to.node == node,
            ColdRequest::Metadata => false,
        };
        let entries = self.cold.values().filter(for_it).count() as u64;
        entries * JOB_BYTES + self.being_lent_to(node)
    }

    /// A name for a job that reads.
    pub(crate) fn cold_ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    /// Reads entries of a group from `from` on: for the metadata what is committed, for a follower
    /// what is in the log.
    pub(crate) fn read_cold(&mut self, group: GroupId, from: RaftIndex, request: ColdRequest) {
        let replica = &self.replicas[&group];
        let upto = match &request {
            ColdRequest::Follower(..) => replica.settled,
            ColdRequest::Metadata => replica.settled.min(replica.high.0),
        };
        let plan = replica.log.plan_entries(from, upto, JOB_BYTES);
        let ticket = self.cold_ticket();
        self.cold.insert(ticket, request);
        self.effects.jobs.push(Job::Entries {
            ticket,
            group,
            plan,
        });
    }

    pub(crate) fn on_cold_entries(
        &mut self,
        ticket: u64,
        result: Result<Vec<(RaftIndex, Batch)>, ReadFault>,
    ) {
        let Some(request) = self.cold.remove(&ticket) else {
            return;
        };
        let batches = result.unwrap_or_else(|fault| {
            match (&request, &fault) {
                (ColdRequest::Metadata, ReadFault::Corrupt { .. }) => {
                    self.lose_metadata(&fault.to_string());
                }
                _ => self.on_unreadable(request.group(), &fault),
            }
            Vec::new()
        });
        match request {
            ColdRequest::Metadata => self.on_metadata_read(batches),
            ColdRequest::Follower(group, wanted) => self.on_follower_read(group, wanted, batches),
        }
    }

    /// A replica that can't read its own log must not lead it: others have what it lost. It neither
    /// votes nor takes entries; another one takes its place (`renew.rs`). Without others that could
    /// lead, nobody has what is lost, and what is whole is served on.
    pub(crate) fn on_unreadable(&mut self, group: GroupId, fault: &ReadFault) {
        let replica = self.replicas.get(&group);
        let only = replica.is_some_and(|replica| replica.group.is_only_elector());
        let mut remark = "";
        if let ReadFault::Corrupt { .. } = fault {
            if only {
                self.damage.insert(group);
                remark = "; there is no other copy, what is whole is served on";
            } else {
                self.on_damaged(group, &fault.to_string());
            }
        }
        self.alarm(format!(
            "entries of group {group} could not be read: {fault}{remark}"
        ));
    }

    fn on_follower_read(
        &mut self,
        group: GroupId,
        wanted: ColdEntries,
        batches: Vec<(RaftIndex, Batch)>,
    ) {
        let bytes: u64 = batches.iter().map(|(_, batch)| batch.len() as u64).sum();
        self.spend_catch_up(group, wanted.to.node, bytes);
        let Some(mut replica) = self.replicas.remove(&group) else {
            return;
        };
        let mut entries = Vec::new();
        let mut batches = batches.into_iter().peekable();
        let mut index = wanted.from;
        // Internal entries lie between the batches and are in memory.
        while index <= replica.settled {
            let body = match replica.log.internal(index) {
                Some(data) => Body::Internal(data.clone()),
                None => match batches.next_if(|(at, _)| *at == index) {
                    Some((_, batch)) => Body::Batch(batch),
                    None => break,
                },
            };
            // While it was read this node may have lost the group, and the log its beginning.
            let Some(term) = replica.log.term_of(index) else {
                break;
            };
            entries.push(NewEntry { index, term, body });
            index = index.next();
        }
        replica.group.fetched(wanted, entries);
        self.replicas.insert(group, replica);
        self.touch(group);
        self.collect();
        if let Some(replica) = self.replicas.get_mut(&group) {
            replica.group.drop_fetched();
        }
    }
}
