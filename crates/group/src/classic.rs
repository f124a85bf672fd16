//! Groups of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! What is replicated of such a group is its last finished generation ([`Saved`], one record).
//! How members gather and wait for the next one is [`Live`], the leader's own. A live group is
//! made when the replica becomes leader or the group is first used, and goes with the group.
//!
//! [`Saved`]: crate::record::group::Saved

mod describe;
mod heartbeat;
mod join;
mod leave;
mod live;
mod member;
mod rebalance;
mod subscription;
mod sync;
mod tick;
mod waits;

pub(crate) use join::too_large;
pub(crate) use live::{CONSUMER, Live, State, bytes_of, unknown_member};
pub(crate) use member::Member;

use crate::soft::Timers;
use crate::{Context, Decision, Groups};
use base::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What operations on a live group need besides it.
pub(crate) struct Work<'a, 'c> {
    pub(crate) ctx: &'a Context<'c>,
    pub(crate) timers: &'a mut Timers,
    pub(crate) out: &'a mut Decision,
}

impl Work<'_, '_> {
    pub(crate) fn in_ms(&self, wait_ms: i32) -> Mono {
        let wait = u64::try_from(wait_ms).unwrap_or(0);
        self.ctx.now.mono.after(Duration::from_millis(wait))
    }
}

impl Groups {
    /// The live group of this name; `None` if there is no such classic group.
    pub(crate) fn live<'s>(
        &self,
        classic: &'s mut BTreeMap<Arc<str>, Live>,
        name: &str,
    ) -> Option<&'s mut Live> {
        if !classic.contains_key(name) {
            let live = self.dormant(name)?;
            classic.insert(live.name.clone(), live);
        }
        classic.get_mut(name)
    }
}
