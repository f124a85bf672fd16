//! The metadata's machine on this node: replays what group 0 commits, publishes images, decides
//! where this node leads group 0, and forwards where another one does.
//!
//! Decisions are made one at a time, on committed state: the next command waits until the facts
//! of the one before are applied. So nothing is speculative and nothing is rolled back.

mod forward;

use crate::Shard;
use crate::api::{Reply, ReplyTo, Settings};
use crate::operation::ColdRequest;
use base::{
    Batch, Decision, GroupId, Machine, Mono, NodeId, RaftIndex, Refusal, Term, WallMs, limits,
    record,
};
use bytes::Bytes;
use consensus::Body;
use forward::Asked;
use meta::{Command, Image, Meta};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Who asked.
enum Asker {
    /// A client of this node.
    Local(ReplyTo),
    /// Another node, under its ticket.
    Peer(NodeId, u64),
    /// This node itself.
    Nobody,
}

/// A command that waits for its turn, or for a controller.
struct Ask {
    command: Command,
    asker: Asker,
    deadline: Mono,
    /// When it is sent: whoever was asked before didn't lead, and may not have heard yet who does.
    after: Mono,
}

/// An answer that is given once its facts are applied here.
struct Answer {
    index: RaftIndex,
    /// The term in which this node proposed the facts: another entry may have taken their place.
    /// None for the answer of another node, which gave it when they were committed.
    term: Option<Term>,
    reply: meta::Reply,
    asker: Asker,
    deadline: Mono,
}

/// Commands that may wait at most.
const ASKS_MAX: usize = 10_000;

/// The machine, and what is under way on it.
pub(crate) struct Controller {
    meta: Meta,
    applied: RaftIndex,
    /// A job reads entries that left memory.
    reading: bool,
    /// It was told that all that was committed before this start is applied.
    is_current: bool,
    image: Arc<Image>,
    asks: VecDeque<Ask>,
    answers: VecDeque<Answer>,
    asked: BTreeMap<u64, Asked>,
    /// Starts anywhere, so that an answer to a call of an earlier life isn't taken for another's.
    next_ticket: u64,
    /// The leader of group 0 may have changed.
    pub(crate) led_changed: bool,
    /// When this node says again how it is reached.
    register_at: Mono,
}

impl Controller {
    pub(crate) fn new(settings: &Settings) -> Controller {
        let meta = Meta::new(settings.defaults.clone());
        Controller {
            image: meta.image(0),
            meta,
            applied: RaftIndex(0),
            reading: false,
            is_current: false,
            asks: VecDeque::new(),
            answers: VecDeque::new(),
            asked: BTreeMap::new(),
            next_ticket: settings.boot,
            led_changed: false,
            register_at: Mono(0),
        }
    }

    /// The metadata as bytes, and the entry that it is as of.
    pub(crate) fn snapshot(&self) -> (Bytes, RaftIndex) {
        (self.meta.snapshot(), self.applied)
    }

    /// What the cluster's nodes may write, as far as it is replayed here.
    pub(crate) fn level(&self) -> meta::Level {
        self.meta.level()
    }

    /// The producer id that is given next.
    pub(crate) fn next_producer(&self) -> base::ProducerId {
        self.meta.next_producer()
    }

    /// Everything up to here is in the metadata.
    pub(crate) fn applied(&self) -> RaftIndex {
        self.applied
    }

    /// The metadata is what these bytes say, as of an entry, unless it is newer already. False if
    /// they can't be read.
    pub(crate) fn restore(
        &mut self,
        defaults: meta::Defaults,
        bytes: &[u8],
        at: RaftIndex,
    ) -> bool {
        let Ok(meta) = Meta::restore(defaults, bytes) else {
            return false;
        };
        if at > self.applied {
            (self.meta, self.applied) = (meta, at);
        }
        true
    }

    fn waiting(&self) -> usize {
        self.asks.len() + self.asked.len() + self.answers.len()
    }

    /// When something waits in vain.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let asks = self.asks.iter().map(|a| a.deadline);
        let asked = self.asked.values().map(|a| a.deadline);
        let answers = self.answers.iter().map(|a| a.deadline);
        asks.chain(asked).chain(answers).min()
    }

    /// What was sent to a node that is lost may or may not have been done.
    pub(crate) fn forget_asked(&mut self, node: NodeId) {
        let lost: Vec<_> = self
            .asked
            .iter()
            .filter(|(_, a)| a.node == node)
            .map(|(t, _)| *t)
            .collect();
        for ticket in lost {
            let asked = self.asked.remove(&ticket).expect("looked at just now");
            asked.give_up();
        }
    }
}

impl Shard {
    /// The committed metadata as this node knows it.
    pub fn image(&self) -> Arc<Image> {
        self.controller.image.clone()
    }

    /// True if the image is of all that is known to be committed.
    pub(crate) fn knows_all_metadata(&self) -> bool {
        let committed = self.replicas[&GroupId::META].high.0;
        self.controller.applied == committed && self.controller.image.version == committed.0
    }

    pub(crate) fn ask_controller(&mut self, command: Command, deadline: Mono, to: ReplyTo) {
        if self.controller.waiting() >= ASKS_MAX {
            let busy = Refusal::Busy("too many commands wait for the controller".into());
            return to.sink.reply(to.ticket, Reply::Meta(Err(busy)));
        }
        self.controller.asks.push_back(Ask {
            command,
            asker: Asker::Local(to),
            deadline,
            after: self.now.mono,
        });
    }

    /// Does what can be done about commands: decides, forwards, gives up.
    pub(crate) fn run_controller(&mut self) {
        self.expire_asks();
        self.answer_applied();
        self.register();
        let leads = self.replicas[&GroupId::META].group.is_leader();
        while !self.controller.asks.is_empty() {
            let done = if leads {
                self.decide_next()
            } else {
                self.forward_next()
            };
            if !done {
                break;
            }
        }
    }

    fn expire_asks(&mut self) {
        let now = self.now.mono;
        let controller = &mut self.controller;
        let (late, asks): (VecDeque<_>, _) = std::mem::take(&mut controller.asks)
            .into_iter()
            .partition(|a| a.deadline <= now);
        controller.asks = asks;
        for ask in late {
            if let Asker::Local(to) = ask.asker {
                to.sink.reply(to.ticket, Reply::Meta(Err(Refusal::Timeout)));
            }
        }
        let late: Vec<_> = controller
            .asked
            .iter()
            .filter(|(_, a)| a.deadline <= now)
            .map(|(t, _)| *t)
            .collect();
        for ticket in late {
            let asked = controller.asked.remove(&ticket);
            asked.expect("looked at just now").give_up();
        }
    }

    /// This node tells the controller how clients and nodes reach it, until the image says so.
    fn register(&mut self) {
        let (node, info, now) = (self.settings.node, &self.settings.info, self.now.mono);
        if now < self.controller.register_at {
            return;
        }
        let image = &self.controller.image;
        let mut commands = Vec::new();
        if image.nodes.get(&node) != Some(info) {
            let info = info.clone();
            commands.push(Command::RegisterNode { node, info });
        }
        let known = image.homes.get(&node).map(|home| &**home);
        if let Some(home) = self
            .settings
            .home
            .as_ref()
            .filter(|home| known != Some(home))
        {
            let (home, joins) = (home.clone(), false);
            commands.push(Command::IntroduceNode { node, home, joins });
        }
        // Before it is registered nobody asks, and then it may have founded the cluster.
        if image.nodes.contains_key(&node) && image.levels.get(&node) != Some(&meta::LEVELS) {
            let levels = meta::LEVELS;
            commands.push(Command::DeclareLevels { node, levels });
        }
        if commands.is_empty() {
            return;
        }
        self.controller.register_at = now.after(limits::LEADER_SILENCE);
        let deadline = self.controller.register_at;
        for command in commands {
            self.tell_controller(command, deadline);
        }
    }

    /// Tells the controller something that nobody waits for here.
    pub(crate) fn tell_controller(&mut self, command: Command, deadline: Mono) {
        if self.controller.waiting() < ASKS_MAX {
            self.controller.asks.push_back(Ask {
                command,
                asker: Asker::Nobody,
                deadline,
                after: self.now.mono,
            });
        }
    }

    /// Why a node that votes on metadata isn't unregistered.
    fn keeps_its_vote(&self, node: base::NodeId) -> Refusal {
        let (level, needed) = (self.controller.level(), meta::VOTERS_CHANGE);
        let how = match level < needed {
            true => format!(
                "at level {level} of the cluster those who formed it do, whatever happens; raise it \
                 to {needed} or more first ('flotilla cluster finalize')"
            ),
            false => {
                format!("'flotilla cluster remove {node}' gives its place to another node first")
            }
        };
        Refusal::Policy(format!(
            "Broker {node} votes on the cluster's metadata: {how}"
        ))
    }

    /// Decides the first command, if the facts of the one before are applied. False if it can't.
    fn decide_next(&mut self) -> bool {
        let replica = &self.replicas[&GroupId::META];
        let current = replica.was_leader
            && replica.group.committed_in_term()
            && self.controller.applied == replica.group.last_index();
        if !current {
            return false;
        }
        // The vote of a node that is to be unregistered may be counted on for a moment more. Nobody else
        // has to wait for that.
        let settled = self.controllers_are_settled();
        let goes = |ask: &Ask| settled || !matches!(ask.command, Command::UnregisterNode { .. });
        let next = self.controller.asks.iter().position(goes);
        let Some(ask) = next.and_then(|at| self.controller.asks.remove(at)) else {
            return false;
        };
        let decision = match ask.command {
            Command::DescribeQuorum => Decision {
                records: Vec::new(),
                reply: meta::Reply::Quorum(self.quorum()),
            },
            Command::UnregisterNode { node, .. } if self.votes_on_metadata(node) => Decision {
                records: Vec::new(),
                reply: meta::Reply::Each(vec![Err(self.keeps_its_vote(node))]),
            },
            Command::UnregisterNode { node, generation } => {
                let silent = self.is_gone(node);
                self.controller.meta.unregister((node, generation), silent)
            }
            Command::GoOnAlone { groups, silent } => {
                let (groups, silent) = self.who_goes_on(groups, silent);
                self.controller.meta.go_on_alone(&groups, &silent)
            }
            command => self.controller.meta.handle(self.now, command),
        };
        let proposes = !decision.records.is_empty();
        let index = if !proposes {
            self.controller.applied
        } else {
            match self.append_records(GroupId::META, &decision.records) {
                Some(index) => index,
                None => {
                    self.answer_ask(ask.asker, RaftIndex(0), Err(Refusal::NoController));
                    return false;
                }
            }
        };
        let term = Some(self.replicas[&GroupId::META].group.term());
        self.controller.answers.push_back(Answer {
            index,
            term: term.filter(|_| proposes),
            reply: decision.reply,
            asker: ask.asker,
            deadline: ask.deadline,
        });
        self.answer_applied();
        true
    }

    /// How group 0 stands, as its leader sees it.
    fn quorum(&self) -> meta::Quorum {
        let replica = &self.replicas[&GroupId::META];
        let (now, node) = (self.now, self.settings.node);
        let wall = |at: Mono| {
            let ago = i64::try_from(now.mono.since(at).as_millis()).unwrap_or(i64::MAX);
            WallMs(now.wall.0.saturating_sub(ago))
        };
        // As long as a change is under way the ones before are needed.
        let configuration = replica.group.configuration();
        let electors = match configuration.is_joint() {
            true => &configuration.outgoing,
            false => &configuration.voters,
        };
        let progress = replica.group.progress().into_iter();
        let progress = progress.filter(|peer| electors.contains(&peer.member));
        let last = replica.group.last_index();
        let voters = progress.map(|peer| {
            let heard = match peer.member.node == node {
                true => Some(now.mono),
                false => self.peers.get(&peer.member.node).map(|p| p.heard),
            };
            let caught_up = match peer.matched >= last {
                true => heard,
                false => replica.caught_up_as_of(peer.member),
            };
            meta::QuorumMember {
                node: peer.member.node,
                matched: peer.matched,
                heard: heard.map(wall),
                caught_up: caught_up.map(wall),
            }
        });
        meta::Quorum {
            leader: node,
            term: replica.group.term(),
            committed: replica.high.0,
            voters: voters.collect(),
        }
    }

    /// Gives the answers whose facts are applied here, and word of those that were cut off.
    fn answer_applied(&mut self) {
        let (applied, now) = (self.controller.applied, self.now.mono);
        let answers = std::mem::take(&mut self.controller.answers);
        for answer in answers {
            if answer.index > applied && answer.deadline > now {
                self.controller.answers.push_back(answer);
                continue;
            }
            let at = self.replicas[&GroupId::META].log.term_of(answer.index);
            let reply = if answer.index > applied {
                Err(Refusal::Timeout)
            } else if answer.term.is_some_and(|term| at != Some(term)) {
                Err(Refusal::NoController)
            } else {
                Ok(answer.reply)
            };
            self.answer_ask(answer.asker, answer.index, reply);
        }
    }

    /// Replays what group 0 has committed, as far as it is in memory; the rest is read by a job.
    pub(crate) fn apply_metadata(&mut self) {
        let cut_short = loop {
            let replica = &self.replicas[&GroupId::META];
            let next = self.controller.applied.next();
            let unreadable = replica.suspect.is_some();
            let done = next > replica.high.0;
            if self.controller.reading || unreadable || done {
                break unreadable && !done;
            }
            match replica.group.body(next) {
                Some(Body::Batch(batch)) => self.replay(next, Some(&batch)),
                Some(Body::Internal(_)) => self.replay(next, None),
                None if replica.log.internal(next).is_some() => self.replay(next, None),
                None => {
                    self.controller.reading = true;
                    self.read_cold(GroupId::META, next, ColdRequest::Metadata);
                }
            }
        };
        // While older entries are read, or if what came after them can't be, the image would show what is
        // long gone: topics that were deleted would be led again.
        let old = self.controller.reading || cut_short;
        if !old && self.controller.applied.0 > self.controller.image.version {
            self.publish_image();
        }
    }

    /// Tells once that what was committed before this start is applied: up to the first entry of the term that is led now.
    pub(crate) fn tell_current(&mut self) {
        if self.controller.is_current {
            return;
        }
        let replica = &self.replicas[&GroupId::META];
        if replica.leader().is_some() && replica.group.committed_in_term() {
            self.controller.is_current = self.controller.applied >= replica.group.committed();
            self.effects.metadata_is_current = self.controller.is_current;
        }
    }

    fn replay(&mut self, index: RaftIndex, batch: Option<&Batch>) {
        if let Some(batch) = batch {
            let mut at = 0;
            for _ in 0..batch.header().records {
                let Ok(record) = record::read(batch.body(), &mut at) else {
                    break;
                };
                self.controller
                    .meta
                    .replay(record.value.unwrap_or_default());
            }
        }
        self.controller.applied = index;
    }

    pub(crate) fn on_metadata_read(&mut self, batches: Vec<(RaftIndex, Batch)>) {
        self.controller.reading = false;
        let committed = self.replicas[&GroupId::META].high.0;
        let before = self.controller.applied;
        for (index, batch) in batches.into_iter().take_while(|(i, _)| *i <= committed) {
            while self.controller.applied.next() < index {
                let skipped = self.controller.applied.next();
                self.replay(skipped, None);
            }
            if index == self.controller.applied.next() {
                self.replay(index, Some(&batch));
            }
        }
        // What can't be read isn't asked for again before the next beat.
        if self.controller.applied > before {
            self.apply_metadata();
        }
    }

    fn publish_image(&mut self) {
        let image = self.controller.meta.image(self.controller.applied.0);
        let old = std::mem::replace(&mut self.controller.image, image.clone());
        if !Arc::ptr_eq(&old.configs, &image.configs) {
            self.take_group_configs(&image);
            self.reconsider_compaction();
            self.reconsider_producers();
        }
        self.meet(&old, &image);
        self.reconcile(&old, &image);
        let next_group = self.controller.meta.next_group();
        self.retire_stored(&image, next_group);
        self.effects.image = Some(image);
        self.answer_applied();
    }
}
