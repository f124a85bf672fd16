//! In the end every group is stable, each partition that it consumes has one owner, and all
//! offsets that were ever committed were asked for once more.

use super::World;
use crate::checkers::Part;
use crate::checkers::settled::{self, Membership};
use crate::client::Role;
use crate::client::member::{Member, TOPICS};
use std::collections::BTreeSet;

impl World {
    fn members(&self) -> impl Iterator<Item = (usize, &Member)> {
        let clients = self.clients.iter().enumerate();
        clients.filter_map(|(number, client)| match &client.role {
            Role::Member(member) => Some((number, member)),
            _ => None,
        })
    }

    /// What keeps the replicas of coordinators from being equal, if anything.
    fn unwell_coordinators(&self) -> Option<String> {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let images = processes.map(|process| process.broker.image());
        let image = images.max_by_key(|image| image.version)?;
        let topic = image.topic(meta::names::CONSUMER_OFFSETS)?;
        for partition in &topic.partitions {
            let (mut end, mut state) = (None, None);
            for node in &partition.replicas {
                let place = node.0 as usize - 1;
                let process = self.nodes[place].process.as_ref();
                let Some(process) = process.filter(|_| !self.is_excused(place)) else {
                    continue;
                };
                let Some(status) = process.shard.replica_status(partition.group) else {
                    return Some(format!(
                        "coordinator {} isn't on node {node}",
                        partition.group
                    ));
                };
                let applied = process.shard.coordinator_status(partition.group);
                let high = status.high_watermark;
                let replayed = applied.is_some_and(|(upto, _)| upto == high);
                if !replayed || *end.get_or_insert(high) != high {
                    let group = partition.group;
                    return Some(format!(
                        "coordinator {group} of node {node}: {applied:?}, {status:?}"
                    ));
                }
                let known = process.shard.coordinator_state(partition.group);
                if known.is_none() || state.get_or_insert_with(|| known.clone()) != &known {
                    let group = partition.group;
                    return Some(format!(
                        "coordinator {group} of node {node} knows other groups"
                    ));
                }
            }
        }
        None
    }

    /// What keeps groups from being well, if anything.
    pub(super) fn unwell_groups(&self) -> Option<String> {
        if let Some(unwell) = self.unwell_coordinators() {
            return Some(unwell);
        }
        let all: BTreeSet<Part> = self
            .expected_parts()
            .into_iter()
            .filter(|part| TOPICS.contains(&part.topic))
            .collect();
        let members = self.members().map(|(client, member)| Membership {
            client,
            group: member.habits.group,
            stands: member.stands(),
            reviewed: member.reviewed,
        });
        settled::unwell_groups(&members.collect::<Vec<_>>(), &all)
    }

    /// Members keep calm from now on, and ask for all offsets once more.
    pub(super) fn review_groups(&mut self) {
        for client in &mut self.clients {
            if let Role::Member(member) = &mut client.role {
                member.draining = true;
                member.reviewed = false;
            }
        }
    }
}
