//! Producer ids. The controller gives them away in blocks; a node asks for a block when its own is
//! used up, for one at a time, and callers wait meanwhile. What is left of a block when the node
//! stops is never used: ids need not be dense, only unique.

use crate::{Action, Broker, Mailbox, Principal, Resource, Verb, authorise, lock};
use base::{Mono, Now, ProducerId, Refusal};
use shard::{Command, Event, Reply, ReplySink, ReplyTo};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Ids in a block, as in Kafka.
const BLOCK: u32 = 1000;
/// Most callers that may wait for a block.
const WAITERS_MAX: usize = 10_000;

/// The ids at hand and who waits for more.
pub(crate) struct Pool {
    mailbox: Arc<dyn Mailbox>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: i64,
    end: i64,
    waiters: VecDeque<ReplyTo>,
    /// The latest moment until which any waiter waits.
    deadline: Mono,
    asking: bool,
}

impl State {
    fn take(&mut self) -> Option<ProducerId> {
        let id = self.next;
        (id < self.end).then(|| {
            self.next += 1;
            ProducerId(id)
        })
    }
}

impl Broker {
    /// Hands out one producer id, answered with `Reply::Meta(Ok(ProducerIds(id)))`.
    pub fn init_producer(&self, now: Now, principal: &Principal, timeout: Duration, to: ReplyTo) {
        self.stats().called(Verb::InitProducer);
        let allowed = authorise(principal, Action::IdempotentWrite, Resource::Cluster);
        let answer = match allowed {
            Ok(()) => self.0.producers.call(now.mono.after(timeout), &to),
            Err(why) => Some(Err(why)),
        };
        if let Some(answer) = answer {
            self.stats()
                .refused(Verb::InitProducer, usize::from(answer.is_err()));
            give(&to, answer);
        }
    }
}

fn give(to: &ReplyTo, answer: Result<ProducerId, Refusal>) {
    to.sink
        .reply(to.ticket, Reply::Meta(answer.map(meta::Reply::ProducerIds)));
}

impl Pool {
    pub(crate) fn new(mailbox: Arc<dyn Mailbox>) -> Pool {
        Pool {
            mailbox,
            state: Mutex::default(),
        }
    }

    /// An answer if there is one already; else the caller waits. No lock is held when an inbox
    /// or the mailbox is called.
    fn call(self: &Arc<Self>, deadline: Mono, to: &ReplyTo) -> Option<Result<ProducerId, Refusal>> {
        let mut state = lock(&self.state);
        if let Some(id) = state.take() {
            return Some(Ok(id));
        }
        if state.waiters.len() >= WAITERS_MAX {
            return Some(Err(Refusal::Busy(
                "too many callers wait for a producer id".to_owned(),
            )));
        }
        state.waiters.push_back(to.clone());
        state.deadline = state.deadline.max(deadline);
        let ask = !std::mem::replace(&mut state.asking, true);
        let deadline = state.deadline;
        drop(state);
        if ask {
            self.ask(deadline);
        }
        None
    }

    fn ask(self: &Arc<Self>, deadline: Mono) {
        let command = Command::Meta {
            command: meta::Command::AllocateProducerIds { count: BLOCK },
            deadline,
        };
        let to = ReplyTo {
            sink: Arc::new(Refill(self.clone())),
            ticket: 0,
        };
        if let Err(busy) = self.mailbox.post(Event::Command(command, Some(to))) {
            self.refused(&busy);
        }
    }

    /// Hands a block out; asks for the next if there are callers left.
    fn refilled(self: &Arc<Self>, first: ProducerId) {
        let mut served = Vec::new();
        let mut state = lock(&self.state);
        state.next = first.0;
        state.end = first.0.saturating_add(i64::from(BLOCK));
        while let Some(to) = state.waiters.pop_front() {
            match state.take() {
                Some(id) => served.push((to, id)),
                None => {
                    state.waiters.push_front(to);
                    break;
                }
            }
        }
        state.asking = !state.waiters.is_empty();
        let again = state.asking.then_some(state.deadline);
        drop(state);
        for (to, id) in served {
            give(&to, Ok(id));
        }
        if let Some(deadline) = again {
            self.ask(deadline);
        }
    }

    fn refused(&self, why: &Refusal) {
        let mut state = lock(&self.state);
        state.asking = false;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for to in waiters {
            give(&to, Err(why.clone()));
        }
    }
}

/// The inbox for the controller's answer.
struct Refill(Arc<Pool>);

impl ReplySink for Refill {
    fn reply(&self, _ticket: u64, reply: Reply) {
        match reply {
            Reply::Meta(Ok(meta::Reply::ProducerIds(first))) => self.0.refilled(first),
            Reply::Meta(Err(why)) => self.0.refused(&why),
            _ => self.0.refused(&Refusal::NoController),
        }
    }
}

#[cfg(test)]
mod tests;
