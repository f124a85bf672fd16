//! Nodes that join: they follow the metadata, get replicas, and a say in group 0 where that is due.

use super::*;
use meta::Home;

impl Cluster {
    fn introduce(&mut self, by: u32, node: u32, home: Home) -> Result<u32, Refusal> {
        let command = meta::Command::IntroduceNode {
            node: NodeId(node),
            home,
            joins: true,
        };
        let deadline = self.now.after(Duration::from_secs(5));
        match self.call(by, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::Introduced(outcome))) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn start_joined(&mut self, node: u32, founders: u32, home: Home) {
        let mut settings = self.settings(NodeId(node), founders, 100);
        settings.home = Some(home);
        let recovered = Recovered {
            next_turn: 1,
            ..Recovered::default()
        };
        let shard = Shard::new(settings, recovered, self.now());
        self.begin(NodeId(node), shard);
    }

    fn join(&mut self, by: u32, node: u32, founders: u32) {
        let directory = node as u8;
        assert_eq!(self.introduce(by, node, home(directory, 0)), Ok(1));
        self.start_joined(node, founders, home(directory, 1));
    }

    pub(crate) fn cordon(&mut self, by: u32, node: u32) {
        let change = meta::ConfigChange {
            resource: meta::Resource::new(meta::ResourceKind::Node, node.to_string()),
            edits: vec![(meta::CORDONED.into(), meta::Edit::Set("*".into()))],
            replace: false,
        };
        let command = meta::Command::AlterConfigs {
            changes: vec![change],
            validate_only: false,
        };
        assert_eq!(self.ask_meta(by, command), meta::Reply::Each(vec![Ok(())]));
    }

    fn unregister(&mut self, by: u32, node: u32) -> Result<(), Refusal> {
        let node = NodeId(node);
        let generation = self.shards[&NodeId(by)].image().last_of(node);
        match self.ask_meta(by, meta::Command::UnregisterNode { node, generation }) {
            meta::Reply::Each(mut parts) => parts.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn ask_meta(&mut self, by: u32, command: meta::Command) -> meta::Reply {
        let deadline = self.now.after(Duration::from_secs(5));
        match self.call(by, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Who votes on metadata, as a node knows.
    fn controllers(&self, node: u32) -> Vec<u32> {
        let known = self.shards[&NodeId(node)].configuration(GroupId::META);
        let (configuration, _) = known.expect("group 0 is everywhere");
        let mut voters: Vec<u32> = configuration.electors().map(|m| m.node.0).collect();
        voters.sort_unstable();
        voters
    }
}

fn home(directory: u8, generation: u32) -> Home {
    Home {
        address: format!("h:{directory}"),
        directory: Uuid([directory; 16]),
        release: "1".into(),
        generation,
    }
}

#[test]
fn a_node_that_joins_follows_the_metadata_and_gets_replicas() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    assert_eq!(c.introduce(2, 4, home(1, 0)), Ok(1));
    c.introduce(2, 4, home(2, 0))
        .expect_err("its number is taken");
    c.start_joined(4, 3, home(1, 1));
    c.run(Duration::from_secs(2));
    let image = c.shards[&NodeId(4)].image();
    assert_eq!(image.nodes.len(), 4, "it registered, and knows that");

    let everywhere = meta::Placement::Manual(vec![[4, 1, 2, 3].map(NodeId).to_vec()]);
    let group = c.create_placed(2, everywhere);
    c.run(Duration::from_secs(1));
    assert_eq!(c.leader(group), Some(4), "the preferred leader leads");
    assert_eq!(c.append(4, group, batch(1, 0, "a")), Ok(Offset(0)));

    // Two of the three that vote on metadata are away: the one that joined is no third.
    let controller = c.leader(GroupId::META).expect("a controller");
    c.down = (1..=3).filter(|n| *n != controller).map(NodeId).collect();
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(GroupId::META), None);
    c.down.clear();
    c.run(Duration::from_secs(2));
    assert_ne!(c.leader(GroupId::META), Some(4));
    assert!(c.leader(GroupId::META).is_some());
}

#[test]
fn two_that_join_one_node_vote_with_it_and_go_on_without_it() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_secs(1));
    c.join(1, 2, 1);
    c.run(Duration::from_secs(2));
    assert_eq!(c.controllers(1), [1], "two of two would be a weaker one");
    c.join(1, 3, 1);
    c.run(Duration::from_secs(2));
    for node in 1..=3 {
        assert_eq!(c.controllers(node), [1, 2, 3]);
    }
    c.down.push(NodeId(1));
    c.run(Duration::from_secs(3));
    let heir = c.leader(GroupId::META).expect("a controller");
    assert_ne!(heir, 1);
    c.cordon(heir, 1);
    c.run(Duration::from_secs(1));
    assert_eq!(c.controllers(heir), [2, 3]);

    // The first one is back: it is told, campaigns no more, and is let go.
    c.down.clear();
    c.run(Duration::from_secs(2));
    assert_eq!(c.controllers(1), [2, 3]);
    assert_ne!(c.leader(GroupId::META), Some(1));
}

#[test]
fn a_voter_that_is_lost_is_replaced_and_forgotten() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    c.join(1, 4, 3);
    c.run(Duration::from_secs(2));
    assert_eq!(c.controllers(4), [1, 2, 3]);
    let lost = c.leader(GroupId::META).expect("a controller");
    c.down.push(NodeId(lost));
    c.run(Duration::from_secs(3));
    let heir = c.leader(GroupId::META).expect("another one");
    let why = c.unregister(heir, lost).expect_err("its vote counts");
    assert!(why.to_string().contains("votes on"), "{why}");
    assert_eq!(c.controllers(heir), [1, 2, 3], "it may come back");

    c.cordon(heir, lost);
    c.run(Duration::from_secs(1));
    let stay: Vec<u32> = (1..=4).filter(|node| *node != lost).collect();
    assert_eq!(c.controllers(4), stay);
    assert_eq!(c.unregister(heir, lost), Ok(()));

    // Another two may now not be there at once, but any one.
    c.down.push(NodeId(heir));
    c.run(Duration::from_secs(3));
    let third = c
        .leader(GroupId::META)
        .expect("a majority of those who vote now");
    c.down.retain(|node| node.0 != heir);
    // What was lost comes back as it was: nobody follows it, and it leads nothing.
    c.down.clear();
    c.run(Duration::from_secs(3));
    let image = c.shards[&NodeId(third)].image();
    assert!(image.has_left(NodeId(lost)));
    assert!(c.leader(GroupId::META).is_some_and(|leader| leader != lost));
    assert_eq!(c.controllers(third), stay);
}

/// It comes back with an empty disk, under its number, and nothing was moved away.
#[test]
fn a_node_that_lost_its_disk_gets_its_replicas_and_its_vote_anew() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    c.down.push(NodeId(3));
    c.run(Duration::from_secs(3));
    let controller = c.leader(GroupId::META).expect("two of three");
    c.cordon(controller, 3);
    c.run(Duration::from_secs(1));
    let why = c
        .unregister(controller, 3)
        .expect_err("it may be back in a moment");
    assert!(why.to_string().contains("has 1 replica"), "{why}");
    c.run(base::limits::UNCLEAN_PATIENCE);
    assert_eq!(c.unregister(controller, 3), Ok(()));

    let old = c.introduce(controller, 3, home(3, 0));
    assert_eq!(old, Ok(2), "what it was is over");
    c.down.clear();
    c.start_joined(3, 3, home(3, 2));
    c.run(Duration::from_secs(5));
    let status = c.shards[&NodeId(3)]
        .replica_status(group)
        .expect("it has it again");
    assert_eq!((status.high_watermark, status.suspect), (Offset(1), None));
    assert!(status.member.incarnation > 0, "another member");
    for node in 1..=3 {
        assert_eq!(c.controllers(node), [1, 2, 3]);
        assert!(
            !c.shards[&NodeId(node)]
                .image()
                .partition(group)
                .unwrap()
                .is_moving()
        );
    }
    // Its copy counts again.
    c.down.push(NodeId(if leader == 1 { 2 } else { 1 }));
    c.run(Duration::from_secs(3));
    let leader = c.leader(group).expect("two of three");
    assert_eq!(c.append(leader, group, batch(1, 1, "b")), Ok(Offset(1)));
}

/// More partitions than their leader brings new replicas into at once: those that wait have the lost
/// replica among their voters, and its node is heard again.
#[test]
fn who_lost_its_disk_is_in_sync_once_it_has_what_it_lost() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let everywhere = [1, 2, 3].map(NodeId).to_vec();
    let partitions = 3 * base::limits::MOVES_AT_ONCE;
    let first = c.create_placed(1, meta::Placement::Manual(vec![everywhere; partitions]));
    let groups: Vec<_> = (0..partitions as u64)
        .map(|n| GroupId(first.0 + n))
        .collect();
    c.run(Duration::from_secs(1));
    for group in &groups {
        assert_eq!(c.append(1, *group, batch(1, 0, "a")), Ok(Offset(0)));
    }
    c.down.push(NodeId(3));
    c.run(Duration::from_secs(3));
    let controller = c.leader(GroupId::META).expect("two of three");
    c.cordon(controller, 3);
    c.run(base::limits::UNCLEAN_PATIENCE);
    assert_eq!(c.unregister(controller, 3), Ok(()));
    assert_eq!(c.introduce(controller, 3, home(3, 0)), Ok(2));
    c.down.clear();
    c.start_joined(3, 3, home(3, 2));
    let status = |c: &Cluster, node, group| c.shards[&NodeId(node)].replica_status(group);
    let in_sync = |c: &Cluster, group| {
        let leads = status(c, 1, group).expect("it leads");
        leads.in_sync.contains(&NodeId(3))
    };
    for _ in 0..500 {
        c.run(Duration::from_millis(10));
        for group in &groups {
            let has = status(&c, 3, *group).is_some_and(|s| s.end_offset == Offset(1));
            assert!(has || !in_sync(&c, *group), "{group} has lost it");
        }
    }
    assert!(groups.iter().all(|group| in_sync(&c, *group)));
}

#[test]
fn a_lost_node_without_which_something_is_lost_is_not_forgotten() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let two = meta::Placement::Manual(vec![vec![NodeId(1), NodeId(3)]]);
    c.create_placed(1, two);
    c.down.push(NodeId(3));
    c.run(Duration::from_secs(3));
    let controller = c.leader(GroupId::META).expect("two of three");
    c.cordon(controller, 3);
    c.run(base::limits::UNCLEAN_PATIENCE);
    let why = c
        .unregister(controller, 3)
        .expect_err("one of two is no majority");
    assert!(why.to_string().contains("has no majority then"), "{why}");
}
