//! A member of a consumer group by the classic protocol, which every cluster speaks: it joins,
//! shares out partitions by range if it is made the leader, and says that it is alive.

use super::{Heard, REBALANCE, Wish, is_outdated, refused};
use crate::client::deadline::{Pauses, wall_ms};
use crate::client::groups::{self, As, Group};
use crate::client::{Cluster, Code, Deadline, Trouble};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wire_kafka::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition,
};
use wire_kafka::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire_kafka::messages::heartbeat_request::HeartbeatRequest;
use wire_kafka::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire_kafka::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use wire_kafka::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire_kafka::messages::metadata_response::MetadataResponseTopic;
use wire_kafka::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use wire_kafka::{Reader, Writer};

/// How long the group waits for a silent member.
const SESSION: Duration = Duration::from_secs(10);
/// How often it says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often who shared out looks whether there is more to share.
const LOOK: Duration = Duration::from_secs(30);
/// The kind of protocol of all consumers, and the way of sharing that all of them know.
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

/// A member.
#[derive(Debug)]
pub struct Member {
    wish: Wish,
    id: String,
    generation: i32,
    heard_ms: i64,
    /// What it shared out as the leader of its generation, and when to look at that again.
    shared: Option<(Counts, Deadline)>,
}

/// How many partitions topics have.
type Counts = BTreeMap<String, usize>;

impl Member {
    /// Somebody who is about to join.
    pub fn new(wish: Wish) -> Member {
        Member {
            wish,
            id: String::new(),
            generation: -1,
            heard_ms: 0,
            shared: None,
        }
    }

    /// Joins, or joins again, and gives the partitions of the topic that are its own now.
    pub fn join(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<BTreeSet<i32>, Trouble> {
        let mut pauses = Pauses::until(deadline);
        let mut came_back = true;
        loop {
            let outcome = match self.ask_to_join(cluster, deadline)? {
                Ok(joined) => self.sync(cluster, joined, deadline)?,
                Err(code) => Err(code),
            };
            let code = match outcome {
                // There is more than was shared out before it came back: that is shared out at once.
                Ok(_) if came_back && self.has_more_to_share(cluster, deadline)? => {
                    came_back = false;
                    continue;
                }
                Ok(mine) => return Ok(mine),
                Err(code) => code,
            };
            match code {
                Code::MEMBER_ID_REQUIRED => continue,
                Code::UNKNOWN_MEMBER_ID => self.id.clear(),
                Code::REBALANCE_IN_PROGRESS | Code::ILLEGAL_GENERATION => {}
                code => return Err(refused("joining", &self.wish, code, None)),
            }
            if !pauses.wait() {
                return Err(refused("joining", &self.wish, code, None));
            }
        }
    }

    pub(super) fn wish(&self) -> &Wish {
        &self.wish
    }

    pub(super) fn identity(&self) -> As<'_> {
        As {
            member: &self.id,
            generation: self.generation,
            instance: self.wish.instance.as_deref(),
        }
    }

    fn ask_to_join(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<Result<JoinGroupResponse, Code>, Trouble> {
        let request = JoinGroupRequest {
            group_id: self.wish.group.clone(),
            session_timeout_ms: SESSION.as_millis() as i32,
            rebalance_timeout_ms: REBALANCE.as_millis() as i32,
            member_id: self.id.clone(),
            group_instance_id: self.wish.instance.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: PROTOCOL.to_owned(),
                metadata: subscription(&self.wish.topic),
            }],
            ..Default::default()
        };
        let code = |a: &JoinGroupResponse| Code(a.error_code);
        let answer = cluster.call_coordinator(&self.wish.group, &request, code, deadline)?;
        if !answer.member_id.is_empty() {
            self.id.clone_from(&answer.member_id);
        }
        let code = code(&answer);
        Ok(if code.is_ok() { Ok(answer) } else { Err(code) })
    }

    fn sync(
        &mut self,
        cluster: &mut Cluster,
        joined: JoinGroupResponse,
        deadline: Deadline,
    ) -> Result<Result<BTreeSet<i32>, Code>, Trouble> {
        self.generation = joined.generation_id;
        self.shared = None;
        let leads = joined.leader == self.id;
        let mut assignments = Vec::new();
        if leads && !joined.skip_assignment {
            let (given, counts) = share(cluster, &joined.members, deadline)?;
            self.shared = Some((counts, Deadline::after(LOOK)));
            assignments = given;
        }
        let request = SyncGroupRequest {
            group_id: self.wish.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.wish.instance.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(PROTOCOL.to_owned()),
            assignments,
        };
        let answer = cluster.call_coordinator(
            &self.wish.group,
            &request,
            |a| Code(a.error_code),
            deadline,
        )?;
        self.heard_ms = wall_ms();
        let code = Code(answer.error_code);
        if !code.is_ok() {
            return Ok(Err(code));
        }
        if leads && joined.skip_assignment {
            // A static member that came back to lead a generation that goes on: what was shared out
            // meanwhile is what it looks after from now on.
            let group = groups::describe(cluster, &self.wish.group, deadline)?;
            let counts = given_out(&joined.members, &group);
            self.shared = Some((counts, Deadline::after(Duration::ZERO)));
        }
        let parts = groups::assigned(answer.assignment).into_iter();
        let mine = parts.filter(|(topic, _)| *topic == self.wish.topic);
        Ok(Ok(mine.flat_map(|(_, partitions)| partitions).collect()))
    }

    /// Says that it is alive, if it is time to.
    pub fn heartbeat(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<Heard, Trouble> {
        let silent_ms = wall_ms().saturating_sub(self.heard_ms);
        if (0..HEARTBEAT.as_millis() as i64).contains(&silent_ms) {
            return Ok(Heard::Nothing);
        }
        let request = HeartbeatRequest {
            group_id: self.wish.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.wish.instance.clone(),
        };
        let answer = cluster.call_coordinator(
            &self.wish.group,
            &request,
            |a| Code(a.error_code),
            deadline,
        )?;
        self.heard_ms = wall_ms();
        match Code(answer.error_code) {
            // A leader that joins again has everybody join, and shares out anew.
            Code::NONE if self.has_more_to_share(cluster, deadline)? => Ok(Heard::Outdated),
            Code::NONE => Ok(Heard::Nothing),
            Code::UNKNOWN_MEMBER_ID => {
                self.id.clear();
                Ok(Heard::Outdated)
            }
            code if is_outdated(code) => Ok(Heard::Outdated),
            code => Err(refused("staying in", &self.wish, code, None)),
        }
    }

    /// True if a topic has another number of partitions than it had when this member shared out.
    fn has_more_to_share(
        &mut self,
        cluster: &mut Cluster,
        deadline: Deadline,
    ) -> Result<bool, Trouble> {
        let Some((counts, look)) = &mut self.shared else {
            return Ok(false);
        };
        if look.left().is_some() {
            return Ok(false);
        }
        *look = Deadline::after(LOOK);
        let names: Vec<&str> = counts.keys().map(String::as_str).collect();
        match cluster.topics(Some(&names), deadline) {
            Ok(topics) => Ok(differ(counts, &topics)),
            // The next look may tell.
            Err(trouble) if trouble.is_retriable() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Leaves; a static member doesn't, and is expected back until its session ends.
    pub fn leave(&self, cluster: &mut Cluster, deadline: Deadline) -> Result<(), Trouble> {
        if self.wish.instance.is_some() {
            return Ok(());
        }
        let request = LeaveGroupRequest {
            group_id: self.wish.group.clone(),
            member_id: self.id.clone(),
            members: vec![MemberIdentity {
                member_id: self.id.clone(),
                ..Default::default()
            }],
        };
        cluster.call_coordinator(&self.wish.group, &request, |a| Code(a.error_code), deadline)?;
        Ok(())
    }
}

/// A version and the message, as members of a group send it to each other.
fn versioned(version: i16, write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(version);
    write(&mut writer);
    writer.into_bytes()
}

fn subscription(topic: &str) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: vec![topic.to_owned()],
        ..Default::default()
    };
    versioned(1, |writer| subscription.encode(1, writer))
}

/// The topics that a member wants. What can't be read wants none.
fn wanted(member: &JoinGroupResponseMember) -> Vec<String> {
    let mut reader = Reader::new(member.metadata.clone());
    let Ok(version) = reader.i16() else {
        return Vec::new();
    };
    let read = ConsumerProtocolSubscription::decode(version.clamp(0, 3), &mut reader);
    read.map(|subscription| subscription.topics)
        .unwrap_or_default()
}

/// What the leader gives to each member: of every topic a range of partitions to each who wants
/// it, the first ones one more where it doesn't come out even.
fn share(
    cluster: &mut Cluster,
    members: &[JoinGroupResponseMember],
    deadline: Deadline,
) -> Result<(Vec<SyncGroupRequestAssignment>, Counts), Trouble> {
    let mut takers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for member in members {
        for topic in wanted(member) {
            takers.entry(topic).or_default().insert(&member.member_id);
        }
    }
    let names: Vec<&str> = takers.keys().map(String::as_str).collect();
    let topics = cluster.topics(Some(&names), deadline)?;
    let mut given: BTreeMap<&str, Vec<TopicPartition>> = BTreeMap::new();
    let mut counts = Counts::new();
    for topic in topics {
        let name = topic.name.unwrap_or_default();
        let Some(takers) = takers.get(&name) else {
            continue;
        };
        counts.insert(name.clone(), topic.partitions.len());
        let ranges = ranges(topic.partitions.len(), takers.len());
        for (taker, partitions) in takers.iter().zip(ranges) {
            given.entry(taker).or_default().push(TopicPartition {
                topic: name.clone(),
                partitions: partitions.map(|p| p as i32).collect(),
            });
        }
    }
    let assignment = |member: &JoinGroupResponseMember| {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: given.remove(member.member_id.as_str()).unwrap_or_default(),
            user_data: None,
        };
        SyncGroupRequestAssignment {
            member_id: member.member_id.clone(),
            assignment: versioned(1, |writer| assignment.encode(1, writer)),
        }
    };
    Ok((members.iter().map(assignment).collect(), counts))
}

/// How much of each topic that members want is shared out.
fn given_out(members: &[JoinGroupResponseMember], group: &Group) -> Counts {
    let wanted = members.iter().flat_map(wanted);
    let mut counts: Counts = wanted.map(|topic| (topic, 0)).collect();
    for (topic, partitions) in group.members.iter().flat_map(|member| &member.assigned) {
        if let Some(count) = counts.get_mut(topic) {
            *count += partitions.len();
        }
    }
    counts
}

/// A topic that a node doesn't know at the moment tells nothing.
fn differ(counts: &Counts, topics: &[MetadataResponseTopic]) -> bool {
    topics.iter().any(|topic| {
        let shared = topic.name.as_ref().and_then(|name| counts.get(name));
        topic.error_code == 0 && shared.is_some_and(|shared| *shared != topic.partitions.len())
    })
}

fn ranges(partitions: usize, takers: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (each, more) = (partitions / takers, partitions % takers);
    let start = move |at: usize| at * each + at.min(more);
    (0..takers).map(move |at| start(at)..start(at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        let shared: Vec<_> = ranges(7, 3).collect();
        assert_eq!(shared, [0..3, 3..5, 5..7]);
        assert_eq!(ranges(1, 2).collect::<Vec<_>>(), [0..1, 1..1]);
    }

    #[test]
    fn partitions_that_came_are_there_to_share() {
        let shared = Counts::from([("t".to_owned(), 2)]);
        let told = |leaders: &[i32], error_code: i16| {
            let topic = crate::client::tests::node::topic(leaders);
            differ(
                &shared,
                &[MetadataResponseTopic {
                    error_code,
                    ..topic
                }],
            )
        };
        assert!(!told(&[1, 1], 0));
        assert!(told(&[1, 1, 1], 0));
        assert!(!told(&[], 3), "a node that is behind doesn't know it");
    }

    #[test]
    fn what_is_shared_out_already_is_counted_by_topic() {
        let member = |id: &str| JoinGroupResponseMember {
            member_id: id.into(),
            metadata: subscription("t"),
            ..Default::default()
        };
        let holds = |topic: &str, partitions: &[i32]| groups::Member {
            assigned: vec![(topic.to_owned(), partitions.to_vec())],
            ..Default::default()
        };
        let members = [member("a"), member("b")];
        let group = |members: Vec<groups::Member>| Group {
            members,
            ..Group::default()
        };
        let there = group(vec![
            holds("t", &[0, 1]),
            holds("t", &[2]),
            holds("u", &[0]),
        ]);
        let three = Counts::from([("t".to_owned(), 3)]);
        assert_eq!(given_out(&members, &there), three);
        let nothing = Counts::from([("t".to_owned(), 0)]);
        assert_eq!(given_out(&members, &group(Vec::new())), nothing);
    }

    #[test]
    fn what_other_members_say_is_read_or_ignored() {
        let member = |metadata: Bytes| JoinGroupResponseMember {
            metadata,
            ..Default::default()
        };
        assert_eq!(wanted(&member(subscription("orders"))), ["orders"]);
        let newer = versioned(9, |w| {
            let known = ConsumerProtocolSubscription {
                topics: vec!["a".into()],
                ..Default::default()
            };
            known.encode(3, w);
        });
        assert_eq!(wanted(&member(newer)), ["a"]);
        assert!(wanted(&member(Bytes::from_static(b"\x00\x01\x7f"))).is_empty());
    }
}
