//! One group, clients of both protocols, at random: the group changes its protocol back and forth
//! under them. Nobody's answer is forgotten, a consumer group always has one holder for each
//! partition, and once everybody just does what it is told, the group comes to rest with
//! everything assigned, whichever protocol it has then.

use super::world::{HOST, World};
use crate::classic::State;
use crate::command::*;
use crate::groups::Group;
use crate::{Caller, Config, MigrationPolicy, Reply, Topics};
use base::Refusal;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

const GROUP: &str = "g";
const TOPIC: &str = "t";
const PARTITIONS: i32 = 5;
const CLASSICS: usize = 3;
const CONSUMERS: usize = 2;
const POLICIES: [MigrationPolicy; 3] = [
    MigrationPolicy::Bidirectional,
    MigrationPolicy::Upgrade,
    MigrationPolicy::Downgrade,
];

#[derive(Clone, Debug)]
enum Step {
    /// A client of the classic protocol does what it has to do next.
    Classic {
        at: usize,
    },
    ClassicLeaves {
        at: usize,
    },
    /// A client of KIP-848 joins or says that it is alive.
    Consumer {
        at: usize,
    },
    ConsumerLeaves {
        at: usize,
    },
    /// The client is never heard of again; another one starts in its place.
    Dies {
        at: usize,
    },
    Policy {
        at: usize,
    },
    Wait {
        ms: u64,
    },
    FailOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..CLASSICS).prop_map(|at| Step::Classic { at }),
        1 => (0..CLASSICS).prop_map(|at| Step::ClassicLeaves { at }),
        6 => (0..CONSUMERS).prop_map(|at| Step::Consumer { at }),
        2 => (0..CONSUMERS).prop_map(|at| Step::ConsumerLeaves { at }),
        1 => (0..CLASSICS + CONSUMERS).prop_map(|at| Step::Dies { at }),
        1 => (0..POLICIES.len()).prop_map(|at| Step::Policy { at }),
        3 => (0..5_000u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::FailOver),
    ]
}

/// What a classic client does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Join,
    Sync,
    Beat,
}

#[derive(Clone, Debug, Default)]
struct Classic {
    id: String,
    generation: i32,
    next: Next,
    /// Its answer is owed.
    waits: Option<Caller>,
    /// Set if it leads: whom it assigns.
    roster: Vec<String>,
    held: Vec<i32>,
}

#[derive(Clone, Debug, Default)]
struct Consumer {
    id: String,
    epoch: i32,
    told: Vec<i32>,
    held: Vec<i32>,
}

struct Clients {
    world: World,
    classics: Vec<Classic>,
    consumers: Vec<Consumer>,
    next: Caller,
    made: usize,
    records: usize,
}

/// Partitions of the only topic as classic consumers write them.
fn written(partitions: &[i32]) -> Vec<u8> {
    let mut bytes = 1i32.to_be_bytes().to_vec();
    bytes.extend((TOPIC.len() as i16).to_be_bytes());
    bytes.extend(TOPIC.as_bytes());
    bytes.extend((partitions.len() as i32).to_be_bytes());
    bytes.extend(partitions.iter().flat_map(|p| p.to_be_bytes()));
    bytes
}

const NO_DATA: [u8; 4] = (-1i32).to_be_bytes();

fn assignment(partitions: &[i32]) -> Bytes {
    [&[0, 1], &written(partitions)[..], &NO_DATA]
        .concat()
        .into()
}

fn subscription(held: &[i32]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend(1i32.to_be_bytes());
    bytes.extend((TOPIC.len() as i16).to_be_bytes());
    bytes.extend(TOPIC.as_bytes());
    bytes.extend(NO_DATA);
    bytes.extend(written(held));
    bytes.into()
}

fn read(bytes: &[u8]) -> Vec<i32> {
    let mut r = crate::record::codec::Reader::new(bytes);
    let mut read = || {
        r.i16()?;
        r.list(|r| {
            r.text()?;
            r.list(crate::record::codec::Reader::i32)
        })
    };
    read().unwrap_or_default().concat()
}

impl Clients {
    fn new() -> Clients {
        let mut world = World::new(Config {
            initial_rebalance_delay_ms: 0,
            ..Config::default()
        });
        world.topics.put(TOPIC, PARTITIONS as u32, Vec::new());
        Clients {
            world,
            classics: vec![Classic::default(); CLASSICS],
            consumers: vec![Consumer::default(); CONSUMERS],
            next: HOST + 1,
            made: 0,
            records: 0,
        }
    }

    fn ask(&mut self, command: Command) -> Caller {
        let caller = self.next;
        self.next += 1;
        let decision = self.world.ask(caller, command);
        self.records += decision.records.len();
        self.hear(decision.replies);
        caller
    }

    /// Hands answers to those who wait for them; the asker's own comes by its number too.
    fn hear(&mut self, replies: Vec<(Caller, Reply)>) {
        for (caller, reply) in replies {
            let waiting = |client: &Classic| client.waits == Some(caller);
            let at = self.classics.iter().position(waiting);
            match at {
                Some(at) => self.classics[at].hear(reply),
                None => assert!(!matches!(reply, Reply::JoinGroup(_) | Reply::SyncGroup(_))),
            }
        }
    }

    fn classic(&mut self, at: usize) {
        if self.classics[at].waits.is_some() {
            return;
        }
        self.classics[at].waits = Some(self.next);
        let client = &self.classics[at];
        let (group, member) = (GROUP.to_owned(), client.id.clone());
        let command = match client.next {
            Next::Join => Command::JoinGroup(JoinGroup {
                group,
                member,
                instance: None,
                client: Client::default(),
                session_timeout_ms: 30_000,
                rebalance_timeout_ms: 20_000,
                protocol_type: "consumer".to_owned(),
                protocols: vec![Protocol {
                    name: "range".to_owned(),
                    metadata: subscription(&client.held),
                }],
                reason: None,
                requires_known_id: true,
                can_skip_assignment: true,
            }),
            Next::Sync => Command::SyncGroup(SyncGroup {
                group,
                generation: client.generation,
                member,
                instance: None,
                protocol_type: None,
                protocol: None,
                assignments: client.assign(),
            }),
            Next::Beat => Command::Heartbeat(Heartbeat {
                group,
                generation: client.generation,
                member,
                instance: None,
            }),
        };
        self.ask(command);
    }

    fn consumer(&mut self, at: usize, leaves: bool) {
        if self.consumers[at].id.is_empty() {
            if leaves {
                return;
            }
            self.made += 1;
            self.consumers[at].id = format!("m{}", self.made);
        }
        let topic = self.world.topics.topic(TOPIC).expect("it is there").id;
        let client = &mut self.consumers[at];
        let joins = client.epoch == 0;
        client
            .held
            .retain(|partition| client.told.contains(partition));
        let owned = TopicPartitions {
            topic,
            partitions: client.held.clone(),
        };
        let beat = ConsumerHeartbeat {
            group: GROUP.to_owned(),
            member: client.id.clone(),
            epoch: if leaves { -1 } else { client.epoch },
            instance: None,
            rack: None,
            client: Client::default(),
            rebalance_timeout_ms: if joins { 20_000 } else { -1 },
            topics: joins.then(|| vec![TOPIC.to_owned()]),
            regex: None,
            assignor: None,
            owned: Some(if joins { Vec::new() } else { vec![owned] }),
        };
        let caller = self.next;
        self.next += 1;
        let mut decision = self.world.ask(caller, Command::ConsumerHeartbeat(beat));
        self.records += decision.records.len();
        let own = decision.replies.iter().position(|(to, _)| *to == caller);
        let (_, answer) = decision.replies.remove(own.expect("heartbeats don't wait"));
        self.hear(decision.replies);
        let client = &mut self.consumers[at];
        match answer {
            _ if leaves => *client = Consumer::default(),
            Reply::ConsumerHeartbeat(Ok(beat)) => {
                client.epoch = beat.epoch;
                if let Some(parts) = beat.assignment {
                    client.told = parts.into_iter().flat_map(|part| part.partitions).collect();
                    client.held.clone_from(&client.told);
                }
            }
            _ => *client = Consumer::default(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Classic { at } => self.classic(at),
            Step::ClassicLeaves { at } => {
                let client = std::mem::take(&mut self.classics[at]);
                // Its own join, if it waits, is refused; nobody listens any more.
                self.classics[at].waits = client.waits;
                let leaver = Leaver {
                    member: client.id,
                    ..Leaver::default()
                };
                self.ask(Command::LeaveGroup(LeaveGroup {
                    group: GROUP.to_owned(),
                    members: vec![leaver],
                }));
                self.classics[at].id.clear();
            }
            Step::Consumer { at } => self.consumer(at, false),
            Step::ConsumerLeaves { at } => self.consumer(at, true),
            Step::Dies { at } if at < CLASSICS => {
                let waits = self.classics[at].waits;
                self.classics[at] = Classic::default();
                self.classics[at].waits = waits;
            }
            Step::Dies { at } => self.consumers[at - CLASSICS] = Consumer::default(),
            Step::Policy { at } => self.world.config.consumer_migration_policy = POLICIES[at],
            Step::Wait { ms } => self.wait(ms),
            Step::FailOver => {
                self.world.fail_over();
                // Their connections broke, so they ask again.
                for client in &mut self.classics {
                    if client.waits.take().is_some() {
                        client.next = Next::Join;
                    }
                }
            }
        }
        self.check();
    }

    fn wait(&mut self, ms: u64) {
        for (_, decision) in self.world.wait(ms) {
            self.records += decision.records.len();
            self.hear(decision.replies);
        }
    }

    fn consumer_group(&self) -> Option<&crate::consumer::Group> {
        match self.world.groups.groups.get(GROUP) {
            Some(Group::Consumer(group)) => Some(group),
            _ => None,
        }
    }

    fn check(&self) {
        if let Some(group) = self.consumer_group() {
            group.check();
            let live = self.world.soft.classic.get(GROUP);
            assert!(live.is_none(), "a group of both kinds");
        }
        let waiting = self.classics.iter().filter(|c| c.waits.is_some()).count();
        assert_eq!(
            self.world.owed.len(),
            waiting,
            "an answer is owed to nobody"
        );
    }

    /// Everybody does what it is told until nothing changes any more.
    fn settle(&mut self) {
        self.world.config.consumer_migration_policy = MigrationPolicy::Bidirectional;
        let mut quiet = 0;
        for _ in 0..80 {
            self.records = 0;
            for at in 0..CONSUMERS {
                self.consumer(at, false);
            }
            for _ in 0..4 {
                (0..CLASSICS).for_each(|at| self.classic(at));
                self.check();
            }
            self.wait(3_000);
            quiet = if self.records == 0 { quiet + 1 } else { 0 };
            if quiet > 16 {
                return;
            }
        }
        panic!("the group never settles: {:?}", self.classics);
    }

    /// Who holds each partition, by what the clients say.
    fn held(&self) -> BTreeMap<i32, usize> {
        let mut held = BTreeMap::new();
        let consumers = self.consumers.iter().flat_map(|client| &client.held);
        let classics = self.classics.iter().flat_map(|client| &client.held);
        for partition in consumers.chain(classics) {
            *held.entry(*partition).or_default() += 1;
        }
        held
    }
}

impl Classic {
    fn hear(&mut self, reply: Reply) {
        self.waits = None;
        match reply {
            Reply::JoinGroup(join) => match join.outcome {
                Ok(joined) => {
                    self.id = join.member;
                    self.generation = joined.generation;
                    self.roster = joined.members.into_iter().map(|m| m.member).collect();
                    self.next = Next::Sync;
                }
                Err(Refusal::MemberIdRequired) => self.id = join.member,
                Err(refusal) => self.again(&refusal),
            },
            Reply::SyncGroup(Ok(synced)) => {
                self.held = read(&synced.assignment);
                self.next = Next::Beat;
            }
            Reply::Heartbeat(Ok(())) => {}
            Reply::SyncGroup(Err(refusal)) | Reply::Heartbeat(Err(refusal)) => {
                self.again(&refusal);
            }
            other => panic!("{other:?} is no answer to a classic member"),
        }
    }

    /// It joins again, keeping what it holds only while it is a member.
    fn again(&mut self, refusal: &Refusal) {
        self.next = Next::Join;
        if *refusal != Refusal::RebalanceInProgress {
            self.held.clear();
        }
        if matches!(
            refusal,
            Refusal::UnknownMember(_) | Refusal::InconsistentGroupProtocol
        ) {
            self.id.clear();
        }
    }

    /// What a leader brings along: everybody's share in turn.
    fn assign(&self) -> Vec<(String, Bytes)> {
        let count = self.roster.len() as i32;
        let share = |(at, id): (i32, &String)| {
            let share: Vec<i32> = (0..PARTITIONS).filter(|p| p % count == at).collect();
            (id.clone(), assignment(&share))
        };
        (0..).zip(&self.roster).map(share).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn clients_of_both_protocols_share_a_group(
        steps in prop::collection::vec(step(), 1..80),
        downgrades: bool,
    ) {
        let mut clients = Clients::new();
        for step in steps {
            clients.take(step);
        }
        clients.settle();
        let all: BTreeMap<i32, usize> = (0..PARTITIONS).map(|p| (p, 1)).collect();
        prop_assert_eq!(clients.held(), all.clone());
        let group = clients.consumer_group().expect("there are consumers");
        group.check_settled(&clients.world.topics);
        // The consumers go, and the others do without.
        if !downgrades {
            clients.world.config.consumer_migration_policy = MigrationPolicy::Upgrade;
        }
        for at in 0..CONSUMERS {
            clients.consumer(at, true);
        }
        for _ in 0..60 {
            (0..CLASSICS).for_each(|at| clients.classic(at));
            clients.wait(1_000);
            clients.check();
        }
        prop_assert_eq!(clients.held(), all);
        if let Some(live) = clients.world.soft.classic.get(GROUP) {
            prop_assert!(downgrades);
            prop_assert_eq!(live.state, State::Stable);
        } else {
            prop_assert!(!downgrades);
        }
        clients.world.fail_over();
    }
}
