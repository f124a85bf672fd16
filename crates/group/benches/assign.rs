//! How long an assignment takes at the size that is promised: 10,000 partitions over 1,000
//! members in less than 50 ms. `cargo bench -p group`. Prints a line for each case.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock

use base::Uuid;
use group::assign::{Assignment, Assignor, Member, Topic};
use std::time::{Duration, Instant};

const TOPICS: u64 = 100;
const PARTITIONS_PER_TOPIC: u32 = 100;
const MEMBERS: usize = 1_000;
const RUNS: usize = 20;
/// What is promised.
const LIMIT: Duration = Duration::from_millis(50);

fn main() {
    let mut topics: Vec<Topic> = (0..TOPICS)
        .map(|n| Topic {
            id: Uuid::from_random(n, !n),
            partitions: PARTITIONS_PER_TOPIC,
            racks: Vec::new(),
        })
        .collect();
    topics.sort_by_key(|topic| topic.id);
    let ids: Vec<String> = (0..MEMBERS).map(|n| format!("member-{n:04}")).collect();
    let all: Vec<usize> = (0..topics.len()).collect();
    let same = vec![all; MEMBERS];
    // Everybody wants half of the topics, each another half.
    let halves: Vec<Vec<usize>> = (0..MEMBERS)
        .map(|m| {
            (0..topics.len())
                .filter(|t| (t * 7 + m * 13) % 20 < 10)
                .collect()
        })
        .collect();
    let mut slow = false;
    for assignor in [Assignor::Uniform, Assignor::Range] {
        for (name, wishes) in [("same wishes", &same), ("1,000 wishes", &halves)] {
            let nothing = vec![Assignment::new(); MEMBERS];
            let fresh = assign(assignor, &ids, wishes, &topics, &nothing);
            let mut left = fresh.clone();
            for gone in left.iter_mut().step_by(10) {
                gone.clear();
            }
            let mut first: Vec<Assignment> = vec![Assignment::new(); MEMBERS];
            for topic in &topics {
                let everything = (0..topic.partitions as i32).collect();
                first[0].insert(topic.id, everything);
            }
            for (case, before) in [
                ("from nothing", &nothing),
                ("a tenth replaced", &left),
                ("from one who had all", &first),
            ] {
                let took = measure(|| assign(assignor, &ids, wishes, &topics, before));
                println!("{assignor:?}, {name}, {case}: {took:?}");
                slow |= took > LIMIT;
            }
        }
    }
    assert!(!slow, "an assignment took longer than {LIMIT:?}");
}

fn assign(
    assignor: Assignor,
    ids: &[String],
    wishes: &[Vec<usize>],
    topics: &[Topic],
    before: &[Assignment],
) -> Vec<Assignment> {
    let members: Vec<Member<'_>> = (0..ids.len())
        .map(|at| Member {
            id: &ids[at],
            instance: None,
            rack: None,
            topics: &wishes[at],
            before: &before[at],
        })
        .collect();
    assignor.assign(&members, topics)
}

/// The median of several runs.
fn measure(mut run: impl FnMut() -> Vec<Assignment>) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}
