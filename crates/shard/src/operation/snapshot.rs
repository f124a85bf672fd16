//! Snapshots: for a follower that needs entries which are gone from its leader's log.
//!
//! A snapshot stands for everything before the first entry that the leader has; what comes after is
//! sent as ever. It says where the log begins ([`log::Origin`]), and what is known of idempotent
//! producers, which can't be had from entries that are gone. That is as of what the leader has
//! committed, a little later than the rest, and says so. Of a compacted log there are records in front
//! of that entry: the message says which, and the follower fetches them (`import.rs`) before its
//! group hears of the snapshot.
//!
//! One of group 0 carries the metadata, and stands for all that its leader has applied: its log goes on
//! where the metadata ends, whatever else the leader still has. So the end of a node's log says how much
//! of the metadata it has, also when it has to go on alone. There are no records in front of it, and no
//! producers.
//!
//! The follower takes it with one record of its write-ahead log, and answers once that is
//! durable. Until then it is what it was.

use crate::Shard;
use crate::producers::Producers;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, Member, NodeId, RaftIndex, limits, mark, planted};
use bytes::Bytes;
use consensus::{Install, Message};
use log::{Origin, Prefix};
use meta::{Defaults, Meta};

/// The layout of a snapshot's data between nodes.
const FORMAT: u8 = 1;

/// The same with records in front of the first entry, which are fetched (`import.rs`).
const FORMAT_WITH_RECORDS: u8 = 2;

/// That of group 0: the metadata in the place of what is known of producers.
const FORMAT_OF_METADATA: u8 = 3;

/// What a snapshot says of the records in front of the first entry.
#[derive(Clone, Copy)]
pub(crate) struct Records {
    pub(crate) about: Prefix,
    /// Bytes of them on the leader.
    pub(crate) bytes: u64,
}

/// What a snapshot says.
pub(crate) struct Contents {
    pub(crate) origin: Origin,
    pub(crate) prefix: Option<Records>,
    /// What is known of producers, and the entry that it stands for.
    producers: Bytes,
    /// The metadata, of group 0.
    metadata: Option<Bytes>,
    as_of: RaftIndex,
}

impl Contents {
    fn of(replica: &Replica) -> Option<Contents> {
        let producers = match planted(Bug::SnapshotWithoutProducers) {
            true => Bytes::new(),
            false => replica.producers.checkpoint(),
        };
        let prefix = replica.log.prefix().map(|about| Records {
            about,
            bytes: replica.log.prefix_bytes(),
        });
        Some(Contents {
            origin: replica.log.origin()?,
            prefix: prefix.filter(|_| !planted(Bug::SnapshotWithoutItsPrefix)),
            producers,
            metadata: None,
            as_of: replica.producers.as_of(),
        })
    }

    /// The same of group 0; none while what is applied is behind what is committed.
    fn of_metadata(replica: &Replica, metadata: Bytes, applied: RaftIndex) -> Option<Contents> {
        let (committed, next_offset) = replica.high;
        if applied != committed {
            return None;
        }
        Some(Contents {
            origin: replica.log.origin_after(applied, next_offset)?,
            prefix: None,
            producers: Bytes::new(),
            metadata: Some(metadata),
            as_of: applied,
        })
    }

    fn encode(&self) -> Bytes {
        let mut out = vec![match (&self.metadata, &self.prefix) {
            (Some(_), _) => FORMAT_OF_METADATA,
            (None, None) => FORMAT,
            (None, Some(_)) => FORMAT_WITH_RECORDS,
        }];
        out.extend_from_slice(&self.as_of.0.to_be_bytes());
        self.origin.put(&mut out);
        if let Some(records) = &self.prefix {
            records.about.put(&mut out);
            out.extend_from_slice(&records.bytes.to_be_bytes());
        }
        out.extend_from_slice(self.metadata.as_ref().unwrap_or(&self.producers));
        out.into()
    }

    pub(crate) fn decode(data: &[u8]) -> Option<Contents> {
        let (format, rest) = data.split_first()?;
        let (as_of, rest) = rest.split_first_chunk()?;
        let (origin, rest) = Origin::take(rest)?;
        let owned = Bytes::copy_from_slice;
        let (prefix, producers, metadata) = match *format {
            FORMAT => (None, owned(rest), None),
            FORMAT_WITH_RECORDS => {
                let (about, rest) = Prefix::take(rest)?;
                let (bytes, rest) = rest.split_first_chunk()?;
                let bytes = u64::from_be_bytes(*bytes);
                (Some(Records { about, bytes }), owned(rest), None)
            }
            FORMAT_OF_METADATA => (None, Bytes::new(), Some(owned(rest))),
            _ => return None,
        };
        let contents = Contents {
            origin,
            prefix,
            producers,
            metadata,
            as_of: RaftIndex(u64::from_be_bytes(*as_of)),
        };
        (contents.as_of >= contents.origin.index).then_some(contents)
    }

    fn producers(&self) -> Option<Producers> {
        Producers::restore(&self.producers, self.as_of)
    }
}

/// What is to be done with a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SnapshotKind {
    /// It doesn't add up, and the group would believe it.
    Unsound,
    /// It is for the group.
    Whole,
    /// The records that it stands for are to be fetched before the group may see it.
    WithRecords,
}

/// What is to be done with a message that is a snapshot. One that the group takes for news of a
/// commit only needs no records.
pub(crate) fn kind_of_snapshot(replica: &Replica, message: &Message) -> SnapshotKind {
    let contents = Contents::decode(message.snapshot_data());
    let sound = contents.filter(|contents| {
        let metadata = contents.metadata.as_ref();
        let readable = |bytes: &Bytes| Meta::restore(Defaults::default(), bytes).is_ok();
        metadata.is_some() == (replica.id == GroupId::META)
            && metadata.is_none_or(readable)
            && Some(contents.origin.index) == message.snapshot()
            && contents.producers().is_some()
    });
    match sound {
        None => SnapshotKind::Unsound,
        Some(c) if c.prefix.is_some() && replica.group.would_install(message) => {
            SnapshotKind::WithRecords
        }
        Some(_) => SnapshotKind::Whole,
    }
}

impl Shard {
    /// Fills a snapshot in that the group wants to send. False if there is none to be had.
    pub(crate) fn fill_snapshot(&mut self, replica: &mut Replica, message: &mut Message) -> bool {
        let Some(index) = message.snapshot() else {
            return true;
        };
        // Records in front of the first entry take room, which the follower hasn't.
        let waits =
            replica.log.prefix().is_some() && replica.group.withheld().contains(&message.to());
        let contents = match replica.id == GroupId::META {
            true => {
                let (metadata, applied) = self.controller.snapshot();
                let contents = Contents::of_metadata(replica, metadata, applied);
                contents.filter(|c| c.origin.index >= index)
            }
            // The group may be a little behind its log, until it has applied what it knows as committed.
            false if waits => None,
            false => Contents::of(replica).filter(|c| c.origin.index == index),
        };
        let Some(contents) = contents else {
            replica.group.snapshot_failed(message.to());
            return false;
        };
        mark(Mark::SnapshotSent);
        self.stats.snapshots_sent += 1;
        message.set_snapshot(contents.origin.index, contents.origin.term());
        message.set_snapshot_data(contents.encode());
        let (to, now) = (message.to(), self.now.mono);
        replica.snapshots.insert(to, now);
        replica.untaken.entry(to).or_insert(now);
        true
    }

    pub(crate) fn note_unsound(&mut self, from: NodeId, group: GroupId) {
        self.alarm(format!(
            "a snapshot of group {group} from node {from} was dropped: it can't be read"
        ));
    }

    /// The log begins anew where a leader says, and what is derived from it too.
    pub(crate) fn install(&mut self, replica: &mut Replica, install: &Install) {
        let contents = Contents::decode(&install.data);
        let contents = contents.expect("what the group was handed was read before");
        let producers = contents.producers().expect("read before too");
        let (origin, as_of) = (contents.origin, contents.as_of);
        assert_eq!(origin.term(), install.term, "it is the entry's own term");
        mark(Mark::SnapshotInstalled);
        if replica.log.last_index() > RaftIndex(0) {
            mark(Mark::SnapshotReplaced);
        }
        self.stats.snapshots_installed += 1;
        self.note(format!(
            "group {} begins anew after entry {}, at offset {}: this node was away while the others \
             removed what lies before",
            replica.id, origin.index, origin.next_offset
        ));
        self.unsettle(replica, origin.index.next());
        replica.settled = origin.index;
        replica.high = (origin.index, origin.next_offset);
        if let Some(coordinator) = &mut replica.coordinator
            && coordinator.applied < origin.next_offset
        {
            // What it has not replayed is gone; what is left says it all.
            coordinator.forget();
        }
        replica.producers = producers;
        replica.configuration = install.configuration.clone();
        if let Some(metadata) = &contents.metadata
            && !planted(Bug::SnapshotWithoutMetadata)
        {
            mark(Mark::MetadataInstalled);
            let defaults = self.settings.defaults.clone();
            let read = self.controller.restore(defaults, metadata, as_of);
            assert!(read, "it was read before");
        }
        let app = self.keep(replica).concat().into();
        let imported = contents.prefix.map(|_| {
            mark(Mark::SnapshotWithRecords);
            let imported = replica.imported.take();
            imported.expect("the group is handed a snapshot once its records are there")
        });
        replica
            .log
            .install(&mut self.turn, origin, imported, app, as_of);
        replica.next_offset = replica.log.end_offset();
        self.woken.extend(replica.parked.iter());
    }

    /// Looks after the snapshots that a leader has sent: one that isn't answered is given up.
    pub(crate) fn review_snapshots(&mut self, group: GroupId) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        if replica.snapshots.is_empty() {
            return;
        }
        let progress = replica.group.progress();
        let under_way =
            |member: &Member| progress.iter().any(|p| p.member == *member && p.snapshot);
        let ended = replica
            .snapshots
            .extract_if(.., |member, _| !under_way(member));
        for (member, _) in ended {
            replica.untaken.remove(&member);
        }
        let late = |sent: &base::Mono| now.since(*sent) >= limits::SNAPSHOT_PATIENCE;
        let late: Vec<Member> = replica
            .snapshots
            .iter()
            .filter(|(_, sent)| late(sent))
            .map(|(member, _)| *member)
            .collect();
        for member in late {
            replica.snapshots.remove(&member);
            replica.group.snapshot_failed(member);
        }
    }
}
