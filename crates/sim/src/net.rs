//! The simulated network between nodes.
//!
//! Two nodes share a *session*, as a TCP connection: frames arrive in order, after a delay, or
//! the session breaks. When it breaks, what is on its way arrives up to some frame and is lost
//! from there on; of the lost ones some come late, after the break or after the next session
//! stands (even to another process of the node), and some of the delivered ones come twice. A *blocked* direction holds what is sent
//! (a partition looks like silence first); when it is opened again, the held frames go on, or the
//! session breaks. In some runs only so many bytes may wait in a direction: what is sent while they do is
//! lost, and what comes later isn't. On a *narrow* line frames take the longer the larger they are, and those
//! behind them wait; bytes of what isn't whole are noticed. Nodes whose processes don't run have no sessions.
//!
//! The net owns no clock: it leaves in [`Net::take_out`] what is to happen after which wait.

#[cfg(test)]
mod tests;

use crate::scheduler::Micros;
use base::Random;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A node's place in the world, from 0.
pub(crate) type Place = usize;

/// Things on their way in one direction, in order.
pub(crate) struct Lane<T> {
    queue: VecDeque<T>,
    owed: u32,
}

impl<T> Default for Lane<T> {
    fn default() -> Lane<T> {
        Lane {
            queue: VecDeque::new(),
            owed: 0,
        }
    }
}

impl<T> Lane<T> {
    /// Sends; the caller schedules one arrival for it.
    pub(crate) fn push(&mut self, thing: T) {
        self.queue.push_back(thing);
    }

    /// An arrival is due: the next thing, or nothing while the lane is held.
    pub(crate) fn arrive(&mut self, held: bool) -> Option<T> {
        if held {
            self.owed += 1;
            return None;
        }
        self.queue.pop_front()
    }

    /// The lane isn't held any more: how many arrivals are to be scheduled again.
    pub(crate) fn release(&mut self) -> u32 {
        std::mem::take(&mut self.owed)
    }

    fn drain(&mut self) -> Vec<T> {
        self.owed = 0;
        self.queue.drain(..).collect()
    }
}

enum Cargo {
    Up,
    Frames(Vec<Bytes>),
}

impl Cargo {
    fn bytes(&self) -> u64 {
        match self {
            Cargo::Up => 0,
            Cargo::Frames(frames) => frames.iter().map(|frame| frame.len() as u64).sum(),
        }
    }
}

/// What is to happen on the net; the world hands it back when its time has come.
#[derive(Debug)]
pub(crate) enum Wire {
    /// The next cargo of a session's direction is due.
    Due {
        from: Place,
        to: Place,
        session: u64,
    },
    /// Bytes of a frame are there, but not all.
    Coming {
        from: Place,
        to: Place,
        session: u64,
        bytes: u64,
    },
    /// Frames of a broken session, or copies, that still arrive.
    Late {
        from: Place,
        to: Place,
        frames: Vec<Bytes>,
    },
    /// A node notices that a session broke.
    Down { node: Place, peer: Place },
    /// Two nodes try to connect.
    Dial { low: Place, high: Place },
}

/// What a node gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Up {
        node: Place,
        peer: Place,
    },
    Down {
        node: Place,
        peer: Place,
    },
    Frames {
        from: Place,
        to: Place,
        frames: Vec<Bytes>,
    },
    Coming {
        from: Place,
        to: Place,
        bytes: u64,
    },
}

/// How often it is noticed that bytes come.
const NOTICED_EVERY: Micros = 100_000;

#[derive(Default)]
struct Pair {
    session: u64,
    connected: bool,
    /// Low to high, high to low.
    lanes: [Lane<Cargo>; 2],
    /// Whether the low and the high node were told that the session stands.
    told: [bool; 2],
    /// How many of them have yet to notice that the last session broke. Only then is there another one.
    unnoticed: u32,
    last: [Vec<Bytes>; 2],
}

/// Delays and habits of a run's network.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) delay_min: Micros,
    pub(crate) delay_max: Micros,
    /// Percent of lost frames that still come late.
    pub(crate) late_percent: u64,
    /// Percent of breaks after which the last frames come again.
    pub(crate) twice_percent: u64,
    /// While so many bytes wait in a direction, what comes is dropped, and the session stands.
    pub(crate) waiting_max: u64,
}

/// The network between nodes.
pub(crate) struct Net {
    random: Random,
    weather: Weather,
    pairs: BTreeMap<(Place, Place), Pair>,
    blocked: BTreeSet<(Place, Place)>,
    /// Directions whose delays are multiplied.
    slow: BTreeMap<(Place, Place), u64>,
    /// Bytes a second between two nodes.
    narrow: BTreeMap<(Place, Place), u64>,
    running: BTreeSet<Place>,
    sessions: u64,
    out: Vec<(Micros, Wire)>,
}

fn ordered(a: Place, b: Place) -> (Place, Place) {
    (a.min(b), a.max(b))
}

impl Net {
    /// `nodes` nodes, none of which runs.
    pub(crate) fn new(random: Random, weather: Weather, nodes: usize) -> Net {
        let mut pairs = BTreeMap::new();
        for low in 0..nodes {
            for high in low + 1..nodes {
                pairs.insert((low, high), Pair::default());
            }
        }
        Net {
            random,
            weather,
            pairs,
            blocked: BTreeSet::new(),
            slow: BTreeMap::new(),
            narrow: BTreeMap::new(),
            running: BTreeSet::new(),
            sessions: 0,
            out: Vec::new(),
        }
    }

    /// What to schedule: waits and what happens then.
    pub(crate) fn take_out(&mut self) -> Vec<(Micros, Wire)> {
        std::mem::take(&mut self.out)
    }

    fn delay(&mut self, from: Place, to: Place) -> Micros {
        let delay = self
            .random
            .between(self.weather.delay_min, self.weather.delay_max);
        delay * self.slow.get(&(from, to)).copied().unwrap_or(1)
    }

    /// A node's process runs: it dials the others.
    pub(crate) fn start(&mut self, node: Place) {
        self.running.insert(node);
        for (low, high) in self.pairs_of(node) {
            let wait = self.random.between(1_000, 20_000);
            self.out.push((wait, Wire::Dial { low, high }));
        }
    }

    /// A node's process is gone.
    pub(crate) fn stop(&mut self, node: Place) {
        self.running.remove(&node);
        for (low, high) in self.pairs_of(node) {
            self.break_session(low, high);
        }
    }

    fn pairs_of(&self, node: Place) -> Vec<(Place, Place)> {
        self.pairs
            .keys()
            .filter(|(a, b)| *a == node || *b == node)
            .copied()
            .collect()
    }

    /// Sends frames if a session stands; else they are lost.
    pub(crate) fn send(&mut self, from: Place, to: Place, frames: Vec<Bytes>) {
        let Some(pair) = self.pairs.get_mut(&ordered(from, to)) else {
            return;
        };
        if !pair.connected {
            return;
        }
        let lane = usize::from(from > to);
        let before: u64 = pair.lanes[lane].queue.iter().map(Cargo::bytes).sum();
        // Any frame gets through when little waits: a real node has room for the largest one.
        if before >= self.weather.waiting_max {
            return;
        }
        pair.last[lane] = frames.clone();
        let cargo = Cargo::Frames(frames);
        let bytes = cargo.bytes();
        pair.lanes[lane].push(cargo);
        let session = pair.session;
        let wait = self.delay(from, to);
        let Some(rate) = self.narrow.get(&ordered(from, to)).copied() else {
            return self.out.push((wait, Wire::Due { from, to, session }));
        };
        let begins = wait + before * 1_000_000 / rate;
        let takes = bytes * 1_000_000 / rate;
        let some = rate * NOTICED_EVERY / 1_000_000;
        for part in 1..=takes / NOTICED_EVERY {
            let coming = Wire::Coming {
                from,
                to,
                session,
                bytes: some,
            };
            self.out.push((begins + part * NOTICED_EVERY, coming));
        }
        self.out
            .push((begins + takes, Wire::Due { from, to, session }));
    }

    /// Its time has come: what a node gets, if anything.
    pub(crate) fn step(&mut self, wire: Wire) -> Option<Arrival> {
        match wire {
            Wire::Due { from, to, session } => self.due(from, to, session),
            Wire::Coming {
                from,
                to,
                session,
                bytes,
            } => {
                let free = !self.blocked.contains(&(from, to));
                let pair = self.pairs.get(&ordered(from, to))?;
                let stands = pair.session == session && pair.connected;
                (stands && free).then_some(Arrival::Coming { from, to, bytes })
            }
            Wire::Late { from, to, frames } => {
                let free = !self.blocked.contains(&(from, to));
                let reaches = self.running.contains(&to);
                (reaches && free).then_some(Arrival::Frames { from, to, frames })
            }
            Wire::Down { node, peer } => {
                let pair = self.pairs.get_mut(&ordered(node, peer))?;
                pair.unnoticed -= 1;
                let runs = self.running.contains(&node);
                runs.then_some(Arrival::Down { node, peer })
            }
            Wire::Dial { low, high } => {
                self.dial(low, high);
                None
            }
        }
    }

    fn due(&mut self, from: Place, to: Place, session: u64) -> Option<Arrival> {
        let held = self.blocked.contains(&(from, to));
        let pair = self.pairs.get_mut(&ordered(from, to))?;
        if pair.session != session || !pair.connected {
            return None;
        }
        Some(match pair.lanes[usize::from(from > to)].arrive(held)? {
            Cargo::Frames(frames) => Arrival::Frames { from, to, frames },
            Cargo::Up => {
                pair.told[usize::from(to > from)] = true;
                Arrival::Up {
                    node: to,
                    peer: from,
                }
            }
        })
    }

    fn dial(&mut self, low: Place, high: Place) {
        let free = !self.blocked.contains(&(low, high)) && !self.blocked.contains(&(high, low));
        let running = self.running.contains(&low) && self.running.contains(&high);
        let pair = self
            .pairs
            .get_mut(&(low, high))
            .expect("dialled pairs exist");
        if pair.connected {
            return;
        }
        if !free || !running || pair.unnoticed > 0 {
            // A node that starts dials by itself.
            if running {
                let wait = self.random.between(20_000, 200_000);
                self.out.push((wait, Wire::Dial { low, high }));
            }
            return;
        }
        self.sessions += 1;
        *pair = Pair {
            session: self.sessions,
            connected: true,
            ..Pair::default()
        };
        for (from, to) in [(low, high), (high, low)] {
            let pair = self.pairs.get_mut(&(low, high)).expect("just made");
            pair.lanes[usize::from(from > to)].push(Cargo::Up);
            let session = pair.session;
            let wait = self.delay(from, to);
            self.out.push((wait, Wire::Due { from, to, session }));
        }
    }

    /// Breaks the session of two nodes; they dial again.
    pub(crate) fn break_session(&mut self, a: Place, b: Place) {
        let (low, high) = ordered(a, b);
        let Some(pair) = self.pairs.get_mut(&(low, high)) else {
            return;
        };
        if !pair.connected {
            return;
        }
        let broken = std::mem::take(pair);
        pair.session = broken.session;
        let [to_high, to_low] = broken.lanes;
        for (from, to, mut lane) in [(low, high, to_high), (high, low, to_low)] {
            let lane_last = broken.last[usize::from(from > to)].clone();
            self.spill(from, to, lane.drain(), lane_last);
        }
        let mut latest = 0;
        for (node, peer, told) in [(low, high, broken.told[0]), (high, low, broken.told[1])] {
            let wait = self.random.between(0, 50_000);
            if told && self.running.contains(&node) {
                self.out.push((wait, Wire::Down { node, peer }));
                let pair = self.pairs.get_mut(&(low, high)).expect("it broke");
                pair.unnoticed += 1;
                latest = latest.max(wait);
            }
        }
        let wait = latest + self.random.between(10_000, 100_000);
        self.out.push((wait, Wire::Dial { low, high }));
    }

    fn lateness(&mut self) -> Micros {
        let longest = if self.random.percent(20) {
            2_000_000
        } else {
            300_000
        };
        self.random.between(100, longest)
    }

    /// What was on its way when a session broke: a first part arrives, the rest is lost or late.
    fn spill(&mut self, from: Place, to: Place, cargo: Vec<Cargo>, last: Vec<Bytes>) {
        let arrive = self.random.below(cargo.len() as u64 + 1) as usize;
        for (at, cargo) in cargo.into_iter().enumerate() {
            let Cargo::Frames(frames) = cargo else {
                continue;
            };
            let wait = if at < arrive {
                0
            } else if self.random.percent(self.weather.late_percent) {
                self.lateness()
            } else {
                continue;
            };
            self.out.push((wait, Wire::Late { from, to, frames }));
        }
        if !last.is_empty() && self.random.percent(self.weather.twice_percent) {
            let wait = self.lateness();
            self.out.push((
                wait,
                Wire::Late {
                    from,
                    to,
                    frames: last,
                },
            ));
        }
    }

    /// Holds what goes in one direction.
    pub(crate) fn block(&mut self, from: Place, to: Place) {
        self.blocked.insert((from, to));
    }

    /// Opens a direction: what was held goes on, or the session breaks.
    pub(crate) fn unblock(&mut self, from: Place, to: Place) {
        if !self.blocked.remove(&(from, to)) {
            return;
        }
        if self.random.percent(30) {
            self.break_session(from, to);
        }
        let Some(pair) = self.pairs.get_mut(&ordered(from, to)) else {
            return;
        };
        let session = pair.session;
        let owed = pair.lanes[usize::from(from > to)].release();
        let wait = self.delay(from, to);
        for _ in 0..owed {
            self.out.push((wait, Wire::Due { from, to, session }));
        }
    }

    /// True if nothing is blocked, slow or narrow.
    pub(crate) fn is_free(&self) -> bool {
        self.blocked.is_empty()
            && self.narrow.is_empty()
            && self.slow.values().all(|factor| *factor == 1)
    }

    /// Multiplies the delays of one direction; 1 is normal.
    pub(crate) fn slow(&mut self, from: Place, to: Place, factor: u64) {
        self.slow.insert((from, to), factor);
    }

    /// Lets only so many bytes a second through between two nodes, each way.
    pub(crate) fn narrow(&mut self, a: Place, b: Place, bytes_per_second: u64) {
        self.narrow.insert(ordered(a, b), bytes_per_second);
    }

    /// A line is as wide as ever: what waited goes on.
    pub(crate) fn widen(&mut self, a: Place, b: Place) {
        self.narrow.remove(&ordered(a, b));
        for (from, to) in [(a, b), (b, a)] {
            let Some(pair) = self.pairs.get(&ordered(a, b)) else {
                continue;
            };
            let (session, waiting) = (pair.session, pair.lanes[usize::from(from > to)].queue.len());
            let wait = self.delay(from, to);
            for _ in 0..waiting {
                self.out.push((wait, Wire::Due { from, to, session }));
            }
        }
    }

    /// Ends all partitions and slowness.
    pub(crate) fn heal(&mut self) {
        self.slow.clear();
        for (a, b) in self.narrow.keys().copied().collect::<Vec<_>>() {
            self.widen(a, b);
        }
        for (from, to) in self.blocked.clone() {
            self.unblock(from, to);
        }
    }
}
