//! A node that goes on without nodes that are lost for good, where those were a majority: its shard is run
//! without clients and without anybody else until it has written who is lost, and that its replicas go on
//! (`operation/alone.rs`, `meta::recover`). A start of the node goes on from there. Stopped at any point
//! it can be run again.
//!
//! Which of the nodes that are left is to do so is the asker's choice ([`metadata_end`]), as are time and
//! patience: whoever drives this takes turns until it is done.

use crate::replica::recovered_configuration;
use crate::{
    Command, Effects, Event, Job, JobResult, ReplicaStatus, Reply, ReplySink, ReplyTo, Settings,
    Shard,
};
use base::{Bug, Configuration, GroupId, Mono, NodeId, Now, RaftIndex, Refusal, Term, planted};
use log::{Fault, Recovered, Storage};
use meta::Image;
use std::sync::{Arc, Mutex};

/// Where the metadata of a node ends, as a start would find it. Of those that are left, the one with the
/// greatest end has whatever any of them knows to be committed.
pub fn metadata_end(found: &Recovered) -> (Term, RaftIndex) {
    let mut groups = found.groups.iter();
    let metadata = groups.find(|group| group.log.group() == GroupId::META);
    metadata.map_or((Term(0), RaftIndex(0)), |group| {
        (group.log.last_term(), group.log.last_index())
    })
}

/// The nodes that vote on the metadata, as a start would find it; none if nobody joined or left those that
/// formed the cluster.
pub fn metadata_configuration(found: &Recovered) -> Option<Configuration> {
    let mut groups = found.groups.iter();
    let metadata = groups.find(|group| group.log.group() == GroupId::META)?;
    recovered_configuration(metadata).map(|(configuration, _)| configuration)
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It is to lead the metadata.
    Leads,
    /// It was told who is lost.
    Told,
    /// That is on record; its replicas that were told to are to go on.
    GoesOn,
    Done,
}

/// Where the one answer goes.
#[derive(Default)]
struct Inbox(Mutex<Option<Reply>>);

impl ReplySink for Inbox {
    fn reply(&self, _: u64, reply: Reply) {
        *self.0.lock().expect("nobody panics while answering") = Some(reply);
    }
}

/// The node, alone.
pub struct Recovery {
    me: NodeId,
    lost: Vec<NodeId>,
    until: Mono,
    shard: Shard,
    storage: Storage,
    image: Arc<Image>,
    stage: Stage,
    inbox: Arc<Inbox>,
}

impl Recovery {
    /// Nothing is written before the first turn.
    pub fn new(
        settings: Settings,
        (storage, recovered): (Storage, Recovered),
        lost: Vec<NodeId>,
        (now, until): (Now, Mono),
    ) -> Recovery {
        let (alone, home) = (true, None);
        let settings = Settings {
            alone,
            home,
            ..settings
        };
        Recovery {
            me: settings.node,
            lost,
            until,
            shard: Shard::new(settings, recovered, now),
            storage,
            image: Arc::default(),
            stage: Stage::Leads,
            inbox: Arc::default(),
        }
    }

    /// True once all of it is written: then nothing more is to be done, and it may be dropped.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The metadata with which it goes on.
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// Where a replica stands.
    pub fn replica_status(&self, group: GroupId) -> Option<ReplicaStatus> {
        self.shard.replica_status(group)
    }

    /// What hasn't come yet, in words, and why, if that is known.
    pub fn waits_for(&self) -> String {
        let what = match self.stage {
            Stage::Leads => "it leads the metadata",
            Stage::Told => "that is on record",
            Stage::GoesOn => "its partitions go on",
            Stage::Done => "it is done",
        };
        let status = self.shard.replica_status(GroupId::META);
        let why = status.and_then(|status| status.suspect);
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        format!("{what}{why}")
    }

    /// What is to be done next; refused if it can't be done at all.
    pub fn decide(&mut self, now: Now) -> Result<Effects, Refusal> {
        self.advance(now)?;
        let mut effects = Effects::default();
        self.shard.turn(now, &mut effects);
        if let Some(image) = &effects.image {
            self.image = image.clone();
        }
        Ok(effects)
    }

    fn advance(&mut self, now: Now) -> Result<(), Refusal> {
        match self.stage {
            Stage::Leads if self.image.levels.get(&self.me) == Some(&meta::LEVELS) => {
                let sink = self.inbox.clone();
                let lost = self.lost.clone();
                let command = Command::Meta {
                    command: meta::Command::Recover { lost },
                    deadline: self.until,
                };
                let to = ReplyTo { sink, ticket: 0 };
                self.shard.on(now, Event::Command(command, Some(to)));
                self.stage = match planted(Bug::RecoveredBeforeOnRecord) {
                    true => Stage::Done,
                    false => Stage::Told,
                };
            }
            Stage::Told => {
                let mut inbox = self.inbox.0.lock().expect("nobody panics while answering");
                match inbox.take() {
                    None => {}
                    Some(Reply::Meta(Ok(meta::Reply::Each(parts)))) => {
                        parts.into_iter().collect::<Result<(), Refusal>>()?;
                        self.stage = Stage::GoesOn;
                    }
                    Some(Reply::Meta(Err(why))) => return Err(why),
                    Some(other) => unreachable!("who names lost nodes isn't answered {other:?}"),
                }
            }
            Stage::GoesOn if self.all_go_on() => self.stage = Stage::Done,
            Stage::Leads | Stage::GoesOn | Stage::Done => {}
        }
        Ok(())
    }

    /// True if each replica here that is to go on leads, or stands aside.
    fn all_go_on(&self) -> bool {
        let topics = self.image.topics.values();
        let partitions = topics.flat_map(|topic| &topic.partitions);
        let here = |node: NodeId| node == self.me;
        let mut mine = partitions.filter(|info| info.survivor().is_some_and(|m| here(m.node)));
        mine.all(|info| {
            let status = self.shard.replica_status(info.group);
            status.is_some_and(|s| s.leader.is_some_and(|(n, _)| here(n)) || s.suspect.is_some())
        })
    }

    /// Does it; false if there was nothing to do.
    pub fn carry_out(&mut self, now: Now, effects: Effects) -> Result<bool, Fault> {
        let busy = effects.turn.is_some() || !effects.jobs.is_empty();
        if let Some(turn) = effects.turn {
            let number = turn.number;
            self.storage.write(vec![turn])?;
            self.shard.on(now, Event::Persisted { turn: number });
            self.storage.settle()?;
            self.shard.on(now, Event::Settled { turn: number });
            if let Some(mut flush) = self.storage.take_flush() {
                flush.run()?;
                self.storage.flushed(flush)?;
            } else if self.storage.wants_checkpoint() {
                self.shard.on(now, Event::CheckpointDue);
            }
        }
        let files = self.storage.files();
        for job in effects.jobs {
            // Nothing else has to be done for this.
            if let Job::Entries { plan, .. } = &job {
                let result = JobResult::Entries(plan.run(&files));
                self.shard.on(now, Event::Done(job, result));
            }
        }
        Ok(busy)
    }

    /// The storage thread of a node that is stopped in order does this too: the next start knows that it
    /// was.
    pub fn close(mut self) -> Result<(), Fault> {
        self.storage.idle()
    }
}
