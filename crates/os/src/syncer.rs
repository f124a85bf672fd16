//! A small pool that syncs several files at once: the device takes their flushes together, so
//! many syncs in parallel cost little more than one.

use base::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// Threads of the pool. They are started at the first use.
pub const SYNC_THREADS: usize = 4;
/// Syncs that may wait for a thread of the pool.
const QUEUE: usize = 64;

type Outcome = Result<(), (usize, io::Error)>;

struct Order {
    file: Arc<dyn File>,
    at: usize,
    done: SyncSender<Outcome>,
}

/// The pool.
#[derive(Default)]
pub struct Syncer {
    orders: OnceLock<SyncSender<Order>>,
}

impl Syncer {
    /// Syncs the data of all files and waits for it. A failure's place and error is the outcome,
    /// but every sync has ended when this returns.
    pub fn sync_all(&self, files: &[Arc<dyn File>]) -> Outcome {
        let Some((first, rest)) = files.split_first() else {
            return Ok(());
        };
        if rest.is_empty() {
            return first.sync_data().map_err(|error| (0, error));
        }
        let orders = self.orders.get_or_init(start);
        let (done, outcomes) = sync_channel(rest.len());
        for (file, at) in rest.iter().zip(1..) {
            let order = Order {
                file: Arc::clone(file),
                at,
                done: done.clone(),
            };
            orders
                .send(order)
                .expect("the pool lives as long as its sender");
        }
        let mut outcome = first.sync_data().map_err(|error| (0, error));
        for _ in rest {
            outcome = outcome.and(outcomes.recv().expect("each order is answered"));
        }
        outcome
    }
}

fn start() -> SyncSender<Order> {
    let (sender, receiver) = sync_channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    for n in 0..SYNC_THREADS {
        let receiver = Arc::clone(&receiver);
        thread::Builder::new()
            .name(format!("sync-{n}"))
            .stack_size(128 * 1024)
            .spawn(move || run(&receiver))
            .expect("the kernel gives a thread");
    }
    sender
}

fn run(orders: &Mutex<Receiver<Order>>) {
    loop {
        let next = orders
            .lock()
            .expect("no thread panics while it waits")
            .recv();
        let Ok(order) = next else { return };
        let outcome = order.file.sync_data().map_err(|error| (order.at, error));
        // Whoever asked waits for every answer, so the channel is open.
        let _ = order.done.send(outcome);
    }
}
