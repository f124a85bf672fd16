//! What a group of KIP-848 costs: a heartbeat in which nothing is new, in a small group and in a
//! large one, which must cost the same; and a join that assigns 10,000 partitions over 1,000
//! members anew, records included, promised in less than 50 ms. `cargo bench -p group --bench
//! consumers`.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock

use base::{Mono, Now, Uuid, WallMs};
use group::command::ConsumerHeartbeat;
use group::{Client, Command, Config, Context, Groups, Reply, Soft, TopicFacts, Topics};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOPICS: usize = 100;
const PARTITIONS_PER_TOPIC: u32 = 100;
const BEATS: u32 = 100_000;
/// What is promised of an assignment.
const LIMIT: Duration = Duration::from_millis(50);

struct Cluster(Vec<String>);

impl Topics for Cluster {
    fn topic(&self, name: &str) -> Option<TopicFacts> {
        let at = self
            .0
            .binary_search_by(|known| known.as_str().cmp(name))
            .ok()?;
        Some(TopicFacts {
            id: Uuid((at as u128 + 1).to_be_bytes()),
            partitions: PARTITIONS_PER_TOPIC,
        })
    }

    fn name_of(&self, id: &Uuid) -> Option<&str> {
        let at = u128::from_be_bytes(id.0) as usize;
        self.0.get(at.checked_sub(1)?).map(String::as_str)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.iter().map(String::as_str))
    }

    fn racks(&self, _: &str) -> Vec<Vec<Arc<str>>> {
        Vec::new()
    }

    fn version(&self) -> u64 {
        1
    }
}

struct Bench {
    groups: Groups,
    soft: Soft,
    config: Config,
    topics: Cluster,
}

impl Bench {
    fn new(interval_ms: i32) -> Bench {
        Bench {
            groups: Groups::new(),
            soft: Soft::default(),
            config: Config {
                consumer_assignment_interval_ms: interval_ms,
                ..Config::default()
            },
            topics: Cluster((0..TOPICS).map(|n| format!("topic-{n:03}")).collect()),
        }
    }

    fn ask(&mut self, ms: u64, beat: ConsumerHeartbeat) -> (i32, usize, Duration) {
        let ctx = Context {
            now: Now {
                mono: Mono(ms * 1000),
                wall: WallMs(1_000_000 + ms as i64),
            },
            config: &self.config,
            topics: &self.topics,
            drawn: Uuid::ZERO,
        };
        let start = Instant::now();
        let command = Command::ConsumerHeartbeat(beat);
        let decision = self.groups.handle(&mut self.soft, &ctx, 1, command);
        for record in &decision.records {
            self.groups.replay(&record.key, record.value.as_deref());
        }
        let took = start.elapsed();
        let bytes = decision.records.iter().map(group::Record::bytes).sum();
        match &decision.replies[..] {
            [(_, Reply::ConsumerHeartbeat(Ok(beat)))] => (beat.epoch, bytes, took),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, ms: u64, id: &str) -> (i32, usize, Duration) {
        let topics = self.topics.0.clone();
        let join = ConsumerHeartbeat {
            rebalance_timeout_ms: 60_000,
            topics: Some(topics),
            owned: Some(Vec::new()),
            ..beat(id, 0)
        };
        self.ask(ms, join)
    }
}

fn beat(id: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "group".to_owned(),
        member: id.to_owned(),
        epoch,
        instance: None,
        rack: None,
        client: Client::default(),
        rebalance_timeout_ms: -1,
        topics: None,
        regex: None,
        assignor: None,
        owned: None,
    }
}

fn steady(members: usize) {
    let mut bench = Bench::new(0);
    let ids: Vec<String> = (0..members).map(|n| format!("member-{n:04}")).collect();
    let mut epochs = vec![0; members];
    for id in &ids {
        bench.join(0, id);
    }
    // Two rounds in which everybody gives up what it has to, and one in which nothing is left.
    for round in 0..4 {
        for (at, id) in ids.iter().enumerate() {
            let owned = (round == 1).then(Vec::new);
            let epoch = epochs[at];
            let (epoch, ..) = if epoch == 0 {
                bench.join(1, id)
            } else {
                bench.ask(
                    1,
                    ConsumerHeartbeat {
                        owned,
                        ..beat(id, epoch)
                    },
                )
            };
            epochs[at] = epoch;
        }
    }
    let start = Instant::now();
    for n in 0..BEATS {
        let at = n as usize % members;
        let (_, bytes, _) = bench.ask(2, beat(&ids[at], epochs[at]));
        assert_eq!(bytes, 0, "a steady heartbeat writes nothing");
    }
    let each = start.elapsed() / BEATS;
    println!("steady heartbeat in a group of {members}: {each:?}");
}

fn main() {
    for members in [1, 10, 100, 1_000] {
        steady(members);
    }
    // Everybody joins at once; the target of all comes with the last one.
    let mut bench = Bench::new(1_000);
    let mut worst = Duration::ZERO;
    for n in 0..999 {
        let (_, _, took) = bench.join(0, &format!("member-{n:04}"));
        worst = worst.max(took);
    }
    println!("the slowest of 999 joins at once: {worst:?}");
    let (_, bytes, took) = bench.join(2_000, "member-0999");
    println!("the join that assigns 10,000 partitions over 1,000 members: {took:?}, {bytes} bytes");
    assert!(took < LIMIT);
}
