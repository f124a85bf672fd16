//! What a process's parts leave for each other: events for the shard, answers for connections.

use base::Refusal;
use shard::{Event, Reply, ReplySink};
use std::sync::{Arc, Mutex};

/// The shard's mailbox.
pub(crate) struct Mail {
    events: Mutex<Vec<Event>>,
    /// Calls that may wait.
    calls_max: usize,
}

impl Mail {
    /// An empty mailbox for so many calls.
    pub(crate) fn new(calls_max: usize) -> Mail {
        Mail {
            events: Mutex::default(),
            calls_max,
        }
    }

    /// Leaves an event.
    pub(crate) fn leave(&self, event: Event) {
        self.events.lock().expect("one thread").push(event);
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.lock().expect("one thread").is_empty()
    }

    /// Takes all that waits.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().expect("one thread"))
    }
}

impl broker::Mailbox for Mail {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        let mut events = self.events.lock().expect("one thread");
        let is_call = |event: &Event| matches!(event, Event::Command(..));
        let calls = events.iter().filter(|event| is_call(event)).count();
        if is_call(&event) && calls >= self.calls_max {
            return Err(Refusal::Busy("the mailbox is full".to_string()));
        }
        events.push(event);
        Ok(())
    }
}

/// An answer on its way to a connection.
pub(crate) struct Answer {
    pub(crate) connection: u64,
    pub(crate) ticket: u64,
    pub(crate) reply: Reply,
}

/// Answers for all connections of a process.
#[derive(Default)]
pub(crate) struct Answers {
    waiting: Mutex<Vec<Answer>>,
}

impl Answers {
    /// Takes all that waits.
    pub(crate) fn take(&self) -> Vec<Answer> {
        std::mem::take(&mut self.waiting.lock().expect("one thread"))
    }
}

/// One connection's way into [`Answers`].
pub(crate) struct Inbox {
    pub(crate) connection: u64,
    pub(crate) answers: Arc<Answers>,
}

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        let answer = Answer {
            connection: self.connection,
            ticket,
            reply,
        };
        self.answers
            .waiting
            .lock()
            .expect("one thread")
            .push(answer);
    }
}
