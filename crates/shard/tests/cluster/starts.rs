//! Records are deleted, and logs begin later.

use super::*;

#[test]
fn deleted_records_go_on_all_replicas_and_not_beyond_the_high_watermark() {
    let (mut c, leader, group) = five_segments(&[]);
    assert_eq!(c.delete(leader, group, Some(2)), Ok(2));
    assert_eq!(c.delete(leader, group, Some(1)), Ok(2), "it starts later");
    assert_eq!(
        c.delete(leader, group, Some(6)),
        Err(Refusal::OffsetOutOfRange)
    );
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [2, 2, 2]);
    let each = c.bytes(group);
    assert_eq!(c.refused_read(leader, group, 1), Refusal::OffsetOutOfRange);
    assert_eq!(c.read(leader, group, 2).len(), 3);
    assert_eq!(c.delete(leader, group, None), Ok(5));
    c.run(Duration::from_secs(1));
    assert_eq!(c.starts(group), [5, 5, 5]);
    assert_eq!(c.bytes(group), [0, 0, 0], "from {each:?}");
    assert_eq!(c.append(leader, group, batch(1, 5, "w")), Ok(Offset(5)));
    assert_eq!(
        c.append(leader, group, batch(1, 4, "v")),
        Ok(Offset(4)),
        "producers are remembered although their batches are gone"
    );
}

#[test]
fn a_replica_that_is_away_holds_removal_back_and_catches_up_when_it_returns() {
    let (mut c, leader, group) = five_segments(&[]);
    let away = (1..=3).find(|node| *node != leader).unwrap();
    c.down = vec![NodeId(away)];
    c.run(Duration::from_secs(1));
    for at in 5..8 {
        assert_eq!(
            c.append(leader, group, batch(1, at, "v")),
            Ok(Offset(i64::from(at)))
        );
    }
    assert_eq!(c.delete(leader, group, None), Ok(8));
    c.run(Duration::from_secs(3));
    let size = |c: &Cluster| c.shards[&NodeId(leader)].replica_status(group).unwrap();
    let held = size(&c).log_bytes;
    assert_eq!(size(&c).start_offset, Offset(8));
    assert!(held > 0, "what node {away} lacks stays");
    assert_eq!(c.shards[&NodeId(leader)].stats().held_bytes, held);
    c.down = vec![];
    c.run(Duration::from_secs(4));
    assert_eq!(c.starts(group), [8, 8, 8]);
    assert_eq!(c.bytes(group), [0, 0, 0], "it goes once all have had it");
    assert_eq!(c.shards[&NodeId(leader)].stats().held_bytes, 0);
}

#[test]
fn old_segments_go_by_themselves() {
    let (mut c, leader, group) = five_segments(&[("retention.ms", "10000")]);
    // The records say that they are from 1970.
    c.run(Duration::from_secs(3));
    assert_eq!(c.starts(group), [5, 5, 5]);
    assert_eq!(c.append(leader, group, batch(1, 5, "v")), Ok(Offset(5)));
    let (mut c, _, group) = five_segments(&[("retention.ms", "-1"), ("retention.bytes", "1")]);
    c.run(Duration::from_secs(3));
    assert_eq!(c.starts(group), [4, 4, 4], "at least so many bytes stay");
}
