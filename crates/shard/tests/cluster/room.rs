//! Disks that fill up.

use super::*;

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
    // Below the reserve it takes what leaders took, for a while.
    for (free, first, has) in [(1200, 0, 1), (400, 1, 1)] {
        c.event(NodeId(full), Event::DiskFree(free));
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
