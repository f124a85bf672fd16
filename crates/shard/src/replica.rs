//! One replica: its Raft group, its log, its producers, and who waits on it. Fields and simple
//! questions only; what happens to a replica is in `operation`.

use crate::caught_up::CaughtUp;
use crate::coordinator::Coordinator;
use crate::kept::Kept;
use crate::operation::Held;
use crate::peer::Contact;
use crate::producers::Producers;
use base::{
    Bug, Configuration, GroupId, Member, Mono, NodeId, Offset, RaftIndex, Refusal, Term, limits,
    planted,
};
use consensus::{Group, Restored, RestoredEntry};
use log::{GroupLog, HardState, Imported};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An append that waits for enough copies.
#[derive(Debug)]
pub(crate) struct AppendWait {
    pub(crate) index: RaftIndex,
    pub(crate) call: u64,
    pub(crate) part: usize,
    pub(crate) appended: crate::api::Appended,
}

/// A deletion that waits for its start.
#[derive(Debug)]
pub(crate) struct StartWait {
    pub(crate) index: RaftIndex,
    pub(crate) call: u64,
    pub(crate) part: usize,
}

/// Whether a leader still sends heartbeats for a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    /// It does. The number of beats since something last happened.
    Active(u32),
    /// All replicas that are heard have everything; quiet as soon as their nodes have this version of
    /// the led set.
    Announced(u64),
    /// It doesn't.
    Quiet,
}

/// What a topic's configuration means for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Copies that `acks=all` needs at least.
    pub(crate) in_sync_min: u32,
    /// The leader's clock stamps batches.
    pub(crate) log_append_time: bool,
    /// Old segments go, by the two that follow; negative: no bound.
    pub(crate) delete: bool,
    pub(crate) retention_ms: i64,
    pub(crate) retention_bytes: i64,
    /// When a segment is followed by a new one.
    pub(crate) segment_bytes: u32,
    pub(crate) segment_ms: i64,
    /// Old segments are compacted by key, by those that follow.
    pub(crate) compact: bool,
    pub(crate) min_dirty_millionths: u32,
    pub(crate) min_compaction_lag_ms: i64,
    pub(crate) max_compaction_lag_ms: i64,
    pub(crate) delete_retention_ms: i64,
}

impl Policy {
    /// What a topic's configuration means.
    pub(crate) fn of(settings: &meta::TopicSettings) -> Policy {
        let compact = settings.cleanup.compact;
        Policy {
            in_sync_min: settings.min_insync_replicas,
            log_append_time: settings.log_append_time,
            delete: settings.cleanup.delete,
            retention_ms: settings.retention_ms,
            retention_bytes: settings.retention_bytes,
            segment_bytes: settings.segment_bytes,
            // As in Kafka: what must be compacted by then can't lie in the last segment.
            segment_ms: match compact {
                true => settings.segment_ms.min(settings.max_compaction_lag_ms),
                false => settings.segment_ms,
            },
            compact,
            min_dirty_millionths: settings.min_dirty_millionths,
            min_compaction_lag_ms: settings.min_compaction_lag_ms,
            max_compaction_lag_ms: settings.max_compaction_lag_ms,
            delete_retention_ms: settings.delete_retention_ms,
        }
    }
}

/// One replica of one partition (or of the metadata).
pub(crate) struct Replica {
    pub(crate) id: GroupId,
    pub(crate) group: Group,
    pub(crate) log: GroupLog,
    pub(crate) producers: Producers,
    /// Who belongs to the group as of the high watermark, and the entry that says so: what a
    /// checkpoint keeps. Raft's own may be older, for it waits until the entry is durable here.
    pub(crate) configuration: (Configuration, RaftIndex),
    pub(crate) policy: Policy,
    /// Hard state as the write-ahead log last heard it.
    pub(crate) recorded: HardState,
    /// Everything up to here is readable from segments.
    pub(crate) settled: RaftIndex,
    /// Committed up to here: index, and the offset after it.
    pub(crate) high: (RaftIndex, Offset),
    /// The offset after the last proposed batch; runs ahead of the log within a turn.
    pub(crate) next_offset: Offset,
    /// Bytes appended by this leader and not committed: index and bytes, in order.
    pub(crate) uncommitted: VecDeque<(RaftIndex, u64)>,
    pub(crate) uncommitted_bytes: u64,
    /// In the list of replicas to look at in this turn.
    pub(crate) dirty: bool,
    /// In the list of replicas that the next beat looks at.
    pub(crate) restless: bool,
    /// It led when last looked at.
    pub(crate) was_leader: bool,
    /// The leader and term that were published last.
    pub(crate) published: Option<(Term, Option<NodeId>)>,
    pub(crate) rest: Rest,
    /// When the leader was last heard, for followers.
    pub(crate) contact: Option<Contact>,
    /// When to campaign, if nobody leads by then.
    pub(crate) elect_at: Option<Mono>,
    /// Campaigns since there was a leader.
    pub(crate) campaigns: u32,
    /// Terms that began without a leader since there was one, as seen when it was time to campaign,
    /// and the latest of them.
    pub(crate) terms_in_vain: u32,
    pub(crate) term_looked_at: Term,
    /// As of when each replica had everything, for leaders.
    pub(crate) caught_up: BTreeMap<Member, CaughtUp>,
    /// Nodes whose copy is not in sync: for leaders as of the last beat, for others as the leader said.
    pub(crate) behind: Vec<NodeId>,
    /// Replicas that said that they stand aside, and those on nodes with a new process of which they
    /// didn't answer yet, for leaders.
    pub(crate) aside: BTreeSet<Member>,
    /// An entry that was proposed when a configuration held: that one's entry, and this one. Once it
    /// is committed, whoever can be elected knows durably that the configuration holds.
    pub(crate) sealed: Option<(RaftIndex, RaftIndex)>,
    /// Appends with `acks=1`, by index.
    pub(crate) waits_leader: VecDeque<AppendWait>,
    /// Appends with `acks=all`, by index.
    pub(crate) waits_all: VecDeque<AppendWait>,
    /// Appends that came while it wasn't known who leads.
    pub(crate) held: Vec<Held>,
    /// How long for, since the first of them.
    pub(crate) held_until: Mono,
    /// Deletions that wait for their starts.
    pub(crate) waits_start: Vec<StartWait>,
    /// The last start that this leader logged, and its entry.
    pub(crate) start_asked: Option<(RaftIndex, Offset)>,
    /// The entry of the last compaction that this leader logged.
    pub(crate) compact_asked: Option<RaftIndex>,
    /// Reads that wait for data.
    pub(crate) parked: BTreeSet<u64>,
    /// When this leader sent snapshots that aren't answered, by node.
    pub(crate) snapshots: BTreeMap<Member, Mono>,
    /// Since when followers have done nothing with the snapshots that this leader sent them.
    pub(crate) untaken: BTreeMap<Member, Mono>,
    /// Records of a snapshot that the group was handed in this turn.
    pub(crate) imported: Option<Imported>,
    /// The turn in which it was made here; 0 if an earlier process made it.
    pub(crate) made_in: u64,
    /// Corruption that keeps it from voting.
    pub(crate) suspect: Option<String>,
    /// The coordinator of the groups in this partition of `__consumer_offsets`.
    pub(crate) coordinator: Option<Box<Coordinator>>,
}

/// What recovery found of a group, before the metadata has named it.
pub(crate) struct Stored {
    pub(crate) log: GroupLog,
    pub(crate) producers: Producers,
    /// None if it is as the group began.
    pub(crate) configuration: Option<(Configuration, RaftIndex)>,
    /// The metadata, and the entry that it is as of; of group 0, once its log was shortened.
    pub(crate) metadata: Option<(bytes::Bytes, RaftIndex)>,
    pub(crate) state: HardState,
    pub(crate) tail: Vec<RestoredEntry>,
    pub(crate) suspect: Option<String>,
    /// It is suspect because its files are damaged.
    pub(crate) damaged: bool,
}

impl Stored {
    /// A group that never was.
    pub(crate) fn new(log: GroupLog) -> Stored {
        Stored {
            log,
            producers: Producers::default(),
            configuration: None,
            metadata: None,
            state: HardState::default(),
            tail: Vec::new(),
            suspect: None,
            damaged: false,
        }
    }

    /// From recovery; the entries after the checkpoint bring producers and configuration up to
    /// date.
    pub(crate) fn recovered(found: log::RecoveredGroup) -> Stored {
        let restored = Kept::restore(&found.app, found.app_index);
        let mut suspect = found.suspect;
        let damaged = suspect.is_some();
        if restored.is_none() {
            suspect.get_or_insert("the checkpointed state is of another format".into());
        }
        let Kept {
            mut producers,
            mut configuration,
            metadata,
        } = restored.unwrap_or_default();
        configuration = latest(configuration, &found.entries, found.state.commit);
        let mut tail = Vec::new();
        for entry in found.entries {
            let (index, term) = (entry.index, entry.term);
            let body = match entry.body {
                log::EntryBody::Batch(header, _) => {
                    producers.appended(index, &header);
                    Ok(header)
                }
                log::EntryBody::Internal(data) => Err(data),
            };
            if index > found.state.commit {
                tail.push(RestoredEntry { index, term, body });
            }
        }
        producers.committed(found.state.commit);
        Stored {
            log: found.log,
            producers,
            configuration,
            metadata,
            state: found.state,
            tail,
            suspect,
            damaged,
        }
    }
}

/// The members of a group as of what it is known to have committed, and the entry that says so; none if they
/// are those that it began with.
pub(crate) fn recovered_configuration(
    found: &log::RecoveredGroup,
) -> Option<(Configuration, RaftIndex)> {
    let kept = Kept::restore(&found.app, found.app_index)?;
    latest(kept.configuration, &found.entries, found.state.commit)
}

/// The last configuration: `kept`, or what committed entries after it say.
fn latest(
    kept: Option<(Configuration, RaftIndex)>,
    entries: &[log::Entry],
    commit: RaftIndex,
) -> Option<(Configuration, RaftIndex)> {
    if planted(Bug::ConfigurationForgottenAtRestart) {
        return kept;
    }
    let after = kept.as_ref().map_or(RaftIndex(0), |(_, by)| *by);
    let committed = entries
        .iter()
        .rev()
        .filter(|entry| entry.index <= commit && entry.index > after);
    let said = |entry: &log::Entry| match &entry.body {
        log::EntryBody::Internal(data) => Some((Configuration::decode(data)?, entry.index)),
        log::EntryBody::Batch(..) => None,
    };
    committed.into_iter().find_map(said).or(kept)
}

impl Stored {
    /// Which member of the group it is.
    pub(crate) fn member(&self, node: NodeId) -> Member {
        Member {
            node,
            incarnation: self.log.settings().incarnation,
        }
    }

    /// What its Raft group begins with.
    fn restored(&mut self, configuration: &(Configuration, RaftIndex)) -> Restored {
        Restored {
            term: self.state.term,
            vote: self.state.vote,
            commit: self.state.commit,
            configuration: configuration.0.clone(),
            configured: configuration.1,
            first: self.log.first_index(),
            term_starts: self.log.term_starts(),
            tail: std::mem::take(&mut self.tail),
        }
    }

    /// What a checkpoint keeps of it beside its log.
    pub(crate) fn kept(&self) -> [bytes::Bytes; 2] {
        Kept::encode(&self.producers, self.configuration.as_ref())
    }
}

impl Replica {
    /// A replica on `node` of a group that began with these founders.
    pub(crate) fn new(
        node: NodeId,
        founders: &[NodeId],
        policy: Policy,
        mut stored: Stored,
    ) -> Replica {
        let me = stored.member(node);
        let first = || (Configuration::of_founders(founders), RaftIndex(0));
        let configuration = stored.configuration.take().unwrap_or_else(first);
        let restored = stored.restored(&configuration);
        let Stored {
            mut log,
            producers,
            state,
            suspect,
            ..
        } = stored;
        assert_eq!(log.committed(), state.commit, "as recovered");
        log.settled(log.last_index());
        log.roll_at(policy.segment_bytes, policy.segment_ms);
        let high = log.next_offset_of(state.commit);
        let high = high.expect("the offset after a committed entry is known");
        Replica {
            id: log.group(),
            group: Group::new(me, restored),
            producers,
            configuration,
            policy,
            recorded: state,
            settled: log.last_index(),
            high: (state.commit, high),
            next_offset: log.end_offset(),
            uncommitted: VecDeque::new(),
            uncommitted_bytes: 0,
            dirty: false,
            restless: false,
            was_leader: false,
            published: None,
            rest: Rest::Active(0),
            contact: None,
            elect_at: None,
            campaigns: 0,
            terms_in_vain: 0,
            term_looked_at: Term(0),
            caught_up: BTreeMap::new(),
            behind: Vec::new(),
            aside: BTreeSet::new(),
            sealed: None,
            waits_leader: VecDeque::new(),
            waits_all: VecDeque::new(),
            held: Vec::new(),
            held_until: Mono::default(),
            waits_start: Vec::new(),
            start_asked: None,
            compact_asked: None,
            parked: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            untaken: BTreeMap::new(),
            imported: None,
            made_in: 0,
            suspect,
            coordinator: None,
            log,
        }
    }

    /// The leader and its term, if there is one.
    pub(crate) fn leader(&self) -> Option<(NodeId, Term)> {
        Some((self.group.leader()?, self.group.term()))
    }

    /// The offset of the first entry: each replica compacts what lies before it by itself.
    pub(crate) fn front(&self) -> Offset {
        let origin = self.log.origin();
        origin.map_or(Offset(0), |origin| origin.next_offset)
    }

    /// False for a new leader as long as its log may say of a later start than is committed: the
    /// leader before may have answered for that one.
    pub(crate) fn knows_start(&self) -> bool {
        self.group.committed_in_term() || !self.log.start_is_pending()
    }

    /// True if no other replica belongs to the group.
    pub(crate) fn is_alone(&self) -> bool {
        self.group
            .configuration()
            .members()
            .all(|m| m == self.group.me())
    }

    /// True if a snapshot is being taken: what follows on it will be needed. Not for ever: who has no
    /// room for it must not fill the disks of the others.
    pub(crate) fn lends_snapshot(&self, now: Mono) -> bool {
        self.snapshots.keys().any(|member| {
            let since = self.untaken.get(member);
            since.is_none_or(|since| now.since(*since) < limits::SNAPSHOT_HELD_FOR)
        })
    }

    /// The voters; and those before them, as long as they have a say.
    pub(crate) fn electorates(&self) -> impl Iterator<Item = &[Member]> {
        let Configuration {
            voters, outgoing, ..
        } = self.group.configuration();
        let before = Some(&outgoing[..]).filter(|before| !before.is_empty());
        std::iter::once(&voters[..]).chain(before)
    }

    /// True if those of whom `is` is true may commit; if voters change, by both electorates.
    pub(crate) fn has_quorum(&self, is: impl Fn(&Member) -> bool) -> bool {
        let has = |voters: &[Member]| voters.iter().filter(|m| is(m)).count() > voters.len() / 2;
        self.electorates().all(has)
    }

    /// As of when a replica had all that was there, if it ever did.
    pub(crate) fn caught_up_as_of(&self, member: Member) -> Option<Mono> {
        self.caught_up.get(&member).and_then(CaughtUp::as_of)
    }

    /// True if a replica had, at most `lag` ago, all that was there shortly before, and goes on.
    pub(crate) fn is_in_sync(&self, member: Member, now: Mono, lag: std::time::Duration) -> bool {
        let caught_up = self.caught_up_as_of(member);
        let rests = self.rest == Rest::Quiet && !self.behind.contains(&member.node);
        let has_all = rests || caught_up.is_some_and(|at| now.since(at) <= lag);
        member == self.group.me() || (has_all && !self.aside.contains(&member))
    }

    /// Nodes whose copy is in sync and counts, this leader among them.
    pub(crate) fn in_sync(&self) -> Vec<NodeId> {
        let nodes = self.group.configuration().members().map(|m| m.node);
        nodes.filter(|node| !self.behind.contains(node)).collect()
    }

    /// How many voters are caught up within `lag`; if voters change, the smaller number of both
    /// electorates, for either may be what is left.
    pub(crate) fn voters_in_sync(&self, now: Mono, lag: std::time::Duration) -> usize {
        let in_sync = |voters: &[Member]| {
            let fresh = voters.iter().filter(|m| self.is_in_sync(**m, now, lag));
            fresh.count()
        };
        self.electorates().map(in_sync).min().unwrap_or_default()
    }

    /// The last entry of which at least `copies` voters have a durable copy, in both electorates
    /// if voters change.
    pub(crate) fn durable_copies(&self, copies: u32) -> RaftIndex {
        if copies <= 1 {
            return self.group.last_index();
        }
        let progress = self.group.progress();
        let upto = |voters: &[Member]| {
            let has = progress.iter().filter(|p| voters.contains(&p.member));
            let mut matched: Vec<_> = has.map(|p| p.matched).collect();
            matched.sort_unstable_by(|a, b| b.cmp(a));
            let at = (copies as usize).min(voters.len()) - 1;
            matched.get(at).copied().unwrap_or_default()
        };
        self.electorates().map(upto).min().unwrap_or_default()
    }

    fn voters_at_most(&self) -> usize {
        let voters = self.electorates().map(<[Member]>::len);
        voters.max().unwrap_or_default()
    }

    /// How many durable copies stand behind an answer to `acks=all`: what the topic demands, but no
    /// more than it has voters.
    pub(crate) fn copies_wanted(&self) -> u32 {
        self.policy.in_sync_min.min(self.voters_at_most() as u32)
    }

    /// Refuses a write if fewer voters are caught up within `lag` than are to have it.
    pub(crate) fn has_copies_wanted(
        &self,
        now: Mono,
        lag: std::time::Duration,
    ) -> Result<(), Refusal> {
        let min = self.copies_wanted();
        match min <= 1 || self.voters_in_sync(now, lag) >= min as usize {
            true => Ok(()),
            false => Err(Refusal::NotEnoughReplicas { min }),
        }
    }

    /// What is committed, and durable on as many replicas as the topic demands.
    pub(crate) fn acknowledged(&self) -> RaftIndex {
        let most = self.voters_at_most();
        let copies = self.copies_wanted();
        if copies as usize > most / 2 + 1 || self.group.configuration().is_joint() {
            return self.high.0.min(self.durable_copies(copies));
        }
        self.high.0
    }

    /// Takes note of the configurations among the entries up to `committed`, which are committed
    /// now.
    pub(crate) fn note_configurations(&mut self, committed: RaftIndex) {
        let entries = self.log.internals_after(self.high.0);
        let committed = entries.take_while(|(index, _)| *index <= committed);
        let changes = committed.filter_map(|(at, data)| Some((Configuration::decode(data)?, at)));
        if let Some(last) = changes.last().filter(|(_, at)| *at > self.configuration.1) {
            self.configuration = last;
        }
    }

    /// What a checkpoint keeps of it beside its log, as of the high watermark.
    pub(crate) fn kept(&mut self) -> [bytes::Bytes; 2] {
        let changed = Some(&self.configuration).filter(|(_, at)| *at > RaftIndex(0));
        Kept::encode(&self.producers, changed)
    }
}
