//! A disk that takes nothing for a while: what waits for it is bounded, on followers and on leaders.

use super::*;

/// Does what a turn says, or lets it wait for a stuck disk.
pub(crate) fn take(shard: &mut Shard, now: Now, turn: u64, stuck: Option<&mut Vec<u64>>) {
    match stuck {
        Some(waiting) => waiting.push(turn),
        None => {
            shard.on(now, Event::Persisted { turn });
            shard.on(now, Event::Settled { turn });
        }
    }
}

impl Cluster {
    /// The disk of a node takes what waits, and all that comes.
    fn unstick(&mut self, node: u32) {
        for turn in self.stuck.remove(&NodeId(node)).expect("it is stuck") {
            self.event(NodeId(node), Event::Persisted { turn });
            self.event(NodeId(node), Event::Settled { turn });
        }
    }

    fn unsettled_bytes(&self, node: u32) -> u64 {
        self.shards[&NodeId(node)].stats().unsettled_bytes
    }
}

/// Bytes of a batch here.
const LARGE: usize = 100_000;
/// Of these there are many times more than may wait.
const MANY: i64 = 100;
/// What may wait in these tests, and what a message may bring beyond.
const BOUND: u64 = (1 << 20) + 2 * (1 << 20);

fn large() -> Batch {
    let mut builder = Builder::new(7);
    builder.push(7, None, Some(&vec![b'v'; LARGE]), &[]);
    builder.build()
}

fn three_with_a_topic() -> (Cluster, GroupId, u32) {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("somebody leads");
    (c, group, leader)
}

#[test]
fn a_follower_takes_no_more_than_may_wait_for_its_disk_and_catches_up_later() {
    let (mut c, group, leader) = three_with_a_topic();
    let slow = leader % 3 + 1;
    c.stuck.insert(NodeId(slow), Vec::new());
    for at in 0..MANY {
        assert_eq!(c.append(leader, group, large()), Ok(Offset(at)));
    }
    // Heartbeats go on, each of which may bring entries.
    c.run(Duration::from_secs(20));
    assert!(c.unsettled_bytes(slow) <= BOUND);
    c.unstick(slow);
    c.run(Duration::from_secs(5));
    let status = c.shards[&NodeId(slow)].replica_status(group).unwrap();
    assert_eq!(status.high_watermark, Offset(MANY));
    assert_eq!(c.unsettled_bytes(slow), 0);
}

#[test]
fn a_leader_whose_disk_is_stuck_says_so_although_the_others_commit() {
    let (mut c, group, leader) = three_with_a_topic();
    c.stuck.insert(NodeId(leader), Vec::new());
    let appended: Vec<_> = (0..MANY)
        .map(|_| c.append(leader, group, large()))
        .collect();
    let first = appended.iter().position(Result::is_err);
    let first = first.expect("it is refused some time");
    assert!(matches!(&appended[first], Err(Refusal::Busy(why)) if why.contains("disk")));
    assert!(c.unsettled_bytes(leader) <= BOUND);
    c.unstick(leader);
    assert_eq!(c.append(leader, group, large()), Ok(Offset(first as i64)));
}

impl Cluster {
    /// Lets time pass with disks of which each write takes that long; what comes meanwhile goes
    /// with the next one.
    fn run_slowly(&mut self, time: Duration, write: Duration) {
        let until = self.now.after(time);
        let mut writes: BTreeMap<NodeId, (Mono, Vec<u64>)> = BTreeMap::new();
        while self.now < until {
            self.run(Duration::from_millis(5));
            for node in self.shards.keys().copied().collect::<Vec<_>>() {
                if writes.get(&node).is_some_and(|(end, _)| *end <= self.now) {
                    for turn in writes.remove(&node).expect("there is one").1 {
                        self.event(node, Event::Persisted { turn });
                        self.event(node, Event::Settled { turn });
                    }
                }
                let waiting = self.stuck.entry(node).or_default();
                if !waiting.is_empty() && !writes.contains_key(&node) {
                    let turns = std::mem::take(waiting);
                    writes.insert(node, (self.now.after(write), turns));
                }
            }
        }
    }
}

#[test]
fn votes_that_every_disk_takes_a_while_to_keep_elect_somebody_in_the_end() {
    for millis in [300, 1000, 3000] {
        let mut c = Cluster::new(3);
        c.stuck = (1..=3).map(|node| (NodeId(node), Vec::new())).collect();
        let write = Duration::from_millis(millis);
        c.run_slowly(Duration::from_secs(10) + 25 * write, write);
        assert!(c.leader(GroupId::META).is_some(), "{write:?} a write");
    }
}

#[test]
fn a_search_by_time_waits_for_a_slow_disk_only_so_long() {
    let (mut c, group, leader) = three_with_a_topic();
    c.stuck.insert(NodeId(leader), Vec::new());
    assert_eq!(c.append(leader, group, large()), Ok(Offset(0)));
    let part = |query| shard::OffsetPart {
        group,
        query,
        leader_epoch: None,
    };
    let parts = vec![
        part(shard::OffsetQuery::AtTime(0)),
        part(shard::OffsetQuery::Latest),
    ];
    c.ticket += 1;
    let (sink, ticket) = (c.inbox.clone(), c.ticket);
    let to = ReplyTo { sink, ticket };
    c.event(
        NodeId(leader),
        Event::Command(Command::Offsets { parts }, Some(to)),
    );
    let soon = c.now.after(Duration::from_millis(1));
    assert_eq!(c.shards[&NodeId(leader)].deadline(), Some(soon));
    c.run(Duration::from_secs(9));
    assert!(c.inbox.0.lock().unwrap().is_empty());
    c.run(Duration::from_secs(2));
    let reply = c.inbox.0.lock().unwrap().remove(&ticket);
    let Some(Reply::Offsets(parts)) = reply else {
        panic!("it is answered")
    };
    assert!(matches!(parts[0], Err(Refusal::OffsetNotAvailable)));
    assert!(matches!(parts[1], Ok(shard::OffsetAnswer::Known { .. })));
}
