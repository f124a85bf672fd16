//! One replica: its Raft group, its log, its producers, and who waits on it. Fields and simple
//! questions only; what happens to a replica is in `operation`.

use crate::coordinator::Coordinator;
use crate::operation::Held;
use crate::producers::Producers;
use base::{GroupId, Mono, NodeId, Offset, RaftIndex, Term};
use consensus::{Group, Restored, RestoredEntry};
use log::{GroupLog, HardState};
use std::collections::{BTreeMap, VecDeque};

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
    /// All replicas have everything; quiet as soon as all peers have this version of the led set.
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
    /// Preferred leader first.
    pub(crate) voters: Vec<NodeId>,
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
    /// It led when last looked at.
    pub(crate) was_leader: bool,
    /// The leader and term that were published last.
    pub(crate) published: Option<(Term, Option<NodeId>)>,
    pub(crate) rest: Rest,
    /// When the leader was last heard, for followers.
    pub(crate) contact: Mono,
    /// When to campaign, if nobody leads by then.
    pub(crate) elect_at: Option<Mono>,
    /// Campaigns since there was a leader.
    pub(crate) campaigns: u32,
    /// When each peer last had everything, for leaders.
    pub(crate) caught_up: BTreeMap<NodeId, Mono>,
    /// The end of the log at the last beat, against which catching up is measured.
    pub(crate) end_at_beat: RaftIndex,
    /// Appends with `acks=1`, by index.
    pub(crate) waits_leader: VecDeque<AppendWait>,
    /// Appends with `acks=all`, by index.
    pub(crate) waits_all: VecDeque<AppendWait>,
    /// Appends that came while it wasn't known who leads.
    pub(crate) held: Vec<Held>,
    /// Deletions that wait for their starts.
    pub(crate) waits_start: Vec<StartWait>,
    /// The last start that this leader logged, and its entry.
    pub(crate) start_asked: Option<(RaftIndex, Offset)>,
    /// The entry of the last compaction that this leader logged.
    pub(crate) compact_asked: Option<RaftIndex>,
    /// Reads that wait for data.
    pub(crate) parked: Vec<u64>,
    /// When this leader sent snapshots that aren't answered, by node.
    pub(crate) snapshots: BTreeMap<NodeId, Mono>,
    /// Corruption that keeps it from voting.
    pub(crate) suspect: Option<String>,
    /// The coordinator of the groups in this partition of `__consumer_offsets`.
    pub(crate) coordinator: Option<Box<Coordinator>>,
}

/// What recovery found of a group, before it is known who its voters are.
pub(crate) struct Stored {
    pub(crate) log: GroupLog,
    pub(crate) producers: Producers,
    pub(crate) state: HardState,
    pub(crate) tail: Vec<RestoredEntry>,
    pub(crate) suspect: Option<String>,
}

impl Stored {
    /// A group that never was.
    pub(crate) fn new(log: GroupLog) -> Stored {
        Stored {
            log,
            producers: Producers::default(),
            state: HardState::default(),
            tail: Vec::new(),
            suspect: None,
        }
    }

    /// From recovery; the entries after the checkpoint bring the producers up to date.
    pub(crate) fn recovered(found: log::RecoveredGroup) -> Stored {
        let restored = Producers::restore(&found.app, found.app_index);
        let mut suspect = found.suspect;
        if restored.is_none() {
            suspect.get_or_insert("the checkpointed producer state is of another format".into());
        }
        let mut producers = restored.unwrap_or_default();
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
            state: found.state,
            tail,
            suspect,
        }
    }
}

impl Replica {
    /// A replica on `node` of a group with these voters.
    pub(crate) fn new(
        node: NodeId,
        voters: Vec<NodeId>,
        policy: Policy,
        stored: Stored,
        now: Mono,
    ) -> Replica {
        let Stored {
            mut log,
            producers,
            state,
            tail,
            suspect,
        } = stored;
        let restored = Restored {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
            first: log.first_index(),
            term_starts: log.term_starts(),
            tail,
        };
        assert_eq!(
            log.committed(),
            state.commit,
            "recovery commits what is known"
        );
        log.settled(log.last_index());
        log.roll_at(policy.segment_bytes, policy.segment_ms);
        let high = log.next_offset_of(state.commit);
        let high = (
            state.commit,
            high.expect("the offset after a committed entry is known"),
        );
        Replica {
            id: log.group(),
            group: Group::new(node, &voters, restored),
            producers,
            voters,
            policy,
            recorded: state,
            settled: log.last_index(),
            high,
            next_offset: log.end_offset(),
            uncommitted: VecDeque::new(),
            uncommitted_bytes: 0,
            dirty: false,
            was_leader: false,
            published: None,
            rest: Rest::Active(0),
            contact: now,
            elect_at: None,
            campaigns: 0,
            caught_up: BTreeMap::new(),
            end_at_beat: RaftIndex(0),
            waits_leader: VecDeque::new(),
            waits_all: VecDeque::new(),
            held: Vec::new(),
            waits_start: Vec::new(),
            start_asked: None,
            compact_asked: None,
            parked: Vec::new(),
            snapshots: BTreeMap::new(),
            suspect,
            coordinator: None,
            log,
        }
    }

    /// The leader and its term, if there is one.
    pub(crate) fn leader(&self) -> Option<(NodeId, Term)> {
        Some((self.group.leader()?, self.group.term()))
    }

    /// False for a new leader as long as its log may say of a later start than is committed: the
    /// leader before may have answered for that one.
    pub(crate) fn knows_start(&self) -> bool {
        self.group.committed_in_term() || !self.log.start_is_pending()
    }

    /// Nodes whose copy is caught up within `lag`, this leader among them.
    pub(crate) fn in_sync(&self, node: NodeId, now: Mono, lag: std::time::Duration) -> Vec<NodeId> {
        let fresh = |n: &NodeId| {
            *n == node
                || self.rest == Rest::Quiet
                || self
                    .caught_up
                    .get(n)
                    .is_some_and(|at| now.since(*at) <= lag)
        };
        self.voters.iter().copied().filter(fresh).collect()
    }

    /// The last entry of which at least `copies` replicas have a durable copy.
    pub(crate) fn durable_copies(&self, copies: u32) -> RaftIndex {
        if copies <= 1 {
            return self.group.last_index();
        }
        let mut matched: Vec<_> = self.group.progress().iter().map(|p| p.matched).collect();
        matched.sort_unstable_by(|a, b| b.cmp(a));
        matched
            .get(copies as usize - 1)
            .copied()
            .unwrap_or_default()
    }

    /// How many durable copies stand behind an answer to `acks=all`: what the topic demands, but no more than it has replicas.
    pub(crate) fn copies_wanted(&self) -> u32 {
        self.policy.in_sync_min.min(self.voters.len() as u32)
    }

    /// What is committed, and durable on as many replicas as the topic demands.
    pub(crate) fn acknowledged(&self) -> RaftIndex {
        let copies = self.copies_wanted();
        if copies as usize > self.voters.len() / 2 + 1 {
            return self.high.0.min(self.durable_copies(copies));
        }
        self.high.0
    }
}
