//! One replica of one Raft group, on top of the `raft` crate.
//!
//! The driver proposes, steps messages and ticks; then it takes [`Ready`]s: appends what they
//! say to the log, sends `now` at once (the leader replicates before its own fsync) and `after`
//! once the turn that carries the entries is durable, and reports that with
//! [`Group::persisted`]. No group campaigns by itself: the crate's own timeouts are out of reach,
//! so its random numbers have no effect.

mod beat;
mod campaign;
mod members;
mod snapshot;
mod withhold;

pub use snapshot::Install;

use crate::configure::{id_of, member_of};
use crate::entry::{self, Body, NewEntry};
use crate::message::Message;
use crate::store::{ColdEntries, Store};
use base::{
    Batch, BatchHeader, Bug, Configuration, Member, NodeId, Offset, RaftIndex, Term, limits,
    planted,
};
use bytes::Bytes;
use raft::eraftpb::{self, HardState, MessageType};
use raft::{Config, ProgressState, RawNode, StateRole};
use std::collections::BTreeMap;

/// What a replica is in its group now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It follows, or waits for a leader.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
}

/// Why nothing was proposed: this replica doesn't lead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProposeError;

/// A leader's message that can't be, as long as every replica keeps what it acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contradiction {
    /// The leader counts on an entry that this replica acknowledged, and which isn't here.
    Lost {
        /// What the leader takes to be here.
        acknowledged: RaftIndex,
        /// The last entry here.
        last: RaftIndex,
    },
    /// The leader has another entry where one is committed here: what was committed is lost there.
    Replaced {
        /// Where.
        index: RaftIndex,
    },
}

/// What a group starts with: nothing, or what recovery found.
#[derive(Debug, Default)]
pub struct Restored {
    /// Current term.
    pub term: Term,
    /// Voted for in this term.
    pub vote: Option<NodeId>,
    /// Known to be committed.
    pub commit: RaftIndex,
    /// The configuration that holds as of `commit`.
    pub configuration: Configuration,
    /// The entry that said so; what is at or before it changes the configuration no more.
    pub configured: RaftIndex,
    /// The first entry of the log; 0 means 1.
    pub first: RaftIndex,
    /// Where each term of the log begins, the one of the entry before the first among them.
    pub term_starts: Vec<(RaftIndex, Term)>,
    /// Entries after `commit`, in order. Their batches are on disk only.
    pub tail: Vec<RestoredEntry>,
}

/// An entry that recovery found: a batch is known by its header.
#[derive(Debug, Clone)]
pub struct RestoredEntry {
    /// Its place.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// The header of its batch, or the data of an internal entry.
    pub body: Result<BatchHeader, Bytes>,
}

/// What came of events, to be carried out in this order: cut and append to the log, state; send
/// `now`; and, once that is durable, send `after` and report it.
#[derive(Debug, Default)]
pub struct Ready {
    /// To be reported as persisted.
    pub number: u64,
    /// Before all else: replace the log.
    pub install: Option<Install>,
    /// Cut the log from here first.
    pub truncate_from: Option<RaftIndex>,
    /// Then append these.
    pub entries: Vec<NewEntry>,
    /// New term or vote; the commit goes along.
    pub state: Option<(Term, Option<NodeId>, RaftIndex)>,
    /// True if it mustn't be answered before it is durable.
    pub must_sync: bool,
    /// To be sent at once.
    pub now: Vec<Message>,
    /// To be sent once durable.
    pub after: Vec<Message>,
    /// The last round that a quorum answered, see [`Group::confirm`].
    pub confirmed: Option<u64>,
    /// Another configuration holds.
    pub reconfigured: bool,
}

/// Where a leader sees one of its replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// The replica.
    pub member: Member,
    /// It has everything up to here, durably.
    pub matched: RaftIndex,
    /// It knows that everything up to here is committed.
    pub committed: RaftIndex,
    /// A snapshot is on its way to it; nothing else is sent until it answers, or the snapshot is
    /// reported as failed.
    pub snapshot: bool,
}

/// One replica of one group.
pub struct Group {
    me: Member,
    raw: RawNode<Store>,
    /// Bodies of entries that the crate holds and hasn't handed out yet.
    stash: BTreeMap<(RaftIndex, Term), Body>,
    /// The ready with a snapshot that isn't durable yet, and the snapshot's entry.
    installing: Option<(u64, RaftIndex)>,
    /// The ready that records this replica's term, until that is durable.
    recording: Option<u64>,
    /// Where the log begins.
    first: RaftIndex,
}

impl Group {
    /// The replica of a group that is this member of it, or will be.
    pub fn new(me: Member, restored: Restored) -> Group {
        let config = Config {
            id: id_of(me),
            // Ticks are ours: see `shard::liveness`. Two of them end a voter's loyalty.
            election_tick: 2,
            heartbeat_tick: 1,
            min_election_tick: 1000,
            max_election_tick: 1001,
            applied: restored.commit.0,
            // The crate sees descriptors; payload is bounded in `Store::entries`.
            max_size_per_msg: u64::MAX,
            max_inflight_msgs: limits::APPEND_MESSAGES_IN_FLIGHT,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..Config::default()
        };
        let hard = HardState {
            term: u64::from(restored.term.0),
            vote: members::voted_for(restored.vote, &restored.configuration),
            commit: restored.commit.0,
            ..HardState::default()
        };
        let configuration = (restored.configuration, restored.configured);
        let terms = restored.term_starts;
        let first = restored.first.max(RaftIndex(1));
        let mut store = Store::new(hard, configuration, terms, first, restored.commit);
        for found in restored.tail {
            store.restore(found);
        }
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, store, &logger).expect("the configuration is valid");
        Group {
            me,
            raw,
            stash: BTreeMap::new(),
            installing: None,
            recording: None,
            first,
        }
    }

    /// Appends a stamped batch, if this replica leads. Returns its index.
    pub fn propose_batch(&mut self, batch: Batch) -> Result<RaftIndex, ProposeError> {
        self.propose(Body::Batch(batch))
    }

    /// Appends an internal entry, if this replica leads.
    pub fn propose_internal(&mut self, data: Bytes) -> Result<RaftIndex, ProposeError> {
        self.propose(Body::Internal(data))
    }

    fn propose(&mut self, body: Body) -> Result<RaftIndex, ProposeError> {
        if !self.may_propose() {
            return Err(ProposeError);
        }
        let index = self.last_index().next();
        let descriptor = entry::describe(&body);
        self.stash.insert((index, self.term()), body);
        if self.raw.propose(Vec::new(), descriptor.to_vec()).is_err() {
            self.stash.remove(&(index, self.term()));
            return Err(ProposeError);
        }
        Ok(index)
    }

    /// Takes a message of another replica. One that makes no sense now is dropped, as the
    /// protocol allows; so is one that shows a loss, for the crate takes it for a broken invariant
    /// and would end the process.
    pub fn step(&mut self, mut message: Message) -> Result<(), Contradiction> {
        if let Some(contradiction) = self.contradiction(&message.raft) {
            return Err(contradiction);
        }
        if message.raft.get_msg_type() == MessageType::MsgAppend {
            for (entry, body) in message
                .raft
                .entries
                .iter()
                .zip(std::mem::take(&mut message.bodies))
            {
                self.stash
                    .insert((RaftIndex(entry.index), Term(entry.term as u32)), body);
            }
            if planted(Bug::SkipLogMatching) {
                let at = message.raft.index.min(self.last_index().0);
                let term = self.raw.raft.raft_log.term(at).unwrap_or(0);
                if at == message.raft.index {
                    message.forget_what_comes_before(at, term);
                }
            }
        }
        let asked_to_lead = message.raft.get_msg_type() == MessageType::MsgTimeoutNow;
        if self.is_stale_rejection(&message.raft) || (asked_to_lead && self.installing.is_some()) {
            return Ok(());
        }
        let _ = self.raw.step(message.raft);
        Ok(())
    }

    /// What the leader of a term not yet over says that can't be.
    fn contradiction(&self, message: &eraftpb::Message) -> Option<Contradiction> {
        let log = &self.raw.raft.raft_log;
        if message.term < self.raw.raft.term {
            return None;
        }
        match message.get_msg_type() {
            // Never above what this replica acknowledged to this leader, once it was durable.
            MessageType::MsgHeartbeat if message.commit > log.last_index() => {
                Some(Contradiction::Lost {
                    acknowledged: RaftIndex(message.commit),
                    last: self.last_index(),
                })
            }
            MessageType::MsgSnapshot => self.replaced_by(message.get_snapshot()),
            MessageType::MsgAppend => {
                let before = (message.index, message.log_term);
                let entries = message
                    .entries
                    .iter()
                    .map(|entry| (entry.index, entry.term));
                // Term 0 stands for an entry that isn't known any more, or not yet.
                let replaced = |(index, term): &(u64, u64)| {
                    let here = log.term(*index).unwrap_or(0);
                    *index <= log.committed && here != 0 && here != *term
                };
                let (index, _) = std::iter::once(before).chain(entries).find(replaced)?;
                let index = RaftIndex(index);
                Some(Contradiction::Replaced { index })
            }
            _ => None,
        }
    }

    /// True for a follower's old refusal of an entry that it has by now: believing it, the leader
    /// would look for the place where their logs part among entries that may be gone.
    fn is_stale_rejection(&self, message: &eraftpb::Message) -> bool {
        let refuses = message.get_msg_type() == MessageType::MsgAppendResponse && message.reject;
        let progress = self.raw.raft.prs().get(message.from);
        refuses
            && self.is_leader()
            && message.term == self.raw.raft.term
            && progress.is_some_and(|progress| message.index <= progress.matched)
    }

    /// Entries before `first` are gone from the log: whoever needs them gets a snapshot. The crate
    /// learns of it once it has applied them, for it still looks at what it hasn't.
    pub fn begin_at(&mut self, first: RaftIndex) {
        self.first = self.first.max(first);
        let applied = RaftIndex(self.raw.raft.raft_log.applied);
        let first = self.first.min(applied.next());
        self.raw.mut_store().begin_at(first);
    }

    /// Where the log begins, as the driver or a snapshot said last.
    pub fn begins_at(&self) -> RaftIndex {
        self.first.max(self.raw.store().begins_at())
    }

    fn applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
        self.begin_at(self.first);
    }

    /// Gives up the leadership, or the hope of it, to nobody in particular.
    pub fn resign(&mut self) {
        let term = self.raw.raft.term;
        self.raw.raft.become_follower(term, raft::INVALID_ID);
    }

    /// What came of events since the last call, or nothing. The window holds its entries when
    /// this returns.
    pub fn ready(&mut self) -> Option<Ready> {
        if !self.raw.has_ready() {
            return None;
        }
        let mut raw_ready = self.raw.ready();
        let mut ready = Ready {
            number: raw_ready.number(),
            must_sync: raw_ready.must_sync(),
            ..Ready::default()
        };
        if !raw_ready.snapshot().is_empty() {
            ready.install = Some(self.take_snapshot(ready.number, raw_ready.snapshot()));
        }
        let entries = raw_ready.take_entries();
        if let Some(first) = entries.first() {
            let first = RaftIndex(first.index);
            let store = self.raw.mut_store();
            if first <= store.last() {
                store.truncate(first);
                ready.truncate_from = Some(first);
            }
        }
        for entry in entries {
            let new = self.take_body(entry);
            self.raw.mut_store().push(new.clone());
            ready.entries.push(new);
        }
        self.stash.clear();
        if let Some(hard) = raw_ready.hs().cloned() {
            let vote = (hard.vote != 0).then_some(member_of(hard.vote).node);
            ready.state = Some((Term(hard.term as u32), vote, RaftIndex(hard.commit)));
            if hard.term != self.raw.store().hard_term() {
                self.recording = Some(ready.number);
            }
            self.raw.mut_store().set_hard(hard);
        }
        let mut leaders = raw_ready.take_messages();
        let held_back = self.hold_back(&mut leaders);
        let leaders = self.with_bodies(leaders);
        // Who is elected by others had recorded its term before they gave their votes. The only elector leads
        // at once: what it sends before might be forgotten here, and be something else in the same term.
        match self.recording.is_some() {
            true => ready.after = leaders,
            false => ready.now = leaders,
        }
        let rest = self.with_bodies(raw_ready.take_persisted_messages());
        // Answers to heartbeats and pre-votes promise nothing that must be durable: on a slow disk
        // they would otherwise come too late to keep or elect a leader.
        let hasty = ready.install.is_some() && planted(Bug::AckBeforeInstalled);
        let (now, after) = rest
            .into_iter()
            .partition(|m: &Message| m.promises_nothing() || hasty);
        ready.now.extend::<Vec<_>>(now);
        ready.after.extend::<Vec<_>>(after);
        let rounds = raw_ready.take_read_states().into_iter();
        ready.confirmed = rounds
            .filter_map(|state| round_of(&state.request_ctx))
            .max();
        let committed = raw_ready.take_committed_entries();
        self.raw.advance_append_async(raw_ready);
        self.was_held_back(held_back);
        for entry in committed.iter().filter(|e| entry::is_configuration(e)) {
            ready.reconfigured |= self.reconfigure(entry);
        }
        if let Some(applied) = committed.last() {
            self.applied(applied.index);
        }
        Some(ready)
    }

    fn take_body(&mut self, entry: eraftpb::Entry) -> NewEntry {
        let (index, term) = (RaftIndex(entry.index), Term(entry.term as u32));
        let body = self.stash.remove(&(index, term)).unwrap_or_else(|| {
            assert!(
                !entry::is_batch(&entry),
                "a batch's bytes arrive with its entry"
            );
            Body::Internal(entry::internal_data(&entry))
        });
        NewEntry { index, term, body }
    }

    /// Attaches the bodies of entries. An append that no longer stands is left out, as if lost:
    /// made before this replica was deposed in the same turn, so that its entries are others now;
    /// or glued by the crate to an empty append of another place.
    fn with_bodies(&self, messages: Vec<eraftpb::Message>) -> Vec<Message> {
        let store = self.raw.store();
        let leads = self.is_leader();
        let body = |entry: &eraftpb::Entry| {
            if entry::is_batch(entry) {
                let batch = store.batch(RaftIndex(entry.index));
                Body::Batch(batch.expect("entries that are sent are in memory").clone())
            } else {
                Body::Internal(entry::internal_data(entry))
            }
        };
        let stands = |raft: &eraftpb::Message| {
            let first = raft.entries.first();
            first.is_none_or(|entry| leads && entry.index == raft.index + 1)
        };
        let mut all = Vec::with_capacity(messages.len());
        for raft in messages.into_iter().filter(stands) {
            let bodies = raft.entries.iter().map(body).collect();
            Message { raft, bodies }.in_pieces(limits::APPEND_PIECE_BYTES, &mut all);
        }
        all
    }

    /// Everything up to this [`Ready`] is durable.
    pub fn persisted(&mut self, number: u64) {
        self.raw.on_persist_ready(number);
        self.recording.take_if(|at| *at <= number);
        if let Some((_, index)) = self.installing.take_if(|(at, _)| *at <= number) {
            self.applied(index.0);
        }
    }

    /// Requests for entries that left the window, to be answered with [`Group::fetched`].
    pub fn take_cold(&mut self) -> Vec<ColdEntries> {
        self.raw.mut_store().take_wanted()
    }

    /// Entries that a request asked for, or none if they couldn't be read: then the follower
    /// stays behind until it is asked for again.
    pub fn fetched(&mut self, request: ColdEntries, entries: Vec<NewEntry>) {
        self.raw.mut_store().answered(&request);
        self.raw.mut_store().set_fetched(entries);
        if self.raw.store().has_fetched() {
            self.raw.on_entries_fetched(request.context);
        }
    }

    /// A request that can't be carried out now: the follower's next answer asks again.
    pub fn decline_cold(&mut self, request: &ColdEntries) {
        self.raw.mut_store().answered(request);
    }

    /// Forgets what was fetched; once its messages are made.
    pub fn drop_fetched(&mut self) {
        self.raw.mut_store().drop_fetched();
    }

    /// Drops entries up to and including `upto` from memory; what isn't applied stays.
    pub fn evict(&mut self, upto: RaftIndex) -> u64 {
        let applied = RaftIndex(self.raw.raft.raft_log.applied);
        self.raw.mut_store().evict(upto.min(applied))
    }

    /// What an entry in memory carries.
    pub fn body(&self, index: RaftIndex) -> Option<Body> {
        self.raw.store().body(index)
    }

    /// The first batch in memory.
    pub fn first_batch(&self) -> Option<&Batch> {
        self.raw.store().first_batch()
    }

    /// Batches in memory, in order, from the one that holds `offset`.
    pub fn batches_from(&self, offset: Offset) -> impl Iterator<Item = &Batch> {
        self.raw.store().batches_from(offset)
    }

    /// The first index in memory; one past the last if there is none.
    pub fn window_start(&self) -> RaftIndex {
        self.raw.store().window_start()
    }

    /// Its role.
    pub fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    /// True if it leads.
    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Asks all voters whether this replica still leads. Once a quorum has said so a [`Ready`] tells
    /// this round, and all before it: when it was asked nobody else led. Rounds must not repeat
    /// within a term. A round whose messages are lost is never told.
    pub fn confirm(&mut self, round: u64) {
        if self.is_leader() && self.committed_in_term() {
            self.raw.read_index(round.to_be_bytes().to_vec());
        }
    }

    /// True if it leads and isn't handing its leadership over.
    pub fn may_propose(&self) -> bool {
        self.is_leader() && self.raw.raft.lead_transferee.is_none()
    }

    /// Its term.
    pub fn term(&self) -> Term {
        Term(self.raw.raft.term as u32)
    }

    /// The leader that it knows.
    pub fn leader(&self) -> Option<NodeId> {
        let id = self.raw.raft.leader_id;
        (id != 0).then_some(member_of(id).node)
    }

    /// Whom it voted for in its term.
    pub fn vote(&self) -> Option<NodeId> {
        let vote = self.raw.raft.vote;
        (vote != 0).then_some(member_of(vote).node)
    }

    /// Everything up to here is committed.
    pub fn committed(&self) -> RaftIndex {
        RaftIndex(self.raw.raft.raft_log.committed)
    }

    /// True once an entry of its own term is committed: then its commit is the group's.
    pub fn committed_in_term(&self) -> bool {
        self.raw.raft.commit_to_current_term()
    }

    /// The last entry, durable or not.
    pub fn last_index(&self) -> RaftIndex {
        RaftIndex(self.raw.raft.raft_log.last_index())
    }

    /// The last entry that is durable here.
    pub fn persisted_index(&self) -> RaftIndex {
        RaftIndex(self.raw.raft.raft_log.persisted)
    }

    /// Where the leader sees all replicas, itself and learners included, by node.
    pub fn progress(&self) -> Vec<PeerProgress> {
        let mut all: Vec<_> = self
            .raw
            .raft
            .prs()
            .iter()
            .map(|(id, p)| PeerProgress {
                member: member_of(*id),
                matched: RaftIndex(p.matched),
                committed: RaftIndex(p.committed_index),
                snapshot: p.state == ProgressState::Snapshot,
            })
            .collect();
        all.sort_by_key(|p| p.member);
        all
    }
}

/// The round that a confirmation was asked for.
fn round_of(context: &[u8]) -> Option<u64> {
    context.try_into().ok().map(u64::from_be_bytes)
}
