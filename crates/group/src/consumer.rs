//! Groups of KIP-848. For now they are refused.

use crate::command::{
    ConsumerHeartbeat, Heartbeat, JoinGroup, LeaveGroup, OffsetCommit, SyncGroup,
};
use crate::groups::refused;
use crate::record::{Key, Record};
use crate::reply::Reply;
use crate::{Caller, Command, Config, Context, Decision, Groups};
use base::{Mono, Now, Refusal, Uuid};

/// What the leader alone knows of them.
#[derive(Debug, Default)]
pub(crate) struct Soft;

impl Soft {
    pub(crate) fn due(&self) -> Option<Mono> {
        None
    }
}

/// A group.
#[derive(Debug, PartialEq)]
pub(crate) struct Group;

/// What a member may commit.
pub(crate) struct CommitRights;

impl CommitRights {
    pub(crate) fn allows(&self, _: &Uuid, _: &str, _: i32) -> Result<(), Refusal> {
        Err(unsupported())
    }
}

fn unsupported() -> Refusal {
    Refusal::Unsupported("groups of the consumer protocol are not served yet".to_owned())
}

impl Group {
    pub(crate) fn state_name(&self) -> &'static str {
        "Empty"
    }

    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn tombstones(&self, _name: &str, _out: &mut Vec<Record>) {}

    pub(crate) fn subscribes(&self, _topic: &str) -> bool {
        false
    }

    pub(crate) fn commit_rights(&self, _: &OffsetCommit) -> Result<CommitRights, Refusal> {
        Err(unsupported())
    }

    pub(crate) fn may_fetch(&self, _: Option<&str>, _: i32) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Groups {
    pub(crate) fn consumer_heartbeat(
        &self,
        _: &mut crate::Soft,
        _: &Context<'_>,
        caller: Caller,
        beat: ConsumerHeartbeat,
        out: &mut Decision,
    ) {
        let reply = refused(&Command::ConsumerHeartbeat(beat), unsupported());
        out.replies.push((caller, reply));
    }

    pub(crate) fn consumer_describe(&self, _: &Context<'_>, groups: &[String]) -> Reply {
        let groups = groups.to_vec();
        refused(&Command::ConsumerDescribe { groups }, unsupported())
    }

    pub(crate) fn consumer_join(
        &self,
        _: &mut crate::Soft,
        _: &Context<'_>,
        caller: Caller,
        join: JoinGroup,
        out: &mut Decision,
    ) {
        let reply = refused(&Command::JoinGroup(join), unsupported());
        out.replies.push((caller, reply));
    }

    pub(crate) fn consumer_sync(
        &self,
        _: &mut crate::Soft,
        _: &Context<'_>,
        caller: Caller,
        sync: SyncGroup,
        out: &mut Decision,
    ) {
        let reply = refused(&Command::SyncGroup(sync), unsupported());
        out.replies.push((caller, reply));
    }

    pub(crate) fn consumer_classic_heartbeat(
        &self,
        _: &mut crate::Soft,
        _: &Context<'_>,
        caller: Caller,
        beat: Heartbeat,
        out: &mut Decision,
    ) {
        let reply = refused(&Command::Heartbeat(beat), unsupported());
        out.replies.push((caller, reply));
    }

    pub(crate) fn consumer_leave(
        &self,
        _: &mut crate::Soft,
        _: &Context<'_>,
        caller: Caller,
        leave: LeaveGroup,
        out: &mut Decision,
    ) {
        let reply = refused(&Command::LeaveGroup(leave), unsupported());
        out.replies.push((caller, reply));
    }

    pub(crate) fn consumer_elected(&self, _: Now, _: &Config) -> Soft {
        Soft
    }

    pub(crate) fn consumer_tick(&self, _: &mut crate::Soft, _: &Context<'_>, _: &mut Decision) {}

    pub(crate) fn replay_consumer(&mut self, _key: Key<'_>, _value: Option<&[u8]>) {}
}
