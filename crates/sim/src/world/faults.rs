//! Faults begin and end.

use super::nodes::is_at;
use super::{Event, Over, World};
use crate::checkers::Checked;
use crate::disk::Fails;
use crate::net::Place;
use crate::plan::faults::{Crash, Fault, Where, Whom};
use crate::scheduler::Micros;
use base::GroupId;

/// An ambush lasts so many times as long as its leader is cut off.
const AMBUSHED_TIMES: u64 = 2;
/// An ambush stops a process within so many operations of its disk.
const AMBUSH_OPERATIONS: u64 = 6;

impl World {
    /// Who is meant right now.
    fn hit(&mut self, whom: Whom) -> Vec<Place> {
        match whom {
            Whom::Node(node) => vec![node],
            Whom::All => (0..self.plan.nodes).collect(),
            Whom::Leader => {
                let mut groups: Vec<GroupId> =
                    self.parts.keys().map(|group| GroupId(*group)).collect();
                groups.push(GroupId::META);
                let group = groups[self.random.below(groups.len() as u64) as usize];
                self.leader_of(group).into_iter().collect()
            }
        }
    }

    /// Who leads a group, by the latest term that any node knows.
    pub(super) fn leader_of(&self, group: GroupId) -> Option<Place> {
        let brokers = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let known = brokers.filter_map(|process| process.broker.leader(group));
        let (leader, _) = known.max_by_key(|(_, term)| *term)?;
        Some(leader.0 as usize - 1)
    }

    /// A fault of the plan begins.
    pub(super) fn begin(&mut self, fault: Fault) -> Checked {
        match fault {
            Fault::Crash { whom, how, down } => {
                for node in self.hit(whom) {
                    if self.nodes[node].process.is_some() {
                        self.crashed(node, how, down);
                    }
                }
            }
            Fault::Fuse {
                whom,
                how,
                operations,
                down,
            } => {
                for node in self.hit(whom) {
                    if self.nodes[node].process.is_none() {
                        self.nodes[node].fuse_at_start = Some((how, operations, down));
                    } else {
                        self.nodes[node].fuse = Some((how, down));
                        self.nodes[node].disk.light_fuse(operations);
                    }
                }
            }
            Fault::Drain { node, down } => {
                self.leave(node, vec![shard::Event::Drain]);
                let life = self.nodes[node].life;
                let wait = self.random.between(1_000, 400_000);
                let drained = Over::Drained { node, life, down };
                self.scheduler.after(wait, Event::Over(drained));
            }
            Fault::Ambush { time } => {
                self.ambush_until = self.scheduler.now() + AMBUSHED_TIMES * time;
                let whom = Whom::Leader;
                self.begin_on_net(Fault::Isolate { whom, time });
            }
            Fault::Hunt { time } => self.hunt_until = self.scheduler.now() + time,
            Fault::Pause { whom, time } => {
                for node in self.hit(whom) {
                    let until = self.scheduler.now() + time;
                    self.nodes[node].paused_until = Some(until);
                    self.scheduler.at(until, Event::Over(Over::Pause { node }));
                }
            }
            Fault::Unreachable { node, time } => {
                self.nodes[node].unreachable_until = self.scheduler.now() + time;
            }
            Fault::HangUp { node } => self.hang_up_all(node),
            Fault::Clock { node, ms } => {
                self.nodes[node].wall_skew += ms;
                self.clocks_moved += ms.unsigned_abs() * 1_000;
            }
            Fault::SyncError { .. }
            | Fault::WriteError { .. }
            | Fault::ReadError { .. }
            | Fault::Misdirect { .. }
            | Fault::Full { .. }
            | Fault::SlowDisk { .. }
            | Fault::Rot { .. } => self.begin_on_disk(fault),
            Fault::OneWay { .. }
            | Fault::Isolate { .. }
            | Fault::Split { .. }
            | Fault::Flap { .. }
            | Fault::Slow { .. }
            | Fault::Narrow { .. } => self.begin_on_net(fault),
        }
        Ok(())
    }

    fn begin_on_disk(&mut self, fault: Fault) {
        match fault {
            Fault::SyncError { node, skip } => self.nodes[node].disk.arm(Fails::Sync, skip),
            Fault::WriteError { node, skip } => self.nodes[node].disk.arm(Fails::Write, skip),
            Fault::ReadError { node, skip } => self.nodes[node].disk.arm(Fails::Read, skip),
            Fault::Misdirect { node } => self.nodes[node].disk.arm(Fails::Misdirect, 0),
            Fault::Full { node, room, time } => {
                let used = self.nodes[node].disk.used();
                self.nodes[node].disk.set_capacity(Some(used + room));
                self.scheduler.after(time, Event::Over(Over::Full { node }));
            }
            Fault::SlowDisk { node, time } => {
                self.nodes[node].slow_until = self.scheduler.now() + time;
            }
            Fault::Rot {
                node,
                place,
                bits,
                down: true,
            } => {
                self.nodes[node].rot_when_down.push((place, bits));
                if self.nodes[node].process.is_some() && self.random.percent(50) {
                    let down = self.random.between(5_000, 500_000);
                    self.crashed(node, Crash::Kill, down);
                }
            }
            Fault::Rot {
                node,
                place,
                bits,
                down: false,
            } => {
                for _ in 0..bits {
                    let hit = self.nodes[node].disk.rot(|path| is_at(place, path));
                    self.trace
                        .tell(self.scheduler.now(), || format!("  rot: {hit:?}"));
                }
            }
            other => unreachable!("{other:?} is no fault of a disk"),
        }
    }

    /// A leader that was just elected is cut off or stopped.
    fn strike(&mut self, node: Place) {
        let time = self.random.between(5_000, 1_500_000);
        match self.random.below(4) {
            0 => self.crashed(node, Crash::Kill, time),
            1 => self.crashed(node, Crash::Power, time),
            _ => self.begin_on_net(Fault::Isolate {
                whom: Whom::Node(node),
                time,
            }),
        }
    }

    /// A node is about to cut off a part of a group's log. In an ambush it is stopped while it does
    /// so; or the leader that makes it do so is hit, so that the node may soon lead again itself.
    pub(super) fn ambush(&mut self, node: Place, group: u64) {
        if self.scheduler.now() >= self.ambush_until || self.nodes[node].fuse.is_some() {
            return;
        }
        if self.random.percent(50) {
            let how = [Crash::Kill, Crash::Power][self.random.below(2) as usize];
            let down = self.random.between(5_000, 500_000);
            self.nodes[node].fuse = Some((how, down));
            let operations = self.random.below(AMBUSH_OPERATIONS) as u32;
            self.nodes[node].disk.light_fuse(operations);
        } else if let Some(leader) = self.leader_of(GroupId(group)).filter(|it| *it != node) {
            let life = self.nodes[leader].life;
            let wait = self.random.below(3_000);
            let struck = Over::Struck { node: leader, life };
            self.scheduler.after(wait, Event::Over(struck));
        }
    }

    fn begin_on_net(&mut self, fault: Fault) {
        let all: Vec<Place> = (0..self.plan.nodes).collect();
        match fault {
            Fault::OneWay { from, to, time } => self.block(vec![(from, to)], time),
            Fault::Isolate { whom, time } => {
                for node in self.hit(whom) {
                    let others = all.iter().filter(|other| **other != node);
                    let both = others.flat_map(|other| [(node, *other), (*other, node)]);
                    self.block(both.collect(), time);
                }
            }
            Fault::Split { low, time } => {
                let (these, those) = all.split_at(low);
                let cross = these.iter().flat_map(|a| those.iter().map(|b| (*a, *b)));
                self.block(cross.flat_map(|(a, b)| [(a, b), (b, a)]).collect(), time);
            }
            Fault::Flap { a, b, times } => {
                self.net.break_session(a, b);
                self.flush_net();
                if times > 1 {
                    let wait = self.random.between(50_000, 800_000);
                    let again = Over::Flap {
                        a,
                        b,
                        times: times - 1,
                    };
                    self.scheduler.after(wait, Event::Over(again));
                }
            }
            Fault::Slow {
                from,
                to,
                factor,
                time,
            } => {
                self.net.slow(from, to, factor);
                self.scheduler
                    .after(time, Event::Over(Over::Slow { from, to }));
            }
            Fault::Narrow {
                a,
                b,
                bytes_per_second,
                time,
            } => {
                self.net.narrow(a, b, bytes_per_second);
                self.scheduler
                    .after(time, Event::Over(Over::Narrow { a, b }));
            }
            other => unreachable!("{other:?} is no fault of the network"),
        }
    }

    pub(super) fn block(&mut self, directions: Vec<(Place, Place)>, time: Micros) {
        let cut = self.random.percent(30);
        for (from, to) in &directions {
            self.net.block(*from, *to);
            if cut {
                self.net.break_session(*from, *to);
            }
        }
        self.flush_net();
        self.scheduler
            .after(time, Event::Over(Over::Blocked(directions)));
    }

    /// A fault that lasted is over.
    pub(super) fn end(&mut self, over: Over) -> Checked {
        let now = self.scheduler.now();
        self.trace.tell(now, || format!("OVER {over:?}"));
        match over {
            Over::Blocked(directions) => {
                for (from, to) in directions {
                    self.net.unblock(from, to);
                }
            }
            Over::Slow { from, to } => self.net.slow(from, to, 1),
            Over::Narrow { a, b } => {
                self.net.widen(a, b);
                self.flush_net();
            }
            Over::Pause { node } => {
                if self.nodes[node]
                    .paused_until
                    .is_some_and(|until| until <= now)
                {
                    self.nodes[node].paused_until = None;
                    self.wake_again(node);
                }
            }
            Over::Full { node } => self.nodes[node].disk.set_capacity(None),
            Over::Drained { node, life, down } => {
                if self.nodes[node].life == life && self.nodes[node].process.is_some() {
                    self.crashed(node, Crash::Kill, down);
                }
            }
            Over::Struck { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].process.is_some() {
                    self.strike(node);
                }
            }
            Over::Flap { a, b, times } => {
                self.begin_on_net(Fault::Flap { a, b, times });
            }
        }
        self.flush_net();
        Ok(())
    }

    /// All faults end, and whatever is down starts.
    pub(super) fn heal(&mut self) {
        self.hunt_until = 0;
        self.ambush_until = 0;
        self.net.heal();
        self.flush_net();
        let now = self.scheduler.now();
        for place in 0..self.plan.nodes {
            let node = &mut self.nodes[place];
            node.disk.disarm();
            node.disk.drop_caches(|path| is_at(Where::Segments, path));
            node.disk.put_out_fuse();
            node.disk.set_capacity(None);
            node.fuse = None;
            node.fuse_at_start = None;
            node.rot_when_down.clear();
            node.slow_until = 0;
            node.unreachable_until = node.unreachable_until.min(now);
            if node.paused_until.is_some() {
                node.paused_until = Some(now);
                self.scheduler
                    .at(now, Event::Over(Over::Pause { node: place }));
            }
            self.scheduler.at(now, Event::Start { node: place });
        }
    }
}
