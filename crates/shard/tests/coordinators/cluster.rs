//! Three shards with instant storage whose network is cut by the test: between which nodes, and
//! when. Time stands still but for [`Cluster::run`].

use base::{GroupId, Mono, NodeId, Now, Refusal, Uuid, WallMs};
use bytes::Bytes;
use group::command::{CommitPartition, CommitTopic, FetchTopic, OffsetCommit, OffsetFetch};
use log::Recovered;
use shard::{Command, Effects, Event, Reply, ReplySink, ReplyTo, Settings, Shard};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No batch is compressed here.
const PLAIN: log::Codec = log::Codec {
    unpack: |batch| Some(batch.body().clone()),
    pack: |_, plain| Some(plain.to_vec()),
};

pub(crate) const TOPIC: &str = "orders";

#[derive(Default)]
struct Inbox(Mutex<BTreeMap<u64, Reply>>);

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        let before = self.0.lock().unwrap().insert(ticket, reply);
        assert!(before.is_none(), "an answer is given once");
    }
}

pub(crate) struct Cluster {
    now: Mono,
    pub(crate) shards: BTreeMap<NodeId, Shard>,
    frames: VecDeque<(NodeId, NodeId, Bytes)>,
    /// Nodes that nobody hears and that hear nobody, though they run.
    pub(crate) cut: BTreeSet<u32>,
    /// Nodes whose processes get no time.
    pub(crate) paused: BTreeSet<u32>,
    inbox: Arc<Inbox>,
    tickets: u64,
    /// The only partition of `__consumer_offsets`.
    pub(crate) partition: GroupId,
}

fn settings(node: NodeId, voters: &[NodeId]) -> Settings {
    Settings {
        node,
        voters: voters.to_vec(),
        boot: u64::from(node.0) + 100,
        seed: u64::from(node.0),
        info: meta::NodeInfo::new("h", node.0 as u16, None),
        home: None,
        alone: false,
        metadata_segment_bytes: 300,
        hot_tail_bytes: 1 << 20,
        unsettled_bytes_max: 1 << 20,
        disk_reserve_bytes: 1_000,
        defaults: meta::Defaults::default(),
        replica_lag_max: Duration::from_secs(10),
        retention_check: Duration::from_secs(1),
        catch_up_bytes_per_second: 1 << 30,
        removal_held_bytes: 1 << 20,
        balancing: None,
        checking: None,
        producers: shard::Expiration {
            expiration: Duration::from_secs(86_400),
            check: Duration::from_secs(600),
        },
        compaction: shard::Compaction {
            check: Duration::from_secs(1),
            bytes_per_second: u64::MAX,
            keys_bytes: 1 << 20,
            codec: PLAIN,
        },
        groups: group::Config {
            initial_rebalance_delay_ms: 0,
            ..group::Config::default()
        },
    }
}

impl Cluster {
    /// Nodes with one partition of `__consumer_offsets` on all of them, and a topic.
    pub(crate) fn new(nodes: u32) -> Cluster {
        Cluster::with(nodes, &[])
    }

    /// The same with a configuration of `__consumer_offsets`.
    pub(crate) fn with(nodes: u32, configs: &[(&str, &str)]) -> Cluster {
        let voters: Vec<_> = (1..=nodes).map(NodeId).collect();
        let now = Now {
            mono: Mono(1),
            wall: WallMs(1_000_000),
        };
        let shard = |node: &NodeId| {
            let recovered = Recovered {
                next_turn: 1,
                ..Recovered::default()
            };
            (*node, Shard::new(settings(*node, &voters), recovered, now))
        };
        let mut cluster = Cluster {
            now: Mono(1),
            shards: voters.iter().map(shard).collect(),
            frames: VecDeque::new(),
            cut: BTreeSet::new(),
            paused: BTreeSet::new(),
            inbox: Arc::default(),
            tickets: 0,
            partition: GroupId(0),
        };
        for (node, shard) in &mut cluster.shards {
            for other in voters.iter().filter(|other| *other != node) {
                shard.on(now, Event::PeerUp(*other));
            }
        }
        cluster.run(2_000);
        cluster.partition = cluster.create(meta::names::CONSUMER_OFFSETS, 1, configs);
        cluster.create(TOPIC, 2, &[]);
        cluster.run(2_000);
        cluster
    }

    fn create(&mut self, name: &str, id: u64, configs: &[(&str, &str)]) -> GroupId {
        let deadline = self.now.after(Duration::from_secs(5));
        let topic = meta::NewTopic {
            name: name.into(),
            id: Uuid::from_random(1, id),
            placement: meta::Placement::Spread {
                partitions: Some(1),
                replicas: None,
            },
            configs: configs
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
        };
        let command = meta::Command::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        match self.call(1, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::TopicsCreated(made))) => made[0].clone().unwrap().groups[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delete_offsets_topic(&mut self, node: u32) {
        let deadline = self.now.after(Duration::from_secs(5));
        let name = meta::names::CONSUMER_OFFSETS.to_owned();
        let command = meta::Command::DeleteTopics {
            topics: vec![meta::TopicRef::Name(name)],
        };
        self.ask(node, Command::Meta { command, deadline });
        self.run(500);
    }

    fn now(&self) -> Now {
        Now {
            mono: self.now,
            wall: WallMs(1_000_000 + (self.now.0 / 1000) as i64),
        }
    }

    pub(crate) fn event(&mut self, node: u32, event: Event) {
        let now = self.now();
        self.shards.get_mut(&NodeId(node)).unwrap().on(now, event);
        self.turn(NodeId(node));
    }

    fn turn(&mut self, node: NodeId) {
        let now = self.now();
        let shard = self.shards.get_mut(&node).unwrap();
        loop {
            let mut effects = Effects::default();
            shard.turn(now, &mut effects);
            for (to, pieces) in effects.frames {
                self.frames.push_back((node, to, pieces.concat().into()));
            }
            let Some(turn) = effects.turn else { break };
            shard.on(now, Event::Persisted { turn: turn.number });
            shard.on(now, Event::Settled { turn: turn.number });
        }
    }

    /// The last entry that a node has of the coordinators' partition.
    pub(crate) fn written(&self, node: u32) -> u64 {
        let status = self.shards[&NodeId(node)].replica_status(self.partition);
        status.expect("it has a replica").last_index.0
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now.after(Duration::from_millis(ms));
        while self.now < until {
            let nodes: Vec<_> = self.shards.keys().copied().collect();
            let run = nodes.into_iter().filter(|n| !self.paused.contains(&n.0));
            run.collect::<Vec<_>>()
                .into_iter()
                .for_each(|node| self.turn(node));
            while let Some((from, to, bytes)) = self.frames.pop_front() {
                if !self.cut.contains(&to.0) && !self.cut.contains(&from.0) {
                    self.event(to.0, Event::Frame { from, bytes });
                }
            }
            self.now = self.now.after(Duration::from_millis(5));
        }
    }

    /// Asks; the answer may come later.
    pub(crate) fn ask(&mut self, node: u32, command: Command) -> u64 {
        self.tickets += 1;
        let to = ReplyTo {
            sink: self.inbox.clone(),
            ticket: self.tickets,
        };
        self.event(node, Event::Command(command, Some(to)));
        self.tickets
    }

    /// The answer to a question, if it came.
    pub(crate) fn answer(&mut self, ticket: u64) -> Option<Reply> {
        self.inbox.0.lock().unwrap().remove(&ticket)
    }

    pub(crate) fn call(&mut self, node: u32, command: Command) -> Reply {
        let ticket = self.ask(node, command);
        self.run(200);
        self.answer(ticket).expect("an answer within 200 ms")
    }

    /// A command for the group's coordinator.
    pub(crate) fn group(&mut self, node: u32, command: group::Command) -> u64 {
        let deadline = match &command {
            group::Command::JoinGroup(_) | group::Command::SyncGroup(_) => None,
            _ => Some(self.now.after(Duration::from_secs(5))),
        };
        let group = self.partition;
        self.ask(
            node,
            Command::Group {
                group,
                command: Box::new(command),
                deadline,
            },
        )
    }

    pub(crate) fn group_answer(&mut self, ticket: u64) -> Option<Result<group::Reply, Refusal>> {
        self.answer(ticket).map(|reply| match reply {
            Reply::Group(reply) => reply,
            other => panic!("{other:?}"),
        })
    }

    /// Commits an offset without membership.
    pub(crate) fn commit(&mut self, node: u32, offset: i64) -> u64 {
        self.group(node, commit(offset))
    }

    /// The committed offset, once somebody says it.
    pub(crate) fn fetch(&mut self, node: u32) -> u64 {
        self.group(node, fetch())
    }

    pub(crate) fn fetched(&mut self, ticket: u64) -> Option<Result<Option<i64>, Refusal>> {
        let answer = self.group_answer(ticket)?;
        Some(answer.map(|reply| match reply {
            group::Reply::OffsetFetch(Ok(topics)) => {
                let offset = topics[0].partitions[0].offset.clone();
                offset.unwrap().map(|found| found.offset)
            }
            other => panic!("{other:?}"),
        }))
    }

    /// Commits and sees the answer.
    pub(crate) fn commits(&mut self, node: u32, offset: i64) {
        let ticket = self.commit(node, offset);
        self.run(200);
        match self.group_answer(ticket) {
            Some(Ok(group::Reply::OffsetCommit(Ok(topics)))) => {
                assert_eq!(topics[0].partitions[0].1, Ok(()));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Fetches and sees the answer.
    pub(crate) fn fetches(&mut self, node: u32) -> Option<i64> {
        let ticket = self.fetch(node);
        self.run(200);
        let answer = self.fetched(ticket).expect("an answer within 200 ms");
        answer.expect("it coordinates")
    }

    /// Who leads the partition, of the nodes that aren't cut off.
    pub(crate) fn leader(&self) -> u32 {
        let leads = |(n, s): (&NodeId, &Shard)| {
            let (leader, term) = s.replica_status(self.partition)?.leader?;
            (leader == *n).then_some((term, n.0))
        };
        let alive = self.shards.iter().filter(|(n, _)| !self.cut.contains(&n.0));
        alive.filter_map(leads).max().expect("somebody leads").1
    }

    pub(crate) fn another(&self, than: u32) -> u32 {
        if than == 1 { 2 } else { 1 }
    }

    /// Whether a node's coordinator serves, and how far it has replayed.
    pub(crate) fn serves(&self, node: u32) -> bool {
        let shard = &self.shards[&NodeId(node)];
        shard.coordinator_status(self.partition).unwrap().1
    }

    pub(crate) fn applied(&self, node: u32) -> i64 {
        let shard = &self.shards[&NodeId(node)];
        shard.coordinator_status(self.partition).unwrap().0.0
    }
}

fn commit(offset: i64) -> group::Command {
    group::Command::OffsetCommit(OffsetCommit {
        group: "g".into(),
        member: String::new(),
        instance: None,
        generation_or_epoch: -1,
        retention_ms: None,
        knows_epochs: true,
        topics: vec![CommitTopic {
            name: TOPIC.into(),
            id: Uuid::ZERO,
            partitions: vec![CommitPartition {
                partition: 0,
                offset,
                leader_epoch: -1,
                metadata: None,
            }],
        }],
    })
}

fn fetch() -> group::Command {
    group::Command::OffsetFetch(OffsetFetch {
        group: "g".into(),
        member: None,
        member_epoch: -1,
        topics: Some(vec![FetchTopic {
            name: TOPIC.into(),
            id: Uuid::ZERO,
            partitions: vec![0],
        }]),
        require_stable: true,
    })
}
