//! The storage threads and the flushers: each step takes its time, then happens at once.

use super::{Event, World};
use crate::checkers::{Checked, violation};
use crate::net::Place;
use crate::node::process::Step;
use crate::plan::faults::Crash;
use log::Fault;

impl World {
    /// If turns wait and the storage thread is free, it begins.
    pub(super) fn start_storage(&mut self, place: Place) {
        let now = self.scheduler.now();
        let node = &mut self.nodes[place];
        let takes = node.write_takes(&self.plan, now);
        let life = node.life;
        let Some(process) = &mut node.process else {
            return;
        };
        if !process.storage_runs && process.take_turns() {
            process.storage_runs = true;
            self.scheduler
                .after(takes, Event::Storage { node: place, life });
        }
    }

    /// What the storage thread was at is done.
    pub(super) fn run_storage(&mut self, place: Place, life: u64) -> Checked {
        if !self.gets_time(place, life, || Event::Storage { node: place, life }) {
            return Ok(());
        }
        let syncs = self.damage(place).failed_syncs;
        let process = self.nodes[place].process.as_mut().expect("it gets time");
        process.storage_runs = false;
        let result = process.storage_step();
        self.trace.note(9, place as u64, self.scheduler.now());
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        match result {
            Err(fault) => self.storage_failed(place, &fault),
            Ok(_) if self.damage(place).failed_syncs > syncs => self.ignored_a_failed_sync(place),
            Ok(told) => {
                if let Some(shard::Event::Persisted { turn }) = &told {
                    self.checkers.kept.durable(place as u32 + 1, *turn);
                }
                self.leave(place, told.into_iter().collect());
                self.next_step(place, life);
                Ok(())
            }
        }
    }

    fn next_step(&mut self, place: Place, life: u64) {
        let now = self.scheduler.now();
        let write_takes = self.nodes[place].write_takes(&self.plan, now);
        let small = self.random.between(10, 300);
        let process = self.nodes[place].process.as_mut().expect("it just ran");
        let wait = match process.step {
            Step::Settle | Step::Idle => small,
            Step::Retry => 100_000,
            Step::Write(_) => unreachable!("turns are taken below"),
            Step::Wait => {
                if process.flush.is_none() && process.flushed.is_none() {
                    if let Some(flush) = process.storage.take_flush() {
                        process.flush = Some(flush);
                        let takes = 1_000 + 5 * write_takes;
                        self.scheduler
                            .after(takes, Event::Flush { node: place, life });
                    } else if process.storage.wants_checkpoint() && !process.asked_for_checkpoint {
                        process.asked_for_checkpoint = true;
                        process.mail.leave(shard::Event::CheckpointDue);
                    }
                }
                if !process.take_turns() {
                    self.kick(place);
                    return;
                }
                write_takes
            }
        };
        process.storage_runs = true;
        self.scheduler
            .after(wait, Event::Storage { node: place, life });
        self.kick(place);
    }

    /// The flusher is done.
    pub(super) fn run_flush(&mut self, place: Place, life: u64) -> Checked {
        if !self.gets_time(place, life, || Event::Flush { node: place, life }) {
            return Ok(());
        }
        let syncs = self.damage(place).failed_syncs;
        let process = self.nodes[place].process.as_mut().expect("it gets time");
        let mut flush = process.flush.take().expect("a flusher has a flush");
        let result = flush.run();
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        let ignored = self.damage(place).failed_syncs > syncs;
        let process = self.nodes[place].process.as_mut().expect("it just ran");
        match result {
            Err(Fault::Full { .. }) => {
                process.flush = Some(flush);
                self.scheduler
                    .after(200_000, Event::Flush { node: place, life });
                Ok(())
            }
            Ok(()) if ignored => self.ignored_a_failed_sync(place),
            Ok(()) => {
                process.flushed = Some(flush);
                if !process.storage_runs {
                    process.storage_runs = true;
                    let wait = self.random.between(10, 300);
                    self.scheduler
                        .after(wait, Event::Storage { node: place, life });
                }
                Ok(())
            }
            Err(fault) => self.storage_failed(place, &fault),
        }
    }

    fn ignored_a_failed_sync(&self, place: Place) -> Checked {
        let what = format!("node {} goes on after a failed sync", place + 1);
        Err(violation("a failed sync stops the node", what))
    }

    /// The process stops, as it must after a fault of its storage.
    fn storage_failed(&mut self, place: Place, fault: &Fault) -> Checked {
        let now = self.scheduler.now();
        self.trace
            .tell(now, || format!("node {} stops: {fault}", place + 1));
        let damage = self.damage(place);
        let excused = match fault {
            Fault::Io { .. } => {
                damage.failed_syncs + damage.failed_writes + damage.failed_reads > 0
            }
            Fault::Corrupt { .. } => !damage.destroyed.is_empty(),
            _ => false,
        };
        if !excused {
            let what = format!("node {}, whose disk works: {fault}", place + 1);
            return Err(violation("storage works on a disk that works", what));
        }
        let down = self.random.between(100_000, 2_000_000);
        self.crashed(place, Crash::Kill, down);
        Ok(())
    }
}
