//! The threads that carry bytes of clients, and of who asks about health. Each is a runtime of its own, and a connection stays
//! where it was put: a runtime whose threads take work from each other wakes another thread
//! whenever one has something to do, to look whether there is more, and there seldom is.

use std::io;
use std::num::NonZero;
use tokio::runtime::{Builder, Handle};

/// Threads at most: what they do is little beside what the shard's one thread does for it.
const EDGES_MAX: usize = 4;
const STACK_BYTES: usize = 1024 * 1024;
/// One of so many tasks is one that another thread woke: a connection that was let in, or for which the
/// shard has an answer. With many busy connections they would wait for one of 31 otherwise.
const OTHERS_INTERVAL: u32 = 2;
/// After so many tasks sockets are looked at, and who let others have their turn goes on.
const SOCKETS_INTERVAL: u32 = 16;

/// The threads. They end with the process.
pub struct Edges(Vec<Handle>);

impl Edges {
    /// Starts a thread for each processor, within bounds.
    pub fn start() -> io::Result<Edges> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        (0..processors.min(EDGES_MAX))
            .map(|number| start(&format!("edge-{number}")))
            .collect::<io::Result<_>>()
            .map(Edges)
    }

    /// The runtime that this is called in, alone.
    #[cfg(test)]
    pub fn here() -> Edges {
        Edges(vec![Handle::current()])
    }

    /// One of them, by chance: clients that open their connections in a pattern must not end up
    /// with all the busy ones on one thread.
    pub fn any(&self) -> &Handle {
        &self.0[os::entropy::bits() as usize % self.0.len()]
    }
}

/// A thread with a runtime, which lives as long as the process.
pub fn start(name: &str) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .global_queue_interval(OTHERS_INTERVAL)
        .event_interval(SOCKETS_INTERVAL)
        .build()?;
    let handle = runtime.handle().clone();
    let work = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)?;
    Ok(handle)
}
