//! Heartbeat: a member is alive, and learns whether it has to join again.

use super::Work;
use super::live::{Live, State, unknown_member};
use crate::command::Heartbeat;
use crate::groups::Group;
use crate::reply::Reply;
use crate::{Caller, Context, Decision, Groups, Soft};
use base::Refusal;

impl Groups {
    pub(crate) fn heartbeat(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        beat: Heartbeat,
        out: &mut Decision,
    ) {
        if beat.group.is_empty() {
            return answer(caller, Err(Refusal::InvalidGroupId), out);
        }
        // Nearly all heartbeats are for groups in use, and those are found at the first look.
        if !soft.classic.contains_key(beat.group.as_str())
            && let Some(Group::Consumer(_)) = self.groups.get(beat.group.as_str())
        {
            return self.consumer_classic_heartbeat(soft, ctx, caller, beat, out);
        }
        let outcome = match self.live(&mut soft.classic, &beat.group) {
            None => Err(unknown_member()),
            Some(live) => live.heartbeat(
                &beat,
                &mut Work {
                    ctx,
                    timers: &mut soft.timers,
                    out,
                },
            ),
        };
        answer(caller, outcome, out);
    }
}

fn answer(caller: Caller, outcome: Result<(), Refusal>, out: &mut Decision) {
    out.replies.push((caller, Reply::Heartbeat(outcome)));
}

impl Live {
    fn heartbeat(&mut self, beat: &Heartbeat, work: &mut Work<'_, '_>) -> Result<(), Refusal> {
        self.check(&beat.member, beat.instance.as_deref())?;
        if beat.generation != self.generation {
            return Err(Refusal::IllegalGeneration);
        }
        self.renew_session(&beat.member, work);
        match self.state {
            State::Preparing => Err(Refusal::RebalanceInProgress),
            // Consumers may begin with heartbeats before they have their assignments.
            State::Empty | State::Completing | State::Stable => Ok(()),
        }
    }
}
