//! A member of a group of either protocol as a small machine: it joins, says in time that it is
//! there, follows rebalances, and looks for its coordinator when it is lost. It consumes nothing.

use crate::link::{Link, decoded};
use bytes::Bytes;
use std::io;
use std::time::{Duration, Instant};
use wire_kafka::Writer;
use wire_kafka::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use wire_kafka::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use wire_kafka::messages::find_coordinator_request::FindCoordinatorRequest;
use wire_kafka::messages::heartbeat_request::HeartbeatRequest;
use wire_kafka::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use wire_kafka::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

const FIND: i16 = 4;
const JOIN: i16 = 7;
const SYNC: i16 = 5;
const BEAT: i16 = 4;
const CONSUMER: i16 = 1;
/// Between two looks for a coordinator.
const PAUSE: Duration = Duration::from_millis(50);

/// Codes of answers that are no failures.
const NONE: i16 = 0;
const LOADING: i16 = 14;
const NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const UNKNOWN_MEMBER: i16 = 25;
const REBALANCE: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    Consumer,
}

/// What all members of a run have in common.
pub struct Common {
    pub bootstrap: Vec<String>,
    pub topic: String,
    pub protocol: Protocol,
    pub interval: Duration,
    pub session_ms: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    Join,
    Sync,
    Beat,
}

/// What a step brought.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    Nothing,
    /// A heartbeat was answered after so long, and all is as it was.
    Beaten(Duration),
    /// It joined, or has got other partitions.
    Moved,
    /// It is told to join again, or isn't known any more.
    Called,
    /// The coordinator is lost.
    Lost,
}

pub struct Member {
    pub group: String,
    link: Option<Link>,
    id: String,
    /// Generation or epoch; -1 before the first join.
    epoch: i32,
    /// Partitions that are to be named in the next heartbeat.
    owned: Option<Vec<TopicPartitions>>,
    waits: Waits,
    pub due: Instant,
    sent: Instant,
    /// When its last heartbeat was answered.
    pub beaten: Instant,
}

impl Member {
    pub fn new(group: String, nth: u128, due: Instant) -> Member {
        Member {
            group,
            link: None,
            id: base::Uuid(nth.to_be_bytes()).to_string(),
            epoch: -1,
            owned: None,
            waits: Waits::Nothing,
            due,
            sent: due,
            beaten: due,
        }
    }

    /// True once it has joined, until it is to join again.
    pub fn is_in(&self) -> bool {
        self.epoch > 0 && !matches!(self.waits, Waits::Join | Waits::Sync)
    }

    /// Does what is to be done now; waits for nothing but a connection.
    pub fn step(&mut self, common: &Common, now: Instant) -> News {
        let outcome = match (&self.link, self.waits) {
            (None, _) if now >= self.due => self.find(common).map(|()| News::Nothing),
            (Some(_), Waits::Nothing) if now >= self.due => {
                self.speak(common, now).map(|()| News::Nothing)
            }
            (Some(_), Waits::Nothing) | (None, _) => return News::Nothing,
            _ => self.listen(common, now),
        };
        outcome.unwrap_or_else(|_| self.lost(now))
    }

    fn lost(&mut self, now: Instant) -> News {
        self.link = None;
        self.waits = Waits::Nothing;
        self.due = now + PAUSE;
        News::Lost
    }

    fn find(&mut self, common: &Common) -> io::Result<()> {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![self.group.clone()],
            ..Default::default()
        };
        for address in &common.bootstrap {
            let Ok(answer) = Link::connect(address).and_then(|mut l| l.ask(FIND, &request)) else {
                continue;
            };
            let found = &answer.coordinators[0];
            if found.error_code == NONE {
                self.link = Some(Link::connect(&format!("{}:{}", found.host, found.port))?);
                return Ok(());
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn speak(&mut self, common: &Common, now: Instant) -> io::Result<()> {
        self.sent = now;
        match common.protocol {
            Protocol::Consumer => {
                self.waits = Waits::Beat;
                let request = self.consumer_beat(common);
                self.say(CONSUMER, &request)
            }
            Protocol::Classic if self.epoch < 0 => self.join(common),
            Protocol::Classic => {
                self.waits = Waits::Beat;
                let request = HeartbeatRequest {
                    group_id: self.group.clone(),
                    generation_id: self.epoch,
                    member_id: self.id.clone(),
                    ..Default::default()
                };
                self.say(BEAT, &request)
            }
        }
    }

    fn say<R: wire_kafka::Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        let link = self.link.as_mut().expect("the caller looked");
        link.send(version, request)
    }

    fn consumer_beat(&mut self, common: &Common) -> ConsumerGroupHeartbeatRequest {
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch.max(0),
            topic_partitions: self.owned.take(),
            ..Default::default()
        };
        if self.epoch < 0 {
            request.rebalance_timeout_ms = 60_000;
            request.subscribed_topic_names = Some(vec![common.topic.clone()]);
            request.topic_partitions = Some(Vec::new());
        }
        request
    }

    fn join(&mut self, common: &Common) -> io::Result<()> {
        self.waits = Waits::Join;
        let known = self.epoch >= 0 || self.id.starts_with("group-load");
        let mut metadata = Writer::default();
        metadata.i16(0);
        let subscription = ConsumerProtocolSubscription {
            topics: vec![common.topic.clone()],
            ..Default::default()
        };
        subscription.encode(0, &mut metadata);
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: common.session_ms,
            rebalance_timeout_ms: 60_000,
            member_id: if known {
                self.id.clone()
            } else {
                String::new()
            },
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: metadata.finish().concat().into(),
            }],
            ..Default::default()
        };
        self.say(JOIN, &request)
    }

    fn listen(&mut self, common: &Common, now: Instant) -> io::Result<News> {
        let link = self.link.as_mut().expect("the caller looked");
        let Some(answer) = link.poll()? else {
            return Ok(News::Nothing);
        };
        match (self.waits, common.protocol) {
            (Waits::Join, _) => self.joined(common, answer),
            (Waits::Sync, _) => self.synced(common, answer, now),
            (_, Protocol::Consumer) => self.on_consumer(common, answer, now),
            _ => {
                let answer = decoded::<HeartbeatRequest>(BEAT, answer)?;
                match answer.error_code {
                    NONE => Ok(self.beat(common, now)),
                    code => self.refused(code, common),
                }
            }
        }
    }

    fn beat(&mut self, common: &Common, now: Instant) -> News {
        self.waits = Waits::Nothing;
        self.due = self.sent + common.interval;
        self.beaten = now;
        News::Beaten(now - self.sent)
    }

    fn joined(&mut self, common: &Common, answer: Bytes) -> io::Result<News> {
        let answer = decoded::<JoinGroupRequest>(JOIN, answer)?;
        if !answer.member_id.is_empty() {
            self.id = answer.member_id;
        }
        match answer.error_code {
            NONE => {}
            MEMBER_ID_REQUIRED => return self.join(common).map(|()| News::Nothing),
            code => return self.refused(code, common),
        }
        self.epoch = answer.generation_id;
        let members = answer.members.into_iter();
        let assignments = members.map(|member| SyncGroupRequestAssignment {
            member_id: member.member_id,
            assignment: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.waits = Waits::Sync;
        self.say(SYNC, &request)?;
        Ok(News::Nothing)
    }

    fn synced(&mut self, common: &Common, answer: Bytes, now: Instant) -> io::Result<News> {
        let answer = decoded::<SyncGroupRequest>(SYNC, answer)?;
        if answer.error_code != NONE {
            return self.refused(answer.error_code, common);
        }
        self.sent = now;
        self.beat(common, now);
        Ok(News::Moved)
    }

    fn on_consumer(&mut self, common: &Common, answer: Bytes, now: Instant) -> io::Result<News> {
        let answer = decoded::<ConsumerGroupHeartbeatRequest>(CONSUMER, answer)?;
        if answer.error_code != NONE {
            return self.refused(answer.error_code, common);
        }
        let moved = answer.member_epoch != self.epoch || answer.assignment.is_some();
        self.epoch = answer.member_epoch;
        let beaten = self.beat(common, now);
        if let Some(assignment) = answer.assignment {
            let owned = assignment.topic_partitions.into_iter();
            let owned = owned.map(|topic| TopicPartitions {
                topic_id: topic.topic_id,
                partitions: topic.partitions,
            });
            self.owned = Some(owned.collect());
            self.due = now;
        }
        Ok(if moved { News::Moved } else { beaten })
    }

    fn refused(&mut self, code: i16, common: &Common) -> io::Result<News> {
        match code {
            LOADING | NOT_AVAILABLE | NOT_COORDINATOR => Err(io::Error::other("no coordinator")),
            REBALANCE => self.join(common).map(|()| News::Called),
            UNKNOWN_MEMBER => {
                self.epoch = -1;
                self.id.clear();
                self.waits = Waits::Nothing;
                Ok(News::Called)
            }
            code => panic!("group {}: code {code}", self.group),
        }
    }
}
