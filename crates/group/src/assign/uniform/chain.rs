//! Levelling across classes. Two members may share no topic and still be levelled: the laden one
//! gives to a third, the third gives of another topic to the one with little. Loads can't be made
//! more even exactly when no such chain leads from a member to one with two partitions less; the
//! shortest chain moves least. Looking for chains costs, so the work is bounded: beyond the bound
//! an assignment is somewhat less even than it could be, and every other promise holds.

use super::Plan;
use std::collections::{BTreeMap, VecDeque};

/// Steps of looking for chains, over all of an assignment.
const STEPS_MAX: usize = 2_000_000;

/// What each member has of each class.
type Held = Vec<BTreeMap<usize, Vec<u32>>>;
/// How a member was reached: who gives to it, and of which class.
type Reached = BTreeMap<u32, (u32, usize)>;

/// What came of looking for a chain.
enum Search {
    /// Who gives, who receives and of which class, the last link first.
    Found(Vec<(u32, u32, usize)>),
    /// Nobody who can be reached has little enough.
    Settled(Reached),
    /// The bound on the work.
    Exhausted,
}

pub(super) fn shorten(plan: &mut Plan<'_>) {
    let mut held = held(plan);
    let mut steps = STEPS_MAX;
    while pass(plan, &mut held, &mut steps) {}
}

/// Looks at everybody once, those with most first; true if something moved and the work isn't
/// used up. Who was reached in vain from somebody with more needs no look of its own.
fn pass(plan: &mut Plan<'_>, held: &mut Held, steps: &mut usize) -> bool {
    let Some(lowest) = plan.loads.iter().min().copied() else {
        return false;
    };
    let mut order: Vec<u32> = (0u32..).take(plan.members.len()).collect();
    order.sort_by_key(|member| (u32::MAX - plan.loads[*member as usize], *member));
    let mut settled = vec![false; plan.members.len()];
    let mut moved = false;
    for giver in order {
        while plan.loads[giver as usize] >= lowest + 2 && !settled[giver as usize] {
            match find(plan, held, giver, steps) {
                Search::Found(path) => {
                    for (from, to, class) in path {
                        pass_on(plan, held, from, to, class);
                    }
                    moved = true;
                }
                Search::Settled(reached) => {
                    settled[giver as usize] = true;
                    for member in reached.keys() {
                        settled[*member as usize] = true;
                    }
                }
                Search::Exhausted => return false,
            }
        }
    }
    moved
}

/// The shortest chain from the member to one with at least two partitions less.
fn find(plan: &Plan<'_>, held: &Held, giver: u32, steps: &mut usize) -> Search {
    let enough = plan.loads[giver as usize].saturating_sub(2);
    let mut seen = vec![false; plan.classes.len()];
    let mut reached = Reached::new();
    let mut queue = VecDeque::from([giver]);
    while let Some(from) = queue.pop_front() {
        for class in held[from as usize].keys() {
            if std::mem::replace(&mut seen[*class], true) {
                continue;
            }
            for to in &plan.classes[*class].wanting {
                if *steps == 0 {
                    return Search::Exhausted;
                }
                *steps -= 1;
                if *to == giver || reached.contains_key(to) {
                    continue;
                }
                reached.insert(*to, (from, *class));
                if plan.loads[*to as usize] <= enough {
                    return Search::Found(chain(&reached, giver, *to));
                }
                queue.push_back(*to);
            }
        }
    }
    Search::Settled(reached)
}

fn chain(reached: &Reached, giver: u32, last: u32) -> Vec<(u32, u32, usize)> {
    let mut chain = Vec::new();
    let mut to = last;
    while to != giver {
        let (from, class) = reached[&to];
        chain.push((from, to, class));
        to = from;
    }
    chain
}

/// One link: of what `from` has of the class, `to` gets what `from` gives most easily.
fn pass_on(plan: &mut Plan<'_>, held: &mut Held, from: u32, to: u32, class: usize) {
    let Some(has) = held[from as usize].get_mut(&class) else {
        return;
    };
    let easiest = (0..has.len()).min_by_key(|at| plan.attachment(from, has[*at]));
    let Some(partition) = easiest.map(|at| has.swap_remove(at)) else {
        return;
    };
    if has.is_empty() {
        held[from as usize].remove(&class);
    }
    held[to as usize].entry(class).or_default().push(partition);
    plan.give(partition, to);
}

fn held(plan: &Plan<'_>) -> Held {
    let mut held = Held::new();
    held.resize_with(plan.members.len(), BTreeMap::new);
    for (at, class) in plan.classes.iter().enumerate() {
        for partition in &class.partitions {
            let owner = plan.owners[*partition as usize];
            held[owner as usize].entry(at).or_default().push(*partition);
        }
    }
    held
}
