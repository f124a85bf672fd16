//! Who is to vote in the controller's own group: the rule. How the group gets there is in
//! `shard::operation::controllers`.
//!
//! An odd number, five at most: what a sixth or an even one adds is another node that must answer.
//! Voters stay as long as nothing speaks against it, also while they are silent, for a node that is
//! away for a moment must not cost anything. A place is given up for good by a node that is
//! cordoned, as one that is drained is: as soon as another one can take it, or it is silent.

use base::{Member, limits};

/// A member of the controller's group, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub member: Member,
    /// Its rack, if any.
    pub rack: Option<String>,
    /// It is of the cluster, and not cordoned.
    pub open: bool,
    /// Its node is heard.
    pub heard: bool,
    /// It is heard and has what there is.
    pub ready: bool,
}

/// Who is to vote, if these vote now. The same list if nothing is to change, or nothing can.
pub fn controllers(now: &[Member], candidates: &[Candidate]) -> Vec<Member> {
    let of = |member: &Member| candidates.iter().find(|c| c.member == *member);
    let open = |member: &&Member| of(member).is_some_and(|c| c.open);
    let heard = |member: &Member| of(member).is_some_and(|c| c.heard);
    let mut chosen: Vec<Member> = now.iter().filter(open).copied().collect();
    // Those that are heard first: the last ones go if there are too many.
    chosen.sort_by_key(|member| !heard(member));
    let mut spare: Vec<&Candidate> = candidates
        .iter()
        .filter(|c| c.open && c.ready && !now.contains(&c.member))
        .collect();
    let leaving = now.iter().find(|m| !open(m) && heard(m));
    let most = (chosen.len() + spare.len()).min(limits::CONTROLLERS_MAX);
    let size = match most {
        0 => return now.to_vec(),
        // One that leaves and is there is better than an even number.
        2 | 4 if leaving.is_some() && now.len() > most => most + 1,
        2 => now.len().min(2),
        4 => 3,
        odd => odd,
    };
    chosen.truncate(size);
    while chosen.len() < size && !spare.is_empty() {
        let racks: Vec<_> = chosen.iter().filter_map(|m| of(m)?.rack.as_ref()).collect();
        let crowded = |c: &&Candidate| c.rack.as_ref().is_some_and(|rack| racks.contains(&rack));
        let at = spare.iter().position(|c| !crowded(c)).unwrap_or(0);
        chosen.push(spare.remove(at).member);
    }
    if chosen.len() < size {
        chosen.extend(leaving);
    }
    // Its first step must be one that the new voters can carry.
    let ready = |member: &&Member| of(member).is_some_and(|c| c.ready);
    let same = chosen.len() == now.len() && chosen.iter().all(|m| now.contains(m));
    match !same && chosen.iter().filter(ready).count() > chosen.len() / 2 {
        true => chosen,
        false => now.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::NodeId;

    fn founder(node: u32) -> Member {
        Member::founder(NodeId(node))
    }

    /// `1` a node in order, `1c` cordoned, `1s` silent, `1b` behind.
    fn choose(now: &[u32], nodes: &str) -> Vec<u32> {
        let candidate = |text: &str| {
            let digits = text.trim_end_matches(char::is_alphabetic);
            let is = |flag: char| text.contains(flag);
            Candidate {
                member: founder(digits.parse().expect("a number")),
                rack: None,
                open: !is('c'),
                heard: !is('s'),
                ready: !is('s') && !is('b'),
            }
        };
        let candidates: Vec<_> = nodes.split(' ').map(candidate).collect();
        let now: Vec<_> = now.iter().copied().map(founder).collect();
        let chosen = controllers(&now, &candidates);
        // What was chosen stays chosen.
        assert_eq!(controllers(&chosen, &candidates), chosen, "{nodes}");
        chosen.iter().map(|member| member.node.0).collect()
    }

    #[test]
    fn a_cluster_that_grows_gets_three_and_then_five() {
        assert_eq!(choose(&[1], "1"), [1]);
        assert_eq!(choose(&[1], "1 2"), [1]);
        assert_eq!(choose(&[1], "1 2 3b"), [1]);
        assert_eq!(choose(&[1], "1 2 3"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2, 3], "1 2 3 4"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2, 3], "1 2 3 4 5 6"), [1, 2, 3, 4, 5]);
        assert_eq!(
            choose(&[1, 2, 3, 4, 5, 6, 7], "1 2s 3 4 5 6 7"),
            [1, 3, 4, 5, 6]
        );
    }

    #[test]
    fn silence_alone_costs_no_place() {
        assert_eq!(choose(&[1, 2, 3], "1 2 3s 4"), [1, 2, 3]);
    }

    #[test]
    fn a_cordoned_node_hands_its_place_on() {
        assert_eq!(choose(&[1, 2, 3], "1 2 3c 4"), [1, 2, 4]);
        assert_eq!(choose(&[1, 2, 3], "1 2 3cs 4"), [1, 2, 4]);
        assert_eq!(choose(&[1, 2, 3], "1 2b 3cs 4"), [1, 2, 4]);
        assert_eq!(choose(&[1, 3], "1 2 3c"), [1, 2]);
        // Nobody can take it: it keeps it as long as it is there.
        assert_eq!(choose(&[1, 2, 3], "1 2 3c"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2, 3], "1 2 3c 4b"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2, 3], "1 2 3cs"), [1, 2]);
        assert_eq!(choose(&[1, 2, 3, 4, 5], "1 2 3 4 5c"), [1, 2, 3, 4, 5]);
        assert_eq!(choose(&[1, 2, 3, 4, 5], "1 2 3 4 5cs"), [1, 2, 3]);
        // Of an even number it isn't missed.
        assert_eq!(choose(&[1, 2], "1 2c"), [1]);
        assert_eq!(choose(&[1, 2, 3], "1 2c 3c"), [1]);
        assert_eq!(choose(&[1, 2, 3], "1c 2c 3c"), [1, 2, 3]);
    }

    #[test]
    fn nobody_leaves_a_group_to_those_who_could_not_go_on() {
        assert_eq!(choose(&[1, 2, 3], "1 2b 3cs"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2, 3], "1 2s 3cs"), [1, 2, 3]);
        assert_eq!(choose(&[1, 2], "1s 2c"), [1, 2]);
    }

    #[test]
    fn a_place_goes_to_a_rack_that_has_none() {
        let mut candidates: Vec<Candidate> = (1..=5)
            .map(|node| Candidate {
                member: founder(node),
                rack: Some("a".to_owned()),
                open: node != 3,
                heard: true,
                ready: true,
            })
            .collect();
        candidates[4].rack = Some("b".to_owned());
        let chosen = controllers(&[1, 2, 3].map(founder), &candidates);
        assert_eq!(chosen, [1, 2, 5].map(founder));
    }
}
