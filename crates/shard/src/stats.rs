//! What a shard counts, for metrics.

use crate::Shard;

/// Counters since the start, and gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches appended as leader.
    pub batches_appended: u64,
    /// Bytes of them.
    pub bytes_appended: u64,
    /// Campaigns started.
    pub campaigns: u64,
    /// Elections won.
    pub elections_won: u64,
    /// Logs cut after a conflict.
    pub truncations: u64,
    /// Times that the start of a log moved.
    pub starts_moved: u64,
    /// Times that a read which waits was planned again.
    pub reads_planned_again: u64,
    /// Bytes that retention gave up and that are kept for a while for replicas that lack them, as
    /// of the last round.
    pub held_bytes: u64,
    /// Bytes read from files for followers that are far behind.
    pub catch_up_bytes: u64,
    /// Times that such a follower had to wait for the bound on those.
    pub catch_up_waits: u64,
    /// Snapshots sent to followers that were behind the start of their leader's log.
    pub snapshots_sent: u64,
    /// Snapshots that took the place of a log here.
    pub snapshots_installed: u64,
    /// Bytes of records that came with snapshots.
    pub snapshot_bytes: u64,
    /// Bytes of records that the snapshot under way still has to bring, as its leader said.
    pub snapshot_bytes_left: u64,
    /// Partitions that aren't led by the replica that is named first, as the node that leads the
    /// metadata saw it in its last round; zero elsewhere.
    pub leaders_elsewhere: u64,
    /// Times that it asked a leader to hand over to that one.
    pub leaders_asked_back: u64,
    /// Bytes that were read to see that they are whole.
    pub check_bytes: u64,
    /// Replicas that were looked at from one end to the other.
    pub checks: u64,
    /// Rounds over all of them that were begun.
    pub check_rounds: u64,
    /// Replicas that the round under way has still to look at.
    pub check_left: u64,
    /// Pieces of them that were the same on their leaders.
    pub pieces_compared: u64,
    /// Replicas that differ from their leaders although both are whole.
    pub replicas_differing: u64,
    /// Replicas whose data is damaged and that wait for others in their place.
    pub replicas_damaged: u64,
    /// Those of them that have to wait, because the ones before them were damaged too.
    pub renewals_held_back: u64,
    /// Damaged replicas that gave their place to new ones.
    pub replicas_renewed: u64,
    /// Groups with a replica here that aren't yet as they should be.
    pub groups_moving: u64,
    /// Rewrites of logs that were compacted.
    pub compactions: u64,
    /// Bytes that they read.
    pub compacted_bytes_before: u64,
    /// Bytes that they left.
    pub compacted_bytes_after: u64,
    /// Records that they took away.
    pub compacted_records: u64,
    /// Bytes that the rewrite under way has still to go through.
    pub compaction_bytes_left: u64,
    /// Nodes whose disks are below their reserves, this one included, as far as it knows.
    pub nodes_full: u64,
    /// Replicas on this node.
    pub replicas: u64,
    /// Groups that this node leads.
    pub led: u64,
    /// Groups that this node leads and others could lead.
    pub to_hand_over: u64,
    /// Groups without a leader, as far as this node knows.
    pub leaderless: u64,
    /// Bytes of batches in memory.
    pub hot_bytes: u64,
    /// Bytes of batches that the disk hasn't taken.
    pub unsettled_bytes: u64,
    /// Bytes appended and not committed.
    pub uncommitted_bytes: u64,
    /// Appends that wait for their commits.
    pub appends_waiting: u64,
    /// Reads that wait for data.
    pub reads_waiting: u64,
    /// Turns handed to storage and not durable yet.
    pub turns_in_flight: u64,
}

impl Shard {
    /// The counters and gauges now.
    pub fn stats(&self) -> Stats {
        let (mut led, mut to_hand_over, mut leaderless) = (0, 0, 0);
        for replica in self.replicas.values() {
            led += u64::from(replica.was_leader);
            to_hand_over += u64::from(replica.was_leader && !replica.is_alone());
            leaderless += u64::from(replica.leader().is_none());
        }
        Stats {
            nodes_full: self.full_others().count() as u64 + u64::from(self.is_disk_full()),
            replicas: self.replicas.len() as u64,
            led,
            to_hand_over,
            leaderless,
            replicas_damaged: self.damage.len() as u64,
            groups_moving: self.moving.len() as u64,
            hot_bytes: self.hot_bytes,
            unsettled_bytes: self.unsettled.bytes(),
            uncommitted_bytes: self.uncommitted_bytes,
            appends_waiting: self.calls.len() as u64,
            reads_waiting: self.parks.len() as u64,
            turns_in_flight: self.in_flight.len() as u64,
            ..self.stats.clone()
        }
    }
}
