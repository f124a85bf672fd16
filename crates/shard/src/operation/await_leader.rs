//! Somebody waits for a group to be led: its topic was made a moment ago, and its leader is about to be
//! elected. A group that lost its leader is not waited for: that may take long, and clients come again.

use crate::Shard;
use crate::api::{Reply, ReplyTo};
use base::{GroupId, Mono, Refusal};

/// Most calls that may wait. Each turn looks at all of them.
const AWAITED_MAX: usize = 1_000;

/// A call that waits for a leader.
pub(crate) struct Awaited {
    group: GroupId,
    deadline: Mono,
    to: ReplyTo,
}

impl Shard {
    /// Answers once somebody who is heard leads the group; with [`Reply::Led`].
    pub(crate) fn await_leader(&mut self, group: GroupId, deadline: Mono, to: ReplyTo) {
        if self.awaited.len() >= AWAITED_MAX {
            let busy = Refusal::Busy("too many wait for leaders".into());
            return to.sink.reply(to.ticket, Reply::Led(Err(busy)));
        }
        self.awaited.push(Awaited {
            group,
            deadline,
            to,
        });
    }

    /// Answers those whose group is led, or whose time is up.
    pub(crate) fn answer_awaited(&mut self) {
        let now = self.now.mono;
        for call in std::mem::take(&mut self.awaited) {
            let outcome = match self.is_led(call.group) {
                true => Ok(()),
                false if call.deadline <= now => Err(Refusal::Timeout),
                false => {
                    self.awaited.push(call);
                    continue;
                }
            };
            call.to.sink.reply(call.to.ticket, Reply::Led(outcome));
        }
    }

    /// When a call that waits for a leader gives up.
    pub(crate) fn awaited_deadline(&self) -> Option<Mono> {
        self.awaited.iter().map(|call| call.deadline).min()
    }
}
