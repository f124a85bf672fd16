//! Replicas whose data is damaged, and what is read to find that out.

use super::*;
use base::Member;
use log::ReadFault;
use shard::{Checking, Job, JobResult};

impl Cluster {
    /// Every node looks at what it has, as soon as the test does the jobs.
    pub(crate) fn look_at_everything(&mut self, nodes: u32) {
        self.checking = Some(Checking {
            every: Duration::from_secs(1),
            bytes_per_second: 1 << 20,
        });
        for node in 1..=nodes {
            self.start_empty(NodeId(node), nodes, 200, None);
        }
    }

    /// The next look of a node at a group ends with this.
    pub(crate) fn end_look(
        &mut self,
        node: u32,
        group: GroupId,
        result: Result<Vec<Bytes>, ReadFault>,
    ) {
        for _ in 0..100 {
            let of = |(on, job): &(NodeId, Job)| {
                on.0 == node && matches!(job, Job::Check { group: of, .. } if *of == group)
            };
            if let Some(at) = self.checks.iter().position(of) {
                let (node, job) = self.checks.remove(at);
                return self.event(node, Event::Done(job, JobResult::Records(result)));
            }
            for (node, job) in std::mem::take(&mut self.checks) {
                let nothing = JobResult::Records(Ok(Vec::new()));
                self.event(node, Event::Done(job, nothing));
            }
            self.run(Duration::from_millis(100));
        }
        panic!("node {node} doesn't look at group {group}");
    }

    fn member(&self, node: u32, group: GroupId) -> Member {
        let status = self.shards[&NodeId(node)].replica_status(group).unwrap();
        status.member
    }
}

pub(crate) fn damage(group: GroupId) -> ReadFault {
    ReadFault::Corrupt {
        group,
        file: "a file".to_owned(),
        offset: 17,
        record: Offset(0),
        what: "a bit flipped".to_owned(),
        remedy: "none".to_owned(),
    }
}

/// A group on three nodes with five records, its leader and the other two.
fn five_records() -> (Cluster, GroupId, u32, Vec<u32>) {
    let mut c = Cluster::new(3);
    c.look_at_everything(3);
    c.run(Duration::from_secs(2));
    let group = c.create_topic(1);
    c.run(Duration::from_secs(1));
    let leader = c.leader(group).expect("somebody leads");
    for at in 0..5 {
        let appended = c.append(leader, group, batch(1, at, "v"));
        assert_eq!(appended, Ok(Offset(i64::from(at))));
    }
    let others = (1..=3).filter(|n| *n != leader).collect();
    (c, group, leader, others)
}

#[test]
fn a_damaged_replica_is_made_again_from_the_others() {
    let (mut c, group, leader, others) = five_records();
    for node in [others[0], leader] {
        c.end_look(node, group, Err(damage(group)));
        c.run(Duration::from_secs(5));
        assert!(c.member(node, group).incarnation > 0, "node {node}");
        let status = c.shards[&NodeId(node)].replica_status(group).unwrap();
        assert_eq!((status.high_watermark, status.suspect), (Offset(5), None));
        let stats = c.shards[&NodeId(node)].stats();
        assert_eq!((stats.replicas_damaged, stats.replicas_renewed), (0, 1));
        let image = c.shards[&NodeId(1)].image();
        let info = image.partition(group).unwrap();
        assert!(!info.is_moving() && info.replicas.len() == 3);
    }
    // They vote like any other.
    c.down = vec![NodeId(others[1])];
    c.run(Duration::from_secs(2));
    let leader = c.leader(group).expect("the two that were made again");
    assert_eq!(c.append(leader, group, batch(1, 5, "w")), Ok(Offset(5)));
}

/// What a client could not read is looked at at once, whatever else is.
#[test]
fn what_could_not_be_read_does_not_wait_for_the_slow_look() {
    let (mut c, group, _, others) = five_records();
    let node = NodeId(others[0]);
    // Its look is under way somewhere, and nobody does the job.
    let waits = |c: &Cluster| c.checks.iter().filter(|(on, _)| *on == node).count();
    while waits(&c) == 0 {
        c.run(Duration::from_millis(100));
    }
    let before = waits(&c);
    let (from, asked) = (Offset(3), waits(&c) + 1);
    for _ in 0..2 {
        c.event(node, Event::Command(Command::Check { group, from }, None));
        assert_eq!(waits(&c), asked, "one look is enough");
    }
    let at = c
        .checks
        .iter()
        .rposition(|(on, _)| *on == node)
        .expect("there");
    let (_, job) = c.checks.remove(at);
    c.event(
        node,
        Event::Done(job, JobResult::Records(Err(damage(group)))),
    );
    c.run(Duration::from_secs(5));
    assert!(c.member(others[0], group).incarnation > 0);
    assert!(waits(&c) >= before, "the slow one goes on where it was");
}

/// As long as it may be the last one but one that has everything.
#[test]
fn a_damaged_replica_is_kept_while_others_are_away() {
    let (mut c, group, leader, others) = five_records();
    c.down = vec![NodeId(others[1])];
    c.run(Duration::from_secs(2));
    c.end_look(others[0], group, Err(damage(group)));
    c.run(Duration::from_secs(5));
    assert_eq!(
        c.member(others[0], group),
        Member::founder(NodeId(others[0]))
    );
    assert_eq!(c.shards[&NodeId(others[0])].stats().replicas_damaged, 1);
    c.down.clear();
    c.run(Duration::from_secs(5));
    assert!(c.member(others[0], group).incarnation > 0);
    let led = c.leader(group).expect("somebody leads");
    assert_eq!(
        c.append(led, group, batch(1, 5, "w")),
        Ok(Offset(5)),
        "{leader}"
    );
}

/// As long as nothing is written nobody asks them for anything: their leader is told all the same, and
/// neither goes while the other is no better.
#[test]
fn two_damaged_replicas_of_a_quiet_group_are_both_kept() {
    let (mut c, group, leader, others) = five_records();
    c.run(Duration::from_secs(3));
    for node in &others {
        c.end_look(*node, group, Err(damage(group)));
    }
    c.run(Duration::from_secs(5));
    for node in &others {
        let founder = Member::founder(NodeId(*node));
        assert_eq!(c.member(*node, group), founder, "node {node}");
    }
    let mut told = c.behind[&(leader, group)].clone();
    told.sort();
    assert_eq!(told, [NodeId(others[0]), NodeId(others[1])]);
}

/// A device that damages what it is given gets no more of it after a while.
#[test]
fn a_replica_that_is_damaged_again_and_again_is_not_renewed_for_ever() {
    let (mut c, group, _, others) = five_records();
    let node = others[0];
    for _ in 0..base::limits::RENEWALS_MAX {
        let before = c.member(node, group);
        c.end_look(node, group, Err(damage(group)));
        c.run(Duration::from_secs(3));
        assert!(c.member(node, group).incarnation > before.incarnation);
    }
    let last = c.member(node, group);
    c.end_look(node, group, Err(damage(group)));
    c.run(Duration::from_secs(10));
    assert_eq!(c.member(node, group), last);
    let stats = c.shards[&NodeId(node)].stats();
    assert_eq!((stats.replicas_damaged, stats.renewals_held_back), (1, 1));
}

/// Each is whole by its own checksums: nothing is done but that it is told.
#[test]
fn replicas_that_differ_are_told() {
    let (mut c, group, leader, others) = five_records();
    let bytes = |value: &str| {
        let batch = batch(1, 0, value);
        Bytes::from([batch.head().as_slice(), batch.body()].concat())
    };
    // What is the same again differs no longer.
    for (theirs, same, differ) in [("v", 1, 0), ("w", 1, 1), ("v", 2, 0)] {
        c.end_look(others[0], group, Ok(vec![bytes("v")]));
        // The leader is asked, and reads the same, perhaps for itself too.
        c.run(Duration::from_millis(50));
        for (node, job) in std::mem::take(&mut c.checks) {
            let there = vec![bytes(theirs)];
            let of_leader =
                node.0 == leader && matches!(job, Job::Check { group: of, .. } if of == group);
            let read = if of_leader { there } else { Vec::new() };
            c.event(node, Event::Done(job, JobResult::Records(Ok(read))));
        }
        c.run(Duration::from_millis(200));
        c.end_look(others[0], group, Ok(Vec::new()));
        c.run(Duration::from_millis(200));
        let stats = c.shards[&NodeId(others[0])].stats();
        assert_eq!(
            (stats.pieces_compared, stats.replicas_differing),
            (same, differ)
        );
    }
}

/// Its only copy is damaged when it is moved: what is whole is served on, and the move may be taken
/// back.
#[test]
fn a_partition_of_one_damaged_replica_stays_available_while_it_moves() {
    let mut c = Cluster::new(3);
    c.look_at_everything(3);
    c.run(Duration::from_secs(2));
    let group = c.create_on(&[1]);
    for at in 0..3 {
        assert_eq!(
            c.append(1, group, batch(1, at, "v")),
            Ok(Offset(i64::from(at)))
        );
    }
    // The learner hears nothing, so it stays one.
    c.down = vec![NodeId(3)];
    c.reassign(Some(&[3])).unwrap();
    c.run(Duration::from_secs(1));
    c.end_look(1, group, Err(damage(group)));
    c.run(Duration::from_secs(2));
    assert_eq!(c.leader(group), Some(1));
    assert_eq!(c.append(1, group, batch(1, 3, "v")), Ok(Offset(3)));
    assert_eq!(c.shards[&NodeId(1)].stats().replicas_damaged, 1);
    c.reassign(None).unwrap();
    c.run(Duration::from_secs(3));
    let image = c.shards[&NodeId(1)].image();
    assert!(!image.partition(group).unwrap().is_moving());
}

/// Nobody gives group 0 another replica: it's the whole node that has to go.
#[test]
fn who_has_damaged_metadata_is_told_what_to_do() {
    let mut c = Cluster::new(3);
    c.look_at_everything(3);
    c.run(Duration::from_secs(2));
    let leader = c.leader(GroupId::META).expect("a controller");
    let node = if leader == 3 { 2 } else { 3 };
    c.end_look(node, GroupId::META, Err(damage(GroupId::META)));
    let told = c.notes.iter().filter(|note| note.contains("--lost"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("flotilla cluster remove {node} --lost")));
}
