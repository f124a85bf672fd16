//! Replicas that are away while what they lack is removed.

use super::*;
use consensus::{Frame, Item};
use shard::ProducerStatus;

impl Cluster {
    /// True for a frame with a snapshot that is to be lost.
    pub(crate) fn loses(&mut self, bytes: &Bytes) -> bool {
        if self.lose_snapshots == 0 {
            return false;
        }
        let frame = Frame::decode(bytes.clone()).unwrap();
        let has = |item: &Item| matches!(item, Item::Raft(_, m) if m.snapshot().is_some());
        let lost = frame.items.iter().any(has);
        self.lose_snapshots -= u32::from(lost);
        lost
    }

    fn producers(&mut self, node: u32, group: GroupId) -> Vec<ProducerStatus> {
        let groups = vec![group];
        match self.call(node, Command::Producers { groups }) {
            Reply::Producers(mut parts) => parts.remove(0).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn installed(&self, node: u32) -> u64 {
        self.shards[&NodeId(node)].stats().snapshots_installed
    }
}

/// One is away while three records more come, all eight are deleted, and two more come.
fn behind_the_start() -> (Cluster, u32, u32, GroupId) {
    let (mut c, leader, group) = five_segments_in(Cluster::keeping(3, 0), &[]);
    let away = (1..=3).find(|node| *node != leader).unwrap();
    c.down = vec![NodeId(away)];
    c.run(Duration::from_secs(1));
    for at in 5..8 {
        let appended = c.append(leader, group, batch(1, at, "v"));
        assert_eq!(appended, Ok(Offset(i64::from(at))));
    }
    assert_eq!(c.delete(leader, group, None), Ok(8));
    c.run(Duration::from_secs(3));
    let status = c.shards[&NodeId(leader)].replica_status(group).unwrap();
    assert_eq!(status.log_bytes, 0, "nothing is kept for node {away}");
    assert_eq!(c.shards[&NodeId(leader)].stats().held_bytes, 0);
    for at in 0..2 {
        let appended = c.append(leader, group, batch(2, at, "w"));
        assert_eq!(appended, Ok(Offset(8 + i64::from(at))));
    }
    (c, leader, away, group)
}

#[test]
fn a_replica_that_was_away_for_too_long_begins_anew_and_leads_like_the_others() {
    let (mut c, leader, away, group) = behind_the_start();
    c.down = vec![];
    c.run(Duration::from_secs(3));
    assert_eq!(c.installed(away), 1);
    assert_eq!(c.starts(group), [8, 8, 8]);
    let bytes = c.bytes(group);
    assert!(
        bytes[0] > 0 && bytes.iter().all(|b| *b == bytes[0]),
        "{bytes:?}"
    );
    let known = c.producers(leader, group);
    assert_eq!(known.len(), 2, "one of them has records no more");
    assert_eq!(c.producers(away, group), known);
    // The one that was away and the third go on alone; whoever of them leads knows it all.
    c.down = vec![NodeId(leader)];
    c.run(Duration::from_secs(3));
    let next = c.leader(group).expect("the two are a majority");
    assert_eq!(c.append(next, group, batch(1, 7, "v")), Ok(Offset(7)));
    assert_eq!(c.append(next, group, batch(1, 8, "v")), Ok(Offset(10)));
    assert_eq!(c.read(next, group, 8).len(), 3);
    let third = (1..=3).find(|n| *n != leader && *n != away).unwrap();
    c.down = vec![NodeId(third)];
    c.run(Duration::from_secs(3));
    let next = c.leader(group).expect("the two are a majority");
    assert_eq!(c.append(next, group, batch(2, 2, "w")), Ok(Offset(11)));
}

#[test]
fn a_snapshot_that_is_lost_is_sent_again() {
    let (mut c, leader, away, group) = behind_the_start();
    let third = 6 - leader - away;
    c.lose_snapshots = 2;
    c.down = vec![];
    c.run(Duration::from_secs(9));
    assert_eq!(c.installed(away), 0);
    // Its node is heard again, and it lacks everything still: so all of them say.
    for node in [leader, third] {
        assert_eq!(c.behind[&(node, group)], [NodeId(away)]);
    }
    c.run(Duration::from_secs(13));
    assert_eq!(c.lose_snapshots, 0);
    assert_eq!(c.installed(away), 1);
    assert_eq!(c.starts(group), [8, 8, 8]);
    for node in 1..=3 {
        assert_eq!(c.behind[&(node, group)], [], "node {node}");
    }
}

/// Whoever stops one node after the other waits until no replica is behind: a new leader doesn't know by
/// itself how far the others are, but the one before has said it.
#[test]
fn who_lacks_everything_is_behind_for_the_next_leader_too() {
    let (mut c, leader, away, group) = behind_the_start();
    let third = 6 - leader - away;
    c.lose_snapshots = u32::MAX;
    c.down = vec![];
    c.run(Duration::from_secs(2));
    assert_eq!(c.behind[&(third, group)], [NodeId(away)]);
    c.down = vec![NodeId(leader)];
    c.run(Duration::from_secs(2));
    assert_eq!(c.leader(group), Some(third));
    c.down = vec![];
    c.run(Duration::from_secs(2));
    assert_eq!(c.leader(group), Some(third));
    for node in [leader, third] {
        assert_eq!(c.behind[&(node, group)], [NodeId(away)]);
    }
    c.lose_snapshots = 0;
    c.run(Duration::from_secs(15));
    assert_eq!(c.installed(away), 1);
    assert_eq!(c.behind[&(third, group)], []);
}

/// Nothing that the follower already has is sent again: what is left on the leader begins later.
#[test]
fn a_replica_that_lacks_less_than_is_kept_needs_no_snapshot() {
    let (mut c, leader, group) = five_segments_in(Cluster::keeping(3, 1 << 20), &[]);
    let away = (1..=3).find(|node| *node != leader).unwrap();
    c.down = vec![NodeId(away)];
    c.run(Duration::from_secs(1));
    assert_eq!(c.append(leader, group, batch(1, 5, "v")), Ok(Offset(5)));
    assert_eq!(c.delete(leader, group, None), Ok(6));
    c.down = vec![];
    c.run(Duration::from_secs(3));
    assert_eq!(c.installed(away), 0);
    assert_eq!(c.starts(group), [6, 6, 6]);
}

/// Its disk may be full: the disks of the others must not fill up for that.
#[test]
fn nothing_is_kept_for_long_for_a_replica_that_takes_no_snapshot() {
    let (mut c, leader, away, group) = behind_the_start();
    c.lose_snapshots = u32::MAX;
    c.down = vec![];
    c.run(Duration::from_secs(5));
    assert_eq!(c.delete(leader, group, None), Ok(10));
    c.run(Duration::from_secs(2));
    let kept = |c: &Cluster| {
        c.shards[&NodeId(leader)]
            .replica_status(group)
            .unwrap()
            .log_bytes
    };
    assert!(kept(&c) > 0, "it may be on its way");
    c.run(Duration::from_secs(60));
    assert_eq!(kept(&c), 0);
    assert_eq!(c.installed(away), 0);
    c.lose_snapshots = 0;
    c.run(Duration::from_secs(15));
    assert_eq!(c.installed(away), 1);
    assert_eq!(c.starts(group), [10, 10, 10]);
}
