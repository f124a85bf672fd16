//! The shard's mailbox: calls of clients, frames of peers, reports of the other threads.
//!
//! Calls are bounded and refused when there are too many. Frames are bounded by the permits that
//! came with them. Reports are bounded by the work that they report on and always fit.

use super::queue::{Closed, Queue};
use crate::peers::PeerSink;
use base::{NodeId, Refusal};
use bytes::Bytes;
use shard::Event;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// An event and what it holds while it waits.
pub struct Letter {
    /// The event.
    pub event: Event,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The mailbox.
pub struct Mailbox {
    letters: Queue<Letter>,
    calls: AtomicUsize,
    calls_max: usize,
}

impl Mailbox {
    /// An empty mailbox for at most `calls_max` waiting calls (`mailbox.events.max`).
    pub fn new(calls_max: usize) -> Mailbox {
        Mailbox {
            letters: Queue::default(),
            calls: AtomicUsize::new(0),
            calls_max,
        }
    }

    /// Leaves a report, which always fits.
    pub fn report(&self, event: Event) {
        self.letters.push(Letter {
            event,
            _permit: None,
        });
    }

    /// Leaves a report that nobody is in a hurry for: it is read when the shard wakes anyway.
    pub fn report_quietly(&self, event: Event) {
        self.letters.push_quietly(Letter {
            event,
            _permit: None,
        });
    }

    /// Takes up to `max` letters, waiting for the first one for at most `wait`.
    pub fn take(
        &self,
        into: &mut VecDeque<Letter>,
        max: usize,
        wait: Option<Duration>,
    ) -> Result<(), Closed> {
        let known = into.len();
        self.letters.take(into, max, wait)?;
        let calls = into
            .iter()
            .skip(known)
            .filter(|l| is_call(&l.event))
            .count();
        self.calls.fetch_sub(calls, Ordering::Relaxed);
        Ok(())
    }

    /// Letters that wait.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Nothing more is taken in.
    pub fn close(&self) {
        self.letters.close();
    }
}

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
        let event = Event::Frame { from, bytes };
        self.letters.push(Letter {
            event,
            _permit: Some(permit),
        });
    }
}
