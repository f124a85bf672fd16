//! Who leads each group, as the shard hears of it, and whose replicas are behind. Terms only grow,
//! so that no answer ever shows an older leader epoch than one before it.

use base::{GroupId, NodeId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

#[derive(Debug, Default)]
pub(crate) struct Leaders {
    known: RwLock<BTreeMap<GroupId, (Term, Option<NodeId>)>>,
    /// Groups with replicas that aren't in sync, and the leader's term that says so.
    behind: RwLock<BTreeMap<GroupId, (Term, Vec<NodeId>)>>,
}

impl Leaders {
    fn get(&self, group: GroupId) -> Option<(Term, Option<NodeId>)> {
        self.known
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
        let mut table = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (group, term, leader) in news {
            let known = table.entry(*group).or_insert((*term, None));
            if *term >= known.0 {
                *known = (*term, *leader);
            }
        }
    }

    /// Nodes whose replica of a group is not in sync, as its leader says.
    pub(crate) fn behind(&self, group: GroupId) -> Vec<NodeId> {
        let table = self.behind.read().unwrap_or_else(PoisonError::into_inner);
        let told = table.get(&group);
        // What an earlier leader said doesn't count any more.
        let told = told.filter(|(term, _)| self.term(group).is_none_or(|known| *term >= known));
        told.map(|(_, nodes)| nodes.clone()).unwrap_or_default()
    }

    pub(crate) fn publish_behind(&self, news: Vec<(GroupId, Term, Vec<NodeId>)>) {
        let mut table = self.behind.write().unwrap_or_else(PoisonError::into_inner);
        for (group, term, nodes) in news {
            if table.get(&group).is_some_and(|(known, _)| *known > term) {
                continue;
            }
            match nodes.is_empty() {
                true => table.remove(&group),
                false => table.insert(group, (term, nodes)),
            };
        }
    }

    /// Drops groups that were deleted; their ids never come back.
    pub(crate) fn forget(&self, groups: &BTreeSet<GroupId>) {
        if !groups.is_empty() {
            let mut table = self.known.write().unwrap_or_else(PoisonError::into_inner);
            table.retain(|group, _| !groups.contains(group));
            let mut table = self.behind.write().unwrap_or_else(PoisonError::into_inner);
            table.retain(|group, _| !groups.contains(group));
        }
    }
}
