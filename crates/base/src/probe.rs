//! Probes for the simulator: planted bugs and coverage marks.
//!
//! Without the feature `probe` (the server's build) both compile to nothing. With it, the
//! simulator turns one bug on for a run and reads which marks a run has hit. The state is per
//! thread, because one run of the simulator is one thread.

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$item_doc])* $item,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$item,)*];

            /// The name in text.
            pub fn name(self) -> &'static str {
                match self { $($name::$item => stringify!($item),)* }
            }
        }
    };
}

names! {
    /// A deliberate mutation: one wrong decision at one place. The simulator must catch each.
    Bug {
        /// `acks=all` is answered when the leader's turn is handed to storage.
        AckBeforeFsync,
        /// Persistence is reported to Raft before the write is durable.
        PersistBeforeFsync,
        /// Votes and terms don't go to the write-ahead log.
        VoteNotPersisted,
        /// A follower accepts entries without comparing the entry before them.
        SkipLogMatching,
        /// Fetch serves up to the log end.
        ServeAboveHighWatermark,
        /// A truncation isn't recorded in the write-ahead log.
        ForgetTruncation,
        /// A truncated log keeps its end offset.
        TruncateKeepsOffsets,
        /// Corruption below a synced position is treated as a torn tail.
        CorruptionAsTail,
        /// A duplicate of an uncommitted batch is answered at once.
        DuplicateBeforeCommit,
        /// Duplicates aren't recognised.
        ForgetSequences,
        /// Producer state isn't rebuilt when an uncommitted batch is cut off.
        ProducersSurviveTruncation,
        /// The leader stamps offsets from its commit instead of its log end after an election.
        OffsetsFromCommit,
        /// Blocks are served without verification.
        SkipVerification,
        /// A write-ahead log file is recycled before its segments are synced.
        RecycleBeforeSync,
        /// The checksum of a record in the write-ahead log isn't seeded with its generation.
        UnseededChecksum,
        /// A checkpoint leaves out votes.
        CheckpointWithoutVotes,
        /// A voter counts a learner or itself twice: a quorum of one in three.
        QuorumTooSmall,
        /// The high watermark goes back when a leader changes.
        HighWatermarkGoesBack,
        /// An answer for an older request of a connection may overtake.
        AnswersOutOfOrder,
        /// A new leader serves its log end as the high watermark before its no-op commits.
        NewLeaderGuessesHighWatermark,
        /// A failed sync is tried again and believed.
        RetryFailedSync,
        /// The files of dropped segments are removed before a checkpoint stops naming them.
        UnlinkBeforeCheckpoint,
        /// A follower answers for a snapshot before it is durable.
        AckBeforeInstalled,
        /// A snapshot isn't written to the write-ahead log.
        InstallNotLogged,
        /// A node that takes a snapshot of group 0 leaves the metadata in it.
        SnapshotWithoutMetadata,
        /// A start doesn't read the metadata that the checkpoint keeps.
        MetadataForgottenAtRestart,
        /// The metadata that is kept is said to be of a later entry than it is.
        MetadataKeptAhead,
        /// A snapshot leaves out what is known of idempotent producers.
        SnapshotWithoutProducers,
        /// A snapshot leaves out the offset that comes next.
        SnapshotWithoutOffset,
        /// A snapshot that is lost is never sent again.
        SnapshotNeverFails,
        /// A snapshot of a compacted log says that nothing lies in front of its first entry.
        SnapshotWithoutItsPrefix,
        /// A snapshot is taken once the first of its records are there.
        ImportCutShort,
        /// A snapshot is taken before its records are synced.
        InstalledBeforeSync,
        /// A checkpoint leaves out where a log starts.
        StartNotCheckpointed,
        /// DeleteRecords is answered before its entry is committed.
        StartBeforeCommit,
        /// Fetch serves what lies before the start.
        FetchBelowStart,
        /// A start takes for durable what it reads, even after a failed sync.
        TrustPageCache,
        /// A coordinator answers as soon as it has decided.
        GroupAnswerBeforeCommit,
        /// A question for offsets is answered with what isn't committed.
        UncommittedOffsetsShown,
        /// A deposed coordinator keeps what it replayed before it was committed.
        GroupsSurviveStepDown,
        /// A coordinator that leads again goes on where it was deposed.
        SoftSurvivesStepDown,
        /// A coordinator serves before it has replayed all that is committed.
        ServeBeforeLoaded,
        /// A coordinator serves before an entry of its own term is committed.
        ServeBeforeTermCommit,
        /// A coordinator that begins anew doesn't read its log again from the start.
        ForgetKeepsPosition,
        /// Silent members stay in their groups.
        SessionForgotten,
        /// A rebalance doesn't make a new generation.
        GenerationNotBumped,
        /// A member is given a partition that another one hasn't given up.
        GivenBeforeReleased,
        /// Compaction takes away the last record of some keys.
        CompactionDropsLast,
        /// Segments are replaced by such as aren't on disk yet.
        SwitchBeforeSync,
        /// Compaction takes markers of deleted keys away at once.
        TombstoneTooEarly,
        /// A start forgets who belongs to a group, where the log after the checkpoint says so.
        ConfigurationForgottenAtRestart,
        /// Voters change at once, without a joint configuration.
        VotersChangedAtOnce,
        /// A replica that is made again on a node is the same member as the one before.
        IncarnationNotBumped,
        /// A replica is removed as soon as it is asked for.
        RemovedBeforeItsGroupLetGo,
        /// Leaders are given to replicas that aren't the preferred ones.
        BalanceTakesTheLast,
        /// A node that was full once is sent no more records.
        FullForEver,
        /// The replica that takes the place of a damaged one is the same member.
        RenewedAsTheSame,
        /// Damage that is found while a node runs is left alone.
        DamageLeftAlone,
        /// Idempotent producers are forgotten as soon as somebody looks for silent ones.
        ExpiredTooEarly,
        /// A survivor that goes on alone leaves those that are lost their votes.
        SurvivorKeepsOthersVotes,
        /// A survivor that goes on alone does so in the next term, as in any election.
        SurvivorKeepsItsTerm,
        /// A replica goes on alone because somebody asks for it, though a majority is heard.
        UncleanWhileMajorityLives,
        /// A node with replicas is forgotten as if it had none.
        UnregisteredWithReplicas,
        /// A node that joined takes itself for one that formed the cluster.
        JoinsAsFounder,
        /// Replicas that are lost are the same members when they come back.
        LostKeepTheirPlaces,
        /// Others that are left keep their replicas of partitions that go on with one.
        OthersThatAreLeftKeepTheirs,
        /// After a recovery ids of groups go on where the survivor's metadata ends.
        GroupIdsGivenAgain,
        /// A recovery ends before it is on record who is lost.
        RecoveredBeforeOnRecord,
        /// A fetch session leaves out records of a partition of which nothing else is news.
        SessionLeavesOutRecords,
    }
}

names! {
    /// A rare branch that a long simulation must have been through.
    Mark {
        /// Entries were cut off after a conflict.
        Truncated,
        /// A batch went to its segment only.
        DirectBatch,
        /// A write-ahead log file was recycled.
        WalRecycled,
        /// A checkpoint was written.
        Checkpointed,
        /// Everything that a checkpoint relies on was synced in one go.
        SyncedAtOnce,
        /// Recovery cut a torn tail.
        TornTail,
        /// Recovery found corruption below a synced position.
        WalCorruption,
        /// A read found a block whose checksum is wrong.
        BlockCorruption,
        /// A segment was rolled.
        SegmentRolled,
        /// A leader stepped down for want of a quorum.
        SteppedDown,
        /// A campaign was started because a leader node fell silent.
        Campaigned,
        /// A group became quiet.
        BecameQuiet,
        /// A quiet group was woken.
        Woken,
        /// A follower was sent entries from files.
        ColdCatchUp,
        /// A duplicate was answered with its first offset.
        DuplicateAnswered,
        /// An out-of-order sequence was refused.
        SequenceRefused,
        /// A duplicate waited for the commit of the first.
        DuplicateWaited,
        /// Data was refused for want of room.
        DiskFullRefused,
        /// A sync failed and the node stopped.
        SyncFailed,
        /// A fetch waited for data and was woken by a commit.
        FetchParked,
        /// A fetch was answered empty between high watermark and log end.
        FetchAboveHighWatermark,
        /// A read was served from files.
        ColdRead,
        /// A read was served from memory.
        HotRead,
        /// A command was forwarded to the controller.
        Forwarded,
        /// A command was sent to the next controller, for the one that was asked didn't lead any more.
        ControllerAskedAgain,
        /// A topic was created.
        TopicCreated,
        /// A topic was deleted.
        TopicDeleted,
        /// Entries were turned away because the disk hadn't taken those before.
        AppendTurnedAway,
        /// A leader sends a follower no batches, whose disk is full.
        BatchesWithheld,
        /// A leader refused records because others' disks are full.
        RefusedForOthersRoom,
        /// A node was taken for alive for the bytes of a frame that wasn't whole.
        HeardByBytes,
        /// A leader went on without answers, for what it asks is long on its way.
        QuorumCheckExcused,
        /// An election was lost or refused.
        VoteRefused,
        /// A produce was held while it wasn't known who leads.
        AppendHeld,
        /// A follower diverged and was told so.
        Diverged,
        /// A coordinator of groups began to serve.
        CoordinatorServes,
        /// A coordinator that had replayed what wasn't committed began anew from the log.
        CoordinatorForgot,
        /// A coordinator read its log from files.
        CoordinatorLoads,
        /// A coordinator's answer waited for the commit of what was decided before it.
        GroupAnswerWaited,
        /// A coordinator's answer was confirmed by a quorum.
        GroupAnswerConfirmed,
        /// The start of a log moved.
        StartMoved,
        /// A segment went from the front of a log.
        SegmentDropped,
        /// An idempotent producer was silent for long and is forgotten.
        ProducerExpired,
        /// Retention asked for a later start.
        Retained,
        /// A segment could not go because a replica doesn't have it.
        HeldByReplica,
        /// DeleteRecords moved a start.
        RecordsDeleted,
        /// A leader logged what may be compacted.
        CompactionAsked,
        /// Segments were replaced by compacted ones.
        Compacted,
        /// A follower that is far behind waited for the bound on what is read for such.
        CatchUpWaited,
        /// A follower was sent a snapshot.
        SnapshotSent,
        /// A snapshot took the place of a log.
        SnapshotInstalled,
        /// A snapshot took the place of a log with entries.
        SnapshotReplaced,
        /// A snapshot was given up and the follower asked again.
        SnapshotFailed,
        /// A follower began to fetch the records of a snapshot.
        SnapshotFetched,
        /// A snapshot with records took the place of a log.
        SnapshotWithRecords,
        /// Records of a snapshot were asked for again.
        SnapshotAskedAgain,
        /// A snapshot's records were fetched in vain: another leader, another term, another log.
        SnapshotAborted,
        /// A leader had other records by the time that a follower asked for those of its snapshot.
        SnapshotGone,
        /// A rewrite waited until a follower has what it would rewrite.
        CompactionWaited,
        /// A new replica began as a learner.
        LearnerAdded,
        /// What led to the metadata went from group 0's log.
        MetadataShortened,
        /// A node took the metadata as a snapshot.
        MetadataInstalled,
        /// Other nodes were to vote on metadata.
        ControllersChanged,
        /// A group had two electorates.
        BecameJoint,
        /// The voters before had no say any more.
        JointLeft,
        /// A leader that its group is to do without handed over.
        LeaderMovedAway,
        /// A reassignment came to its end.
        Reassigned,
        /// A word came that a group had arrived where nobody wants it any more.
        LateArrival,
        /// A reassignment was taken back.
        ReassignmentCancelled,
        /// A replica that its group does without was removed.
        ReplicaRemoved,
        /// A node got a replica of a group of which it had one before.
        ReplicaReturned,
        /// A leader was asked to hand over to the replica that is named first.
        LeaderAskedBack,
        /// A damaged replica gave its place to a new one.
        ReplicaRenewed,
        /// Damage was found by the slow look at everything.
        DamageFound,
        /// A leader was told by a follower that it stands aside.
        StoodAside,
        /// A follower's piece was the same on its leader.
        PieceCompared,
        /// A node was taken into a cluster that runs.
        NodeTakenIn,
        /// A node without replicas was forgotten.
        NodeUnregistered,
        /// A node that is lost with its replicas was forgotten.
        NodeGivenUp,
        /// A partition was to go on without its majority.
        UncleanElection,
        /// A replica made itself the only one with a say.
        WentOnAlone,
        /// Metadata went on without most of those who voted on it.
        Recovered,
        /// That was interrupted, and done again.
        RecoveryInterrupted,
        /// Of several nodes that were left, the one with the latest metadata went on.
        LatestMetadataChosen,
        /// With them it was lost that a topic had been made.
        TopicLost,
        /// With them all replicas of a partition were lost.
        PartitionForsaken,
    }
}

#[cfg(feature = "probe")]
mod live {
    use super::{Bug, Mark};
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static MARKS: RefCell<BTreeMap<Mark, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Plants a bug in this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// True where the bug is to act.
    pub fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Counts a mark.
    pub fn mark(mark: Mark) {
        MARKS.with_borrow_mut(|marks| *marks.entry(mark).or_insert(0) += 1);
    }

    /// Takes the counts since the last call.
    pub fn take_marks() -> BTreeMap<Mark, u64> {
        MARKS.take()
    }
}

#[cfg(feature = "probe")]
pub use live::{mark, plant, planted, take_marks};

/// True where the bug is to act: never in this build.
#[cfg(not(feature = "probe"))]
#[inline(always)]
pub fn planted(_: Bug) -> bool {
    false
}

/// Counts a mark: nothing in this build.
#[cfg(not(feature = "probe"))]
#[inline(always)]
pub fn mark(_: Mark) {}

/// Plants a bug: nothing in this build.
#[cfg(not(feature = "probe"))]
pub fn plant(_: Option<Bug>) {}

/// The counts since the last call: always none in this build.
#[cfg(not(feature = "probe"))]
pub fn take_marks() -> std::collections::BTreeMap<Mark, u64> {
    std::collections::BTreeMap::new()
}
