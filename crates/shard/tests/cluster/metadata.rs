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

/// Three nodes, which of them leads the metadata, and which of the others is away.
fn one_is_away() -> (Cluster, u32, u32) {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let leader = c.leader(GroupId::META).expect("a controller");
    let away = if leader == 3 { 2 } else { 3 };
    c.down.push(NodeId(away));
    c.run(Duration::from_secs(1));
    (c, leader, away)
}

#[test]
fn a_node_that_was_away_takes_the_metadata_as_a_snapshot() {
    let (mut c, leader, away) = one_is_away();
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
    // Whoever compares where logs end sees how much of the metadata it has, whatever else comes.
    assert!(c.metadata_begins_at(away) > c.metadata_begins_at(leader));
    // It goes on from there without the one that it has it from.
    c.down.push(NodeId(leader));
    c.run(Duration::from_secs(3));
    let heir = c.leader(GroupId::META).expect("another controller");
    c.note_something(heir);
    assert_eq!(c.shards[&NodeId(away)].image().topics.len(), 1);
}

#[test]
fn a_node_that_takes_no_snapshot_does_not_make_the_metadata_grow_for_ever() {
    let (mut c, leader, away) = one_is_away();
    for _ in 0..20 {
        c.note_something(leader);
    }
    c.event(NodeId(leader), Event::CheckpointDue);
    let lent = c.metadata_begins_at(leader);
    assert!(lent > Offset(10));

    c.lose_snapshots = u32::MAX;
    c.down.clear();
    c.run(Duration::from_secs(3));
    for _ in 0..20 {
        c.note_something(leader);
    }
    c.event(NodeId(leader), Event::CheckpointDue);
    assert_eq!(c.metadata_begins_at(leader), lent, "it is waited for");
    c.run(base::limits::SNAPSHOT_HELD_FOR);
    c.event(NodeId(leader), Event::CheckpointDue);
    assert!(c.metadata_begins_at(leader) > lent, "but not for ever");

    // It gets what there is as soon as it can take it.
    c.lose_snapshots = 0;
    c.run(base::limits::SNAPSHOT_PATIENCE);
    c.run(Duration::from_secs(3));
    let images = [leader, away].map(|node| c.shards[&NodeId(node)].image());
    assert_eq!(images[0], images[1]);
    assert!(c.metadata_begins_at(away) > lent);
}

impl Cluster {
    /// Somebody asks a node for a topic, and waits.
    fn ask_for_topic(&mut self, asker: NodeId) {
        let topic = meta::NewTopic {
            name: "t".into(),
            id: Uuid::from_random(1, 2),
            placement: meta::Placement::Spread {
                partitions: Some(1),
                replicas: None,
            },
            configs: std::collections::BTreeMap::new(),
        };
        let command = meta::Command::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        let to = ReplyTo {
            sink: self.inbox.clone(),
            ticket: 77,
        };
        let deadline = self.now.after(Duration::from_secs(5));
        let command = Command::Meta { command, deadline };
        self.event(asker, Event::Command(command, Some(to)));
    }

    /// The command that is on its way to a node, with its ticket. All frames that are under way are lost.
    fn forwarded(&mut self, to: NodeId) -> Option<(consensus::Frame, u64)> {
        let sent = std::mem::take(&mut self.frames);
        let mut sent = sent.iter().filter(|(_, receiver, _)| *receiver == to);
        sent.find_map(|(_, _, bytes)| {
            let frame = consensus::Frame::decode(bytes.clone()).unwrap();
            let ticket = frame.items.iter().find_map(|item| match item {
                consensus::Item::Forward { ticket, .. } => Some(*ticket),
                _ => None,
            })?;
            Some((frame, ticket))
        })
    }

    fn expect_topic(&self) {
        match self.inbox.0.lock().unwrap().remove(&77) {
            Some(Reply::Meta(Ok(meta::Reply::TopicsCreated(made)))) => assert!(made[0].is_ok()),
            other => panic!("{other:?}"),
        }
    }
}

/// As a node does that leads no more when a command reaches it: it says that it has done nothing.
#[test]
fn a_command_that_reaches_nobody_who_leads_is_sent_to_whoever_leads_then() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let leader = NodeId(c.leader(GroupId::META).unwrap());
    let asker = NodeId(leader.0 % 3 + 1);
    c.frames.clear();
    c.ask_for_topic(asker);
    let (theirs, ticket) = c.forwarded(leader).expect("it is forwarded");
    let answer = consensus::Frame {
        boot: theirs.seen.boot,
        seen: consensus::Seen {
            boot: theirs.boot,
            ..Default::default()
        },
        items: vec![consensus::Item::Answer {
            ticket,
            index: base::RaftIndex(0),
            reply: None,
        }],
        ..Default::default()
    };
    let bytes = answer.encode().concat().into();
    let from = leader;
    c.event(asker, Event::Frame { from, bytes });
    assert!(c.inbox.0.lock().unwrap().is_empty(), "it isn't given up");
    c.run(Duration::from_millis(500));
    c.expect_topic();
}

/// Two nodes have a connection each way, and one of them may break alone: what this node sends is lost then,
/// though it hears the other.
#[test]
fn a_command_waits_until_the_connection_to_the_controller_stands_again() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let leader = NodeId(c.leader(GroupId::META).unwrap());
    let asker = NodeId(leader.0 % 3 + 1);
    c.event(asker, Event::PeerDown(leader));
    c.run(Duration::from_millis(100));
    c.ask_for_topic(asker);
    assert!(c.forwarded(leader).is_none(), "it would be lost");
    c.run(Duration::from_millis(100));
    assert!(c.inbox.0.lock().unwrap().is_empty(), "it isn't given up");
    c.event(asker, Event::PeerUp(leader));
    c.run(Duration::from_millis(500));
    c.expect_topic();
}
