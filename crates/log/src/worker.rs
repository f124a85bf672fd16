//! The storage thread's work, one step at a time: what to write, to settle, to try again, and when.
//! It has no clock, no queue and no thread. The server's storage thread and the simulator both drive it,
//! so what one of them does in an hour of need is what the other has been through.

use crate::{Fault, Flush, Storage, Turn};
use base::Mono;
use std::time::Duration;

/// What may wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes written to the log that may wait for the way to their segments while there is more to
    /// write: so many batches of a partition go there in one write. They are in memory until then.
    pub unsettled_bytes: u64,
    /// How long they may wait for that.
    pub unsettled_for: Duration,
    /// Pause between two tries when the disk is full.
    pub full_pause: Duration,
    /// How long segments that were dropped keep their files after a flush, if nothing else asks for the next
    /// one and there is room: each is work for the whole node, and who deletes goes on deleting.
    pub drops_wait: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            unsettled_bytes: 16 * 1024 * 1024,
            unsettled_for: Duration::from_millis(200),
            full_pause: Duration::from_millis(250),
            drops_wait: Duration::from_secs(5),
        }
    }
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Write all turns that wait.
    Write,
    /// Write again what found no room.
    Retry,
    /// Make what was written readable, or a part of it.
    Settle,
    /// Nothing came for a moment: tell the log how far it is synced.
    Tell,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This, now.
    Now(Work),
    /// Something, if nothing comes for a moment: then [`Worker::quiet`].
    WhenQuiet,
    /// Another try where there was no room, or a checkpoint, after this pause, unless something comes before.
    After(Duration),
    /// Nothing, until something comes.
    Nothing,
}

/// What a step has done.
#[derive(Debug)]
pub enum Did {
    /// Everything up to this turn is durable.
    Persisted(u64),
    /// Everything up to this turn is readable.
    Settled(u64),
    /// Something that nobody waits for.
    Some,
    /// Nothing: the disk is full. It will be tried again.
    Full(Fault),
}

/// Does the work of the storage thread.
pub struct Worker {
    storage: Storage,
    bounds: Bounds,
    /// Not begun yet.
    turns: Vec<Turn>,
    /// The last turn that is begun and not durable: it found no room.
    begun: Option<u64>,
    /// The last turn that is durable and not settled, and since when there is one.
    unsettled: Option<(u64, Mono)>,
    /// A write found no room, and is tried again at this time; settling did.
    write_held_up: Option<Mono>,
    settle_held_up: Option<Mono>,
    /// A part of what is to be settled is.
    partly: bool,
    /// The last step was a write: after each, settling has its turn if it is due.
    wrote: bool,
    /// Nothing has come for a moment.
    quiet: bool,
    /// The log has been told how far it is synced.
    told: bool,
    /// A checkpoint was asked for, and its flush hasn't come back.
    asked: bool,
    /// Until then files of dropped segments are no reason for a checkpoint.
    drops_wait_until: Mono,
}

impl Worker {
    /// Works on this storage, which nobody else does.
    pub fn new(storage: Storage, bounds: Bounds) -> Worker {
        Worker {
            storage,
            bounds,
            turns: Vec::new(),
            begun: None,
            unsettled: None,
            write_held_up: None,
            settle_held_up: None,
            partly: false,
            wrote: false,
            quiet: false,
            told: true,
            asked: false,
            drops_wait_until: Mono::default(),
        }
    }

    /// Takes a turn, to be written with all others that wait.
    pub fn turn(&mut self, turn: Turn) {
        self.turns.push(turn);
        self.quiet = false;
    }

    /// Takes back a flush that was run. That may have made room: what is held up is tried again at once.
    pub fn flushed(&mut self, flush: Flush, now: Mono) -> Result<(), Fault> {
        self.asked = false;
        self.drops_wait_until = now.after(self.bounds.drops_wait);
        let at_once = |_| Mono::default();
        self.write_held_up = self.write_held_up.map(at_once);
        self.settle_held_up = self.settle_held_up.map(at_once);
        match self.storage.flushed(flush) {
            // No room for a fresh file: the ones there are do.
            Err(Fault::Full { .. }) => Ok(()),
            done => done,
        }
    }

    /// Nothing has come for a moment.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// Whether there is no room for turns, and none for what is to be settled.
    pub fn held_up(&self) -> (bool, bool) {
        (self.write_held_up.is_some(), self.settle_held_up.is_some())
    }

    /// Turns that wait, but for those that are begun.
    pub fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// True if all that came is durable.
    pub fn is_durable(&self) -> bool {
        self.turns.is_empty() && self.begun.is_none()
    }

    /// True if all that came is readable too.
    pub fn is_settled(&self) -> bool {
        self.is_durable() && self.unsettled.is_none()
    }

    /// What comes next.
    pub fn next(&self, now: Mono) -> Next {
        if let Some(at) = self.write_held_up {
            return again(at, now, Work::Retry);
        }
        let due = self.is_settling_due(now);
        let settles_first = due && (self.wrote || self.turns.is_empty());
        if settles_first {
            return Next::Now(Work::Settle);
        }
        if !self.turns.is_empty() {
            return Next::Now(Work::Write);
        }
        match (self.settle_held_up, self.unsettled) {
            (None, Some(_)) if self.quiet => Next::Now(Work::Settle),
            _ if !self.told && self.quiet => Next::Now(Work::Tell),
            (None, Some(_)) => Next::WhenQuiet,
            _ if !self.told => Next::WhenQuiet,
            (Some(at), _) => again(at, now, Work::Settle),
            (None, None) => match self.drops_wait_until.since(now) {
                Duration::ZERO => Next::Nothing,
                left if self.storage.drops_want_checkpoint() => Next::After(left),
                _ => Next::Nothing,
            },
        }
    }

    /// Settling is put off until there is nothing else to do, within bounds: it costs a write for
    /// each partition, however little there is for it, and nobody waits for it.
    fn is_settling_due(&self, now: Mono) -> bool {
        let Some((_, since)) = self.unsettled else {
            return false;
        };
        if let Some(at) = self.settle_held_up {
            return now >= at;
        }
        self.partly
            || self.storage.unsettled_bytes() >= self.bounds.unsettled_bytes
            || self.storage.flush_waits()
            || now.since(since) >= self.bounds.unsettled_for
    }

    /// Does what is next, if that is something to be done now. After a fault the process stops.
    pub fn step(&mut self, now: Mono) -> Result<Did, Fault> {
        let Next::Now(work) = self.next(now) else {
            return Ok(Did::Some);
        };
        self.wrote = matches!(work, Work::Write | Work::Retry);
        match work {
            Work::Write => {
                let turns = std::mem::take(&mut self.turns);
                self.begun = turns.last().map(|turn| turn.number);
                let written = self.storage.write(turns);
                self.written(written, now)
            }
            Work::Retry => {
                let written = self.storage.retry();
                self.written(written, now)
            }
            Work::Settle => self.settle(now),
            Work::Tell => match self.storage.idle() {
                Ok(()) => {
                    self.told = true;
                    Ok(Did::Some)
                }
                Err(fault) => Err(fault),
            },
        }
    }

    fn written(&mut self, done: Result<(), Fault>, now: Mono) -> Result<Did, Fault> {
        match done {
            Ok(()) => {
                self.write_held_up = None;
                let turn = self.begun.take().expect("something was written");
                let since = self.unsettled.map_or(now, |(_, since)| since);
                self.unsettled = Some((turn, since));
                (self.told, self.quiet) = (false, false);
                Ok(Did::Persisted(turn))
            }
            Err(fault @ Fault::Full { .. }) => {
                self.write_held_up = Some(now.after(self.bounds.full_pause));
                Ok(Did::Full(fault))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Writes batches to their segments. While there is no room for them turns are written on: one
    /// of them may remove a topic, which makes some.
    fn settle(&mut self, now: Mono) -> Result<Did, Fault> {
        let (turn, _) = self.unsettled.expect("something is to be settled");
        let settled = self.storage.settle_some();
        self.partly = matches!(settled, Ok(false));
        match settled {
            Ok(all) => {
                self.settle_held_up = None;
                if !all {
                    return Ok(Did::Some);
                }
                self.unsettled = None;
                Ok(Did::Settled(turn))
            }
            Err(fault @ Fault::Full { .. }) => {
                self.settle_held_up = Some(now.after(self.bounds.full_pause));
                Ok(Did::Full(fault))
            }
            Err(fault) => Err(fault),
        }
    }

    /// A flush for somebody else to run, who gives it back to [`Worker::flushed`]. To be looked for after each
    /// step and each flush.
    pub fn take_flush(&mut self) -> Option<Flush> {
        self.storage.take_flush()
    }

    /// True if a turn with a checkpoint is to be made; once until its flush has come back. To be looked for
    /// as flushes are.
    pub fn asks_for_checkpoint(&mut self, now: Mono) -> bool {
        let full = self.write_held_up.is_some() || self.settle_held_up.is_some();
        let drops = full || now >= self.drops_wait_until;
        let asks =
            self.storage.log_wants_checkpoint() || drops && self.storage.drops_want_checkpoint();
        let asks = asks && !self.asked;
        self.asked |= asks;
        asks
    }
}

/// What found no room is tried again at a time.
fn again(at: Mono, now: Mono, work: Work) -> Next {
    match at.since(now) {
        Duration::ZERO => Next::Now(work),
        left => Next::After(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemDisk, Shard, check_reads, reopen};

    fn bounds() -> Bounds {
        Bounds::default()
    }

    /// Does all that can be done now; the last thing done.
    fn work(worker: &mut Worker, now: Mono) -> Vec<Did> {
        let mut all = Vec::new();
        while let Next::Now(_) = worker.next(now) {
            all.push(worker.step(now).expect("the disk works"));
        }
        all
    }

    #[test]
    fn turns_are_written_together_settled_when_all_is_quiet_and_then_the_log_is_told() {
        let disk = MemDisk::new();
        let mut shard = Shard::new(1);
        let (storage, _) = reopen(&disk).expect("empty");
        let files = storage.files();
        let mut worker = Worker::new(storage, bounds());
        assert_eq!(worker.next(Mono(0)), Next::Nothing);
        let mut turn = Turn::new(1);
        shard.create(&mut turn);
        worker.turn(turn);
        let mut turn = Turn::new(2);
        shard.append_bytes(&mut turn, base::GroupId(0), 1, b"value");
        worker.turn(turn);
        let did = work(&mut worker, Mono(0));
        assert!(matches!(did[..], [Did::Persisted(2)]), "{did:?}");
        assert_eq!(worker.next(Mono(0)), Next::WhenQuiet);
        worker.quiet();
        let did = work(&mut worker, Mono(0));
        assert!(matches!(did[..], [Did::Settled(2), Did::Some]), "{did:?}");
        assert_eq!(worker.next(Mono(0)), Next::Nothing);
        shard.acknowledged();
        check_reads(&shard.groups, &files);
    }

    #[test]
    fn settling_has_its_turn_between_writes_once_its_time_is_up() {
        let disk = MemDisk::new();
        let mut shard = Shard::new(1);
        let (storage, _) = reopen(&disk).expect("empty");
        let mut worker = Worker::new(storage, bounds());
        let mut turn = Turn::new(1);
        shard.create(&mut turn);
        worker.turn(turn);
        work(&mut worker, Mono(0));
        let late = Mono(0).after(bounds().unsettled_for);
        let mut turn = Turn::new(2);
        shard.append_bytes(&mut turn, base::GroupId(0), 1, b"value");
        worker.turn(turn);
        assert_eq!(
            worker.next(late),
            Next::Now(Work::Settle),
            "a write was last"
        );
        let did = work(&mut worker, late);
        assert!(
            matches!(did[..], [Did::Settled(1), Did::Persisted(2)]),
            "{did:?}"
        );
    }

    /// The file that goes free when a flush ends is all the room there is.
    #[test]
    fn a_flush_that_ends_lets_a_write_go_on_that_found_no_room() {
        let disk = MemDisk::new();
        let mut shard = Shard::new(1);
        let (storage, _) = reopen(&disk).expect("empty");
        let mut worker = Worker::new(storage, bounds());
        let now = Mono(0);
        let mut turn = Turn::new(1);
        shard.create(&mut turn);
        worker.turn(turn);
        let mut number = 1;
        let mut flush = None;
        // Until a flush is under way.
        while flush.is_none() {
            number += 1;
            let mut turn = Turn::new(number);
            shard.append_bytes(&mut turn, base::GroupId(0), 1, &[1; 3_000]);
            worker.turn(turn);
            work(&mut worker, now);
            worker.quiet();
            work(&mut worker, now);
            flush = worker.take_flush();
            if flush.is_none() && worker.asks_for_checkpoint(now) {
                number += 1;
                let mut turn = Turn::new(number);
                shard.checkpoint(&mut turn);
                worker.turn(turn);
            }
        }
        let mut flush = flush.expect("a flush is under way");
        disk.no_new_files(true);
        while !worker.held_up().0 {
            number += 1;
            let mut turn = Turn::new(number);
            shard.append_bytes(&mut turn, base::GroupId(0), 1, &[1; 3_000]);
            worker.turn(turn);
            work(&mut worker, now);
        }
        assert_eq!(worker.next(now), Next::After(bounds().full_pause));
        worker.turn(Turn::new(number + 1));
        assert!(matches!(worker.next(now), Next::After(_)), "not each turn");
        flush.run().expect("what it needs is there");
        worker.flushed(flush, now).expect("the disk works");
        let did = worker.step(now).expect("the disk works");
        assert!(matches!(did, Did::Persisted(_)), "{did:?}");
        assert_eq!(worker.held_up(), (false, false));
    }

    /// Who deletes goes on deleting: not a checkpoint for each time.
    #[test]
    fn what_was_dropped_waits_for_a_while_after_a_flush_unless_the_disk_is_full() {
        let disk = MemDisk::new();
        let mut shard = Shard::new(1);
        let (storage, _) = reopen(&disk).expect("empty");
        let mut worker = Worker::new(storage, bounds());
        let id = base::GroupId(0);
        let mut now = Mono(0);
        let mut number = 0;
        let mut write = |worker: &mut Worker, now: Mono, steps: &mut dyn FnMut(&mut Turn)| {
            number += 1;
            let mut turn = Turn::new(number);
            steps(&mut turn);
            worker.turn(turn);
            work(worker, now);
            worker.quiet();
            work(worker, now);
        };
        write(&mut worker, now, &mut |turn| shard.create(turn));
        for (nth, full) in [false, false, true].into_iter().enumerate() {
            write(&mut worker, now, &mut |turn| {
                shard.append_bytes(turn, id, 1, b"value");
                shard.clear(turn, id);
            });
            if nth > 0 {
                assert!(!worker.asks_for_checkpoint(now), "{nth}");
                assert_eq!(worker.next(now), Next::After(bounds().drops_wait));
            }
            if full {
                disk.full_after(Some(0));
                write(&mut worker, now, &mut |turn| {
                    shard.append_bytes(turn, id, 1, b"value")
                });
                assert!(worker.held_up().0);
            } else if nth > 0 {
                now = now.after(bounds().drops_wait);
            }
            assert!(worker.asks_for_checkpoint(now), "{nth}");
            assert!(!worker.asks_for_checkpoint(now), "once");
            disk.full_after(None);
            now = now.after(bounds().full_pause);
            work(&mut worker, now);
            write(&mut worker, now, &mut |turn| shard.checkpoint(turn));
            let mut flush = worker.take_flush().expect("there is a checkpoint");
            flush.run().expect("the disk works");
            worker.flushed(flush, now).expect("the disk works");
            assert_eq!(worker.next(now), Next::Nothing);
        }
    }
}
