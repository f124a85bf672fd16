//! Who leads each group, as the shard hears of it. Terms only grow, so that no answer ever shows
//! an older leader epoch than one before it.

use base::{GroupId, NodeId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

#[derive(Debug, Default)]
pub(crate) struct Leaders(RwLock<BTreeMap<GroupId, (Term, Option<NodeId>)>>);

impl Leaders {
    fn get(&self, group: GroupId) -> Option<(Term, Option<NodeId>)> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&group)
            .copied()
    }

    pub(crate) fn leader(&self, group: GroupId) -> Option<(NodeId, Term)> {
        let (term, leader) = self.get(group)?;
        Some((leader?, term))
    }

    pub(crate) fn term(&self, group: GroupId) -> Option<Term> {
        self.get(group).map(|(term, _)| term)
    }

    /// Within a term the latest news counts: a leader may have been lost.
    pub(crate) fn publish(&self, news: &[(GroupId, Term, Option<NodeId>)]) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (group, term, leader) in news {
            let known = table.entry(*group).or_insert((*term, None));
            if *term >= known.0 {
                *known = (*term, *leader);
            }
        }
    }

    /// Drops groups that were deleted; their ids never come back.
    pub(crate) fn forget(&self, groups: &BTreeSet<GroupId>) {
        if !groups.is_empty() {
            let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
            table.retain(|group, _| !groups.contains(group));
        }
    }
}
