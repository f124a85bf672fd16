//! A node that joins: it follows the metadata, gets replicas, and never has a say in group 0.

use super::*;
use meta::Home;

impl Cluster {
    fn introduce(&mut self, home: Home) -> Result<u32, Refusal> {
        let command = meta::Command::IntroduceNode {
            node: NodeId(4),
            home,
            joins: true,
        };
        let deadline = self.now.after(Duration::from_secs(5));
        match self.call(2, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::Introduced(outcome))) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn start_joined(&mut self, home: Home) {
        let mut settings = self.settings(NodeId(4), 3, 100);
        settings.home = Some(home);
        let recovered = Recovered {
            next_turn: 1,
            ..Recovered::default()
        };
        let shard = Shard::new(settings, recovered, self.now());
        self.shards.insert(NodeId(4), shard);
    }
}

fn home(directory: u8, generation: u32) -> Home {
    Home {
        address: "h:4".into(),
        directory: Uuid([directory; 16]),
        release: "1".into(),
        generation,
    }
}

#[test]
fn a_node_that_joins_follows_the_metadata_and_gets_replicas() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    assert_eq!(c.introduce(home(1, 0)), Ok(1));
    c.introduce(home(2, 0)).expect_err("its number is taken");
    c.start_joined(home(1, 1));
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
