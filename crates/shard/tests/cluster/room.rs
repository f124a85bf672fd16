//! Disks that fill up.

use super::*;

/// A node is sent something.
pub(crate) fn count(counted: &mut Option<(NodeId, usize)>, to: NodeId, bytes: &Bytes) {
    if let Some((node, sum)) = counted
        && *node == to
    {
        *sum += bytes.len();
    }
}

#[test]
fn a_full_disk_is_told_once_and_so_is_that_there_is_room() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_millis(20));
    let group = c.create_topic(1);
    for free in [5000, 999, 800] {
        c.event(NodeId(1), Event::DiskFree(free));
        c.run(Duration::from_millis(20));
    }
    let refused = c.append(1, group, batch(1, 0, "a"));
    assert!(matches!(refused, Err(Refusal::Storage(_))), "{refused:?}");
    let told = |c: &Cluster| c.notes.iter().filter(|n| n.contains("bytes free")).count();
    assert_eq!(told(&c), 1, "{:?}", c.notes);
    for free in [1000, 2000] {
        c.event(NodeId(1), Event::DiskFree(free));
        c.run(Duration::from_millis(20));
    }
    assert_eq!(told(&c), 2, "{:?}", c.notes);
    assert_eq!(c.append(1, group, batch(1, 0, "a")), Ok(Offset(0)));
}

/// Its leader still has room. What it is sent would take the room that metadata needs.
#[test]
fn a_follower_whose_disk_is_full_takes_no_records_but_the_metadata() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_placed(
        1,
        meta::Placement::Manual(vec![[1, 2, 3].map(NodeId).to_vec()]),
    );
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    let full = (1..=3).find(|node| *node != leader).unwrap();
    let status = |c: &Cluster, group| c.shards[&NodeId(full)].replica_status(group).unwrap();
    for (free, first, has) in [(1200, 0, 1), (400, 1, 1)] {
        c.event(NodeId(full), Event::DiskFree(free));
        c.run(Duration::from_millis(200));
        let appended = c.append(leader, group, batch(1, first, "a"));
        assert_eq!(appended, Ok(Offset(i64::from(first))));
        c.run(Duration::from_secs(2));
        assert_eq!(status(&c, group).end_offset, Offset(has));
    }
    let known = status(&c, GroupId::META).high_watermark;
    c.cordon(leader, 3);
    c.run(Duration::from_secs(1));
    assert!(status(&c, GroupId::META).high_watermark >= known);
    assert!(c.shards[&NodeId(full)].image().configs.len() == 1);
    c.event(NodeId(full), Event::DiskFree(1 << 40));
    c.run(Duration::from_secs(2));
    assert_eq!(status(&c, group).high_watermark, Offset(2));
}

/// Between two measurements a fast producer may write more than the reserve.
#[test]
fn what_was_written_since_the_last_look_counts() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_millis(20));
    let group = c.create_topic(1);
    c.event(NodeId(1), Event::DiskFree(1100));
    let text = "x".repeat(200);
    assert_eq!(c.append(1, group, batch(1, 0, &text)), Ok(Offset(0)));
    let refused = c.append(1, group, batch(1, 1, &text));
    assert!(matches!(refused, Err(Refusal::Storage(_))), "{refused:?}");
}

impl Cluster {
    fn others(&self, leader: u32) -> Vec<NodeId> {
        let all = self.shards.keys().copied();
        all.filter(|node| node.0 != leader).collect()
    }

    fn measure(&mut self, nodes: &[NodeId], free: u64) {
        for node in nodes {
            self.event(*node, Event::DiskFree(free));
        }
        self.run(Duration::from_millis(300));
    }
}

/// The leader itself has room. Its producers are told at once, and what frees space is committed.
#[test]
fn with_most_disks_full_records_are_refused_and_deletions_are_not() {
    let (mut c, leader, group) = five_segments(&[]);
    let others = c.others(leader);
    c.measure(&others, 900);
    let refused = c.append(leader, group, batch(1, 5, "v"));
    let Err(Refusal::NoRoomElsewhere(why)) = refused else {
        panic!("{refused:?}");
    };
    let named = others.iter().all(|node| why.contains(&node.to_string()));
    assert!(named, "{why}");
    // Below the last part of the reserve as well: it is no record.
    c.measure(&others, 10);
    assert_eq!(c.delete(leader, group, Some(3)), Ok(3));
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [3, 3, 3]);
    c.measure(&others[..1], 5000);
    assert_eq!(c.append(leader, group, batch(1, 5, "v")), Ok(Offset(5)));
    c.measure(&others, 5000);
    c.run(Duration::from_secs(1));
    assert_eq!(c.delete(leader, group, None), Ok(6));
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [6, 6, 6]);
}

/// Retention is an entry behind what was taken just before the disks were full.
#[test]
fn what_was_taken_before_most_disks_were_full_is_committed() {
    let (mut c, leader, group) = five_segments(&[]);
    let others = c.others(leader);
    c.down = others.clone();
    let deadline = c.now.after(Duration::from_secs(1));
    let parts = vec![AppendPart {
        group,
        batch: batch(1, 5, "v"),
    }];
    let acks = Acks::Leader;
    let append = Command::Append {
        acks,
        deadline,
        parts,
    };
    assert!(matches!(c.call(leader, append), Reply::Appended(_)));
    for node in &others {
        c.event(*node, Event::DiskFree(900));
    }
    c.down = vec![];
    c.run(Duration::from_secs(1));
    assert_eq!(c.delete(leader, group, None), Ok(6));
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [6, 6, 6]);
}

/// One of three is full and lacks what the others have, so it can't learn by its log that what it has is
/// over.
#[test]
fn a_full_follower_far_behind_gives_up_what_is_past_its_retention() {
    let (mut c, leader, group) = five_segments(&[]);
    let full = c.others(leader)[0];
    c.measure(&[full], 900);
    for at in 5..8 {
        let appended = c.append(leader, group, batch(1, at, "v"));
        assert_eq!(appended, Ok(Offset(i64::from(at))));
    }
    let status = |c: &Cluster| c.shards[&full].replica_status(group).unwrap();
    assert_eq!(status(&c).end_offset, Offset(5));
    assert!(status(&c).log_bytes > 0);
    assert_eq!(c.delete(leader, group, Some(7)), Ok(7));
    c.run(Duration::from_secs(2));
    assert_eq!(
        (status(&c).start_offset, status(&c).log_bytes),
        (Offset(7), 0)
    );
    assert_eq!(c.installed(full.0), 1);
    c.measure(&[full], 5000);
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [7, 7, 7]);
    assert_eq!(status(&c).end_offset, Offset(8));
}

/// It leads nothing new, and who comes to it waits without keeping others from moving.
#[test]
fn a_full_follower_is_sent_nothing_until_it_has_room() {
    let (mut c, leader, group) = five_segments(&[]);
    let full = c.others(leader)[0];
    c.measure(&[full], 900);
    let told = c
        .notes
        .iter()
        .filter(|note| note.contains("is sent no records"));
    assert_eq!(told.count(), 2, "{:?}", c.notes);
    c.frames_to = Some((full, 0));
    let big = "x".repeat(100_000);
    assert_eq!(c.append(leader, group, batch(1, 5, &big)), Ok(Offset(5)));
    c.run(Duration::from_secs(12));
    let (_, bytes) = c.frames_to.expect("set above");
    assert!(bytes < 100_000, "{bytes}");
    assert_eq!(c.behind[&(leader, group)], [full]);
    c.measure(&[full], 5_000_000);
    c.run(Duration::from_millis(500));
    let status = c.shards[&full].replica_status(group).unwrap();
    assert_eq!(status.high_watermark, Offset(6));
    assert!(c.behind[&(leader, group)].is_empty());
}

/// Nothing waits for it, and when it is back it is spared as before.
#[test]
fn what_a_lost_node_said_of_its_disk_counts_for_nothing_until_it_is_back() {
    let (mut c, leader, group) = five_segments(&[]);
    let full = c.others(leader)[0];
    c.measure(&[full], 900);
    let nodes_full = |c: &Cluster| c.shards[&NodeId(leader)].stats().nodes_full;
    assert_eq!(nodes_full(&c), 1);
    c.down = vec![full];
    c.run(Duration::from_secs(5));
    assert_eq!(nodes_full(&c), 0);
    assert_eq!(c.append(leader, group, batch(1, 5, "v")), Ok(Offset(5)));
    c.down.clear();
    c.run(Duration::from_secs(3));
    assert_eq!(nodes_full(&c), 1);
    let status = c.shards[&full].replica_status(group).unwrap();
    assert_eq!(status.end_offset, Offset(5), "it is full still");
}
