//! Who leads each group, as the shard hears of it, and whose replicas are behind. Terms only grow,
//! so that no answer ever shows an older leader epoch than one before it.

use base::{GroupId, NodeId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug, Default)]
pub(crate) struct Leaders(RwLock<Table>);

/// Both under one lock: what is behind counts only for the term that is known.
#[derive(Debug, Default)]
struct Table {
    known: BTreeMap<GroupId, (Term, Option<NodeId>)>,
    /// Groups with replicas that aren't in sync, and the leader's term that says so.
    behind: BTreeMap<GroupId, (Term, Vec<NodeId>)>,
}

impl Leaders {
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn leader(&self, group: GroupId) -> Option<(NodeId, Term)> {
        let (term, leader) = *self.table().known.get(&group)?;
        Some((leader?, term))
    }

    pub(crate) fn term(&self, group: GroupId) -> Option<Term> {
        self.table().known.get(&group).map(|(term, _)| *term)
    }

    /// Within a term the latest news counts: a leader may have been lost.
    pub(crate) fn publish(&self, news: &[(GroupId, Term, Option<NodeId>)]) {
        let table = &mut *self.table_mut();
        for (group, term, leader) in news {
            let known = table.known.entry(*group).or_insert((*term, None));
            if *term >= known.0 {
                *known = (*term, *leader);
            }
        }
    }

    /// Nodes whose replica of a group is not in sync, as its leader says.
    pub(crate) fn behind(&self, group: GroupId) -> Vec<NodeId> {
        let table = self.table();
        let known = table.known.get(&group).map(|(term, _)| *term);
        let told = table.behind.get(&group);
        // What an earlier leader said doesn't count any more.
        let told = told.filter(|(term, _)| known.is_none_or(|known| *term >= known));
        told.map(|(_, nodes)| nodes.clone()).unwrap_or_default()
    }

    pub(crate) fn publish_behind(&self, news: Vec<(GroupId, Term, Vec<NodeId>)>) {
        let behind = &mut self.table_mut().behind;
        for (group, term, nodes) in news {
            if behind.get(&group).is_some_and(|(known, _)| *known > term) {
                continue;
            }
            match nodes.is_empty() {
                true => behind.remove(&group),
                false => behind.insert(group, (term, nodes)),
            };
        }
    }

    /// Drops groups that were deleted; their ids never come back.
    pub(crate) fn forget(&self, groups: &BTreeSet<GroupId>) {
        if !groups.is_empty() {
            let table = &mut *self.table_mut();
            table.known.retain(|group, _| !groups.contains(group));
            table.behind.retain(|group, _| !groups.contains(group));
        }
    }
}
