//! What is measured. Each prints `steady` once it has begun in earnest, and a summary of
//! `name=value` words at its end.

use crate::link::{Link, decoded};
use crate::member::{Common, Member, News, Protocol};
use std::io::Write;
use std::time::{Duration, Instant};
use wire_kafka::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

/// Between two rounds over all members.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest wait until nothing moves any more.
const SETTLE_MAX: Duration = Duration::from_secs(180);
const COMMIT: i16 = 8;
/// Codes after which the coordinator is looked for again.
const LOADING: i16 = 14;
const NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;

pub fn protocol(name: &str) -> Protocol {
    match name {
        "classic" => Protocol::Classic,
        "consumer" => Protocol::Consumer,
        other => panic!("no protocol {other}"),
    }
}

pub fn common(
    bootstrap: &str,
    topic: &str,
    protocol: Protocol,
    interval_ms: u64,
    session_ms: i32,
) -> Common {
    Common {
        bootstrap: bootstrap.split(',').map(str::to_owned).collect(),
        topic: topic.to_owned(),
        protocol,
        interval: Duration::from_millis(interval_ms),
        session_ms,
    }
}

fn steady() {
    println!("steady");
    std::io::stdout().flush().expect("a reader");
}

/// Milliseconds below which so many thousandths lie.
fn millis(times: &mut [Duration], thousandths: usize) -> f64 {
    times.sort();
    let at = (times.len() * thousandths / 1000).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Groups of which nothing is heard but heartbeats.
pub fn idle(common: &Common, groups: u64, members: u64, seconds: u64) {
    let start = Instant::now();
    let spread = |nth: u64| {
        common
            .interval
            .mul_f64(nth as f64 / (groups * members) as f64)
    };
    let mut all: Vec<Member> = (0..groups * members)
        .map(|nth| {
            let group = format!("load-{}", nth % groups);
            Member::new(group, u128::from(nth) + 1, start + spread(nth))
        })
        .collect();
    let mut moved = start;
    let mut counting: Option<Instant> = None;
    let (mut beats, mut moves, mut lost) = (Vec::new(), 0, 0);
    let mut gap = Duration::ZERO;
    loop {
        let now = Instant::now();
        for member in &mut all {
            let before = member.beaten;
            match member.step(common, now) {
                News::Nothing => {}
                News::Beaten(time) => {
                    beats.push(time);
                    gap = gap.max(member.beaten - before);
                }
                News::Moved | News::Called => {
                    moved = now;
                    moves += 1;
                }
                News::Lost => lost += 1,
            }
        }
        match counting {
            Some(since) if since.elapsed() >= Duration::from_secs(seconds) => break,
            // Two intervals in which everybody was heard and nothing moved.
            None if moved.elapsed() > common.interval * 2 && all.iter().all(Member::is_in) => {
                counting = Some(now);
                (moves, lost, gap) = (0, 0, Duration::ZERO);
                beats.clear();
                steady();
            }
            None => assert!(start.elapsed() < SETTLE_MAX, "the groups don't settle"),
            Some(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
    println!(
        "members={} beats={} moves={moves} lost={lost} gap_ms={:.0} p50_ms={:.2} p99_ms={:.2}",
        all.len(),
        beats.len(),
        gap.as_secs_f64() * 1e3,
        millis(&mut beats, 500),
        millis(&mut beats, 990)
    );
}

fn coordinator(bootstrap: &str, group: &str) -> Link {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec![group.to_owned()],
        ..Default::default()
    };
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < SETTLE_MAX, "nobody coordinates {group}");
        for address in bootstrap.split(',') {
            let asked = Link::connect(address).and_then(|mut link| link.ask(4, &request));
            let Ok(answer) = asked else { continue };
            let found = &answer.coordinators[0];
            if found.error_code == 0 {
                let address = format!("{}:{}", found.host, found.port);
                return Link::connect(&address).expect("the coordinator");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A group that commits, one commit after the other.
struct Committer {
    link: Link,
    request: OffsetCommitRequest,
    sent: Option<Instant>,
}

impl Committer {
    fn new(bootstrap: &str, topic: &str, group: String) -> Committer {
        let part = OffsetCommitRequestPartition {
            committed_leader_epoch: -1,
            ..Default::default()
        };
        Committer {
            link: coordinator(bootstrap, &group),
            request: OffsetCommitRequest {
                group_id: group,
                generation_id_or_member_epoch: -1,
                topics: vec![OffsetCommitRequestTopic {
                    name: topic.to_owned(),
                    partitions: vec![part],
                    ..Default::default()
                }],
                ..Default::default()
            },
            sent: None,
        }
    }

    fn commit(&mut self) {
        self.request.topics[0].partitions[0].committed_offset += 1;
        let outcome = self.link.send(COMMIT, &self.request);
        outcome.expect("the coordinator");
        self.sent = Some(Instant::now());
    }

    /// How long the commit under way took, if it was answered; one that was refused is gone.
    fn answered(&mut self, bootstrap: &str, is_steady: bool) -> Option<Duration> {
        self.sent?;
        let answer = self.link.poll().expect("the coordinator")?;
        let answer = decoded::<OffsetCommitRequest>(COMMIT, answer).expect("an answer");
        let code = answer.topics[0].partitions[0].error_code;
        let sent = self.sent.take();
        match code {
            0 => sent.map(|sent| sent.elapsed()),
            NOT_AVAILABLE | NOT_COORDINATOR | LOADING => {
                self.link = coordinator(bootstrap, &self.request.group_id);
                None
            }
            // A topic that was made a moment ago isn't known everywhere at once.
            _ if !is_steady => None,
            _ => panic!("a commit was refused: {code}"),
        }
    }
}

/// Commits of one offset each at a rate, by so many groups.
pub fn commits(bootstrap: &str, topic: &str, groups: u64, rate: u64, seconds: u64) {
    let group = |nth| Committer::new(bootstrap, topic, format!("commits-{nth}"));
    let mut all: Vec<Committer> = (0..groups).map(group).collect();
    // A virtual machine of Java takes its time to compile what is often run.
    let warm_up = Duration::from_secs(20);
    let (start, total) = (Instant::now(), Duration::from_secs(seconds) + warm_up);
    let (mut times, mut sent, mut at) = (Vec::new(), 0u64, 0);
    let mut is_steady = false;
    while start.elapsed() < total {
        if !is_steady && start.elapsed() >= warm_up {
            is_steady = true;
            times.clear();
            steady();
        }
        times.extend(
            all.iter_mut()
                .filter_map(|one| one.answered(bootstrap, is_steady)),
        );
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        // Who still waits is passed over; if all wait, the rate isn't reached.
        for _ in 0..all.len() {
            at = (at + 1) % all.len();
            if sent < due && all[at].sent.is_none() {
                all[at].commit();
                sent += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    println!(
        "commits={} rate={:.0} p50_ms={:.2} p99_ms={:.2}",
        times.len(),
        times.len() as f64 / seconds as f64,
        millis(&mut times, 500),
        millis(&mut times, 990)
    );
}

/// Members that join one large group of KIP-848, one after the other.
pub fn joins(bootstrap: &str, topic: &str, members: u64) {
    let mut link = coordinator(bootstrap, "large");
    let mut times = Vec::new();
    steady();
    for nth in 0..members {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "large".into(),
            member_id: base::Uuid((u128::from(nth) + 1).to_be_bytes()).to_string(),
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec![topic.to_owned()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        };
        let start = Instant::now();
        let answer = link.ask(1, &request).expect("an answer");
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        times.push(start.elapsed());
    }
    let last = times.last().map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "joins={members} last_ms={last:.2} p50_ms={:.2} p99_ms={:.2} max_ms={:.2}",
        millis(&mut times, 500),
        millis(&mut times, 990),
        millis(&mut times, 1000)
    );
}

/// One of two members falls silent: how long does the other wait beyond the session?
pub fn death(common: &Common) {
    let start = Instant::now();
    let mut both = [1, 2].map(|nth| Member::new("mortal".into(), nth, start));
    let mut moved = start;
    let step = |members: &mut [Member]| {
        let now = Instant::now();
        let news = members.iter_mut().map(|member| member.step(common, now));
        let moved = news.filter(|news| matches!(news, News::Moved | News::Called));
        moved.count() > 0
    };
    while moved.elapsed() < Duration::from_secs(2) || !both.iter().all(Member::is_in) {
        assert!(start.elapsed() < SETTLE_MAX, "the group doesn't settle");
        if step(&mut both) {
            moved = Instant::now();
        }
        std::thread::sleep(PAUSE);
    }
    steady();
    let [alive, dead] = &mut both;
    let silent = dead.beaten;
    while !step(std::slice::from_mut(alive)) {
        assert!(silent.elapsed() < SETTLE_MAX, "nobody misses the member");
        std::thread::sleep(PAUSE);
    }
    let over = silent.elapsed().as_secs_f64() * 1e3 - f64::from(common.session_ms);
    println!("over_ms={over:.0}");
}
