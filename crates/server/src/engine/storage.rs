//! The storage thread: writes all turns that wait, with one sync for all of them, and reports
//! what is durable. And the flusher, which frees the write-ahead log behind it.
//!
//! A full disk holds everything up until there is room; every other fault ends the process,
//! because after it nobody knows what is on the disk.

use super::mailbox::Mailbox;
use super::queue::Queue;
use base::{Histogram, Mono};
use log::{Fault, Flush, Storage, Turn};
use shard::Event;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Pause between two tries when the disk is full.
const FULL_PAUSE: Duration = Duration::from_millis(250);

/// Without work for this long, the log is told how far it is synced: a frame that is the last one
/// and damaged is then told from one that was being written.
const IDLE: Duration = Duration::from_millis(2);

/// Bytes written to the log that may wait for the way to their segments: so many batches of a
/// partition go there in one write. They are in memory until then.
const UNSETTLED_BYTES: u64 = 16 * 1024 * 1024;
/// How long they may wait for that while there is always more to write.
const UNSETTLED_FOR: Duration = Duration::from_millis(200);

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

/// The thread's state.
pub struct Writer {
    storage: Storage,
    orders: Orders,
    flushes: Arc<Queue<Flush>>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    /// The last turn that is written and not settled, and when the first one was written.
    unsettled: Option<(u64, Mono)>,
    /// Settling found no room, at the last try at this time.
    held_up: Option<Mono>,
    /// A part of it is done.
    partly: bool,
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
            storage,
            orders,
            flushes,
            mailbox,
            counters,
            unsettled: None,
            held_up: None,
            partly: false,
        }
    }

    /// Works until the orders are closed and all are done.
    pub fn run(mut self) {
        let mut orders = VecDeque::new();
        let mut asked = false;
        let mut told = true;
        loop {
            let wait = match self.held_up {
                Some(_) => Some(FULL_PAUSE),
                None if self.partly => Some(Duration::ZERO),
                None => (!told).then_some(IDLE),
            };
            if self.orders.take(&mut orders, usize::MAX, wait).is_err() {
                break;
            }
            if orders.is_empty() && !self.partly {
                self.settle();
            }
            if orders.is_empty() && !told && !self.partly {
                told = true;
                self.until_done(Storage::idle);
            }
            let mut turns = Vec::with_capacity(orders.len());
            for order in orders.drain(..) {
                match order {
                    Order::Turn(turn) => turns.push(turn),
                    Order::Flushed(flush) => {
                        asked = false;
                        self.flushed(flush);
                    }
                }
            }
            if let Some(last) = turns.last() {
                let last = last.number;
                self.write(turns, last);
                told = false;
            }
            if self.is_settling_due() {
                self.settle();
            }
            if let Some(flush) = self.storage.take_flush() {
                self.flushes.push(flush);
            } else if self.storage.wants_checkpoint() && !asked {
                asked = true;
                self.mailbox.report(Event::CheckpointDue);
            }
        }
        self.settle();
        while self.partly {
            self.settle();
        }
        // The last frame too must be known as synced after an orderly stop.
        self.until_done(Storage::idle);
        self.flushes.close();
    }

    fn write(&mut self, turns: Vec<Turn>, last: u64) {
        let counters = Arc::clone(&self.counters);
        counters
            .turns
            .fetch_add(turns.len() as u64, Ordering::Relaxed);
        let start = os::clock::mono();
        let mut turns = Some(turns);
        self.until_done(|storage| match turns.take() {
            Some(turns) => storage.write(turns),
            None => storage.retry(),
        });
        let took = os::clock::mono().since(start);
        counters.writes.fetch_add(1, Ordering::Relaxed);
        counters.write_times.count(took);
        counters
            .write_micros_max
            .fetch_max(took.as_micros() as u64, Ordering::Relaxed);
        self.report(Event::Persisted { turn: last });
        let since = self.unsettled.map_or(start, |(_, since)| since);
        self.unsettled = Some((last, since));
    }

    /// Reports, and makes the turn that it leads to; but the device isn't kept waiting for that.
    fn report(&self, event: Event) {
        if self.orders.len() == 0 {
            self.mailbox.report(event);
        } else {
            self.mailbox.report_in_passing(event);
        }
    }

    /// Settling is put off until there is nothing else to do, within bounds: it costs a write for
    /// each partition, however little there is for it, and nobody waits for it.
    fn is_settling_due(&self) -> bool {
        let Some((_, since)) = self.unsettled else {
            return false;
        };
        if let Some(tried) = self.held_up {
            return os::clock::mono().since(tried) >= FULL_PAUSE;
        }
        self.partly
            || self.storage.unsettled_bytes() >= UNSETTLED_BYTES
            || self.storage.flush_waits()
            || os::clock::mono().since(since) >= UNSETTLED_FOR
    }

    /// Writes the batches to their segments. While there is no room for them turns are written on: one
    /// of them may remove a topic, which makes some.
    fn settle(&mut self) {
        let Some((turn, _)) = self.unsettled else {
            return;
        };
        let settled = self.storage.settle_some();
        self.partly = matches!(settled, Ok(false));
        if settled.is_ok() && self.held_up.take().is_some() {
            self.counters.full.end(Waiter::Settling);
        }
        match settled {
            Ok(false) => {}
            Ok(true) => {
                self.unsettled = None;
                self.mailbox.report_quietly(Event::Settled { turn });
            }
            Err(fault @ Fault::Full { .. }) => {
                if self.held_up.replace(os::clock::mono()).is_none() {
                    self.counters.full.begin(Waiter::Settling, &fault);
                }
            }
            Err(fault) => crate::stop::on_fault(&fault),
        }
    }

    fn flushed(&mut self, flush: Flush) {
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        match self.storage.flushed(flush) {
            // No room for a fresh file: the ones there are do.
            Ok(()) | Err(Fault::Full { .. }) => {}
            Err(fault) => crate::stop::on_fault(&fault),
        }
    }

    /// Does something, again and again while the disk is full. Nothing is acknowledged meanwhile.
    fn until_done(&mut self, work: impl FnMut(&mut Storage) -> Result<(), Fault>) {
        let waiter = (&self.counters.full, Waiter::Turns);
        until_done(&mut self.storage, waiter, work);
    }
}

/// The flusher's work: runs flushes until there will be none.
pub fn flush(flushes: &Queue<Flush>, orders: &Queue<Order>, counters: &Counters) {
    while let Ok(mut flush) = flushes.pop() {
        until_done(&mut flush, (&counters.full, Waiter::Flush), Flush::run);
        orders.push(Order::Flushed(flush));
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
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use base::{Disk, GroupId, Open};
    use log::StorageSettings;

    #[test]
    fn who_got_room_says_nothing_of_others_who_wait_for_it() {
        let full = Full::default();
        let path = "file".to_owned();
        let fault = Fault::Full { path };
        full.begin(Waiter::Flush, &fault);
        full.begin(Waiter::Settling, &fault);
        full.end(Waiter::Flush);
        assert!(full.is_so());
        full.begin(Waiter::Turns, &fault);
        full.end(Waiter::Settling);
        assert!(full.is_so());
        full.end(Waiter::Turns);
        assert!(!full.is_so());
    }

    #[test]
    fn after_an_orderly_stop_damage_to_the_last_frame_is_not_taken_for_a_torn_one() {
        let scratch = Scratch::new();
        let disk = Arc::new(scratch.disk());
        let settings = StorageSettings::default();
        let (storage, recovered) = Storage::open(disk.clone(), settings).expect("empty");
        let mut turn = Turn::new(recovered.next_turn);
        turn.create(
            GroupId(0),
            log::Settings {
                segment_bytes: 1 << 20,
                incarnation: 0,
            },
        );
        let orders = Orders::default();
        orders.push(Order::Turn(turn));
        orders.close();
        let mailbox = Arc::new(Mailbox::new(1));
        let writer = Writer::new(storage, orders, Arc::default(), mailbox, Arc::default());
        writer.run();
        // The first byte after the frame's header.
        let path = "wal/00000001.wal";
        let file = disk.open(path, Open::Existing).expect("it is there");
        file.write_at(&[&[0xff]], 512 + 36).expect("room");
        let refused = Storage::open(disk, settings).map(|_| ()).expect_err("bad");
        assert!(matches!(refused, Fault::Corrupt { .. }), "{refused}");
    }
}
