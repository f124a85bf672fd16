//! Shards run, processes start and stop.

use super::{Event, Over, World};
use crate::book::topic_number;
use crate::checkers::kept::Found;
use crate::checkers::{Checked, Part, violation};
use crate::net::Place;
use crate::node::process::{Process, node_id};
use crate::plan::faults::{Crash, Where};
use crate::scheduler::Micros;
use base::checksum::crc32c;
use bytes::Bytes;
use log::Fault;
use shard::Effects;

impl World {
    /// A node's process starts: its data directory is recovered.
    pub(super) fn start(&mut self, place: Place) -> Checked {
        let now = self.scheduler.now();
        let node = &mut self.nodes[place];
        if node.process.is_some() || node.given_up.is_some() || node.out {
            return Ok(());
        }
        node.life += 1;
        let life = node.life;
        self.troubled_at = now;
        let clock = node.now(now);
        let disk = node.disk.boot();
        if let Some((how, operations, down)) = node.fuse_at_start.take() {
            node.fuse = Some((how, down));
            disk.light_fuse(operations);
        }
        let home = node.home.clone();
        let started = Process::start(&self.plan, place, (disk, home), clock, &mut node.random);
        self.trace.note(4, place as u64, life);
        match started {
            Ok((process, found, report)) => {
                self.trace
                    .tell(now, || format!("node {} starts: {report:?}", place + 1));
                self.check_report(place, &report)?;
                self.check_found(place, &found)?;
                let node = &mut self.nodes[place];
                if node.disk.is_dead() {
                    drop(process);
                    return self.burnt(place);
                }
                node.process = Some(process);
                self.net.start(place);
                self.flush_net();
                self.scheduler
                    .after(100_000, Event::Measure { node: place, life });
                self.wake_shard(place, now + 10);
                Ok(())
            }
            Err(fault) => self.refused_to_start(place, &fault),
        }
    }

    /// A start that finds damage needs damage that was done.
    pub(super) fn check_report(&self, place: Place, report: &[String]) -> Checked {
        let suspect = report.iter().find(|line| line.contains("is suspect"));
        match suspect {
            Some(line) if self.damage(place).destroyed.is_empty() => {
                let what = format!("node {}, whose data is whole: {line}", place + 1);
                Err(violation("whole data is not suspected", what))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_found(&mut self, place: Place, found: &Found) -> Checked {
        let name = place as u32 + 1;
        let damage = self.damage(place);
        if damage.destroyed.is_empty() {
            return self.checkers.kept.started(name, found);
        }
        let flips_only = damage.flips == damage.destroyed.len();
        self.checkers.kept.damaged(name, found, flips_only)
    }

    fn refused_to_start(&mut self, place: Place, fault: &Fault) -> Checked {
        let now = self.scheduler.now();
        self.trace
            .tell(now, || format!("node {} doesn't start: {fault}", place + 1));
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        let damage = self.damage(place);
        match fault {
            Fault::Corrupt { .. } if !damage.destroyed.is_empty() => {
                self.nodes[place].given_up = Some(fault.to_string());
                Ok(())
            }
            Fault::Io { .. } | Fault::Full { .. }
                if damage.failed_syncs
                    + damage.failed_writes
                    + damage.failed_reads
                    + damage.refused
                    > 0 =>
            {
                self.crashed(place, Crash::Kill, 300_000);
                Ok(())
            }
            _ => {
                let what = format!("node {}: {fault}", place + 1);
                Err(violation("a node with whole data starts", what))
            }
        }
    }

    /// The fuse of a node's disk is out: the process stopped there.
    pub(super) fn burnt(&mut self, place: Place) -> Checked {
        let (how, down) = self.nodes[place]
            .fuse
            .take()
            .unwrap_or((Crash::Kill, 100_000));
        self.crashed(place, how, down);
        Ok(())
    }

    /// A node's process stops, and another starts after a while.
    pub(super) fn crashed(&mut self, place: Place, how: Crash, down: Micros) {
        self.halt(place, how);
        self.scheduler.after(down, Event::Start { node: place });
    }

    /// A node's process stops, if there is one.
    pub(super) fn halt(&mut self, place: Place, how: Crash) {
        let now = self.scheduler.now();
        self.trace.note(5, place as u64, how as u64);
        self.trace
            .tell(now, || format!("node {} stops: {how:?}", place + 1));
        self.trouble();
        let node = &mut self.nodes[place];
        node.process = None;
        node.paused_until = None;
        node.fuse = None;
        node.life += 1;
        match how {
            Crash::Kill => node.disk.kill(),
            Crash::Power => node.disk.power_loss(),
        }
        for (place, bits) in std::mem::take(&mut node.rot_when_down) {
            for _ in 0..bits {
                let hit = node.disk.rot(|path| is_at(place, path));
                self.trace
                    .tell(now, || format!("  rot while down: {hit:?}"));
            }
        }
        self.net.stop(place);
        self.flush_net();
        self.hang_up_all(place);
    }

    /// The shard's loop goes round once.
    pub(super) fn run_shard(&mut self, place: Place, life: u64) -> Checked {
        if !self.gets_time(place, life, || Event::Shard { node: place, life }) {
            return Ok(());
        }
        let now = self.scheduler.now();
        let node = &mut self.nodes[place];
        let clock = node.now(now);
        let process = node.process.as_mut().expect("it gets time");
        if process.wake_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        process.wake_at = None;
        self.checkers.idle.turned(place as u32 + 1, now)?;
        let events = process.mail.take();
        self.trace
            .note(6, place as u64, now ^ (events.len() as u64) << 48);
        for event in events {
            process.shard.on(clock, event);
        }
        let mut effects = Effects::default();
        process.shard.turn(clock, &mut effects);
        let deadline = process.shard.deadline();
        if let Some(deadline) = deadline {
            let wait = deadline.since(clock.mono).as_micros() as u64;
            self.wake_shard(place, now + wait.max(1));
        }
        self.carry_out(place, life, effects)
    }

    fn carry_out(&mut self, place: Place, life: u64, effects: Effects) -> Checked {
        let now = self.scheduler.now();
        for note in &effects.notes {
            self.trace
                .tell(now, || format!("node {}: {note}", place + 1));
        }
        self.announce(place, life, &effects)?;
        if let Some(image) = &effects.image {
            self.learn_parts(image);
            self.learn_survivors(image)?;
        }
        let led = effects
            .leaders
            .iter()
            .filter(|(_, _, leader)| *leader == Some(node_id(place)));
        for (group, _, _) in led {
            if let Some(part) = self.parts.get(&group.0) {
                self.check_held(group.0, *part)?;
            }
        }
        let clock = self.nodes[place].now(now);
        let process = self.nodes[place].process.as_mut().expect("it just ran");
        if let Some(image) = effects.image {
            process.broker.publish(image);
        }
        if !effects.leaders.is_empty() {
            process.broker.publish_leaders(&effects.leaders);
        }
        process.broker.publish_behind(effects.behind);
        let heard = effects.heard.into_iter();
        heard.for_each(|heard| process.broker.publish_heard(heard, clock.mono));
        if let Some(turn) = effects.turn {
            self.watch(place, &turn, |world, group| {
                Some(world.status(place, group.0)?.end_offset.0)
            })?;
            let process = self.nodes[place].process.as_mut().expect("it just ran");
            let cut = self.checkers.kept.handed(place as u32 + 1, &turn);
            process.turns.push_back(turn);
            if let Some(group) = cut {
                self.ambush(place, group);
            }
        }
        for (to, pieces) in effects.frames {
            let to = to.0 as usize - 1;
            let frame = match <[Bytes; 1]>::try_from(pieces) {
                Ok([whole]) => whole,
                Err(pieces) => pieces.concat().into(),
            };
            self.trace
                .note(8, (place * 16 + to) as u64, u64::from(crc32c(&frame)));
            self.net.send(place, to, vec![frame]);
        }
        self.flush_net();
        for job in effects.jobs {
            let wait = self.random.between(50, 1_000);
            self.scheduler.after(
                wait,
                Event::Job {
                    node: place,
                    life,
                    job,
                },
            );
        }
        self.start_storage(place);
        let wait = self.random.between(1, 40);
        self.scheduler
            .after(wait, Event::Answers { node: place, life });
        Ok(())
    }

    /// What a shard says of leaders: checked, and perhaps the sign for a strike.
    pub(super) fn announce(&mut self, place: Place, life: u64, effects: &Effects) -> Checked {
        let now = self.scheduler.now();
        for (group, term, leader) in &effects.leaders {
            self.trace.note(7, group.0, u64::from(term.0));
            let name = leader.map_or(0, |leader| leader.0);
            self.trace.tell(now, || {
                format!(
                    "node {}: group {group} term {term} leader {name}",
                    place + 1
                )
            });
            if let Some(leader) = leader {
                let teller = node_id(place).0;
                self.checkers
                    .elections
                    .leader(group.0, term.0, leader.0, teller)?;
                if leader.0 == teller && now < self.hunt_until {
                    let wait = self.random.below(4_000);
                    let struck = Over::Struck { node: place, life };
                    self.scheduler.after(wait, Event::Over(struck));
                }
            }
        }
        Ok(())
    }

    pub(super) fn learn_parts(&mut self, image: &meta::Image) {
        for (group, (topic, partition)) in image.groups.iter() {
            if let Some(topic) = topic_number(&topic.name) {
                self.parts.insert(
                    group.0,
                    Part {
                        topic,
                        partition: partition.0,
                    },
                );
            }
        }
    }

    /// The answers that the shard gave reach their connections.
    pub(super) fn deliver_answers(&mut self, place: Place, life: u64) -> Checked {
        if !self.gets_time(place, life, || Event::Answers { node: place, life }) {
            return Ok(());
        }
        let clock = self.nodes[place].now(self.scheduler.now());
        let process = self.nodes[place].process.as_ref().expect("it gets time");
        for answer in process.answers.take() {
            if let Some(pipe) = self.pipes.get_mut(&answer.connection)
                && let Some(machine) = &mut pipe.machine
            {
                machine.on_reply(clock, answer.ticket, answer.reply);
                self.pump(answer.connection);
            }
        }
        self.kick(place);
        Ok(())
    }

    /// A job of the shard is done.
    pub(super) fn run_job(&mut self, place: Place, life: u64, mut job: shard::Job) -> Checked {
        if self.nodes[place].life != life || self.nodes[place].process.is_none() {
            return Ok(());
        }
        let process = self.nodes[place].process.as_ref().expect("just seen");
        let result = job.run(&process.files);
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        self.leave(place, vec![shard::Event::Done(job, result)]);
        Ok(())
    }

    /// Room on the disk is measured and told to the shard.
    pub(super) fn measure(&mut self, place: Place, life: u64) -> Checked {
        if self.nodes[place].life != life || self.nodes[place].process.is_none() {
            return Ok(());
        }
        let free = self.nodes[place].disk.room();
        self.leave(place, vec![shard::Event::DiskFree(free)]);
        self.scheduler
            .after(1_000_000, Event::Measure { node: place, life });
        Ok(())
    }
}

/// Which files a kind of rot hits.
pub(super) fn is_at(place: Where, path: &str) -> bool {
    match place {
        Where::Segments => path.starts_with("groups/"),
        Where::Log => path.starts_with("wal/") || path.starts_with("checkpoint"),
    }
}
