use super::{Arrival, Net, Weather, Wire};
use crate::scheduler::Scheduler;
use base::Random;
use bytes::Bytes;

const CALM: Weather = Weather {
    delay_min: 100,
    delay_max: 500,
    late_percent: 0,
    twice_percent: 0,
    waiting_max: u64::MAX,
};

struct Run {
    net: Net,
    scheduler: Scheduler<Wire>,
    got: Vec<Arrival>,
}

impl Run {
    fn new(seed: u64, weather: Weather) -> Run {
        let mut net = Net::new(Random::new(seed), weather, 2);
        net.start(0);
        net.start(1);
        let mut run = Run {
            net,
            scheduler: Scheduler::new(),
            got: Vec::new(),
        };
        run.settle();
        run
    }

    /// Everything that is on its way happens, for a virtual second at most.
    fn settle(&mut self) {
        let end = self.scheduler.now() + 1_000_000;
        loop {
            for (wait, wire) in self.net.take_out() {
                self.scheduler.after(wait, wire);
            }
            match self.scheduler.pop() {
                Some(wire) if self.scheduler.now() < end => self.got.extend(self.net.step(wire)),
                _ => return,
            }
        }
    }

    fn send(&mut self, numbers: std::ops::Range<u8>) {
        for number in numbers {
            self.net.send(0, 1, vec![Bytes::from(vec![number])]);
        }
    }

    fn numbers(&mut self) -> Vec<u8> {
        let frames = self.got.drain(..).filter_map(|arrival| match arrival {
            Arrival::Frames { frames, .. } => Some(frames[0][0]),
            _ => None,
        });
        frames.collect()
    }
}

#[test]
fn frames_of_a_session_arrive_in_order() {
    let mut run = Run::new(1, CALM);
    assert!(run.got.contains(&Arrival::Up { node: 0, peer: 1 }));
    assert!(run.got.contains(&Arrival::Up { node: 1, peer: 0 }));
    run.send(0..50);
    run.settle();
    assert_eq!(run.numbers(), (0..50).collect::<Vec<u8>>());
}

#[test]
fn a_break_loses_a_tail_and_both_are_told_and_connect_again() {
    let mut lens = Vec::new();
    for seed in 0..300 {
        let mut run = Run::new(seed, CALM);
        run.got.clear();
        run.send(0..20);
        run.net.break_session(1, 0);
        run.settle();
        for event in [
            Arrival::Down { node: 0, peer: 1 },
            Arrival::Down { node: 1, peer: 0 },
            Arrival::Up { node: 0, peer: 1 },
            Arrival::Up { node: 1, peer: 0 },
        ] {
            assert_eq!(run.got.iter().filter(|got| **got == event).count(), 1);
        }
        let numbers = run.numbers();
        assert_eq!(numbers, (0..numbers.len() as u8).collect::<Vec<u8>>());
        lens.push(numbers.len());
    }
    assert!(lens.contains(&0) && lens.contains(&20));
}

#[test]
fn stormy_weather_brings_late_and_double_frames() {
    let stormy = Weather {
        late_percent: 50,
        twice_percent: 50,
        ..CALM
    };
    let (mut out_of_order, mut twice) = (0, 0);
    for seed in 0..50 {
        let mut run = Run::new(seed, stormy.clone());
        run.send(0..20);
        run.net.break_session(0, 1);
        run.settle();
        let numbers = run.numbers();
        out_of_order += u32::from(numbers.windows(2).any(|pair| pair[0] > pair[1]));
        twice += u32::from((0..20).any(|n| numbers.iter().filter(|m| **m == n).count() > 1));
    }
    assert!(out_of_order > 5 && twice > 5);
}

#[test]
fn what_finds_no_room_is_lost_and_the_session_stands() {
    let narrow = Weather {
        waiting_max: 3,
        ..CALM
    };
    let mut run = Run::new(1, narrow);
    run.send(0..5);
    run.settle();
    run.send(7..8);
    run.settle();
    assert_eq!(run.numbers(), [0, 1, 2, 7]);
    assert!(!run.got.iter().any(|it| matches!(it, Arrival::Down { .. })));
}

#[test]
fn a_blocked_direction_is_silent_and_the_other_works() {
    let mut run = Run::new(1, CALM);
    run.net.block(0, 1);
    run.send(0..5);
    run.settle();
    assert_eq!(run.numbers(), []);
    run.net.send(1, 0, vec![Bytes::from_static(&[9])]);
    run.settle();
    assert_eq!(run.numbers(), [9]);
    run.net.heal();
    run.settle();
    let held = run.numbers();
    assert!(held == [0, 1, 2, 3, 4] || held == (0..held.len() as u8).collect::<Vec<u8>>());
}

#[test]
fn nothing_reaches_a_process_that_does_not_run() {
    let stormy = Weather {
        late_percent: 100,
        twice_percent: 100,
        ..CALM
    };
    for seed in 0..20 {
        let mut run = Run::new(seed, stormy.clone());
        run.send(0..20);
        run.net.stop(1);
        run.settle();
        assert_eq!(run.numbers(), []);
        run.net.start(1);
        run.settle();
        run.numbers();
        run.send(20..21);
        run.settle();
        assert_eq!(run.numbers(), [20]);
    }
}
