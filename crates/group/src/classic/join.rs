//! JoinGroup: somebody wants to be in the next generation.

use super::Work;
use super::live::{Live, State, refused, unknown_member};
use super::member::{Member, own};
use super::waits::PENDING_MAX;
use crate::command::JoinGroup;
use crate::groups::Group;
use crate::record::group::Saved;
use crate::record::{Key, Record};
use crate::reply::{Join, Reply};
use crate::soft::Timer;
use crate::{Caller, Config, Context, Decision, Groups, Soft};
use base::{Refusal, Uuid};
use std::sync::Arc;

/// Protocols that one member may offer. Clients offer their assignors, a handful; each is compared
/// with all that others offer.
const PROTOCOLS_MAX: usize = 100;

impl Groups {
    pub(crate) fn join(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        join: JoinGroup,
        out: &mut Decision,
    ) {
        if let Err(refusal) = admissible(ctx.config, &join) {
            return answer(caller, refused(&join.member, refusal), out);
        }
        let newcomer = join.member.is_empty();
        let name = join.group.clone();
        let mut replaced = None;
        if let Some(Group::Consumer(group)) = self.groups.get(name.as_str()) {
            if !group.is_empty() {
                return self.consumer_join(soft, ctx, caller, join, out);
            }
            replaced = Some(group);
        }
        let known = self.live(&mut soft.classic, &name).is_some();
        if !known && !newcomer {
            return answer(caller, refused(&join.member, unknown_member()), out);
        }
        let live = soft
            .classic
            .entry(Arc::from(name.as_str()))
            .or_insert_with_key(|name| Live::empty(name.clone(), ctx.now.wall));
        let mut work = Work {
            ctx,
            timers: &mut soft.timers,
            out,
        };
        live.join(caller, join, &mut work);
        if known {
            return;
        }
        if live.members.is_empty() && live.pending.is_empty() {
            // Who was refused doesn't make a group.
            soft.classic.remove(name.as_str());
            return;
        }
        if let Some(group) = replaced {
            group.tombstones(&name, &mut out.records);
        }
        begin(live, out);
    }
}

/// A new group is on record from its first member on, so that it is known after a change of
/// leaders.
fn begin(live: &Live, out: &mut Decision) {
    let saved = Saved {
        since_ms: live.since_ms,
        ..Saved::default()
    };
    out.records
        .push(Record::new(Key::Group(&live.name), saved.encode()));
}

fn answer(caller: Caller, join: Join, out: &mut Decision) {
    out.replies.push((caller, Reply::JoinGroup(join)));
}

fn admissible(config: &Config, join: &JoinGroup) -> Result<(), Refusal> {
    if join.group.is_empty() {
        return Err(Refusal::InvalidGroupId);
    }
    let allowed = config.session_timeout_min_ms..=config.session_timeout_max_ms;
    if !allowed.contains(&join.session_timeout_ms) {
        return Err(Refusal::InvalidSessionTimeout);
    }
    if join.protocols.len() > PROTOCOLS_MAX {
        return Err(Refusal::InconsistentGroupProtocol);
    }
    Ok(())
}

/// A member's id: its static name or its client's name, and chance in the usual form of a UUID.
fn new_id(join: &JoinGroup, drawn: &Uuid) -> Arc<str> {
    let hex: String = drawn.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let prefix = join.instance.as_deref().unwrap_or(&join.client.id);
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{prefix}-{a}-{b}-{c}-{d}-{e}").into()
}

/// What Kafka says where a group's record is too large.
pub(crate) fn too_large() -> Refusal {
    let text = "what the group's members offer does not fit a record";
    Refusal::Unexpected(text.to_owned())
}

impl Live {
    fn join(&mut self, caller: Caller, join: JoinGroup, work: &mut Work<'_, '_>) {
        let known = join.member.as_str();
        if !self.has_room(known, work.ctx.config.size_max) {
            self.expel(known, work);
            let text = "the group has as many members as it may";
            let refusal = Refusal::GroupMaxSize(text.to_owned());
            return answer(caller, refused("", refusal), work.out);
        }
        if !self.accepts(&join.protocol_type, &join.protocols) {
            let refusal = Refusal::InconsistentGroupProtocol;
            return answer(caller, refused(known, refusal), work.out);
        }
        let taken_over = join.instance.as_ref().and_then(|i| self.instances.get(i));
        let old = taken_over.map_or(known, |id| id);
        let record_max = work.ctx.config.record_bytes_max;
        if !self.fits(&join.protocols, old, record_max) {
            return answer(caller, refused(known, too_large()), work.out);
        }
        if known.is_empty() {
            self.join_first(caller, &join, work);
        } else if self.pending.contains_key(known) {
            self.join_with_given_id(caller, &join, work);
        } else {
            match self.check(known, join.instance.as_deref()) {
                Ok(()) => self.join_again(caller, &join, work),
                Err(refusal) => answer(caller, refused(known, refusal), work.out),
            }
        }
    }

    /// While members gather, those count who are there: the group may be larger than its bound,
    /// if the bound was lowered, and the last to come are out.
    fn has_room(&self, id: &str, size_max: i32) -> bool {
        let size_max = usize::try_from(size_max).unwrap_or(0);
        match self.state {
            State::Empty => true,
            State::Preparing => {
                let waits = self.members.get(id).is_some_and(|m| m.join.is_some());
                waits || self.joining < size_max
            }
            State::Completing | State::Stable => {
                self.members.contains_key(id) || self.members.len() < size_max
            }
        }
    }

    /// Somebody without an id.
    fn join_first(&mut self, caller: Caller, join: &JoinGroup, work: &mut Work<'_, '_>) {
        let id = new_id(join, &work.ctx.drawn);
        if let Some(instance) = &join.instance {
            match self.instances.get(instance).cloned() {
                Some(old) => self.replace_static(&old, id, caller, join, work),
                None => self.enter(id, caller, join, work),
            }
        } else if join.requires_known_id {
            if self.pending.len() >= PENDING_MAX {
                let text = "too many members were given ids that they have not used";
                let refusal = Refusal::CoordinatorNotAvailable(text.to_owned());
                return answer(caller, refused("", refusal), work.out);
            }
            self.expect(id.clone(), join.session_timeout_ms, work);
            answer(caller, refused(&id, Refusal::MemberIdRequired), work.out);
        } else {
            self.enter(id, caller, join, work);
        }
    }

    /// Somebody with an id that it was given just before.
    fn join_with_given_id(&mut self, caller: Caller, join: &JoinGroup, work: &mut Work<'_, '_>) {
        if join.instance.is_some() {
            let text = "a static member is never told to come again with an id";
            let refusal = Refusal::Unexpected(text.to_owned());
            return answer(caller, refused(&join.member, refusal), work.out);
        }
        self.expect_no_more(&join.member, work.timers);
        self.enter(Arc::from(join.member.as_str()), caller, join, work);
    }

    fn enter(&mut self, id: Arc<str>, caller: Caller, join: &JoinGroup, work: &mut Work<'_, '_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.add(Member::joining(id, join), caller, work);
    }

    /// A member joins again. A rebalance is only needed if that changes something: a follower
    /// that missed its answer gets it once more.
    fn join_again(&mut self, caller: Caller, join: &JoinGroup, work: &mut Work<'_, '_>) {
        let id = join.member.as_str();
        let unchanged = self
            .members
            .get(id)
            .is_some_and(|m| m.protocols == own(&join.protocols));
        let repeat = match self.state {
            State::Empty => return answer(caller, refused(id, unknown_member()), work.out),
            State::Preparing => false,
            State::Completing => unchanged,
            // A leader that joins again wants a rebalance, say because topics have changed.
            State::Stable => unchanged && !self.is_leader(id),
        };
        if repeat {
            return answer(caller, self.joined(id), work.out);
        }
        self.renewed_join(id, caller, join, work);
        self.rebalance(work);
    }

    /// Takes over what the member says anew and parks its join.
    fn renewed_join(
        &mut self,
        id: &str,
        caller: Caller,
        join: &JoinGroup,
        work: &mut Work<'_, '_>,
    ) {
        self.update(
            id,
            &join.protocols,
            join.rebalance_timeout_ms,
            join.session_timeout_ms,
        );
        // The client has given up the join before this one.
        let superseded = refused(id, Refusal::RebalanceInProgress);
        self.answer_join(id, superseded, work.out);
        self.park_join(id, caller);
    }

    /// A static member comes back without its id: it takes over its old place under a new one,
    /// and whoever still uses the old one is fenced off.
    fn replace_static(
        &mut self,
        old: &str,
        id: Arc<str>,
        caller: Caller,
        join: &JoinGroup,
        work: &mut Work<'_, '_>,
    ) {
        let leader_before = self.leader.clone();
        self.rename(old, id.clone(), work);
        self.update(
            &id,
            &join.protocols,
            join.rebalance_timeout_ms,
            join.session_timeout_ms,
        );
        self.renew_session(&id, work);
        if self.state == State::Stable && self.choose() == self.protocol {
            work.out.records.push(self.record());
            return self.welcome_back(&id, leader_before, caller, join, work);
        }
        self.park_join(&id, caller);
        match self.state {
            // The leader may already be assigning to the old id.
            State::Completing | State::Stable => self.prepare(work),
            State::Preparing | State::Empty => self.complete_join_if_all_came(work),
        }
    }

    fn rename(&mut self, old: &str, id: Arc<str>, work: &mut Work<'_, '_>) {
        let fenced = Refusal::FencedInstance("another member has taken over".to_owned());
        self.answer_join(old, refused(old, fenced.clone()), work.out);
        self.answer_sync(old, Err(fenced), work.out);
        self.has_synced(old, work);
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        if let Some(at) = member.armed.take() {
            let timer = Timer::Session {
                group: self.name.clone(),
                member: member.id.clone(),
            };
            work.timers.disarm(at, timer);
        }
        if self.is_leader(old) {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        member.id = id.clone();
        member.new = false;
        self.members.insert(id, member);
    }

    /// The group stays as it is. A leader that came back must not assign again: it is told so,
    /// or, if its version can't be told, that somebody else leads.
    fn welcome_back(
        &self,
        id: &str,
        leader_before: Option<Arc<str>>,
        caller: Caller,
        join: &JoinGroup,
        work: &mut Work<'_, '_>,
    ) {
        let mut welcome = self.joined(id);
        if let Ok(joined) = &mut welcome.outcome {
            if join.can_skip_assignment {
                joined.skip_assignment = self.is_leader(id);
            } else {
                joined.leader = leader_before.as_deref().unwrap_or("").to_owned();
                joined.members.clear();
            }
        }
        answer(caller, welcome, work.out);
    }
}
