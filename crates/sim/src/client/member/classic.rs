//! The classic protocol: join, sync, heartbeats; eager, so that a member gives all up before it
//! joins again. The leader deals the partitions out in turn.

use super::{GroupAsk, Member, Protocol, TOPICS};
use crate::book::{topic_name, topic_number};
use crate::checkers::{Checked, Part};
use crate::client::links::Ask;
use crate::client::producer::unexpected;
use crate::client::{Common, Reach, codes, decode};
use crate::net::Place;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use wire_kafka::messages::heartbeat_request::HeartbeatRequest;
use wire_kafka::messages::heartbeat_response::HeartbeatResponse;
use wire_kafka::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire_kafka::messages::join_group_response::JoinGroupResponse;
use wire_kafka::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire_kafka::messages::leave_group_response::LeaveGroupResponse;
use wire_kafka::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use wire_kafka::messages::sync_group_response::SyncGroupResponse;
use wire_kafka::{Reader, Request};

/// A classic member.
#[derive(Default)]
pub(crate) struct Classic {
    id: String,
    generation: i32,
    stage: Stage,
    /// What the leader dealt out.
    dealt: Option<Vec<Part>>,
}

#[derive(Default)]
enum Stage {
    /// It has to join.
    #[default]
    Out,
    /// It has to sync, as the leader with these members.
    Joined(Vec<String>),
    /// It owns what it was assigned.
    Stable,
}

impl Classic {
    pub(super) fn stable(&self) -> Option<i32> {
        matches!(self.stage, Stage::Stable).then_some(self.generation)
    }

    pub(super) fn membership(&self) -> Option<(String, i32)> {
        let generation = self.stable()?;
        Some((self.id.clone(), generation))
    }
}

/// The first version that names a leaving member beside others.
const LEAVERS: i16 = 3;

impl Member {
    fn classic(&mut self) -> &mut Classic {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic,
            Protocol::Modern(_) => unreachable!("a member doesn't change its protocol"),
        }
    }

    pub(super) fn act_classic(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        node: Place,
        leaves: bool,
    ) {
        let parts = subscribed(common);
        let classic = self.classic();
        // The leader notices new partitions.
        if classic.dealt.as_ref().is_some_and(|dealt| *dealt != parts) {
            classic.dealt = None;
            classic.stage = Stage::Out;
        }
        match &classic.stage {
            Stage::Stable if leaves => self.leave(common, reach, node),
            Stage::Stable => self.beat(common, reach, node),
            Stage::Joined(members) => {
                let members = members.clone();
                self.sync(common, reach, node, &members);
            }
            Stage::Out => self.join(common, reach, node),
        }
    }

    fn join(&mut self, common: &mut Common, reach: &mut Reach<'_>, node: Place) {
        self.own(BTreeSet::new(), common, reach);
        let version = common.version::<JoinGroupRequest>();
        let body = JoinGroupRequest {
            group_id: self.name(),
            session_timeout_ms: self.habits.session_ms,
            rebalance_timeout_ms: self.habits.session_ms + 500,
            member_id: self.classic().id.clone(),
            protocol_type: "consumer".to_string(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "dealt".to_string(),
                metadata: subscription(),
            }],
            ..Default::default()
        };
        common.ask(reach, node, version, &body, Ask::Group(GroupAsk::Join));
    }

    fn sync(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        node: Place,
        members: &[String],
    ) {
        let version = common.version::<SyncGroupRequest>();
        let parts = subscribed(common);
        let deal = |(nth, member): (usize, &String)| {
            let turn = parts.iter().skip(nth).step_by(members.len());
            SyncGroupRequestAssignment {
                member_id: member.clone(),
                assignment: assignment(&turn.copied().collect::<Vec<_>>()),
            }
        };
        let assignments = members.iter().enumerate().map(deal).collect();
        let name = self.name();
        let classic = self.classic();
        classic.dealt = (!members.is_empty()).then(|| parts.clone());
        let body = SyncGroupRequest {
            group_id: name,
            generation_id: classic.generation,
            member_id: classic.id.clone(),
            group_instance_id: None,
            protocol_type: Some("consumer".to_string()),
            protocol_name: Some("dealt".to_string()),
            assignments,
        };
        let newest = reach.checkers.owners.newest(self.habits.group);
        let ask = Ask::Group(GroupAsk::Sync(reach.now, newest));
        common.ask(reach, node, version, &body, ask);
    }

    fn beat(&mut self, common: &mut Common, reach: &mut Reach<'_>, node: Place) {
        let version = common.version::<HeartbeatRequest>();
        let name = self.name();
        let classic = self.classic();
        let body = HeartbeatRequest {
            group_id: name,
            generation_id: classic.generation,
            member_id: classic.id.clone(),
            group_instance_id: None,
        };
        let ask = Ask::Group(GroupAsk::Beat(reach.now));
        common.ask(reach, node, version, &body, ask);
    }

    fn leave(&mut self, common: &mut Common, reach: &mut Reach<'_>, node: Place) {
        self.own(BTreeSet::new(), common, reach);
        let version = common.version::<LeaveGroupRequest>();
        let name = self.name();
        let classic = self.classic();
        let id = std::mem::take(&mut classic.id);
        classic.stage = Stage::Out;
        classic.dealt = None;
        let body = LeaveGroupRequest {
            group_id: name,
            member_id: if version < LEAVERS {
                id.clone()
            } else {
                String::new()
            },
            members: vec![MemberIdentity {
                member_id: id,
                ..Default::default()
            }],
        };
        common.ask(reach, node, version, &body, Ask::Group(GroupAsk::Leave));
    }

    pub(super) fn classic_answered(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        ask: GroupAsk,
        (version, node): (i16, Place),
        mut reader: Reader,
    ) -> Checked {
        match ask {
            GroupAsk::Join => {
                let answer: JoinGroupResponse = decode(version, &mut reader)?;
                self.joined(common, reach, answer)
            }
            GroupAsk::Sync(sent, newest) => {
                let answer: SyncGroupResponse = decode(version, &mut reader)?;
                let code = answer.error_code;
                if code != codes::NONE {
                    return self.refused(common, reach, SyncGroupRequest::API.name(), code);
                }
                let parts: Vec<Part> = assigned(answer.assignment);
                let group = self.habits.group;
                let classic = self.classic();
                if matches!(classic.stage, Stage::Out) {
                    // It died in between.
                    return Ok(());
                }
                classic.stage = Stage::Stable;
                let told = (classic.generation, newest);
                let id = classic.id.clone();
                reach.tell(|| {
                    format!(
                        "  client {} owns {parts:?} in generation {}",
                        common.id, told.0
                    )
                });
                reach.checkers.owners.synced(group, told, &id, &parts)?;
                let parts = parts.into_iter().collect();
                self.given(parts, common, reach, (node, sent))?;
                self.renewed(common, reach, node, sent);
                Ok(())
            }
            GroupAsk::Beat(sent) => {
                let answer: HeartbeatResponse = decode(version, &mut reader)?;
                match answer.error_code {
                    codes::NONE => {
                        if reach.cluster[node].coordinates_since(sent) {
                            self.renewed(common, reach, node, sent);
                        }
                        Ok(())
                    }
                    code => self.refused(common, reach, HeartbeatRequest::API.name(), code),
                }
            }
            GroupAsk::Leave => {
                let answer: LeaveGroupResponse = decode(version, &mut reader)?;
                let code = answer.error_code;
                if self.moved(code) || codes::of_members(code) || code == codes::NONE {
                    return Ok(());
                }
                Err(unexpected("LeaveGroup", code))
            }
            other => unreachable!("a classic member doesn't ask {other:?}"),
        }
    }

    fn joined(
        &mut self,
        common: &mut Common,
        reach: &mut Reach<'_>,
        answer: JoinGroupResponse,
    ) -> Checked {
        let code = answer.error_code;
        let classic = self.classic();
        if code == codes::NONE || code == codes::MEMBER_ID_REQUIRED {
            classic.id = answer.member_id;
        }
        if code == codes::NONE {
            classic.generation = answer.generation_id;
            let members = answer.members.into_iter().map(|member| member.member_id);
            classic.stage = Stage::Joined(members.collect());
            self.next_at = reach.now + 1_000;
        } else if code == codes::MEMBER_ID_REQUIRED {
            self.next_at = reach.now + 1_000;
        } else {
            return self.refused(common, reach, JoinGroupRequest::API.name(), code);
        }
        Ok(())
    }

    /// Whatever it was: it gives up what it owns, unless only the coordinator is another one.
    fn refused(
        &mut self,
        common: &Common,
        reach: &mut Reach<'_>,
        what: &str,
        code: i16,
    ) -> Checked {
        reach.tell(|| format!("  client {} {what}: code {code}", common.id));
        if self.moved(code) {
            return Ok(());
        }
        if !codes::of_members(code) && !codes::retriable(code) {
            return Err(unexpected(what, code));
        }
        self.own(BTreeSet::new(), common, reach);
        let classic = self.classic();
        classic.stage = Stage::Out;
        classic.dealt = None;
        if code == codes::UNKNOWN_MEMBER {
            classic.id = String::new();
        }
        Ok(())
    }
}

/// The partitions of the topics that every group consumes, as the client knows them.
fn subscribed(common: &Common) -> Vec<Part> {
    let parts = common.view.parts().into_iter();
    parts.filter(|part| TOPICS.contains(&part.topic)).collect()
}

/// What a member subscribes to: version 0 of Kafka's own layout.
fn subscription() -> Bytes {
    let mut out = vec![0, 0];
    out.extend_from_slice(&(TOPICS.len() as i32).to_be_bytes());
    for topic in TOPICS {
        text(&mut out, &topic_name(topic));
    }
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.into()
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// An assignment: version 0 of Kafka's own layout.
fn assignment(parts: &[Part]) -> Bytes {
    let mut topics: BTreeMap<u32, Vec<i32>> = BTreeMap::new();
    for part in parts {
        let partitions = topics.entry(part.topic).or_default();
        partitions.push(part.partition as i32);
    }
    let mut out = vec![0, 0];
    out.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    for (topic, partitions) in topics {
        text(&mut out, &topic_name(topic));
        out.extend_from_slice(&(partitions.len() as i32).to_be_bytes());
        for partition in partitions {
            out.extend_from_slice(&partition.to_be_bytes());
        }
    }
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out.into()
}

/// The partitions of an assignment; none of one that can't be read, as of an empty one.
fn assigned(bytes: Bytes) -> Vec<Part> {
    let mut rest = &bytes[..];
    let mut parts = Vec::new();
    let mut take = |len: usize| -> Option<&[u8]> {
        let (head, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(head)
    };
    let mut read = || -> Option<()> {
        take(2)?;
        let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..topics {
            let len = i16::from_be_bytes(take(2)?.try_into().ok()?);
            let name = take(len as usize)?;
            let topic = topic_number(std::str::from_utf8(name).ok()?)?;
            let partitions = i32::from_be_bytes(take(4)?.try_into().ok()?);
            for _ in 0..partitions {
                let partition = i32::from_be_bytes(take(4)?.try_into().ok()?) as u32;
                parts.push(Part { topic, partition });
            }
        }
        Some(())
    };
    let _ = read();
    parts
}
