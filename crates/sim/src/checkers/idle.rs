//! A node's shard turns because something came or was due. One that turns again and again for
//! nothing keeps a processor busy.

use super::{Checked, violation};
use crate::scheduler::Micros;
use std::collections::BTreeMap;

/// Far beyond what the load of a run asks for; a shard that doesn't rest reaches twenty times that.
const TURNS_A_SECOND_MAX: u32 = 50_000;

/// Turns of each node in the second that runs.
#[derive(Default)]
pub(crate) struct Idle {
    turns: BTreeMap<u32, (Micros, u32)>,
}

impl Idle {
    /// A node's shard turned.
    pub(crate) fn turned(&mut self, node: u32, now: Micros) -> Checked {
        let second = now / crate::plan::SECOND;
        let (of, turns) = self.turns.entry(node).or_default();
        if *of != second {
            (*of, *turns) = (second, 0);
        }
        *turns += 1;
        if *turns > TURNS_A_SECOND_MAX {
            let what = format!("node {node} turned {turns} times in second {second}");
            return Err(violation("nodes rest", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SECOND;

    #[test]
    fn a_node_that_never_rests_is_caught() {
        let mut idle = Idle::default();
        let busy = u64::from(TURNS_A_SECOND_MAX);
        let turns = |idle: &mut Idle, node, from: Micros, count: u64| {
            (0..count).try_for_each(|nth| idle.turned(node, from + nth))
        };
        assert_eq!(turns(&mut idle, 1, 0, busy), Ok(()));
        assert_eq!(turns(&mut idle, 2, busy, busy), Ok(()), "another node");
        assert_eq!(turns(&mut idle, 1, SECOND, busy), Ok(()), "another second");
        assert!(idle.turned(1, SECOND + busy).is_err());
    }
}
