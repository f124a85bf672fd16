//! OffsetCommit: a member, or a consumer without a group, says how far it has read.

use super::View;
use crate::classic::{Live, State, Work, unknown_member};
use crate::command::{CommitPartition, CommitTopic, OffsetCommit};
use crate::consumer::CommitRights;
use crate::groups::Group;
use crate::record::{Key, Record};
use crate::reply::{CommittedTopic, Reply};
use crate::{Caller, Context, Decision, Groups, Soft};
use base::{Refusal, Uuid};

impl Groups {
    pub(crate) fn commit(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        commit: OffsetCommit,
        out: &mut Decision,
    ) {
        let reply = match self.may_commit(soft, ctx, &commit, out) {
            Err(refusal) => Err(refusal),
            Ok(rights) => write(ctx, &commit, rights.as_ref(), out),
        };
        out.replies.push((caller, Reply::OffsetCommit(reply)));
    }

    /// What of it may be committed; `None` for all.
    fn may_commit(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        commit: &OffsetCommit,
        out: &mut Decision,
    ) -> Result<Option<CommitRights<'_>>, Refusal> {
        let name = commit.group.as_str();
        if let Some(Group::Consumer(group)) = self.groups.get(name) {
            return group.commit_rights(commit).map(Some);
        }
        if let Some(live) = soft.classic.get_mut(name) {
            let mut work = Work {
                ctx,
                timers: &mut soft.timers,
                out,
            };
            live.may_commit(commit, &mut work)?;
        } else if self.exists(soft, name) {
            // Nobody is in it: a group with members is live.
            if commit.generation_or_epoch >= 0 {
                return Err(unknown_member());
            }
        } else if commit.generation_or_epoch >= 0 {
            let text = format!("Group {name} not found.");
            return Err(match commit.knows_epochs {
                true => Refusal::GroupIdNotFound(text),
                false => Refusal::IllegalGeneration,
            });
        }
        Ok(None)
    }
}

impl Live {
    fn may_commit(
        &mut self,
        commit: &OffsetCommit,
        work: &mut Work<'_, '_>,
    ) -> Result<(), Refusal> {
        let generation = commit.generation_or_epoch;
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation < 0 && commit.member.is_empty() && commit.instance.is_none() {
            // Somebody outside of the group, which is in use.
            return Err(unknown_member());
        }
        self.check(&commit.member, commit.instance.as_deref())?;
        if generation != self.generation {
            return Err(Refusal::IllegalGeneration);
        }
        if self.state == State::Completing {
            return Err(Refusal::RebalanceInProgress);
        }
        self.renew_session(&commit.member, work);
        Ok(())
    }
}

/// Writes the records; each partition has an answer of its own. But a member that commits for a
/// partition which it doesn't hold is behind its group, and then all of its commit is refused.
fn write(
    ctx: &Context<'_>,
    commit: &OffsetCommit,
    rights: Option<&CommitRights<'_>>,
    out: &mut Decision,
) -> Result<Vec<CommittedTopic>, Refusal> {
    let max = ctx.config.record_bytes_max as usize;
    let mut bytes = 0;
    let mut records = Vec::new();
    let mut parts = Vec::with_capacity(commit.topics.len());
    for topic in &commit.topics {
        let mut outcomes = Vec::with_capacity(topic.partitions.len());
        // Older versions of the request know the topic by its name only; the record has its id.
        let id = match topic.id {
            Uuid::ZERO => ctx.topics.topic(&topic.name).map_or(topic.id, |it| it.id),
            id => id,
        };
        for part in &topic.partitions {
            // Beyond the bound all of it is refused, and no more is made for nothing.
            let outcome = match bytes > max {
                true => Err(Refusal::InvalidCommitOffsetSize),
                false => record(ctx, commit, topic, id, part),
            };
            if let Some(rights) = rights
                && !matches!(outcome, Err(Refusal::OffsetMetadataTooLarge))
            {
                rights.allows(&id, &topic.name, part.partition)?;
            }
            outcomes.push((
                part.partition,
                outcome.map(|record| {
                    bytes += record.bytes();
                    records.push(record);
                }),
            ));
        }
        parts.push(CommittedTopic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: outcomes,
        });
    }
    if bytes > max {
        let all = parts.iter_mut().flat_map(|part| &mut part.partitions);
        all.for_each(|(_, outcome)| *outcome = Err(Refusal::InvalidCommitOffsetSize));
        return Ok(parts);
    }
    out.records.append(&mut records);
    Ok(parts)
}

fn record(
    ctx: &Context<'_>,
    commit: &OffsetCommit,
    topic: &CommitTopic,
    topic_id: Uuid,
    part: &CommitPartition,
) -> Result<Record, Refusal> {
    let metadata = part.metadata.as_deref().unwrap_or("");
    let allowed = usize::try_from(ctx.config.offset_metadata_bytes_max).unwrap_or(0);
    // As in Kafka the bound is one of characters as Java counts them, whatever its name says.
    if metadata.len() > allowed && metadata.encode_utf16().count() > allowed {
        return Err(Refusal::OffsetMetadataTooLarge);
    }
    let now_ms = ctx.now.wall.0;
    let view = View {
        offset: part.offset,
        leader_epoch: part.leader_epoch,
        metadata,
        committed_ms: now_ms,
        expires_ms: commit.retention_ms.map(|keep| now_ms.saturating_add(keep)),
        topic_id,
    };
    let key = Key::Offset {
        group: &commit.group,
        topic: &topic.name,
        partition: part.partition,
    };
    Ok(Record::new(key, view.encode()))
}
