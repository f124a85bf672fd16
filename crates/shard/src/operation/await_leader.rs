//! Calls that wait for leaders: for those that are to come (`prefer.rs`, `unclean.rs`), or for the first one
//! of a group whose topic was made a moment ago. A group that lost its leader is not waited for: that may
//! take long, and clients come again.

use super::prefer::Preference;
use crate::Shard;
use crate::api::{Reply, ReplyTo};
use base::{GroupId, Mono, Refusal};

/// Most calls that may wait for first leaders. Each turn looks at all of them.
const FIRST_MAX: usize = 1_000;

/// Calls that wait for leaders.
#[derive(Default)]
pub(crate) struct Awaiting {
    pub(super) preferences: Vec<Preference>,
    first: Vec<First>,
}

/// A call that waits for a group's first leader.
struct First {
    group: GroupId,
    deadline: Mono,
    to: ReplyTo,
}

impl Awaiting {
    /// When one of them gives up.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let preferences = self.preferences.iter().map(|call| call.deadline);
        let first = self.first.iter().map(|call| call.deadline);
        preferences.chain(first).min()
    }
}

impl Shard {
    /// Answers once somebody who is heard leads the group; with [`Reply::Led`].
    pub(crate) fn await_leader(&mut self, group: GroupId, deadline: Mono, to: ReplyTo) {
        if self.awaiting.first.len() >= FIRST_MAX {
            let busy = Refusal::Busy("too many wait for leaders".into());
            return to.sink.reply(to.ticket, Reply::Led(Err(busy)));
        }
        self.awaiting.first.push(First {
            group,
            deadline,
            to,
        });
    }

    /// Answers those whose groups are led, or whose time is up.
    pub(crate) fn answer_awaiting(&mut self) {
        self.answer_preferences();
        let now = self.now.mono;
        for call in std::mem::take(&mut self.awaiting.first) {
            let outcome = match self.is_led(call.group) {
                true => Ok(()),
                false if call.deadline <= now => Err(Refusal::Timeout),
                false => {
                    self.awaiting.first.push(call);
                    continue;
                }
            };
            call.to.sink.reply(call.to.ticket, Reply::Led(outcome));
        }
    }
}
