//! A simulated Kafka client: it speaks bytes over connections that break, keeps a view of the
//! metadata, and does what its role wants. It reports every answer to the checkers.

pub(crate) mod admin;
pub(crate) mod codes;
pub(crate) mod consumer;
pub(crate) mod links;
pub(crate) mod member;
pub(crate) mod producer;
mod sessions;
pub(crate) mod view;

use crate::book::Book;
use crate::checkers::{Checked, Checkers, Violation, violation};
use crate::net::Place;
use crate::node::Node;
use crate::scheduler::Micros;
use admin::Admin;
use base::Random;
use bytes::Bytes;
use consumer::Consumer;
use links::{Ask, Links, Waiting};
use member::Member;
use producer::Producer;
use std::collections::BTreeMap;
use view::View;
use wire_kafka::messages::api_versions_request::ApiVersionsRequest;
use wire_kafka::messages::api_versions_response::ApiVersionsResponse;
use wire_kafka::messages::metadata_response::MetadataResponse;
use wire_kafka::{ApiKey, Message, Reader, Request};

/// What a client wants of the world.
pub(crate) enum Act {
    /// Connect to a node.
    Open { connection: u64, node: Place },
    /// Send on a connection.
    Send { connection: u64, bytes: Bytes },
    /// Hang up.
    Close { connection: u64 },
}

/// What a client may touch while it acts.
pub(crate) struct Reach<'a> {
    pub(crate) now: Micros,
    /// Wall time in ms, for timestamps.
    pub(crate) wall_ms: i64,
    pub(crate) nodes: usize,
    pub(crate) checkers: &'a mut Checkers,
    pub(crate) book: &'a mut Book,
    pub(crate) cluster: &'a [Node],
    pub(crate) acts: Vec<Act>,
    /// Lines for the trace; `None` if nobody reads it.
    pub(crate) story: Option<Vec<String>>,
}

impl Reach<'_> {
    /// Tells the trace.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }
}

/// What a client does.
pub(crate) enum Role {
    /// Writes.
    Producer(Producer),
    /// Reads.
    Consumer(Consumer),
    /// Makes and deletes topics and asks questions.
    Admin(Admin),
    /// Consumes as a member of a group.
    Member(Member),
}

/// What all roles have.
pub(crate) struct Common {
    pub(crate) id: u64,
    pub(crate) random: Random,
    pub(crate) links: Links,
    pub(crate) view: View,
    /// Versions served, once asked.
    served: BTreeMap<i16, (i16, i16)>,
    asked_versions: bool,
    /// Not before this is metadata asked for again.
    refresh_at: Micros,
    /// When metadata is asked for without need, as real clients do.
    look_again_at: Micros,
}

/// A client.
pub(crate) struct Client {
    pub(crate) common: Common,
    pub(crate) role: Role,
}

/// Versions below these can't carry batches as they are stored.
fn oldest(api: ApiKey) -> i16 {
    match api {
        ApiKey::Produce => 3,
        ApiKey::Fetch => 4,
        ApiKey::ListOffsets => 1,
        ApiKey::Metadata => 7,
        _ => 0,
    }
}

impl Common {
    /// A version to speak: most often the newest that both know.
    pub(crate) fn version<R: Request>(&mut self) -> i16 {
        let (min, max) = self.served.get(&R::API.code()).copied().unwrap_or((0, 0));
        let low = min.max(*R::VERSIONS.start()).max(oldest(R::API));
        let high = max.min(*R::VERSIONS.end());
        if high <= low || self.random.percent(60) {
            return high.max(low);
        }
        self.random.between(low as u64, high as u64) as i16
    }

    /// As [`Common::version`], of an API that names topics by id from version `ids_from` on:
    /// only a client that knows the ids can speak that.
    pub(crate) fn version_for<R: Request>(&mut self, ids_from: i16, topics: &[u32]) -> i16 {
        let version = self.version::<R>();
        let known = topics.iter().all(|topic| self.view.ids.contains_key(topic));
        if known {
            version
        } else {
            version.min(ids_from - 1)
        }
    }

    /// Sends a request.
    pub(crate) fn ask<R: Request>(
        &mut self,
        reach: &mut Reach<'_>,
        node: Place,
        version: i16,
        body: &R,
        ask: Ask,
    ) {
        reach.book.operations += 1;
        self.links.ask(reach, self.id, node, version, body, ask);
    }

    /// Any node.
    pub(crate) fn any_node(&mut self, reach: &Reach<'_>) -> Place {
        self.random.below(reach.nodes as u64) as usize
    }

    /// Asks what is to be asked before anything else; false while that isn't known.
    fn introduce(&mut self, reach: &mut Reach<'_>) -> bool {
        if self.served.is_empty() {
            if !self.asked_versions {
                self.asked_versions = true;
                let node = self.any_node(reach);
                let body = ApiVersionsRequest {
                    client_software_name: "sim".into(),
                    client_software_version: "1".into(),
                };
                self.ask(reach, node, 3, &body, Ask::Versions);
            }
            return false;
        }
        if reach.now >= self.look_again_at {
            self.look_again_at = reach.now + self.random.between(500_000, 3_000_000);
            self.view.wanted = true;
        }
        if self.view.wanted && !self.view.asked && reach.now >= self.refresh_at {
            self.view.asked = true;
            self.refresh_at = reach.now + self.random.between(20_000, 200_000);
            let node = self.any_node(reach);
            let version = self.version::<view::MetadataRequest>();
            self.ask(reach, node, version, &view::request(), Ask::Metadata);
        }
        true
    }

    fn versions(&mut self, mut reader: Reader) -> Checked {
        let answer: ApiVersionsResponse = decode(3, &mut reader)?;
        for key in &answer.api_keys {
            self.served
                .insert(key.api_key, (key.min_version, key.max_version));
        }
        Ok(())
    }
}

/// Reads an answer; one that can't be read is a broken promise too.
pub(crate) fn decode<M: Message>(version: i16, reader: &mut Reader) -> Result<M, Violation> {
    let bad = |what: String| {
        violation(
            "answers can be read",
            format!("{} v{version}: {what}", M::NAME),
        )
    };
    let answer = M::decode(version, reader).map_err(|e| bad(e.to_string()))?;
    match reader.remaining() {
        0 => Ok(answer),
        left => Err(bad(format!("{left} bytes follow it"))),
    }
}

impl Client {
    /// A client that knows nothing yet.
    pub(crate) fn new(id: u64, mut random: Random, role: Role) -> Client {
        let links = Links::new(random.fork());
        let common = Common {
            id,
            random,
            links,
            view: View::default(),
            served: BTreeMap::new(),
            asked_versions: false,
            refresh_at: 0,
            look_again_at: 0,
        };
        Client { common, role }
    }

    /// Acts; says when it wants to act again.
    pub(crate) fn wake(&mut self, reach: &mut Reach<'_>) -> Micros {
        for waiting in self.common.links.expired(reach) {
            self.lost(waiting, reach);
        }
        let pause = self.common.random.between(2_000, 20_000);
        if !self.common.introduce(reach) {
            return reach.now + pause;
        }
        let next = match &mut self.role {
            Role::Producer(producer) => producer.act(&mut self.common, reach),
            Role::Consumer(consumer) => consumer.act(&mut self.common, reach),
            Role::Admin(admin) => admin.act(&mut self.common, reach),
            Role::Member(member) => member.act(&mut self.common, reach),
        };
        let soonest = if self.common.view.wanted {
            reach.now + pause
        } else {
            next
        };
        next.min(soonest)
            .min(self.common.look_again_at)
            .min(self.common.links.next_timeout())
            .max(reach.now + 1_000)
    }

    /// Bytes came.
    pub(crate) fn on_bytes(
        &mut self,
        connection: u64,
        bytes: Bytes,
        reach: &mut Reach<'_>,
    ) -> Checked {
        self.common.links.push(connection, bytes);
        while let Some((waiting, reader)) = self.common.links.next_answer(connection, reach)? {
            self.answered(waiting, reader, reach)?;
        }
        Ok(())
    }

    /// A connection broke.
    pub(crate) fn on_closed(&mut self, connection: u64, reach: &mut Reach<'_>) {
        reach.checkers.answers.closed(connection);
        for waiting in self.common.links.closed(connection) {
            self.lost(waiting, reach);
        }
    }

    fn answered(&mut self, waiting: Waiting, mut reader: Reader, reach: &mut Reach<'_>) -> Checked {
        match (waiting.ask, &mut self.role) {
            (Ask::Versions, _) => self.common.versions(reader),
            (Ask::Metadata, _) => {
                let answer: MetadataResponse = decode(waiting.version, &mut reader)?;
                self.common.view.learn(&answer, waiting.connection, reach)
            }
            (Ask::Group(ask), Role::Member(member)) => {
                let told = (waiting.version, waiting.node);
                member.answered(&mut self.common, reach, ask, told, reader)
            }
            (ask, Role::Member(_)) => unreachable!("a member doesn't ask {ask:?}"),
            (ask, Role::Producer(producer)) => {
                producer.answered(&mut self.common, reach, ask, waiting.version, reader)
            }
            (ask, Role::Consumer(consumer)) => {
                let told = (waiting.version, waiting.connection);
                consumer.answered(&mut self.common, reach, ask, told, reader)
            }
            (ask, Role::Admin(admin)) => {
                admin.answered(&mut self.common, reach, ask, waiting.version, reader)
            }
        }
    }

    /// No answer will come: whether it was done, nobody knows.
    fn lost(&mut self, waiting: Waiting, reach: &mut Reach<'_>) {
        self.common.view.wanted = true;
        match (waiting.ask, &mut self.role) {
            (Ask::Versions, _) => self.common.asked_versions = false,
            (Ask::Metadata, _) => self.common.view.asked = false,
            (ask, Role::Producer(producer)) => producer.lost(&mut self.common, reach, ask),
            (ask, Role::Consumer(consumer)) => consumer.lost(ask),
            (ask, Role::Admin(admin)) => admin.lost(ask),
            (Ask::Group(ask), Role::Member(member)) => member.lost(&ask),
            (_, Role::Member(_)) => {}
        }
    }
}
