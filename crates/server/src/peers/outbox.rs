//! Frames on their way to one peer: bounded by bytes, filled by the shard's thread, emptied by the
//! connection's task.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

/// The queue.
pub struct Outbox {
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Vec<Bytes>>,
    bytes: usize,
    dropped: u64,
}

impl Outbox {
    /// An empty queue for at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Outbox {
        Outbox {
            bytes_max,
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Adds a frame. If it has no room it is dropped: the newest, so that order is kept.
    pub fn push(&self, pieces: Vec<Bytes>) {
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        let mut waiting = self.lock();
        if waiting.bytes + bytes > self.bytes_max {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += bytes;
        waiting.frames.push_back(pieces);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Everything that waits, once there is something.
    pub async fn take(&self) -> VecDeque<Vec<Bytes>> {
        loop {
            {
                let mut waiting = self.lock();
                if !waiting.frames.is_empty() {
                    waiting.bytes = 0;
                    return std::mem::take(&mut waiting.frames);
                }
            }
            self.filled.notified().await;
        }
    }

    /// Forgets what waits: it was meant for a connection that is gone.
    pub fn clear(&self) {
        let mut waiting = self.lock();
        waiting.frames.clear();
        waiting.bytes = 0;
    }

    /// Frames dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .expect("no thread panics while it holds the queue")
    }
}
