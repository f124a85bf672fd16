//! Every bound has a name, and its name is here. A bound that a user may set is a key of the
//! configuration with the value here as its default.

use std::time::Duration;

/// Longest name of a topic, as in Kafka.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Largest batch a topic accepts by default (`message.max.bytes`), as in Kafka.
pub const BATCH_BYTES_DEFAULT: u32 = 1_048_588;
/// Largest frame a Kafka client may send (`socket.request.max.bytes`), as in Kafka.
pub const REQUEST_BYTES_MAX: u32 = 100 * 1024 * 1024;
/// Largest frame between nodes.
pub const NODE_FRAME_BYTES_MAX: u32 = 256 * 1024 * 1024;
/// Most bytes of requests in flight over all connections of a node.
pub const REQUESTS_IN_FLIGHT_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of requests in flight that every connection has for itself, whatever others hold, and as many
/// of one that has not arrived whole: small requests never wait for large ones of others.
pub const REQUEST_FREE_BYTES: u64 = 64 * 1024;
/// Most bytes of records in answers that are read or wait to be written, over all connections of a
/// node. With none left a fetch is answered with its first batches only, which every connection may
/// have once.
pub const ANSWERS_IN_FLIGHT_BYTES: u64 = 256 * 1024 * 1024;
/// Most connections a node accepts.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Most requests of one connection that may wait for their answers.
pub const PIPELINE_MAX: usize = 64;
/// Most partitions that one request to read, write, ask for offsets or delete records may name: the
/// shard does all of them in one turn.
pub const PARTS_PER_CALL_MAX: usize = 100_000;
/// Partitions whose records one connection may wait for, over all its fetches: with so many no further
/// request of it is served before one of them is answered.
pub const FETCH_PARTS_WAITING_MAX: usize = 10_000;
/// How long a fetch waits at most for records, whatever it asks for. An empty answer is always right, and
/// the client asks again.
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);
/// Fetches that wait and of which one beat looks whether somebody still waits for them.
pub const FETCHES_REVIEWED_AT_ONCE: usize = 1_000;
/// How long a question for an offset by its time waits at most until what is committed can be searched.
pub const SEARCHABLE_WAIT: Duration = Duration::from_secs(10);
/// Most partitions one topic may have.
pub const PARTITIONS_PER_TOPIC_MAX: u32 = 10_000;
/// New partitions of one request, whatever topics they are of: they are placed and opened in one go.
pub const NEW_PARTITIONS_MAX: usize = 10_000;
/// Bytes of a block of a segment, the unit of the sparse index and of checksums on reads.
pub const BLOCK_BYTES: u32 = 64 * 1024;
/// Most bytes of memory that reads of blocks used and that is kept for the next ones.
pub const READ_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of memory that one rewrite of a compacted log notes keys in (`log.cleaner.dedupe.buffer.size`):
/// 32 a key. With more keys it takes several rewrites, each of which goes through what those before
/// it left, so what is too little makes it quadratic.
pub const COMPACTION_KEYS_BYTES: usize = 128 * 1024 * 1024;
/// Bytes that compaction reads and writes in a second (`log.cleaner.io.max.bytes.per.second`).
pub const COMPACTION_BYTES_PER_SECOND: u64 = 32 * 1024 * 1024;
/// Bytes that a rewrite reads in one step.
pub const COMPACTION_STEP_BYTES: u64 = 1024 * 1024;
/// Room that a rewrite leaves beside the reserve: what it and others may write until room is measured again.
pub const COMPACTION_AHEAD_BYTES: u64 = 64 * 1024 * 1024;
/// Time after which a rewrite that had no room is tried again, though there may still be less than all it
/// could write: what goes isn't known before.
pub const COMPACTION_RETRY: Duration = Duration::from_secs(3600);
/// Default size of a segment (`segment.bytes`), as in Kafka.
pub const SEGMENT_BYTES_DEFAULT: u32 = 1024 * 1024 * 1024;
/// Internal entries since the first batch of a segment after which the next batch begins another one: they
/// stay in memory, and in each checkpoint, for as long as the segment does.
pub const INTERNALS_PER_SEGMENT: usize = 1_000;
/// Batches at least this long skip the write-ahead log and are flushed in their segment.
pub const DIRECT_BATCH_BYTES: u32 = 256 * 1024;
/// What a batch in memory costs beside its bytes: its entry, its place in queues, allocations.
pub const HOT_BATCH_OVERHEAD: u64 = 512;
/// Most bytes of recent batches that a node keeps in memory for followers and consumers.
pub const HOT_TAIL_BYTES: u64 = 32 * 1024 * 1024;
/// Most bytes of batches that one group may have appended and not yet committed.
pub const UNCOMMITTED_GROUP_BYTES: u64 = 64 * 1024 * 1024;
/// Most bytes of batches that one node may have appended and not yet committed.
pub const UNCOMMITTED_NODE_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of batches that a node holds in memory because its disk hasn't taken them; beyond
/// that it neither appends nor takes what other leaders send.
pub const UNSETTLED_NODE_BYTES: u64 = 256 * 1024 * 1024;
/// Most payload bytes in one append message to a follower.
pub const APPEND_MESSAGE_BYTES: u64 = 1024 * 1024;
/// Entries that are sent in one append, if there are several.
pub const APPEND_PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// The largest batch of records that is taken, whatever a topic allows: it travels between nodes in one frame.
pub const BATCH_BYTES_MAX: u32 = NODE_FRAME_BYTES_MAX / 2;
/// A node reads more than its bound (`replica.catch.up.bytes.per.second`) for followers that are far
/// behind if it takes more itself: so many times as much as it took meanwhile, or who is behind would
/// stay behind.
pub const CATCH_UP_AHEAD: u64 = 2;
/// Append messages to one follower of one group that may be on their way.
pub const APPEND_MESSAGES_IN_FLIGHT: usize = 64;
/// Most bytes past their retention that a group keeps for replicas that lack them. A replica that is
/// away for longer gets a snapshot, which costs next to nothing: what it lacks is not read any more.
pub const REMOVAL_HELD_BYTES: u64 = 64 * 1024 * 1024;
/// How long a leader waits for the answer to a snapshot before it asks the follower again.
pub const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing is removed for the sake of a follower that was sent a snapshot and does nothing
/// with it: its disk may be full.
pub const SNAPSHOT_HELD_FOR: Duration = Duration::from_secs(30);
/// How long a follower waits for a piece of a snapshot's records before it asks again.
pub const PREFIX_PATIENCE: Duration = Duration::from_millis(500);
/// How often a node speaks to each peer at least.
pub const NODE_HEARTBEAT: Duration = Duration::from_millis(100);
/// How often that is in a second.
pub const BEATS_A_SECOND: u64 = 1_000 / NODE_HEARTBEAT.as_millis() as u64;
/// A leader node silent for this long and a seeded part of [`ELECTION_JITTER`] is presumed lost.
pub const LEADER_SILENCE: Duration = Duration::from_millis(400);
/// The width of the seeded jitter on elections.
pub const ELECTION_JITTER: Duration = Duration::from_millis(200);
/// How often a leader with something outstanding checks that a quorum still answers it; two of
/// these without a quorum and it steps down.
pub const QUORUM_CHECK: Duration = Duration::from_millis(300);
/// How long a produce or a fetch waits at most for a leader that it can be sent to, when one is
/// being handed over or elected.
pub const LEADER_WAIT: Duration = Duration::from_millis(150);
/// How long whoever made a topic waits at most until its partitions have leaders.
pub const NEW_TOPIC_LEADER_WAIT: Duration = Duration::from_millis(500);
/// Most parts of produce requests that one group holds meanwhile.
pub const HELD_APPENDS_MAX: usize = 10_000;
/// Size of a segment of the controller's own log; of what is applied two segments stay.
pub const METADATA_SEGMENT_BYTES: u32 = 1024 * 1024;
/// Partitions without a majority for which the controller looks at once who of those that are left has
/// the most, where unclean elections are enabled.
pub const SURVIVORS_AT_ONCE: usize = 1_000;
/// Silence of a node after which the controller lets others go on without it, if somebody asks for that.
pub const SURELY_SILENT: Duration = Duration::from_secs(2);
/// Silence after which a majority counts as lost where unclean elections are enabled.
pub const UNCLEAN_PATIENCE: Duration = Duration::from_secs(10);
/// Terms that a replica which goes on without its majority leaves out: more than those that it can't
/// ask may have come to.
pub const TERMS_LEFT_OUT: u32 = 100_000;
/// Ends of logs that the controller remembers while it chooses who goes on without a majority.
pub const ENDS_MAX: usize = 100_000;
/// Times that each have [`TERMS_LEFT_OUT`] terms of their own; clients read terms as positive numbers
/// of 32 bits.
pub const TIMES_ALONE_MAX: u32 = 10_000;
/// Aims of partitions, and incarnations of their replicas, that are left out when metadata goes on
/// without its majority: more than facts that are lost may have given.
pub const AIMS_LEFT_OUT: u32 = 100_000;
/// Producer ids that are left out then: whoever was given one by a fact that is lost may still write with it.
pub const PRODUCER_IDS_LEFT_OUT: i64 = 1 << 30;
/// Ids of groups that are left out then: a node that knows of a lost fact may have a replica under one.
pub const GROUP_IDS_LEFT_OUT: u64 = 1 << 20;
/// Nodes that vote in the controller's own group; all others follow it.
pub const CONTROLLERS_MAX: usize = 5;
/// Successors that a damaged replica of a node gets within [`RENEWALS_WITHIN`]: a device that damages
/// what it is given isn't given the same again and again.
pub const RENEWALS_MAX: usize = 5;
/// The time in which those are counted.
pub const RENEWALS_WITHIN: Duration = Duration::from_secs(3600);
/// Leaders of replicas that stand aside on a node that it tells so with one beat.
pub const ASIDE_TOLD_AT_ONCE: usize = 1_000;
/// Groups whose directories the thread that writes the log makes in one go: some milliseconds.
pub const CREATED_AT_ONCE: usize = 64;
/// Groups that a node, as their leader, brings new replicas into at once.
pub const MOVES_AT_ONCE: usize = 8;
/// A new replica has caught up if it had all that was there so long ago: several times what a write takes
/// to a follower far away.
pub const LEARNER_LAG: Duration = Duration::from_secs(1);
/// Producer states one partition remembers at most (`max` bounds idempotent producers).
pub const PRODUCERS_PER_PARTITION_MAX: usize = 100_000;
/// Names of deleted topics that a node remembers, for producers that go on when they are made again.
pub const DELETED_NAMES_REMEMBERED: usize = 10_000;
/// Batches of one producer that one partition remembers for duplicates, as in Kafka.
pub const PRODUCER_BATCHES_REMEMBERED: usize = 5;
/// On a full disk it is looked so often at least what is past its retention.
pub const RETENTION_WHEN_FULL: Duration = Duration::from_secs(5);
/// Free bytes below which writes of data are refused, so that metadata stays writable.
pub const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Segment files a node keeps open at most.
pub const OPEN_FILES_DEFAULT: usize = 4096;
/// Most nodes, groups and subscriptions that have a configuration of their own.
pub const CONFIGURED_RESOURCES_MAX: usize = 100_000;
/// Most users, clients and addresses that have quotas.
pub const QUOTA_ENTITIES_MAX: usize = 10_000;
/// How long the first generation of an empty group waits for more members at least, whatever `group.initial.rebalance.delay.ms`
/// says. Clients that start together look for their coordinator in steps, librdkafka's of 50 ms; joins are answered
/// in a fraction of a millisecond, so without it who comes a step later waits until the first one's next heartbeat, 3 s.
pub const FIRST_JOINS_WAIT: Duration = Duration::from_millis(60);
/// How long the controller keeps a command of another node before it gives up.
pub const FORWARD_WAIT: Duration = Duration::from_secs(30);
/// Connections that are turned away a while after they came, at a time; those above it at once.
pub const CONNECTIONS_HELD_MAX: usize = 128;
