use super::*;
use broker::Mailbox as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::{JoinHandle, ThreadId, current, spawn};

/// Longer than anything here takes: a test that waits for it has failed.
const NEVER: Duration = Duration::from_secs(30);

/// A turn: who made it, and the letters' numbers.
type Made = (ThreadId, Vec<u64>);

/// A worker that tells of its turns, and what it does besides.
struct Teller<F> {
    made: Sender<Made>,
    besides: F,
}

impl<F: FnMut(&[u64]) -> Option<Mono> + Send> Worker for Teller<F> {
    fn turn(&mut self, letters: &mut VecDeque<Letter>) -> Option<Mono> {
        let numbers: Vec<u64> = letters.drain(..).map(|l| number(&l.event)).collect();
        let due = (self.besides)(&numbers);
        let _ = self.made.send((current().id(), numbers));
        due
    }
}

fn letter(number: u64) -> Event {
    Event::DiskFree(number)
}

fn number(event: &Event) -> u64 {
    match event {
        Event::DiskFree(number) => *number,
        _ => 0,
    }
}

fn call() -> Event {
    let groups = Vec::new();
    Event::Command(shard::Command::Replicas { groups }, None)
}

/// A mailbox with a thread of its own, whose first turn has been made.
struct World {
    mailbox: Arc<Mailbox>,
    made: Receiver<Made>,
    thread: JoinHandle<()>,
}

impl World {
    fn new<F>(besides: impl FnOnce(&Arc<Mailbox>) -> F) -> World
    where
        F: FnMut(&[u64]) -> Option<Mono> + Send + 'static,
    {
        let mailbox = Arc::new(Mailbox::new(2));
        let (sender, made) = channel();
        let besides = besides(&mailbox);
        let worker = Box::new(Teller {
            made: sender,
            besides,
        });
        let served = Arc::clone(&mailbox);
        let thread = spawn(move || served.serve(worker));
        let world = World {
            mailbox,
            made,
            thread,
        };
        assert!(world.next().1.is_empty());
        world
    }

    fn next(&self) -> Made {
        self.made.recv_timeout(NEVER).expect("a turn is made")
    }

    fn letters(&self, count: usize) -> Vec<u64> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.next().1);
        }
        all
    }
}

#[test]
fn whoever_leaves_a_letter_makes_the_turn() {
    let world = World::new(|_| |_: &[u64]| None);
    // The thread may not have left the seat after its first turn.
    drop(world.mailbox.sit());
    world.mailbox.report(letter(7));
    assert_eq!(world.next(), (current().id(), vec![7]));
}

#[test]
fn no_letter_of_many_is_left_behind_and_each_sender_keeps_its_order() {
    const SENDERS: u64 = 4;
    const ROUNDS: u64 = 3000;
    const EACH: u64 = 3;
    // Nothing is ever due, and nobody sends before all of a round has arrived: a letter that is
    // left behind is found by nobody.
    let world = World::new(|_| |_: &[u64]| None);
    let round = Arc::new(Barrier::new(SENDERS as usize + 1));
    let send = |sender: u64| {
        let (mailbox, round) = (Arc::clone(&world.mailbox), Arc::clone(&round));
        spawn(move || {
            for n in 0..ROUNDS * EACH {
                if n % EACH == 0 {
                    round.wait();
                }
                let event = letter(sender << 32 | n);
                match n % 16 {
                    0 => mailbox.report_in_passing(event),
                    _ => mailbox.report(event),
                }
            }
        })
    };
    let senders: Vec<_> = (0..SENDERS).map(send).collect();
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        round.wait();
        all.extend(world.letters((SENDERS * EACH) as usize));
    }
    for sender in senders {
        sender.join().expect("no panic");
    }
    for sender in 0..SENDERS {
        let own = all.iter().filter(|n| *n >> 32 == sender);
        let own = own.map(|n| n & 0xffff_ffff);
        assert!(own.eq(0..ROUNDS * EACH), "sender {sender}");
    }
}

#[test]
fn a_letter_left_by_a_turn_is_read_in_the_next_one() {
    let world = World::new(|mailbox| {
        let mailbox = Arc::downgrade(mailbox);
        move |letters: &[u64]| {
            if letters == [1] {
                mailbox.upgrade().expect("it runs").report(letter(2));
            }
            None
        }
    });
    world.mailbox.report(letter(1));
    assert_eq!(world.letters(2), [1, 2]);
}

#[test]
fn a_thread_that_lent_itself_goes_back_after_its_share_of_turns() {
    const TURNS: u64 = 50;
    let world = World::new(|mailbox| {
        let mailbox = Arc::downgrade(mailbox);
        move |letters: &[u64]| {
            if let Some(n) = letters.last().filter(|n| **n < TURNS) {
                mailbox.upgrade().expect("it runs").report(letter(n + 1));
            }
            None
        }
    });
    world.mailbox.report(letter(1));
    let mut here = 0;
    let mut last = 0;
    while last < TURNS {
        let (who, letters) = world.next();
        here += usize::from(who == current().id());
        last = letters.last().copied().unwrap_or(last);
    }
    assert!(here <= TURNS_LENT, "{here} turns");
}

#[test]
fn what_is_due_is_done_by_the_threads_own_clock_also_if_another_moved_it() {
    let world = World::new(|_| {
        |letters: &[u64]| {
            let soon = os::clock::mono().after(Duration::from_millis(1));
            (!letters.is_empty()).then_some(soon)
        }
    });
    for n in 1..=20 {
        world.mailbox.report(letter(n));
        assert_eq!(world.letters(1), [n]);
        // Nobody leaves another letter.
        let (who, letters) = world.next();
        assert_eq!((who, letters), (world.thread.thread().id(), vec![]));
    }
}

#[test]
fn quiet_letters_wait_for_the_next_turn() {
    let world = World::new(|_| |_: &[u64]| None);
    world.mailbox.report_quietly(letter(1));
    assert_eq!(world.mailbox.len(), 1);
    world.mailbox.report(letter(2));
    assert_eq!(world.next().1, [1, 2]);
}

#[test]
fn what_came_before_the_close_is_done_and_then_no_turn_is_made() {
    const LETTERS: u64 = 1000;
    let world = World::new(|_| |_: &[u64]| None);
    let sender = {
        let mailbox = Arc::clone(&world.mailbox);
        spawn(move || (0..LETTERS).for_each(|n| mailbox.report(letter(n))))
    };
    sender.join().expect("no panic");
    world.mailbox.close();
    world.thread.join().expect("it ends");
    world.mailbox.report(letter(LETTERS));
    let done: Vec<u64> = world
        .made
        .try_iter()
        .flat_map(|(_, letters)| letters)
        .collect();
    assert!(done.into_iter().eq(0..LETTERS));
}

#[test]
fn letters_from_before_the_start_are_in_the_first_turn() {
    let mailbox = Arc::new(Mailbox::new(1));
    mailbox.report(letter(5));
    let (made, turns) = channel();
    let besides = |_: &[u64]| None;
    let served = Arc::clone(&mailbox);
    let thread = spawn(move || served.serve(Box::new(Teller { made, besides })));
    assert_eq!(turns.recv_timeout(NEVER).expect("a turn").1, [5]);
    mailbox.close();
    thread.join().expect("it ends");
}

#[test]
fn calls_beyond_the_bound_are_refused_until_some_were_taken() {
    let mailbox = Arc::new(Mailbox::new(2));
    mailbox.post(call()).expect("room");
    mailbox.post(call()).expect("room");
    assert!(matches!(mailbox.post(call()), Err(Refusal::Busy(_))));
    mailbox.report(letter(1));
    let (made, turns) = channel();
    let besides = |_: &[u64]| None;
    let served = Arc::clone(&mailbox);
    spawn(move || served.serve(Box::new(Teller { made, besides })));
    assert_eq!(turns.recv_timeout(NEVER).expect("a turn").1.len(), 3);
    mailbox.post(call()).expect("room again");
}
