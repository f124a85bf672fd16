//! A host in small: one replica that leads, its log, a clock, answers that are owed.

use crate::context::NoTopics;
use crate::{Caller, Command, Config, Context, Decision, Groups, Record, Reply, Soft};
use base::{Mono, Now, Uuid, WallMs};
use std::collections::{BTreeMap, BTreeSet};

/// When the world begins, for people.
pub(crate) const DAWN_MS: i64 = 1_000_000;
/// The caller of ticks.
pub(crate) const HOST: Caller = 0;

pub(crate) struct World {
    pub(crate) groups: Groups,
    pub(crate) soft: Soft,
    pub(crate) config: Config,
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
            topics: &NoTopics,
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
