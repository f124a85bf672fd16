//! A shard in small: makes turns of random steps through [`GroupLog`], and remembers what the
//! log was after each.

use super::disk::MemDisk;
use crate::{
    EntryBody, Fault, Files, GroupLog, HardState, Origin, ReadFault, Recovered, RecoveredGroup,
    Settings, Shape, Storage, StorageSettings, TermRun, Turn,
};
use base::record::Builder;
use base::{Batch, GroupId, NodeId, Offset, RaftIndex, Random, Term};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Small files, so that little data goes through everything.
pub(crate) const SMALL: StorageSettings = StorageSettings {
    wal_file_bytes: 48 * 1024,
    wal_files_max: 2,
    open_files: 3,
    direct_batch_bytes: 6000,
    created_at_once: 2,
};

/// A batch of one record with chosen bytes.
pub(crate) fn batch(at: Offset, term: Term, time: i64, bytes: &[u8]) -> Batch {
    let mut builder = Builder::new(time);
    builder.push(time, None, Some(bytes), &[]);
    let mut batch = builder.build();
    batch.stamp(at, term);
    batch
}

/// A group as the shard knows it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) log: GroupLog,
    pub(crate) state: HardState,
    /// The last state that was logged.
    logged: HardState,
    /// All batches in order of their index.
    pub(crate) batches: BTreeMap<RaftIndex, Batch>,
}

impl Group {
    /// What is committed, as the log or the last state on record says.
    fn known_commit(&self) -> RaftIndex {
        self.log.committed().max(self.logged.commit)
    }

    /// The entries handed out are those of the log, without a gap, from the commit on at least.
    fn check_entries(&self, found: &RecoveredGroup) {
        let first = found
            .entries
            .first()
            .map_or(found.log.last_index().next(), |e| e.index);
        assert!(
            first <= found.state.commit.next(),
            "entries are missing before {first}"
        );
        let indexes = (first.0..).map(RaftIndex);
        for (index, entry) in indexes.clone().zip(&found.entries) {
            // What is gone is handed out too: the shard's producers know of it.
            if index < found.log.first_index() {
                assert_eq!(entry.index, index);
                continue;
            }
            assert_eq!(
                (entry.index, Some(entry.term)),
                (index, found.log.term_of(index))
            );
            match &entry.body {
                EntryBody::Internal(data) => assert_eq!(found.log.internal(index), Some(data)),
                EntryBody::Batch(header, len) => {
                    let batch = &self.batches[&index];
                    assert_eq!((batch.header(), batch.len()), (*header, *len as usize));
                }
            }
        }
        let after = indexes.clone().nth(found.entries.len()).unwrap();
        assert_eq!(
            after,
            found.log.last_index().next(),
            "entries are missing at the end"
        );
        if found.app_index > RaftIndex(0) {
            assert_eq!(&found.app[..], b"app");
        }
    }
}

/// All groups after some step.
pub(crate) type Snapshot = BTreeMap<GroupId, Group>;

/// Makes turns.
pub(crate) struct Shard {
    pub(crate) groups: Snapshot,
    pub(crate) random: Random,
    pub(crate) next_turn: u64,
    next_group: u64,
    /// Whether logs are shortened: they were not in version 1 of the formats.
    pub(crate) starts: bool,
    /// Whether logs are replaced by what a leader says.
    pub(crate) installs: bool,
    /// 1 if its replicas have incarnations, else 0.
    pub(crate) incarnations: u32,
    /// What there was after each step since the last acknowledged turn; the first is that turn's.
    pub(crate) states: Vec<Snapshot>,
}

impl Shard {
    pub(crate) fn new(seed: u64) -> Shard {
        Shard {
            groups: Snapshot::new(),
            random: Random::new(seed),
            next_turn: 1,
            next_group: 0,
            starts: true,
            installs: true,
            incarnations: 1,
            states: vec![Snapshot::new()],
        }
    }

    /// Everything so far is acknowledged.
    pub(crate) fn acknowledged(&mut self) {
        self.states = vec![self.groups.clone()];
    }

    /// Goes on with what was recovered, which must be one of the states that may be there.
    pub(crate) fn recover(&mut self, recovered: Recovered) {
        let found = self
            .states
            .iter()
            .rposition(|state| matches(state, &recovered));
        let Some(found) = found else {
            self.explain(&recovered)
        };
        self.groups = self.states[found].clone();
        for group in recovered.groups {
            let known = self.groups.get_mut(&group.log.group()).unwrap();
            assert_eq!(
                group.suspect, None,
                "nothing was damaged: {:?}",
                recovered.report
            );
            known.check_entries(&group);
            known.logged = group.state;
            known.state = group.state;
            known.state.term = known.state.term.max(group.log.last_term());
            known.log = group.log;
        }
        self.next_turn = recovered.next_turn;
        self.acknowledged();
    }

    fn explain(&self, recovered: &Recovered) -> ! {
        let show = |log: &GroupLog, state: &HardState| {
            format!("{} last {} {:?}", log.group(), log.last_index(), state)
        };
        let states: Vec<Vec<String>> = self
            .states
            .iter()
            .map(|state| state.values().map(|g| show(&g.log, &g.state)).collect())
            .collect();
        let found: Vec<String> = recovered
            .groups
            .iter()
            .map(|g| show(&g.log, &g.state))
            .collect();
        panic!(
            "recovered {found:#?}, report {:?}, none of {states:#?}",
            recovered.report
        );
    }

    /// A turn of random steps.
    pub(crate) fn turn(&mut self) -> Turn {
        let mut turn = Turn::new(self.next_turn);
        self.next_turn += 1;
        for _ in 0..self.random.between(1, 5) {
            self.step(&mut turn);
            self.states.push(self.groups.clone());
        }
        if self.random.percent(15) {
            self.checkpoint(&mut turn);
        }
        turn
    }

    pub(crate) fn checkpoint(&self, turn: &mut Turn) {
        let groups = self.groups.values().map(|group| {
            let commit = group.log.committed();
            let app = [&b"a"[..], b"pp"].map(Bytes::from_static);
            (&group.log, group.logged, app, commit)
        });
        turn.checkpoint = Some(crate::checkpoint(groups, b"blob"));
    }

    fn step(&mut self, turn: &mut Turn) {
        let choice = self.random.below(100);
        if self.groups.is_empty() || (choice < 3 && self.groups.len() < 5) {
            return self.create(turn);
        }
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        let id = ids[self.random.below(ids.len() as u64) as usize];
        match choice {
            3 => {
                self.groups.remove(&id);
                turn.remove(id);
            }
            4..20 => self.truncate(turn, id),
            20..28 => self.internal(turn, id),
            28..31 if self.installs => self.install(turn, id),
            28..35 if self.starts => self.start(turn, id),
            28..35 => self.internal(turn, id),
            35..50 => self.state(turn, id),
            _ => self.append(turn, id),
        }
    }

    pub(crate) fn create(&mut self, turn: &mut Turn) {
        let id = GroupId(self.next_group % 7);
        self.next_group += 1;
        if self.groups.contains_key(&id) {
            return;
        }
        let settings = Settings {
            segment_bytes: 20_000,
            incarnation: self.incarnations * self.next_group as u32 % 5,
        };
        turn.create(id, settings);
        let log = GroupLog::new(id, settings);
        let new = Group {
            log,
            state: HardState::default(),
            logged: HardState::default(),
            batches: BTreeMap::new(),
        };
        self.groups.insert(id, new);
    }

    /// Cuts off uncommitted entries; the next entry has a later term, as after an election.
    fn truncate(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let (low, high) = (group.known_commit().0 + 1, group.log.last_index().0);
        if low > high {
            return;
        }
        let from = RaftIndex(self.random.between(low, high));
        group.log.truncate(turn, from);
        group.batches.retain(|index, _| *index < from);
        group.state.term.0 += 1;
        group.state.vote = None;
    }

    /// Cuts off everything uncommitted and appends other entries of another length.
    pub(crate) fn replace_tail(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let from = group.known_commit().next();
        group.log.truncate(turn, from);
        group.batches.retain(|index, _| *index < from);
        group.state.term.0 += 1;
        self.states.push(self.groups.clone());
        for byte in 0..9 {
            self.append_bytes(turn, id, 1, &[byte; 1234]);
            self.states.push(self.groups.clone());
        }
    }

    /// Another shard in the same state.
    pub(crate) fn fork(&self) -> Shard {
        Shard {
            groups: self.groups.clone(),
            random: self.random.clone(),
            next_turn: self.next_turn,
            next_group: self.next_group,
            starts: self.starts,
            installs: self.installs,
            incarnations: self.incarnations,
            states: self.states.clone(),
        }
    }

    fn internal(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let term = Term(group.state.term.0.max(1));
        let len = self.random.between(0, 300);
        let mut data: Vec<u8> = (0..len).map(|_| self.random.next() as u8).collect();
        // A kind that nobody knows.
        if let Some(kind) = data.first_mut().filter(|_| self.starts) {
            *kind |= 0x80;
        }
        group
            .log
            .append_internal(turn, group.log.last_index().next(), term, data.into());
    }

    /// Asks for a start below the commit, often for one at the very end.
    pub(crate) fn start(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let committed = group.log.committed();
        let end = group.log.next_offset_of(committed).unwrap();
        let low = group.log.start_offset();
        let offset = match self.random.percent(50) {
            true => end,
            false => Offset(self.random.between(low.0 as u64, end.0 as u64) as i64),
        };
        let floor = match self.random.percent(50) {
            true => committed,
            false => RaftIndex(self.random.between(0, committed.0)),
        };
        let term = Term(group.state.term.0.max(1));
        let index = group.log.last_index().next();
        let data = Shape::Start { offset, floor }.encode();
        group.log.append_internal(turn, index, term, data);
    }

    /// A leader's snapshot takes the place of a log. It stands for what is committed and more; the
    /// tail here may reach beyond its offset.
    pub(crate) fn install(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let committed = group.known_commit();
        let end = group.log.next_offset_of(committed).unwrap();
        let index = RaftIndex(committed.0 + self.random.between(1, 30));
        let next_offset = Offset(end.0 + self.random.between(0, 12) as i64);
        group.state.term.0 += 1;
        let term = Term(group.state.term.0);
        let origin = Origin {
            index,
            start_offset: next_offset,
            next_offset,
            terms: vec![TermRun {
                term,
                index: RaftIndex(self.random.between(committed.0 + 1, index.0)),
                offset: end,
            }],
        };
        let app = Bytes::from_static(b"app");
        let app_index = RaftIndex(index.0 + self.random.below(5));
        group.log.install(turn, origin, None, app, app_index);
        group.batches.clear();
        group.state.commit = index;
    }

    fn state(&mut self, turn: &mut Turn, id: GroupId) {
        let group = self.groups.get_mut(&id).unwrap();
        let (low, high) = (group.known_commit().0, group.log.last_index().0);
        let commit = RaftIndex(self.random.between(low, high));
        let term = Term(group.state.term.0 + u32::from(self.random.percent(30)));
        let vote = self
            .random
            .percent(50)
            .then_some(NodeId(self.random.between(1, 3) as u32));
        group.state = HardState { term, vote, commit };
        if self.starts && self.random.percent(30) {
            // Recovery learns of it earlier than the log here.
            return self.record_commit(turn, id, commit);
        }
        self.commit(turn, id, commit);
    }

    pub(crate) fn commit(&mut self, turn: &mut Turn, id: GroupId, commit: RaftIndex) {
        let group = self.groups.get_mut(&id).unwrap();
        group.state.commit = commit;
        group.log.commit(turn, commit);
        group.logged = group.state;
        turn.state(id, group.state);
    }

    /// Commits everything, then moves the start to the end; what all have goes.
    pub(crate) fn clear(&mut self, turn: &mut Turn, id: GroupId) {
        let index = self.ask_to_clear(turn, id);
        self.commit(turn, id, index);
    }

    /// As [`Shard::clear`], but what it appended, the last entry, is not committed yet.
    pub(crate) fn ask_to_clear(&mut self, turn: &mut Turn, id: GroupId) -> RaftIndex {
        let log = &self.groups[&id].log;
        let (index, offset) = (log.last_index(), log.end_offset());
        let term = Term(self.groups[&id].state.term.0.max(1));
        self.commit(turn, id, index);
        let floor = index;
        let data = Shape::Start { offset, floor }.encode();
        let log = &mut self.groups.get_mut(&id).unwrap().log;
        log.append_internal(turn, index.next(), term, data);
        index.next()
    }

    /// The commit is on record; the log itself has not heard of it.
    pub(crate) fn record_commit(&mut self, turn: &mut Turn, id: GroupId, commit: RaftIndex) {
        let group = self.groups.get_mut(&id).unwrap();
        group.state.commit = commit;
        group.logged = group.state;
        turn.state(id, group.state);
    }

    pub(crate) fn append(&mut self, turn: &mut Turn, id: GroupId) {
        let len = match self.random.below(10) {
            0 => self.random.between(6000, 22_000),
            1..4 => self.random.between(1000, 5000),
            _ => self.random.between(1, 400),
        };
        let byte = self.random.next() as u8;
        let bytes: Vec<u8> = (0..len)
            .map(|i| byte.wrapping_add((i % 251) as u8))
            .collect();
        let time = 1000 + self.random.below(1000) as i64;
        self.append_bytes(turn, id, time, &bytes);
    }

    pub(crate) fn append_bytes(&mut self, turn: &mut Turn, id: GroupId, time: i64, bytes: &[u8]) {
        let group = self.groups.get_mut(&id).unwrap();
        let term = Term(group.state.term.0.max(1));
        let index = group.log.last_index().next();
        let batch = batch(group.log.end_offset(), term, time, bytes);
        group.log.append_batch(turn, index, term, &batch);
        group.batches.insert(index, batch);
    }
}

/// True if this is what was recovered: the very same bookkeeping, up to how far the commit is
/// known. Terms and votes change with their own records only, so they are compared by those.
pub(crate) fn matches(state: &Snapshot, recovered: &Recovered) -> bool {
    state.len() == recovered.groups.len()
        && state.values().zip(&recovered.groups).all(|(known, found)| {
            let (mut a, mut b) = (known.log.clone(), found.log.clone());
            if a.group() != b.group() || a.last_index() != b.last_index() {
                return false;
            }
            let commit = a.committed().max(b.committed());
            let mut turn = Turn::new(0);
            a.commit(&mut turn, commit);
            b.commit(&mut turn, commit);
            a == b && known.logged.term == found.state.term && known.logged.vote == found.state.vote
        })
}

/// Reads everything of every group back, and compares byte for byte.
pub(crate) fn check_reads(groups: &Snapshot, files: &Files) {
    for group in groups.values() {
        group.read_back(files).unwrap();
    }
}

impl Group {
    /// Reads everything back several ways: what is read is what was appended.
    pub(crate) fn read_back(&self, files: &Files) -> Result<(), ReadFault> {
        // Older ones may be there still, if they share a segment with later ones.
        let first = self
            .log
            .first_batch()
            .unwrap_or(self.log.last_index().next());
        let all: Vec<(RaftIndex, Batch)> = self
            .batches
            .range(first..)
            .map(|(index, batch)| (*index, batch.clone()))
            .collect();
        // Whoever calls this has settled everything.
        let mut log = self.log.clone();
        log.settled(log.last_index());
        let plan = log.plan_entries(RaftIndex(1), log.last_index(), u64::MAX);
        assert_eq!(plan.run(files)?, all, "group {}", self.log.group());
        let end = self.log.end_offset();
        let start = self.log.start_offset();
        if end > start {
            let read = log.plan_read(start, end, u32::MAX).run(files, true)?;
            let expected: Vec<u8> = all
                .iter()
                .filter(|(_, batch)| batch.header().next_offset() > start)
                .flat_map(|(_, batch)| batch.to_bytes().to_vec())
                .collect();
            let same = read.unwrap().concat() == expected;
            assert!(same, "group {} reads other bytes", self.log.group());
        }
        Ok(())
    }
}

/// Opens the directory again.
pub(crate) fn reopen(disk: &MemDisk) -> Result<(Storage, Recovered), Fault> {
    Storage::open(disk.port(), SMALL)
}
