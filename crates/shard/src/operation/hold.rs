//! Produces that meet a group between two leaders. While a leadership is handed over, or nobody is
//! known to lead yet, they are held for a moment: then the new leader can be named in the refusal
//! (KIP-951), or they are appended here after all. Without that every client would have to
//! search, and most pause before they do.

use crate::Shard;
use crate::api::{Acks, AppendPart};
use crate::replica::Replica;
use base::{GroupId, Mark, Refusal, limits, mark};

/// What is held, in order of arrival.
pub(crate) enum Held {
    /// A batch that nobody has looked at.
    Append {
        acks: Acks,
        call: u64,
        part: usize,
        append: AppendPart,
    },
    /// A batch that was appended here before the leadership was lost: whether it is committed the
    /// new leader knows.
    Lost { call: u64, part: usize },
}

impl Replica {
    /// True if nobody is known to lead and this replica will know when somebody does.
    pub(crate) fn is_leaderless(&self) -> bool {
        self.suspect.is_none() && self.group.leader().is_none()
    }

    /// True between two leaders: none is known, or this one hands over or was elected just now.
    fn is_between_leaders(&self) -> bool {
        let unsettled = !self.group.may_propose() || !self.was_leader;
        self.is_leaderless() || self.group.is_leader() && unsettled
    }

    /// True if a batch that comes now is to be held; none overtakes those that are.
    pub(crate) fn holds_appends(&self) -> bool {
        let room = self.held.len() < limits::HELD_APPENDS_MAX;
        room && (!self.held.is_empty() || self.is_between_leaders())
    }
}

impl Shard {
    pub(crate) fn hold(&mut self, group: GroupId, held: Held) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        mark(Mark::AppendHeld);
        replica.held.push(held);
        if replica.held.len() == 1 {
            replica.held_until = self.now.mono.after(limits::LEADER_WAIT);
            self.holding.insert((replica.held_until, group));
        }
    }

    /// Deals with what is held, if it is known by now who leads.
    pub(crate) fn release_held(&mut self, group: GroupId) {
        let replica = self.replicas.get(&group);
        if replica.is_none_or(|r| r.held.is_empty() || r.is_between_leaders()) {
            return;
        }
        for held in self.take_held(group) {
            match held {
                Held::Append {
                    acks,
                    call,
                    part,
                    append,
                } => self.append_part(acks, call, part, append),
                Held::Lost { call, part } => self.refuse_held(group, call, part),
            }
        }
    }

    /// Nobody leads although it was waited for: the callers may find somebody elsewhere.
    pub(crate) fn expire_held(&mut self) {
        while let Some((at, group)) = self.holding.first().copied() {
            if at > self.now.mono {
                break;
            }
            // Also if the replica is gone, or the group came again.
            self.holding.pop_first();
            let replica = self.replicas.get(&group);
            if replica.is_none_or(|replica| replica.held_until != at) {
                continue;
            }
            for held in self.take_held(group) {
                let (Held::Append { call, part, .. } | Held::Lost { call, part }) = held;
                self.refuse_held(group, call, part);
            }
        }
    }

    fn refuse_held(&mut self, group: GroupId, call: u64, part: usize) {
        let leader = self.replicas.get(&group).and_then(|r| r.leader());
        let refusal = Refusal::NotLeader { leader };
        self.calls.answer(call, part, Err(refusal));
    }

    fn take_held(&mut self, group: GroupId) -> Vec<Held> {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return Vec::new();
        };
        self.holding.remove(&(replica.held_until, group));
        std::mem::take(&mut replica.held)
    }
}
