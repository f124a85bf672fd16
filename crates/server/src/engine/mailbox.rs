//! The shard's mailbox: calls of clients, frames of peers, reports of the other threads. And who
//! makes turns of them: whichever thread has just left a letter, so that a letter wakes nobody.
//!
//! There is one seat at the shard. Who leaves a letter takes the seat, if it is free, and makes a
//! turn; if it is taken, the one who sits there sees the letter when it gets up. The shard's own
//! thread makes the turns that are due by time, and takes over from a thread that has lent itself
//! for long enough. Nobody waits for the seat but that thread.
//!
//! Calls are bounded and refused when there are too many. Frames are bounded by the permits that
//! came with them. Reports are bounded by the work that they report on and always fit.

use super::bell::Bell;
use super::once::Once;
use super::queue::{Closed, Queue};
use crate::peers::PeerSink;
use base::{Mono, NodeId, Refusal};
use bytes::Bytes;
use meta::Home;
use shard::{Command, Event, Reply};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Letters taken into one turn, so that a flood doesn't hold back what the first ones lead to.
const LETTERS_PER_TURN: usize = 4096;
/// Turns that a thread makes in a row before it goes back to its own work.
const TURNS_LENT: usize = 4;

/// An event and what it holds while it waits.
pub struct Letter {
    /// The event.
    pub event: Event,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Makes turns, on whatever thread. It must not block, nor wait for what other letters bring.
pub trait Worker: Send {
    /// Makes a turn of all these letters, or without any if one is due. The answer is when the
    /// next one is due, letters or not.
    fn turn(&mut self, letters: &mut VecDeque<Letter>) -> Option<Mono>;
}

/// The mailbox.
pub struct Mailbox {
    letters: Queue<Letter>,
    calls: AtomicUsize,
    calls_max: usize,
    seat: Mutex<Seat>,
    /// For the shard's own thread.
    bell: Bell,
}

/// Whose lock is held makes the turns.
#[derive(Default)]
struct Seat {
    /// None before the node runs and after its end.
    worker: Option<Box<dyn Worker>>,
    /// Taken for this turn; empty between turns.
    letters: VecDeque<Letter>,
    /// When a turn is due without letters.
    due: Option<Mono>,
    /// When the shard's own thread wakes if nobody rings.
    alarm: Option<Mono>,
}

impl Mailbox {
    /// An empty mailbox for at most `calls_max` waiting calls (`mailbox.events.max`).
    pub fn new(calls_max: usize) -> Mailbox {
        Mailbox {
            letters: Queue::default(),
            calls: AtomicUsize::new(0),
            calls_max,
            seat: Mutex::default(),
            bell: Bell::default(),
        }
    }

    /// Leaves a report, which always fits.
    pub fn report(&self, event: Event) {
        self.leave(event, None);
    }

    /// Leaves a report to the shard's own thread: the caller has more urgent work.
    pub fn report_in_passing(&self, event: Event) {
        self.letters.push(Letter {
            event,
            _permit: None,
        });
        self.bell.ring();
    }

    /// Leaves a report that nobody is in a hurry for: it is read in the next turn, whenever
    /// that is.
    pub fn report_quietly(&self, event: Event) {
        self.letters.push_quietly(Letter {
            event,
            _permit: None,
        });
    }

    fn leave(&self, event: Event, permit: Option<OwnedSemaphorePermit>) {
        self.letters.push(Letter {
            event,
            _permit: permit,
        });
        self.lend();
    }

    /// Makes turns while letters wait and the seat is free.
    ///
    /// No letter is left behind. The queue is looked at after a letter was left and before the
    /// seat is given up on, so let G have left a letter, and found it waiting and the seat taken
    /// by H. H looks at the queue after it has left the seat. If that look comes after G's look,
    /// H sees what G saw, or somebody took it. If it came before, then by the lock of the queue,
    /// which both looks take, H had left the seat before G tried it; so whom G found there is
    /// another one, of whom the same holds. Who stops looking because of its bound rings for the
    /// shard's own thread, which doesn't sleep while letters wait.
    fn lend(&self) {
        for made in 0..=TURNS_LENT {
            if !self.letters.are_pressing() {
                return;
            }
            if made == TURNS_LENT {
                return self.bell.ring();
            }
            let mut seat = match self.seat.try_lock() {
                Ok(seat) => seat,
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(_)) => panic!("{UNPOISONED}"),
            };
            // Closed: the shard's own thread sees it too, and ends.
            let _ = self.turn(&mut seat);
        }
    }

    /// Takes what waits and makes a turn of it.
    fn turn(&self, seat: &mut Seat) -> Result<(), Closed> {
        let Some(worker) = &mut seat.worker else {
            return Ok(());
        };
        let now = Some(Duration::ZERO);
        self.letters
            .take(&mut seat.letters, LETTERS_PER_TURN, now)?;
        let calls = seat.letters.iter().filter(|l| is_call(&l.event)).count();
        self.calls.fetch_sub(calls, Ordering::Relaxed);
        seat.due = worker.turn(&mut seat.letters);
        seat.letters.clear();
        // The thread sleeps for longer than that.
        if seat
            .due
            .is_some_and(|due| seat.alarm.is_none_or(|at| due < at))
        {
            seat.alarm = seat.due;
            self.bell.ring();
        }
        Ok(())
    }

    /// The work of the shard's own thread, until the mailbox is closed and empty. When this
    /// returns no turn is made any more.
    pub fn serve(&self, worker: Box<dyn Worker>) {
        self.sit().worker = Some(worker);
        loop {
            let mut seat = self.sit();
            // Awake: it needn't be rung for.
            seat.alarm = Some(Mono::default());
            if self.turn(&mut seat).is_err() {
                seat.worker = None;
                return;
            }
            seat.alarm = seat.due;
            let wait = seat.due.map(|due| due.since(os::clock::mono()));
            drop(seat);
            if !self.letters.are_pressing() {
                self.bell.sleep(wait);
            }
        }
    }

    fn sit(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().expect(UNPOISONED)
    }

    /// Letters that wait.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Nothing more is taken in.
    pub fn close(&self) {
        self.letters.close();
        self.bell.ring();
    }
}

const UNPOISONED: &str = "a panic in a turn ends the process";

fn is_call(event: &Event) -> bool {
    matches!(event, Event::Command(..))
}

impl broker::Mailbox for Mailbox {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        if is_call(&event) {
            let grown = |calls: usize| (calls < self.calls_max).then_some(calls + 1);
            if self
                .calls
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
                .is_err()
            {
                let text = format!("{} calls wait for this node already", self.calls_max);
                return Err(Refusal::Busy(text));
            }
        }
        self.report(event);
        Ok(())
    }
}

impl PeerSink for Mailbox {
    fn up(&self, node: NodeId) {
        self.report(Event::PeerUp(node));
    }

    fn down(&self, node: NodeId) {
        self.report(Event::PeerDown(node));
    }

    fn frame(&self, from: NodeId, bytes: Bytes, permit: OwnedSemaphorePermit) {
        self.leave(Event::Frame { from, bytes }, Some(permit));
    }

    fn coming(&self, from: NodeId, bytes: u64) {
        self.report(Event::Coming { from, bytes });
    }

    fn introduce(&self, node: NodeId, home: Home, wait: Duration) -> oneshot::Receiver<Reply> {
        let (once, answer) = Once::open();
        let command = Command::Meta {
            command: meta::Command::IntroduceNode {
                node,
                home,
                joins: true,
            },
            deadline: os::clock::now().mono.after(wait),
        };
        // If it has no room the answer never comes, and that is told.
        let _ = broker::Mailbox::post(self, Event::Command(command, Some(once)));
        answer
    }
}

#[cfg(test)]
mod tests;
