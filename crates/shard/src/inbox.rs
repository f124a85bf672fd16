//! Where answers go.

use crate::api::Reply;
use std::sync::Arc;

/// Where an answer goes: a connection's inbox and the ticket that it gave to the call.
#[derive(Clone)]
pub struct ReplyTo {
    /// The inbox.
    pub sink: Arc<dyn ReplySink>,
    /// The caller's own name for the call.
    pub ticket: u64,
}

/// An inbox for answers. Must not block; an answer nobody waits for is dropped.
pub trait ReplySink: Send + Sync {
    /// Takes an answer.
    fn reply(&self, ticket: u64, reply: Reply);

    /// True once nobody waits for any answer here.
    fn is_gone(&self) -> bool {
        false
    }
}
