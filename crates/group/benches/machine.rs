//! What a step of the machine costs at the size that is promised: 1,000 groups of 10 members
//! that send heartbeats, and commits of their offsets with the replay of their records.
//! `cargo bench -p group --bench machine`. Prints a line for each case.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock

use base::{Mono, Now, Uuid, WallMs};
use bytes::Bytes;
use group::command::{
    Client, CommitPartition, CommitTopic, Heartbeat, JoinGroup, OffsetCommit, Protocol, SyncGroup,
};
use group::{Command, Config, Context, Decision, Groups, Reply, Soft, TopicFacts, Topics};
use std::sync::Arc;
use std::time::Instant;

const GROUPS: usize = 1_000;
const MEMBERS: usize = 10;
const COMMITS: usize = 100_000;
/// Rounds of heartbeats of all members, three seconds apart.
const ROUNDS: usize = 20;
const ROUND_MS: u64 = 3_000;

struct NoTopics;

impl Topics for NoTopics {
    fn topic(&self, _: &str) -> Option<TopicFacts> {
        None
    }
    fn name_of(&self, _: &Uuid) -> Option<&str> {
        None
    }
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }
    fn racks(&self, _: &str) -> Vec<Vec<Arc<str>>> {
        Vec::new()
    }
    fn version(&self) -> u64 {
        0
    }
}

struct Host {
    groups: Groups,
    soft: Soft,
    config: Config,
    now_ms: u64,
    asked: u64,
}

impl Host {
    fn ask(&mut self, command: Command) -> Decision {
        self.asked += 1;
        let ctx = Context {
            now: Now {
                mono: Mono(self.now_ms * 1000),
                wall: WallMs(self.now_ms as i64),
            },
            config: &self.config,
            topics: &NoTopics,
            drawn: Uuid::from_random(self.asked, self.asked),
        };
        let decision = self
            .groups
            .handle(&mut self.soft, &ctx, self.asked, command);
        for record in &decision.records {
            self.groups.replay(&record.key, record.value.as_deref());
        }
        decision
    }

    fn tick(&mut self) -> usize {
        let mut ticks = 0;
        while self
            .groups
            .due(&self.soft)
            .is_some_and(|due| due.0 <= self.now_ms * 1000)
        {
            self.ask(Command::Tick);
            ticks += 1;
        }
        ticks
    }
}

fn name(group: usize) -> String {
    format!("application-group-{group:04}")
}

/// All groups, stable; member ids by group.
fn fill(host: &mut Host) -> Vec<Vec<String>> {
    for group in 0..GROUPS {
        for _ in 0..MEMBERS {
            host.ask(Command::JoinGroup(JoinGroup {
                group: name(group),
                member: String::new(),
                instance: None,
                client: Client {
                    id: "consumer".to_owned(),
                    host: "/127.0.0.1".to_owned(),
                },
                session_timeout_ms: 45_000,
                rebalance_timeout_ms: 300_000,
                protocol_type: "consumer".to_owned(),
                protocols: vec![Protocol {
                    name: "range".to_owned(),
                    metadata: Bytes::from_static(&[0; 40]),
                }],
                reason: None,
                requires_known_id: false,
                can_skip_assignment: false,
            }));
        }
    }
    let mut members = vec![Vec::new(); GROUPS];
    // A first rebalance waits, and once more since others came.
    host.now_ms += 3_000;
    host.tick();
    host.now_ms += 3_000;
    let mut answers = Vec::new();
    while host
        .groups
        .due(&host.soft)
        .is_some_and(|due| due.0 <= host.now_ms * 1000)
    {
        answers.extend(host.ask(Command::Tick).replies);
    }
    for (caller, reply) in answers {
        if let Reply::JoinGroup(join) = reply {
            members[(caller as usize - 1) / MEMBERS].push(join.member);
        }
    }
    for (group, ids) in members.iter().enumerate() {
        for member in ids {
            host.ask(Command::SyncGroup(SyncGroup {
                group: name(group),
                generation: 1,
                member: member.clone(),
                instance: None,
                protocol_type: None,
                protocol: None,
                assignments: Vec::new(),
            }));
        }
    }
    members
}

fn main() {
    let mut host = Host {
        groups: Groups::new(),
        soft: Soft::default(),
        config: Config::default(),
        now_ms: 0,
        asked: 0,
    };
    let begun = Instant::now();
    let members = fill(&mut host);
    println!(
        "{GROUPS} groups x {MEMBERS} members joined in {:?}",
        begun.elapsed()
    );

    let begun = Instant::now();
    let mut ticks = 0;
    for _ in 0..ROUNDS {
        host.now_ms += ROUND_MS;
        ticks += host.tick();
        for (group, ids) in members.iter().enumerate() {
            for member in ids {
                let decision = host.ask(Command::Heartbeat(Heartbeat {
                    group: name(group),
                    generation: 1,
                    member: member.clone(),
                    instance: None,
                }));
                assert_eq!(decision.replies[0].1, Reply::Heartbeat(Ok(())));
            }
        }
    }
    let beats = (ROUNDS * GROUPS * MEMBERS) as u32;
    let each = begun.elapsed() / beats;
    println!("heartbeat {each:?}, {ticks} ticks in {beats} heartbeats");

    let begun = Instant::now();
    for at in 0..COMMITS {
        let group = at % GROUPS;
        let decision = host.ask(Command::OffsetCommit(OffsetCommit {
            group: name(group),
            member: members[group][0].clone(),
            instance: None,
            generation_or_epoch: 1,
            retention_ms: None,
            knows_epochs: true,
            topics: vec![CommitTopic {
                name: Arc::from("orders"),
                id: Uuid([1; 16]),
                partitions: vec![CommitPartition {
                    partition: (at / GROUPS % 16) as i32,
                    offset: at as i64,
                    leader_epoch: 0,
                    metadata: None,
                }],
            }],
        }));
        assert_eq!(decision.records.len(), 1);
    }
    println!(
        "commit and its replay {:?}",
        begun.elapsed() / COMMITS as u32
    );
}
