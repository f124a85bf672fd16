//! A queue between threads that may block: the taker waits for work or for a moment, the giver
//! never waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The queue.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    /// Not all that waits was pushed quietly.
    pressing: bool,
    /// Takers that sleep; without one the giver saves the kernel call.
    asleep: usize,
}

/// The queue is closed and empty: there will be nothing more.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        let state = State {
            items: VecDeque::new(),
            closed: false,
            pressing: false,
            asleep: 0,
        };
        Queue {
            state: Mutex::new(state),
            filled: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds an item. After the close it is dropped: nobody would take it.
    pub fn push(&self, item: T) {
        let _ = self.push_within(item, usize::MAX);
    }

    /// Adds an item that can wait until the taker wakes for something else.
    pub fn push_quietly(&self, item: T) {
        let mut state = self.lock();
        if !state.closed {
            state.items.push_back(item);
        }
    }

    /// Adds an item unless `max` wait already; then it is given back.
    pub fn push_within(&self, item: T, max: usize) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        if state.items.len() >= max {
            return Err(item);
        }
        state.items.push_back(item);
        state.pressing = true;
        let wake = state.asleep > 0;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Adds an item, even after the close: whoever takes may wait for just this one.
    pub fn push_after_all(&self, item: T) {
        let mut state = self.lock();
        state.items.push_back(item);
        state.pressing = true;
        drop(state);
        self.filled.notify_one();
    }

    /// The next item, waiting for it as long as it takes.
    pub fn pop(&self) -> Result<T, Closed> {
        let mut state = self.wait(None);
        let item = state.items.pop_front().ok_or(Closed);
        state.pressing &= !state.items.is_empty();
        item
    }

    /// Moves up to `max` items to the end of `into`, waiting for the first one: for ever, or for
    /// at most `wait`.
    pub fn take(
        &self,
        into: &mut VecDeque<T>,
        max: usize,
        wait: Option<Duration>,
    ) -> Result<(), Closed> {
        let mut state = self.wait(wait);
        if state.items.is_empty() && state.closed {
            return Err(Closed);
        }
        if state.items.len() <= max && into.is_empty() {
            std::mem::swap(&mut state.items, into);
        } else {
            let count = state.items.len().min(max);
            into.extend(state.items.drain(..count));
        }
        state.pressing &= !state.items.is_empty();
        Ok(())
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// True if items wait, and not only such as can wait.
    pub fn are_pressing(&self) -> bool {
        self.lock().pressing
    }

    /// Nothing more comes in; what waits is still taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn wait(&self, wait: Option<Duration>) -> MutexGuard<'_, State<T>> {
        let mut state = self.lock();
        if !state.items.is_empty() || state.closed {
            return state;
        }
        state.asleep += 1;
        let idle = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let poisoned = "no thread panics while it holds the queue";
        state = match wait {
            None => self.filled.wait_while(state, idle).expect(poisoned),
            Some(wait) => {
                self.filled
                    .wait_timeout_while(state, wait, idle)
                    .expect(poisoned)
                    .0
            }
        };
        state.asleep -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state
            .lock()
            .expect("no thread panics while it holds the queue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn items_come_out_in_order_and_no_more_than_asked_for() {
        let queue = Queue::default();
        for n in 0..10 {
            queue.push(n);
        }
        let mut taken = VecDeque::new();
        queue.take(&mut taken, 4, None).expect("open");
        assert_eq!(taken, [0, 1, 2, 3]);
        queue.take(&mut taken, 100, None).expect("open");
        assert_eq!(taken, (0..10).collect::<VecDeque<_>>());
        queue
            .take(&mut taken, 100, Some(Duration::ZERO))
            .expect("nothing came, which is fine");
        assert_eq!(taken.len(), 10);
    }

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let queue = Queue::default();
        assert_eq!(queue.push_within(1, 1), Ok(()));
        assert_eq!(queue.push_within(2, 1), Err(2));
        assert_eq!(queue.pop(), Ok(1));
        assert_eq!(queue.push_within(2, 1), Ok(()));
    }

    #[test]
    fn a_sleeper_is_woken_by_work_and_by_the_close_and_leftovers_are_taken() {
        let queue = Arc::new(Queue::default());
        let taker = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                let mut all = Vec::new();
                while let Ok(item) = queue.pop() {
                    all.push(item);
                }
                all
            })
        };
        for n in 0..1000 {
            queue.push(n);
        }
        queue.close();
        queue.push(5000);
        let all = taker.join().expect("no panic");
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(queue.take(&mut VecDeque::new(), 1, None), Err(Closed));
    }
}
