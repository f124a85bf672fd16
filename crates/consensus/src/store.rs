//! The log as the `raft` crate sees it: hard state, where terms begin, and a window of recent
//! entries with their batches. What is older than the window is cold: it must be read from
//! segments, which takes a job, so the crate is told to ask again.

use crate::Message;
use crate::configure::{self, member_of};
use crate::entry::{self, Body, NewEntry};
use crate::group::RestoredEntry;
use base::{Batch, Configuration, Member, Offset, RaftIndex, Term, limits};
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, StorageError};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

/// A request for entries that left the window.
#[derive(Debug)]
pub struct ColdEntries {
    /// The first that is needed.
    pub from: RaftIndex,
    /// The replica that is to be sent them.
    pub to: Member,
    pub(crate) context: GetEntriesContext,
}

/// An entry of the window.
#[derive(Clone, Debug)]
struct Held {
    entry: Entry,
    batch: Option<Batch>,
    /// The offset after it, so that readers find their place by halving; an internal entry takes
    /// that of the entry before it.
    end_offset: Offset,
}

/// The crate's view of one group's log.
pub(crate) struct Store {
    hard: HardState,
    /// The configuration that holds, and the entry that said so.
    configuration: Configuration,
    configured: RaftIndex,
    /// Entries that change it once they are committed.
    pending: BTreeSet<RaftIndex>,
    /// Where each term begins, oldest first.
    terms: Vec<(RaftIndex, Term)>,
    /// The first entry of the log. What came before is gone: a snapshot stands for it.
    first: RaftIndex,
    last: RaftIndex,
    /// Entries from `last - window.len() + 1` to `last`.
    window: VecDeque<Held>,
    /// Entries of the window before this one were restored without their batches.
    sendable: RaftIndex,
    /// Cold entries that a job brought back, contiguous.
    fetched: VecDeque<Held>,
    /// Requests that met a cold entry. The trait takes `&self`, hence the cell.
    wanted: RefCell<Vec<ColdEntries>>,
    /// Where reads are under way: the crate asks again for each proposal, one read will do.
    asked: RefCell<BTreeSet<(u64, Member)>>,
    /// Replicas that are sent no batches: their disks are full.
    withheld: BTreeSet<Member>,
}

impl Store {
    pub(crate) fn new(
        hard: HardState,
        (configuration, configured): (Configuration, RaftIndex),
        terms: Vec<(RaftIndex, Term)>,
        first: RaftIndex,
        last: RaftIndex,
    ) -> Store {
        Store {
            hard,
            configuration,
            configured,
            pending: BTreeSet::new(),
            terms,
            first,
            last,
            window: VecDeque::new(),
            sendable: RaftIndex(0),
            fetched: VecDeque::new(),
            wanted: RefCell::default(),
            asked: RefCell::default(),
            withheld: BTreeSet::new(),
        }
    }

    /// Puts an entry that is in the log already into the window, without its batch.
    pub(crate) fn restore(&mut self, found: RestoredEntry) {
        let descriptor = match &found.body {
            Ok(header) => entry::describe_header(header),
            Err(data) => entry::describe(&Body::Internal(data.clone())),
        };
        let end_offset = found
            .body
            .as_ref()
            .map_or(NO_OFFSET, |header| header.next_offset());
        let held = Held {
            entry: entry::entry_of(found.index, found.term, descriptor),
            batch: None,
            end_offset,
        };
        self.hold(found.index, found.term, held);
        self.sendable = self.last.next();
    }

    /// The configuration that holds, and the entry that said so.
    pub(crate) fn configuration(&self) -> (&Configuration, RaftIndex) {
        (&self.configuration, self.configured)
    }

    /// Another configuration holds, by the entry at an index.
    pub(crate) fn configure(&mut self, configuration: Configuration, by: RaftIndex) {
        self.configuration = configuration;
        self.configured = by;
        self.pending = self.pending.split_off(&by.next());
    }

    /// True if an entry of the log will change the configuration once it is committed.
    pub(crate) fn configuration_is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn last(&self) -> RaftIndex {
        self.last
    }

    /// The term of the last [`Store::set_hard`].
    pub(crate) fn hard_term(&self) -> u64 {
        self.hard.term
    }

    pub(crate) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    /// The first index in the window; `last + 1` if it is empty.
    pub(crate) fn window_start(&self) -> RaftIndex {
        RaftIndex(self.last.0 + 1 - self.window.len() as u64)
    }

    /// Cuts everything from `from` on.
    pub(crate) fn truncate(&mut self, from: RaftIndex) {
        assert!(
            from >= self.window_start(),
            "only entries that may still change are cut"
        );
        self.window
            .truncate((from.0 - self.window_start().0) as usize);
        self.last = from.prev();
        self.pending.split_off(&from);
        self.sendable = self.sendable.min(from);
        while self.terms.last().is_some_and(|(start, _)| *start >= from) {
            self.terms.pop();
        }
        self.fetched.clear();
    }

    /// The first entry of the log, as the crate knows it.
    pub(crate) fn begins_at(&self) -> RaftIndex {
        self.first
    }

    /// The log begins at `first` now. The term of the entry before it stays known, for followers
    /// are asked about that one.
    pub(crate) fn begin_at(&mut self, first: RaftIndex) {
        if first <= self.first {
            return;
        }
        self.first = first;
        let runs = self.terms.partition_point(|(start, _)| *start < first);
        self.terms.drain(..runs.saturating_sub(1));
    }

    /// The log is replaced by the empty one that begins after this entry.
    pub(crate) fn install(&mut self, last: RaftIndex, term: Term) {
        self.pending.clear();
        self.terms = vec![(last, term)];
        self.first = last.next();
        self.last = last;
        self.window.clear();
        self.sendable = RaftIndex(0);
        self.fetched.clear();
    }

    /// Appends the next entry.
    pub(crate) fn push(&mut self, new: NewEntry) {
        let (index, term) = (new.index, new.term);
        self.hold(index, term, held(new));
    }

    fn hold(&mut self, index: RaftIndex, term: Term, mut held: Held) {
        assert_eq!(
            index,
            self.last.next(),
            "entries are appended without a gap"
        );
        // The epoch cache of the log may know the term already, when the log is restored.
        if self.terms.last().is_none_or(|(_, last)| *last < term) {
            self.terms.push((index, term));
        }
        if index > self.configured && entry::is_configuration(&held.entry) {
            self.pending.insert(index);
        }
        let before = self.window.back().map_or(NO_OFFSET, |h| h.end_offset);
        held.end_offset = held.end_offset.max(before);
        self.window.push_back(held);
        self.last = index;
    }

    /// Drops the window up to and including `upto`. Returns the bytes that were freed.
    pub(crate) fn evict(&mut self, upto: RaftIndex) -> u64 {
        let mut freed = 0;
        while self.window_start() <= upto {
            let Some(held) = self.window.pop_front() else {
                break;
            };
            freed += held.batch.map_or(0, |b| b.len() as u64);
        }
        freed
    }

    /// What an entry of the window carries.
    pub(crate) fn body(&self, index: RaftIndex) -> Option<Body> {
        let at = index.0.checked_sub(self.window_start().0)? as usize;
        self.window.get(at).and_then(body_of)
    }

    /// The batch of an entry that may be sent: from the window or from what was fetched.
    pub(crate) fn batch(&self, index: RaftIndex) -> Option<&Batch> {
        if index >= self.window_start().max(self.sendable) {
            let at = (index.0 - self.window_start().0) as usize;
            return self.window.get(at)?.batch.as_ref();
        }
        let first = self.fetched.front()?.entry.index;
        self.fetched
            .get(index.0.checked_sub(first)? as usize)?
            .batch
            .as_ref()
    }

    /// The first batch of the window.
    pub(crate) fn first_batch(&self) -> Option<&Batch> {
        self.window.iter().find_map(|h| h.batch.as_ref())
    }

    /// Batches of the window in order, from the one that holds `offset`.
    pub(crate) fn batches_from(&self, offset: Offset) -> impl Iterator<Item = &Batch> {
        let at = self.window.partition_point(|h| h.end_offset <= offset);
        self.window.range(at..).filter_map(|h| h.batch.as_ref())
    }

    /// Replicas that are sent no batches from now on. True if they are others than before.
    pub(crate) fn withhold_from(&mut self, members: BTreeSet<Member>) -> bool {
        std::mem::replace(&mut self.withheld, members) != self.withheld
    }

    pub(crate) fn withheld(&self) -> &BTreeSet<Member> {
        &self.withheld
    }

    /// True if these entries are for a replica that is sent no batches.
    fn is_withheld(&self, context: &GetEntriesContext) -> bool {
        let is_sent = !self.withheld.is_empty() && context.can_async();
        is_sent && asker(context).is_some_and(|to| self.withheld.contains(&to))
    }

    /// What may be sent of these entries to a replica that is sent no batches: those before the first one.
    fn without_batches(&self, low: u64, high: u64) -> raft::Result<Vec<Entry>> {
        let window = self.window_start().0;
        let at = low.checked_sub(window).unwrap_or(u64::MAX) as usize;
        let internal = |held: &&Held| !entry::is_batch(&held.entry);
        let run = self.window.iter().skip(at).take_while(internal);
        let run: Vec<_> = run.take((high - low) as usize).collect();
        match run.is_empty() && low < high {
            true => Err(raft::Error::Store(StorageError::LogTemporarilyUnavailable)),
            false => Ok(run.into_iter().map(|held| held.entry.clone()).collect()),
        }
    }

    pub(crate) fn take_wanted(&mut self) -> Vec<ColdEntries> {
        std::mem::take(self.wanted.get_mut())
    }

    /// A request was answered, or is given up.
    pub(crate) fn answered(&mut self, request: &ColdEntries) {
        self.asked.get_mut().remove(&(request.from.0, request.to));
    }

    pub(crate) fn set_fetched(&mut self, entries: Vec<NewEntry>) {
        self.fetched = entries.into_iter().map(held).collect();
    }

    pub(crate) fn has_fetched(&self) -> bool {
        !self.fetched.is_empty()
    }

    pub(crate) fn drop_fetched(&mut self) {
        self.fetched = VecDeque::new();
    }

    /// Entries from `low` up to `high` (exclusive), cut by payload, from a run that starts at
    /// `start`.
    fn slice(run: &VecDeque<Held>, start: u64, low: u64, high: u64, most: u64) -> Vec<Entry> {
        let mut bytes = 0;
        let mut out = Vec::new();
        for held in run.range((low - start) as usize..(high - start) as usize) {
            bytes += entry::payload_bytes(&held.entry);
            if !out.is_empty() && bytes > most {
                break;
            }
            out.push(held.entry.clone());
        }
        out
    }
}

/// Before all offsets.
const NO_OFFSET: Offset = Offset(i64::MIN);

fn held(new: NewEntry) -> Held {
    let entry = entry::entry_of(new.index, new.term, entry::describe(&new.body));
    let (batch, end_offset) = match new.body {
        Body::Batch(batch) => {
            let end_offset = batch.header().next_offset();
            (Some(batch), end_offset)
        }
        Body::Internal(_) => (None, NO_OFFSET),
    };
    Held {
        entry,
        batch,
        end_offset,
    }
}

/// None for a batch that recovery left on disk.
fn body_of(held: &Held) -> Option<Body> {
    match &held.batch {
        Some(batch) => Some(Body::Batch(batch.clone())),
        None if entry::is_batch(&held.entry) => None,
        None => Some(Body::Internal(entry::internal_data(&held.entry))),
    }
}

impl raft::Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let conf = configure::state_of(&self.configuration);
        Ok(RaftState::new(self.hard.clone(), conf))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        _descriptor_bytes_max: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        assert!(
            high <= self.last.0 + 1,
            "entries past the end were asked for"
        );
        if low < self.first.0 {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if self.is_withheld(&context) {
            return self.without_batches(low, high);
        }
        let window = self.window_start().0;
        let warm = if context.can_async() {
            window.max(self.sendable.0)
        } else {
            window
        };
        // Only messages to followers are cut short; what the crate reads for itself it needs whole.
        let most = if context.can_async() {
            limits::APPEND_MESSAGE_BYTES
        } else {
            u64::MAX
        };
        if low >= warm {
            return Ok(Store::slice(&self.window, window, low, high, most));
        }
        if let Some(first) = self.fetched.front().map(|h| h.entry.index) {
            let end = first + self.fetched.len() as u64;
            if low >= first && low < end {
                return Ok(Store::slice(&self.fetched, first, low, high.min(end), most));
            }
        }
        assert!(
            context.can_async(),
            "entries that are not applied yet stay in the window"
        );
        let to = asker(&context).expect("what isn't applied is asked for, and followers ask");
        if self.asked.borrow_mut().insert((low, to)) {
            let from = RaftIndex(low);
            let wanted = ColdEntries { from, to, context };
            self.wanted.borrow_mut().push(wanted);
        }
        Err(raft::Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == 0 {
            return Ok(0);
        }
        if index > self.last.0 {
            return Err(raft::Error::Store(StorageError::Unavailable));
        }
        let at = self.terms.partition_point(|(start, _)| start.0 <= index);
        match at.checked_sub(1) {
            Some(run) if index + 1 >= self.first.0 => Ok(u64::from(self.terms[run].1.0)),
            _ => Err(raft::Error::Store(StorageError::Compacted)),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first.0)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last.0)
    }

    /// Stands for everything before the first entry; the driver adds what its log says of that
    /// when the message leaves.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let before = self.first.prev();
        if before == RaftIndex(0) {
            return Err(raft::Error::Store(
                StorageError::SnapshotTemporarilyUnavailable,
            ));
        }
        let mut snapshot = Snapshot::default();
        let about = snapshot.mut_metadata();
        about.index = before.0;
        about.term = self.term(before.0)?;
        // Who belongs to the group now, which is later than the entry: one that is new since then
        // would not take it otherwise.
        about.set_conf_state(configure::state_of(&self.configuration));
        snapshot.data = Message::configured_prefix(self.configured, self.configuration.aim).into();
        Ok(snapshot)
    }
}

/// For which replica the crate asks; none if it asks for itself. The context says it in no other way
/// than in text.
fn asker(context: &GetEntriesContext) -> Option<Member> {
    let text = format!("{context:?}");
    let (_, rest) = text.split_once(" to: ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(member_of)
}
