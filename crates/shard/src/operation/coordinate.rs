//! What clients ask of coordinators: the machine decides, its records are proposed as one batch
//! and replayed at once, the answers wait for the commit.

use crate::Shard;
use crate::api::{Reply, ReplyTo};
use crate::coordinator::{Asker, Everywhere, ImageTopics, NOBODY, Told};
use base::{GroupId, Mono, Refusal, Uuid, limits, record};
use group::command::ListGroups;
use group::{Caller, Command, Context, Decision};
use std::time::Duration;

/// A timer that can't be served now is tried again after this.
const TIMER_RETRY: Duration = Duration::from_millis(100);
/// How long what is decided may wait for its copies, where the caller set no bound of its own.
const COPIES_WAIT: Duration = Duration::from_secs(5);

/// True for what is asked in order to be written. Heartbeats go on without the copies that
/// `min.insync.replicas` demands, or every member would be lost with them.
fn is_write(command: &Command) -> bool {
    match command {
        Command::JoinGroup(_)
        | Command::SyncGroup(_)
        | Command::LeaveGroup(_)
        | Command::OffsetCommit(_)
        | Command::OffsetDelete(_)
        | Command::DeleteGroups { .. } => true,
        Command::Heartbeat(_)
        | Command::ConsumerHeartbeat(_)
        | Command::OffsetFetch(_)
        | Command::DescribeGroups { .. }
        | Command::ListGroups(_)
        | Command::ConsumerDescribe { .. }
        | Command::TopicsDeleted { .. }
        | Command::Tick => false,
    }
}

impl Shard {
    /// A command for the coordinator of one partition.
    pub(crate) fn coordinate(
        &mut self,
        group: GroupId,
        command: Command,
        deadline: Option<Mono>,
        to: ReplyTo,
    ) {
        if let Err(refusal) = self.coordinator_takes(group, &command) {
            return to.sink.reply(to.ticket, Reply::Group(Err(refusal)));
        }
        self.ask_coordinator(group, command, deadline, Asker::Client(to));
    }

    /// What keeps a command from the machine.
    fn coordinator_takes(&self, group: GroupId, command: &Command) -> Result<(), Refusal> {
        let replica = self.replicas.get(&group).ok_or(Refusal::NotCoordinator)?;
        let coordinator = replica.coordinator.as_ref();
        let coordinator = coordinator.ok_or(Refusal::NotCoordinator)?;
        // Leading a later term than the one that it serves in, it was deposed in between.
        let term = replica.group.term();
        if !replica.group.is_leader() || replica.suspect.is_some() {
            return Err(Refusal::NotCoordinator);
        }
        if coordinator.leading.as_ref().is_none_or(|l| l.term != term) {
            return Err(Refusal::CoordinatorLoading);
        }
        if !replica.group.may_propose() {
            return Err(Refusal::NotCoordinator);
        }
        let no = |why: &str| Err(Refusal::CoordinatorNotAvailable(why.to_owned()));
        if !self.coordinators.has_room(command) {
            return no("too many callers wait for coordinators");
        }
        let full = self.is_disk_full();
        if full && matches!(command, Command::OffsetCommit(_)) {
            return no("the data directory has no room for offsets");
        }
        if replica.uncommitted_bytes > limits::UNCOMMITTED_GROUP_BYTES {
            return no("too many bytes wait for their commit");
        }
        if is_write(command) {
            replica.has_copies_wanted(self.now.mono, self.settings.replica_lag_max)?;
        }
        Ok(())
    }

    fn ask_coordinator(
        &mut self,
        group: GroupId,
        command: Command,
        deadline: Option<Mono>,
        asker: Asker,
    ) {
        let caller = self.coordinators.caller();
        let replica = self.replicas.get_mut(&group);
        let coordinator = replica.and_then(|r| r.coordinator.as_mut());
        let leading = coordinator.and_then(|c| c.leading.as_mut());
        let leading = leading.expect("it was asked whether it serves");
        leading.wait(caller, asker, deadline);
        self.coordinators.waiting += 1;
        self.decide(group, caller, command);
    }

    /// Lets the machine decide, and carries the decision out.
    fn decide(&mut self, group: GroupId, caller: Caller, command: Command) {
        let drawn = Uuid::from_random(self.random.next(), self.random.next());
        let image = self.image();
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        let Some(leading) = &mut coordinator.leading else {
            return;
        };
        let context = Context {
            now: self.now,
            config: &self.settings.groups,
            topics: &ImageTopics(&image),
            drawn,
        };
        let decision = coordinator
            .groups
            .handle(&mut leading.soft, &context, caller, command);
        self.carry_out(group, decision);
        self.answer_group_calls(group);
        self.set_coordinator_timer(group);
    }

    fn carry_out(&mut self, group: GroupId, decision: Decision) {
        let Decision { records, replies } = decision;
        let mut index = None;
        if !records.is_empty() {
            let wall = self.now.wall.0;
            let mut batch = record::Builder::new(wall);
            for fact in &records {
                batch.push(wall, Some(&fact.key), fact.value.as_deref(), &[]);
            }
            index = self.append_machine_batch(group, batch.build());
            if index.is_none() {
                // What it thinks now isn't in the log: as after a step-down.
                return self.stop_coordinating(group);
            }
            self.coordinators.gather(group);
        }
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let (end, safe) = (replica.next_offset, replica.acknowledged());
        let late = self.now.mono.after(COPIES_WAIT);
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        if index.is_some() {
            for fact in &records {
                coordinator.groups.replay(&fact.key, fact.value.as_deref());
            }
            coordinator.applied = end;
        }
        if let Some(leading) = &mut coordinator.leading {
            index.into_iter().for_each(|index| leading.proposed(index));
            leading.answer(replies, index.is_some(), safe, late);
            if leading.wants_round() {
                // It begins when the turn ends: one for all who want it.
                self.touch(group);
            }
        }
    }

    /// Gives the answers whose entries have their copies.
    pub(crate) fn answer_group_calls(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let (safe, committed) = (replica.acknowledged(), replica.high.0);
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        if let Some(leading) = &mut coordinator.leading {
            let told = leading.safe_answers(safe, committed);
            self.tell(told);
        }
    }

    /// Before a touched replica's messages are collected: begins the round that answers wait for.
    pub(crate) fn begin_confirmation(&mut self, group: GroupId, again: bool) -> bool {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return false;
        };
        let Some(coordinator) = &mut replica.coordinator else {
            return false;
        };
        let leading = coordinator.leading.as_mut();
        let round = leading.and_then(|leading| leading.begin_round(again));
        round
            .inspect(|round| replica.group.confirm(*round))
            .is_some()
    }

    /// Messages of rounds may have been lost: those that are waited for are begun again.
    pub(crate) fn confirm_again(&mut self) {
        for group in self.coordinators.hosted.clone() {
            if self.begin_confirmation(group, true) {
                self.touch(group);
            }
        }
    }

    /// Answers callers that don't wait any more.
    pub(crate) fn tell(&mut self, told: Vec<Told>) {
        self.coordinators.waiting -= told.len();
        for (asker, reply) in told {
            match asker {
                Asker::Client(to) => to.sink.reply(to.ticket, Reply::Group(reply)),
                Asker::Everywhere(id) => self.heard_of_groups(id, reply),
            }
        }
    }

    /// The groups of all coordinators that this node leads.
    pub(crate) fn list_groups(&mut self, filter: &ListGroups, deadline: Mono, to: ReplyTo) {
        let mut asked = Vec::new();
        let mut answer = Ok(Vec::new());
        let command = Command::ListGroups(filter.clone());
        for group in &self.coordinators.hosted {
            match self.coordinator_takes(*group, &command) {
                Ok(()) => asked.push(*group),
                Err(Refusal::NotCoordinator) => {}
                Err(refusal) => answer = Err(refusal),
            }
        }
        if asked.is_empty() {
            return to.sink.reply(to.ticket, Reply::Groups(answer));
        }
        let id = self.coordinators.caller();
        let missing = asked.len();
        let question = Everywhere {
            to,
            missing,
            answer,
        };
        self.coordinators.everywhere.insert(id, question);
        for group in asked {
            self.ask_coordinator(
                group,
                command.clone(),
                Some(deadline),
                Asker::Everywhere(id),
            );
        }
    }

    /// One coordinator's part of an answer. Who leads no more has no groups to list.
    fn heard_of_groups(&mut self, id: u64, reply: Result<group::Reply, Refusal>) {
        let Some(question) = self.coordinators.everywhere.get_mut(&id) else {
            return;
        };
        match (reply, &mut question.answer) {
            (Ok(group::Reply::ListGroups(some)), Ok(all)) => all.extend(some),
            (Err(Refusal::NotCoordinator) | Ok(_), _) => {}
            (Err(refusal), answer) => *answer = Err(refusal),
        }
        question.missing -= 1;
        if question.missing == 0
            && let Some(done) = self.coordinators.everywhere.remove(&id)
        {
            done.to
                .sink
                .reply(done.to.ticket, Reply::Groups(done.answer));
        }
    }

    /// Puts the next moment at which a coordinator wants attention on the list.
    pub(crate) fn set_coordinator_timer(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        let mut due = coordinator.due();
        if !replica.group.may_propose() {
            due = due.map(|at| at.max(self.now.mono.after(TIMER_RETRY)));
        }
        let Some(leading) = &mut coordinator.leading else {
            return;
        };
        if leading.timer == due {
            return;
        }
        let timers = &mut self.coordinators.timers;
        if let Some(at) = std::mem::replace(&mut leading.timer, due) {
            timers.remove(&(at, group));
        }
        timers.extend(due.map(|at| (at, group)));
    }

    /// Looks after the coordinators whose time has come, each once.
    pub(crate) fn run_coordinators(&mut self) {
        let now = self.now.mono;
        let due = self
            .coordinators
            .timers
            .iter()
            .map_while(|(at, group)| (*at <= now).then_some(*group));
        for group in due.collect::<Vec<_>>() {
            self.run_coordinator(group);
        }
        for group in self.coordinators.leaving(now) {
            self.touch(group);
        }
    }

    fn run_coordinator(&mut self, group: GroupId) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let serves = replica.group.may_propose();
        let term = replica.group.term();
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        let Some(leading) = &mut coordinator.leading else {
            return;
        };
        let serves = serves && leading.term == term;
        let late = leading.overdue(now);
        let ticks = coordinator
            .groups
            .due(&leading.soft)
            .is_some_and(|at| at <= now);
        self.tell(late);
        if ticks && serves {
            self.decide(group, NOBODY, Command::Tick);
        }
        self.set_coordinator_timer(group);
    }

    /// Topics are gone: coordinators that this node leads forget the offsets in them.
    pub(crate) fn tell_coordinators_of(&mut self, topics: &[(String, Uuid)]) {
        if topics.is_empty() {
            return;
        }
        for group in self.coordinators.hosted.clone() {
            let topics = topics.to_vec();
            let command = Command::TopicsDeleted { topics };
            if self.coordinator_takes(group, &command).is_ok() {
                self.decide(group, NOBODY, command);
            }
        }
    }
}
