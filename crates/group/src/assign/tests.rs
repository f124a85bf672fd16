//! What every assignment promises, over random groups; a few cases by hand for what the promises
//! leave open.

use super::{Assignment, Assignor, Member, Topic};
use base::Uuid;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A member that owns what [`Member`] borrows.
#[derive(Clone, Debug)]
struct Owned {
    id: String,
    instance: Option<String>,
    rack: Option<String>,
    topics: Vec<usize>,
    before: Assignment,
}

fn run(assignor: Assignor, members: &[Owned], topics: &[Topic]) -> Vec<Assignment> {
    let members: Vec<Member<'_>> = members
        .iter()
        .map(|member| Member {
            id: &member.id,
            instance: member.instance.as_deref(),
            rack: member.rack.as_deref(),
            topics: &member.topics,
            before: &member.before,
        })
        .collect();
    assignor.assign(&members, topics)
}

fn id(number: u64) -> Uuid {
    Uuid::from_random(number + 1, 7)
}

fn topic(number: u64, partitions: u32) -> Topic {
    Topic {
        id: id(number),
        partitions,
        racks: Vec::new(),
    }
}

fn member(name: &str, topics: &[usize]) -> Owned {
    Owned {
        id: name.to_owned(),
        instance: None,
        rack: None,
        topics: topics.to_vec(),
        before: Assignment::new(),
    }
}

fn load(assignment: &Assignment) -> usize {
    assignment.values().map(Vec::len).sum()
}

fn sorted_topics(sizes: &[u32]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = (0..)
        .zip(sizes)
        .map(|(at, size)| topic(at, *size))
        .collect();
    topics.sort_by_key(|topic| topic.id);
    topics
}

/// Every partition that somebody wants goes to exactly one of those who want it, nothing else
/// goes to anybody, and partitions are in order.
fn check_whole(members: &[Owned], topics: &[Topic], all: &[Assignment]) {
    assert_eq!(all.len(), members.len());
    let mut seen = BTreeSet::new();
    for (member, assignment) in members.iter().zip(all) {
        for (topic, partitions) in assignment {
            let wanted = member.topics.iter().find(|at| topics[**at].id == *topic);
            let wanted = &topics[*wanted.expect("only wanted topics are assigned")];
            assert!(!partitions.is_empty());
            assert!(partitions.is_sorted());
            for partition in partitions {
                assert!(u32::try_from(*partition).unwrap() < wanted.partitions);
                assert!(seen.insert((*topic, *partition)), "assigned twice");
            }
        }
    }
    let wanted: BTreeSet<usize> = members.iter().flat_map(|m| m.topics.clone()).collect();
    let expected: u32 = wanted.iter().map(|at| topics[*at].partitions).sum();
    assert_eq!(seen.len(), expected as usize, "a partition was left out");
}

/// No chain of gifts leads from somebody to one with two partitions less: the loads are as even
/// as the subscriptions allow.
fn check_even(members: &[Owned], topics: &[Topic], all: &[Assignment]) {
    let wants = |member: &Owned, topic: &Uuid| {
        let mut wanted = member.topics.iter();
        wanted.any(|at| topics[*at].id == *topic)
    };
    for start in 0..members.len() {
        let mut reached = BTreeSet::from([start]);
        let mut queue = vec![start];
        while let Some(from) = queue.pop() {
            for topic in all[from].keys() {
                for to in 0..members.len() {
                    if wants(&members[to], topic) && reached.insert(to) {
                        assert!(load(&all[to]) + 2 > load(&all[start]), "uneven loads");
                        queue.push(to);
                    }
                }
            }
        }
    }
}

/// Partitions that somebody still wants and that went elsewhere.
fn moved(members: &[Owned], all: &[Assignment]) -> usize {
    let mut moved = 0;
    for (member, now) in members.iter().zip(all) {
        for (topic, before) in &member.before {
            let now = now.get(topic).map(Vec::as_slice).unwrap_or_default();
            moved += before.iter().filter(|p| !now.contains(p)).count();
        }
    }
    moved
}

/// How many have to move if everybody wants the same: what lies above even shares, with the
/// larger shares given to those who have most.
fn moves_needed(members: &[Owned], topics: &[Topic]) -> usize {
    let total: usize = topics.iter().map(|topic| topic.partitions as usize).sum();
    let (share, more) = (total / members.len(), total % members.len());
    let mut loads: Vec<usize> = members.iter().map(|member| load(&member.before)).collect();
    loads.sort_unstable_by(|a, b| b.cmp(a));
    let surplus = |(at, load): (usize, &usize)| load.saturating_sub(share + usize::from(at < more));
    loads.iter().enumerate().map(surplus).sum()
}

#[derive(Clone, Debug)]
struct Setting {
    topics: Vec<Topic>,
    members: Vec<Owned>,
}

fn racks(partitions: u32, seed: u8) -> Vec<Vec<Arc<str>>> {
    let rack = |n: u32| Arc::from(["a", "b", "c"][(n as usize) % 3]);
    let of = |p: u32| vec![rack(p + u32::from(seed)), rack(p + u32::from(seed) + 1)];
    (0..partitions).map(of).collect()
}

/// Topics, members with wishes, racks, and an assignment before that an assignor could have made
/// for other members and smaller or larger topics.
fn settings(same_wishes: bool) -> impl Strategy<Value = Setting> {
    let sizes = prop::collection::vec((0u32..9, any::<bool>()), 1..6);
    let wishes = prop::collection::vec((any::<u8>(), 0usize..4, any::<bool>()), 1..8);
    let owners = prop::collection::vec(any::<u8>(), 64);
    (sizes, wishes, owners).prop_map(move |(sizes, wishes, owners)| {
        let mut topics: Vec<Topic> = Vec::new();
        for (at, (size, racked)) in (0..).zip(&sizes) {
            let mut topic = topic(at, *size);
            if *racked {
                topic.racks = racks(*size, at as u8);
            }
            topics.push(topic);
        }
        topics.sort_by_key(|topic| topic.id);
        let all = |mask: u8| {
            (0..topics.len())
                .filter(|at| mask & (1 << at) != 0)
                .collect()
        };
        let mut members: Vec<Owned> = Vec::new();
        for (at, (mask, rack, fixed)) in wishes.iter().enumerate() {
            let mask = if same_wishes { u8::MAX } else { *mask };
            let mut member = member(&format!("m{at}"), &[]);
            member.topics = all(mask);
            member.rack = ["a", "b", "c"].get(*rack).map(|rack| (*rack).to_owned());
            member.instance = fixed.then(|| format!("i{}", 9 - at));
            members.push(member);
        }
        hand_out(&topics, &mut members, &owners);
        Setting { topics, members }
    })
}

/// Gives partitions to members as the numbers say; also some that a topic doesn't have any more.
fn hand_out(topics: &[Topic], members: &mut [Owned], owners: &[u8]) {
    let mut owners = owners.iter();
    for topic in topics {
        for partition in 0..topic.partitions + 1 {
            let Some(owner) = owners.next().map(|owner| usize::from(*owner) % 10) else {
                return;
            };
            if let Some(member) = members.get_mut(owner) {
                let held = member.before.entry(topic.id).or_default();
                held.push(partition as i32);
            }
        }
    }
}

/// What the members have to hold for the next round.
fn settle(members: &mut [Owned], all: Vec<Assignment>) {
    for (member, assignment) in members.iter_mut().zip(all) {
        member.before = assignment;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn uniform_is_whole_and_even_whoever_wants_what(setting in settings(false)) {
        let Setting { topics, mut members } = setting;
        let all = run(Assignor::Uniform, &members, &topics);
        check_whole(&members, &topics, &all);
        check_even(&members, &topics, &all);
        settle(&mut members, all.clone());
        prop_assert_eq!(run(Assignor::Uniform, &members, &topics), all, "an even one stays");
    }

    #[test]
    fn uniform_moves_no_more_than_it_has_to_if_all_want_the_same(setting in settings(true)) {
        let Setting { topics, mut members } = setting;
        for member in &mut members {
            for topic in &topics {
                if let Some(held) = member.before.get_mut(&topic.id) {
                    held.retain(|partition| (*partition as u32) < topic.partitions);
                }
            }
        }
        let all = run(Assignor::Uniform, &members, &topics);
        check_whole(&members, &topics, &all);
        let loads: Vec<usize> = all.iter().map(load).collect();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        prop_assert_eq!(moved(&members, &all), moves_needed(&members, &topics));
    }

    #[test]
    fn uniform_is_sticky_when_somebody_leaves(setting in settings(false), gone in any::<prop::sample::Index>()) {
        let Setting { topics, mut members } = setting;
        let all = run(Assignor::Uniform, &members, &topics);
        settle(&mut members, all);
        let same = members.iter().all(|m| m.topics == members[0].topics);
        members.remove(gone.index(members.len()));
        let all = run(Assignor::Uniform, &members, &topics);
        check_whole(&members, &topics, &all);
        check_even(&members, &topics, &all);
        if same {
            prop_assert_eq!(moved(&members, &all), 0, "only what was left behind finds new owners");
        }
    }

    #[test]
    fn range_is_whole_and_cuts_topics_of_one_size_alike(setting in settings(false)) {
        let Setting { topics, members } = setting;
        let all = run(Assignor::Range, &members, &topics);
        check_whole(&members, &topics, &all);
        let wanting = |at: usize| -> Vec<bool> { members.iter().map(|m| m.topics.contains(&at)).collect() };
        for a in 0..topics.len() {
            for b in 0..a {
                if topics[a].partitions == topics[b].partitions && wanting(a) == wanting(b) {
                    for assignment in &all {
                        prop_assert_eq!(assignment.get(&topics[a].id), assignment.get(&topics[b].id));
                    }
                }
            }
            let shares: Vec<usize> = members.iter().zip(&all)
                .filter(|(member, _)| member.topics.contains(&a))
                .map(|(_, assignment)| assignment.get(&topics[a].id).map_or(0, Vec::len))
                .collect();
            let least = shares.iter().min().copied().unwrap_or(0);
            prop_assert!(shares.iter().all(|share| *share <= least + 1));
        }
    }
}

#[test]
fn a_new_topic_is_spread_over_members_in_the_racks_of_its_replicas() {
    let mut racked = topic(0, 6);
    racked.racks = (0..6)
        .map(|p| vec![Arc::from(["a", "b", "c"][p % 3])])
        .collect();
    let mut members: Vec<Owned> = ["m0", "m1", "m2"].map(|name| member(name, &[0])).into();
    for (member, rack) in members.iter_mut().zip(["c", "a", "b"]) {
        member.rack = Some(rack.to_owned());
    }
    let all = run(Assignor::Uniform, &members, &[racked]);
    let held: Vec<&Vec<i32>> = all.iter().map(|a| &a[&id(0)]).collect();
    assert_eq!(held, [&vec![2, 5], &vec![0, 3], &vec![1, 4]]);
}

#[test]
fn loads_are_levelled_through_a_member_in_between() {
    // `b` shares a topic with both, `a` and `c` share none.
    let topics = sorted_topics(&[4, 2]);
    let four = topics.iter().position(|t| t.partitions == 4).unwrap();
    let two = 1 - four;
    let mut members = vec![
        member("a", &[four]),
        member("b", &[0, 1]),
        member("c", &[two]),
    ];
    members[0].before.insert(topics[four].id, vec![0, 1, 2]);
    members[1].before.insert(topics[four].id, vec![3]);
    members[1].before.insert(topics[two].id, vec![0]);
    members[2].before.insert(topics[two].id, vec![1]);
    let all = run(Assignor::Uniform, &members, &topics);
    assert_eq!(all.iter().map(load).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(moved(&members, &all), 2);
}

#[test]
fn range_lines_static_members_up_first_by_their_static_names() {
    let mut members: Vec<Owned> = ["m0", "m1", "m2"].map(|name| member(name, &[0])).into();
    members[1].instance = Some("z".to_owned());
    members[2].instance = Some("y".to_owned());
    let all = run(Assignor::Range, &members, &[topic(0, 4)]);
    let held: BTreeMap<&str, &Vec<i32>> = members
        .iter()
        .zip(&all)
        .map(|(member, assignment)| (member.id.as_str(), &assignment[&id(0)]))
        .collect();
    assert_eq!(held["m2"], &[0, 1]);
    assert_eq!(held["m1"], &[2]);
    assert_eq!(held["m0"], &[3]);
}

#[test]
fn nobody_and_nothing_are_fine() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        assert!(run(assignor, &[], &[topic(0, 3)]).is_empty());
        let idle = run(assignor, &[member("m", &[])], &[topic(0, 3)]);
        assert_eq!(idle, [Assignment::new()]);
    }
}
