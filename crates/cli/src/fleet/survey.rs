//! Where replicas are, how big they are and which of them move, asked of a cluster with Kafka's own
//! calls.

use super::plan::{Part, Partition, Site};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::cluster_info::{describe, room};
use base::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire_kafka::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire_kafka::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;

/// How long one node is waited for that is asked what it holds: one that doesn't say so within that is
/// as good as silent.
const HELD_WITHIN: Duration = Duration::from_secs(5);
/// The same for one that the others don't hear.
const SILENT_WITHIN: Duration = Duration::from_secs(1);

/// Topic and number of a partition.
pub type Name = (String, i32);

/// A partition as people write it.
pub fn text((topic, index): &Name) -> String {
    format!("{topic}-{index}")
}

/// Where a partition's replicas are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// The topic's id.
    pub topic: Uuid,
    /// The replicas that it has, or is to have while it moves; the preferred leader first.
    pub replicas: Vec<i32>,
    /// Replicas that go once the others have everything.
    pub removing: Vec<i32>,
    /// It is on its way.
    pub moving: bool,
    /// Replicas that come, as long as it is.
    pub adding: Vec<i32>,
    /// Who leads it; negative if nobody does.
    pub leader: i32,
    /// Replicas on nodes that aren't heard.
    pub offline: BTreeSet<i32>,
    /// Replicas on nodes that take no records for want of room, as far as those were asked.
    pub full: BTreeSet<i32>,
}

impl Placed {
    /// The replicas that it would have if what moves were taken back.
    pub fn before(&self) -> Vec<i32> {
        let stay = self
            .replicas
            .iter()
            .filter(|node| !self.adding.contains(node));
        stay.chain(&self.removing).copied().collect()
    }

    /// Nodes that are to get a replica, and aren't heard or have no room for it.
    pub fn awaited(&self) -> Vec<i32> {
        let waits = |node: &&i32| !self.takes(**node);
        self.adding.iter().filter(waits).copied().collect()
    }

    /// A node is there and has room. Only then it is given records, and leadership.
    pub fn takes(&self, node: i32) -> bool {
        !self.offline.contains(&node) && !self.full.contains(&node)
    }

    /// A move of it doesn't wait for any node to come back, or to get room.
    pub fn can_go_on(&self) -> bool {
        self.leader >= 0 && self.awaited().is_empty()
    }
}

/// All partitions, as a node knows them.
pub fn placed(
    cluster: &mut Cluster,
    deadline: Deadline,
) -> Result<BTreeMap<Name, Placed>, Trouble> {
    let mut all: BTreeMap<Name, Placed> = BTreeMap::new();
    for topic in cluster.topics(None, deadline)? {
        let name = topic.name.unwrap_or_default();
        for partition in topic.partitions {
            let placed = Placed {
                topic: topic.topic_id,
                offline: partition.offline_replicas.into_iter().collect(),
                replicas: partition.replica_nodes,
                leader: partition.leader_id,
                ..Placed::default()
            };
            all.insert((name.clone(), partition.partition_index), placed);
        }
    }
    let request = ListPartitionReassignmentsRequest {
        timeout_ms: super::CALL_MS,
        topics: None,
    };
    let answer = cluster.persist(deadline, |cluster| {
        let answer = cluster.call_controller(&request, deadline)?;
        let code = Code(answer.error_code);
        match code.is_ok() {
            true => Ok(answer),
            false => Err(Trouble::refused("what moves", code, answer.error_message)),
        }
    })?;
    for topic in answer.topics {
        for partition in topic.partitions {
            let name = (topic.name.clone(), partition.partition_index);
            let Some(placed) = all.get_mut(&name) else {
                continue;
            };
            placed.moving = true;
            placed.replicas = partition.replicas;
            let goes = |node: &i32| partition.removing_replicas.contains(node);
            placed.replicas.retain(|node| !goes(node));
            placed.removing = partition.removing_replicas;
            placed.adding = partition.adding_replicas;
        }
    }
    Ok(all)
}

/// Takes note of the nodes that have no room.
pub fn mark_full(all: &mut BTreeMap<Name, Placed>, full: &BTreeSet<i32>) {
    for placed in all.values_mut() {
        let replicas = placed.replicas.iter().filter(|node| full.contains(node));
        placed.full = replicas.copied().collect();
    }
}

/// What a node's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of each replica.
    pub bytes: BTreeMap<Name, u64>,
    /// Nothing new is placed there.
    pub cordoned: bool,
}

/// What a node holds, of everything or of some partitions.
pub fn held(cluster: &mut Cluster, node: i32, deadline: Deadline) -> Result<Held, Trouble> {
    let request = DescribeLogDirsRequest { topics: None };
    let answer = cluster.call_node(node, &request, deadline)?;
    let code = Code(answer.error_code);
    if !code.is_ok() {
        return Err(Trouble::refused(
            format!("the directories of node {node}"),
            code,
            None,
        ));
    }
    let mut held = Held {
        cordoned: !answer.results.is_empty(),
        ..Held::default()
    };
    for directory in answer.results {
        held.cordoned &= directory.is_cordoned;
        for topic in directory.topics {
            for partition in topic.partitions {
                let name = (topic.name.clone(), partition.partition_index);
                let bytes = u64::try_from(partition.partition_size).unwrap_or(0);
                held.bytes.insert(name, bytes);
            }
        }
    }
    Ok(held)
}

/// A cluster as a planner sees it.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The nodes that are registered. Those that are cordoned are to be left, as far as they are heard: of
    /// one that isn't nobody says whether it is. It keeps what it has.
    pub sites: BTreeMap<i32, Site>,
    /// Those that don't answer.
    pub silent: BTreeSet<i32>,
    /// Those that take no records for want of room, and aren't cordoned.
    pub full: BTreeSet<i32>,
    /// All partitions.
    pub placed: BTreeMap<Name, Placed>,
    /// Bytes of the largest replica of each.
    pub bytes: BTreeMap<Name, u64>,
}

impl Survey {
    /// Looks at a cluster.
    pub fn of(cluster: &mut Cluster, deadline: Deadline) -> Result<Survey, Trouble> {
        let known = describe(cluster, true, deadline)?;
        let mut survey = Survey {
            placed: placed(cluster, deadline)?,
            ..Survey::default()
        };
        for node in known.brokers {
            // Others may have missed a word of it for a moment: who answers isn't silent.
            let within = match node.is_fenced {
                true => SILENT_WITHIN,
                false => HELD_WITHIN,
            };
            let held = held(cluster, node.broker_id, deadline.within(within)).ok();
            let part = match &held {
                None => Part::Keeps,
                Some(held) if held.cordoned => Part::Leaves,
                Some(_) => {
                    let within = deadline.within(HELD_WITHIN);
                    if room::closed(cluster, node.broker_id, within).full {
                        survey.full.insert(node.broker_id);
                        Part::Keeps
                    } else {
                        Part::Takes
                    }
                }
            };
            if held.is_none() {
                survey.silent.insert(node.broker_id);
            }
            let held = held.unwrap_or_default();
            for (name, bytes) in held.bytes {
                let largest = survey.bytes.entry(name).or_default();
                *largest = bytes.max(*largest);
            }
            let site = Site {
                rack: node.rack,
                part,
            };
            survey.sites.insert(node.broker_id, site);
        }
        mark_full(&mut survey.placed, &survey.full);
        Ok(survey)
    }

    /// The partitions as the planner takes them: those that move count where they go.
    pub fn partitions(&self) -> Vec<Partition> {
        let partition = |(name, placed): (&Name, &Placed)| Partition {
            topic: name.0.clone(),
            index: name.1,
            replicas: placed.replicas.clone(),
            bytes: self.bytes.get(name).copied().unwrap_or(0),
        };
        self.placed.iter().map(partition).collect()
    }

    /// Partitions that stay where they are and aren't led by their first replica, with that one. To one
    /// without room nobody hands over.
    pub fn led_by_others(&self) -> BTreeMap<Name, i32> {
        let has_room = |placed: &Placed, node: &i32| !placed.full.contains(node);
        let first = |placed: &Placed| {
            let first = placed.replicas.first().copied();
            first.filter(|node| has_room(placed, node))
        };
        let other = |placed: &&Placed| !placed.moving && first(placed) != Some(placed.leader);
        let all = self.placed.iter().filter(|(_, placed)| other(placed));
        all.filter_map(|(name, placed)| Some((name.clone(), first(placed)?)))
            .collect()
    }

    /// Partitions of which a node has a replica, also one that is about to go.
    pub fn on(&self, node: i32) -> Vec<&Name> {
        let here =
            |placed: &Placed| placed.replicas.contains(&node) || placed.removing.contains(&node);
        let all = self.placed.iter().filter(|(_, placed)| here(placed));
        all.map(|(name, _)| name).collect()
    }
}
