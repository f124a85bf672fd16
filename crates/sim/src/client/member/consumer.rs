//! KIP-848: heartbeats that say what the member has and are told what it is to have. It gives a
//! partition up as soon as it is told, and says so with its next heartbeat.

use super::{GroupAsk, Member, Protocol, TOPICS};
use crate::book::topic_name;
use crate::checkers::{Checked, Part};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes, decode};
use crate::net::Place;
use base::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::Reader;
use wire_kafka::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use wire_kafka::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;

/// A member of KIP-848.
pub(crate) struct Consumer {
    id: String,
    epoch: i32,
    /// It was answered since it joined.
    joined: bool,
    /// What it has, by id.
    has: BTreeSet<(Uuid, i32)>,
    /// Names of ids, also of topics that are gone.
    names: BTreeMap<Uuid, u32>,
    /// The next heartbeat says everything: an answer may be lost.
    says_all: bool,
    /// What it has changed since it last said so.
    changed: bool,
}

impl Default for Consumer {
    fn default() -> Consumer {
        Consumer {
            id: String::new(),
            epoch: 0,
            joined: false,
            has: BTreeSet::new(),
            names: BTreeMap::new(),
            says_all: true,
            changed: true,
        }
    }
}

impl Consumer {
    pub(super) fn stable(&self) -> Option<()> {
        (self.joined && !self.changed && !self.says_all).then_some(())
    }

    pub(super) fn membership(&self) -> Option<(String, i32)> {
        self.joined.then(|| (self.id.clone(), self.epoch))
    }

    pub(super) fn tell_all(&mut self) {
        self.says_all = true;
    }
}

/// Longer than any session here: who doesn't give up what it must is put out by its silence.
const REBALANCE_MS: i32 = 10_000;
/// The epoch of a member that leaves.
const LEAVES: i32 = -1;

impl Member {
    fn modern(&mut self) -> &mut Consumer {
        match &mut self.protocol {
            Protocol::Modern(consumer) => consumer,
            Protocol::Classic(_) => unreachable!("a member doesn't change its protocol"),
        }
    }

    pub(super) fn act_modern(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        node: Place,
        leaves: bool,
    ) {
        let version = common.version::<ConsumerGroupHeartbeatRequest>();
        let name = self.name();
        let consumer = self.modern();
        if consumer.id.is_empty() {
            // Chosen by the client from version 1 on, and as good before.
            let (high, low) = (common.random.next(), common.random.next());
            consumer.id = Uuid::from_random(high, low).to_string();
        }
        let leaves = leaves && consumer.joined;
        let all = consumer.says_all || !consumer.joined;
        let mut has: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &consumer.has {
            has.entry(*topic).or_default().push(*partition);
        }
        let has = has
            .into_iter()
            .map(|(topic_id, partitions)| TopicPartitions {
                topic_id,
                partitions,
            });
        let names = TOPICS.map(topic_name).collect();
        let body = ConsumerGroupHeartbeatRequest {
            group_id: name,
            member_id: consumer.id.clone(),
            member_epoch: if leaves { LEAVES } else { consumer.epoch },
            rebalance_timeout_ms: if all { REBALANCE_MS } else { -1 },
            subscribed_topic_names: (all && !leaves).then_some(names),
            topic_partitions: ((all || consumer.changed) && !leaves).then(|| has.collect()),
            ..Default::default()
        };
        consumer.says_all = false;
        consumer.changed = false;
        let ask = match leaves {
            true => GroupAsk::Leave,
            false => GroupAsk::Beat(reach.now),
        };
        if leaves {
            self.begin_anew(common, reach);
        }
        common.ask(reach, node, version, &body, Ask::Group(ask));
    }

    /// It is no member any more.
    fn begin_anew(&mut self, common: &Common, reach: &mut Reach<'_>) {
        self.own(BTreeSet::new(), common, reach);
        *self.modern() = Consumer::default();
    }

    pub(super) fn modern_answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: GroupAsk,
        (version, node): (i16, Place),
        mut reader: Reader,
    ) -> Checked {
        let answer: ConsumerGroupHeartbeatResponse = decode(version, &mut reader)?;
        let code = answer.error_code;
        if code != codes::NONE {
            reach.tell(|| format!("  client {} heartbeat: code {code}", common.id));
        }
        let GroupAsk::Beat(sent) = ask else {
            return match self.moved(code) || codes::of_members(code) || code == codes::NONE {
                true => Ok(()),
                false => Err(unexpected("ConsumerGroupHeartbeat", code)),
            };
        };
        let told = answer.member_id.as_deref();
        if told.is_some_and(|id| id != self.modern().id) && code == codes::NONE {
            // It died in between.
            return Ok(());
        }
        match code {
            codes::NONE => self.beat_answered(common, reach, (node, sent), &answer),
            code if self.moved(code) => {
                self.modern().says_all = true;
                Ok(())
            }
            codes::UNKNOWN_MEMBER | codes::FENCED_MEMBER_EPOCH => {
                // It joins again, under its id.
                let id = std::mem::take(&mut self.modern().id);
                self.begin_anew(common, reach);
                self.modern().id = id;
                Ok(())
            }
            code if codes::retriable(code) => {
                self.modern().says_all = true;
                Ok(())
            }
            code => Err(unexpected("ConsumerGroupHeartbeat", code)),
        }
    }

    fn beat_answered(
        &mut self,
        common: &Common,
        reach: &mut Reach<'_>,
        (node, sent): (Place, crate::scheduler::Micros),
        answer: &ConsumerGroupHeartbeatResponse,
    ) -> Checked {
        let consumer = self.modern();
        let before = consumer.joined.then_some(consumer.epoch);
        consumer.joined = true;
        consumer.epoch = answer.member_epoch;
        for (topic, id) in &common.view.ids {
            consumer.names.insert(*id, *topic);
        }
        if let Some(assignment) = &answer.assignment {
            let flat = assignment.topic_partitions.iter().flat_map(|topic| {
                let id = topic.topic_id;
                topic.partitions.iter().map(move |p| (id, *p))
            });
            let has: BTreeSet<_> = flat.collect();
            consumer.changed |= has != consumer.has;
            consumer.has = has;
        }
        let known = consumer.has.iter().filter_map(|(id, partition)| {
            let topic = *consumer.names.get(id)?;
            let partition = *partition as u32;
            Some(Part { topic, partition })
        });
        let parts: BTreeSet<Part> = known.collect();
        let (epoch, id) = (consumer.epoch, consumer.id.clone());
        let lasting = parts.iter().filter(|part| !reach.book.doomed(**part));
        let lasting = lasting.filter(|_| answer.assignment.is_some()).copied();
        let told: Vec<Part> = lasting.collect();
        let owners = &mut reach.checkers.owners;
        owners.told(self.habits.group, (epoch, before), &id, &told)?;
        if parts != self.owned {
            reach.tell(|| format!("  client {} owns {parts:?} in epoch {epoch}", common.id));
        }
        self.given(parts, common, reach, (node, sent))?;
        self.renewed(common, reach, node, sent);
        Ok(())
    }
}
