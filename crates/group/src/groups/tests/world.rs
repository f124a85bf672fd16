//! A host in small: one replica that leads, its log, a clock, answers that are owed.

use crate::{
    Caller, Command, Config, Context, Decision, Groups, Record, Reply, Soft, TopicFacts, Topics,
};
use base::{Mono, Now, Uuid, WallMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When the world begins, for people.
pub(crate) const DAWN_MS: i64 = 1_000_000;
/// The caller of ticks.
pub(crate) const HOST: Caller = 0;

/// For each partition the racks of its replicas.
type Racks = Vec<Vec<Arc<str>>>;

/// The topics of the cluster. Their ids are given in the order in which they come.
#[derive(Default)]
pub(crate) struct Cluster {
    topics: BTreeMap<String, (TopicFacts, Racks)>,
    names: BTreeMap<Uuid, String>,
    version: u64,
    made: u8,
}

impl Cluster {
    /// Makes a topic or gives it another number of partitions.
    pub(crate) fn put(&mut self, name: &str, partitions: u32, racks: Racks) {
        self.version += 1;
        let known = self.topics.get(name).map(|(facts, _)| facts.id);
        let id = known.unwrap_or_else(|| {
            self.made += 1;
            Uuid([self.made; 16])
        });
        let facts = TopicFacts { id, partitions };
        self.names.insert(id, name.to_owned());
        self.topics.insert(name.to_owned(), (facts, racks));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.version += 1;
        if let Some((facts, _)) = self.topics.remove(name) {
            self.names.remove(&facts.id);
        }
    }
}

impl Topics for Cluster {
    fn topic(&self, name: &str) -> Option<TopicFacts> {
        self.topics.get(name).map(|(facts, _)| *facts)
    }

    fn name_of(&self, id: &Uuid) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.topics.keys().map(String::as_str))
    }

    fn racks(&self, name: &str) -> Racks {
        self.topics
            .get(name)
            .map(|(_, racks)| racks.clone())
            .unwrap_or_default()
    }

    fn version(&self) -> u64 {
        self.version
    }
}

pub(crate) struct World {
    pub(crate) groups: Groups,
    pub(crate) soft: Soft,
    pub(crate) config: Config,
    pub(crate) topics: Cluster,
    pub(crate) log: Vec<Record>,
    pub(crate) now_ms: u64,
    /// Who waits for an answer.
    pub(crate) owed: BTreeSet<Caller>,
}

impl World {
    pub(crate) fn new(config: Config) -> World {
        let mut world = World {
            groups: Groups::new(),
            soft: Soft::default(),
            config,
            topics: Cluster::default(),
            log: Vec::new(),
            now_ms: 0,
            owed: BTreeSet::new(),
        };
        world.fail_over();
        world
    }

    fn now(&self) -> Now {
        Now {
            mono: Mono(self.now_ms * 1000),
            wall: WallMs(DAWN_MS + self.now_ms as i64),
        }
    }

    /// Asks. The random id of a command is its caller's number.
    pub(crate) fn ask(&mut self, caller: Caller, command: Command) -> Decision {
        assert!(self.owed.insert(caller), "{caller} asks twice at once");
        let ctx = Context {
            now: self.now(),
            config: &self.config,
            topics: &self.topics,
            drawn: Uuid(u128::from(caller).to_be_bytes()),
        };
        let decision = self.groups.handle(&mut self.soft, &ctx, caller, command);
        for (caller, _) in &decision.replies {
            assert!(self.owed.remove(caller), "{caller} is answered twice");
        }
        for record in &decision.records {
            self.groups.replay(&record.key, record.value.as_deref());
            self.log.push(record.clone());
        }
        decision
    }

    /// Lets time pass, tick by tick; what came of each tick, with its time.
    pub(crate) fn wait(&mut self, ms: u64) -> Vec<(u64, Decision)> {
        let until = self.now_ms + ms;
        let mut all = Vec::new();
        while let Some(due) = self.groups.due(&self.soft) {
            let due_ms = due.0.div_ceil(1000);
            if due_ms > until {
                break;
            }
            self.now_ms = self.now_ms.max(due_ms);
            let mut decision = self.ask(HOST, Command::Tick);
            decision.replies.retain(|(_, reply)| *reply != Reply::Done);
            all.push((self.now_ms, decision));
        }
        self.now_ms = until;
        all
    }

    /// Another replica takes over: it knows the log and nothing else.
    pub(crate) fn fail_over(&mut self) {
        let replayed = replayed(&self.log);
        assert_eq!(replayed, self.groups, "replay is the state decided on");
        assert_eq!(replayed, self.compacted(), "compaction loses nothing");
        self.groups = replayed;
        self.soft = self.groups.elected(self.now(), &self.config);
        self.owed.clear();
    }

    /// The state from a log of which only the last record of each key is left.
    fn compacted(&self) -> Groups {
        let last: BTreeMap<&[u8], usize> = self
            .log
            .iter()
            .enumerate()
            .map(|(at, record)| (&record.key[..], at))
            .collect();
        let kept = self.log.iter().enumerate();
        let kept = kept.filter(|(at, record)| last[&record.key[..]] == *at);
        replayed(kept.map(|(_, record)| record))
    }
}

fn replayed<'r>(log: impl IntoIterator<Item = &'r Record>) -> Groups {
    let mut groups = Groups::new();
    for record in log {
        groups.replay(&record.key, record.value.as_deref());
    }
    groups
}
