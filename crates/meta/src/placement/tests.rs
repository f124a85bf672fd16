use super::*;
use std::collections::BTreeSet;

fn nodes(racks: &[Option<&str>]) -> BTreeMap<NodeId, NodeInfo> {
    let info = |rack: &Option<&str>| NodeInfo::new("h", 1, *rack);
    racks
        .iter()
        .enumerate()
        .map(|(at, rack)| (NodeId(at as u32 + 1), info(rack)))
        .collect()
}

fn load(parts: &[Vec<NodeId>]) -> Load {
    let mut load = Load::default();
    parts.iter().for_each(|replicas| load.add(replicas));
    load
}

fn gap(counts: impl Iterator<Item = u64> + Clone) -> u64 {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
}

#[test]
fn leaders_and_replicas_are_even_over_nodes_without_racks() {
    for count in 1..=7usize {
        for replicas in 1..=count as u32 {
            let nodes = nodes(&vec![None; count]);
            let parts = Load::default().spread(&nodes, 29, replicas);
            let load = load(&parts);
            assert!(gap(nodes.keys().map(|node| load.of(*node).leaders)) <= 1);
            assert!(gap(nodes.keys().map(|node| load.of(*node).replicas)) <= 1);
            for part in &parts {
                let distinct: BTreeSet<_> = part.iter().collect();
                assert_eq!(distinct.len(), replicas as usize);
            }
        }
    }
}

#[test]
fn a_partition_has_its_replicas_in_different_racks() {
    let racks = [
        Some("a"),
        Some("a"),
        Some("b"),
        Some("b"),
        Some("c"),
        Some("c"),
    ];
    let nodes = nodes(&racks);
    let parts = Load::default().spread(&nodes, 24, 3);
    for part in &parts {
        let distinct: BTreeSet<_> = part.iter().map(|node| &nodes[node].rack).collect();
        assert_eq!(distinct.len(), 3, "{part:?}");
    }
    let load = load(&parts);
    assert_eq!(gap(nodes.keys().map(|node| load.of(*node).leaders)), 0);
}

#[test]
fn small_topics_one_after_the_other_don_t_pile_up_on_one_node() {
    let nodes = nodes(&[None; 3]);
    let mut load = Load::default();
    for _ in 0..9 {
        let parts = load.clone().spread(&nodes, 1, 1);
        parts.iter().for_each(|replicas| load.add(replicas));
    }
    assert!(nodes.keys().all(|node| load.of(*node).leaders == 3));
}

#[test]
fn followers_of_a_node_are_not_always_the_same() {
    let nodes = nodes(&[None; 4]);
    let parts = Load::default().spread(&nodes, 24, 2);
    let pairs: BTreeSet<_> = parts.iter().map(|part| (part[0], part[1])).collect();
    assert!(pairs.len() > 4, "{pairs:?}");
}

#[test]
fn what_is_deleted_weighs_nothing() {
    let nodes = nodes(&[None; 3]);
    let parts = Load::default().spread(&nodes, 5, 2);
    let mut load = load(&parts);
    parts.iter().for_each(|replicas| load.subtract(replicas));
    assert_eq!(load, Load::default());
}
