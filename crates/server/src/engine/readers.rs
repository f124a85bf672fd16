//! A pool of readers: reads that may wait for the device, off the shard's thread and off the
//! runtime's. The shard has one of its own, so that followers don't wait behind what clients look up.

use super::mailbox::Mailbox;
use super::queue::Queue;
use log::Files;
use shard::{Event, Job};
use std::sync::Arc;

/// They may make turns of the shard.
const STACK_BYTES: usize = 1024 * 1024;

type Chore = Box<dyn FnOnce() + Send>;

/// A pool; clones share it.
#[derive(Clone)]
pub struct Readers {
    chores: Arc<Queue<Chore>>,
    files: Arc<Files>,
    mailbox: Arc<Mailbox>,
}

impl Readers {
    /// Starts the threads.
    pub fn start(
        name: &str,
        threads: usize,
        files: &Arc<Files>,
        mailbox: &Arc<Mailbox>,
    ) -> std::io::Result<Readers> {
        let readers = Readers {
            chores: Arc::default(),
            files: Arc::clone(files),
            mailbox: Arc::clone(mailbox),
        };
        for n in 0..threads {
            let chores: Arc<Queue<Chore>> = Arc::clone(&readers.chores);
            let work = move || {
                while let Ok(chore) = chores.pop() {
                    chore();
                }
            };
            std::thread::Builder::new()
                .name(format!("{name}-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(work)?;
        }
        Ok(readers)
    }

    /// Runs a job of the shard, whose outcome goes to its mailbox. The shard bounds its own jobs.
    pub fn job(&self, mut job: Job) {
        let (files, mailbox) = (Arc::clone(&self.files), Arc::clone(&self.mailbox));
        self.chores.push(Box::new(move || {
            let result = job.run(&files);
            mailbox.report(Event::Done(job, result));
        }));
    }

    /// Runs a read of a client. Clients bound theirs: a request waits for one read at most, and
    /// requests in flight are bounded.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.chores.push(Box::new(work));
    }

    /// Reads that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.chores.len()
    }
}
