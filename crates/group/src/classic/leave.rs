//! LeaveGroup: members leave, or an operator removes static ones by their names.

use super::Work;
use super::live::{Live, State, unknown_member};
use crate::command::{LeaveGroup, Leaver};
use crate::groups::Group;
use crate::reply::{Left, Reply};
use crate::{Caller, Context, Decision, Groups, Soft};
use base::Refusal;

impl Groups {
    pub(crate) fn leave(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        leave: LeaveGroup,
        out: &mut Decision,
    ) {
        if leave.group.is_empty() {
            let refused = Reply::LeaveGroup(Err(Refusal::InvalidGroupId));
            return out.replies.push((caller, refused));
        }
        if let Some(Group::Consumer(_)) = self.groups.get(leave.group.as_str()) {
            return self.consumer_leave(soft, ctx, caller, leave, out);
        }
        let mut live = self.live(&mut soft.classic, &leave.group);
        let mut work = Work {
            ctx,
            timers: &mut soft.timers,
            out,
        };
        let mut parts = Vec::with_capacity(leave.members.len());
        for leaver in leave.members {
            let outcome = match &mut live {
                Some(live) => live.leave(&leaver, &mut work),
                None => Err(unknown_member()),
            };
            parts.push(Left {
                member: leaver.member,
                instance: leaver.instance,
                outcome,
            });
        }
        if let Some(live) = live
            && parts.iter().any(|part| part.outcome.is_ok())
        {
            live.go_on_without(&mut work);
        }
        out.replies.push((caller, Reply::LeaveGroup(Ok(parts))));
    }
}

impl Live {
    fn leave(&mut self, leaver: &Leaver, work: &mut Work<'_, '_>) -> Result<(), Refusal> {
        let id = leaver.member.as_str();
        if id.is_empty() {
            let instance = leaver.instance.as_deref().unwrap_or("");
            let named = self.instances.get(instance).cloned();
            let named = named.ok_or_else(unknown_member)?;
            self.drop_member(&named, work);
        } else if self.pending.contains_key(id) {
            self.expel(id, work);
        } else {
            self.check(id, leaver.instance.as_deref())?;
            self.drop_member(id, work);
        }
        Ok(())
    }

    /// The others share what the leavers had.
    fn go_on_without(&mut self, work: &mut Work<'_, '_>) {
        match self.state {
            State::Stable | State::Completing => self.prepare(work),
            State::Preparing => self.complete_join_if_all_came(work),
            State::Empty => {}
        }
    }
}
