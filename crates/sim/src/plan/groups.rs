//! The groups of a run.

use super::one_of;
use crate::client::member::Habits;
use base::Random;

/// What coordinators are configured with.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// Partitions of `__consumer_offsets`, and replicas of each.
    pub(crate) partitions: u32,
    pub(crate) replicas: u32,
    pub(crate) session_ms: i32,
    pub(crate) initial_delay_ms: i32,
    pub(crate) members: Vec<Habits>,
}

/// Draws one or two groups with a few members each.
pub(super) fn draw(random: &mut Random, nodes: usize) -> Groups {
    let session_ms = one_of(random, &[2_000, 3_000, 5_000]);
    let mut members = Vec::new();
    for group in 0..random.between(1, 2) as u32 {
        let modern = random.percent(50);
        let leaves = one_of(random, &[0, 5, 20]);
        let dies = one_of(random, &[0, 10, 40]);
        for _ in 0..random.between(2, 3) {
            members.push(Habits {
                group,
                modern,
                session_ms,
                beat: one_of(random, &[300_000, 500_000]),
                commit_percent: one_of(random, &[10, 40, 80]),
                leaves,
                dies,
            });
        }
    }
    Groups {
        partitions: random.between(1, 2) as u32,
        replicas: nodes.min(3) as u32,
        session_ms,
        initial_delay_ms: one_of(random, &[0, 300]),
        members,
    }
}
