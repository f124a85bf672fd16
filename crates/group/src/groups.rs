//! The replicated state and the three ways into it: deciding, replaying, becoming the leader.

mod catalog;
mod names;
mod refused;

pub use refused::refused;

use crate::classic::Work;
use crate::context::NoTopics;
use crate::record::Key;
use crate::record::group::Saved;
use crate::reply::Reply;
use crate::{Caller, Command, Config, Context, Decision, Soft, consumer, offsets};
use base::{Mono, Now, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A group, as far as it is more than offsets.
#[derive(Debug, PartialEq)]
pub(crate) enum Group {
    /// Of the classic protocol: its last finished generation.
    Classic(Saved),
    /// Of KIP-848.
    Consumer(Box<consumer::Group>),
}

/// The groups of one partition of `__consumer_offsets`: what its records say, nothing else. A
/// group that has nothing but offsets isn't among `groups`.
#[derive(Debug, Default, PartialEq)]
pub struct Groups {
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    pub(crate) offsets: BTreeMap<Arc<str>, offsets::ByTopic>,
}

impl Groups {
    /// No group, no offset.
    pub fn new() -> Groups {
        Groups::default()
    }

    /// Decides. What is replicated doesn't change; the records, once replayed, change it. The
    /// host replays them at once, before the next command.
    pub fn handle(
        &self,
        soft: &mut Soft,
        ctx: &Context<'_>,
        caller: Caller,
        command: Command,
    ) -> Decision {
        let mut out = Decision::default();
        if let Err(refusal) = names::check(&command).and_then(|()| soft.check_deletions(&command)) {
            out.replies.push((caller, refused(&command, refusal)));
            return out;
        }
        match command {
            Command::JoinGroup(join) => self.join(soft, ctx, caller, join, &mut out),
            Command::SyncGroup(sync) => self.sync(soft, ctx, caller, sync, &mut out),
            Command::Heartbeat(beat) => self.heartbeat(soft, ctx, caller, beat, &mut out),
            Command::LeaveGroup(leave) => self.leave(soft, ctx, caller, leave, &mut out),
            Command::OffsetCommit(commit) => self.commit(soft, ctx, caller, commit, &mut out),
            Command::OffsetFetch(fetch) => self.fetch(ctx, caller, fetch, &mut out),
            Command::OffsetDelete(delete) => self.delete_offsets(soft, caller, &delete, &mut out),
            Command::DeleteGroups { groups } => {
                self.delete_groups(soft, ctx, caller, groups, &mut out);
            }
            Command::DescribeGroups { groups } => {
                out.replies.push((caller, self.describe(soft, &groups)));
            }
            Command::ListGroups(filter) => out.replies.push((caller, self.list(soft, &filter))),
            Command::ConsumerHeartbeat(beat) => {
                self.consumer_heartbeat(soft, ctx, caller, beat, &mut out);
            }
            Command::ConsumerDescribe { groups } => {
                out.replies
                    .push((caller, self.consumer_describe(ctx, &groups)));
            }
            Command::TopicsDeleted { topics } => {
                self.topics_deleted(soft, ctx, topics, &mut out);
                out.replies.push((caller, Reply::Done));
            }
            Command::Tick => {
                self.classic_tick(soft, ctx, &mut out);
                self.consumer_tick(soft, ctx, &mut out);
                out.replies.push((caller, Reply::Done));
            }
        }
        out
    }

    /// Applies one fact. Total: what it can't read is skipped, the same on every replica.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) {
        match Key::decode(key) {
            None => {}
            Some(Key::Offset {
                group,
                topic,
                partition,
            }) => self.replay_offset(group, topic, partition, value),
            Some(Key::Group(name)) => self.replay_group(name, value),
            Some(key) => self.replay_consumer(key, value),
        }
    }

    fn replay_group(&mut self, name: &str, value: Option<&[u8]>) {
        match value {
            // A group that has changed its protocol is no longer this record's.
            None => {
                if let Some(Group::Classic(_)) = self.groups.get(name) {
                    self.groups.remove(name);
                }
            }
            Some(value) => {
                if let Some(saved) = Saved::decode(value) {
                    self.groups.insert(Arc::from(name), Group::Classic(saved));
                }
            }
        }
    }

    /// This replica leads from now on: the sessions of all known members begin anew.
    pub fn elected(&self, now: Now, config: &Config) -> Soft {
        let mut soft = Soft {
            consumer: self.consumer_elected(now, config),
            ..Soft::default()
        };
        self.begin_sweeps(&mut soft, now, config);
        let ctx = Context {
            now,
            config,
            topics: &NoTopics,
            drawn: Uuid::ZERO,
        };
        let mut out = Decision::default();
        for (name, group) in &self.groups {
            if let Group::Classic(saved) = group
                && !saved.members.is_empty()
                && let Some(live) = self.live(&mut soft.classic, name)
            {
                let timers = &mut soft.timers;
                let mut work = Work {
                    ctx: &ctx,
                    timers,
                    out: &mut out,
                };
                live.resume(&mut work);
            }
        }
        debug_assert!(out.records.is_empty() && out.replies.is_empty());
        soft
    }

    /// When [`Command::Tick`] is wanted, if at all. It may turn out that nothing is due then.
    pub fn due(&self, soft: &Soft) -> Option<Mono> {
        let both = soft.timers.due().into_iter().chain(soft.consumer.due());
        both.min()
    }
}

#[cfg(test)]
mod tests;
