//! How a coordinator follows its partition: it replays what is committed, begins to serve when
//! this node leads and nothing is left to replay, and stops when it leads no more.

use crate::Shard;
use crate::coordinator::Coordinator;
use crate::replica::Replica;
use base::{Bug, GroupId, Mark, mark, planted};

impl Shard {
    /// A replica of `__consumer_offsets` is here: it hosts a coordinator.
    pub(crate) fn host_coordinator(&mut self, group: GroupId) {
        if let Some(replica) = self.replicas.get_mut(&group)
            && replica.coordinator.is_none()
        {
            replica.coordinator = Some(Box::new(Coordinator::new()));
            self.coordinators.hosted.insert(group);
            self.touch(group);
        }
    }

    /// Before anything is made of a change: is the leadership that a coordinator serves in over?
    /// This comes before the high watermark moves, because what another leader put in the place
    /// of this one's proposals may be committed in the same turn.
    pub(crate) fn stop_if_deposed(&mut self, group: GroupId) {
        let over = |r: &Replica| {
            let leading = r.coordinator.as_ref().and_then(|c| c.leading.as_ref());
            let serves_in = leading.map(|l| l.term);
            let stays = r.group.is_leader() && r.suspect.is_none();
            serves_in.is_some_and(|term| term != r.group.term() || !stays)
        };
        if self.replicas.get(&group).is_some_and(|r| over(r)) {
            self.stop_coordinating(group);
        }
    }

    /// Whoever waits is told, and what only the leader knew is forgotten; with it all that was
    /// replayed before it was committed.
    pub(crate) fn stop_coordinating(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let high = replica.high.1;
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        if planted(Bug::SoftSurvivesStepDown) {
            return;
        }
        let Some(leading) = coordinator.leading.take() else {
            return;
        };
        if coordinator.applied > high && !planted(Bug::GroupsSurviveStepDown) {
            mark(Mark::CoordinatorForgot);
            coordinator.forget();
        }
        if let Some(at) = leading.timer {
            self.coordinators.timers.remove(&(at, group));
        }
        let told = leading.end();
        self.tell(told);
    }

    /// After a replica was touched: replays what is committed, and serves if it can.
    pub(crate) fn follow(&mut self, group: GroupId) {
        if !self.coordinators.hosted.contains(&group) {
            return;
        }
        self.replay_committed(group);
        self.begin_to_serve(group);
        self.answer_group_calls(group);
    }

    /// Replays from memory; what left it is read by a job first.
    fn replay_committed(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let unreadable = replica.suspect.is_some();
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        // What the log doesn't have any more was compacted or deleted.
        coordinator.applied = coordinator.applied.max(replica.log.start_offset());
        let (from, high) = (coordinator.applied, replica.high.1);
        if from >= high || unreadable || coordinator.job.is_some() {
            return;
        }
        let oldest = replica.group.first_batch().map(|b| b.header().base_offset);
        if oldest.is_none_or(|oldest| oldest > from) {
            self.coordinators.to_load.insert(group);
            return;
        }
        self.coordinators.to_load.remove(&group);
        for batch in replica.group.batches_from(from) {
            if batch.header().next_offset() > high {
                break;
            }
            coordinator.replay(batch);
        }
    }

    /// A new leader's high watermark is the group's once an entry of its own term is committed;
    /// when all of that is replayed, nothing is missing. Not in the turn of the election.
    fn begin_to_serve(&mut self, group: GroupId) {
        let Some(replica) = self.replicas.get_mut(&group) else {
            return;
        };
        let knows_all = replica.was_leader
            && replica.suspect.is_none()
            && replica.group.may_propose()
            && (replica.group.committed_in_term() || planted(Bug::ServeBeforeTermCommit))
            && replica.high.0 == replica.group.committed();
        let (term, high) = (replica.group.term(), replica.high.1);
        let Some(coordinator) = &mut replica.coordinator else {
            return;
        };
        if knows_all && planted(Bug::SoftSurvivesStepDown) {
            coordinator.leading.iter_mut().for_each(|l| l.term = term);
        }
        let loaded = coordinator.applied == high || planted(Bug::ServeBeforeLoaded);
        if !knows_all || coordinator.leading.is_some() || !loaded {
            return;
        }
        mark(Mark::CoordinatorServes);
        coordinator.lead(term, self.now, &self.settings.groups);
        self.set_coordinator_timer(group);
    }

    /// The topic was deleted, and its coordinators with it.
    pub(crate) fn retire_coordinator(&mut self, group: GroupId) {
        self.stop_coordinating(group);
        self.coordinators.hosted.remove(&group);
        self.coordinators.to_load.remove(&group);
        self.coordinators.stalled.remove(&group);
    }
}
