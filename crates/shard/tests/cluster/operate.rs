//! What operators ask of a few shards: other leaders, more partitions, how the controller stands.

use super::*;

impl Cluster {
    fn controller(&mut self, node: u32, command: meta::Command) -> meta::Reply {
        let deadline = self.now.after(Duration::from_secs(5));
        match self.call(node, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn configure(
        &mut self,
        kind: meta::ResourceKind,
        name: &str,
        key: &str,
        value: &str,
    ) {
        let change = meta::ConfigChange {
            resource: meta::Resource::new(kind, name),
            replace: false,
            edits: vec![(key.into(), meta::Edit::Set(value.into()))],
        };
        let command = meta::Command::AlterConfigs {
            changes: vec![change],
            validate_only: false,
        };
        let changed = self.controller(1, command);
        assert_eq!(changed, meta::Reply::Each(vec![Ok(())]));
    }

    /// Makes a call under a ticket and doesn't wait for its answer.
    pub(crate) fn post(&mut self, ticket: u64, node: u32, command: Command) {
        let sink = self.inbox.clone();
        let to = ReplyTo { sink, ticket };
        self.event(NodeId(node), Event::Command(command, Some(to)));
    }

    pub(crate) fn prefer(&mut self, node: u32, group: GroupId) -> Result<(), Refusal> {
        let deadline = self.now.after(Duration::from_millis(150));
        let groups = vec![group];
        let command = Command::Prefer {
            groups,
            unclean: false,
            deadline,
        };
        match self.call(node, command) {
            Reply::Preferred(mut parts) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

/// Whoever is asked: the node that leads hands over, and the answer waits until that is seen.
#[test]
fn the_preferred_replica_leads_again_when_somebody_asks_for_it() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let preferred = c.shards[&NodeId(1)]
        .image()
        .partition(group)
        .unwrap()
        .replicas[0]
        .0;
    let needless = c.prefer(1, group);
    assert!(
        matches!(needless, Err(Refusal::ElectionNotNeeded(_))),
        "{needless:?}"
    );

    c.down = vec![NodeId(preferred)];
    c.run(Duration::from_secs(2));
    let leader = c.leader(group).expect("another one leads meanwhile");
    assert_ne!(leader, preferred);
    let away = c.prefer(leader, group);
    assert!(
        matches!(away, Err(Refusal::PreferredLeaderNotAvailable(_))),
        "{away:?}"
    );

    c.down.clear();
    c.run(Duration::from_secs(2));
    assert_eq!(c.leader(group), Some(leader), "nobody moves unasked");
    let third = (1..=3).find(|n| *n != leader && *n != preferred).unwrap();
    assert_eq!(c.prefer(third, group), Ok(()));
    assert_eq!(c.leader(group), Some(preferred));
}

/// It has to catch up before it can lead; nobody is to wait for that.
#[test]
fn a_preferred_replica_that_is_behind_is_not_available() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let image = c.shards[&NodeId(1)].image();
    let preferred = image.partition(group).unwrap().replicas[0];
    c.down = vec![preferred];
    c.run(Duration::from_secs(2));
    let leader = c.leader(group).expect("another one leads meanwhile");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    c.unsaid = Some(reassign::Unsaid::all_of(
        group,
        c.now.after(Duration::from_secs(10)),
    ));
    c.down.clear();
    c.run(Duration::from_secs(2));
    let behind = c.prefer(leader, group);
    assert!(
        matches!(behind, Err(Refusal::PreferredLeaderNotAvailable(_))),
        "{behind:?}"
    );
    c.unsaid = None;
    c.run(Duration::from_secs(2));
    assert_eq!(c.prefer(leader, group), Ok(()));
    assert_eq!(c.leader(group), Some(preferred.0));
}

#[test]
fn new_partitions_are_led_and_changed_settings_hold_at_once() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.create_topic(1);
    let topics = vec![meta::MorePartitions {
        topic: "t".into(),
        count: 3,
        assignment: None,
    }];
    let grown = c.controller(
        2,
        meta::Command::AddPartitions {
            topics,
            validate_only: false,
        },
    );
    assert_eq!(grown, meta::Reply::Each(vec![Ok(())]));
    c.run(Duration::from_secs(1));
    let image = c.shards[&NodeId(3)].image();
    let groups: Vec<_> = image
        .topic("t")
        .unwrap()
        .partitions
        .iter()
        .map(|p| p.group)
        .collect();
    assert_eq!(groups.len(), 3);
    let leader = c.leader(groups[2]).expect("a new partition is led");
    assert_eq!(c.append(leader, groups[2], batch(1, 0, "a")), Ok(Offset(0)));

    c.configure(
        meta::ResourceKind::Topic,
        "t",
        "message.timestamp.type",
        "LogAppendTime",
    );
    c.run(Duration::from_secs(1));
    let append = Command::Append {
        acks: Acks::All,
        deadline: c.now.after(Duration::from_secs(1)),
        parts: vec![AppendPart {
            group: groups[2],
            batch: batch(1, 1, "b"),
        }],
    };
    match c.call(leader, append) {
        Reply::Appended(parts) => assert!(parts[0].as_ref().unwrap().append_time.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_controllers_group_tells_how_it_stands_through_any_node() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.create_topic(1);
    c.run(Duration::from_secs(1));
    for node in 1..=3 {
        let meta::Reply::Quorum(quorum) = c.controller(node, meta::Command::DescribeQuorum) else {
            panic!("another answer");
        };
        assert_eq!(Some(quorum.leader.0), c.leader(GroupId::META));
        assert_eq!(quorum.voters.len(), 3);
        let whole = |v: &meta::QuorumMember| v.matched == quorum.committed && v.heard.is_some();
        assert!(quorum.voters.iter().all(whole), "{quorum:?}");
    }
}

/// Whoever speaks to a leader that hands over is told where to go, not that it isn't known.
#[test]
fn clients_of_a_node_that_leaves_are_sent_to_the_new_leader() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    let deadline = c.now.after(Duration::from_secs(10));
    let part = ReadPart {
        group,
        offset: Offset(1),
        bytes_max: 1 << 20,
        leader_epoch: None,
        last_fetched_epoch: None,
    };
    let read = Command::Read {
        bytes_min: 1,
        bytes_max: 1 << 20,
        deadline,
        parts: vec![part],
    };
    let append = |sequence| Command::Append {
        acks: Acks::All,
        deadline,
        parts: vec![AppendPart {
            group,
            batch: batch(1, sequence, "b"),
        }],
    };
    // One waits for its commit, one comes when the leader hands over already.
    c.post(1_000, leader, read);
    c.post(1_001, leader, append(1));
    c.event(NodeId(leader), Event::Drain);
    c.post(1_002, leader, append(2));
    c.run(Duration::from_millis(100));
    let next = c.leader(group).expect("another leader");
    assert_ne!(next, leader);
    let mut inbox = c.inbox.0.lock().unwrap();
    let told = |refusal: &Refusal| matches!(refusal, Refusal::NotLeader { leader: Some((n, _)) } if n.0 == next);
    match inbox.remove(&1_000) {
        Some(Reply::Read(parts)) => match &parts[0] {
            Ok(answer) => assert_eq!(answer.high_watermark, Offset(2), "it was committed first"),
            Err(refusal) => assert!(told(refusal), "{refusal:?}"),
        },
        other => panic!("the read: {other:?}"),
    }
    match inbox.remove(&1_001) {
        Some(Reply::Appended(parts)) => match &parts[0] {
            Ok(appended) => assert_eq!(appended.base_offset, Offset(1)),
            Err(refusal) => assert!(told(refusal), "{refusal:?}"),
        },
        other => panic!("the first append: {other:?}"),
    }
    match inbox.remove(&1_002) {
        Some(Reply::Appended(parts)) => assert!(told(parts[0].as_ref().unwrap_err())),
        other => panic!("the second append: {other:?}"),
    }
}

/// A leader that hears from nobody doesn't keep its callers for ever.
#[test]
fn a_produce_that_meets_no_leader_is_refused_after_a_moment() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    c.down = (1..=3).map(NodeId).filter(|n| n.0 != leader).collect();
    c.run(Duration::from_secs(3));
    let refused = c.append(leader, group, batch(1, 0, "a"));
    assert_eq!(refused, Err(Refusal::NotLeader { leader: None }));
}

/// Nodes ask for two copies of everything, and somebody makes a topic with one replica on purpose.
#[test]
fn a_topic_of_one_replica_is_written_to_whatever_number_of_copies_it_wants() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let topic = meta::NewTopic {
        name: "single".into(),
        id: base::Uuid::from_random(3, 4),
        placement: meta::Placement::Spread {
            partitions: Some(1),
            replicas: Some(1),
        },
        configs: [("min.insync.replicas".to_owned(), "2".to_owned())].into(),
    };
    let made = c.controller(
        1,
        meta::Command::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        },
    );
    let meta::Reply::TopicsCreated(made) = made else {
        panic!("{made:?}");
    };
    let group = made[0].clone().unwrap().groups[0];
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("its one replica leads");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
}

/// Whoever is asked, with a replica or without: the answer comes with the first leader, or says that there is
/// none in time.
#[test]
fn the_first_leader_of_a_group_is_waited_for() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let placement = meta::Placement::Manual(vec![vec![NodeId(1)]]);
    let group = c.create_placed(1, placement);
    for node in 1..=3 {
        let deadline = c.now.after(Duration::from_millis(150));
        let told = c.call(node, Command::AwaitLeader { group, deadline });
        assert!(matches!(told, Reply::Led(Ok(()))), "{node}: {told:?}");
    }
    let (deadline, unknown) = (c.now.after(Duration::from_millis(150)), GroupId(999));
    let command = Command::AwaitLeader {
        group: unknown,
        deadline,
    };
    let told = c.call(2, command);
    let late = matches!(told, Reply::Led(Err(Refusal::Timeout)));
    assert!(late, "{told:?}");
}
