//! Calls whose answer has several parts, each ready at its own time.

use crate::api::{Appended, Reply, ReplyTo};
use base::{Mono, Offset, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// The answer to a part, and the reply that holds them all.
pub(crate) trait Part: Clone {
    fn reply(parts: Vec<Result<Self, Refusal>>) -> Reply;
}

impl Part for Appended {
    fn reply(parts: Vec<Result<Appended, Refusal>>) -> Reply {
        Reply::Appended(parts)
    }
}

/// Where a log starts after a deletion.
impl Part for Offset {
    fn reply(parts: Vec<Result<Offset, Refusal>>) -> Reply {
        Reply::Deleted(parts)
    }
}

/// A call under way.
struct Call<T> {
    to: ReplyTo,
    deadline: Mono,
    parts: Vec<Option<Result<T, Refusal>>>,
    missing: usize,
}

/// The calls of one kind that wait for their commits.
pub(crate) struct Calls<T> {
    calls: BTreeMap<u64, Call<T>>,
    by_deadline: BTreeSet<(Mono, u64)>,
    next: u64,
}

impl<T> Default for Calls<T> {
    fn default() -> Calls<T> {
        Calls {
            calls: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            next: 0,
        }
    }
}

impl<T: Part> Calls<T> {
    /// Opens a call with this many parts, all missing.
    pub(crate) fn open(&mut self, to: ReplyTo, parts: usize, deadline: Mono) -> u64 {
        let id = self.next;
        self.next += 1;
        let call = Call {
            to,
            deadline,
            parts: vec![None; parts],
            missing: parts,
        };
        self.calls.insert(id, call);
        self.by_deadline.insert((deadline, id));
        if parts == 0 {
            self.send(id);
        }
        id
    }

    /// Answers a part; the last one sends the answer. A call that timed out is gone already.
    pub(crate) fn answer(&mut self, id: u64, part: usize, result: Result<T, Refusal>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.parts[part].is_none() {
            call.missing -= 1;
        }
        call.parts[part] = Some(result);
        if call.missing == 0 {
            self.send(id);
        }
    }

    fn send(&mut self, id: u64) {
        let call = self.calls.remove(&id).expect("the caller looked it up");
        self.by_deadline.remove(&(call.deadline, id));
        let part = |p: Option<_>| p.unwrap_or(Err(Refusal::Timeout));
        let parts = call.parts.into_iter().map(part).collect();
        call.to.sink.reply(call.to.ticket, T::reply(parts));
    }

    /// Answers what is overdue: missing parts as timed out.
    pub(crate) fn expire(&mut self, now: Mono) {
        while let Some((deadline, id)) = self.by_deadline.first().copied() {
            if deadline > now {
                break;
            }
            self.send(id);
        }
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Calls under way.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}
