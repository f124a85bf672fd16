use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const RACKS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];

fn sites(racks: &[usize], closed: &[bool]) -> BTreeMap<i32, Site> {
    let sites = racks.iter().zip(closed).zip(1..);
    let site = |((rack, closed), id): ((&usize, &bool), i32)| {
        let rack = RACKS[*rack].map(str::to_owned);
        let part = if *closed { Part::Leaves } else { Part::Takes };
        (id, Site { rack, part })
    };
    sites.map(site).collect()
}

/// Partitions over nodes 1 to `nodes`, drawn.
fn partitions(nodes: usize) -> impl Strategy<Value = Vec<Partition>> {
    let ids: Vec<i32> = (1..=nodes as i32).collect();
    let replicas = proptest::sample::subsequence(ids, 1..=nodes.min(3)).prop_shuffle();
    vec((replicas, 0u64..1000), 0..40).prop_map(|drawn| {
        let drawn = drawn.into_iter().zip(0..);
        let partition = |((replicas, bytes), index)| Partition {
            topic: "t".to_owned(),
            index,
            replicas,
            bytes: bytes << 20,
        };
        drawn.map(partition).collect()
    })
}

/// Nodes, some of them closed, and partitions on them.
fn cluster() -> impl Strategy<Value = (BTreeMap<i32, Site>, Vec<Partition>)> {
    (2usize..8).prop_flat_map(|nodes| {
        let racks = vec(0..RACKS.len(), nodes);
        let closed = vec(proptest::bool::weighted(0.2), nodes);
        let sites = (racks, closed).prop_map(|(racks, closed)| sites(&racks, &closed));
        (sites, partitions(nodes))
    })
}

fn after(partitions: &[Partition], moves: &[Move]) -> Vec<Partition> {
    let moved = |partition: &Partition| {
        let change = moves.iter().find(|m| m.partition == *partition);
        Partition {
            replicas: change.map_or(&partition.replicas, |m| &m.target).clone(),
            ..partition.clone()
        }
    };
    partitions.iter().map(moved).collect()
}

fn count(partitions: &[Partition], of: impl Fn(&Partition) -> Vec<i32>) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for node in partitions.iter().flat_map(of) {
        *counts.entry(node).or_default() += 1;
    }
    counts
}

/// How many replicas of a partition share their rack with an earlier one.
fn crowd(partition: &Partition, sites: &BTreeMap<i32, Site>) -> usize {
    let mut seen = BTreeSet::new();
    let racks = partition.replicas.iter();
    let racks = racks.filter_map(|node| sites[node].rack.as_ref());
    racks.filter(|rack| !seen.insert(*rack)).count()
}

proptest! {
    #[test]
    fn a_plan_keeps_factors_goes_only_where_it_may_and_comes_to_rest(
        (sites, partitions) in cluster(),
    ) {
        let open: BTreeSet<i32> = sites.iter().filter(|(_, s)| s.part == Part::Takes).map(|(id, _)| *id).collect();
        for goal in [Goal::Evacuate, Goal::Rebalance] {
            let Ok(moves) = plan(&sites, &partitions, goal) else {
                prop_assert!(partitions.iter().any(|p| p.replicas.len() > open.len()));
                continue;
            };
            for change in &moves {
                let distinct: BTreeSet<i32> = change.target.iter().copied().collect();
                prop_assert_eq!(distinct.len(), change.target.len());
                prop_assert_eq!(change.target.len(), change.partition.replicas.len());
                prop_assert!(change.adding().iter().all(|node| open.contains(node)));
            }
            let then = after(&partitions, &moves);
            let stays = then.iter().flat_map(|p| &p.replicas).all(|n| open.contains(n));
            prop_assert!(stays, "closed nodes are empty");
            prop_assert_eq!(plan(&sites, &then, goal), Ok(Vec::new()), "nothing is left to do");
        }
    }

    #[test]
    fn an_evacuation_moves_what_has_to_go_and_nothing_else((sites, partitions) in cluster()) {
        let Ok(moves) = plan(&sites, &partitions, Goal::Evacuate) else { return Ok(()) };
        let closed = |node: &&i32| sites[*node].part == Part::Leaves;
        let have_to = partitions.iter().flat_map(|p| &p.replicas).filter(closed).count();
        let copied: usize = moves.iter().map(|m| m.adding().len()).sum();
        prop_assert_eq!(copied, have_to);
        let has_to = |m: &Move| m.partition.replicas.iter().any(|node| sites[node].part == Part::Leaves);
        prop_assert!(moves.iter().all(has_to));
    }

    #[test]
    fn without_racks_counts_differ_by_one_at_most_and_no_more_is_copied_than_that_takes(
        (nodes, partitions) in (2usize..8).prop_flat_map(|n| (Just(n), partitions(n))),
    ) {
        let sites = sites(&vec![0; nodes], &vec![false; nodes]);
        // All of one size: bytes follow from counts.
        let same = |p: Partition| Partition { bytes: 0, ..p };
        let partitions: Vec<Partition> = partitions.into_iter().map(same).collect();
        let moves = plan(&sites, &partitions, Goal::Rebalance).expect("all nodes are open");
        let all = |p: &Partition| p.replicas.clone();
        let (before, then) = (count(&partitions, all), count(&after(&partitions, &moves), all));
        let of = |counts: &BTreeMap<i32, usize>, node| counts.get(&node).copied().unwrap_or(0);
        let ids: Vec<i32> = (1..=nodes as i32).collect();
        let most = ids.iter().map(|id| of(&then, *id)).max().expect("some");
        let fewest = ids.iter().map(|id| of(&then, *id)).min().expect("some");
        prop_assert!(most - fewest <= 1, "{:?}", then);
        let less = |id: &i32| of(&before, *id).saturating_sub(of(&then, *id));
        let surplus: usize = ids.iter().map(less).sum();
        let copied: usize = moves.iter().map(|m| m.adding().len()).sum();
        prop_assert_eq!(copied, surplus);
    }

    #[test]
    fn racks_get_no_fuller_and_leaders_are_even((sites, partitions) in cluster()) {
        let opened = |(id, site)| (id, Site { part: Part::Takes, ..site });
        let sites: BTreeMap<i32, Site> = sites.into_iter().map(opened).collect();
        let moves = plan(&sites, &partitions, Goal::Rebalance).expect("all nodes are open");
        for change in &moves {
            let then = Partition { replicas: change.target.clone(), ..change.partition.clone() };
            prop_assert!(crowd(&then, &sites) <= crowd(&change.partition, &sites));
        }
        // Whoever leads two more than another has nothing to hand it.
        let then = after(&partitions, &moves);
        let leads = count(&then, |p| p.replicas[..1].to_vec());
        for partition in &then {
            let leader = leads[&partition.replicas[0]];
            for other in &partition.replicas[1..] {
                prop_assert!(leads.get(other).copied().unwrap_or(0) + 2 > leader);
            }
        }
    }
}

#[test]
fn a_new_node_gets_its_share_of_replicas_bytes_and_leaders() {
    let sites = sites(&[0; 4], &[false; 4]);
    let partition = |index: i32| {
        let mut replicas = vec![1, 2, 3];
        replicas.rotate_left(index as usize % 3);
        Partition {
            topic: "t".to_owned(),
            index,
            replicas,
            bytes: if index % 10 == 0 { 1000 } else { 100 } << 20,
        }
    };
    let partitions: Vec<Partition> = (0..100).map(partition).collect();
    let moves = plan(&sites, &partitions, Goal::Rebalance).expect("room");
    let copied: usize = moves.iter().map(|m| m.adding().len()).sum();
    let then = after(&partitions, &moves);
    let counts = |of: fn(&Partition) -> Vec<i32>| count(&then, of).into_values().collect();
    let replicas: Vec<usize> = counts(|p| p.replicas.clone());
    let leads: Vec<usize> = counts(|p| p.replicas[..1].to_vec());
    assert_eq!((replicas, leads), (vec![75; 4], vec![25; 4]));
    assert!(copied < 90, "{copied} replicas are copied");
    let bytes = |node: i32| -> u64 {
        let on = then.iter().filter(|p| p.replicas.contains(&node));
        on.map(|p| p.bytes).sum()
    };
    let all: Vec<u64> = (1..=4).map(bytes).collect();
    let mean = all.iter().sum::<u64>() / 4;
    assert!(all.iter().all(|b| b.abs_diff(mean) <= mean / 10), "{all:?}");
}

#[test]
fn a_node_can_t_be_emptied_if_nobody_is_left_to_take_its_replicas() {
    let sites = sites(&[0; 3], &[false, false, true]);
    let partition = Partition {
        topic: "t".to_owned(),
        index: 4,
        replicas: vec![3, 1, 2],
        bytes: 1,
    };
    let refused = plan(&sites, &[partition], Goal::Evacuate).expect_err("too few nodes");
    let words = "t-4 has 3 replicas, and 2 nodes would be left to have one each";
    assert_eq!(refused.to_string(), words);
}

#[test]
fn a_node_that_keeps_what_it_has_is_given_nothing_and_counts_as_room_where_it_has_something() {
    let mut sites = sites(&[0; 5], &[false, true, false, false, false]);
    sites.get_mut(&3).expect("node 3").part = Part::Keeps;
    let partition = |index, replicas: &[i32]| Partition {
        topic: "t".to_owned(),
        index,
        replicas: replicas.to_vec(),
        bytes: 1,
    };
    let partitions = [
        partition(0, &[1, 2, 3]),
        partition(1, &[2, 4, 5]),
        partition(2, &[3, 4, 5]),
    ];
    let moves = plan(&sites, &partitions, Goal::Evacuate).expect("room");
    let then = after(&partitions, &moves);
    let on = |node: i32| then.iter().filter(|p| p.replicas.contains(&node)).count();
    assert_eq!((on(2), on(3)), (0, 2), "{moves:?}");
    assert_eq!(moves.len(), 2, "{moves:?}");
    // Four have a replica already, of whom one is to leave: there is nobody else.
    let full = [partition(0, &[1, 2, 3, 4, 5])];
    let refused = plan(&sites, &full, Goal::Evacuate).expect_err("no room");
    assert_eq!(refused.open, 4);
}

/// A full node keeps its replicas; the others are spread without it.
#[test]
fn a_node_that_keeps_what_it_has_is_in_nobodys_way_when_replicas_are_spread() {
    let mut sites = sites(&[0; 4], &[false; 4]);
    sites.get_mut(&1).expect("node 1").part = Part::Keeps;
    let partition = |index| Partition {
        topic: "t".to_owned(),
        index,
        replicas: vec![1, 2],
        bytes: 1,
    };
    let partitions: Vec<_> = (0..6).map(partition).collect();
    let moves = plan(&sites, &partitions, Goal::Rebalance).expect("room");
    let then = after(&partitions, &moves);
    let on = |node: i32| then.iter().filter(|p| p.replicas.contains(&node)).count();
    assert_eq!([on(1), on(2), on(3), on(4)], [6, 2, 2, 2], "{moves:?}");
}
