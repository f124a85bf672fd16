//! Commits and questions for offsets.

use super::{GroupAsk, Member, Protocol, id_of};
use crate::book::{topic_name, topic_number};
use crate::checkers::{Checked, Part, violation};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes, decode};
use crate::net::Place;
use crate::scheduler::Micros;
use std::collections::BTreeMap;
use wire_kafka::Reader;
use wire_kafka::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire_kafka::messages::offset_commit_response::OffsetCommitResponse;
use wire_kafka::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire_kafka::messages::offset_fetch_response::OffsetFetchResponse;

/// The first version of OffsetFetch that asks for several groups.
const SEVERAL: i16 = 8;
/// Versions after these name topics by id; a member that doesn't know the id can't.
const BY_NAME: i16 = 9;
/// The first version of OffsetCommit that knows members of KIP-848.
const EPOCHS: i16 = 9;
/// The first version of OffsetCommit that keeps offsets as the configuration says.
const WITHOUT_RETENTION: i16 = 5;
/// The first version of OffsetFetch that says what is wrong with the whole.
const CODE_FOR_ALL: i16 = 2;

impl Member {
    pub(super) fn act_on_offsets(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        node: Place,
    ) {
        if self.asks_first && !self.fetching {
            self.asks_first = false;
            return self.fetch_offsets(common, reach, node);
        }
        let commits = common.random.percent(self.habits.commit_percent);
        if commits && !self.committing && !self.draining {
            self.commit(common, reach, node);
        }
        if self.fetching {
            return;
        }
        // Right behind a commit, or of whoever coordinated the group before: what may not be
        // shown is there.
        let behind = self.committing && common.random.percent(50);
        let elsewhere = !self.draining && common.random.percent(30);
        if elsewhere {
            let any = common.any_node(reach);
            self.fetch_offsets(common, reach, any);
        } else if behind || self.draining && !self.reviewed || common.random.percent(15) {
            self.fetch_offsets(common, reach, node);
        }
    }

    /// Its membership as a commit says it; none while it isn't a member.
    fn membership(&self) -> Option<(String, i32)> {
        match &self.protocol {
            Protocol::Classic(classic) => classic.membership(),
            Protocol::Modern(consumer) => consumer.membership(),
        }
    }

    fn commit(&mut self, common: &mut Common, reach: &mut Reach<'_>, node: Place) {
        let owned = self.owned.iter().copied();
        let parts: Vec<Part> = owned.filter(|part| !reach.book.doomed(*part)).collect();
        let (Some((member, generation)), false) = (self.membership(), parts.is_empty()) else {
            return;
        };
        let part = parts[common.random.below(parts.len() as u64) as usize];
        let value = reach.book.new_idents(1).0 as i64;
        let oldest = match self.habits.modern {
            true => EPOCHS,
            false => WITHOUT_RETENTION,
        };
        let version = common.version::<OffsetCommitRequest>();
        let version = version.clamp(oldest, BY_NAME);
        let body = OffsetCommitRequest {
            group_id: self.name(),
            generation_id_or_member_epoch: generation,
            member_id: member,
            topics: vec![OffsetCommitRequestTopic {
                name: topic_name(part.topic),
                topic_id: id_of(common, part.topic),
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: part.partition as i32,
                    committed_offset: value,
                    committed_leader_epoch: -1,
                    committed_metadata: Some(String::new()),
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        self.committing = true;
        let commits = &mut reach.checkers.commits;
        commits.asked(self.habits.group, part, value, reach.now);
        let ask = Ask::Group(GroupAsk::Commit(part, value));
        common.ask(reach, node, version, &body, ask);
    }

    pub(super) fn committed(
        &mut self,
        common: &Common,
        reach: &mut Reach<'_>,
        (part, value): (Part, i64),
        version: i16,
        mut reader: Reader,
    ) -> Checked {
        let answer: OffsetCommitResponse = decode(version, &mut reader)?;
        let partition = answer.topics.first().and_then(|t| t.partitions.first());
        let Some(partition) = partition else {
            return Err(violation("answers fit their requests", format!("{part}")));
        };
        let code = partition.error_code;
        reach.tell(|| {
            format!(
                "  client {} committed {part} = {value}: code {code}",
                common.id
            )
        });
        match code {
            codes::NONE => {
                let commits = &mut reach.checkers.commits;
                commits.acked(self.habits.group, part, value, reach.now);
                reach.book.commits += 1;
                Ok(())
            }
            code if self.moved(code) || codes::of_members(code) || codes::retriable(code) => Ok(()),
            code => Err(unexpected("OffsetCommit", code)),
        }
    }

    /// Asks for the offsets of all partitions that it knows.
    fn fetch_offsets(&mut self, common: &mut Common, reach: &mut Reach<'_>, node: Place) {
        let known = common.view.parts().into_iter();
        let parts: Vec<Part> = known.filter(|part| !reach.book.doomed(*part)).collect();
        if parts.is_empty() {
            self.reviewed = self.draining;
            return;
        }
        let mut topics: BTreeMap<u32, Vec<i32>> = BTreeMap::new();
        for part in &parts {
            let partitions = topics.entry(part.topic).or_default();
            partitions.push(part.partition as i32);
        }
        let version = common.version::<OffsetFetchRequest>();
        let version = version.clamp(CODE_FOR_ALL, BY_NAME);
        let several = topics
            .iter()
            .map(|(topic, partitions)| OffsetFetchRequestTopics {
                name: topic_name(*topic),
                topic_id: id_of(common, *topic),
                partition_indexes: partitions.clone(),
            });
        let one = topics
            .iter()
            .map(|(topic, partitions)| OffsetFetchRequestTopic {
                name: topic_name(*topic),
                partition_indexes: partitions.clone(),
            });
        let body = OffsetFetchRequest {
            group_id: self.name(),
            topics: Some(one.collect()),
            groups: vec![OffsetFetchRequestGroup {
                group_id: self.name(),
                member_id: None,
                member_epoch: -1,
                topics: Some(several.collect()),
            }],
            require_stable: true,
        };
        self.fetching = true;
        let ask = Ask::Group(GroupAsk::Offsets(reach.now, parts));
        common.ask(reach, node, version, &body, ask);
    }

    pub(super) fn fetched(
        &mut self,
        reach: &mut Reach<'_>,
        (asked, parts): (Micros, &[Part]),
        (version, node): (i16, Place),
        mut reader: Reader,
    ) -> Checked {
        let answer: OffsetFetchResponse = decode(version, &mut reader)?;
        let (code, found) = found(answer, version);
        if code != codes::NONE {
            if self.coordinator == Some(node) {
                self.moved(code);
            }
            return match codes::retriable(code) {
                true => Ok(()),
                false => Err(unexpected("OffsetFetch", code)),
            };
        }
        if found.len() != parts.len() {
            let what = format!("{} offsets for {} partitions", found.len(), parts.len());
            return Err(violation("answers fit their requests", what));
        }
        let mut whole = true;
        for (name, partition, offset, code) in found {
            let part = Part {
                topic: topic_number(&name).unwrap_or(u32::MAX),
                partition: partition as u32,
            };
            if code != codes::NONE {
                if !codes::retriable(code) {
                    return Err(unexpected("OffsetFetch", code));
                }
                whole = false;
            } else if !reach.book.doomed(part) {
                let value = (offset >= 0).then_some(offset);
                let commits = &mut reach.checkers.commits;
                commits.fetched(self.habits.group, part, value, (asked, reach.now))?;
            }
        }
        self.reviewed |= self.draining && whole;
        Ok(())
    }
}

/// The code of a whole answer; name, partition, offset and code of each part.
fn found(answer: OffsetFetchResponse, version: i16) -> (i16, Vec<(String, i32, i64, i16)>) {
    let mut found = Vec::new();
    if version < SEVERAL {
        for topic in answer.topics {
            for p in topic.partitions {
                let name = topic.name.clone();
                found.push((name, p.partition_index, p.committed_offset, p.error_code));
            }
        }
        return (answer.error_code, found);
    }
    let mut code = answer.error_code;
    for group in answer.groups {
        code = group.error_code;
        for topic in group.topics {
            for p in topic.partitions {
                let name = topic.name.clone();
                found.push((name, p.partition_index, p.committed_offset, p.error_code));
            }
        }
    }
    (code, found)
}
