//! Who leads what, said between nodes: the set of groups that this node leads, versioned, told to
//! each peer by deltas; and what each peer said of its own. The same set carries the promise of
//! quiet groups (no heartbeats are sent for them while the node itself is heard) and lets nodes
//! without a replica find leaders.

use base::{GroupId, NodeId, Term};
use consensus::{Led, LedDelta};
use std::collections::{BTreeMap, BTreeSet};

/// The groups that this node leads.
#[derive(Debug, Default)]
pub(crate) struct LedSet {
    version: u64,
    states: BTreeMap<GroupId, (Led, u64)>,
    by_version: BTreeMap<u64, GroupId>,
    /// The versions at which it stopped to lead a group.
    gone: BTreeSet<u64>,
}

impl LedSet {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Says something else of a group.
    pub(crate) fn set(&mut self, group: GroupId, led: Led) {
        match self.states.get(&group) {
            Some((known, _)) if *known == led => return,
            None if led == Led::Gone => return,
            Some((_, version)) => {
                self.by_version.remove(version);
                self.gone.remove(version);
            }
            None => {}
        }
        self.version += 1;
        if led == Led::Gone {
            self.gone.insert(self.version);
        }
        self.states.insert(group, (led, self.version));
        self.by_version.insert(self.version, group);
    }

    /// What a peer that has `acked` must be told.
    pub(crate) fn delta_since(&self, acked: u64) -> LedDelta {
        let changes = self
            .by_version
            .range(acked + 1..)
            .map(|(_, g)| (*g, self.states[g].0.clone()));
        LedDelta {
            from: acked,
            to: self.version,
            changes: changes.collect(),
        }
    }

    /// Forgets groups that it doesn't lead any more, once all peers know. A peer that starts
    /// anew is told everything, and "everything" needs no word of them.
    pub(crate) fn prune(&mut self, acked_by_all: u64) {
        while let Some(version) = self.gone.first().copied() {
            if version > acked_by_all {
                break;
            }
            self.gone.remove(&version);
            if let Some(group) = self.by_version.remove(&version) {
                self.states.remove(&group);
            }
        }
    }
}

/// What a peer said of the groups that it leads.
#[derive(Debug, Default)]
pub(crate) struct PeerLed {
    version: u64,
    groups: BTreeMap<GroupId, Led>,
}

impl PeerLed {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Takes a delta; one that doesn't build on what is known is left out, and the version that
    /// goes back in the next frame makes the peer say it again.
    pub(crate) fn apply(&mut self, delta: &LedDelta) -> bool {
        if delta.from == 0 {
            self.groups.clear();
        } else if delta.from > self.version || delta.to < self.version {
            return false;
        }
        self.version = delta.to;
        for (group, led) in &delta.changes {
            match led {
                Led::Gone => self.groups.remove(group),
                leads => self.groups.insert(*group, leads.clone()),
            };
        }
        true
    }

    /// The term in which the peer leads the group, and whether it is quiet.
    pub(crate) fn get(&self, group: GroupId) -> Option<(Term, bool)> {
        match self.groups.get(&group)? {
            Led::Leads { term, quiet, .. } => Some((*term, *quiet)),
            Led::Gone => None,
        }
    }

    /// Which nodes' replicas of a group that it leads aren't in sync, as the peer says.
    pub(crate) fn behind(&self, group: GroupId) -> &[NodeId] {
        match self.groups.get(&group) {
            Some(Led::Leads { behind, .. }) => behind,
            Some(Led::Gone) | None => &[],
        }
    }

    /// True if the peer promises quiet for a group in a term before this one.
    pub(crate) fn is_stale_promise(&self, group: GroupId, term: Term) -> bool {
        self.get(group)
            .is_some_and(|(theirs, quiet)| quiet && theirs < term)
    }

    /// True if the peer says that a node's replica of a group that it leads isn't in sync.
    pub(crate) fn lacks(&self, group: GroupId, node: NodeId) -> bool {
        self.behind(group).contains(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(quiet: bool, behind: &[u32]) -> Led {
        Led::Leads {
            term: Term(3),
            quiet,
            behind: behind.iter().copied().map(NodeId).collect(),
        }
    }

    #[test]
    fn deltas_bring_a_peer_to_the_same_set() {
        let (mut mine, mut theirs) = (LedSet::default(), PeerLed::default());
        mine.set(GroupId(1), leads(false, &[]));
        mine.set(GroupId(2), leads(true, &[]));
        assert!(theirs.apply(&mine.delta_since(theirs.version())));
        mine.set(GroupId(1), Led::Gone);
        mine.set(GroupId(3), leads(false, &[]));
        let delta = mine.delta_since(theirs.version());
        assert_eq!(delta.changes.len(), 2);
        assert!(theirs.apply(&delta));
        assert!(theirs.apply(&delta), "the same delta twice does no harm");
        assert_eq!(theirs.get(GroupId(1)), None);
        assert_eq!(theirs.get(GroupId(2)), Some((Term(3), true)));
        assert_eq!(theirs.get(GroupId(3)), Some((Term(3), false)));
        mine.set(GroupId(3), leads(false, &[2]));
        let delta = mine.delta_since(theirs.version());
        assert_eq!(delta.changes, [(GroupId(3), leads(false, &[2]))]);
        assert!(theirs.apply(&delta));
        assert!(theirs.lacks(GroupId(3), NodeId(2)));
        assert!(!theirs.lacks(GroupId(2), NodeId(2)));
    }

    #[test]
    fn a_gap_is_refused_and_everything_repairs_it() {
        let (mut mine, mut theirs) = (LedSet::default(), PeerLed::default());
        mine.set(GroupId(1), leads(false, &[]));
        let _lost = mine.delta_since(0);
        let version = mine.version();
        mine.set(GroupId(2), leads(false, &[]));
        assert!(!theirs.apply(&mine.delta_since(version)));
        assert!(theirs.apply(&mine.delta_since(theirs.version())));
        assert_eq!(theirs.get(GroupId(1)), Some((Term(3), false)));
        mine.set(GroupId(1), Led::Gone);
        mine.prune(mine.version());
        assert!(
            mine.delta_since(0)
                .changes
                .iter()
                .all(|(g, _)| *g == GroupId(2))
        );
    }
}
