//! Calls whose answer has several parts, each ready at its own time.

use crate::api::{Appended, Reply, ReplyTo};
use base::{Mono, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// A call under way.
struct Call {
    to: ReplyTo,
    deadline: Mono,
    parts: Vec<Option<Result<Appended, Refusal>>>,
    missing: usize,
}

/// The appends that wait for their commits.
#[derive(Default)]
pub(crate) struct Calls {
    calls: BTreeMap<u64, Call>,
    by_deadline: BTreeSet<(Mono, u64)>,
    next: u64,
}

impl Calls {
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
    pub(crate) fn answer(&mut self, id: u64, part: usize, result: Result<Appended, Refusal>) {
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
        call.to.sink.reply(call.to.ticket, Reply::Appended(parts));
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
