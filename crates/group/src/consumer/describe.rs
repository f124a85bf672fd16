//! ConsumerGroupDescribe, and a group's state.

use super::heartbeat::not_a_consumer_group;
use super::state::{Group, Member};
use super::target;
use crate::assign::Assignment;
use crate::reply::{ConsumerDescribed, ConsumerDescribedMember, NamedPartitions, Reply};
use crate::{Context, Groups, Topics};
use base::{Refusal, Uuid};
use std::collections::BTreeMap;

impl Groups {
    /// A group that was asked for twice is answered twice.
    pub(crate) fn consumer_describe(&self, ctx: &Context<'_>, groups: &[String]) -> Reply {
        let describe = |name: &String| {
            let group = self.consumer_group(name);
            let described = match group {
                Some(group) => Ok(group.describe(ctx)),
                None if self.groups.contains_key(name.as_str())
                    || self.offsets.contains_key(name.as_str()) =>
                {
                    Err(not_a_consumer_group(name))
                }
                None => Err(Refusal::GroupIdNotFound(format!("Group {name} not found."))),
            };
            (name.clone(), described)
        };
        Reply::ConsumerDescribe(groups.iter().map(describe).collect())
    }
}

impl Group {
    /// Kafka's name for where the group stands.
    pub(crate) fn state_name(&self) -> &'static str {
        let arrived = |member: &Member| member.current.arrived_at(self.target_epoch);
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(arrived) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    fn describe(&self, ctx: &Context<'_>) -> ConsumerDescribed {
        let wanted = self.by_assignor.iter();
        let wanted = wanted
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        let members = self.members.iter();
        ConsumerDescribed {
            state: self.state_name(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: target::preferred(&wanted, ctx.config).to_owned(),
            members: members
                .map(|(id, member)| describe(id, member, self.targets.get(id), ctx.topics))
                .collect(),
        }
    }
}

fn describe(
    id: &str,
    member: &Member,
    target: Option<&Assignment>,
    topics: &dyn Topics,
) -> ConsumerDescribedMember {
    // What it has to give up it still holds.
    let mut held = Assignment::new();
    for holding in [&member.current.assigned, &member.current.revoking] {
        for (topic, partitions) in holding {
            held.entry(*topic).or_default().extend(partitions.keys());
        }
    }
    let wishes = &member.wishes;
    ConsumerDescribedMember {
        member: id.to_owned(),
        instance: wishes.instance.clone(),
        rack: wishes.rack.clone(),
        epoch: member.current.epoch,
        client_id: wishes.client_id.clone(),
        client_host: wishes.client_host.clone(),
        topics: wishes.topics.clone(),
        regex: wishes.regex.clone(),
        assignment: named(&held, topics),
        target: named(target.unwrap_or(&BTreeMap::new()), topics),
        classic: member.is_classic(),
    }
}

/// Topics that are gone have no name and aren't shown.
fn named(assignment: &Assignment, topics: &dyn Topics) -> Vec<NamedPartitions> {
    let entry = |(id, partitions): (&Uuid, &Vec<i32>)| {
        let name = topics.name_of(id)?.to_owned();
        let mut partitions = partitions.clone();
        partitions.sort_unstable();
        Some(NamedPartitions {
            id: *id,
            name,
            partitions,
        })
    };
    assignment.iter().filter_map(entry).collect()
}
