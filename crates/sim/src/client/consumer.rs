//! A client that reads: it fetches every partition it knows from where it stands, sometimes goes
//! back to an older place, and hands all it sees to the checkers.

use super::links::Ask;
use super::producer::unexpected;
use super::sessions::{BY_ID, Says, Sessions};
use super::{Common, Reach, codes, decode};
use crate::book::{topic_name, topic_number};
use crate::checkers::{
    Checked, Part, Seen, compacted, contiguous, read_batches, violation, visible,
};
use crate::net::Place;
use crate::scheduler::Micros;
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::Reader;
use wire_kafka::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire_kafka::messages::fetch_response::{FetchResponse, PartitionData};

/// How a consumer works.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) pause: Micros,
    pub(crate) max_wait_ms: i32,
    pub(crate) min_bytes: i32,
    pub(crate) max_bytes: i32,
    /// Percent of fetches before which it goes back to an older place.
    pub(crate) back_percent: u64,
    /// Percent of fetches that name a wrong epoch, as a client does whose log parted from ours.
    pub(crate) wrong_percent: u64,
    /// It fetches in sessions, as all real clients do.
    pub(crate) sessions: bool,
}

/// How it reads in the end of a run, so that it gets all there is: often, and much at a time, but not all at once.
const IN_THE_END: (Micros, i32) = (50_000, 1 << 15);

/// Where it stands in a partition.
#[derive(Clone, Copy)]
struct Position {
    next: i64,
    /// The epoch of the record before it; -1 if that isn't known.
    read: i32,
    /// No answer led here: it may be ahead of what a leader has that is out of date.
    guessed: bool,
}

const FIRST: Position = Position {
    next: 0,
    read: -1,
    guessed: false,
};

/// The consumer.
pub(crate) struct Consumer {
    habits: Habits,
    positions: BTreeMap<Part, Position>,
    /// Nodes that a fetch waits at.
    busy: BTreeSet<Place>,
    asked: BTreeMap<Part, Place>,
    not_before: Micros,
    sessions: Sessions,
}

impl Consumer {
    pub(crate) fn new(habits: Habits) -> Consumer {
        Consumer {
            habits,
            positions: BTreeMap::new(),
            busy: BTreeSet::new(),
            asked: BTreeMap::new(),
            not_before: 0,
            sessions: Sessions::default(),
        }
    }

    /// Where it stands in a partition.
    pub(crate) fn position(&self, part: Part) -> i64 {
        self.positions.get(&part).map_or(0, |at| at.next)
    }

    /// From now on it goes nowhere back, and reads all there is.
    pub(crate) fn drain(&mut self) {
        (self.habits.pause, self.habits.max_bytes) = IN_THE_END;
        (self.habits.back_percent, self.habits.wrong_percent) = (0, 0);
    }

    pub(crate) fn act(&mut self, common: &mut Common, reach: &mut Reach<'_>) -> Micros {
        if reach.now < self.not_before {
            return self.not_before;
        }
        self.not_before = reach.now + common.random.between(1_000, 2 * self.habits.pause);
        let mut by_leader: BTreeMap<Place, Vec<Part>> = BTreeMap::new();
        for (part, (leader, _)) in &common.view.leaders {
            let free = !self.busy.contains(leader) && !self.asked.contains_key(part);
            if free && !reach.book.doomed(*part) {
                by_leader.entry(*leader).or_default().push(*part);
            }
        }
        for (leader, parts) in by_leader {
            self.fetch(common, reach, leader, &parts);
        }
        self.not_before
    }

    fn fetch(&mut self, common: &mut Common, reach: &mut Reach<'_>, leader: Place, parts: &[Part]) {
        let named: Vec<u32> = parts.iter().map(|part| part.topic).collect();
        let way = (leader, common.links.connection(leader));
        let known = |topic| common.view.ids.contains_key(topic);
        let spoken = self.sessions.version(way);
        let spoken = spoken.filter(|version| *version < BY_ID || named.iter().all(known));
        let version = spoken.unwrap_or_else(|| common.version_for::<FetchRequest>(BY_ID, &named));
        let mut named = BTreeMap::new();
        let mut asked = Vec::new();
        for part in parts {
            let (partition, fenced) = self.place(common, version, *part);
            asked.push((*part, partition.fetch_offset, fenced));
            named.insert(*part, partition);
            self.asked.insert(*part, leader);
        }
        let ids = common.view.ids.clone();
        let id_of = |topic: u32| ids.get(&topic).copied().unwrap_or_default();
        let said = match self.habits.sessions {
            true => self.sessions.shorten(way, version, &mut named, id_of),
            false => Says::default(),
        };
        let mut topics: BTreeMap<u32, FetchTopic> = BTreeMap::new();
        for (part, partition) in &named {
            let topic = topics.entry(part.topic).or_insert_with(|| FetchTopic {
                topic: topic_name(part.topic),
                topic_id: id_of(part.topic),
                partitions: Vec::new(),
            });
            topic.partitions.push(partition.clone());
        }
        let body = FetchRequest {
            replica_id: -1,
            max_wait_ms: self.habits.max_wait_ms,
            min_bytes: self.habits.min_bytes,
            max_bytes: self.habits.max_bytes.saturating_mul(2),
            isolation_level: common.random.below(2) as i8,
            session_id: said.id,
            session_epoch: said.epoch,
            topics: topics.into_values().collect(),
            forgotten_topics_data: said.forgotten,
            ..FetchRequest::default()
        };
        self.busy.insert(leader);
        common.ask(reach, leader, version, &body, Ask::Fetch(asked));
        let connection = common.links.connection(leader).filter(|_| said.epoch == 0);
        if let Some(connection) = connection {
            self.sessions
                .opened(leader, connection, version, named, id_of);
        }
    }

    /// From where a partition is asked for, and whether in a way that a leader which is out of date refuses.
    fn place(&mut self, common: &mut Common, version: i16, part: Part) -> (FetchPartition, bool) {
        if common.random.percent(self.habits.back_percent) {
            let at = self.positions.get(&part).copied().unwrap_or(FIRST);
            let back = common.random.below(at.next as u64 + 1) as i64;
            let back = Position {
                next: back,
                read: -1,
                ..at
            };
            self.positions.insert(part, back);
        }
        let leaders = &common.view.leaders;
        let known = leaders.get(&part).map_or(-1, |(_, epoch)| *epoch);
        // Versions before 9 have no field for it. In a session it stays what it is.
        let says = version >= 9 && (self.habits.sessions || common.random.percent(80));
        let epoch = if says { known } else { -1 };
        let at = self.positions.get(&part).copied().unwrap_or(FIRST);
        let (from, read) = (at.next, at.read);
        let wrong = common.random.percent(self.habits.wrong_percent) && version >= 12 && read > 0;
        let partition = FetchPartition {
            partition: part.partition as i32,
            current_leader_epoch: epoch,
            fetch_offset: from,
            last_fetched_epoch: if wrong { read - 1 } else { read },
            log_start_offset: -1,
            partition_max_bytes: self.habits.max_bytes,
            ..FetchPartition::default()
        };
        (partition, epoch >= 0 && !wrong && !at.guessed)
    }

    fn free(&mut self, asked: &[(Part, i64, bool)]) {
        for (part, _, _) in asked {
            if let Some(node) = self.asked.remove(part) {
                self.busy.remove(&node);
            }
        }
    }

    pub(crate) fn lost(&mut self, ask: Ask) {
        if let Ask::Fetch(asked) = ask {
            if let Some(node) = asked.first().and_then(|(part, ..)| self.asked.get(part)) {
                self.sessions.ended(*node);
            }
            self.free(&asked);
        }
    }

    pub(crate) fn answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: Ask,
        (version, connection): (i16, u64),
        mut reader: Reader,
    ) -> Checked {
        let Ask::Fetch(asked) = ask else {
            unreachable!("a consumer only fetches")
        };
        let node = asked.first().and_then(|(part, ..)| self.asked.get(part));
        let node = node.copied().expect("it was asked");
        self.free(&asked);
        let answer: FetchResponse = decode(version, &mut reader)?;
        if answer.error_code != codes::NONE {
            self.sessions.ended(node);
        } else if self.habits.sessions && !self.sessions.answered(node, answer.session_id) {
            let what = format!("client {}: session {}", common.id, answer.session_id);
            return Err(violation("answers fit their requests", what));
        }
        if answer.error_code != codes::NONE && !codes::retriable(answer.error_code) {
            return Err(unexpected("Fetch", answer.error_code));
        }
        for topic in &answer.responses {
            let by_name = topic_number(&topic.topic);
            let Some(number) = by_name.or_else(|| common.view.topic_of(&topic.topic_id)) else {
                return Err(violation("answers fit their requests", topic.topic.clone()));
            };
            for data in &topic.partitions {
                let part = Part {
                    topic: number,
                    partition: data.partition_index as u32,
                };
                let Some((_, from, fenced)) = asked.iter().find(|(asked, _, _)| *asked == part)
                else {
                    return Err(violation("answers fit their requests", format!("{part}")));
                };
                self.got(common, reach, (part, *from, *fenced), connection, data)?;
            }
        }
        Ok(())
    }

    fn got(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        (part, from, fenced): (Part, i64, bool),
        connection: u64,
        data: &PartitionData,
    ) -> Checked {
        let code = data.error_code;
        if code == codes::OFFSET_OUT_OF_RANGE {
            reach.tell(|| format!("  client {}: {part} has no {from}", common.id));
            return self.out_of_range(common, reach, part, from, fenced);
        }
        if code != codes::NONE {
            return refused(common, reach, part, data);
        }
        let parted = &data.diverging_epoch;
        if parted.epoch >= 0 || parted.end_offset >= 0 {
            self.positions.remove(&part);
            let fenced = fenced && !reach.checkers.eras.any(part);
            let high = reach.checkers.committed.high_watermark(part);
            if fenced && from <= high && !reach.book.doomed(part) {
                let what = format!("{part}: what was read below {from} is said to differ");
                return Err(violation("committed stays readable", what));
            }
            return Ok(());
        }
        let high = data.high_watermark;
        let records = data
            .records
            .as_ref()
            .map(|records| records.to_bytes())
            .unwrap_or_default();
        let batches = read_batches(records, true)?;
        let who = format!("client {} at {} us", common.id, reach.now);
        reach.tell(|| {
            let end = batches.last().map_or(from, |last| last.next);
            format!("  fetched {part} {from}..{end} of {high}")
        });
        match reach.book.compacted(part) {
            Some(_) => compacted::answer(part, from, &batches)?,
            None => contiguous::answer(part, from, &batches)?,
        }
        visible::answer(part, high, &batches)?;
        if reach.book.doomed(part) {
            // A topic of this name may be made again: another log.
            return Ok(());
        }
        if !reach.checkers.eras.any(part) {
            reach.checkers.monotone.connection(connection, part, high)?;
        }
        let start = data.log_start_offset;
        // Versions before 5 don't say it.
        if start >= 0 {
            let starts = &mut reach.checkers.starts;
            let from = if batches.is_empty() { start } else { from };
            starts.served(connection, part, from, start)?;
            starts.told(part, start, || who.clone())?;
        }
        reach.checkers.committed.told(part, high, || who.clone());
        self.consumed(reach, part, &batches, &who)
    }

    fn consumed(
        &mut self,
        reach: &mut Reach<'_>,
        part: Part,
        batches: &[Seen],
        who: &str,
    ) -> Checked {
        for batch in batches {
            if reach.book.compacted(part).is_some() {
                reach.checkers.compacted.seen(part, batch, reach.now, who)?;
            } else {
                reach.checkers.saw(part, batch, who)?;
            }
            reach.book.consumed += batch.idents.len() as u64;
        }
        if let Some(last) = batches.last() {
            let at = Position {
                next: last.next,
                read: last.epoch,
                guessed: false,
            };
            self.positions.insert(part, at);
        }
        Ok(())
    }

    /// A leader that isn't out of date has everything that was ever committed, from the start on.
    fn out_of_range(
        &mut self,
        common: &mut Common,
        reach: &Reach<'_>,
        part: Part,
        from: i64,
        fenced: bool,
    ) -> Checked {
        let high = reach.checkers.committed.high_watermark(part);
        if reach.checkers.eras.any(part) {
            // It was there, and is lost.
            self.positions.remove(&part);
            return Ok(());
        }
        if reach.checkers.starts.may_be_gone(part, from) {
            // It doesn't ask where the log starts, and finds it by and by.
            let start = reach.checkers.starts.told_of(part).max(from + 1).min(high);
            let next = common.random.between(start as u64, high as u64);
            let at = Position {
                next: next as i64,
                read: -1,
                guessed: true,
            };
            self.positions.insert(part, at);
            return Ok(());
        }
        if fenced && from <= high && !reach.book.doomed(part) {
            let what = format!("{part}: offset {from} is out of range; {high} was committed");
            return Err(violation("committed stays readable", what));
        }
        Ok(())
    }
}

/// A partition can't be read now; who leads it may be said, and is looked for.
fn refused(
    common: &mut Common,
    reach: &mut Reach<'_>,
    part: Part,
    data: &PartitionData,
) -> Checked {
    let code = data.error_code;
    reach.tell(|| format!("  client {} fetches {part}: code {code}", common.id));
    let leader = &data.current_leader;
    common
        .view
        .learn_leader(part, leader.leader_id, leader.leader_epoch);
    common.view.wanted = true;
    if codes::retriable(code) {
        return Ok(());
    }
    Err(unexpected("Fetch", code))
}
