//! The turns: what came is given to the shard, and what comes of that is carried out. All
//! decisions are the shard's.

use super::late::Late;
use super::mailbox::{Letter, Worker};
use super::readers::Readers;
use super::storage::{Order, Orders};
use crate::logging::LINE;
use crate::peers::Peers;
use crate::stop;
use base::Mono;
use broker::Broker;
use shard::{Effects, Note, Shard};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the shard's figures are copied, for the metrics. It looks at every replica.
const STATS_EVERY: Duration = Duration::from_secs(1);
/// The same while the stop waits for leaderships to be handed over.
const STATS_LEAVING: Duration = Duration::from_millis(5);

/// Where what comes of turns goes.
pub struct Ways {
    /// Where turns become durable.
    pub orders: Orders,
    /// The way to other nodes.
    pub peers: Peers,
    /// Where cold reads are done.
    pub jobs: Readers,
    /// Where metadata and leaders are published.
    pub broker: Broker,
    /// The shard's figures, copied now and then.
    pub stats: Arc<Mutex<shard::Stats>>,
}

/// The shard and what it needs to make turns.
pub struct Turns {
    shard: Shard,
    ways: Ways,
    effects: Effects,
    late: Late,
    /// When the figures were copied last.
    copied: Option<Mono>,
}

impl Worker for Turns {
    fn turn(&mut self, letters: &mut VecDeque<Letter>) -> Option<Mono> {
        let now = os::clock::now();
        for letter in letters.drain(..) {
            self.shard.on(now, self.late.hold(letter.event));
        }
        self.shard.turn(now, &mut self.effects);
        self.carry_out();
        let pause = match self.shard.is_leaving() {
            true => STATS_LEAVING,
            false => STATS_EVERY,
        };
        if self.copied.is_none_or(|at| now.mono.since(at) >= pause) {
            self.copied = Some(now.mono);
            let mut stats = self
                .ways
                .stats
                .lock()
                .expect("nobody panics while copying figures");
            *stats = self.shard.stats();
        }
        self.shard.deadline()
    }
}

impl Turns {
    /// Turns of a shard.
    pub fn new(shard: Shard, ways: Ways) -> Turns {
        Turns {
            shard,
            ways,
            effects: Effects::default(),
            late: Late::default(),
            copied: None,
        }
    }

    /// Runs while the seat at the shard is held: nothing here may block. Turns go to storage in
    /// their order, and answers to their inboxes in theirs.
    fn carry_out(&mut self) {
        let (effects, ways) = (&mut self.effects, &self.ways);
        // First what others read, so that whoever was answered in this turn finds it.
        if let Some(image) = effects.image.take() {
            if !meta::LEVELS.contain(image.level) {
                stop::on_fault(&beyond(image.level));
            }
            ways.peers.meet(&image);
            ways.broker.publish(image);
        }
        if !effects.leaders.is_empty() {
            ways.broker.publish_leaders(&effects.leaders);
            effects.leaders.clear();
        }
        if !effects.behind.is_empty() {
            ways.broker
                .publish_behind(std::mem::take(&mut effects.behind));
        }
        if std::mem::take(&mut effects.metadata_is_current) {
            ways.broker.publish_current();
        }
        if let Some(heard) = effects.heard.take() {
            ways.broker.publish_heard(heard, os::clock::mono());
        }
        self.late.release();
        if let Some(turn) = effects.turn.take() {
            ways.orders.push(Order::Turn(turn));
        }
        for (to, frame) in effects.frames.drain(..) {
            ways.peers.send(to, frame);
        }
        for job in effects.jobs.drain(..) {
            ways.jobs.job(job);
        }
        for note in effects.notes.drain(..) {
            match note {
                Note::News(text) => tracing::info!("{text}"),
                Note::Alarm(text) => tracing::warn!(target: LINE, "{text}"),
            }
        }
    }
}

/// Facts follow that this binary would not understand.
fn beyond(level: meta::Level) -> String {
    let known = meta::LEVELS;
    format!(
        "the cluster was raised to level {level}, and this binary knows {} to {}; start a newer one \
         on this directory",
        known.min, known.max
    )
}
