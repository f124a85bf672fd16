//! The storage thread: writes all turns that wait, with one sync for all of them, and reports
//! what is durable. And the flusher, which frees the write-ahead log behind it.
//!
//! A full disk holds everything up until there is room; every other fault ends the process,
//! because after it nobody knows what is on the disk.

use super::mailbox::Mailbox;
use super::queue::Queue;
use base::{Histogram, Mono};
use log::{Bounds, Did, Fault, Flush, Next, Storage, Turn, Work, Worker};
use shard::Event;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Pause between two tries of a flush when the disk is full.
const FULL_PAUSE: Duration = Duration::from_millis(250);

/// Without work for this long, batches go to their segments, and the log is told how far it is synced:
/// a frame that is the last one and damaged is then told from one that was being written.
const IDLE: Duration = Duration::from_millis(2);

/// What the storage thread is asked.
pub enum Order {
    /// Make a turn durable.
    Turn(Turn),
    /// A flush has been run.
    Flushed(Flush),
}

/// What the thread has done, for the metrics.
#[derive(Default)]
pub struct Counters {
    /// Turns written.
    pub turns: AtomicU64,
    /// Writes, each with a sync: fewer than turns when they queue up.
    pub writes: AtomicU64,
    /// How long they took.
    pub write_times: Histogram,
    /// The longest one.
    pub write_micros_max: AtomicU64,
    /// Flushes of the write-ahead log.
    pub flushes: AtomicU64,
    /// The disk is full right now.
    pub full: Full,
    /// Turns that were taken and wait for room.
    pub held_up: AtomicUsize,
}

/// Who waits for room. Each tells for itself: that one of them got some says nothing of the others, which may
/// need more.
#[derive(Default)]
pub struct Full(AtomicU8);

/// One who may wait for room.
#[derive(Clone, Copy)]
enum Waiter {
    /// Turns are to be written.
    Turns = 1,
    /// Batches are to reach their segments.
    Settling = 2,
    /// The write-ahead log is to be flushed.
    Flush = 4,
}

impl Full {
    /// True while anybody waits.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn begin(&self, who: Waiter, fault: &Fault) {
        tracing::error!("writing waits for room: {fault}");
        self.0.fetch_or(who as u8, Ordering::Relaxed);
    }

    fn end(&self, who: Waiter) {
        tracing::info!("there is room again, writing goes on");
        self.0.fetch_and(!(who as u8), Ordering::Relaxed);
    }
}

/// The way to the thread.
pub type Orders = Arc<Queue<Order>>;

/// The thread's state. What is done and when is decided by the worker; the simulator has the same one.
pub struct Writer {
    worker: Worker,
    orders: Orders,
    flushes: Arc<Queue<Flush>>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    /// When the write began that isn't done yet.
    began: Option<Mono>,
    turns_held_up: bool,
    settling_held_up: bool,
}

impl Writer {
    /// Does what `orders` ask, has `flushes` run and reports to the mailbox.
    pub fn new(
        storage: Storage,
        orders: Orders,
        flushes: Arc<Queue<Flush>>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
    ) -> Writer {
        Writer {
            worker: Worker::new(storage, Bounds::default()),
            orders,
            flushes,
            mailbox,
            counters,
            began: None,
            turns_held_up: false,
            settling_held_up: false,
        }
    }

    /// Works until the orders are closed and all are done. The last frame is known as synced then.
    pub fn run(mut self) {
        let mut orders = VecDeque::new();
        loop {
            let next = self.worker.next(os::clock::mono());
            let wait = match next {
                Next::Now(_) => Some(Duration::ZERO),
                Next::WhenQuiet => Some(IDLE),
                Next::After(pause) => Some(pause),
                Next::Nothing => None,
            };
            let closed = self.orders.take(&mut orders, usize::MAX, wait).is_err();
            match next {
                Next::Nothing if closed => break,
                // The next start makes readable what is durable.
                Next::After(_) if closed && self.worker.is_durable() => break,
                // A flush that ends is told of even now.
                Next::After(pause) if closed => std::thread::park_timeout(pause),
                Next::WhenQuiet if orders.is_empty() => self.worker.quiet(),
                _ => {}
            }
            for order in orders.drain(..) {
                match order {
                    Order::Turn(turn) => {
                        self.counters.turns.fetch_add(1, Ordering::Relaxed);
                        self.worker.turn(turn);
                    }
                    Order::Flushed(flush) => self.flushed(flush),
                }
            }
            self.step();
        }
        self.flushes.close();
    }

    /// Does what is next, if that is to be done now.
    fn step(&mut self) {
        let now = os::clock::mono();
        let next = self.worker.next(now);
        if matches!(next, Next::Now(Work::Write)) {
            self.began = Some(now);
        }
        if matches!(next, Next::Now(_)) {
            match self.worker.step(now) {
                Ok(did) => self.did(did),
                Err(fault) => crate::stop::on_fault(&fault),
            }
        }
        let waits = self.worker.waiting();
        self.counters.held_up.store(waits, Ordering::Relaxed);
        if let Some(flush) = self.worker.take_flush() {
            self.flushes.push(flush);
        } else if self.worker.asks_for_checkpoint(now) {
            self.mailbox.report(Event::CheckpointDue);
        }
    }

    fn did(&mut self, did: Did) {
        match did {
            Did::Persisted(turn) => {
                self.count_write();
                self.report(Event::Persisted { turn });
            }
            Did::Settled(turn) => self.mailbox.report_quietly(Event::Settled { turn }),
            Did::Full(fault) => self.held_up(Some(&fault)),
            Did::Some => {}
        }
        self.held_up(None);
    }

    /// Tells who waits for room from now on, and who doesn't any more.
    fn held_up(&mut self, fault: Option<&Fault>) {
        let full = &self.counters.full;
        let (turns, settling) = self.worker.held_up();
        let waiters = [
            (Waiter::Turns, turns, &mut self.turns_held_up),
            (Waiter::Settling, settling, &mut self.settling_held_up),
        ];
        for (who, waits, waited) in waiters {
            match (fault, waits) {
                (Some(fault), true) if !*waited => full.begin(who, fault),
                (None, false) if *waited => full.end(who),
                _ => continue,
            }
            *waited = waits;
        }
    }

    fn count_write(&mut self) {
        let now = os::clock::mono();
        let took = now.since(self.began.take().unwrap_or(now));
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
        self.counters.write_times.count(took);
        self.counters
            .write_micros_max
            .fetch_max(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// Reports, and makes the turn that it leads to; but the device isn't kept waiting for that.
    fn report(&self, event: Event) {
        if self.orders.len() == 0 && self.worker.waiting() == 0 {
            self.mailbox.report(event);
        } else {
            self.mailbox.report_in_passing(event);
        }
    }

    fn flushed(&mut self, flush: Flush) {
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = self.worker.flushed(flush, os::clock::mono()) {
            crate::stop::on_fault(&fault);
        }
    }
}

/// The flusher's work: runs flushes until there will be none.
pub fn flush(flushes: &Queue<Flush>, orders: &Queue<Order>, counters: &Counters) {
    while let Ok(mut flush) = flushes.pop() {
        until_done(&mut flush, (&counters.full, Waiter::Flush), Flush::run);
        // Even after the close: a write may wait for the room that this makes.
        orders.push_after_all(Order::Flushed(flush));
    }
}

fn until_done<T>(
    what: &mut T,
    (full, who): (&Full, Waiter),
    mut work: impl FnMut(&mut T) -> Result<(), Fault>,
) {
    let mut held_up = false;
    loop {
        match work(what) {
            Ok(()) => break,
            Err(fault @ Fault::Full { .. }) => {
                if !held_up {
                    full.begin(who, &fault);
                    held_up = true;
                }
                std::thread::park_timeout(FULL_PAUSE);
            }
            Err(fault) => crate::stop::on_fault(&fault),
        }
    }
    if held_up {
        full.end(who);
    }
}

#[cfg(test)]
mod tests;
