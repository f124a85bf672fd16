//! Where answers for a connection arrive, from whatever thread, until its task takes them.

use serve_kafka::ColdOutcome;
use shard::{Reply, ReplySink};
use std::sync::Mutex;
use tokio::sync::Notify;

/// An answer and the ticket that it is for.
pub enum Letter {
    /// The broker's.
    Reply(u64, Reply),
    /// A cold read's.
    Read(u64, ColdOutcome),
}

/// The inbox. Bounded by the requests that the connection has in flight.
#[derive(Default)]
pub struct Inbox {
    letters: Mutex<Vec<Letter>>,
    filled: Notify,
}

impl Inbox {
    /// Leaves an answer and wakes the task.
    pub fn leave(&self, letter: Letter) {
        let mut letters = self.lock();
        letters.push(letter);
        let first = letters.len() == 1;
        drop(letters);
        if first {
            self.filled.notify_one();
        }
    }

    /// Everything that arrived.
    pub fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut *self.lock())
    }

    /// Waits until something arrived since the last take.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Letter>> {
        self.letters
            .lock()
            .expect("no thread panics while it holds the inbox")
    }
}

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        self.leave(Letter::Reply(ticket, reply));
    }
}
