//! What one node sends another in one piece: who leads what, messages of any number of groups,
//! and calls to the controller. A frame leaves at the end of a turn, and at least every
//! [`base::limits::NODE_HEARTBEAT`].
//!
//! Layout: checksum and length of the first part; the first part, with everything but the bodies
//! of batches; the bodies, in order. Bodies carry Kafka's checksum, and the headers that the leader
//! stamps lie in the first part, so no byte goes unsummed. A frame that doesn't add up is dropped.

use crate::message::Message;
use crate::prefix::{PrefixAsk, PrefixPiece};
use crate::room::Room;
use crate::sum::{SumAsk, Verdict};
use base::batch::{BatchHeader, HEADER_BYTES};
use base::checksum::crc32c;
use base::{Batch, GroupId, NodeId, RaftIndex, Term};
use bytes::Bytes;

/// The layout's version; another one is refused. The second has room for incarnations of replicas in
/// messages, and is used only where there are any: nodes of older releases read the first.
const VERSION: u8 = 1;
const VERSION_WIDE: u8 = 2;
/// Checksum and length of the first part.
const PREFIX_BYTES: usize = 8;
/// Bodies at least this long are shared, not copied, into a frame.
const SHARE_BYTES_MIN: usize = 1024;

/// Why a frame was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Cut off.
    #[error("the frame is cut off")]
    Short,
    /// A field that can't be.
    #[error("the frame's {0} is malformed")]
    Malformed(&'static str),
    /// The sum doesn't match.
    #[error("the frame's checksum does not match")]
    Checksum,
}

/// What a node says of a group that it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Led {
    /// It doesn't lead it any more.
    Gone,
    /// It leads it in this term.
    Leads {
        /// The term.
        term: Term,
        /// All replicas have everything and know it: no heartbeats are sent for it.
        quiet: bool,
        /// Nodes whose replica is not in sync.
        behind: Vec<NodeId>,
    },
}

/// What changed in the set of groups that a node leads.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LedDelta {
    /// The version that this builds on; 0: forget everything before.
    pub from: u64,
    /// The version it leads to.
    pub to: u64,
    /// Groups and what is said of them.
    pub changes: Vec<(GroupId, Led)>,
}

/// One thing in a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A Raft message of a group.
    Raft(GroupId, Message),
    /// "You say that you lead this group in this term; I know of a later one."
    Disown(GroupId, Term),
    /// "Hand this group over to that node, if you lead it."
    HandOver(GroupId, NodeId),
    /// A command for the controller.
    Forward {
        /// The sender's name for it.
        ticket: u64,
        /// The command, encoded by its machine.
        command: Bytes,
    },
    /// The controller's answer.
    Answer {
        /// The asker's name for it.
        ticket: u64,
        /// Visible once this entry of group 0 is applied.
        index: RaftIndex,
        /// The answer, encoded by its machine; none if this node isn't the controller.
        reply: Option<Bytes>,
    },
    /// A follower asks for records that a snapshot of this group stands for.
    AskPrefix(GroupId, PrefixAsk),
    /// Its leader's answer.
    Prefix(GroupId, PrefixAsk, PrefixPiece),
    /// A follower compares a part of its log with its leader's.
    AskSum(GroupId, SumAsk),
    /// The leader's answer.
    Sum(GroupId, SumAsk, Verdict),
    /// "My replica of this group, which has this incarnation, stands aside: it neither takes entries
    /// nor votes." Said to the group's leader, which wouldn't see it as long as nothing happens.
    Aside(GroupId, u32),
    /// "Where does your log of this group end?"
    AskEnd(GroupId),
    /// The answer: the term of the last entry, and its index; zeros if there is none, or none that counts.
    End(GroupId, Term, RaftIndex),
    /// What the sender's disk still takes, and how many bytes are free.
    Room(Room, u64),
    /// "What you sent before your last beat is still on its way in: so many bytes came since I said so."
    Coming(u64),
}

/// What a node has heard of another one: its start, the version of its led set, its heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// Its start.
    pub boot: u64,
    /// The version of the set of groups that it leads.
    pub led: u64,
    /// Its heartbeats when it last spoke. Tells how old a frame is that comes late.
    pub beat: u64,
}

/// One piece between two nodes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Frame {
    /// The sender's start.
    pub boot: u64,
    /// The sender's heartbeats so far.
    pub beat: u64,
    /// What the sender has heard of the receiver.
    pub seen: Seen,
    /// News of the groups that the sender leads.
    pub led: Option<LedDelta>,
    /// The rest.
    pub items: Vec<Item>,
}

const ITEM_RAFT: u8 = 1;
const ITEM_DISOWN: u8 = 2;
const ITEM_FORWARD: u8 = 3;
const ITEM_ANSWER: u8 = 4;
const ITEM_HAND_OVER: u8 = 5;
const ITEM_ASK_PREFIX: u8 = 6;
const ITEM_PREFIX: u8 = 7;
const ITEM_ASK_SUM: u8 = 50;
const ITEM_SUM: u8 = 51;
const ITEM_ASIDE: u8 = 52;
const ITEM_ASK_END: u8 = 53;
const ITEM_END: u8 = 54;
const ITEM_ROOM: u8 = 55;
const ITEM_COMING: u8 = 56;
/// What a kind of item that isn't known comes to.
const UNKNOWN_ITEM: FrameError = FrameError::Malformed("item kind");
/// Bytes of one change of a led set.
const CHANGE_BYTES: usize = 13;
/// The least bytes of who is behind in one of them.
const BEHIND_BYTES_MIN: usize = 8;
/// Bytes of a node's number.
const NODE_BYTES: usize = 4;
/// The least bytes of an item.
const ITEM_BYTES_MIN: usize = 9;

impl Item {
    /// Bytes of the batches, or of the snapshot, that it carries.
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Item::Raft(_, message) => message.payload_bytes(),
            Item::Prefix(_, _, piece) => piece.bytes(),
            _ => 0,
        }
    }

    /// In which of a frame's lists it stands: one for each release that added kinds. A frame with a
    /// kind that it doesn't know in the lists that it reads is dropped by a node of an earlier release,
    /// so what is newer stands behind all that, where such a node stops reading.
    fn list(&self) -> usize {
        match self {
            Item::AskSum(..) | Item::Sum(..) => 1,
            Item::Aside(..) => 2,
            Item::AskEnd(..) | Item::End(..) => 3,
            Item::Room(..) => 4,
            Item::Coming(_) => 5,
            _ => 0,
        }
    }
}

impl Frame {
    /// Lays it out. Large batch bodies stay shared slices.
    pub fn encode(&self) -> Vec<Bytes> {
        let mut out = Writer::default();
        let raft = |item: &Item| matches!(item, Item::Raft(_, message) if message.is_wide());
        let wide = self.items.iter().any(raft);
        out.u8(if wide { VERSION_WIDE } else { VERSION });
        out.u64(self.boot);
        out.u64(self.beat);
        out.u64(self.seen.boot);
        out.u64(self.seen.led);
        out.u64(self.seen.beat);
        out.u8(u8::from(self.led.is_some()));
        if let Some(led) = &self.led {
            out.u64(led.from);
            out.u64(led.to);
            out.u32(led.changes.len() as u32);
            for (group, state) in &led.changes {
                out.u64(group.0);
                let (tag, term) = match state {
                    Led::Gone => (0, Term(0)),
                    Led::Leads { term, quiet, .. } => (1 + u8::from(*quiet), *term),
                };
                out.u8(tag);
                out.u32(term.0);
            }
        }
        self.encode_list(0, wide, &mut out);
        if let Some(led) = &self.led {
            encode_behind(led, &mut out);
        }
        let last = self.items.iter().map(Item::list).max();
        for list in 1..=last.unwrap_or(0) {
            self.encode_list(list, wide, &mut out);
        }
        out.finish()
    }

    fn encode_list(&self, list: usize, wide: bool, out: &mut Writer) {
        let items = || self.items.iter().filter(|item| item.list() == list);
        out.u32(items().count() as u32);
        for item in items() {
            encode_item(item, wide, out);
        }
    }

    /// Reads it.
    pub fn decode(bytes: Bytes) -> Result<Frame, FrameError> {
        let mut r = Reader::checked(bytes)?;
        let wide = match r.u8()? {
            VERSION => false,
            VERSION_WIDE => true,
            _ => return Err(FrameError::Malformed("version")),
        };
        let boot = r.u64()?;
        let beat = r.u64()?;
        let seen = Seen {
            boot: r.u64()?,
            led: r.u64()?,
            beat: r.u64()?,
        };
        let mut led = match r.u8()? {
            0 => None,
            _ => Some(decode_led(&mut r)?),
        };
        let count = r.count(ITEM_BYTES_MIN)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(decode_item(&mut r, wide)?);
        }
        if let Some(led) = &mut led {
            decode_behind(led, &mut r)?;
        }
        'lists: while !r.is_empty() {
            for _ in 0..r.count(ITEM_BYTES_MIN)? {
                match decode_item(&mut r, wide) {
                    // Of a later release, as is all that stands behind it.
                    Err(UNKNOWN_ITEM) => break 'lists,
                    item => items.push(item?),
                }
            }
        }
        Ok(Frame {
            boot,
            beat,
            seen,
            led,
            items,
        })
    }
}

fn encode_item(item: &Item, wide: bool, out: &mut Writer) {
    match item {
        Item::Raft(group, message) => {
            out.kind(ITEM_RAFT, *group);
            message.encode(wide, out);
        }
        Item::Disown(group, term) => {
            out.kind(ITEM_DISOWN, *group);
            out.u32(term.0);
        }
        Item::HandOver(group, node) => {
            out.kind(ITEM_HAND_OVER, *group);
            out.u32(node.0);
        }
        Item::Forward { ticket, command } => {
            out.u8(ITEM_FORWARD);
            out.u64(*ticket);
            out.bytes(command);
        }
        Item::Answer {
            ticket,
            index,
            reply,
        } => {
            out.u8(ITEM_ANSWER);
            out.u64(*ticket);
            out.u64(index.0);
            out.u8(u8::from(reply.is_some()));
            out.bytes(reply.as_ref().unwrap_or(&Bytes::new()));
        }
        Item::AskPrefix(group, ask) => {
            out.kind(ITEM_ASK_PREFIX, *group);
            ask.encode(out);
        }
        Item::Prefix(group, ask, piece) => {
            out.kind(ITEM_PREFIX, *group);
            ask.encode(out);
            piece.encode(out);
        }
        Item::AskSum(group, ask) => {
            out.kind(ITEM_ASK_SUM, *group);
            ask.encode(out);
        }
        Item::Sum(group, ask, verdict) => {
            out.kind(ITEM_SUM, *group);
            ask.encode(out);
            verdict.encode(out);
        }
        Item::Aside(group, incarnation) => {
            out.kind(ITEM_ASIDE, *group);
            out.u32(*incarnation);
        }
        Item::AskEnd(group) => out.kind(ITEM_ASK_END, *group),
        Item::End(group, term, index) => {
            out.kind(ITEM_END, *group);
            out.u32(term.0);
            out.u64(index.0);
        }
        Item::Room(room, free) => {
            out.u8(ITEM_ROOM);
            room.encode(out);
            out.u64(*free);
        }
        Item::Coming(bytes) => {
            out.u8(ITEM_COMING);
            out.u64(*bytes);
        }
    }
}

fn decode_led(r: &mut Reader) -> Result<LedDelta, FrameError> {
    let (from, to) = (r.u64()?, r.u64()?);
    let count = r.count(CHANGE_BYTES)?;
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        let group = GroupId(r.u64()?);
        let tag = r.u8()?;
        let term = Term(r.u32()?);
        let state = match tag {
            0 => Led::Gone,
            1 | 2 => Led::Leads {
                term,
                quiet: tag == 2,
                behind: Vec::new(),
            },
            _ => return Err(FrameError::Malformed("led state")),
        };
        changes.push((group, state));
    }
    Ok(LedDelta { from, to, changes })
}

/// Who is behind stands after everything else, where releases that don't know of it stop reading:
/// a frame that they refuse would make them wait for the leader.
fn encode_behind(led: &LedDelta, out: &mut Writer) {
    let behind = |(at, (_, led)): (usize, &(GroupId, Led))| match led {
        Led::Leads { behind, .. } if !behind.is_empty() => Some((at as u32, behind.clone())),
        _ => None,
    };
    let behind: Vec<_> = led.changes.iter().enumerate().filter_map(behind).collect();
    out.u32(behind.len() as u32);
    for (at, nodes) in behind {
        out.u32(at);
        out.u32(nodes.len() as u32);
        for node in nodes {
            out.u32(node.0);
        }
    }
}

fn decode_behind(led: &mut LedDelta, r: &mut Reader) -> Result<(), FrameError> {
    if r.is_empty() {
        return Ok(());
    }
    for _ in 0..r.count(BEHIND_BYTES_MIN)? {
        let at = r.u32()? as usize;
        let count = r.count(NODE_BYTES)?;
        let nodes: Result<Vec<NodeId>, _> = (0..count).map(|_| r.u32().map(NodeId)).collect();
        match led.changes.get_mut(at) {
            Some((_, Led::Leads { behind, .. })) => *behind = nodes?,
            _ => return Err(FrameError::Malformed("list of who is behind")),
        }
    }
    Ok(())
}

fn decode_item(r: &mut Reader, wide: bool) -> Result<Item, FrameError> {
    Ok(match r.u8()? {
        ITEM_RAFT => {
            let group = GroupId(r.u64()?);
            Item::Raft(group, Message::decode(r, wide)?)
        }
        ITEM_DISOWN => Item::Disown(GroupId(r.u64()?), Term(r.u32()?)),
        ITEM_HAND_OVER => Item::HandOver(GroupId(r.u64()?), NodeId(r.u32()?)),
        ITEM_FORWARD => Item::Forward {
            ticket: r.u64()?,
            command: r.bytes()?,
        },
        ITEM_ANSWER => {
            let (ticket, index) = (r.u64()?, RaftIndex(r.u64()?));
            let some = r.u8()? != 0;
            let reply = r.bytes()?;
            Item::Answer {
                ticket,
                index,
                reply: some.then_some(reply),
            }
        }
        ITEM_ASK_PREFIX => Item::AskPrefix(GroupId(r.u64()?), PrefixAsk::decode(r)?),
        ITEM_PREFIX => {
            let group = GroupId(r.u64()?);
            Item::Prefix(group, PrefixAsk::decode(r)?, PrefixPiece::decode(r)?)
        }
        ITEM_ASK_SUM => Item::AskSum(GroupId(r.u64()?), SumAsk::decode(r)?),
        ITEM_SUM => {
            let group = GroupId(r.u64()?);
            Item::Sum(group, SumAsk::decode(r)?, Verdict::decode(r)?)
        }
        ITEM_ASIDE => Item::Aside(GroupId(r.u64()?), r.u32()?),
        ITEM_ASK_END => Item::AskEnd(GroupId(r.u64()?)),
        ITEM_END => Item::End(GroupId(r.u64()?), Term(r.u32()?), RaftIndex(r.u64()?)),
        ITEM_ROOM => Item::Room(Room::decode(r)?, r.u64()?),
        ITEM_COMING => Item::Coming(r.u64()?),
        _ => return Err(UNKNOWN_ITEM),
    })
}

/// Collects a frame in two parts: everything but batch bodies, which is summed; and the bodies in
/// order, large ones as shared slices, small ones copied together.
#[derive(Default)]
pub(crate) struct Writer {
    meta: Vec<u8>,
    bodies: Vec<Bytes>,
    small: Vec<u8>,
}

impl Writer {
    pub(crate) fn u8(&mut self, v: u8) {
        self.meta.push(v);
    }

    /// How an item of a group begins.
    fn kind(&mut self, kind: u8, group: GroupId) {
        self.u8(kind);
        self.u64(group.0);
    }

    pub(crate) fn u32(&mut self, v: u32) {
        self.meta.extend_from_slice(&v.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, v: u64) {
        self.meta.extend_from_slice(&v.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.meta.extend_from_slice(v);
    }

    pub(crate) fn batch(&mut self, batch: &Batch) {
        self.meta.extend_from_slice(batch.head());
        if batch.body().len() >= SHARE_BYTES_MIN {
            self.close_small();
            self.bodies.push(batch.body().clone());
        } else {
            self.small.extend_from_slice(batch.body());
        }
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.bodies.push(std::mem::take(&mut self.small).into());
        }
    }

    /// The frame: sum and length of the first part, then both parts.
    fn finish(mut self) -> Vec<Bytes> {
        self.close_small();
        let mut first = Vec::with_capacity(PREFIX_BYTES + self.meta.len());
        first.extend_from_slice(&crc32c(&self.meta).to_be_bytes());
        first.extend_from_slice(&(self.meta.len() as u32).to_be_bytes());
        first.append(&mut self.meta);
        let mut pieces = Vec::with_capacity(1 + self.bodies.len());
        pieces.push(first.into());
        pieces.append(&mut self.bodies);
        pieces
    }
}

/// Reads a frame whose first part adds up.
pub(crate) struct Reader {
    meta: Bytes,
    bodies: Bytes,
}

impl Reader {
    fn checked(mut frame: Bytes) -> Result<Reader, FrameError> {
        if frame.len() < PREFIX_BYTES {
            return Err(FrameError::Short);
        }
        let prefix = frame.split_to(PREFIX_BYTES);
        let sum = u32::from_be_bytes(prefix[..4].try_into().expect("four bytes"));
        let len = u32::from_be_bytes(prefix[4..].try_into().expect("four bytes")) as usize;
        if frame.len() < len {
            return Err(FrameError::Short);
        }
        let meta = frame.split_to(len);
        if crc32c(&meta) != sum {
            return Err(FrameError::Checksum);
        }
        Ok(Reader {
            meta,
            bodies: frame,
        })
    }

    /// True if all that stands before the bodies was read.
    fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }

    fn take(&mut self, n: usize) -> Result<Bytes, FrameError> {
        if self.meta.len() < n {
            return Err(FrameError::Short);
        }
        Ok(self.meta.split_to(n))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        Ok(u32::from_be_bytes(
            self.take(4)?[..].try_into().expect("four bytes"),
        ))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        Ok(u64::from_be_bytes(
            self.take(8)?[..].try_into().expect("eight bytes"),
        ))
    }

    /// A count of things of at least `least` bytes each: never more than what is left can hold.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, FrameError> {
        let count = self.u32()? as usize;
        if count.saturating_mul(least) > self.meta.len() {
            return Err(FrameError::Short);
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, FrameError> {
        let n = self.u32()? as usize;
        self.take(n)
    }

    pub(crate) fn batch(&mut self) -> Result<Batch, FrameError> {
        let head: [u8; HEADER_BYTES] = self.take(HEADER_BYTES)?[..]
            .try_into()
            .expect("a header's bytes");
        let header = BatchHeader::parse(&head).map_err(|_| FrameError::Malformed("batch"))?;
        let body = header.total_len() - HEADER_BYTES;
        if self.bodies.len() < body {
            return Err(FrameError::Short);
        }
        let body = self.bodies.split_to(body);
        Batch::from_parts(head, body).map_err(|_| FrameError::Malformed("batch"))
    }
}
