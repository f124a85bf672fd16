//! Groups that rest, and what wakes them.

use super::*;
use consensus::{Frame, Item};

impl Cluster {
    pub(crate) fn count_messages(&mut self, bytes: &Bytes) {
        if let Some(messages) = &mut self.messages {
            let items = Frame::decode(bytes.clone()).unwrap().items;
            let of_groups = items.iter().filter(|i| matches!(i, Item::Raft(..)));
            *messages += of_groups.count() as u64;
        }
    }

    /// How many messages groups send meanwhile.
    fn messages_in(&mut self, time: Duration) -> u64 {
        self.messages = Some(0);
        self.run(time);
        self.messages.take().unwrap()
    }

    fn connect(&mut self, node: u32, peer: u32) {
        self.event(NodeId(node), Event::PeerUp(NodeId(peer)));
    }
}

#[test]
fn idle_groups_fall_quiet_and_stay_led() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(3));
    let before = c.leader(group).unwrap();
    let campaigns: u64 = c.shards.values().map(|s| s.stats().campaigns).sum();
    c.run(Duration::from_secs(20));
    assert_eq!(c.leader(group), Some(before));
    let after: u64 = c.shards.values().map(|s| s.stats().campaigns).sum();
    assert_eq!(
        campaigns, after,
        "nobody campaigns while the leader's node is heard"
    );
    assert_eq!(c.append(before, group, batch(1, 0, "a")), Ok(Offset(0)));
}

/// Three nodes and a topic of which one follower's node has fallen silent: the cluster, the leader, who is
/// away, and who is left.
fn without_one(configs: &[(&str, &str)]) -> (Cluster, u32, u32, u32, GroupId) {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic_with(1, configs);
    c.run(Duration::from_secs(3));
    let leader = c.leader(group).unwrap();
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    let away = leader % 3 + 1;
    c.down = vec![NodeId(away)];
    c.run(Duration::from_secs(15));
    (c, leader, away, 6 - leader - away, group)
}

#[test]
fn a_node_that_is_away_keeps_no_group_awake_and_has_everything_soon_after_it_is_back() {
    let (mut c, leader, away, other, group) = without_one(&[]);
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
    for node in [leader, other] {
        assert_eq!(c.behind[&(node, group)], [NodeId(away)]);
    }
    // Woken, and quiet again.
    assert_eq!(c.append(leader, group, batch(1, 1, "b")), Ok(Offset(1)));
    assert_eq!(c.behind[&(leader, group)], [NodeId(away)]);
    c.run(Duration::from_secs(5));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
    c.down.clear();
    for peer in [leader, other] {
        c.connect(peer, away);
        c.connect(away, peer);
    }
    c.run(Duration::from_secs(1));
    let status = c.shards[&NodeId(away)].replica_status(group).unwrap();
    assert_eq!(status.high_watermark, Offset(2));
    for node in 1..=3 {
        assert_eq!(c.behind[&(node, group)], [], "node {node}");
    }
    c.run(Duration::from_secs(3));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
}

#[test]
fn a_group_that_rests_without_one_loses_its_leader_and_finds_another_with_two_of_three() {
    let (mut c, leader, away, other, group) = without_one(&[]);
    c.down.push(NodeId(leader));
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(group), None, "one of three isn't enough");
    c.down = vec![NodeId(leader)];
    c.run(Duration::from_secs(3));
    assert!(c.leader(group).is_some(), "{away} or {other} leads");
}

/// What a process says counts from its start: that it is at its first beat doesn't make what the one before
/// said at its hundredth recent.
#[test]
fn a_leader_that_begins_anew_at_once_leads_no_longer() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(20));
    let leader = c.leader(group).unwrap();
    c.start_empty(NodeId(leader), 3, 200, None);
    c.run(Duration::from_millis(1500));
    let next = c.leader(group).expect("the others are a majority");
    assert_ne!(next, leader);
    assert_eq!(c.append(next, group, batch(1, 0, "a")), Ok(Offset(0)));
}

#[test]
fn a_leader_that_rests_without_one_steps_down_when_the_other_is_lost_too() {
    let (mut c, leader, _, other, group) = without_one(&[]);
    c.down.push(NodeId(other));
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(group), None, "node {leader} is alone");
}

/// A quiet group counts those as in sync that were heard when it fell quiet, and nobody else.
#[test]
fn a_group_that_rests_has_no_more_copies_than_there_are() {
    let (mut c, leader, _, _, group) = without_one(&[("min.insync.replicas", "3")]);
    assert_eq!(
        c.append(leader, group, batch(1, 1, "b")),
        Err(Refusal::NotEnoughReplicas { min: 3 })
    );
}

/// It lacks records, and nothing but records could be sent to it.
#[test]
fn a_full_node_keeps_no_group_awake_and_has_everything_soon_after_it_has_room() {
    let (mut c, leader, group) = five_segments(&[]);
    let full = leader % 3 + 1;
    let other = 6 - leader - full;
    c.event(NodeId(full), Event::DiskFree(900));
    c.run(Duration::from_millis(500));
    for at in 5..8 {
        let appended = c.append(leader, group, batch(1, at, "v"));
        assert_eq!(appended, Ok(Offset(i64::from(at))));
    }
    c.run(Duration::from_secs(15));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
    for node in [leader, other] {
        assert_eq!(c.behind[&(node, group)], [NodeId(full)]);
    }
    // Woken by what is past its retention, all that the full one has, and quiet again.
    let status = |c: &Cluster| c.shards[&NodeId(full)].replica_status(group).unwrap();
    assert_eq!(c.delete(leader, group, Some(7)), Ok(7));
    c.run(Duration::from_secs(2));
    assert_eq!(
        (status(&c).start_offset, status(&c).log_bytes),
        (Offset(7), 0)
    );
    c.run(Duration::from_secs(15));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
    assert_eq!(status(&c).end_offset, Offset(7));
    c.event(NodeId(full), Event::DiskFree(5000));
    c.run(Duration::from_millis(500));
    assert_eq!(status(&c).high_watermark, Offset(8));
    assert_eq!(c.behind[&(leader, group)], []);
    c.run(Duration::from_secs(3));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
}

/// Without the other one it is needed: it gets what was on its way.
#[test]
fn a_group_that_rests_without_a_full_node_wakes_when_another_one_is_lost() {
    let (mut c, leader, group) = five_segments(&[]);
    let full = leader % 3 + 1;
    c.event(NodeId(full), Event::DiskFree(900));
    c.run(Duration::from_millis(500));
    assert_eq!(c.append(leader, group, batch(1, 5, "v")), Ok(Offset(5)));
    c.run(Duration::from_secs(15));
    assert_eq!(c.messages_in(Duration::from_secs(5)), 0);
    c.down = vec![NodeId(6 - leader - full)];
    c.run(Duration::from_secs(3));
    assert_eq!(c.leader(group), Some(leader));
    let status = c.shards[&NodeId(full)].replica_status(group).unwrap();
    assert_eq!(status.high_watermark, Offset(6));
    assert_eq!(c.delete(leader, group, None), Ok(6));
}
