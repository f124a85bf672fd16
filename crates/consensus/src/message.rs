//! A Raft message with the batches that its entries stand for, and its layout inside a frame.
//!
//! Big-endian, fixed fields first. The receiver makes the descriptors anew from the batches, so
//! an entry costs its payload and a few bytes. Batches are laid into the frame as shared slices.

use crate::configure::member_of;
use crate::entry::{self, Body};
use crate::frame::{FrameError, Reader, Writer};
use base::{Batch, Member, RaftIndex, Term};
use bytes::Bytes;
use raft::eraftpb::{self, MessageType, Snapshot};

/// One message between the replicas of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub(crate) raft: eraftpb::Message,
    /// One body for each entry of the message.
    pub(crate) bodies: Vec<Body>,
}

/// Message kinds that travel, by their number in a frame. Numbers are never reused.
const KINDS: &[(u8, MessageType)] = &[
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgHeartbeat),
    (6, MessageType::MsgHeartbeatResponse),
    (7, MessageType::MsgTimeoutNow),
    (8, MessageType::MsgRequestPreVote),
    (9, MessageType::MsgRequestPreVoteResponse),
    (10, MessageType::MsgTransferLeader),
    (11, MessageType::MsgSnapshot),
];

const ENTRY_INTERNAL: u8 = 0;
const ENTRY_BATCH: u8 = 1;
/// An entry takes at least this many bytes, which bounds how many a count may claim.
const ENTRY_BYTES_MIN: usize = 9;
/// A node of a configuration.
const NODE_BYTES: usize = 8;

/// What the data of a snapshot begins with: the entry that said who belongs to the group.
const CONFIGURED_BYTES: usize = 8;
/// With this bit in that number the aim follows that the configuration was made for.
const AIM_FOLLOWS: u64 = 1 << 63;
const AIM_BYTES: usize = 4;

impl Message {
    /// Whom it is for.
    pub fn to(&self) -> Member {
        member_of(self.raft.to)
    }

    /// Whom it is from.
    pub fn from(&self) -> Member {
        member_of(self.raft.from)
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.raft.term
    }

    /// True for a message that only the leader of its term sends.
    pub fn is_from_leader(&self) -> bool {
        matches!(
            self.raft.get_msg_type(),
            MessageType::MsgAppend
                | MessageType::MsgHeartbeat
                | MessageType::MsgTimeoutNow
                | MessageType::MsgSnapshot
        )
    }

    /// True for a leader's message that brings entries.
    pub fn has_entries(&self) -> bool {
        !self.raft.entries.is_empty()
    }

    /// True if it brings records.
    pub fn has_batches(&self) -> bool {
        let is_batch = |body: &Body| matches!(body, Body::Batch(_));
        self.bodies.iter().any(is_batch)
    }

    /// The last entry that a snapshot stands for, if this is one.
    pub fn snapshot(&self) -> Option<RaftIndex> {
        let is_one = self.raft.get_msg_type() == MessageType::MsgSnapshot;
        is_one.then(|| RaftIndex(self.raft.get_snapshot().get_metadata().index))
    }

    /// What a snapshot says of everything up to its entry; empty as the group makes it.
    pub fn snapshot_data(&self) -> &[u8] {
        let prefix = Message::read_prefix(&self.raft.get_snapshot().data);
        prefix.map_or(&[], |(_, _, data)| data)
    }

    /// The entry that said who belongs to the group, and for which aim, as a snapshot names them.
    pub(crate) fn configured(snapshot: &Snapshot) -> (RaftIndex, u32) {
        let prefix = Message::read_prefix(&snapshot.data);
        prefix.map_or_else(Default::default, |(configured, aim, _)| (configured, aim))
    }

    pub(crate) fn data_of(snapshot: &Snapshot) -> Bytes {
        let prefix = Message::read_prefix(&snapshot.data);
        prefix.map_or_else(Bytes::new, |(_, _, data)| Bytes::copy_from_slice(data))
    }

    /// A snapshot stands for more than the group asked for: for all up to a later committed entry.
    pub fn set_snapshot(&mut self, last: RaftIndex, term: Term) {
        let about = self.raft.mut_snapshot().mut_metadata();
        (about.index, about.term) = (last.0, u64::from(term.0));
    }

    /// Fills in what a snapshot says.
    pub fn set_snapshot_data(&mut self, data: Bytes) {
        let snapshot = self.raft.mut_snapshot();
        let (configured, aim) = Message::configured(snapshot);
        let mut whole = Message::configured_prefix(configured, aim);
        whole.extend_from_slice(&data);
        snapshot.data = whole.into();
    }

    /// What the data of a snapshot begins with.
    pub(crate) fn configured_prefix(configured: RaftIndex, aim: u32) -> Vec<u8> {
        if aim == 0 {
            return configured.0.to_be_bytes().to_vec();
        }
        let configured = (configured.0 | AIM_FOLLOWS).to_be_bytes();
        [&configured[..], &aim.to_be_bytes()].concat()
    }

    /// The entry, the aim, and what follows; none if it isn't whole.
    fn read_prefix(data: &[u8]) -> Option<(RaftIndex, u32, &[u8])> {
        let (first, rest) = data.split_first_chunk::<CONFIGURED_BYTES>()?;
        let configured = u64::from_be_bytes(*first);
        if configured & AIM_FOLLOWS == 0 {
            return Some((RaftIndex(configured), 0, rest));
        }
        let (aim, rest) = rest.split_first_chunk::<AIM_BYTES>()?;
        let configured = RaftIndex(configured & !AIM_FOLLOWS);
        Some((configured, u32::from_be_bytes(*aim), rest))
    }

    /// True for a message that may leave before anything is durable.
    pub(crate) fn promises_nothing(&self) -> bool {
        matches!(
            self.raft.get_msg_type(),
            MessageType::MsgHeartbeatResponse
                | MessageType::MsgRequestPreVote
                | MessageType::MsgRequestPreVoteResponse
        )
    }

    /// True for an answer to a heartbeat, which asks for nothing.
    pub fn is_heartbeat_answer(&self) -> bool {
        self.raft.get_msg_type() == MessageType::MsgHeartbeatResponse
    }

    /// Bytes of the batches, or of the snapshot, that it carries.
    pub fn payload_bytes(&self) -> u64 {
        self.bodies.iter().map(Body::bytes).sum::<u64>() + self.snapshot_data().len() as u64
    }

    /// Puts an append among `all` as several of about so many bytes at most, each of which follows on the one
    /// before: the crate glues all that a window has room for into one. Anything else as it is.
    pub(crate) fn in_pieces(self, most: u64, all: &mut Vec<Message>) {
        if self.bodies.len() < 2 || self.payload_bytes() <= most {
            return all.push(self);
        }
        let Message { mut raft, bodies } = self;
        let entries = std::mem::take(&mut raft.entries);
        let mut piece = Message {
            raft: raft.clone(),
            bodies: Vec::new(),
        };
        let mut bytes = 0;
        for (entry, body) in entries.into_iter().zip(bodies) {
            if !piece.bodies.is_empty() && bytes + body.bytes() > most {
                let next = Message {
                    raft: raft.clone(),
                    bodies: Vec::new(),
                };
                all.push(std::mem::replace(&mut piece, next));
                bytes = 0;
            }
            (raft.index, raft.log_term) = (entry.index, entry.term);
            bytes += body.bytes();
            piece.raft.entries.push(entry);
            piece.bodies.push(body);
        }
        all.push(piece);
    }

    /// True for a refused vote.
    pub fn is_vote_refusal(&self) -> bool {
        self.raft.reject
            && matches!(
                self.raft.get_msg_type(),
                MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse
            )
    }

    /// Makes an append that any log accepts: a planted bug.
    pub(crate) fn forget_what_comes_before(&mut self, index: u64, term: u64) {
        if self.raft.get_msg_type() == MessageType::MsgAppend && self.raft.index <= index {
            self.raft.log_term = term;
        }
    }

    /// True if a replica that it names isn't one that its group began with.
    pub(crate) fn is_wide(&self) -> bool {
        self.to().incarnation > 0 || self.from().incarnation > 0
    }

    pub(crate) fn encode(&self, wide: bool, out: &mut Writer) {
        let m = &self.raft;
        let kind = KINDS.iter().find(|(_, t)| *t == m.get_msg_type());
        let (kind, _) = kind.expect("only messages of the table are sent to other nodes");
        out.u8(*kind);
        out.u8(u8::from(m.reject));
        for id in [m.to, m.from] {
            match wide {
                true => out.u64(id),
                false => out.u32(id as u32),
            }
        }
        for field in [
            m.term,
            m.log_term,
            m.index,
            m.commit,
            m.commit_term,
            m.reject_hint,
        ] {
            out.u64(field);
        }
        out.bytes(&m.context);
        out.u32(self.bodies.len() as u32);
        for (entry, body) in m.entries.iter().zip(&self.bodies) {
            out.u32(entry.term as u32);
            match body {
                Body::Internal(data) => {
                    out.u8(ENTRY_INTERNAL);
                    out.bytes(data);
                }
                Body::Batch(batch) => {
                    out.u8(ENTRY_BATCH);
                    out.batch(batch);
                }
            }
        }
        if self.snapshot().is_some() {
            encode_snapshot(m.get_snapshot(), out);
        }
    }

    pub(crate) fn decode(r: &mut Reader, wide: bool) -> Result<Message, FrameError> {
        let mut m = eraftpb::Message::default();
        let kind = r.u8()?;
        let known = KINDS
            .iter()
            .find(|(k, _)| *k == kind)
            .ok_or(FrameError::Malformed("kind"))?;
        m.set_msg_type(known.1);
        m.reject = r.u8()? != 0;
        let mut id = || match wide {
            true => r.u64(),
            false => r.u32().map(u64::from),
        };
        (m.to, m.from) = (id()?, id()?);
        m.term = r.u64()?;
        if m.term > i32::MAX as u64 {
            return Err(FrameError::Malformed("term"));
        }
        m.log_term = r.u64()?;
        m.index = r.u64()?;
        m.commit = r.u64()?;
        m.commit_term = r.u64()?;
        m.reject_hint = r.u64()?;
        m.context = r.bytes()?;
        let count = r.count(ENTRY_BYTES_MIN)?;
        let mut bodies = Vec::with_capacity(count);
        let mut entries = Vec::with_capacity(count);
        for i in 0..count {
            let term = Term(r.u32()?);
            let body = match r.u8()? {
                ENTRY_INTERNAL => Body::Internal(r.bytes()?),
                ENTRY_BATCH => Body::Batch(checked(r.batch()?, term)?),
                _ => return Err(FrameError::Malformed("entry kind")),
            };
            let index = m
                .index
                .checked_add(1 + i as u64)
                .ok_or(FrameError::Malformed("index"))?;
            entries.push(entry::entry_of(
                RaftIndex(index),
                term,
                entry::describe(&body),
            ));
            bodies.push(body);
        }
        m.entries = entries.into();
        if known.1 == MessageType::MsgSnapshot {
            m.set_snapshot(decode_snapshot(r)?);
        }
        Ok(Message { raft: m, bodies })
    }
}

fn encode_snapshot(snapshot: &Snapshot, out: &mut Writer) {
    let about = snapshot.get_metadata();
    out.u64(about.index);
    out.u64(about.term);
    let conf = about.get_conf_state();
    let parts = [
        &conf.voters,
        &conf.learners,
        &conf.voters_outgoing,
        &conf.learners_next,
    ];
    for nodes in parts {
        out.u32(nodes.len() as u32);
        nodes.iter().for_each(|node| out.u64(*node));
    }
    out.u8(u8::from(conf.auto_leave));
    out.bytes(&snapshot.data);
}

fn decode_snapshot(r: &mut Reader) -> Result<Snapshot, FrameError> {
    let mut snapshot = Snapshot::default();
    let about = snapshot.mut_metadata();
    about.index = r.u64()?;
    about.term = r.u64()?;
    if about.index == 0 || about.term == 0 || about.term > i32::MAX as u64 {
        return Err(FrameError::Malformed("snapshot"));
    }
    let mut parts = [const { Vec::new() }; 4];
    for nodes in &mut parts {
        let count = r.count(NODE_BYTES)?;
        for _ in 0..count {
            nodes.push(r.u64()?);
        }
    }
    let conf = about.mut_conf_state();
    [
        conf.voters,
        conf.learners,
        conf.voters_outgoing,
        conf.learners_next,
    ] = parts;
    conf.auto_leave = r.u8()? != 0;
    snapshot.data = r.bytes()?;
    if Message::read_prefix(&snapshot.data).is_none() {
        return Err(FrameError::Malformed("snapshot"));
    }
    Ok(snapshot)
}

/// A batch as another node sent it: whole by Kafka's checksum, and stamped with its entry's term.
fn checked(batch: Batch, term: Term) -> Result<Batch, FrameError> {
    batch
        .verify()
        .map_err(|_| FrameError::Malformed("batch checksum"))?;
    if i64::from(batch.header().leader_epoch) != i64::from(term.0) {
        return Err(FrameError::Malformed("batch epoch"));
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(sizes: &[usize]) -> Message {
        let mut raft = eraftpb::Message::default();
        (raft.index, raft.log_term, raft.commit) = (10, 3, 7);
        let mut bodies = Vec::new();
        for (nth, size) in (0..).zip(sizes) {
            let entry = eraftpb::Entry {
                index: 11 + nth,
                term: 4 + nth,
                ..Default::default()
            };
            raft.entries.push(entry);
            bodies.push(Body::Internal(Bytes::from(vec![0; *size])));
        }
        Message { raft, bodies }
    }

    #[test]
    fn the_pieces_of_an_append_follow_on_each_other() {
        let in_pieces = |message: Message| {
            let mut all = Vec::new();
            message.in_pieces(100, &mut all);
            all
        };
        let pieces = in_pieces(append(&[40, 60, 1, 200, 5]));
        let what = |piece: &Message| {
            let indexes: Vec<u64> = piece.raft.entries.iter().map(|e| e.index).collect();
            assert_eq!(piece.bodies.len(), indexes.len());
            (piece.raft.index, piece.raft.log_term, indexes)
        };
        let pieces: Vec<_> = pieces.iter().map(what).collect();
        let expected = [
            (10, 3, vec![11, 12]),
            (12, 5, vec![13]),
            (13, 6, vec![14]),
            (14, 7, vec![15]),
        ];
        assert_eq!(pieces, expected);
        for whole in [append(&[]), append(&[500]), append(&[50, 50])] {
            assert_eq!(in_pieces(whole.clone()), [whole]);
        }
    }
}
