//! Who may commit and fetch offsets of a consumer group: members, at their epoch. A member that
//! was just moved on may still commit, at an older epoch, for partitions that were its own at
//! that epoch already.

use super::draft::among;
use super::state::{Group, Holding, Member};
use super::who::unknown;
use crate::command::OffsetCommit;
use base::{Refusal, Uuid};

/// What a committer may commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitRights<'a>(Rights<'a>);

#[derive(Clone, Copy, Debug)]
enum Rights<'a> {
    Everything,
    /// What was the member's at this epoch.
    Since(&'a Member, i32),
}

impl CommitRights<'_> {
    /// Refuses a partition that the member didn't have at the epoch that it commits at.
    pub(crate) fn allows(&self, id: &Uuid, name: &str, partition: i32) -> Result<(), Refusal> {
        let Rights::Since(member, epoch) = self.0 else {
            return Ok(());
        };
        let since = |holding: &Holding| holding.get(id)?.get(&partition).copied();
        let current = &member.current;
        let since = since(&current.assigned).or_else(|| since(&current.revoking));
        let why = match since {
            Some(since) if since <= epoch => return Ok(()),
            Some(since) => format!(
                "Received member epoch {epoch} is older than assignment epoch {since} for \
                 partition {name}-{partition}."
            ),
            None => format!(
                "Partition {name}-{partition} is not assigned or pending revocation for member."
            ),
        };
        Err(stale(member, why))
    }
}

/// A classic member knows its epoch as a generation.
fn stale(member: &Member, why: String) -> Refusal {
    if member.is_classic() {
        Refusal::IllegalGeneration
    } else {
        Refusal::StaleMemberEpoch(why)
    }
}

impl Group {
    /// What the commit may contain. Without membership offsets can be committed while the group
    /// is empty.
    pub(crate) fn commit_rights(&self, commit: &OffsetCommit) -> Result<CommitRights<'_>, Refusal> {
        let epoch = commit.generation_or_epoch;
        if epoch < 0 && self.members.is_empty() {
            return Ok(CommitRights(Rights::Everything));
        }
        let member = self.members.get(commit.member.as_str());
        let member = member.ok_or_else(|| unknown(&commit.group, &commit.member))?;
        let known = member.current.epoch;
        if !member.is_classic() && !commit.knows_epochs {
            let text = "OffsetCommit version 9 or above must be used by members using the \
                        consumer group protocol";
            return Err(Refusal::Unsupported(text.to_owned()));
        }
        if epoch > known {
            let why = format!(
                "Received member epoch {epoch} is newer than current member epoch {known}."
            );
            return Err(stale(member, why));
        }
        Ok(CommitRights(match epoch == known {
            true => Rights::Everything,
            false => Rights::Since(member, epoch),
        }))
    }

    /// Refuses a fetch at an epoch that isn't the member's. Who isn't a member may fetch.
    pub(crate) fn may_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), Refusal> {
        if member.is_none() && epoch < 0 {
            return Ok(());
        }
        let id = member.unwrap_or("");
        let member = self.members.get(id).ok_or_else(|| {
            Refusal::UnknownMember(format!("Member {id} is not a member of the group."))
        })?;
        let known = member.current.epoch;
        if epoch != known {
            let why = format!(
                "The received member epoch {epoch} does not match the expected member epoch \
                 {known}."
            );
            return Err(stale(member, why));
        }
        Ok(())
    }

    /// True if somebody wants the topic.
    pub(crate) fn subscribes(&self, topic: &str) -> bool {
        let mut regexes = self.regexes.values();
        self.by_name.contains_key(topic) || regexes.any(|known| among(&known.topics, topic))
    }
}
