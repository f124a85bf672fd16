//! Partitions move: other replicas, their data, and what becomes of the old ones.

use super::*;
use consensus::{Frame, Item};
use meta::Reassignment;

/// The network loses what is said of one group, though the nodes hear each other.
pub(crate) struct Unsaid {
    group: GroupId,
    /// Messages that still get through.
    after: u32,
    until: Mono,
    /// Only this node hears nothing.
    deaf: Option<NodeId>,
}

impl Unsaid {
    /// Nothing that is said of a group gets through for a while.
    pub(crate) fn all_of(group: GroupId, until: Mono) -> Unsaid {
        Unsaid {
            group,
            after: 0,
            until,
            deaf: None,
        }
    }
}

fn nodes(of: &[u32]) -> Vec<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

impl Cluster {
    pub(crate) fn without_unsaid(&mut self, to: NodeId, bytes: Bytes) -> Bytes {
        let now = self.now;
        let unsaid = self.unsaid.as_mut().filter(|u| now < u.until);
        let Some(unsaid) = unsaid.filter(|u| u.deaf.is_none_or(|deaf| deaf == to)) else {
            return bytes;
        };
        let mut frame = Frame::decode(bytes).unwrap();
        frame.items.retain(|item| {
            let of_group = matches!(item, Item::Raft(group, _) if *group == unsaid.group);
            let passes = !of_group || unsaid.after > 0;
            unsaid.after = unsaid.after.saturating_sub(u32::from(of_group));
            passes
        });
        frame.encode().concat().into()
    }

    pub(crate) fn create_on(&mut self, replicas: &[u32]) -> GroupId {
        let deadline = self.now.after(Duration::from_secs(5));
        let topic = meta::NewTopic {
            name: "t".into(),
            id: Uuid::from_random(1, 2),
            placement: meta::Placement::Manual(vec![nodes(replicas)]),
            configs: BTreeMap::new(),
        };
        let command = meta::Command::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        let made = match self.call(1, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::TopicsCreated(made))) => made[0].clone().unwrap(),
            other => panic!("{other:?}"),
        };
        self.run(Duration::from_secs(1));
        made.groups[0]
    }

    pub(crate) fn reassign(&mut self, target: Option<&[u32]>) -> Result<(), Refusal> {
        self.reassign_by(2, target)
    }

    fn reassign_by(&mut self, node: u32, target: Option<&[u32]>) -> Result<(), Refusal> {
        self.reassign_one(node, 0, target)
    }

    fn reassign_one(
        &mut self,
        node: u32,
        partition: u32,
        target: Option<&[u32]>,
    ) -> Result<(), Refusal> {
        let deadline = self.now.after(Duration::from_secs(5));
        let change = Reassignment {
            topic: "t".into(),
            partition: base::Partition(partition),
            target: target.map(nodes),
        };
        let command = meta::Command::Reassign {
            changes: vec![change],
            keep_factor: false,
        };
        match self.call(node, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::Each(mut parts))) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn replicas(&self, group: GroupId) -> (Vec<NodeId>, bool) {
        let image = self.shards[&NodeId(1)].image();
        let info = image.partition(group).unwrap();
        (info.replicas.clone(), info.is_moving())
    }

    /// Where there is a replica, and how far each is.
    fn hosts(&self, group: GroupId) -> Vec<(u32, i64)> {
        let status = |(node, shard): (&NodeId, &Shard)| {
            let status = shard.replica_status(group)?;
            Some((node.0, status.high_watermark.0))
        };
        self.shards.iter().filter_map(status).collect()
    }

    fn write(&mut self, group: GroupId, count: i64) {
        for _ in 0..count {
            let leader = self.leader(group).unwrap();
            self.append(leader, group, one("v")).unwrap();
        }
    }
}

fn one(text: &str) -> Batch {
    let mut builder = Builder::new(7);
    builder.push(7, None, Some(text.as_bytes()), &[]);
    builder.build()
}

#[test]
fn a_partition_moves_with_its_data_and_its_old_replica_goes() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    cluster.write(group, 3);
    cluster.reassign(Some(&[1, 2, 4])).unwrap();
    let (shown, moving) = cluster.replicas(group);
    assert_eq!((shown, moving), (nodes(&[1, 2, 4, 3]), true));
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 2, 4]), false));
    assert_eq!(cluster.hosts(group), [(1, 3), (2, 3), (4, 3)]);
    cluster.write(group, 2);
    // The new replica counts: with it and one more there is a majority.
    let leader = cluster.leader(group).unwrap();
    let other = if leader == 2 { 1 } else { 2 };
    cluster.down.push(NodeId(other));
    cluster.run(Duration::from_secs(2));
    cluster.write(group, 1);
    cluster.down.clear();
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.hosts(group), [(1, 6), (2, 6), (4, 6)]);
}

#[test]
fn a_leader_that_goes_hands_over_and_nothing_is_lost() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    cluster.write(group, 3);
    assert_eq!(cluster.leader(group), Some(1));
    cluster.reassign(Some(&[4, 3])).unwrap();
    cluster.run(Duration::from_secs(4));
    assert_eq!(cluster.replicas(group), (nodes(&[4, 3]), false));
    assert_eq!(cluster.hosts(group), [(3, 3), (4, 3)]);
    cluster.write(group, 2);
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.hosts(group), [(3, 5), (4, 5)]);
}

#[test]
fn a_replica_that_was_removed_comes_back_as_another_one() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    for (round, target) in [&[1, 2, 4], &[1, 2, 3], &[1, 2, 4], &[4, 2, 3]]
        .into_iter()
        .enumerate()
    {
        cluster.write(group, 1);
        cluster.reassign(Some(target)).unwrap();
        cluster.run(Duration::from_secs(3));
        assert_eq!(cluster.replicas(group), (nodes(target), false));
        cluster.run(Duration::from_secs(1));
        let all = cluster.hosts(group);
        let there = all
            .iter()
            .map(|(node, _)| *node)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(there, target.iter().copied().collect());
        assert!(
            all.iter().all(|(_, high)| *high == round as i64 + 1),
            "{all:?}"
        );
    }
}

#[test]
fn a_cancelled_move_leads_back() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    cluster.write(group, 3);
    assert_eq!(cluster.reassign(None), Err(Refusal::NoReassignment));
    // The new replica can't catch up, so the move doesn't end by itself.
    cluster.down.push(NodeId(4));
    cluster.reassign(Some(&[1, 2, 4])).unwrap();
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 2, 4, 3]), true));
    cluster.reassign(None).unwrap();
    assert_eq!(cluster.replicas(group).0, nodes(&[1, 2, 3]));
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 2, 3]), false));
    cluster.down.clear();
    cluster.run(Duration::from_secs(2));
    cluster.write(group, 1);
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.hosts(group), [(1, 4), (2, 4), (3, 4)]);
}

/// Whoever looks at the replicas in sync, to take another node away, must be able to count on them.
#[test]
fn a_replica_that_comes_is_in_sync_once_it_votes() {
    let mut cluster = Cluster::new(5);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    cluster.write(group, 3);
    // The fourth has everything, and waits for the fifth.
    cluster.down.push(NodeId(5));
    cluster.reassign(Some(&[1, 4, 5])).unwrap();
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.hosts(group)[3], (4, 3));
    let in_sync = |cluster: &Cluster| {
        let leader = &cluster.shards[&NodeId(cluster.leader(group).unwrap())];
        leader.replica_status(group).unwrap().in_sync
    };
    assert_eq!(in_sync(&cluster), nodes(&[1, 2, 3]));
    cluster.down.clear();
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 4, 5]), false));
    assert_eq!(in_sync(&cluster), nodes(&[1, 4, 5]));
}

/// A learner isn't asked for its vote, so nobody tells it. As long as it believed in that leader, nobody
/// could be elected without a majority by a controller on its node.
#[test]
fn a_replica_that_comes_believes_in_no_leader_that_stepped_down() {
    let mut cluster = Cluster::new(5);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[1, 2, 3]);
    cluster.write(group, 3);
    cluster.down.push(NodeId(5));
    cluster.reassign(Some(&[1, 4, 5])).unwrap();
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.leader(group), Some(1));
    let believes = |cluster: &Cluster| {
        let learner = &cluster.shards[&NodeId(4)];
        learner.replica_status(group).unwrap().leader.is_some()
    };
    assert!(believes(&cluster));
    cluster.down.extend([NodeId(2), NodeId(3)]);
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.leader(group), None, "it has no majority");
    assert!(!believes(&cluster));
    assert_eq!(cluster.led[&(4, group)], None);
    cluster.down.clear();
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 4, 5]), false));
}

/// Its leader says so once, while the replica is still there.
#[test]
fn a_node_whose_replica_is_over_knows_who_leads() {
    let mut cluster = Cluster::new(4);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[2, 1, 3]);
    cluster.write(group, 3);
    cluster.down.push(NodeId(2));
    cluster.run(Duration::from_secs(2));
    cluster.reassign_by(1, Some(&[1, 3, 4])).unwrap();
    cluster.run(Duration::from_secs(5));
    assert_eq!(cluster.replicas(group), (nodes(&[1, 3, 4]), false));
    cluster.down.clear();
    cluster.run(Duration::from_secs(5));
    assert!(cluster.shards[&NodeId(2)].replica_status(group).is_none());
    let leader = cluster.leader(group).map(NodeId);
    assert!(leader.is_some());
    assert_eq!(cluster.led[&(2, group)], leader);
}

/// The word that the group is where the last aim wants it may still be on its way: then those who go
/// lose their data, so nobody may have led the group back to them.
#[test]
fn a_leader_that_missed_the_last_aim_leads_the_group_nowhere() {
    let mut cluster = Cluster::new(5);
    cluster.run(Duration::from_secs(2));
    let group = cluster.create_on(&[2, 1, 3]);
    cluster.write(group, 1);
    cluster.down.push(NodeId(5));
    cluster.reassign(Some(&[2, 1, 5])).unwrap();
    cluster.down.push(NodeId(2));
    cluster.run(Duration::from_secs(2));
    cluster.reassign_by(4, None).unwrap();
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.replicas(group), (nodes(&[2, 1, 3]), false));
    cluster.unsaid = Some(Unsaid {
        deaf: Some(NodeId(2)),
        ..Unsaid::all_of(GroupId::META, cluster.now.after(Duration::from_secs(5)))
    });
    cluster.down.clear();
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.prefer(4, group), Ok(()));
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.leader(group), Some(2));
    let voters = |cluster: &Cluster| {
        let (there, _) = cluster.shards[&NodeId(2)].configuration(group).unwrap();
        assert!(!there.is_joint() && there.learners.is_empty(), "{there:?}");
        let nodes = there.voters.iter().map(|member| member.node);
        nodes.collect::<std::collections::BTreeSet<_>>()
    };
    let all = nodes(&[1, 2, 3]).into_iter().collect();
    assert_eq!(voters(&cluster), all);
    // Once it knows, it leads on.
    cluster.run(Duration::from_secs(4));
    cluster.reassign(Some(&[2, 1, 5])).unwrap();
    cluster.run(Duration::from_secs(4));
    assert_eq!(cluster.replicas(group), (nodes(&[2, 1, 5]), false));
}

/// Whoever comes may have the entry that gives it a vote and not know that it is committed, while the
/// leader has given up because it heard nothing: whoever campaigns then needs its vote.
#[test]
fn a_move_ends_whenever_its_messages_were_lost() {
    for after in 0..24 {
        let mut cluster = Cluster::new(3);
        cluster.run(Duration::from_secs(2));
        let group = cluster.create_on(&[1]);
        cluster.write(group, 3);
        let until = cluster.now.after(Duration::from_secs(4));
        cluster.unsaid = Some(Unsaid {
            group,
            after,
            until,
            deaf: None,
        });
        cluster.reassign(Some(&[2])).unwrap();
        cluster.run(Duration::from_secs(10));
        let ended = (nodes(&[2]), false);
        assert_eq!(cluster.replicas(group), ended, "after {after} messages");
        assert_eq!(cluster.hosts(group), [(2, 3)], "after {after} messages");
    }
}

/// As many moves as a leader carries out at once wait for a node that died. Whoever gives one of them
/// another aim, or moves something else, doesn't wait for it.
#[test]
fn moves_towards_a_dead_node_keep_no_others_waiting() {
    let mut c = Cluster::new(5);
    c.run(Duration::from_secs(2));
    let count = base::limits::MOVES_AT_ONCE as u32 + 4;
    let placed = vec![nodes(&[1, 2, 3]); count as usize];
    let first = c.create_placed(1, meta::Placement::Manual(placed));
    c.run(Duration::from_secs(1));
    c.down.push(NodeId(4));
    c.run(Duration::from_secs(2));
    for partition in 0..count - 1 {
        assert_eq!(c.reassign_one(2, partition, Some(&[1, 2, 4])), Ok(()));
    }
    c.run(Duration::from_secs(2));
    let replicas =
        |c: &Cluster, partition: u32| c.replicas(GroupId(first.0 + u64::from(partition)));
    for partition in [0, count - 1] {
        assert_eq!(c.reassign_one(2, partition, Some(&[1, 2, 5])), Ok(()));
        c.run(Duration::from_secs(5));
        assert_eq!(replicas(&c, partition), (nodes(&[1, 2, 5]), false));
    }
    c.down.clear();
    c.run(Duration::from_secs(10));
    for partition in 1..count - 1 {
        assert_eq!(replicas(&c, partition), (nodes(&[1, 2, 4]), false));
    }
}
