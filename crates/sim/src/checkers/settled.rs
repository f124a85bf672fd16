//! What isn't well yet in the end, of a partition and of the groups: what the cluster converges to is judged
//! here, over what replicas and members say of themselves.

use super::{Checked, Part, violation};
use crate::net::Place;
use base::NodeId;
use shard::ReplicaStatus;
use std::collections::{BTreeMap, BTreeSet};

/// A replica as its node tells of it.
pub(crate) struct Stands {
    pub(crate) place: Place,
    pub(crate) status: Option<ReplicaStatus>,
    /// A replica that this node doesn't show as in sync.
    pub(crate) behind: Option<NodeId>,
}

/// What keeps a partition from being well, if anything: all replicas are there and sound, follow the same
/// leader, hold the same and have all of it committed, and every node shows all of them as in sync.
pub(crate) fn unwell_part(part: Part, replicas: &[Stands]) -> Option<String> {
    let mut first: Option<&ReplicaStatus> = None;
    for stands in replicas {
        let node = stands.place + 1;
        let Some(status) = &stands.status else {
            return Some(format!("{part}: node {node} has no replica"));
        };
        if let Some(why) = &status.suspect {
            return Some(format!("{part}: node {node} is damaged: {why}"));
        }
        if status.leader.is_none() {
            return Some(format!("{part}: node {node} knows no leader"));
        }
        if status.high_watermark != status.end_offset {
            return Some(format!("{part}: node {node}: {status:?}"));
        }
        if let Some(behind) = stands.behind {
            return Some(format!("{part}: node {node} shows {behind} as behind"));
        }
        let first = *first.get_or_insert(status);
        let same = first.leader == status.leader
            && first.last_index == status.last_index
            && first.start_offset == status.start_offset
            && first.end_offset == status.end_offset;
        if !same {
            return Some(format!("{part}: {first:?} and {status:?} on node {node}"));
        }
    }
    None
}

/// A client that consumes in a group.
pub(crate) struct Membership<'a> {
    pub(crate) client: usize,
    pub(crate) group: u32,
    /// The generation, if members have one in common, and what it owns; none if it is no member now.
    pub(crate) stands: Option<(Option<i32>, &'a BTreeSet<Part>)>,
    /// It has asked once more for all offsets.
    pub(crate) reviewed: bool,
}

/// What keeps groups from being well, if anything; `all` is to be owned in each.
pub(crate) fn unwell_groups(members: &[Membership<'_>], all: &BTreeSet<Part>) -> Option<String> {
    let mut owned: BTreeMap<u32, BTreeMap<Part, usize>> = BTreeMap::new();
    let mut generations: BTreeMap<u32, i32> = BTreeMap::new();
    for member in members {
        let (client, group) = (member.client, member.group);
        let Some((generation, parts)) = member.stands else {
            return Some(format!("client {client} isn't a member of group {group}"));
        };
        if let Some(generation) = generation {
            let common = generations.entry(group).or_insert(generation);
            if *common != generation {
                return Some(format!("group {group} is in two generations"));
            }
        }
        let owners = owned.entry(group).or_default();
        for part in parts {
            if let Some(other) = owners.insert(*part, client) {
                let what = format!("group {group}: {part} has owners {other} and {client}");
                return Some(what);
            }
        }
        if !member.reviewed {
            return Some(format!("client {client} can't ask for its offsets"));
        }
    }
    for (group, owners) in owned {
        if let Some(part) = all.iter().find(|part| !owners.contains_key(part)) {
            return Some(format!("group {group}: nobody owns {part}"));
        }
    }
    None
}

/// Whoever leads next judges producers like the others would: what each replica of a partition remembers.
pub(crate) fn same_producers(part: Part, known: &[(Place, Vec<u8>)]) -> Checked {
    let Some((first, rest)) = known.split_first() else {
        return Ok(());
    };
    match rest.iter().find(|other| other.1 != first.1) {
        None => Ok(()),
        Some(other) => {
            let nodes = (first.0 + 1, other.0 + 1);
            let what = format!("{part}: nodes {nodes:?} remember producers differently");
            Err(violation("replicas remember the same producers", what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PART;
    use super::*;
    use base::{GroupId, Member, Offset, RaftIndex, Term};

    fn stands(place: Place) -> Stands {
        let node = NodeId(place as u32 + 1);
        let status = ReplicaStatus {
            group: GroupId(7),
            member: Member::founder(node),
            leader: Some((NodeId(1), Term(4))),
            in_sync: Vec::new(),
            end_offset: Offset(10),
            high_watermark: Offset(10),
            start_offset: Offset(2),
            log_bytes: 100,
            last_index: RaftIndex(12),
            suspect: None,
        };
        Stands {
            place,
            status: Some(status),
            behind: None,
        }
    }

    /// What is said of two replicas after something was done to the second.
    fn unwell(harm: impl Fn(&mut ReplicaStatus)) -> Option<String> {
        let mut other = stands(1);
        harm(other.status.as_mut().unwrap());
        unwell_part(PART, &[stands(0), other])
    }

    #[test]
    fn a_partition_is_well_when_all_replicas_are_sound_and_equal() {
        assert_eq!(unwell(|_| {}), None);
        assert!(unwell(|it| it.suspect = Some("rot".into())).is_some());
        assert!(unwell(|it| it.leader = None).is_some());
        assert!(unwell(|it| it.leader = Some((NodeId(2), Term(4)))).is_some());
        assert!(unwell(|it| it.high_watermark = Offset(9)).is_some());
        assert!(unwell(|it| it.start_offset = Offset(3)).is_some());
        assert!(unwell(|it| it.last_index = RaftIndex(13)).is_some());
        let shorter = |it: &mut ReplicaStatus| {
            (it.end_offset, it.high_watermark) = (Offset(9), Offset(9));
        };
        assert!(unwell(shorter).is_some());
        let missing = Stands {
            status: None,
            ..stands(1)
        };
        assert!(unwell_part(PART, &[stands(0), missing]).is_some());
        let behind = Stands {
            behind: Some(NodeId(1)),
            ..stands(1)
        };
        assert!(unwell_part(PART, &[stands(0), behind]).is_some());
    }

    #[test]
    fn groups_are_well_when_everything_has_one_owner_in_one_generation() {
        let (one, none) = (BTreeSet::from([PART]), BTreeSet::new());
        let member = |client, generation, parts| Membership {
            client,
            group: 1,
            stands: Some((generation, parts)),
            reviewed: true,
        };
        let unwell =
            |other: Membership<'_>| unwell_groups(&[member(1, Some(4), &one), other], &one);
        assert_eq!(unwell(member(2, Some(4), &none)), None);
        assert!(unwell(member(2, Some(5), &none)).is_some(), "generations");
        assert!(unwell(member(2, Some(4), &one)).is_some(), "two owners");
        let out = Membership {
            stands: None,
            ..member(2, Some(4), &none)
        };
        assert!(unwell(out).is_some());
        let forgetful = Membership {
            reviewed: false,
            ..member(2, Some(4), &none)
        };
        assert!(unwell(forgetful).is_some());
        let nobody = [member(2, None, &none)];
        assert!(unwell_groups(&nobody, &one).is_some());
    }

    #[test]
    fn replicas_that_remember_other_producers_are_caught() {
        let known = |last: &[u8]| [(0, vec![1]), (1, vec![1]), (2, last.to_vec())];
        assert_eq!(same_producers(PART, &known(&[1])), Ok(()));
        assert!(same_producers(PART, &known(&[2])).is_err());
    }
}
