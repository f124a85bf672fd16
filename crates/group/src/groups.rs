//! The replicated state and the three ways into it: deciding, replaying, becoming the leader.

use crate::reply::{Join, Reply};
use crate::{Caller, Command, Config, Context, Decision, Soft};
use base::{Mono, Now, Refusal};

/// The groups of one partition of `__consumer_offsets`: what its records say, nothing else.
#[derive(Debug, Default)]
pub struct Groups {}

impl Groups {
    /// No group, no offset.
    pub fn new() -> Groups {
        Groups::default()
    }

    /// Decides. What is replicated doesn't change; the records, once replayed, change it. The
    /// host replays them at once, before the next command.
    pub fn handle(
        &self,
        _soft: &mut Soft,
        _ctx: &Context<'_>,
        caller: Caller,
        command: Command,
    ) -> Decision {
        Decision {
            records: Vec::new(),
            replies: vec![(caller, refused(&command, Refusal::CoordinatorLoading))],
        }
    }

    /// Applies one fact. Total: what it can't read is skipped, the same on every replica.
    pub fn replay(&mut self, _key: &[u8], _value: Option<&[u8]>) {}

    /// This replica leads from now on: the sessions of all known members begin anew.
    pub fn elected(&self, _now: Now, _config: &Config) -> Soft {
        Soft::default()
    }

    /// When [`Command::Tick`] is wanted, if at all.
    pub fn due(&self, _soft: &Soft) -> Option<Mono> {
        None
    }
}

/// The answer to a command that was refused as a whole.
pub fn refused(command: &Command, refusal: Refusal) -> Reply {
    match command {
        Command::JoinGroup(join) => Reply::JoinGroup(Join {
            member: join.member.clone(),
            outcome: Err(refusal),
        }),
        Command::SyncGroup(_) => Reply::SyncGroup(Err(refusal)),
        Command::Heartbeat(_) => Reply::Heartbeat(Err(refusal)),
        Command::LeaveGroup(_) => Reply::LeaveGroup(Err(refusal)),
        Command::OffsetCommit(_) => Reply::OffsetCommit(Err(refusal)),
        Command::OffsetFetch(_) => Reply::OffsetFetch(Err(refusal)),
        Command::OffsetDelete(_) => Reply::OffsetDelete(Err(refusal)),
        Command::DeleteGroups { groups } => Reply::DeleteGroups(each(groups, &refusal)),
        Command::DescribeGroups { groups } => Reply::DescribeGroups(each(groups, &refusal)),
        Command::ListGroups(_) => Reply::ListGroups(Vec::new()),
        Command::ConsumerHeartbeat(_) => Reply::ConsumerHeartbeat(Err(refusal)),
        Command::ConsumerDescribe { groups } => Reply::ConsumerDescribe(each(groups, &refusal)),
        Command::TopicsDeleted { .. } | Command::Tick => Reply::Done,
    }
}

fn each<T>(groups: &[String], refusal: &Refusal) -> Vec<(String, Result<T, Refusal>)> {
    let refuse = |group: &String| (group.clone(), Err(refusal.clone()));
    groups.iter().map(refuse).collect()
}
