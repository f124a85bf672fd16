//! SyncGroup: members ask for their assignments, and the leader's question brings them all.
//! With that the generation is finished and goes on record.

use super::Work;
use super::live::{Live, State, unknown_member};
use crate::command::SyncGroup;
use crate::groups::Group;
use crate::reply::{Reply, Synced};
use crate::{Caller, Context, Decision, Groups, Soft};
use base::Refusal;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Groups {
    pub(crate) fn sync(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        sync: SyncGroup,
        out: &mut Decision,
    ) {
        if sync.group.is_empty() {
            return answer(caller, Err(Refusal::InvalidGroupId), out);
        }
        if let Some(Group::Consumer(group)) = self.groups.get(sync.group.as_str())
            && !group.is_empty()
        {
            return self.consumer_sync(soft, ctx, caller, sync, out);
        }
        let live = self.live(&mut soft.classic, &sync.group);
        let Some(live) = live.filter(|live| live.state != State::Empty) else {
            return answer(caller, Err(unknown_member()), out);
        };
        let mut work = Work {
            ctx,
            timers: &mut soft.timers,
            out,
        };
        live.sync(caller, sync, &mut work);
    }
}

fn answer(caller: Caller, synced: Result<Synced, Refusal>, out: &mut Decision) {
    out.replies.push((caller, Reply::SyncGroup(synced)));
}

fn differs(said: Option<&str>, known: Option<&str>) -> bool {
    said.is_some() && known.is_some() && said != known
}

impl Live {
    fn may_sync(&self, sync: &SyncGroup) -> Result<(), Refusal> {
        self.check(&sync.member, sync.instance.as_deref())?;
        if sync.generation != self.generation {
            return Err(Refusal::IllegalGeneration);
        }
        if differs(sync.protocol_type.as_deref(), self.protocol_type.as_deref())
            || differs(sync.protocol.as_deref(), self.protocol.as_deref())
        {
            return Err(Refusal::InconsistentGroupProtocol);
        }
        if self.state == State::Preparing {
            return Err(Refusal::RebalanceInProgress);
        }
        Ok(())
    }

    fn sync(&mut self, caller: Caller, sync: SyncGroup, work: &mut Work<'_, '_>) {
        if let Err(refusal) = self.may_sync(&sync) {
            return answer(caller, Err(refusal), work.out);
        }
        let id = sync.member.as_str();
        self.has_synced(id, work);
        if self.state == State::Stable {
            // It has been heard: from now on it counts on a whole session.
            self.renew_session(id, work);
            let assignment = self.members.get(id).map(|m| m.assignment.clone());
            let synced = self.synced(assignment.unwrap_or_default());
            return answer(caller, Ok(synced), work.out);
        }
        // The client has given up the sync before this one.
        self.answer_sync(id, Err(Refusal::RebalanceInProgress), work.out);
        if let Some(member) = self.members.get_mut(id) {
            member.sync = Some(caller);
        }
        if self.is_leader(id) {
            self.assign(&sync.assignments, work);
        }
    }

    /// The leader has assigned. Who it forgot gets nothing.
    fn assign(&mut self, assignments: &[(String, Bytes)], work: &mut Work<'_, '_>) {
        let given: BTreeMap<&str, &Bytes> = assignments
            .iter()
            .map(|(id, bytes)| (id.as_str(), bytes))
            .collect();
        for member in self.members.values_mut() {
            let bytes = given.get(&*member.id);
            member.assignment = bytes.map_or_else(Bytes::new, |b| Bytes::copy_from_slice(b));
        }
        let record = self.record();
        if record.bytes() > work.ctx.config.record_bytes_max as usize {
            self.forget_assignments();
            let text = "the group's assignments do not fit a record";
            self.refuse_syncs(&Refusal::Unexpected(text.to_owned()), work);
            return self.rebalance(work);
        }
        work.out.records.push(record);
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let assignment = self.members.get(&id).map(|m| m.assignment.clone());
            let synced = self.synced(assignment.unwrap_or_default());
            if self.answer_sync(&id, Ok(synced), work.out) {
                self.renew_session(&id, work);
            }
        }
        self.go(State::Stable, work.ctx.now.wall);
    }
}
