//! Groups of KIP-848 under random commands. After each step no partition has two holders, in the
//! group's records and among the clients that are members; at the end, when everybody is heard of
//! for a while, everybody holds its target, every partition is somebody's, and heartbeats write
//! nothing any more. A change of leaders at any point checks that replay and compaction lose
//! nothing.

use super::world::{HOST, World};
use crate::command::*;
use crate::groups::Group;
use crate::reply::ConsumerBeat;
use crate::{Caller, Config, Reply, Topics};
use base::{Refusal, Uuid};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const TOPICS: [&str; 3] = ["a", "ab", "b"];
const REGEXES: [&str; 4] = ["", "a.*", "b|ab", ".*"];
const ASSIGNORS: [&str; 2] = ["uniform", "range"];
const GROUP: &str = "g";

/// What happens next; `at` says to which client.
#[derive(Clone, Debug)]
enum Step {
    /// It joins, if it isn't a member: with these topics and so on.
    Join {
        at: usize,
        topics: u8,
        regex: usize,
        fixed: bool,
        assignor: Option<usize>,
    },
    /// It says that it is alive; the answer may get lost.
    Beat {
        at: usize,
        lost: bool,
    },
    /// It gives up what it was told to, or that only partly.
    GiveUp {
        at: usize,
    },
    /// It wants other topics.
    Change {
        at: usize,
        topics: u8,
        regex: usize,
    },
    /// It leaves.
    Leave {
        at: usize,
        for_a_while: bool,
    },
    /// It is never heard of again.
    Die {
        at: usize,
    },
    Topic {
        at: usize,
        partitions: u32,
    },
    NoTopic {
        at: usize,
    },
    Wait {
        ms: u64,
    },
    FailOver,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..4usize;
    let (topics, regex) = (0..8u8, prop_oneof![3 => Just(0), 1 => 0..REGEXES.len()]);
    let assignor = proptest::option::weighted(0.3, 0..2usize);
    prop_oneof![
        4 => (at.clone(), topics.clone(), regex.clone(), any::<bool>(), assignor)
            .prop_map(|(at, topics, regex, fixed, assignor)| Step::Join {
                at, topics, regex, fixed, assignor,
            }),
        12 => (at.clone(), prop::bool::weighted(0.15)).prop_map(|(at, lost)| Step::Beat { at, lost }),
        6 => at.clone().prop_map(|at| Step::GiveUp { at }),
        2 => (at.clone(), topics, regex)
            .prop_map(|(at, topics, regex)| Step::Change { at, topics, regex }),
        1 => (at.clone(), any::<bool>())
            .prop_map(|(at, for_a_while)| Step::Leave { at, for_a_while }),
        1 => at.prop_map(|at| Step::Die { at }),
        1 => (0..3usize, 1..6u32).prop_map(|(at, partitions)| Step::Topic { at, partitions }),
        1 => (0..3usize).prop_map(|at| Step::NoTopic { at }),
        3 => (0..12_000u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::FailOver),
    ]
}

type Places = BTreeSet<(Uuid, i32)>;

/// A client as it should be: it reads what it holds, and gives up what it is told to.
#[derive(Clone, Debug, Default)]
struct Client {
    id: String,
    instance: Option<String>,
    epoch: i32,
    member: bool,
    topics: Vec<String>,
    regex: String,
    assignor: Option<String>,
    /// What it was told to hold.
    told: Places,
    /// What it does hold.
    held: Places,
    /// Its last answer got lost, so it says everything and asks to be told everything.
    unsure: bool,
}

struct Clients {
    world: World,
    clients: Vec<Client>,
    next: Caller,
    made: usize,
}

fn names(mask: u8) -> Vec<String> {
    let names = (0..TOPICS.len()).filter(|bit| mask & (1 << bit) != 0);
    names.map(|bit| TOPICS[bit].to_owned()).collect()
}

fn parts(places: &Places) -> Vec<TopicPartitions> {
    let mut parts: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in places {
        parts.entry(*topic).or_default().push(*partition);
    }
    let part = |(topic, partitions)| TopicPartitions { topic, partitions };
    parts.into_iter().map(part).collect()
}

impl Clients {
    fn new() -> Clients {
        let mut world = World::new(Config::default());
        world.topics.put("a", 3, Vec::new());
        world.topics.put("ab", 2, Vec::new());
        Clients {
            world,
            clients: vec![Client::default(); 4],
            next: HOST + 1,
            made: 0,
        }
    }

    /// Asks; how many records that made, and the answer.
    fn ask(&mut self, beat: ConsumerHeartbeat) -> (usize, Result<ConsumerBeat, Refusal>) {
        let caller = self.next;
        self.next += 1;
        let mut decision = self.world.ask(caller, Command::ConsumerHeartbeat(beat));
        match decision.replies.pop() {
            Some((_, Reply::ConsumerHeartbeat(answer))) => (decision.records.len(), answer),
            other => panic!("{other:?} is no answer to a heartbeat"),
        }
    }

    fn heartbeat(&self, at: usize, full: bool) -> ConsumerHeartbeat {
        let client = &self.clients[at];
        let joins = client.epoch == 0;
        let full = full || joins || client.unsure;
        ConsumerHeartbeat {
            group: GROUP.to_owned(),
            member: client.id.clone(),
            epoch: client.epoch,
            instance: client.instance.clone(),
            rack: None,
            client: crate::Client::default(),
            rebalance_timeout_ms: if full { 20_000 } else { -1 },
            topics: full.then(|| client.topics.clone()),
            regex: full.then(|| client.regex.clone()),
            assignor: client.assignor.clone(),
            owned: Some(parts(&client.held)),
        }
    }

    /// How many records it made.
    fn beat(&mut self, at: usize, full: bool, lost: bool) -> usize {
        let beat = self.heartbeat(at, full);
        let (records, answer) = self.ask(beat);
        self.clients[at].unsure = lost;
        if !lost {
            self.learn(at, answer);
        }
        records
    }

    fn learn(&mut self, at: usize, answer: Result<ConsumerBeat, Refusal>) {
        let client = &mut self.clients[at];
        match answer {
            Ok(beat) => {
                client.epoch = beat.epoch;
                if let Some(parts) = beat.assignment {
                    client.told.clear();
                    for part in parts {
                        let places = part.partitions.iter().map(|p| (part.topic, *p));
                        client.told.extend(places);
                    }
                    client.held.extend(client.told.clone());
                }
            }
            // It lets go of everything and joins again; a static name that another one has taken
            // over is not its own any more.
            Err(refusal) => {
                client.held.clear();
                client.told.clear();
                client.epoch = 0;
                client.member = matches!(
                    refusal,
                    Refusal::FencedMemberEpoch(_) | Refusal::UnknownMember(_)
                );
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Join {
                at,
                topics,
                regex,
                fixed,
                assignor,
            } if !self.clients[at].member => {
                self.made += 1;
                self.clients[at] = Client {
                    id: format!("m{}", self.made),
                    instance: fixed.then(|| format!("i{}", at / 2)),
                    member: true,
                    topics: names(topics),
                    regex: REGEXES[regex].to_owned(),
                    assignor: assignor.map(|at| ASSIGNORS[at].to_owned()),
                    ..Client::default()
                };
                self.beat(at, true, false);
            }
            Step::Beat { at, lost } if self.clients[at].member => {
                self.beat(at, false, lost);
            }
            Step::GiveUp { at } => {
                let client = &mut self.clients[at];
                client.held.retain(|place| client.told.contains(place));
            }
            Step::Change { at, topics, regex } if self.clients[at].member => {
                self.clients[at].topics = names(topics);
                self.clients[at].regex = REGEXES[regex].to_owned();
                self.beat(at, true, false);
            }
            Step::Leave { at, for_a_while } if self.clients[at].member => {
                let for_a_while = for_a_while && self.clients[at].instance.is_some();
                let mut beat = self.heartbeat(at, false);
                beat.epoch = if for_a_while { -2 } else { -1 };
                let _ = self.ask(beat);
                self.clients[at] = Client::default();
            }
            Step::Die { at } => self.clients[at] = Client::default(),
            Step::Topic { at, partitions } => {
                let known = self.world.topics.topic(TOPICS[at]);
                let more = partitions.max(known.map_or(0, |facts| facts.partitions));
                self.world.topics.put(TOPICS[at], more, Vec::new());
            }
            Step::NoTopic { at } => self.world.topics.remove(TOPICS[at]),
            Step::Wait { ms } => {
                self.world.wait(ms);
            }
            Step::FailOver => self.world.fail_over(),
            _ => {}
        }
        self.check();
    }

    fn group(&self) -> Option<&crate::consumer::Group> {
        match self.world.groups.groups.get(GROUP) {
            Some(Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    /// One holder at most. A client that was fenced off and hasn't heard so yet doesn't count.
    fn check(&self) {
        let Some(group) = self.group() else {
            return;
        };
        group.check();
        let mut seen = Places::new();
        for client in self.clients.iter().filter(|client| group.has(&client.id)) {
            for place in &client.held {
                assert!(seen.insert(*place), "two clients read {place:?}");
            }
        }
    }

    /// Everybody is heard of, and gives up what it is told to, until nothing changes any more.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..60 {
            self.world.wait(5_000);
            let mut records = 0;
            for at in 0..self.clients.len() {
                if self.clients[at].member {
                    records += self.beat(at, false, false);
                    let client = &mut self.clients[at];
                    client.held.retain(|place| client.told.contains(place));
                }
                self.check();
            }
            quiet = if records == 0 { quiet + 1 } else { 0 };
            // Static members that left for a while and never came back are out by then.
            if quiet > 12 {
                return;
            }
        }
        panic!("the group never settles");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_partition_has_one_holder_and_in_the_end_exactly_one(steps in prop::collection::vec(step(), 1..120)) {
        let mut clients = Clients::new();
        for step in steps {
            clients.take(step);
        }
        clients.settle();
        clients.world.fail_over();
        if clients.clients.iter().any(|client| client.member) {
            let group = clients.group().expect("a group with members");
            group.check_settled(&clients.world.topics);
            for client in clients.clients.iter().filter(|client| client.member) {
                prop_assert_eq!(&client.held, &client.told);
                prop_assert_eq!(parts(&client.told), group.held_by(&client.id));
            }
        }
        // When all are gone and time has passed, nothing is left.
        for client in &mut clients.clients {
            *client = Client::default();
        }
        clients.world.wait(20 * 60 * 1000);
        prop_assert!(clients.world.groups.groups.is_empty());
    }
}
