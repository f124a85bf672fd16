//! Lines on which frames take long: what is under way on them deposes nobody.

use super::*;

/// How often a node learns that bytes come.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// Frames that wait for their turn, one after the other in each direction.
pub(crate) struct Line {
    bytes_per_step: usize,
    lanes: BTreeMap<(NodeId, NodeId), Lane>,
}

#[derive(Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    /// Of the first one.
    passed: usize,
    told: usize,
    steps: u32,
}

impl Lane {
    /// What comes out of it in one step.
    fn step(&mut self, from: NodeId, mut room: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(first) = self.frames.front() {
            let now = room.min(first.len() - self.passed);
            (self.passed, room) = (self.passed + now, room - now);
            if self.passed < first.len() {
                break;
            }
            let bytes = self.frames.pop_front().expect("just seen");
            events.push(Event::Frame { from, bytes });
            (self.passed, self.told, self.steps) = (0, 0, 0);
        }
        self.steps += 1;
        if self.passed > self.told && STEP * self.steps >= TOLD_EVERY {
            let bytes = (self.passed - self.told) as u64;
            events.push(Event::Coming { from, bytes });
            (self.told, self.steps) = (self.passed, 0);
        }
        events
    }
}

impl Cluster {
    /// From now on all lines are narrow.
    fn narrow(&mut self, bytes_per_second: usize) {
        let steps = (Duration::from_secs(1).as_millis() / STEP.as_millis()) as usize;
        self.line = Some(Line {
            bytes_per_step: bytes_per_second / steps,
            lanes: BTreeMap::new(),
        });
    }

    /// Takes a frame that has to wait.
    pub(crate) fn holds_up(&mut self, from: NodeId, to: NodeId, bytes: &Bytes) -> bool {
        let Some(line) = &mut self.line else {
            return false;
        };
        let lane = line.lanes.entry((from, to)).or_default();
        lane.frames.push_back(bytes.clone());
        true
    }

    /// What a step lets through.
    pub(crate) fn let_through(&mut self) {
        let Some(line) = &mut self.line else {
            return;
        };
        let mut out = Vec::new();
        for ((from, to), lane) in &mut line.lanes {
            let events = lane.step(*from, line.bytes_per_step);
            out.extend(events.into_iter().map(|event| (*to, event)));
        }
        for (to, event) in out {
            if !self.down.contains(&to) {
                self.event(to, event);
            }
        }
    }

    fn campaigns(&self) -> u64 {
        self.shards.values().map(|s| s.stats().campaigns).sum()
    }

    /// Sends batches at once, each in a turn of its own, and waits long for what becomes of them.
    fn append_all(
        &mut self,
        node: u32,
        batches: Vec<(GroupId, Batch)>,
    ) -> Vec<Result<Offset, Refusal>> {
        let mut tickets = Vec::new();
        for (group, batch) in batches {
            self.ticket += 1;
            tickets.push(self.ticket);
            let to = ReplyTo {
                sink: self.inbox.clone(),
                ticket: self.ticket,
            };
            let command = Command::Append {
                acks: Acks::All,
                deadline: self.now.after(Duration::from_secs(60)),
                parts: vec![AppendPart { group, batch }],
            };
            self.event(NodeId(node), Event::Command(command, Some(to)));
        }
        self.run(Duration::from_secs(30));
        let inbox = self.inbox.0.lock().unwrap();
        let answer = |ticket| match &inbox[&ticket] {
            Reply::Appended(parts) => parts[0].clone().map(|a| a.base_offset),
            other => panic!("{other:?}"),
        };
        tickets.into_iter().map(answer).collect()
    }
}

const PARTITIONS: u64 = 6;

/// Three nodes with a topic, the leader of its first partition, and lines of a megabyte a second.
fn narrow() -> (Cluster, u32, GroupId) {
    let mut c = Cluster::new(3);
    c.run(Duration::from_secs(2));
    let spread = meta::Placement::Spread {
        partitions: Some(PARTITIONS as u32),
        replicas: None,
    };
    let group = c.create_placed(1, spread);
    c.run(Duration::from_secs(3));
    let leader = c.leader(group).unwrap();
    c.narrow(1_000_000);
    c.run(Duration::from_secs(1));
    (c, leader, group)
}

#[test]
fn a_batch_that_is_long_on_its_way_deposes_nobody() {
    let (mut c, leader, group) = narrow();
    let (campaigns, term) = (
        c.campaigns(),
        c.shards[&NodeId(leader)].replica_status(group),
    );
    let long = "x".repeat(3_000_000);
    let appended = c.append_all(leader, vec![(group, batch(1, 0, &long))]);
    assert_eq!(appended, [Ok(Offset(0))]);
    assert_eq!(c.campaigns(), campaigns);
    let after = c.shards[&NodeId(leader)].replica_status(group);
    assert_eq!(after.unwrap().leader, term.unwrap().leader);
}

#[test]
fn many_frames_of_one_group_on_their_way_depose_nobody_in_another() {
    let (mut c, leader, group) = narrow();
    let others = (group.0 + 1..group.0 + PARTITIONS).map(GroupId);
    let mut led = others.filter(|other| c.leader(*other) == Some(leader));
    let other = led.next().expect("a node leads several");
    let (campaigns, term) = (
        c.campaigns(),
        c.shards[&NodeId(leader)].replica_status(group),
    );
    let some = "x".repeat(100_000);
    let long = (0..40).map(|n| (group, batch(1, n, &some)));
    let batches = std::iter::once((other, batch(1, 0, "a"))).chain(long);
    let appended = c.append_all(leader, batches.collect());
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    assert_eq!(c.campaigns(), campaigns);
    let after = c.shards[&NodeId(leader)].replica_status(group);
    assert_eq!(after.unwrap().leader, term.unwrap().leader);
}

/// Nothing comes through any more: that nobody answers is no excuse for long.
#[test]
fn a_leader_whose_line_is_dead_is_deposed_though_much_was_on_its_way() {
    let (mut c, leader, group) = narrow();
    let some = "x".repeat(100_000);
    for n in 0..20 {
        let command = Command::Append {
            acks: Acks::All,
            deadline: c.now.after(Duration::from_secs(60)),
            parts: vec![AppendPart {
                group,
                batch: batch(1, n, &some),
            }],
        };
        c.event(NodeId(leader), Event::Command(command, None));
    }
    c.run(Duration::from_millis(500));
    c.narrow(0);
    c.run(Duration::from_secs(2));
    let status = c.shards[&NodeId(leader)].replica_status(group).unwrap();
    let leads = status
        .leader
        .is_some_and(|(node, _)| node == NodeId(leader));
    assert!(!leads, "it leads nobody: {:?}", status.leader);
}
