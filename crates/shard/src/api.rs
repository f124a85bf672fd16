//! What goes into a shard and what comes out of it: plain data. The server's threads and the
//! simulator drive the same [`crate::Shard`] with these.

pub use crate::inbox::{ReplySink, ReplyTo};
use crate::operation::{Balancing, Checking};
use base::{
    Batch, GroupId, Member, Mono, NodeId, Offset, ProducerId, RaftIndex, Refusal, Term, WallMs,
};
use bytes::Bytes;
use log::{
    EntriesPlan, Import, ImportFault, Imported, ReadFault, ReadPlan, Rewrite, RewriteFault, Step,
    TimePlan,
};
use std::sync::Arc;

/// How many copies an append waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// None: no answer is sent either.
    None,
    /// The leader's own, durable by the topic's durability.
    Leader,
    /// A majority and `min.insync.replicas`.
    All,
}

/// What a shard is asked.
#[derive(Debug)]
pub enum Command {
    /// Append batches to partitions; answered with [`Reply::Appended`], in the order of `parts`.
    Append {
        /// How many copies the answer waits for.
        acks: Acks,
        /// When to give up waiting.
        deadline: Mono,
        /// One batch each, validated by the caller (checksum, records).
        parts: Vec<AppendPart>,
    },
    /// Read from partitions; answered with [`Reply::Read`] once `bytes_min` are there or at the
    /// deadline.
    Read {
        /// Answer once this many bytes can be had.
        bytes_min: u32,
        /// At most this many bytes over all parts (the first batch is always whole).
        bytes_max: u32,
        /// When to answer with what there is.
        deadline: Mono,
        /// In the order of the request.
        parts: Vec<ReadPart>,
    },
    /// Answered with [`Reply::Offsets`].
    Offsets {
        /// In the order of the request.
        parts: Vec<OffsetPart>,
    },
    /// Where a leader epoch ended; answered with [`Reply::EpochEnds`].
    EpochEnds {
        /// In the order of the request.
        parts: Vec<EpochPart>,
    },
    /// A change or question for the controller, wherever it is; answered with [`Reply::Meta`]
    /// once committed and visible in this node's own image, or at the deadline.
    Meta {
        /// What.
        command: meta::Command,
        /// When to give up waiting.
        deadline: Mono,
    },
    /// Delete the records before an offset; answered with [`Reply::Deleted`] once that is
    /// committed, or at the deadline.
    DeleteRecords {
        /// When to give up waiting.
        deadline: Mono,
        /// In the order of the request.
        parts: Vec<DeletePart>,
    },
    /// The idempotent producers that replicas here know; answered with [`Reply::Producers`], in order.
    Producers {
        /// Which.
        groups: Vec<GroupId>,
    },
    /// Hand groups over to their preferred leaders, wherever they are led; answered with
    /// [`Reply::Preferred`], in order, once that is seen, or at the deadline.
    Prefer {
        /// Which.
        groups: Vec<GroupId>,
        /// Instead, have those that have lost their majority go on with one replica, whatever is lost
        /// by that.
        unclean: bool,
        /// When to give up waiting.
        deadline: Mono,
    },
    /// Wait until somebody who is heard leads a group; answered with [`Reply::Led`].
    AwaitLeader {
        /// Which.
        group: GroupId,
        /// When to give up waiting.
        deadline: Mono,
    },
    /// Somebody could not read what a replica here has: it is looked at now. Not answered.
    Check {
        /// Which.
        group: GroupId,
        /// Where what could not be read begins.
        from: Offset,
    },
    /// Where the replicas of groups stand; answered with [`Reply::Replicas`].
    Replicas {
        /// Which.
        groups: Vec<GroupId>,
    },
    /// When batches were written, on replicas here; answered with [`Reply::Stamps`], in order.
    Stamps {
        /// Each the batch that holds this offset, or the next one.
        places: Vec<(GroupId, Offset)>,
    },
    /// For the coordinator in one partition of `__consumer_offsets`; answered with
    /// [`Reply::Group`], a join or a sync only when the other members have come.
    Group {
        /// The partition's Raft group.
        group: GroupId,
        /// What; in a box, for it is larger than other events.
        command: Box<group::Command>,
        /// When to give up waiting, if ever.
        deadline: Option<Mono>,
    },
    /// The groups of all coordinators that this node leads; answered with [`Reply::Groups`].
    Groups {
        /// Which of them.
        filter: group::command::ListGroups,
        /// When to give up waiting.
        deadline: Mono,
    },
}

/// One partition's share of an append.
#[derive(Debug)]
pub struct AppendPart {
    /// The partition's group.
    pub group: GroupId,
    /// Its batch.
    pub batch: Batch,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Set for topics with LogAppendTime.
    pub append_time: Option<WallMs>,
    /// Where the log starts now.
    pub start_offset: Offset,
}

/// One partition's share of a read.
#[derive(Debug, Clone)]
pub struct ReadPart {
    /// The partition's group.
    pub group: GroupId,
    /// From here.
    pub offset: Offset,
    /// At most this many bytes of this partition.
    pub bytes_max: u32,
    /// The leader epoch that the caller knows, or none.
    pub leader_epoch: Option<i32>,
    /// The epoch of the last record that the caller has, to find divergence; or none.
    pub last_fetched_epoch: Option<i32>,
}

/// What a partition answers to a read.
#[derive(Debug)]
pub struct ReadAnswer {
    /// Committed up to here (exclusive).
    pub high_watermark: Offset,
    /// Up to here no transaction is open. Equals the high watermark.
    pub last_stable: Offset,
    /// Where the log starts.
    pub start_offset: Offset,
    /// Set if the caller's log differs from ours: the epoch and end offset where they part.
    pub diverging: Option<(i32, Offset)>,
    /// Batches still in memory, in order, whole.
    pub hot: Vec<Batch>,
    /// Else: what to read from files. Never both.
    pub cold: Option<ReadPlan>,
}

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The first offset.
    Earliest,
    /// The high watermark.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record stamped at or after this.
    AtTime(i64),
    /// Where segments begin that hold nothing stamped after this, and the high watermark if that
    /// is not before now: newest first.
    Segments {
        /// The timestamp.
        until: i64,
        /// At most so many.
        most: usize,
    },
}

/// One partition's share of an offset question.
#[derive(Debug, Clone)]
pub struct OffsetPart {
    /// The partition's group.
    pub group: GroupId,
    /// Which offset.
    pub query: OffsetQuery,
    /// The leader epoch that the caller knows, or none.
    pub leader_epoch: Option<i32>,
}

/// Answer to an offset question.
#[derive(Debug)]
pub enum OffsetAnswer {
    /// Known at once.
    Known {
        /// The offset; -1 if there is none.
        offset: Offset,
        /// Its timestamp; -1 where Kafka gives none.
        timestamp: i64,
        /// Leader epoch of that offset; -1 if unknown.
        leader_epoch: i32,
    },
    /// To be looked up in files; the plan knows the high watermark and looks no further.
    Search {
        /// The look-up.
        plan: TimePlan,
        /// The epoch to answer with.
        leader_epoch: i32,
    },
    /// To [`OffsetQuery::Segments`].
    Segments(Vec<Offset>),
}

/// One partition's share of an epoch question.
#[derive(Debug, Clone)]
pub struct EpochPart {
    /// The partition's group.
    pub group: GroupId,
    /// The leader epoch that the caller knows, or none.
    pub current_epoch: Option<i32>,
    /// The epoch asked for.
    pub epoch: i32,
}

/// One partition's share of a deletion.
#[derive(Debug, Clone)]
pub struct DeletePart {
    /// The partition's group.
    pub group: GroupId,
    /// Records before this go; `None`: all below the high watermark.
    pub before: Option<Offset>,
}

/// Where one group stands on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The group.
    pub group: GroupId,
    /// Which member of it this node's replica is.
    pub member: Member,
    /// Its leader and term, as this node knows them.
    pub leader: Option<(NodeId, Term)>,
    /// Replicas that are caught up, if this node leads.
    pub in_sync: Vec<NodeId>,
    /// Offset after the last record here.
    pub end_offset: Offset,
    /// Committed up to here (exclusive).
    pub high_watermark: Offset,
    /// Where its log starts.
    pub start_offset: Offset,
    /// Bytes of its segments here.
    pub log_bytes: u64,
    /// The last Raft index here.
    pub last_index: RaftIndex,
    /// Why it doesn't vote, if its data is damaged.
    pub suspect: Option<String>,
}

/// When a batch was written.
#[derive(Clone, Debug)]
pub enum Stamp {
    /// Its header is in memory.
    Known(WallMs),
    /// What to read for its header.
    InFiles(ReadPlan),
}

/// An idempotent producer as one replica remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStatus {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The timestamp of its last batch; -1 if it was written down by a release that told none.
    pub last_timestamp: i64,
}

/// What a shard answers.
#[derive(Debug)]
pub enum Reply {
    /// To [`Command::Append`].
    Appended(Vec<Result<Appended, Refusal>>),
    /// To [`Command::Read`].
    Read(Vec<Result<ReadAnswer, Refusal>>),
    /// To [`Command::Offsets`].
    Offsets(Vec<Result<OffsetAnswer, Refusal>>),
    /// To [`Command::EpochEnds`]: epoch and its end offset, (-1, -1) if unknown.
    EpochEnds(Vec<Result<(i32, Offset), Refusal>>),
    /// To [`Command::DeleteRecords`]: where each log starts now.
    Deleted(Vec<Result<Offset, Refusal>>),
    /// To [`Command::Meta`].
    Meta(Result<meta::Reply, Refusal>),
    /// To [`Command::Producers`].
    Producers(Vec<Result<Vec<ProducerStatus>, Refusal>>),
    /// To [`Command::Prefer`].
    Preferred(Vec<Result<(), Refusal>>),
    /// To [`Command::AwaitLeader`]; from the broker, where the topic was to be made first.
    Led(Result<(), Refusal>),
    /// To [`Command::Replicas`]; groups that this node has no replica of are left out.
    Replicas(Vec<ReplicaStatus>),
    /// To [`Command::Stamps`]; none where nothing is committed from there on, or no replica is here.
    Stamps(Vec<Option<Stamp>>),
    /// To [`Command::Group`]; refused as a whole if this node doesn't coordinate the group.
    Group(Result<group::Reply, Refusal>),
    /// To [`Command::Groups`].
    Groups(Result<Vec<group::reply::Listed>, Refusal>),
    /// The node that coordinates a group or a transaction. Not from a shard: the broker knows.
    Coordinator(Result<NodeId, Refusal>),
}

/// What happens to a shard.
pub enum Event {
    /// A call. With acks 0 there is nobody to answer.
    Command(Command, Option<ReplyTo>),
    /// A frame from another node.
    Frame {
        /// From whom, as the transport's hello established it.
        from: NodeId,
        /// The frame's bytes.
        bytes: Bytes,
    },
    /// A connection to a peer stands.
    PeerUp(NodeId),
    /// The connection to a peer broke.
    PeerDown(NodeId),
    /// So many bytes of a peer's frame are there, which isn't whole yet.
    Coming {
        /// From whom, as with a whole frame.
        from: NodeId,
        /// Bytes since the last word of this kind.
        bytes: u64,
    },
    /// All turns up to this one are durable.
    Persisted {
        /// The turn's number.
        turn: u64,
    },
    /// All turns up to this one are readable from their segments.
    Settled {
        /// The turn's number.
        turn: u64,
    },
    /// The log wants a checkpoint so that a file of the write-ahead log can be recycled.
    CheckpointDue,
    /// A job is done.
    Done(Job, JobResult),
    /// Free bytes of the data directory, measured every second or so.
    DiskFree(u64),
    /// Hand leaderships over; the process is about to stop.
    Drain,
}

/// A chore off the loop: an owned plan, whose outcome comes back as [`Event::Done`].
#[derive(Debug)]
pub enum Job {
    /// Read entries that left memory, for a follower or for the metadata that catches up.
    Entries {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// What to read.
        plan: EntriesPlan,
    },
    /// Read what is committed, for a machine that catches up.
    Records {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// What to read; it may be waited for.
        plan: ReadPlan,
    },
    /// Do a step of a log's compaction.
    Rewrite {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// How far it is.
        rewrite: Box<Rewrite>,
        /// False if it isn't wanted any more.
        goes_on: bool,
    },
    /// Read what lies in front of the first entry, for a follower that takes a snapshot.
    Prefix {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// What to read; it may be waited for.
        plan: ReadPlan,
    },
    /// Read a piece of a log to see that it is whole.
    Check {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// What to read; it may be waited for.
        plan: ReadPlan,
    },
    /// Write what a snapshot brings.
    Import {
        /// The shard's own name for it.
        ticket: u64,
        /// The group.
        group: GroupId,
        /// How far it is.
        import: Box<Import>,
        /// What comes next; none if it isn't wanted any more.
        batches: Option<Vec<Batch>>,
    },
    /// Remove what a snapshot brought and the group didn't take.
    Discard {
        /// The group.
        group: GroupId,
        /// What it brought.
        imported: Imported,
    },
}

impl Job {
    /// Does it. Waits for devices.
    pub fn run(&mut self, files: &log::Files) -> JobResult {
        match self {
            Job::Entries { plan, .. } => JobResult::Entries(plan.run(files)),
            Job::Records { plan, .. } => {
                let read = plan.run(files, true);
                JobResult::Records(read.map(Option::unwrap_or_default))
            }
            Job::Rewrite {
                rewrite, goes_on, ..
            } => match *goes_on {
                true => JobResult::Rewrite(rewrite.step(files)),
                false => {
                    rewrite.abandon(files);
                    JobResult::Abandoned
                }
            },
            Job::Prefix { plan, .. } | Job::Check { plan, .. } => {
                let read = plan.run(files, true);
                JobResult::Records(read.map(Option::unwrap_or_default))
            }
            Job::Import {
                import, batches, ..
            } => match batches.take() {
                Some(batches) => JobResult::Imported(import.take(files, &batches)),
                None => {
                    import.abandon(files);
                    JobResult::Abandoned
                }
            },
            Job::Discard { imported, .. } => {
                imported.remove(files);
                JobResult::Abandoned
            }
        }
    }
}

/// A chore's outcome.
pub enum JobResult {
    /// Entries in order of their index.
    Entries(Result<Vec<(RaftIndex, Batch)>, ReadFault>),
    /// Whole batches, one after the other.
    Records(Result<Vec<Bytes>, ReadFault>),
    /// How a step of a compaction ended.
    Rewrite(Result<Step, RewriteFault>),
    /// A piece of a snapshot was written; with the last one, all of it.
    Imported(Result<Option<Imported>, ImportFault>),
    /// What was written of a snapshot is gone.
    Abandoned,
}

/// What a turn leads to. The driver carries all of it out: the turn goes to storage in order,
/// frames leave at once (the leader sends before its own fsync), answers go to their inboxes.
#[derive(Default)]
pub struct Effects {
    /// To be made durable; answered with [`Event::Persisted`] and then [`Event::Settled`].
    pub turn: Option<log::Turn>,
    /// Frames to peers; lost ones are sent again by the protocol.
    pub frames: Vec<(NodeId, Vec<Bytes>)>,
    /// Chores.
    pub jobs: Vec<Job>,
    /// A new image of the metadata to publish.
    pub image: Option<Arc<meta::Image>>,
    /// News of who leads (group, term, leader) to publish.
    pub leaders: Vec<(GroupId, Term, Option<NodeId>)>,
    /// Nodes whose replicas are not in sync, as the leaders of these groups and terms say, to publish.
    pub behind: Vec<(GroupId, Term, Vec<NodeId>)>,
    /// With `image` all is there that was committed before this start; told once.
    pub metadata_is_current: bool,
    /// The nodes that are heard, this one among them, if that changed.
    pub heard: Option<Vec<NodeId>>,
    /// Things that an operator should read.
    pub notes: Vec<crate::Note>,
}

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// Voters of group 0, this node among them.
    pub voters: Vec<NodeId>,
    /// This process's start, so that peers see a restart. Chosen at random.
    pub boot: u64,
    /// Chance for jitter.
    pub seed: u64,
    /// How this node is reached by clients; registered with the controller.
    pub info: meta::NodeInfo,
    /// Where it is reached by nodes; none for one that says it to nobody.
    pub home: Option<meta::Home>,
    /// Group 0 goes on without the others that have a say in it: they are lost for good, and that some
    /// of what they had is lost with them is accepted.
    pub alone: bool,
    /// Size of a segment of group 0's log, which is shortened by whole segments.
    pub metadata_segment_bytes: u32,
    /// Bytes of recent batches kept in memory.
    pub hot_tail_bytes: u64,
    /// Bytes of batches that the disk hasn't taken, beyond which no more are taken in.
    pub unsettled_bytes_max: u64,
    /// Free bytes below which data is refused.
    pub disk_reserve_bytes: u64,
    /// The cluster's defaults for new topics.
    pub defaults: meta::Defaults,
    /// A replica is in sync if it caught up within this time (`replica.lag.time.max.ms`).
    pub replica_lag_max: std::time::Duration,
    /// How often it is looked what is past its retention (`log.retention.check.interval.ms`).
    pub retention_check: std::time::Duration,
    /// Bytes a second that are read from files for followers that are far behind.
    pub catch_up_bytes_per_second: u64,
    /// Bytes past their retention that a group keeps for replicas that lack them.
    pub removal_held_bytes: u64,
    /// When idempotent producers are forgotten.
    pub producers: Expiration,
    /// How logs are compacted.
    pub compaction: Compaction,
    /// When leaders go back to the replicas that are named first; none: never by themselves.
    pub balancing: Option<Balancing>,
    /// How often everything on disk is looked at; none: never.
    pub checking: Option<Checking>,
    /// What coordinators of groups obey.
    pub groups: group::Config,
}

/// When idempotent producers are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiration {
    /// For how long one is remembered that writes nothing (`producer.id.expiration.ms`).
    pub expiration: std::time::Duration,
    /// How often it is looked who is (`producer.id.expiration.check.interval.ms`).
    pub check: std::time::Duration,
}

/// How logs are compacted.
#[derive(Clone, Copy, Debug)]
pub struct Compaction {
    /// How often it is looked what is to be compacted (`log.cleaner.backoff.ms`).
    pub check: std::time::Duration,
    /// Bytes that are read and written in a second at most (`log.cleaner.io.max.bytes.per.second`).
    pub bytes_per_second: u64,
    /// Memory for the keys of one rewrite (`log.cleaner.dedupe.buffer.size`).
    pub keys_bytes: u64,
    /// For compressed batches, which this room can't read.
    pub codec: log::Codec,
}
