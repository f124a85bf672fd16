//! A fleet of three under load, and one trouble after the other, mixed by chance: what the
//! machines, disks and cables of a cluster do to it. Each is over after a few seconds and
//! then everything has to go on; at the end the judge looks at all that clients were told.

use crate::disk::{SmallDisk, Syncs};
use crate::fleet::Fleet;
use crate::judge;
use crate::lan::{self, CLIENTS, Lan};
use crate::node::Setup;
use crate::replicas;
use crate::tool::Tool;
use crate::wait;
use crate::writers::{FAST, Load, Manner};
use base::Random;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The topic under load.
const TOPIC: &str = "mixed";
const PARTITIONS: i32 = 6;
const NODES: u32 = 3;
/// The node whose disk is small enough to be filled, and what fits on it.
const SMALL: i32 = 3;
const SMALL_MEBIBYTES: u32 = 4096;
/// Writers rest after each acknowledgement: what they write has to fit in memory, twice.
const PAUSE: Duration = Duration::from_millis(10);
/// Batches that every partition gets acknowledged between two rounds.
const BATCHES_BETWEEN: usize = 10;
/// A trouble lasts so many milliseconds, at least and at most.
const HELD_MS: (u64, u64) = (200, 6_000);
/// So many rounds of a hundred have another, lesser trouble at the same time.
const WITH_ANOTHER: u64 = 35;
/// What slow syncs take longer, in milliseconds, at most.
const SLOWER_MS: u64 = 300;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Killed,
    AllKilled,
    Frozen,
    Rolled,
    Parted,
    CutOneWay,
    Isolated,
    AnswersLost,
    SlowSyncs,
    FailingSyncs,
    FullDisk,
    LostDisk,
}

use Trouble::*;

/// Each of them, as people call it.
const TROUBLES: [(Trouble, &str); 12] = [
    (Killed, "kill -9 of one"),
    (AllKilled, "kill -9 of all"),
    (Frozen, "SIGSTOP of one"),
    (Rolled, "SIGTERM of one after the other"),
    (Parted, "two are cut from each other"),
    (CutOneWay, "one way between two is cut"),
    (Isolated, "one is cut from the others, not from clients"),
    (AnswersLost, "what one answers to clients is lost"),
    (SlowSyncs, "syncs of one are slow"),
    (FailingSyncs, "syncs of one fail"),
    (FullDisk, "the disk of one is full"),
    (
        LostDisk,
        "the disk of one is lost, an empty one takes its place",
    ),
];

/// Those that another one may meet.
const LESSER: [Trouble; 3] = [CutOneWay, SlowSyncs, AnswersLost];

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// How long there was trouble.
    pub lasted: Duration,
    /// Records acknowledged.
    pub acked: u64,
    /// For each trouble how long after it all was as before.
    pub healed: BTreeMap<&'static str, Vec<Duration>>,
    /// Everything that is wrong.
    pub problems: Vec<String>,
}

/// The cluster and all that can get in its way.
struct Scene {
    fleet: Fleet,
    lan: Lan,
    small: SmallDisk,
    syncs: Syncs,
    random: Random,
}

/// Makes trouble for so long over directories in `place`, in a namespace of its own ([`Lan::make`]).
pub fn run(seed: u64, within: Duration, place: &Path) -> Report {
    let mut report = Report {
        seed,
        lasted: Duration::ZERO,
        acked: 0,
        healed: BTreeMap::new(),
        problems: Vec::new(),
    };
    if let Err(problem) = carry_out(&mut report, within, place) {
        report.problems.push(problem);
    }
    report
}

fn carry_out(report: &mut Report, within: Duration, place: &Path) -> Result<(), String> {
    let mut scene = Scene::make(report.seed, place)?;
    let durable = ["--replicas", "3", "--config", "min.insync.replicas=2"];
    let partitions = PARTITIONS.to_string();
    let args = [&["--partitions", &partitions], &durable[..]].concat();
    let bootstrap = scene.fleet.bootstrap();
    Tool::new(&bootstrap).create(TOPIC, &args);
    scene.fleet.settle(TOPIC)?;
    let manner = Manner {
        pause: PAUSE,
        ..FAST
    };
    let load = Load::start(&bootstrap, TOPIC, PARTITIONS, manner);
    let begin = wait::now();
    let outcome = loop {
        if begin.elapsed() >= within {
            break Ok(());
        }
        match scene.round(&load, begin) {
            Ok((name, healed)) => report.healed.entry(name).or_default().push(healed),
            Err(problem) => break Err(problem),
        }
    };
    report.lasted = begin.elapsed();
    // What was acknowledged is judged also where a round didn't come to its end.
    scene.heal()?;
    let history = load.finish()?;
    let acks = history.written.values().flat_map(|written| &written.acks);
    report.acked = acks.map(|ack| u64::from(ack.records)).sum();
    report.problems.extend(judge::problems(&history));
    outcome?;
    scene.fleet.settle(TOPIC)?;
    let directories = scene.fleet.stop()?;
    report.problems.extend(replicas::differences(&directories));
    Ok(())
}

impl Scene {
    fn make(seed: u64, place: &Path) -> Result<Scene, String> {
        let lan = Lan::make(NODES)?;
        let small = SmallDisk::mount(&place.join("small"), SMALL_MEBIBYTES);
        let small = small.ok_or("a small disk can't be mounted (tmpfs)")?;
        let syncs = Syncs::build(place).ok_or("cc makes no library")?;
        let host = |id: i32| lan::address(id as u32);
        let fleet = Fleet::start_arranged(1..=NODES as i32, host, |id, setup| {
            let name = lan::namespace(id as u32);
            let place = if id == SMALL { small.path() } else { place };
            let setup = Setup {
                data: place.join(&name),
                namespace: Some(name.clone()),
                ..setup
            };
            syncs.reach(setup, &name)
        });
        Ok(Scene {
            fleet,
            lan,
            small,
            syncs,
            random: Random::new(seed),
        })
    }

    /// One trouble, or two; then all has to go on: what it was, and how long that took.
    fn round(&mut self, load: &Load, begin: Instant) -> Result<(&'static str, Duration), String> {
        let (trouble, name) = TROUBLES[self.random.below(TROUBLES.len() as u64) as usize];
        let victim = match trouble {
            FullDisk => SMALL,
            _ => self.node(),
        };
        let lesser = self.random.percent(WITH_ANOTHER).then(|| {
            let which = LESSER[self.random.below(LESSER.len() as u64) as usize];
            (which, self.other_than(victim))
        });
        if let Some((lesser, on)) = lesser {
            self.begin(lesser, on)?;
        }
        self.begin(trouble, victim)?;
        let (least, most) = HELD_MS;
        let held = Duration::from_millis(self.random.between(least, most));
        wait::poll(held, || None::<()>);
        let over = wait::now();
        // A node that starts gets ready once it reaches whoever leads the metadata.
        self.heal()?;
        self.end(trouble, victim)?;
        load.progress(BATCHES_BETWEEN)?;
        self.fleet.settle(TOPIC)?;
        let and = lesser.map_or(String::new(), |(lesser, on)| {
            format!(" with {lesser:?} of {on}")
        });
        let healed = over.elapsed();
        eprintln!(
            "{:5} s: {name} (node {victim}){and}, for {} ms, all as before after {} ms",
            begin.elapsed().as_secs(),
            held.as_millis(),
            healed.as_millis(),
        );
        match self.fleet.deaths() {
            deaths if deaths.is_empty() => Ok((name, healed)),
            deaths => Err(deaths.join("; ")),
        }
    }

    fn node(&mut self) -> i32 {
        self.random.between(1, u64::from(NODES)) as i32
    }

    fn other_than(&mut self, node: i32) -> i32 {
        let further = self.random.between(1, u64::from(NODES) - 1) as i32;
        (node - 1 + further) % NODES as i32 + 1
    }

    fn begin(&mut self, trouble: Trouble, victim: i32) -> Result<(), String> {
        let (node, other) = (victim as u32, self.other_than(victim) as u32);
        match trouble {
            Killed | LostDisk => self.fleet.kill(victim),
            AllKilled => (1..=NODES as i32).for_each(|id| self.fleet.kill(id)),
            Frozen => self.fleet.node(victim).signal(Signal::STOP),
            Rolled => {}
            Parted => self.lan.part(node, other)?,
            CutOneWay => self.lan.cut(node, other)?,
            Isolated => self.lan.isolate(node)?,
            AnswersLost => self.lan.cut(node, CLIENTS)?,
            SlowSyncs => {
                let slower = self.random.between(5, SLOWER_MS);
                self.syncs.slow(&lan::namespace(node), slower);
            }
            FailingSyncs => self.syncs.fail(&lan::namespace(node), true),
            FullDisk => self.small.fill(),
        }
        Ok(())
    }

    fn end(&mut self, trouble: Trouble, victim: i32) -> Result<(), String> {
        let name = lan::namespace(victim as u32);
        match trouble {
            Killed => self.fleet.restart(victim),
            AllKilled => self.fleet.restart_all(),
            Frozen => self.fleet.node(victim).signal(Signal::CONT),
            Rolled => {
                for id in 1..=NODES as i32 {
                    self.fleet.leave(id)?;
                    self.fleet.restart(id);
                    self.fleet.settle(TOPIC)?;
                }
            }
            FailingSyncs => {
                let node = self.fleet.node(victim);
                let ended = || (!node.is_alive()).then_some(());
                wait::patiently("the end of a node whose syncs fail", ended)?;
                self.syncs.fail(&name, false);
                self.fleet.restart(victim);
            }
            FullDisk => self.small.relieve(),
            LostDisk => self.replace(victim)?,
            Parted | CutOneWay | Isolated | AnswersLost | SlowSyncs => {}
        }
        Ok(())
    }

    /// An empty directory in the place of a dead node's.
    fn replace(&mut self, id: i32) -> Result<(), String> {
        let lost = self.fleet.data(id);
        std::fs::remove_dir_all(&lost).map_err(|e| format!("{}: {e}", lost.display()))?;
        let tool = Tool::new(&self.fleet.bootstrap());
        let done = tool.run(&["cluster", "remove", &id.to_string(), "--lost"]);
        if done.code != Some(0) {
            return Err(format!("node {id} can't be given up: {}", done.stderr));
        }
        self.fleet.join_anew(id);
        Ok(())
    }

    /// Ends what is in the way without having to be undone.
    fn heal(&mut self) -> Result<(), String> {
        for node in 1..=NODES {
            self.syncs.slow(&lan::namespace(node), 0);
        }
        self.lan.heal()
    }
}

impl Report {
    /// For other programs.
    pub fn json(&self) -> Value {
        let row = |(name, healed): (&&str, &Vec<Duration>)| {
            let (median, max) = judge::median_and_max(healed);
            json!({
                "trouble": name,
                "times": healed.len(),
                "healed_median_ms": median.as_millis() as u64,
                "healed_max_ms": max.as_millis() as u64,
            })
        };
        json!({
            "seed": self.seed,
            "seconds": self.lasted.as_secs(),
            "records_acknowledged": self.acked,
            "rows": self.healed.iter().map(row).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }
}
