//! Whatever is asked in whatever order: replay gives the state decided on, everybody is answered
//! once, and the leader's view of a group stays consistent.

use super::world::{HOST, World};
use crate::classic::{Live, State};
use crate::command::*;
use crate::{Caller, Config, Reply};
use base::{Refusal, Uuid};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const GROUPS: [&str; 3] = ["a", "b", "c"];
const INSTANCES: [&str; 2] = ["i", "j"];

/// What a client does next. Which member it is is chosen among those it knows.
#[derive(Clone, Debug)]
enum Step {
    Join {
        member: Option<usize>,
        instance: Option<usize>,
        protocols: u8,
        old: bool,
        patience: i32,
    },
    Sync {
        member: usize,
        assign: bool,
    },
    Beat {
        member: usize,
        off: i32,
    },
    Leave {
        members: Vec<usize>,
        instance: Option<usize>,
    },
    Commit {
        member: Option<usize>,
        partition: i32,
        retention: bool,
    },
    Forget {
        partition: i32,
    },
    Delete,
    TopicGone,
    Wait {
        ms: u64,
    },
    FailOver,
}

fn step() -> impl Strategy<Value = Step> {
    let instance = proptest::option::weighted(0.25, 0..INSTANCES.len());
    prop_oneof![
        6 => (proptest::option::of(0..6usize), instance.clone(), 1..8u8, any::<bool>(), 1..40i32)
            .prop_map(|(member, instance, protocols, old, patience)| Step::Join {
                member, instance, protocols, old, patience: patience * 1000,
            }),
        5 => (0..6usize, prop::bool::weighted(0.9))
            .prop_map(|(member, assign)| Step::Sync { member, assign }),
        3 => (0..6usize, prop_oneof![9 => Just(0), 1 => -1..2i32])
            .prop_map(|(member, off)| Step::Beat { member, off }),
        1 => (prop::collection::vec(0..6usize, 0..3), instance)
            .prop_map(|(members, instance)| Step::Leave { members, instance }),
        3 => (proptest::option::of(0..6usize), 0..4i32, any::<bool>())
            .prop_map(|(member, partition, retention)| Step::Commit { member, partition, retention }),
        1 => (0..4i32).prop_map(|partition| Step::Forget { partition }),
        1 => Just(Step::Delete),
        1 => Just(Step::TopicGone),
        4 => (0..9000u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::FailOver),
    ]
}

/// What the clients of one group know.
#[derive(Default)]
struct Known {
    ids: Vec<String>,
    generations: BTreeMap<String, i32>,
}

struct Clients {
    world: World,
    known: BTreeMap<&'static str, Known>,
    next: Caller,
}

impl Clients {
    fn new(config: Config) -> Clients {
        Clients {
            world: World::new(config),
            known: GROUPS.iter().map(|g| (*g, Known::default())).collect(),
            next: HOST + 1,
        }
    }

    fn ask(&mut self, group: &'static str, command: Command) {
        let caller = self.next;
        self.next += 1;
        let replies = self.world.ask(caller, command).replies;
        self.learn(group, replies);
    }

    fn learn(&mut self, group: &'static str, replies: Vec<(Caller, Reply)>) {
        let known = self.known.entry(group).or_default();
        for (_, reply) in replies {
            if let Reply::JoinGroup(join) = reply {
                if let Ok(joined) = &join.outcome {
                    known
                        .generations
                        .insert(join.member.clone(), joined.generation);
                }
                if matches!(join.outcome, Ok(_) | Err(Refusal::MemberIdRequired))
                    && !known.ids.contains(&join.member)
                {
                    known.ids.push(join.member);
                }
            }
        }
    }

    fn id(&self, group: &str, at: usize) -> String {
        let ids = &self.known[group].ids;
        match ids.len() {
            0 => "stranger".to_owned(),
            len => ids[len - 1 - at % len].clone(),
        }
    }

    fn generation(&self, group: &str, id: &str) -> i32 {
        self.known[group].generations.get(id).copied().unwrap_or(-1)
    }

    fn take(&mut self, group: &'static str, step: Step) {
        let name = group.to_owned();
        let instance = |at: Option<usize>| at.map(|at| INSTANCES[at].to_owned());
        match step {
            Step::Wait { ms } => {
                for (_, decision) in self.world.wait(ms) {
                    self.learn(group, decision.replies);
                }
            }
            Step::FailOver => self.world.fail_over(),
            Step::Delete => self.ask(group, Command::DeleteGroups { groups: vec![name] }),
            Step::TopicGone => {
                let topics = vec![("t".to_owned(), Uuid::ZERO)];
                self.ask(group, Command::TopicsDeleted { topics });
            }
            Step::Forget { partition } => {
                let topics = vec![(Arc::from("t"), vec![partition])];
                self.ask(
                    group,
                    Command::OffsetDelete(OffsetDelete {
                        group: name,
                        topics,
                    }),
                );
            }
            Step::Beat { member, off } => {
                let member = self.id(group, member);
                let generation = self.generation(group, &member) + off;
                let beat = Heartbeat {
                    group: name,
                    generation,
                    member,
                    instance: None,
                };
                self.ask(group, Command::Heartbeat(beat));
            }
            Step::Leave {
                members,
                instance: named,
            } => {
                let mut leavers: Vec<Leaver> = Vec::new();
                for member in members {
                    let member = self.id(group, member);
                    leavers.push(Leaver {
                        member,
                        ..Leaver::default()
                    });
                }
                if named.is_some() {
                    leavers.push(Leaver {
                        instance: instance(named),
                        ..Leaver::default()
                    });
                }
                let members = leavers;
                self.ask(
                    group,
                    Command::LeaveGroup(LeaveGroup {
                        group: name,
                        members,
                    }),
                );
            }
            step => self.take_part(group, step),
        }
    }

    fn take_part(&mut self, group: &'static str, step: Step) {
        let name = group.to_owned();
        match step {
            Step::Join {
                member,
                instance,
                protocols,
                old,
                patience,
            } => {
                let member = member.map_or(String::new(), |at| self.id(group, at));
                let offered = (0..3).filter(|bit| protocols & (1 << bit) != 0);
                let join = JoinGroup {
                    group: name,
                    member,
                    instance: instance.map(|at| INSTANCES[at].to_owned()),
                    client: Client::default(),
                    session_timeout_ms: 6_000 + patience,
                    rebalance_timeout_ms: patience,
                    protocol_type: "consumer".to_owned(),
                    protocols: offered
                        .map(|bit| Protocol {
                            name: format!("p{bit}"),
                            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"),
                        })
                        .collect(),
                    reason: None,
                    requires_known_id: !old,
                    can_skip_assignment: old,
                };
                self.ask(group, Command::JoinGroup(join));
            }
            Step::Sync { member, assign } => {
                let member = self.id(group, member);
                let ids = self.known[group].ids.iter().filter(|_| assign);
                let sync = SyncGroup {
                    generation: self.generation(group, &member),
                    assignments: ids
                        .map(|id| (id.clone(), Bytes::from_static(b"x")))
                        .collect(),
                    group: name,
                    member,
                    instance: None,
                    protocol_type: None,
                    protocol: None,
                };
                self.ask(group, Command::SyncGroup(sync));
            }
            Step::Commit {
                member,
                partition,
                retention,
            } => {
                let member = member.map_or(String::new(), |at| self.id(group, at));
                let commit = OffsetCommit {
                    group: name,
                    generation_or_epoch: self.generation(group, &member),
                    member,
                    instance: None,
                    retention_ms: retention.then_some(5_000),
                    knows_epochs: retention,
                    topics: vec![CommitTopic {
                        name: Arc::from(if partition == 3 { "u" } else { "t" }),
                        id: Uuid::ZERO,
                        partitions: vec![CommitPartition {
                            partition,
                            offset: i64::from(partition),
                            leader_epoch: 0,
                            metadata: None,
                        }],
                    }],
                };
                self.ask(group, Command::OffsetCommit(commit));
            }
            _ => {}
        }
    }

    /// What holds between any two commands.
    fn check(&self) {
        let (mut waiting, mut entries) = (0, 0);
        for live in self.world.soft.classic.values() {
            check_group(live);
            entries += waits(live);
            let members = live.members.values();
            waiting += members
                .map(|m| usize::from(m.join.is_some()) + usize::from(m.sync.is_some()))
                .sum::<usize>();
            let known =
                live.pending.is_empty() || self.world.groups.exists(&self.world.soft, &live.name);
            assert!(known, "an id was given in a group that is nowhere");
            if live.state == State::Stable {
                self.check_on_record(live);
            }
        }
        assert_eq!(
            waiting,
            self.world.owed.len(),
            "who is owed an answer waits somewhere"
        );
        // And one for the search for old offsets.
        assert_eq!(
            self.world.soft.timers.len(),
            entries + 1,
            "one entry for each wait"
        );
    }

    /// A stable group is what its record says.
    fn check_on_record(&self, live: &Live) {
        let saved = self.world.groups.dormant(&live.name).expect("on record");
        assert_eq!(saved.generation, live.generation);
        assert_eq!(saved.protocol, live.protocol);
        let members = |live: &Live| -> Vec<_> {
            let all = live.members.values();
            all.map(|m| (m.id.clone(), m.instance.clone(), m.assignment.clone()))
                .collect()
        };
        assert_eq!(members(&saved), members(live));
        assert_eq!(saved.leader, live.leader);
    }
}

/// What a group waits for that has a time.
fn waits(live: &Live) -> usize {
    let sessions = live.members.values().filter(|m| m.armed.is_some());
    let ends = usize::from(live.join_end.is_some()) + usize::from(live.sync_end.is_some());
    sessions.count() + live.pending.len() + ends
}

fn check_group(live: &Live) {
    let members = &live.members;
    assert_eq!(
        live.joining,
        members.values().filter(|m| m.join.is_some()).count()
    );
    assert_eq!(
        live.state == State::Empty,
        members.is_empty() && live.join_end.is_none()
    );
    match &live.leader {
        Some(leader) => assert!(members.contains_key(leader), "the leader is a member"),
        None => assert!(members.is_empty(), "somebody leads"),
    }
    for (instance, id) in &live.instances {
        assert_eq!(members[id].instance.as_ref(), Some(instance));
    }
    let statics = members.values().filter(|m| m.instance.is_some()).count();
    assert_eq!(
        statics,
        live.instances.len(),
        "one member for a static name"
    );
    assert!(live.unsynced.iter().all(|id| members.contains_key(id)));
    for (id, member) in members {
        assert_eq!(*id, member.id);
        assert!(!live.pending.contains_key(id));
        assert!(member.sync.is_none() || live.state == State::Completing);
        assert!(member.join.is_none() || live.state == State::Preparing);
        assert!(
            member.armed.is_some() || member.excused(),
            "a session ends some day"
        );
    }
    assert_eq!(live.join_end.is_some(), live.state == State::Preparing);
    let awaited = live.sync_end.is_some();
    assert!(!awaited || matches!(live.state, State::Completing | State::Stable));
}

fn config() -> impl Strategy<Value = Config> {
    (0..3i32, 2..5i32, 1..3i32).prop_map(|(delay, size_max, minutes)| Config {
        initial_rebalance_delay_ms: delay * 1500,
        size_max,
        offsets_retention_minutes: minutes,
        offsets_retention_check_interval_ms: 30_000,
        ..Config::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn nobody_is_lost_and_replay_gives_the_state_decided_on(
        config in config(),
        steps in prop::collection::vec((0..GROUPS.len(), step()), 1..120),
    ) {
        let mut clients = Clients::new(config);
        for (group, step) in steps {
            clients.take(GROUPS[group], step);
            clients.check();
        }
        // Nobody says anything any more: all joins and syncs are answered, all sessions end,
        // everything that was committed expires, and in the end nothing is left.
        let patience = 20 * 60 * 1000;
        for (_, decision) in clients.world.wait(patience) {
            clients.learn(GROUPS[0], decision.replies);
        }
        clients.check();
        prop_assert!(clients.world.owed.is_empty());
        clients.world.fail_over();
        prop_assert!(clients.world.groups.groups.is_empty(), "{:?}", clients.world.groups);
        prop_assert!(clients.world.groups.offsets.is_empty());
    }
}
