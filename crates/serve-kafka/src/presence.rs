//! Whether a connection is still there, for those who keep its calls: an answer that nobody waits for
//! any more need not be worked on.

use shard::{Reply, ReplySink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A connection's own: with it the connection ends.
pub(crate) struct Presence(Arc<Caller>);

/// Where answers for the connection go.
struct Caller {
    inbox: Arc<dyn ReplySink>,
    is_gone: AtomicBool,
}

impl Presence {
    pub(crate) fn new(inbox: Arc<dyn ReplySink>) -> Presence {
        Presence(Arc::new(Caller {
            inbox,
            is_gone: AtomicBool::new(false),
        }))
    }

    /// Where answers are to go.
    pub(crate) fn sink(&self) -> Arc<dyn ReplySink> {
        Arc::clone(&self.0) as Arc<dyn ReplySink>
    }

    /// Nobody waits for any of the answers.
    pub(crate) fn end(&self) {
        self.0.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.end();
    }
}

impl ReplySink for Caller {
    fn reply(&self, ticket: u64, reply: Reply) {
        self.inbox.reply(ticket, reply);
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }
}
