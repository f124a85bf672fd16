//! A client that makes and deletes topics and asks questions: offsets, epochs.

pub(crate) mod cordons;
pub(crate) mod elections;
pub(crate) mod moves;
mod records;

use super::links::Ask;
use super::producer::unexpected;
use super::{Common, Reach, codes, decode};
use crate::book::topic_name;
use crate::checkers::starts::ANYWHERE;
use crate::checkers::{Checked, Part, Violation, violation};
use crate::scheduler::Micros;
use std::collections::BTreeSet;
use wire_kafka::Reader;
use wire_kafka::messages::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use wire_kafka::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire_kafka::messages::create_topics_response::CreateTopicsResponse;
use wire_kafka::messages::delete_records_response::DeleteRecordsResponse;
use wire_kafka::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire_kafka::messages::delete_topics_response::DeleteTopicsResponse;
use wire_kafka::messages::elect_leaders_response::ElectLeadersResponse;
use wire_kafka::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use wire_kafka::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire_kafka::messages::list_offsets_response::ListOffsetsResponse;
use wire_kafka::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use wire_kafka::messages::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;

/// How an admin works.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) pause: Micros,
    /// Topics it makes at once, and at most.
    pub(crate) topics_first: u32,
    pub(crate) topics_max: u32,
    pub(crate) partitions_max: u64,
    pub(crate) replicas: i16,
    pub(crate) min_in_sync: u64,
    pub(crate) delete_percent: u64,
    /// Percent of what it does that deletes records.
    pub(crate) records_percent: u64,
    /// What it says of retention when it makes a topic.
    pub(crate) retention: Retention,
    /// What it says of compaction.
    pub(crate) compaction: Compaction,
    /// Which replicas it moves.
    pub(crate) moves: moves::Moves,
    /// Which nodes it cordons.
    pub(crate) cordons: cordons::Cordons,
    /// Which partitions may lose what only some have.
    pub(crate) elections: elections::Elections,
}

/// What topics are told about compaction; not all topics are compacted.
#[derive(Clone, Debug)]
pub(crate) struct Compaction {
    pub(crate) topics_percent: u64,
    /// How long markers of deleted keys stay.
    pub(crate) delete_retention_ms: u64,
    pub(crate) dirty_ratio: &'static str,
}

/// What topics are told about old records; not all topics are.
#[derive(Clone, Debug)]
pub(crate) struct Retention {
    pub(crate) topics_percent: u64,
    pub(crate) ms: u64,
    pub(crate) bytes: u64,
    pub(crate) segment_ms: u64,
}

/// The admin.
pub(crate) struct Admin {
    habits: Habits,
    next_at: Micros,
    /// Topics whose creation isn't answered.
    making: Vec<u32>,
    /// Creations that wait for their answers.
    asked: u32,
    /// Nodes that it has cordoned, or would have.
    cordoned: BTreeSet<u32>,
    /// Silent producers are to be forgotten soon.
    expires: bool,
    /// Only finishes what it began.
    pub(crate) draining: bool,
}

/// Kafka's names for special places.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

impl Admin {
    pub(crate) fn new(habits: Habits) -> Admin {
        Admin {
            habits,
            next_at: 0,
            making: Vec::new(),
            asked: 0,
            cordoned: BTreeSet::new(),
            expires: false,
            draining: false,
        }
    }

    /// True if nothing that it began is open.
    pub(crate) fn is_done(&self) -> bool {
        self.making.is_empty() && self.asked == 0
    }

    /// A node is cordoned still, also if that was asked for long ago.
    pub(crate) fn lift(&mut self, node: u32) {
        self.cordoned.insert(node);
    }

    /// Producers that are silent for a moment are to be forgotten, from now on.
    pub(crate) fn expire_producers(&mut self) {
        self.expires = true;
    }

    pub(crate) fn act(&mut self, common: &mut Common, reach: &mut Reach<'_>) -> Micros {
        if reach.now < self.next_at {
            return self.next_at;
        }
        self.next_at = reach.now + common.random.between(1_000, 2 * self.habits.pause);
        let made = reach.book.topics().count() as u32;
        if let Some(node) = self.draining.then(|| self.cordoned.pop_first()).flatten() {
            // Topics may need the node.
            cordons::change(node, false, common, reach);
        } else if std::mem::take(&mut self.expires) {
            cordons::expire_producers(common, reach);
        } else if let Some(topic) = self.making.pop() {
            self.create(common, reach, topic);
        } else if self.draining {
        } else if made < self.habits.topics_first {
            self.new_topic(common, reach);
        } else {
            self.something(common, reach, made);
        }
        self.next_at
    }

    fn something(&mut self, common: &mut Common, reach: &mut Reach<'_>, made: u32) {
        let moves = self.habits.moves.percent;
        if moves > 0 && common.random.percent(moves) {
            return moves::ask(&self.habits, common, reach);
        }
        let cordons = &self.habits.cordons;
        if cordons.percent > 0 && common.random.percent(cordons.percent) {
            return cordons::ask(cordons, &mut self.cordoned, common, reach);
        }
        let elections = self.habits.elections.ask_percent;
        if elections > 0 && common.random.percent(elections) {
            return elections::ask(common, reach);
        }
        let parts = common.view.parts();
        let roll = common.random.below(100);
        if roll < 10 && made < self.habits.topics_max {
            self.new_topic(common, reach);
        } else if roll < 10 + self.habits.delete_percent && made > 1 {
            self.delete(common, reach);
        } else if parts.is_empty() || roll >= 90 {
            common.view.wanted = true;
        } else {
            let part = parts[common.random.below(parts.len() as u64) as usize];
            let kept = reach.book.keeps_all(part);
            if roll >= 90 - self.habits.records_percent && !kept {
                records::delete(common, reach, part);
            } else if roll < 60 {
                self.list_offsets(common, reach, part);
            } else {
                self.epoch_end(common, reach, part);
            }
        }
    }

    fn new_topic(&mut self, common: &mut Common, reach: &mut Reach<'_>) {
        let partitions = common.random.between(1, self.habits.partitions_max) as u32;
        let topic = reach.book.new_topic(partitions);
        let unclean = self.habits.elections.topics_percent;
        if unclean > 0 && common.random.percent(unclean) {
            let booked = reach.book.topic(topic).expect("made just now");
            (booked.may_lose, booked.elects) = (true, true);
            return self.create(common, reach, topic);
        }
        if self.habits.elections.all_may_lose {
            reach.book.topic(topic).expect("made just now").may_lose = true;
            return self.create(common, reach, topic);
        }
        if common.random.percent(self.habits.retention.topics_percent) {
            reach.book.topic(topic).expect("made just now").retains = true;
            for partition in 0..partitions {
                let part = Part { topic, partition };
                reach.checkers.starts.asked(part, ANYWHERE);
            }
        }
        if common.random.percent(self.habits.compaction.topics_percent) {
            let booked = reach.book.topic(topic).expect("made just now");
            booked.compacted = Some(self.habits.compaction.delete_retention_ms);
        }
        self.create(common, reach, topic);
    }

    fn create(&mut self, common: &mut Common, reach: &mut Reach<'_>, topic: u32) {
        let Some(booked) = reach.book.topic(topic) else {
            return;
        };
        let min = common.random.between(1, self.habits.min_in_sync);
        let config = |name: &str, value: u64| CreatableTopicConfig {
            name: name.to_string(),
            value: Some(value.to_string()),
        };
        let mut configs = vec![config("min.insync.replicas", min)];
        if booked.elects {
            configs.push(CreatableTopicConfig {
                name: "unclean.leader.election.enable".to_string(),
                value: Some("true".to_string()),
            });
        }
        if booked.retains {
            let retention = &self.habits.retention;
            configs.push(config("retention.ms", retention.ms));
            configs.push(config("retention.bytes", retention.bytes));
            configs.push(config("segment.ms", retention.segment_ms));
        }
        if let Some(markers_ms) = booked.compacted {
            let text = |name: &str, value: &str| CreatableTopicConfig {
                name: name.to_string(),
                value: Some(value.to_string()),
            };
            let policy = match booked.retains {
                true => "compact,delete",
                false => "compact",
            };
            let ratio = self.habits.compaction.dirty_ratio;
            configs.push(text("cleanup.policy", policy));
            configs.push(text("min.cleanable.dirty.ratio", ratio));
            configs.push(config("delete.retention.ms", markers_ms));
        }
        let new = CreatableTopic {
            name: topic_name(topic),
            num_partitions: booked.partitions as i32,
            replication_factor: self.habits.replicas,
            assignments: Vec::new(),
            configs,
        };
        let body = CreateTopicsRequest {
            topics: vec![new],
            timeout_ms: 2_000,
            validate_only: false,
        };
        let node = common.any_node(reach);
        let version = common.version::<CreateTopicsRequest>();
        self.asked += 1;
        reach.checkers.topics.creation_asked(&topic_name(topic));
        common.ask(reach, node, version, &body, Ask::Create(topic));
    }

    fn delete(&mut self, common: &mut Common, reach: &mut Reach<'_>) {
        let there = reach
            .book
            .topics()
            .filter(|(_, topic)| topic.created && !topic.deletion_asked);
        let there: Vec<u32> = there.map(|(topic, _)| topic).collect();
        if there.len() < 2 {
            return;
        }
        let topic = there[common.random.below(there.len() as u64) as usize];
        reach.book.topic(topic).expect("just listed").deletion_asked = true;
        let name = topic_name(topic);
        reach.checkers.topics.deletion_asked(&name);
        let body = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.clone()),
                ..Default::default()
            }],
            topic_names: vec![name],
            timeout_ms: 2_000,
        };
        let node = common.any_node(reach);
        let version = common.version::<DeleteTopicsRequest>();
        common.ask(reach, node, version, &body, Ask::Delete(topic));
    }

    fn list_offsets(&mut self, common: &mut Common, reach: &mut Reach<'_>, part: Part) {
        let Some((leader, epoch)) = common.view.leaders.get(&part).copied() else {
            return;
        };
        let version = common.version::<ListOffsetsRequest>();
        let timestamp = match common.random.below(4) {
            0 => EARLIEST,
            1 if version >= 7 => MAX_TIMESTAMP,
            2 => reach.wall_ms - common.random.below(60_000) as i64,
            _ => LATEST,
        };
        let partition = ListOffsetsPartition {
            partition_index: part.partition as i32,
            current_leader_epoch: if common.random.percent(50) { epoch } else { -1 },
            timestamp,
            ..Default::default()
        };
        let topic = ListOffsetsTopic {
            name: topic_name(part.topic),
            partitions: vec![partition],
        };
        let body = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        common.ask(reach, leader, version, &body, Ask::Offsets(part, timestamp));
    }

    fn epoch_end(&mut self, common: &mut Common, reach: &mut Reach<'_>, part: Part) {
        let Some((leader, epoch)) = common.view.leaders.get(&part).copied() else {
            return;
        };
        let asked = common.random.below(epoch.max(0) as u64 + 2) as i32;
        let partition = OffsetForLeaderPartition {
            partition: part.partition as i32,
            current_leader_epoch: -1,
            leader_epoch: asked,
        };
        let topic = topic_name(part.topic);
        let topics = vec![OffsetForLeaderTopic {
            topic,
            partitions: vec![partition],
        }];
        let body = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics,
        };
        let version = common.version::<OffsetForLeaderEpochRequest>();
        common.ask(reach, leader, version, &body, Ask::EpochEnd(part, asked));
    }

    pub(crate) fn lost(&mut self, ask: Ask) {
        if let Ask::Create(topic) = ask {
            self.asked -= 1;
            self.making.push(topic);
        }
    }

    pub(crate) fn answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: Ask,
        version: i16,
        mut reader: Reader,
    ) -> Checked {
        match ask {
            Ask::Create(topic) => {
                self.asked -= 1;
                let answer: CreateTopicsResponse = decode(version, &mut reader)?;
                self.created(common, reach, topic, &answer)
            }
            Ask::Delete(topic) => {
                let answer: DeleteTopicsResponse = decode(version, &mut reader)?;
                deleted(reach, topic, &answer)
            }
            Ask::DeleteRecords(part, before) => {
                let answer: DeleteRecordsResponse = decode(version, &mut reader)?;
                records::deleted(common, reach, part, before, &answer)
            }
            Ask::Cordon => {
                let answer: IncrementalAlterConfigsResponse = decode(version, &mut reader)?;
                cordons::asked(reach, &answer)
            }
            Ask::Elect => {
                let answer: ElectLeadersResponse = decode(version, &mut reader)?;
                elections::asked(reach, &answer)
            }
            Ask::Move => {
                let answer: AlterPartitionReassignmentsResponse = decode(version, &mut reader)?;
                moves::asked(reach, &answer)
            }
            Ask::Offsets(part, at) => {
                let answer: ListOffsetsResponse = decode(version, &mut reader)?;
                offsets(common, reach, part, at, &answer)
            }
            Ask::EpochEnd(part, asked) => {
                let answer: OffsetForLeaderEpochResponse = decode(version, &mut reader)?;
                epoch_ends(common, part, asked, &answer)
            }
            other => unreachable!("an admin doesn't ask {other:?}"),
        }
    }

    fn created(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        topic: u32,
        answer: &CreateTopicsResponse,
    ) -> Checked {
        let [result] = answer.topics.as_slice() else {
            return Err(misfit(answer));
        };
        let code = result.error_code;
        reach.tell(|| format!("  creation of topic {topic}: code {code}"));
        match code {
            codes::NONE | codes::TOPIC_EXISTS => {
                let known = result.error_code == codes::NONE && result.topic_id != base::Uuid::ZERO;
                let id = known.then_some(result.topic_id);
                common.view.wanted = true;
                if let Some(booked) = reach.book.topic(topic) {
                    booked.created = true;
                }
                reach.checkers.topics.created(&topic_name(topic), id)
            }
            // Not enough nodes have registered yet.
            38 => {
                self.making.push(topic);
                Ok(())
            }
            code if codes::retriable(code) => {
                self.making.push(topic);
                Ok(())
            }
            code => Err(unexpected("CreateTopics", code)),
        }
    }
}

fn deleted(reach: &mut Reach<'_>, topic: u32, answer: &DeleteTopicsResponse) -> Checked {
    let code = answer.responses.first().map(|result| result.error_code);
    reach.tell(|| format!("  deletion of topic {topic}: code {code:?}"));
    match code {
        Some(codes::NONE) => {
            reach.checkers.topics.deleted(&topic_name(topic));
            Ok(())
        }
        Some(code) if codes::retriable(code) => Ok(()),
        code => Err(unexpected("DeleteTopics", code.unwrap_or(i16::MIN))),
    }
}

/// An answer without what was asked for.
fn misfit(answer: &impl std::fmt::Debug) -> Violation {
    violation("answers fit their requests", format!("{answer:?}"))
}

fn offsets(
    common: &mut Common,
    reach: &mut Reach<'_>,
    part: Part,
    at: i64,
    answer: &ListOffsetsResponse,
) -> Checked {
    let topic = answer.topics.first();
    let result = topic.and_then(|topic| topic.partitions.first());
    let result = result.ok_or_else(|| misfit(answer))?;
    match result.error_code {
        codes::NONE => {}
        code if codes::retriable(code) => {
            common.view.wanted = true;
            return Ok(());
        }
        code => return Err(unexpected("ListOffsets", code)),
    }
    let (offset, now) = (result.offset, reach.now);
    match at {
        EARLIEST => {
            let by = || format!("ListOffsets at {now} us");
            reach.checkers.starts.told(part, offset, by)
        }
        LATEST => {
            reach
                .checkers
                .committed
                .told(part, offset, || format!("ListOffsets at {now} us"));
            Ok(())
        }
        at if at >= 0 && offset >= 0 && result.timestamp < at => {
            let what = format!("{part}: asked for {at}, got {}", result.timestamp);
            Err(violation("timestamps are found", what))
        }
        _ => {
            // A record that is found is a committed one.
            reach
                .checkers
                .committed
                .told(part, offset + 1, || format!("a search at {now} us"));
            Ok(())
        }
    }
}

fn epoch_ends(
    common: &mut Common,
    part: Part,
    asked: i32,
    answer: &OffsetForLeaderEpochResponse,
) -> Checked {
    let topic = answer.topics.first();
    let result = topic.and_then(|topic| topic.partitions.first());
    let result = result.ok_or_else(|| misfit(answer))?;
    match result.error_code {
        codes::NONE if result.leader_epoch > asked => {
            let what = format!(
                "{part}: epoch {asked} asked, {} answered",
                result.leader_epoch
            );
            Err(violation("epochs are found", what))
        }
        codes::NONE => Ok(()),
        code if codes::retriable(code) => {
            common.view.wanted = true;
            Ok(())
        }
        code => Err(unexpected("OffsetForLeaderEpoch", code)),
    }
}
