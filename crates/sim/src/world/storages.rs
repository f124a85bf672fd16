//! The storage threads and the flushers: each step takes its time, then happens at once.

use super::{Event, World};
use crate::checkers::{Checked, violation};
use crate::net::Place;
use crate::plan::faults::Crash;
use crate::scheduler::Micros;
use log::{Did, Fault, Next, Work};

impl World {
    /// If turns wait and the storage thread is free, it begins.
    pub(super) fn start_storage(&mut self, place: Place) {
        let life = self.nodes[place].life;
        let process = self.nodes[place].process.as_ref();
        if process.is_some_and(|process| !process.storage_runs && !process.turns.is_empty()) {
            // Nothing is held up and nothing has come back, or it would run: this only takes turns.
            let taken = self.next_step(place, life);
            taken.expect("turns can be taken");
        }
    }

    /// What the storage thread was at is done, or it has waited for long enough.
    pub(super) fn run_storage(&mut self, place: Place, life: u64) -> Checked {
        if !self.gets_time(place, life, || Event::Storage { node: place, life }) {
            return Ok(());
        }
        let syncs = self.damage(place).failed_syncs;
        let mono = self.nodes[place].now(self.scheduler.now()).mono;
        let process = self.nodes[place].process.as_mut().expect("it gets time");
        process.storage_runs = false;
        let nothing_came = process.turns.is_empty() && process.flushed.is_none();
        if nothing_came && process.worker.next(mono) == Next::WhenQuiet {
            process.worker.quiet();
        }
        let result = process.worker.step(mono);
        self.trace.note(9, place as u64, self.scheduler.now());
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        let told = match result {
            Err(fault) => return self.storage_failed(place, &fault),
            Ok(_) if self.damage(place).failed_syncs > syncs => {
                return self.ignored_a_failed_sync(place);
            }
            Ok(Did::Persisted(turn)) => {
                self.checkers.kept.durable(place as u32 + 1, turn);
                Some(shard::Event::Persisted { turn })
            }
            Ok(Did::Settled(turn)) => Some(shard::Event::Settled { turn }),
            Ok(Did::Some | Did::Full(_)) => None,
        };
        self.leave(place, told.into_iter().collect());
        let done = self.next_step(place, life);
        if self.nodes[place].disk.is_dead() {
            return self.burnt(place);
        }
        match done {
            Ok(()) => Ok(()),
            Err(fault) => self.storage_failed(place, &fault),
        }
    }

    /// The storage thread takes what came, and goes on.
    fn next_step(&mut self, place: Place, life: u64) -> Result<(), Fault> {
        let now = self.scheduler.now();
        let node = &mut self.nodes[place];
        let write_takes = node.write_takes(&self.plan, now);
        let mono = node.now(now).mono;
        let small = self.random.between(10, 300);
        let process = node.process.as_mut().expect("it runs");
        process.take_orders(mono)?;
        if let Some(flush) = process.worker.take_flush() {
            process.flush = Some(flush);
            let takes = 1_000 + 5 * write_takes;
            self.scheduler
                .after(takes, Event::Flush { node: place, life });
        } else if process.worker.asks_for_checkpoint(mono) {
            process.mail.leave(shard::Event::CheckpointDue);
        }
        let wait = match process.worker.next(mono) {
            Next::Now(Work::Write) => Some(write_takes),
            Next::Now(_) | Next::WhenQuiet => Some(small),
            Next::After(pause) => Some(pause.as_micros() as Micros),
            Next::Nothing => None,
        };
        if let Some(wait) = wait {
            process.storage_runs = true;
            self.scheduler
                .after(wait, Event::Storage { node: place, life });
        }
        self.kick(place);
        Ok(())
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
