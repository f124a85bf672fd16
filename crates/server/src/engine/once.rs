//! An answer of the shard for a task that waits for it.

use shard::{Reply, ReplySink, ReplyTo};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Where one answer goes.
pub struct Once(Mutex<Option<oneshot::Sender<Reply>>>);

impl Once {
    /// Where to send it, and where it comes out.
    pub fn open() -> (ReplyTo, oneshot::Receiver<Reply>) {
        let (sender, answer) = oneshot::channel();
        let sink = Arc::new(Once(Mutex::new(Some(sender))));
        (ReplyTo { sink, ticket: 0 }, answer)
    }
}

impl ReplySink for Once {
    fn reply(&self, _: u64, reply: Reply) {
        let sender = self
            .0
            .lock()
            .expect("nobody panics while holding it")
            .take();
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            let _ = sender.send(reply);
        }
    }
}
