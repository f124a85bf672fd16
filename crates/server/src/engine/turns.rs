//! The shard thread: takes what came, lets the shard make a turn of it, and carries out what
//! comes of that. All decisions are the shard's.

use super::late::Late;
use super::mailbox::{Letter, Mailbox};
use super::readers::Readers;
use super::storage::{Order, Orders};
use crate::peers::Peers;
use base::Mono;
use broker::Broker;
use shard::{Effects, Shard};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Events taken into one turn, so that a flood doesn't hold back what the first ones lead to.
pub const EVENTS_PER_TURN: usize = 4096;
/// How often the shard's figures are copied, for the metrics and for an orderly stop.
const STATS_EVERY: Duration = Duration::from_millis(200);

/// The thread's state.
pub struct Turns {
    /// The decider.
    pub shard: Shard,
    /// What comes.
    pub mailbox: Arc<Mailbox>,
    /// Where turns become durable.
    pub orders: Orders,
    /// The way to other nodes.
    pub peers: Peers,
    /// Where cold reads are done.
    pub readers: Readers,
    /// Where metadata and leaders are published.
    pub broker: Broker,
    /// The shard's figures, copied now and then.
    pub stats: Arc<Mutex<shard::Stats>>,
}

impl Turns {
    /// Works until the mailbox is closed and empty.
    pub fn run(mut self) {
        let mut letters: VecDeque<Letter> = VecDeque::new();
        let mut effects = Effects::default();
        let late = Late::default();
        let mut stats_at = Mono::default();
        loop {
            let wait = self.shard.deadline().map(|at| at.since(os::clock::mono()));
            if self
                .mailbox
                .take(&mut letters, EVENTS_PER_TURN, wait)
                .is_err()
            {
                break;
            }
            let now = os::clock::now();
            for letter in letters.drain(..) {
                self.shard.on(now, late.hold(letter.event));
            }
            self.shard.turn(now, &mut effects);
            self.carry_out(&mut effects, &late);
            if now.mono >= stats_at {
                stats_at = now.mono.after(STATS_EVERY);
                *self
                    .stats
                    .lock()
                    .expect("nobody panics while copying figures") = self.shard.stats();
            }
        }
        self.orders.close();
    }

    fn carry_out(&mut self, effects: &mut Effects, late: &Late) {
        // First what others read, so that whoever was answered in this turn finds it.
        if let Some(image) = effects.image.take() {
            self.broker.publish(image);
        }
        if !effects.leaders.is_empty() {
            self.broker.publish_leaders(&effects.leaders);
            effects.leaders.clear();
        }
        if let Some(heard) = effects.heard.take() {
            self.broker.publish_heard(heard);
        }
        late.release();
        if let Some(turn) = effects.turn.take() {
            self.orders.push(Order::Turn(turn));
        }
        for (to, frame) in effects.frames.drain(..) {
            self.peers.send(to, frame);
        }
        for job in effects.jobs.drain(..) {
            self.readers.job(job);
        }
        for note in effects.notes.drain(..) {
            tracing::info!("{note}");
        }
    }
}
