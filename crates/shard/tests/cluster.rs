//! A few shards with instant storage and a perfect network: the protocol's happy path and the
//! plain failures, without the simulator's weather.

#[path = "cluster/alone.rs"]
mod alone;
#[path = "cluster/balance.rs"]
mod balance;
#[path = "cluster/compact.rs"]
mod compact;
#[path = "cluster/damage.rs"]
mod damage;
#[path = "cluster/ends.rs"]
mod ends;
#[path = "cluster/joined.rs"]
mod joined;
#[path = "cluster/metadata.rs"]
mod metadata;
#[path = "cluster/narrow.rs"]
mod narrow;
#[path = "cluster/offsets.rs"]
mod offsets;
#[path = "cluster/operate.rs"]
mod operate;
#[path = "cluster/parked.rs"]
mod parked;
#[path = "cluster/producers.rs"]
mod producers;
#[path = "cluster/reassign.rs"]
mod reassign;
#[path = "cluster/rest.rs"]
mod rest;
#[path = "cluster/room.rs"]
mod room;
#[path = "cluster/slow_disk.rs"]
mod slow_disk;
#[path = "cluster/snapshot.rs"]
mod snapshot;
#[path = "cluster/stamps.rs"]
mod stamps;
#[path = "cluster/starts.rs"]
mod starts;

use base::record::Builder;
use base::{Batch, GroupId, Mono, NodeId, Now, Offset, ProducerId, Refusal, Uuid, WallMs};
use bytes::Bytes;
use log::Recovered;
use shard::{
    Acks, AppendPart, Command, DeletePart, Effects, Event, ReadPart, Reply, ReplySink, ReplyTo,
    Settings, Shard,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Between two looks at everything.
const STEP: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Inbox(Mutex<BTreeMap<u64, Reply>>, AtomicBool);

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        self.0.lock().unwrap().insert(ticket, reply);
    }

    fn is_gone(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

struct Cluster {
    now: Mono,
    shards: BTreeMap<NodeId, Shard>,
    frames: VecDeque<(NodeId, NodeId, Bytes)>,
    /// Nodes that get no steps and whose frames are lost.
    down: Vec<NodeId>,
    /// Bytes past their retention that are kept for replicas that are away.
    held: u64,
    /// When leaders go back by themselves.
    balancing: Option<shard::Balancing>,
    /// When everything on disk is looked at; these jobs and rewrites wait for the test to do them.
    checking: Option<shard::Checking>,
    checks: Vec<(NodeId, shard::Job)>,
    /// Nodes whose disks take nothing, and the turns that wait for that.
    stuck: BTreeMap<NodeId, Vec<u64>>,
    /// Snapshots that the network loses.
    lose_snapshots: u32,
    /// Lines on which frames take their time.
    line: Option<narrow::Line>,
    /// A group of which frames say nothing for a while.
    unsaid: Option<reassign::Unsaid>,
    /// Messages of groups that were delivered, while they are counted.
    messages: Option<u64>,
    /// Whose replicas are behind, as each node was told last.
    behind: BTreeMap<(u32, GroupId), Vec<NodeId>>,
    /// Who leads, as each node was told last.
    led: BTreeMap<(u32, GroupId), Option<NodeId>>,
    /// Counts the bytes that a node is sent.
    frames_to: Option<(NodeId, usize)>,
    /// What the nodes said for people.
    notes: Vec<String>,
    /// What a turn said of a loss, to be kept on disk.
    lost: Option<String>,
    inbox: Arc<Inbox>,
    ticket: u64,
}

impl Cluster {
    fn new(nodes: u32) -> Cluster {
        Cluster::keeping(nodes, 1 << 20)
    }

    fn keeping(nodes: u32, held: u64) -> Cluster {
        Cluster::with(nodes, held, None)
    }

    fn with(nodes: u32, held: u64, balancing: Option<shard::Balancing>) -> Cluster {
        let mut cluster = Cluster {
            now: Mono(1),
            shards: BTreeMap::new(),
            frames: VecDeque::new(),
            down: vec![],
            held,
            balancing,
            checking: None,
            checks: Vec::new(),
            stuck: BTreeMap::new(),
            lose_snapshots: 0,
            line: None,
            unsaid: None,
            messages: None,
            behind: BTreeMap::new(),
            led: BTreeMap::new(),
            frames_to: None,
            notes: Vec::new(),
            lost: None,
            inbox: Arc::default(),
            ticket: 0,
        };
        for node in 1..=nodes {
            cluster.start_empty(NodeId(node), nodes, 100, None);
        }
        cluster
    }

    fn settings(&self, node: NodeId, nodes: u32, boot: u64) -> Settings {
        Settings {
            node,
            voters: (1..=nodes).map(NodeId).collect(),
            boot: u64::from(node.0) + boot,
            seed: u64::from(node.0),
            info: meta::NodeInfo::new("h", node.0 as u16, None),
            home: None,
            alone: false,
            metadata_segment_bytes: 300,
            hot_tail_bytes: 1 << 24,
            unsettled_bytes_max: 1 << 20,
            disk_reserve_bytes: 1000,
            defaults: meta::Defaults::default(),
            replica_lag_max: Duration::from_secs(10),
            retention_check: Duration::from_secs(1),
            catch_up_bytes_per_second: 1 << 30,
            removal_held_bytes: self.held,
            balancing: self.balancing,
            checking: self.checking,
            producers: shard::Expiration {
                expiration: Duration::from_secs(86_400),
                check: Duration::from_secs(600),
            },
            compaction: shard::Compaction {
                check: Duration::from_secs(1),
                bytes_per_second: u64::MAX,
                keys_bytes: 1 << 20,
                codec: compact::PLAIN,
            },
            groups: group::Config::default(),
        }
    }

    /// A node starts on an empty disk, which may know of a loss.
    fn start_empty(&mut self, node: NodeId, nodes: u32, boot: u64, lost: Option<String>) {
        let settings = self.settings(node, nodes, boot);
        let recovered = Recovered {
            next_turn: 1,
            lost,
            ..Recovered::default()
        };
        self.begin(node, Shard::new(settings, recovered, self.now()));
    }

    /// A node begins, and connections to and from all others stand.
    fn begin(&mut self, node: NodeId, shard: Shard) {
        self.shards.insert(node, shard);
        let others = self.shards.keys().copied().filter(|other| *other != node);
        for other in others.collect::<Vec<_>>() {
            self.event(node, Event::PeerUp(other));
            self.event(other, Event::PeerUp(node));
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: self.now,
            wall: WallMs(1_000_000 + (self.now.0 / 1000) as i64),
        }
    }

    fn event(&mut self, node: NodeId, event: Event) {
        let now = self.now();
        self.shards.get_mut(&node).unwrap().on(now, event);
        self.turn(node);
    }

    fn turn(&mut self, node: NodeId) {
        let now = self.now();
        let shard = self.shards.get_mut(&node).unwrap();
        loop {
            let mut effects = Effects::default();
            shard.turn(now, &mut effects);
            let notes = effects.notes.iter().map(ToString::to_string);
            self.notes.extend(notes);
            let checks = effects.jobs.into_iter().filter(compact::waits);
            self.checks.extend(checks.map(|job| (node, job)));
            for (to, pieces) in effects.frames {
                self.frames.push_back((node, to, pieces.concat().into()));
            }
            for (group, _, nodes) in effects.behind {
                self.behind.insert((node.0, group), nodes);
            }
            for (group, _, leader) in effects.leaders {
                self.led.insert((node.0, group), leader);
            }
            let Some(turn) = effects.turn else { break };
            self.lost = turn.lost.or(self.lost.take());
            slow_disk::take(shard, now, turn.number, self.stuck.get_mut(&node));
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now.after(time);
        while self.now < until {
            let nodes = self.shards.keys().filter(|n| !self.down.contains(n));
            for node in nodes.copied().collect::<Vec<_>>() {
                self.turn(node);
            }
            self.let_through();
            while let Some((from, to, bytes)) = self.frames.pop_front() {
                if self.holds_up(from, to, &bytes) {
                    continue;
                }
                room::count(&mut self.frames_to, to, &bytes);
                let there = self.shards.contains_key(&to);
                let down = self.down.contains(&to) || self.down.contains(&from);
                self.count_messages(&bytes);
                if there && !down && !self.loses(&bytes) {
                    let bytes = self.without_unsaid(to, bytes);
                    self.event(to, Event::Frame { from, bytes });
                }
            }
            self.now = self.now.after(STEP);
        }
    }

    fn call(&mut self, node: u32, command: Command) -> Reply {
        self.ticket += 1;
        let to = ReplyTo {
            sink: self.inbox.clone(),
            ticket: self.ticket,
        };
        self.event(NodeId(node), Event::Command(command, Some(to)));
        self.run(Duration::from_millis(200));
        let reply = self.inbox.0.lock().unwrap().remove(&self.ticket);
        reply.expect("an answer within 200 ms")
    }

    fn create_topic(&mut self, node: u32) -> GroupId {
        self.create_topic_with(node, &[])
    }

    fn create_topic_with(&mut self, node: u32, configs: &[(&str, &str)]) -> GroupId {
        let spread = meta::Placement::Spread {
            partitions: Some(1),
            replicas: None,
        };
        self.create(node, spread, configs)
    }

    fn create_placed(&mut self, node: u32, placement: meta::Placement) -> GroupId {
        self.create(node, placement, &[])
    }

    fn create(
        &mut self,
        node: u32,
        placement: meta::Placement,
        configs: &[(&str, &str)],
    ) -> GroupId {
        let configs = configs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let deadline = self.now.after(Duration::from_secs(5));
        let topic = meta::NewTopic {
            name: "t".into(),
            id: Uuid::from_random(1, 2),
            placement,
            configs: configs.collect(),
        };
        let command = meta::Command::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        match self.call(node, Command::Meta { command, deadline }) {
            Reply::Meta(Ok(meta::Reply::TopicsCreated(made))) => made[0].clone().unwrap().groups[0],
            other => panic!("{other:?}"),
        }
    }

    fn leader(&self, group: GroupId) -> Option<u32> {
        let alive = self.shards.iter().filter(|(n, _)| !self.down.contains(n));
        let leads = |(n, s): (&NodeId, &Shard)| {
            let (leader, term) = s.replica_status(group)?.leader?;
            (leader == *n).then_some((term, n.0))
        };
        alive.filter_map(leads).max().map(|(_, n)| n)
    }

    fn append(&mut self, node: u32, group: GroupId, batch: Batch) -> Result<Offset, Refusal> {
        let deadline = self.now.after(Duration::from_secs(1));
        let parts = vec![AppendPart { group, batch }];
        match self.call(
            node,
            Command::Append {
                acks: Acks::All,
                deadline,
                parts,
            },
        ) {
            Reply::Appended(mut parts) => parts.remove(0).map(|a| a.base_offset),
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, node: u32, group: GroupId, offset: i64) -> Vec<Batch> {
        let part = ReadPart {
            group,
            offset: Offset(offset),
            bytes_max: 1 << 20,
            leader_epoch: None,
            last_fetched_epoch: None,
        };
        let (deadline, parts) = (self.now, vec![part]);
        match self.call(
            node,
            Command::Read {
                bytes_min: 1,
                bytes_max: 1 << 20,
                deadline,
                parts,
            },
        ) {
            Reply::Read(mut parts) => parts.remove(0).unwrap().hot,
            other => panic!("{other:?}"),
        }
    }
}

fn batch(id: i64, sequence: i32, value: &str) -> Batch {
    let mut b = Builder::new(5).producer(ProducerId(id), 0, sequence);
    b.push(5, None, Some(value.as_bytes()), &[]);
    b.build()
}

#[test]
fn one_node_leads_at_once_and_answers() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_millis(20));
    let group = c.create_topic(1);
    assert_eq!(c.leader(group), Some(1));
    assert_eq!(c.append(1, group, batch(1, 0, "a")), Ok(Offset(0)));
    assert_eq!(c.append(1, group, batch(1, 1, "b")), Ok(Offset(1)));
    assert_eq!(
        c.append(1, group, batch(1, 0, "a")),
        Ok(Offset(0)),
        "a duplicate"
    );
    assert_eq!(c.read(1, group, 0).len(), 2);
}

#[test]
fn a_batch_that_is_larger_than_what_may_wait_is_let_in_alone() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    let huge = "x".repeat(base::limits::UNCOMMITTED_GROUP_BYTES as usize + 1);
    for offset in 0..2 {
        let appended = c.append(leader, group, batch(1, offset, &huge));
        assert_eq!(appended, Ok(Offset(i64::from(offset))));
    }
}

#[test]
fn three_nodes_elect_replicate_and_survive_their_leader() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(2);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    assert_eq!(c.append(leader, group, batch(1, 0, "a")), Ok(Offset(0)));
    let other = if leader == 1 { 2 } else { 1 };
    assert!(matches!(
        c.append(other, group, batch(1, 1, "b")),
        Err(Refusal::NotLeader { leader: Some((n, _)) }) if n.0 == leader
    ));
    c.run(Duration::from_secs(3));
    for shard in c.shards.values() {
        assert_eq!(
            shard.replica_status(group).unwrap().high_watermark,
            Offset(1)
        );
    }
    c.down = vec![NodeId(leader)];
    c.run(Duration::from_millis(1500));
    let next = c
        .leader(group)
        .expect("another leader after the first fell silent");
    assert_ne!(next, leader);
    assert_eq!(
        c.append(next, group, batch(1, 0, "a")),
        Ok(Offset(0)),
        "a duplicate is known"
    );
    assert_eq!(c.append(next, group, batch(1, 1, "b")), Ok(Offset(1)));
    c.down = vec![];
    c.run(Duration::from_secs(2));
    let old = c.shards[&NodeId(leader)].replica_status(group).unwrap();
    assert_eq!(old.high_watermark, Offset(2), "the old leader catches up");
    assert_eq!(c.read(next, group, 0).len(), 2);
}

#[test]
fn a_node_that_lost_what_it_acknowledged_lives_on_without_a_vote() {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(GroupId::META).unwrap();
    let other = if leader == 1 { 2 } else { 1 };
    c.start_empty(NodeId(other), 3, 200, None);
    c.run(Duration::from_secs(2));
    let status = c.shards[&NodeId(other)].replica_status(GroupId::META);
    let why = status.unwrap().suspect.expect("its leader counts on more");
    assert!(why.contains("lost what it acknowledged"), "{why}");
    let leading = c.leader(group).expect("the others are a majority");
    assert_ne!(leading, other);
    assert_eq!(c.append(leading, group, batch(1, 0, "a")), Ok(Offset(0)));
    // Without its vote there is no other leader.
    c.down = vec![NodeId(leading)];
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(group), None);
    c.down = vec![];
    c.run(Duration::from_secs(2));
    let leading = c.leader(group).unwrap();
    assert_eq!(c.read(leading, group, 0).len(), 1);
    // Its disk keeps that, so the next process doesn't vote either, before it hears of any leader.
    let lost = c.lost.clone();
    assert!(lost.is_some(), "the loss was to be made durable");
    c.down = vec![NodeId(leading)];
    c.start_empty(NodeId(other), 3, 300, lost);
    c.run(Duration::from_secs(5));
    assert_eq!(c.leader(GroupId::META), None);
}

#[test]
fn an_epoch_that_this_group_never_had_has_no_end() {
    let mut c = Cluster::new(1);
    c.run(Duration::from_millis(20));
    let group = c.create_topic(1);
    assert_eq!(c.append(1, group, batch(1, 0, "a")), Ok(Offset(0)));
    let term = c.shards[&NodeId(1)]
        .replica_status(group)
        .unwrap()
        .leader
        .unwrap()
        .1;
    let part = |epoch| shard::EpochPart {
        group,
        current_epoch: None,
        epoch,
    };
    let parts = vec![part(term.epoch()), part(term.epoch() + 1)];
    match c.call(1, Command::EpochEnds { parts }) {
        Reply::EpochEnds(ends) => {
            assert_eq!(ends[0], Ok((term.epoch(), Offset(1))));
            assert_eq!(ends[1], Ok((-1, Offset(-1))));
        }
        other => panic!("{other:?}"),
    }
}

impl Cluster {
    fn delete(&mut self, node: u32, group: GroupId, before: Option<i64>) -> Result<i64, Refusal> {
        let before = before.map(Offset);
        let deadline = self.now.after(Duration::from_millis(150));
        let parts = vec![DeletePart { group, before }];
        match self.call(node, Command::DeleteRecords { deadline, parts }) {
            Reply::Deleted(mut parts) => parts.remove(0).map(|start| start.0),
            other => panic!("{other:?}"),
        }
    }

    fn starts(&self, group: GroupId) -> Vec<i64> {
        let start = |shard: &Shard| shard.replica_status(group).unwrap().start_offset.0;
        self.shards.values().map(start).collect()
    }

    fn bytes(&self, group: GroupId) -> Vec<u64> {
        let bytes = |shard: &Shard| shard.replica_status(group).unwrap().log_bytes;
        self.shards.values().map(bytes).collect()
    }

    fn refused_read(&mut self, node: u32, group: GroupId, offset: i64) -> Refusal {
        self.refused_read_after(node, group, offset, None)
    }

    fn refused_read_after(
        &mut self,
        node: u32,
        group: GroupId,
        offset: i64,
        last_fetched_epoch: Option<i32>,
    ) -> Refusal {
        let part = ReadPart {
            group,
            offset: Offset(offset),
            bytes_max: 1 << 20,
            leader_epoch: None,
            last_fetched_epoch,
        };
        let (deadline, parts) = (self.now, vec![part]);
        let command = Command::Read {
            bytes_min: 1,
            bytes_max: 1 << 20,
            deadline,
            parts,
        };
        match self.call(node, command) {
            Reply::Read(mut parts) => parts.remove(0).expect_err("it is refused"),
            other => panic!("{other:?}"),
        }
    }
}

/// A leader that was deposed and doesn't know it says nothing of what its successor committed.
#[test]
fn what_was_read_of_a_later_leader_is_not_said_to_differ() {
    let (mut c, leader, group) = five_segments(&[]);
    let refusal = c.refused_read_after(leader, group, 5, Some(99));
    assert_eq!(refusal, Refusal::UnknownLeaderEpoch);
}

/// Three nodes, a leader, five records in segments of their own.
fn five_segments(configs: &[(&str, &str)]) -> (Cluster, u32, GroupId) {
    five_segments_in(Cluster::new(3), configs)
}

fn five_segments_in(mut c: Cluster, configs: &[(&str, &str)]) -> (Cluster, u32, GroupId) {
    c.run(Duration::from_secs(2));
    let mut all = vec![("internal.segment.bytes", "1")];
    all.extend_from_slice(configs);
    let group = c.create_topic_with(2, &all);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("a leader within a second");
    for at in 0..5 {
        let sequence = at as i32;
        assert_eq!(
            c.append(leader, group, batch(1, sequence, "v")),
            Ok(Offset(at))
        );
    }
    (c, leader, group)
}
