//! Group 0's log gets shorter, and whoever lacks what went takes the metadata as a snapshot.

use super::*;

impl Cluster {
    /// Something that goes on record.
    fn note_something(&mut self, by: u32) {
        let command = meta::Command::AllocateProducerIds { count: 10 };
        let deadline = self.now.after(Duration::from_secs(5));
        let reply = self.call(by, Command::Meta { command, deadline });
        assert!(matches!(reply, Reply::Meta(Ok(_))), "{reply:?}");
    }

    fn metadata_begins_at(&self, node: u32) -> Offset {
        let status = self.shards[&NodeId(node)].replica_status(GroupId::META);
        status.expect("group 0 is everywhere").start_offset
    }
}

#[test]
fn a_node_that_was_away_takes_the_metadata_as_a_snapshot() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let leader = c.leader(GroupId::META).expect("a controller");
    let away = if leader == 3 { 2 } else { 3 };
    c.down.push(NodeId(away));
    c.run(Duration::from_secs(1));
    c.create_topic(leader);
    for _ in 0..20 {
        c.note_something(leader);
    }
    assert_eq!(c.metadata_begins_at(leader), Offset(0));
    c.event(NodeId(leader), Event::CheckpointDue);
    assert!(c.metadata_begins_at(leader) > Offset(10));

    c.down.clear();
    c.run(Duration::from_secs(3));
    let images = [leader, away].map(|node| c.shards[&NodeId(node)].image());
    assert_eq!(images[1].topics.len(), 1);
    assert_eq!(images[0], images[1]);
    assert!(c.metadata_begins_at(away) > Offset(10), "by a snapshot");
    // It goes on from there without the one that it has it from.
    c.down.push(NodeId(leader));
    c.run(Duration::from_secs(3));
    let heir = c.leader(GroupId::META).expect("another controller");
    c.note_something(heir);
    assert_eq!(c.shards[&NodeId(away)].image().topics.len(), 1);
}
