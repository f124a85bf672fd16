//! A little cluster around the machine: messages wait in a bag and are delivered in the order of
//! a seed; nodes crash between any two steps and keep only what was persisted.

use super::*;
use base::Random;

struct Node {
    machine: Formation,
    incarnation: Uuid,
    stored: Option<Cluster>,
}

enum Message {
    Hello {
        from: NodeId,
        to: NodeId,
    },
    Form {
        from: NodeId,
        to: NodeId,
        cluster: Cluster,
    },
}

struct World {
    random: Random,
    ids: Vec<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    bag: Vec<Message>,
    refused: Vec<String>,
}

impl World {
    fn new(seed: u64, ids: &[u32]) -> World {
        let ids: Vec<NodeId> = ids.iter().copied().map(NodeId).collect();
        let mut world = World {
            random: Random::new(seed),
            ids: ids.clone(),
            nodes: BTreeMap::new(),
            bag: Vec::new(),
            refused: Vec::new(),
        };
        for id in ids {
            world.erase(id);
        }
        world
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_random(self.random.next(), self.random.next())
    }

    /// Starts a node on an empty directory.
    fn erase(&mut self, id: NodeId) {
        let incarnation = self.uuid();
        self.start(id, incarnation, None);
    }

    /// Starts a node again on what it has stored.
    fn crash(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let (incarnation, stored) = (node.incarnation, node.stored.clone());
        self.start(id, incarnation, stored);
    }

    fn start(&mut self, id: NodeId, incarnation: Uuid, stored: Option<Cluster>) {
        let named = self
            .ids
            .iter()
            .map(|n| (*n, format!("host{n}:1")))
            .collect();
        let chosen = self.uuid();
        let machine = Formation::new(id, incarnation, named, stored.clone(), chosen);
        self.nodes.insert(
            id,
            Node {
                machine,
                incarnation,
                stored,
            },
        );
        for other in self.ids.clone() {
            if other != id && self.nodes.contains_key(&other) {
                self.feed(other, Event::Silent(id));
            }
        }
        let actions = self
            .nodes
            .get_mut(&id)
            .expect("just put in")
            .machine
            .start();
        self.carry_out(id, actions);
    }

    fn feed(&mut self, id: NodeId, event: Event) {
        let actions = self.nodes.get_mut(&id).expect("known").machine.on(event);
        self.carry_out(id, actions);
    }

    fn carry_out(&mut self, id: NodeId, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Persist(cluster) => {
                    let node = self.nodes.get_mut(&id).expect("known");
                    assert_eq!(node.stored, None, "a directory changed its cluster");
                    node.stored = Some(cluster);
                    if self.random.percent(20) {
                        return self.crash(id);
                    }
                    self.feed(id, Event::Persisted);
                }
                Action::Form(to, cluster) => {
                    self.bag.push(Message::Form {
                        from: id,
                        to,
                        cluster,
                    });
                }
                Action::Acknowledge(to) => {
                    assert!(
                        self.nodes[&id].stored.is_some(),
                        "acknowledged before it is durable"
                    );
                    self.feed(to, Event::Acknowledged(id));
                }
                Action::Refuse(_, why) => self.refused.push(why),
                Action::Report(_) => {}
            }
        }
    }

    fn hello(&mut self, from: NodeId, to: NodeId) {
        let node = &self.nodes[&from];
        let event = Event::Heard {
            from,
            incarnation: node.incarnation,
            cluster: node.machine.cluster().map(|c| c.id),
        };
        self.feed(to, event);
    }

    /// Delivers, loses, crashes, until nothing is left to deliver.
    fn run(&mut self, faults: bool) {
        for from in self.ids.clone() {
            for to in self.ids.clone() {
                if from != to {
                    self.bag.push(Message::Hello { from, to });
                }
            }
        }
        while !self.bag.is_empty() {
            let at = self.random.below(self.bag.len() as u64) as usize;
            let message = self.bag.swap_remove(at);
            if faults && self.random.percent(30) {
                continue;
            }
            match message {
                Message::Hello { from, to } => self.hello(from, to),
                Message::Form { from, to, cluster } => self.feed(to, Event::Form { from, cluster }),
            }
            if faults && self.random.percent(10) {
                let at = self.random.below(self.ids.len() as u64) as usize;
                self.crash(self.ids[at]);
            }
        }
    }

    fn clusters(&self) -> Vec<Option<Uuid>> {
        self.nodes
            .values()
            .map(|n| n.machine.cluster().map(|c| c.id))
            .collect()
    }

    fn one_cluster(&self) -> Option<Uuid> {
        let clusters = self.clusters();
        let first = clusters[0]?;
        clusters.iter().all(|c| *c == Some(first)).then_some(first)
    }
}

#[test]
fn a_single_node_forms_at_once() {
    let world = World::new(1, &[7]);
    let formed = world.nodes[&NodeId(7)]
        .machine
        .cluster()
        .or(world.nodes[&NodeId(7)].stored.as_ref());
    let cluster = formed.expect("nobody to wait for");
    assert_eq!(cluster.voters.len(), 1);
    assert_eq!(
        cluster.voters[0].incarnation,
        world.nodes[&NodeId(7)].incarnation
    );
}

#[test]
fn in_any_order_all_end_up_in_one_cluster() {
    for seed in 0..300 {
        let mut world = World::new(seed, &[2, 5, 9]);
        for _ in 0..4 {
            world.run(false);
        }
        assert!(
            world.one_cluster().is_some(),
            "seed {seed}: {:?}",
            world.clusters()
        );
        assert_eq!(world.refused, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn losses_and_crashes_delay_but_never_divide() {
    for seed in 0..500 {
        let mut world = World::new(seed, &[1, 2, 3, 4, 5]);
        for _ in 0..6 {
            world.run(true);
            let known: BTreeSet<Uuid> = world.clusters().into_iter().flatten().collect();
            assert!(known.len() <= 1, "seed {seed}: two clusters of one list");
        }
        for _ in 0..4 {
            world.run(false);
        }
        assert!(
            world.one_cluster().is_some(),
            "seed {seed}: {:?}",
            world.clusters()
        );
    }
}

#[test]
fn nothing_is_formed_before_the_last_one_has_spoken() {
    let mut world = World::new(1, &[1, 2, 3]);
    let (one, two, three) = (NodeId(1), NodeId(2), NodeId(3));
    for (from, to) in [(two, one), (one, two), (two, three), (one, three)] {
        world.hello(from, to);
    }
    assert_eq!(world.clusters(), [None, None, None]);
    let waits = world.nodes[&one]
        .machine
        .waits_for()
        .expect("node 3 is missing");
    assert!(waits.contains("node 3"), "{waits}");
    // It spoke, but vanished before the others did: its word doesn't hold any more.
    world.hello(three, one);
    assert!(world.nodes[&one].stored.is_some());
    let mut world = World::new(1, &[1, 2, 3]);
    world.hello(three, one);
    world.feed(one, Event::Silent(three));
    world.hello(two, one);
    assert_eq!(world.clusters(), [None, None, None]);
}

#[test]
fn a_member_passes_the_news_on_when_the_one_that_chose_is_gone() {
    let named: BTreeMap<NodeId, String> = (1..=3).map(|n| (NodeId(n), String::new())).collect();
    let voters = (1..=3).map(|n| Voter {
        node: NodeId(n),
        incarnation: Uuid([n as u8; 16]),
        address: String::new(),
    });
    let cluster = Cluster {
        id: Uuid([9; 16]),
        voters: voters.collect(),
    };
    let formed = Some(cluster.clone());
    let mut two = Formation::new(NodeId(2), Uuid([2; 16]), named, formed, Uuid([7; 16]));
    let heard = Event::Heard {
        from: NodeId(3),
        incarnation: Uuid([3; 16]),
        cluster: None,
    };
    assert_eq!(two.on(heard), [Action::Form(NodeId(3), cluster)]);
}

#[test]
fn an_erased_node_waits_and_says_so_and_the_cluster_reports_it_once() {
    let mut world = World::new(3, &[1, 2, 3]);
    for _ in 0..4 {
        world.run(false);
    }
    let cluster = world.one_cluster().expect("formed");
    world.erase(NodeId(3));
    for _ in 0..3 {
        world.run(false);
    }
    let erased = &world.nodes[&NodeId(3)];
    assert_eq!(erased.stored, None);
    let waits = erased.machine.waits_for().expect("it waits");
    assert!(waits.contains(&cluster.to_string()), "{waits}");
    assert!(waits.contains(&erased.incarnation.to_string()), "{waits}");
    let hello = Event::Heard {
        from: NodeId(3),
        incarnation: Uuid([3; 16]),
        cluster: None,
    };
    let one = &mut world.nodes.get_mut(&NodeId(1)).expect("known").machine;
    assert!(matches!(&one.on(hello.clone())[..], [Action::Report(_)]));
    assert_eq!(one.on(hello), []);
}

#[test]
fn the_lowest_node_erased_does_not_form_a_second_cluster() {
    let mut world = World::new(5, &[1, 2, 3]);
    for _ in 0..4 {
        world.run(false);
    }
    world.erase(NodeId(1));
    for _ in 0..3 {
        world.run(false);
    }
    assert_eq!(world.nodes[&NodeId(1)].stored, None);
}

#[test]
fn different_lists_of_peers_are_refused_with_both_lists() {
    let named = |ids: &[u32]| -> BTreeMap<NodeId, String> {
        ids.iter().map(|n| (NodeId(*n), String::new())).collect()
    };
    let mine = Uuid([3; 16]);
    let mut three = Formation::new(NodeId(3), mine, named(&[1, 2, 3]), None, Uuid([8; 16]));
    let voter = |n: u32| Voter {
        node: NodeId(n),
        incarnation: Uuid([n as u8; 16]),
        address: String::new(),
    };
    let news = Cluster {
        id: Uuid([9; 16]),
        voters: vec![voter(1), voter(3)],
    };
    let event = Event::Form {
        from: NodeId(1),
        cluster: news,
    };
    let actions = three.on(event.clone());
    let [Action::Refuse(NodeId(1), why), Action::Report(_)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert!(
        why.contains("nodes 1, 3") && why.contains("1, 2, 3"),
        "{why}"
    );
    assert_eq!(three.cluster(), None);
    // Said again it isn't news; asked for health it says so as long as that node is there.
    assert_eq!(three.on(event), [Action::Refuse(NodeId(1), why.clone())]);
    assert_eq!(three.waits_for().as_ref(), Some(why));
    three.on(Event::Silent(NodeId(1)));
    let waits = three.waits_for().expect("it waits");
    assert!(waits.contains("the first word of node 1, 2"), "{waits}");
}
