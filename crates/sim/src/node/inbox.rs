//! What a process's parts leave for each other: events for the shard, answers for connections.

use base::Refusal;
use shard::{Event, Reply, ReplySink};
use std::sync::{Arc, Mutex};

/// The shard's mailbox.
#[derive(Default)]
pub(crate) struct Mail {
    events: Mutex<Vec<Event>>,
}

impl Mail {
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
        self.leave(event);
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
