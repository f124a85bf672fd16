//! A look inside, for those who compare replicas: the simulator, and the tests of this room. No door and
//! no operation asks any of this, and nothing here changes a shard. What somebody else asks too, like
//! [`Shard::replica_status`], is where its answer is made.

use crate::Shard;
use base::{Configuration, GroupId, Mono, Offset, RaftIndex};

impl Shard {
    /// The groups that this node has a replica of.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.replicas.keys().copied()
    }

    /// Who belongs to a group as this node's replica knows it, and the entry that says so.
    pub fn configuration(&self, group: GroupId) -> Option<(&Configuration, RaftIndex)> {
        let group = &self.replicas.get(&group)?.group;
        Some((group.configuration(), group.configured()))
    }

    /// What a replica remembers of producers whose batches are committed, as bytes.
    pub fn producers_state(&self, group: GroupId) -> Option<Vec<u8>> {
        Some(self.replicas.get(&group)?.producers.checkpoint().into())
    }

    /// How many idempotent producers this node's replica of a group remembers.
    pub fn producers_remembered(&self, group: GroupId) -> Option<usize> {
        Some(self.replicas.get(&group)?.producers.list().count())
    }

    /// What to read for all that this node's replica of a group has committed from an offset on,
    /// whoever leads.
    pub fn plan_replica(&self, group: GroupId, from: Offset) -> Option<log::ReadPlan> {
        let replica = self.replicas.get(&group)?;
        let upto = replica.high.1;
        (from < upto).then(|| replica.log.plan_read(from, upto, u32::MAX))
    }

    /// How far a coordinator has replayed and whether it serves.
    pub fn coordinator_status(&self, group: GroupId) -> Option<(Offset, bool)> {
        let coordinator = self.replicas.get(&group)?.coordinator.as_ref()?;
        Some((coordinator.applied, coordinator.leading.is_some()))
    }

    /// What a coordinator knows, in text.
    pub fn coordinator_state(&self, group: GroupId) -> Option<String> {
        let coordinator = self.replicas.get(&group)?.coordinator.as_ref()?;
        Some(format!("{:?}", coordinator.groups))
    }

    /// Since when all coordinators that are this node's to lead have served; none if one still loads.
    pub fn coordinates_since(&self) -> Option<Mono> {
        let hosted = self.coordinators.hosted.iter();
        let replicas = hosted.filter_map(|group| self.replicas.get(group));
        let led = replicas.filter(|replica| replica.group.is_leader());
        let since = led.map(|replica| {
            let leading = replica.coordinator.as_ref()?.leading.as_ref()?;
            (leading.term == replica.group.term()).then_some(leading.since)
        });
        since.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}
