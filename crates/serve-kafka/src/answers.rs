//! The memory that records in a client's answers take, from before they are read until they are
//! written to its socket: a bound of the connection's own, and a share of the node's.
//!
//! A fetch may always be answered with less than it asks for. A connection that holds no records
//! gets its first batches in any case, so everybody goes on, however little is left.

use crate::handlers::Step;
use base::Refusal;
use broker::{Broker, Budget, Share};
use bytes::Bytes;
use shard::ReadAnswer;
use std::sync::Arc;

/// Bytes of answers that wait, or are read, at which a connection serves no further request.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A connection's answers.
pub(crate) struct Answers {
    own: Arc<Budget>,
    node: Arc<Budget>,
}

/// What one answer takes; given back when dropped.
pub(crate) struct Held {
    own: Share,
    node: Share,
}

impl Answers {
    pub(crate) fn new(broker: &Broker) -> Answers {
        Answers {
            own: Arc::new(Budget::new(ANSWER_BYTES_MAX as u64)),
            node: Arc::clone(broker.answers()),
        }
    }

    /// True if no further request is to be served before some of them are written.
    pub(crate) fn are_enough(&self) -> bool {
        self.own.left() == 0
    }

    /// Makes what was found for one fetch fit into what is left, and takes that. The only answer
    /// of a connection may be larger than its own bound.
    pub(crate) fn fit(&self, parts: &mut [Result<ReadAnswer, Refusal>]) -> Option<Held> {
        let wanted = parts.iter().flatten().map(memory).sum();
        if wanted == 0 {
            return None;
        }
        let alone = self.own.used() == 0;
        let room = if alone { wanted } else { self.own.left() };
        let mut node = self.node.take_some(wanted.min(room));
        if node.bytes() < wanted {
            let (mut left, mut taken) = (node.bytes(), 0);
            for part in parts.iter_mut().flatten() {
                let bytes = cut(part, left, alone && taken == 0);
                left = left.saturating_sub(bytes);
                taken += bytes;
            }
            node.resize(taken);
        }
        let mut own = self.own.take_some(0);
        own.resize(node.bytes());
        Some(Held { own, node })
    }
}

/// Bytes that a part of an answer takes, read or not.
fn memory(part: &ReadAnswer) -> u64 {
    match &part.cold {
        Some(plan) => plan.memory(),
        None => part.hot.iter().map(|batch| batch.len() as u64).sum(),
    }
}

/// Leaves what fits of a part, but something in any case if it is the `first`.
fn cut(part: &mut ReadAnswer, left: u64, first: bool) -> u64 {
    if let Some(plan) = &mut part.cold {
        plan.shrink(left);
        if plan.memory() > left && !first {
            part.cold = None;
        }
    }
    let mut sum = 0;
    let fitting = part.hot.iter().take_while(|batch| {
        sum += batch.len() as u64;
        sum <= left
    });
    let fitting = fitting.count().max(usize::from(first));
    part.hot.truncate(fitting);
    memory(part)
}

impl Held {
    /// Keeps it until the answer's last bytes are gone.
    pub(crate) fn until_written(mut self, step: Step) -> Step {
        let Step::Answer(mut pieces) = step else {
            return step;
        };
        // Message sets may be larger than the batches that they were made of.
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        if bytes > self.node.bytes() {
            self.own.resize(bytes);
            self.node.resize(bytes);
        }
        if let Some(last) = pieces.iter_mut().rfind(|piece| !piece.is_empty()) {
            let bytes = std::mem::take(last);
            *last = Bytes::from_owner(Tail { bytes, _held: self });
        }
        Step::Answer(pieces)
    }
}

/// The last piece of an answer.
struct Tail {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
