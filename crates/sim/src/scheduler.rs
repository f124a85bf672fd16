//! The virtual clock and what is to happen. Two events of the same microsecond happen in the
//! order in which they were asked for, so a run is a function of its seed alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Microseconds since the run began.
pub(crate) type Micros = u64;

/// What is to happen, by time.
pub(crate) struct Scheduler<E> {
    now: Micros,
    asked: u64,
    /// When, the how-manieth that was asked for, and where its event is. Events are large, and
    /// sorting moves them: they stay where they are.
    queue: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    places: Vec<Option<E>>,
    free: Vec<usize>,
}

impl<E> Scheduler<E> {
    /// An empty queue at time 0.
    pub(crate) fn new() -> Scheduler<E> {
        Scheduler {
            now: 0,
            asked: 0,
            queue: BinaryHeap::new(),
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Lets something happen at `time`, or now if that is past.
    pub(crate) fn at(&mut self, time: Micros, event: E) {
        self.asked += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(event);
        let time = time.max(self.now);
        self.queue.push(Reverse((time, self.asked, place)));
    }

    /// Lets something happen `wait` from now.
    pub(crate) fn after(&mut self, wait: Micros, event: E) {
        self.at(self.now + wait, event);
    }

    /// Moves the clock to the next event and takes it.
    pub(crate) fn pop(&mut self) -> Option<E> {
        let Reverse((time, _, place)) = self.queue.pop()?;
        self.now = time;
        self.free.push(place);
        self.places[place].take()
    }
}

#[cfg(test)]
mod tests {
    use super::Scheduler;

    #[test]
    fn events_come_by_time_and_then_in_the_order_asked() {
        let mut scheduler = Scheduler::new();
        scheduler.at(20, 'c');
        scheduler.at(10, 'a');
        scheduler.at(20, 'd');
        scheduler.at(10, 'b');
        assert_eq!(scheduler.pop(), Some('a'));
        scheduler.at(5, 'x');
        assert_eq!(scheduler.pop(), Some('b'));
        assert_eq!((scheduler.pop(), scheduler.now()), (Some('x'), 10));
        scheduler.after(10, 'e');
        let rest: String = std::iter::from_fn(|| scheduler.pop()).collect();
        assert_eq!(rest, "cde");
    }
}
