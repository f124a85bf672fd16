//! Other replicas for partitions, of topics and of the coordinators; and sometimes the old ones
//! again, while the partition is still on its way.

use super::Habits;
use crate::book::topic_name;
use crate::checkers::{Checked, violation};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes};
use base::Random;
use wire_kafka::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use wire_kafka::messages::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;

/// What is moved.
#[derive(Clone, Debug)]
pub(crate) struct Moves {
    /// Percent of what an admin does that moves a partition.
    pub(crate) percent: u64,
    /// Percent of those that take the last one back.
    pub(crate) back_percent: u64,
    pub(crate) nodes: u32,
    /// Replicas that a partition has at least.
    pub(crate) replicas_min: u64,
    /// Partitions of `__consumer_offsets` that may move, and percent of moves that move one.
    pub(crate) coordinators: u32,
    pub(crate) coordinators_percent: u64,
}

const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Asks for a partition to be moved.
pub(super) fn ask(habits: &Habits, common: &mut Common, reach: &mut Reach<'_>) {
    let moves = &habits.moves;
    let parts = common.view.parts();
    let random = &mut common.random;
    let (name, partition) = match random.percent(moves.coordinators_percent) {
        true => {
            let partition = random.below(u64::from(moves.coordinators)) as u32;
            (CONSUMER_OFFSETS.to_string(), partition)
        }
        false if parts.is_empty() => return,
        false => {
            let part = parts[random.below(parts.len() as u64) as usize];
            (topic_name(part.topic), part.partition)
        }
    };
    let replicas = match random.percent(moves.back_percent) {
        true => None,
        false => Some(target(moves, random)),
    };
    reach.tell(|| format!("  {name}-{partition} is to move to {replicas:?}"));
    let partition = ReassignablePartition {
        partition_index: partition as i32,
        replicas,
    };
    let body = AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name,
            partitions: vec![partition],
        }],
        timeout_ms: 2_000,
        ..Default::default()
    };
    let node = common.any_node(reach);
    let version = common.version::<AlterPartitionReassignmentsRequest>();
    common.ask(reach, node, version, &body, Ask::Move);
}

fn target(moves: &Moves, random: &mut Random) -> Vec<i32> {
    let mut nodes: Vec<i32> = (1..=moves.nodes as i32).collect();
    let wanted = random.between(moves.replicas_min, u64::from(moves.nodes).min(4));
    let mut chosen = Vec::new();
    for _ in 0..wanted {
        chosen.push(nodes.remove(random.below(nodes.len() as u64) as usize));
    }
    chosen
}

/// The move is on record, or not.
pub(super) fn asked(
    reach: &mut Reach<'_>,
    answer: &AlterPartitionReassignmentsResponse,
) -> Checked {
    let topic = answer.responses.first();
    let Some(part) = topic.and_then(|topic| topic.partitions.first()) else {
        let what = format!("{answer:?}");
        return Err(violation("answers fit their requests", what));
    };
    let code = part.error_code;
    reach.tell(|| format!("  a move: code {code}"));
    match code {
        codes::NONE | codes::NO_REASSIGNMENT => Ok(()),
        // A node has not registered yet.
        codes::INVALID_REPLICA_ASSIGNMENT => Ok(()),
        code if codes::retriable(code) => Ok(()),
        code => Err(unexpected("AlterPartitionReassignments", code)),
    }
}
