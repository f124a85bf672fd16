//! A member by KIP-848's protocol: one call says what it wants and holds, and its answer what it
//! may hold. Who loses a partition gives it up first and says so; only then somebody else gets it.
//!
//! The coordinator makes the member's id (version 0 of the call), as this tool has no source of
//! chance.

use super::{Heard, REBALANCE, Wish, is_outdated, refused};
use crate::client::deadline::{Pauses, wall_ms};
use crate::client::groups::{self, As};
use crate::client::{Cluster, Code, Deadline, Trouble};
use base::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use wire_kafka::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse,
};

/// The epoch of somebody who joins,
const JOINS: i32 = 0;
/// of somebody who leaves,
const LEAVES: i32 = -1;
/// and of a static member that is going to come back.
const AWAY: i32 = -2;

/// Partitions by the id of their topic.
type Held = BTreeMap<Uuid, BTreeSet<i32>>;

/// A member.
#[derive(Debug)]
pub struct Member {
    wish: Wish,
    id: String,
    epoch: i32,
    held: Held,
    /// What it holds has changed since it said so.
    changed: bool,
    heard_ms: i64,
    interval_ms: i64,
}

impl Member {
    /// Somebody who is about to join.
    pub fn new(wish: Wish) -> Member {
        Member {
            wish,
            id: String::new(),
            epoch: JOINS,
            held: Held::new(),
            changed: false,
            heard_ms: 0,
            interval_ms: 0,
        }
    }

    pub(super) fn wish(&self) -> &Wish {
        &self.wish
    }

    pub(super) fn identity(&self) -> As<'_> {
        As {
            member: &self.id,
            generation: self.epoch,
            instance: None,
        }
    }

    /// Joins, or joins again under its old id, and gives what it holds now.
    pub fn join(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<BTreeSet<i32>, Trouble> {
        let mut pauses = Pauses::until(deadline);
        loop {
            self.epoch = JOINS;
            self.held.clear();
            let answer = self.ask(cluster, deadline)?;
            match Code(answer.error_code) {
                Code::NONE => {
                    self.hear(answer);
                    return Ok(self.partitions());
                }
                code if is_outdated(code) && pauses.wait() => {}
                code => return Err(refused("joining", &self.wish, code, answer.error_message)),
            }
        }
    }

    /// Says that it is alive and what it holds, if it is time to or if that has changed.
    pub fn heartbeat(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<Heard, Trouble> {
        let silent_ms = wall_ms().saturating_sub(self.heard_ms);
        if !self.changed && (0..self.interval_ms).contains(&silent_ms) {
            return Ok(Heard::Nothing);
        }
        let answer = self.ask(cluster, deadline)?;
        match Code(answer.error_code) {
            Code::NONE => Ok(match self.hear(answer) {
                true => Heard::Given(self.partitions()),
                false => Heard::Nothing,
            }),
            code if is_outdated(code) => Ok(Heard::Outdated),
            code => Err(refused(
                "staying in",
                &self.wish,
                code,
                answer.error_message,
            )),
        }
    }

    /// Takes over what an answer says; true if that changes what it holds.
    fn hear(&mut self, answer: ConsumerGroupHeartbeatResponse) -> bool {
        self.heard_ms = wall_ms();
        self.interval_ms = i64::from(answer.heartbeat_interval_ms);
        self.epoch = answer.member_epoch;
        if let Some(id) = answer.member_id {
            self.id = id;
        }
        let given = answer.assignment.map(held);
        self.changed = given.as_ref().is_some_and(|given| *given != self.held);
        if let Some(given) = given {
            self.held = given;
        }
        self.changed
    }

    /// True if it holds what it is meant to hold.
    pub fn is_settled(&self, cluster: &mut Cluster, deadline: Deadline) -> Result<bool, Trouble> {
        if self.changed {
            return Ok(false);
        }
        let group = groups::describe(cluster, &self.wish.group, deadline)?;
        let me = group.members.iter().find(|member| member.id == self.id);
        let topic = |(name, _): &&(String, Vec<i32>)| *name == self.wish.topic;
        let meant = me.map(|me| {
            let parts = me.target.iter().filter(topic);
            parts.flat_map(|(_, partitions)| partitions.iter().copied())
        });
        Ok(group.state != "Assigning"
            && meant.is_some_and(|meant| meant.collect::<BTreeSet<i32>>() == self.partitions()))
    }

    /// Leaves, if it is in; a static member is only away.
    pub fn leave(&self, cluster: &mut Cluster, deadline: Deadline) -> Result<(), Trouble> {
        if self.epoch == JOINS {
            return Ok(());
        }
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.wish.group.clone(),
            member_id: self.id.clone(),
            member_epoch: match self.wish.instance {
                Some(_) => AWAY,
                None => LEAVES,
            },
            instance_id: self.wish.instance.clone(),
            ..Default::default()
        };
        cluster.call_coordinator(&self.wish.group, &request, code, deadline)?;
        Ok(())
    }

    fn ask(
        &self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<ConsumerGroupHeartbeatResponse, Trouble> {
        let held = self.held.iter().map(|(topic, partitions)| TopicPartitions {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
        });
        // Everything each time: who repeats a call of which the answer was lost has to say what
        // it holds.
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.wish.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.wish.instance.clone(),
            rebalance_timeout_ms: REBALANCE.as_millis() as i32,
            subscribed_topic_names: Some(vec![self.wish.topic.clone()]),
            topic_partitions: Some(held.collect()),
            ..Default::default()
        };
        cluster.call_coordinator(&self.wish.group, &request, code, deadline)
    }

    /// What it holds. It wants one topic, so all of it is of that one.
    fn partitions(&self) -> BTreeSet<i32> {
        self.held.values().flatten().copied().collect()
    }
}

fn code(answer: &ConsumerGroupHeartbeatResponse) -> Code {
    Code(answer.error_code)
}

fn held(assignment: Assignment) -> Held {
    let parts = assignment.topic_partitions.into_iter();
    parts
        .map(|part| (part.topic_id, part.partitions.into_iter().collect()))
        .collect()
}
