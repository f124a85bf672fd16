//! One client's connection as a step machine: bytes, replies and time in; bytes, cold reads and
//! the connection's end out. No sockets, no clock, no threads.
//!
//! Each request takes a slot, in the order in which it came; its ticket is its number. A slot is
//! waiting for the broker or ready, and answers leave from the front only, so they leave in the
//! order of the requests. What a client may make this node hold is bounded: requests in flight,
//! bytes of answers that it hasn't taken, and the node's budget for requests.

use crate::answers::{ANSWER_BYTES_MAX, Answers};
use crate::cold::{ColdOutcome, ColdRead};
use crate::counters::Counters;
use crate::handlers::{self, APIS, Door, Request, Step, Waiting, api_versions};
use crate::presence::Presence;
use crate::sessions::Sessions;
use crate::settle::Settling;
use base::limits::{FETCH_PARTS_WAITING_MAX, PIPELINE_MAX, REQUEST_FREE_BYTES};
use base::{Bug, Mono, Now, planted};
use broker::{Bounded, Broker, Principal, Share};
use bytes::buf::Limit;
use bytes::{Bytes, BytesMut};
use shard::{Reply, ReplySink};
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use wire_kafka::frame::{Frames, RequestHead};
use wire_kafka::{ApiKey, Reader, WireError};

/// How long a connection waits before it asks the node's budget again.
const BUDGET_RETRY: Duration = Duration::from_millis(5);
/// How long it waits before it looks again whether new topics have leaders.
const SETTLE_RETRY: Duration = Duration::from_millis(5);

/// Bytes of requests, and of answers that are there at once, after which others get their turn: the most
/// costly of them take about as long as they have bytes, a millisecond for so many.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// Calls whose answers wait for others, perhaps for long. What of such a request is needed
/// meanwhile is copied out of it, so its share goes with its bytes and not with its answer.
const PARKED: [ApiKey; 2] = [ApiKey::JoinGroup, ApiKey::SyncGroup];

/// Why a connection is closed from this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection of {peer} is closed: {reason}")]
pub struct Close {
    /// Whose connection.
    pub peer: String,
    /// Why.
    pub reason: String,
}

/// What is to be carried out.
#[derive(Debug, Default)]
pub struct Out {
    /// To be written, in this order.
    pub bytes: Vec<Bytes>,
    /// To be run where blocking is allowed; the outcomes go to [`Connection::on_read`].
    pub cold: Vec<(u64, ColdRead)>,
    /// Things that an operator should read.
    pub notes: Vec<String>,
    /// The connection is to be closed once the bytes are written.
    pub close: Option<Close>,
}

struct Slot {
    /// Place of its API in the table; none where the connection ends instead.
    api: Option<usize>,
    since: Mono,
    /// What the request took of the node's budget; given back when the slot goes.
    _share: Option<Share>,
    bytes: usize,
    state: State,
}

enum State {
    Waiting(Waiting),
    Settling(Settling),
    Ready(Vec<Bytes>),
    Silent,
    Close(String),
    /// Its answer has left already.
    Gone,
}

/// A request's bytes, which count in the budget as long as somebody has a part of them.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// One client's connection.
pub struct Connection {
    id: u64,
    peer: String,
    door: Door,
    counters: Arc<Counters>,
    frames: Frames,
    /// The length of the largest read whose bytes may still be buffered.
    read_bytes: usize,
    /// A frame that the budget has no room for yet.
    starved: Option<(Bytes, Mono)>,
    /// The slots, and the ticket of the first.
    slots: VecDeque<Slot>,
    first_ticket: u64,
    /// How many slots wait until new topics have leaders.
    settling: usize,
    held_bytes: usize,
    /// Bytes of answers that wait for those before them.
    ready_bytes: usize,
    out: Out,
    out_bytes: usize,
    /// It had its turn, and more might be served.
    yields: bool,
    /// No further request is served.
    ended: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Connection({} of {}, {} in flight)",
            self.id,
            self.peer,
            self.slots.len()
        )
    }
}

impl Connection {
    /// A connection that was just accepted. Replies go to `inbox`, whose owner hands them to
    /// [`Connection::on_reply`].
    pub fn new(id: u64, peer: String, broker: Broker, inbox: Arc<dyn ReplySink>) -> Connection {
        let frames = Frames::new(broker.settings().request_bytes_max);
        let counters: Arc<Counters> = Arc::default();
        let sessions = Mutex::new(Sessions::new(id, Arc::clone(&counters)));
        let (host, port) = (handlers::host(&peer), handlers::port(&peer));
        Connection {
            id,
            peer,
            door: Door {
                answers: Answers::new(&broker),
                broker,
                presence: Presence::new(inbox),
                principal: Principal::ANONYMOUS,
                host,
                listener: meta::LISTENER.into(),
                sessions,
                now: Now::default(),
                client: "".into(),
                port,
                software: OnceLock::new(),
                telemetry: Arc::clone(counters.telemetry()),
                muted_until: AtomicU64::new(0),
            },
            counters,
            frames,
            read_bytes: 0,
            starved: None,
            slots: VecDeque::new(),
            first_ticket: 0,
            settling: 0,
            held_bytes: 0,
            ready_bytes: 0,
            out: Out::default(),
            out_bytes: 0,
            yields: false,
            ended: false,
        }
    }

    /// The listener that it came in by: what clients are told of nodes depends on it.
    pub fn by(mut self, listener: Arc<str>) -> Connection {
        self.door.listener = listener;
        self
    }

    /// Counts in these counters, which a node's connections share.
    pub fn counted(mut self, counters: Arc<Counters>) -> Connection {
        self.door.sessions = Mutex::new(Sessions::new(self.id, Arc::clone(&counters)));
        self.door.telemetry = Arc::clone(counters.telemetry());
        self.counters = counters;
        self
    }

    #[cfg(test)]
    pub(crate) fn telemetry(&self) -> &crate::telemetry::Telemetry {
        &self.door.telemetry
    }

    /// The number that it was given.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Lets the rest of a request that has begun be read to its place, which saves a copy; see
    /// [`Frames::fill`]. [`Connection::on_bytes`] is to be called after it, without bytes.
    pub fn fill<T>(&mut self, read: impl FnOnce(&mut Limit<&mut BytesMut>) -> T) -> Option<T> {
        self.frames.fill(read)
    }

    /// Takes bytes of the stream, however it was cut. An error means that the connection ends
    /// with nothing left to answer; [`Out::close`] tells the same, also if answers come first.
    pub fn on_bytes(&mut self, now: Now, bytes: Bytes) -> Result<(), Close> {
        self.door.now = now;
        if !self.ended {
            self.read_bytes = self.read_bytes.max(bytes.len());
            self.frames.push(bytes);
            self.resume(now);
        }
        match &self.out.close {
            Some(close) if self.out.bytes.is_empty() => Err(close.clone()),
            _ => Ok(()),
        }
    }

    /// Takes the broker's reply to the call of this ticket.
    pub fn on_reply(&mut self, now: Now, ticket: u64, reply: Reply) {
        self.door.now = now;
        if let Some(waiting) = self.waiting(ticket) {
            let step = waiting.on_reply(&self.door, reply, &mut self.out.notes);
            self.put(ticket, step);
            self.resume(now);
        }
    }

    /// Takes what a cold read of this ticket found.
    pub fn on_read(&mut self, now: Now, ticket: u64, outcome: ColdOutcome) {
        self.door.now = now;
        if let Some(waiting) = self.waiting(ticket) {
            let step = waiting.on_read(&self.door, outcome, &mut self.out.notes);
            self.put(ticket, step);
            self.resume(now);
        }
    }

    /// Goes on with requests that waited for room, for one turn. To be called when taken bytes were
    /// written, at [`Connection::resume_at`], and after others while it [`yields`](Self::yields).
    pub fn resume(&mut self, now: Now) {
        self.door.now = now;
        self.settle();
        self.flush(now);
        self.yields = false;
        let mut done = 0;
        while !self.ended && self.has_room() && self.door.muted(now.mono).is_none() {
            if done >= TURN_BYTES_MAX {
                self.yields = true;
                break;
            }
            match self.next_frame(now) {
                Ok(Some((frame, share))) => {
                    let (asked, before) = (frame.len(), self.untaken());
                    self.serve(now, frame, share);
                    done += asked + (self.untaken() - before);
                }
                Ok(None) => break,
                Err(reason) => self.end(now, reason),
            }
            self.flush(now);
        }
        if self.frames.buffered() == 0 {
            self.read_bytes = 0;
        }
    }

    /// When to call [`Connection::resume`] even if nothing happens.
    pub fn resume_at(&self) -> Option<Mono> {
        // Without room for it nobody looks at the budget; there is room once answers were written.
        let starved = self.starved.as_ref().filter(|_| self.has_room());
        let starved = starved.map(|(_, since)| since.after(BUDGET_RETRY));
        let later = starved.max(self.door.muted(self.door.now.mono));
        let settled = (self.settling > 0).then(|| self.door.now.mono.after(SETTLE_RETRY));
        [later, settled].into_iter().flatten().min()
    }

    /// Goes on with what waited until new topics have leaders.
    fn settle(&mut self) {
        for at in 0..self.slots.len() {
            if self.settling == 0 {
                return;
            }
            let slot = &mut self.slots[at];
            if !matches!(slot.state, State::Settling(_)) {
                continue;
            }
            if let State::Settling(settling) = std::mem::replace(&mut slot.state, State::Gone) {
                self.settling -= 1;
                let step = Step::Settle(settling).or_now(&self.door);
                self.put(self.first_ticket + at as u64, step);
            }
        }
    }

    /// Counts time that this node spent on the client against its quota.
    pub fn spent(&mut self, now: Now, time: Duration) {
        self.door.now = now;
        self.door.charge(Bounded::Time, time.as_secs_f64());
    }

    /// What is to be carried out since the last call.
    pub fn take(&mut self) -> Out {
        self.out_bytes = 0;
        std::mem::take(&mut self.out)
    }

    /// False while the client is not to be read from: enough of its requests wait, or it leaves
    /// its answers.
    pub fn wants_bytes(&self) -> bool {
        let muted = self.door.muted(self.door.now.mono).is_some();
        !self.ended && !muted && !self.yields && self.starved.is_none() && self.has_room()
    }

    /// True if it stopped only to let others have their turn, and is to be resumed after them.
    pub fn yields(&self) -> bool {
        self.yields
    }

    /// Bytes held: unread requests, requests being served, and answers that were not taken.
    pub fn pending_bytes(&self) -> usize {
        self.frames.buffered() + self.starved_bytes() + self.held_bytes + self.out_bytes
    }

    /// Bytes of a request that hasn't arrived whole; the budget doesn't count them yet.
    pub fn unfinished_bytes(&self) -> usize {
        self.frames.buffered()
    }

    /// Bytes of a request that the budget has no room for yet.
    pub fn starved_bytes(&self) -> usize {
        self.starved.as_ref().map_or(0, |(frame, _)| frame.len())
    }

    /// Bytes of answers that wait for others, or to be taken.
    fn untaken(&self) -> usize {
        self.ready_bytes + self.out_bytes
    }

    fn has_room(&self) -> bool {
        self.slots.len() < PIPELINE_MAX
            && self.untaken() < ANSWER_BYTES_MAX
            && !self.door.answers.are_enough()
            && self.parts_waiting() < FETCH_PARTS_WAITING_MAX
    }

    /// Partitions of which fetches wait for records. A session makes many of a few bytes.
    fn parts_waiting(&self) -> usize {
        let parts = |slot: &Slot| match &slot.state {
            State::Waiting(Waiting::Fetch(fetch)) => fetch.parts(),
            _ => 0,
        };
        self.slots.iter().map(parts).sum()
    }

    /// The next request, if it is all there and the node has room for it.
    fn next_frame(&mut self, now: Now) -> Result<Option<(Bytes, Option<Share>)>, String> {
        let frame = match self.starved.take() {
            Some((frame, _)) => Some(frame),
            None => self
                .frames
                .next_frame()
                .map_err(|error| error.to_string())?,
        };
        let Some(frame) = frame else { return Ok(None) };
        let free = REQUEST_FREE_BYTES.saturating_sub(self.held_bytes as u64);
        let asked = (frame.len() as u64).saturating_sub(free);
        if asked == 0 {
            return Ok(Some((frame, None)));
        }
        let budget = self.door.broker.budget();
        let share = budget.take(asked);
        if share.is_none() {
            budget.lack(now.mono);
            self.starved = Some((frame, now.mono));
            return Ok(None);
        }
        Ok(Some((frame, share)))
    }

    /// Serves one request: gives it a slot and lets its handler begin.
    fn serve(&mut self, now: Now, frame: Bytes, mut share: Option<Share>) {
        let bytes = frame.len();
        let mut reader = Reader::new(frame.clone());
        let head = match RequestHead::decode(&mut reader) {
            Ok(head) => head,
            Err(error) => return self.end(now, format!("a request has no valid header: {error}")),
        };
        let ticket = self.first_ticket + self.slots.len() as u64;
        let Some((place, known)) = find(&head) else {
            return self.end(now, format!("{} is not served", named(&head)));
        };
        if APIS[place].key == ApiKey::Produce && bytes * 2 < self.read_bytes {
            // A small batch that stays in memory must not keep all that came with it there.
            let skip = bytes - reader.remaining();
            reader = Reader::new(Bytes::copy_from_slice(&frame[skip..]));
        }
        if PARKED.contains(&APIS[place].key)
            && let Some(share) = share.take()
        {
            let skip = bytes - reader.remaining();
            let frame = Counted {
                bytes: frame.slice(skip..),
                _share: share,
            };
            reader = Reader::new(Bytes::from_owner(frame));
        }
        let mut request = Request {
            key: APIS[place].key,
            version: head.version,
            correlation_id: head.correlation_id,
            ticket,
            throttle_ms: 0,
        };
        self.charge(&mut request, head.client_id.as_deref().unwrap_or(""), bytes);
        let step = match known {
            true => (APIS[place].serve)(&self.door, now, request, &mut reader),
            false => Ok(api_versions::unsupported(head.correlation_id, ticket)),
        };
        self.counters.asked(place, bytes);
        let (api, since) = (Some(place), now.mono);
        self.held_bytes += bytes;
        let state = State::Gone;
        self.slots.push_back(Slot {
            api,
            since,
            _share: share,
            bytes,
            state,
        });
        match step {
            Ok(step) => self.put(ticket, step),
            Err(error) => self.put(ticket, malformed(&head, error)),
        }
    }

    /// Notes who asks, and counts what is sent against its quota.
    fn charge(&mut self, request: &mut Request, client: &str, bytes: usize) {
        if *self.door.client != *client {
            self.door.client = client.into();
        }
        if request.key == ApiKey::Produce {
            request.throttle(self.door.charge(Bounded::Produced, bytes as f64));
        }
        // What it owes of this node's time is told in every answer.
        request.throttle(self.door.charge(Bounded::Time, 0.0));
    }

    /// The connection ends after what was asked before is answered.
    fn end(&mut self, now: Now, reason: String) {
        self.ended = true;
        let state = State::Close(reason);
        self.slots.push_back(Slot {
            api: None,
            since: now.mono,
            _share: None,
            bytes: 0,
            state,
        });
    }

    fn slot(&mut self, ticket: u64) -> Option<&mut Slot> {
        let at = ticket.checked_sub(self.first_ticket)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    /// Takes what a slot waits with; none if nobody waits under this ticket.
    fn waiting(&mut self, ticket: u64) -> Option<Waiting> {
        let slot = self.slot(ticket)?;
        if !matches!(slot.state, State::Waiting(_)) {
            return None;
        }
        match std::mem::replace(&mut slot.state, State::Gone) {
            State::Waiting(waiting) => Some(waiting),
            _ => None,
        }
    }

    fn put(&mut self, ticket: u64, step: Step) {
        let state = match step {
            Step::Answer(pieces) => {
                self.ready_bytes += length(&pieces);
                State::Ready(pieces)
            }
            Step::Silent => State::Silent,
            Step::Wait(waiting) => State::Waiting(waiting),
            Step::Read(waiting, read) => {
                self.out.cold.push((ticket, read));
                State::Waiting(waiting)
            }
            Step::Settle(settling) => {
                self.settling += 1;
                State::Settling(settling)
            }
            Step::Close(reason) => {
                self.ended = true;
                State::Close(reason)
            }
        };
        let slot = self
            .slot(ticket)
            .expect("a slot stays until its answer has left");
        slot.state = state;
    }

    /// Lets answers leave, from the front.
    fn flush(&mut self, now: Now) {
        if planted(Bug::AnswersOutOfOrder) {
            self.overtake(now);
        }
        while let Some(slot) = self.slots.front() {
            if matches!(slot.state, State::Waiting(_) | State::Settling(_)) {
                return;
            }
            let slot = self.slots.pop_front().expect("there is a first slot");
            self.first_ticket += 1;
            self.held_bytes -= slot.bytes;
            match slot.state {
                State::Ready(pieces) => self.leave(now, slot.api, slot.since, pieces),
                State::Close(reason) => return self.close(reason),
                State::Waiting(_) | State::Settling(_) | State::Silent | State::Gone => {}
            }
        }
    }

    /// The planted bug: what is ready leaves, whatever waits before it.
    fn overtake(&mut self, now: Now) {
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if let State::Ready(pieces) = &mut slot.state {
                let (pieces, api, since) = (std::mem::take(pieces), slot.api, slot.since);
                slot.state = State::Gone;
                self.leave(now, api, since, pieces);
            }
        }
    }

    fn leave(&mut self, now: Now, api: Option<usize>, since: Mono, pieces: Vec<Bytes>) {
        let bytes = length(&pieces);
        self.ready_bytes -= bytes;
        if let Some(api) = api {
            self.counters.answered(api, bytes, now.mono.since(since));
        }
        self.out_bytes += bytes;
        self.out.bytes.extend(pieces);
    }

    fn close(&mut self, reason: String) {
        self.ended = true;
        self.counters.closed();
        self.door.presence.end();
        self.slots.clear();
        self.yields = false;
        self.settling = 0;
        self.held_bytes = 0;
        self.ready_bytes = 0;
        self.starved = None;
        self.out.close = Some(Close {
            peer: self.peer.clone(),
            reason,
        });
    }
}

/// The place in the table of what a request asks for, and whether its version is served. None if
/// there is no answer to it: only ApiVersions answers a version that it doesn't know.
fn find(head: &RequestHead) -> Option<(usize, bool)> {
    let key = head.api?;
    let place = handlers::place(key)?;
    let known = APIS[place].versions.contains(&head.version);
    (known || key == ApiKey::ApiVersions).then_some((place, known))
}

fn length(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

fn named(head: &RequestHead) -> String {
    match head.api {
        Some(api) => format!("{api} version {}", head.version),
        None => format!("an API with key {}", head.key),
    }
}

fn malformed(head: &RequestHead, error: WireError) -> Step {
    Step::Close(format!(
        "a request of {} is malformed: {error}",
        named(head)
    ))
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
