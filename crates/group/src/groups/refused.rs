//! The answer, in its own form, to a command that is refused as a whole: also to those who wait
//! when leadership ends.

use crate::Command;
use crate::reply::{Join, Reply};
use base::Refusal;

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
