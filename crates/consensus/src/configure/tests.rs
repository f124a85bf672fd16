use super::*;
use base::Random;
use raft::Changer;
use raft::ProgressTracker;
use std::collections::BTreeSet;

fn some(random: &mut Random, least: usize) -> Vec<Member> {
    let mut all = BTreeSet::new();
    let wanted = least + random.below(4) as usize;
    while all.len() < wanted {
        let node = NodeId(1 + random.below(5) as u32);
        let incarnation = random.below(2) as u32;
        all.insert(Member { node, incarnation });
    }
    all.into_iter().collect()
}

/// Any configuration that could be.
fn configuration(random: &mut Random) -> Configuration {
    let mut made = Configuration {
        voters: some(random, 1),
        outgoing: Vec::new(),
        learners: Vec::new(),
        aim: random.below(3) as u32,
    };
    if random.below(2) == 0 {
        made.outgoing = some(random, 1);
    }
    made.learners = some(random, 0);
    made.learners.retain(|member| !made.voters.contains(member));
    made
}

fn apply(tracker: &mut ProgressTracker, steps: &[ConfChangeV2]) {
    for step in steps {
        let mut changer = Changer::new(tracker);
        let (conf, changes) = if step.leave_joint() {
            changer.leave_joint().unwrap()
        } else if let Some(auto_leave) = step.enter_joint() {
            changer.enter_joint(auto_leave, &step.changes).unwrap()
        } else {
            changer.simple(&step.changes).unwrap()
        };
        tracker.apply_conf(conf, changes, 1);
    }
}

fn lists(state: &ConfState) -> [BTreeSet<u64>; 4] {
    let set = |ids: &[u64]| ids.iter().copied().collect();
    [
        set(&state.voters),
        set(&state.voters_outgoing),
        set(&state.learners),
        set(&state.learners_next),
    ]
}

#[test]
fn the_crate_comes_from_any_configuration_to_any_other() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut tracker = ProgressTracker::new(8);
        let mut now = Configuration::default();
        for _ in 0..8 {
            let next = configuration(&mut random);
            apply(&mut tracker, &steps(&now, &next));
            let there = tracker.conf().to_conf_state();
            assert_eq!(
                lists(&there),
                lists(&state_of(&next)),
                "seed {seed}: from {now:?} to {next:?}"
            );
            now = next;
        }
    }
}

#[test]
fn what_a_leader_proposes_is_one_step() {
    let member = |node| Member::founder(NodeId(node));
    let with = |voters: &[u32], outgoing: &[u32], learners: &[u32]| Configuration {
        voters: voters.iter().copied().map(member).collect(),
        outgoing: outgoing.iter().copied().map(member).collect(),
        learners: learners.iter().copied().map(member).collect(),
        aim: 0,
    };
    let path = [
        with(&[1, 2, 3], &[], &[]),
        with(&[1, 2, 3], &[], &[4, 5]),
        with(&[1, 4, 5], &[1, 2, 3], &[]),
        with(&[1, 4, 5], &[], &[]),
    ];
    for pair in path.windows(2) {
        assert!(is_one_step(&pair[0], &pair[1]), "{pair:?}");
    }
    let aimed = |at: usize, aim: u32| Configuration {
        aim,
        ..path[at].clone()
    };
    assert!(is_one_step(&aimed(0, 3), &aimed(1, 4)));
    assert!(is_one_step(&aimed(0, 3), &aimed(0, 4)));
    assert!(!is_one_step(&aimed(0, 3), &aimed(1, 2)), "an older aim");
    assert!(
        !is_one_step(&path[0], &path[3]),
        "voters without a joint configuration"
    );
    assert!(
        !is_one_step(&path[2], &path[0]),
        "back out of a joint configuration"
    );
    assert!(
        !is_one_step(&with(&[1], &[], &[]), &with(&[], &[1], &[])),
        "no voter left"
    );
}
