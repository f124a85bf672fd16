//! A connection with a real broker behind it, whose shard is the test: commands are taken from
//! the mailbox and answered by hand. Files are kept in memory and can be made to wait or to rot.

mod disk;

pub(crate) use disk::MemoryDisk;

use crate::{Connection, Out};
use base::record::Builder;
use base::{Batch, GroupId, Mono, NodeId, Now, Refusal, Term, Uuid, WallMs};
use broker::{Broker, Mailbox, Settings};
use bytes::Bytes;
use log::{GroupLog, Storage, StorageSettings, Turn};
use meta::{Image, NodeInfo, PartitionInfo, Topic, TopicSettings};
use shard::{Command, Event, Reply, ReplySink, ReplyTo};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use wire_kafka::{ApiKey, Message, Reader, Request, frame};

pub(crate) const NOW: Now = Now {
    mono: Mono(1_000_000),
    wall: WallMs(1_800_000_000_000),
};
pub(crate) const HERE: NodeId = NodeId(1);
pub(crate) const THERE: NodeId = NodeId(2);
pub(crate) const TERM: Term = Term(5);

/// The topic ids are the first letter, repeated.
pub(crate) fn id_of(name: &str) -> Uuid {
    Uuid([name.as_bytes()[0]; 16])
}

/// What the shard was sent.
#[derive(Default)]
pub(crate) struct Script(Mutex<VecDeque<(Command, Option<ReplyTo>)>>);

impl Mailbox for Script {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        if let Event::Command(command, to) = event {
            self.0.lock().unwrap().push_back((command, to));
        }
        Ok(())
    }
}

/// Where replies wait until the test hands them over.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<VecDeque<(u64, Reply)>>);

impl ReplySink for Inbox {
    fn reply(&self, ticket: u64, reply: Reply) {
        self.0.lock().unwrap().push_back((ticket, reply));
    }
}

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) disk: Arc<MemoryDisk>,
    pub(crate) storage: Storage,
    pub(crate) connection: Connection,
    script: Arc<Script>,
    inbox: Arc<Inbox>,
    correlation: i32,
    /// What left so far.
    pub(crate) sent: Vec<u8>,
    pub(crate) out: Out,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(&[])
    }

    /// A world whose node is configured like this.
    pub(crate) fn with(settings: &[(&str, &str)]) -> World {
        let pairs: Vec<(String, String)> = settings
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        let settings = Settings::parse(&pairs).unwrap();
        let disk = Arc::new(MemoryDisk::default());
        let small = StorageSettings {
            wal_file_bytes: 1 << 20,
            ..StorageSettings::default()
        };
        let (storage, _) = Storage::open(disk.clone(), small).unwrap();
        let (script, inbox) = (Arc::new(Script::default()), Arc::new(Inbox::default()));
        let files = storage.files();
        let broker = Broker::new(HERE, id_of("cluster"), settings, files, script.clone(), 7);
        broker.publish(Arc::new(image()));
        broker.publish_leaders(&leaders());
        let connection = Connection::new(3, "test".to_owned(), broker.clone(), inbox.clone());
        let (correlation, sent, out) = (0, Vec::new(), Out::default());
        World {
            broker,
            disk,
            storage,
            connection,
            script,
            inbox,
            correlation,
            sent,
            out,
        }
    }

    /// The client comes in by another listener.
    pub(crate) fn by(mut self, listener: &str) -> World {
        self.connection = self.connect().by(listener.into());
        self
    }

    /// What the connection's clients pushed of their own metrics.
    pub(crate) fn telemetry(&self) -> &crate::telemetry::Telemetry {
        self.connection.telemetry()
    }

    /// Another client of the same node.
    pub(crate) fn connect(&mut self) -> Connection {
        Connection::new(
            4,
            "other".to_owned(),
            self.broker.clone(),
            self.inbox.clone(),
        )
    }

    /// The bytes of a request; correlation ids count up from 1.
    pub(crate) fn encode<R: Request>(&mut self, version: i16, body: &R) -> Vec<u8> {
        self.correlation += 1;
        frame::request(version, self.correlation, Some("test"), body).concat()
    }

    /// Hands bytes to the connection.
    pub(crate) fn push(&mut self, bytes: impl Into<Bytes>) {
        let _ = self.connection.on_bytes(NOW, bytes.into());
        self.settle();
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, body: &R) {
        let bytes = self.encode(version, body);
        self.push(bytes);
    }

    /// Hands over replies and takes what leaves, until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            let reply = self.inbox.0.lock().unwrap().pop_front();
            if let Some((ticket, reply)) = reply {
                self.connection.on_reply(NOW, ticket, reply);
                continue;
            }
            let out = self.connection.take();
            let moved = !out.bytes.is_empty();
            self.sent.extend(out.bytes.concat());
            self.out.cold.extend(out.cold);
            self.out.notes.extend(out.notes);
            self.out.close = self.out.close.take().or(out.close);
            if !moved && !self.connection.yields() {
                return;
            }
            self.connection.resume(NOW);
        }
    }

    /// The next command that the shard was sent.
    pub(crate) fn command(&mut self) -> Option<(Command, Option<ReplyTo>)> {
        self.script.0.lock().unwrap().pop_front()
    }

    /// Answers a command and lets the connection go on.
    pub(crate) fn reply(&mut self, to: Option<ReplyTo>, reply: Reply) {
        let to = to.expect("somebody waits for this reply");
        to.sink.reply(to.ticket, reply);
        self.settle();
    }

    /// Expects one command, answers it, and gives it back.
    pub(crate) fn answer_with(&mut self, reply: Reply) -> Command {
        let (command, to) = self.command().expect("the shard was sent something");
        self.reply(to, reply);
        command
    }

    /// Runs the cold reads that were handed out.
    pub(crate) fn read_cold(&mut self) {
        for (ticket, read) in std::mem::take(&mut self.out.cold) {
            self.connection.on_read(NOW, ticket, read.run());
        }
        self.settle();
    }

    /// The frames that left since the last call, without their lengths.
    pub(crate) fn frames(&mut self) -> Vec<Bytes> {
        let mut frames = frame::Frames::new(u32::MAX >> 1);
        frames.push(std::mem::take(&mut self.sent).into());
        let all = std::iter::from_fn(|| frames.next_frame().unwrap()).collect();
        assert_eq!(frames.buffered(), 0, "only whole frames leave");
        all
    }

    /// The only answer that left, decoded to the last byte.
    pub(crate) fn answer<M: Message>(&mut self, key: ApiKey, version: i16) -> M {
        let frames = self.frames();
        assert_eq!(frames.len(), 1, "one answer");
        decode(key, version, &frames[0]).1
    }

    /// Sends a request that is answered at once.
    pub(crate) fn ask<R: Request>(&mut self, version: i16, body: &R) -> R::Response {
        self.send(version, body);
        self.answer(R::API, version)
    }

    /// Sends a request, answers its command, and gives back both.
    pub(crate) fn call<R: Request>(
        &mut self,
        version: i16,
        body: &R,
        reply: Reply,
    ) -> (Command, R::Response) {
        self.send(version, body);
        let command = self.answer_with(reply);
        (command, self.answer(R::API, version))
    }

    /// Writes batches to a group's files and gives the log that can plan reads of them.
    pub(crate) fn store(&mut self, group: GroupId, batches: &[Batch]) -> GroupLog {
        let settings = log::Settings {
            segment_bytes: 1 << 20,
            incarnation: 0,
        };
        let mut turn = Turn::new(1);
        turn.create(group, settings);
        let mut log = GroupLog::new(group, settings);
        for batch in batches {
            let mut batch = batch.clone();
            batch.stamp(log.end_offset(), TERM);
            let index = log.last_index().next();
            log.append_batch(&mut turn, index, TERM, &batch);
            log.commit(&mut turn, index);
        }
        self.storage.write(vec![turn]).unwrap();
        self.storage.settle().unwrap();
        log.settled(log.last_index());
        log
    }
}

/// Correlation id and body of an answer.
pub(crate) fn decode<M: Message>(key: ApiKey, version: i16, frame: &Bytes) -> (i32, M) {
    let mut reader = Reader::new(frame.clone());
    let correlation = frame::response_head(key, version, &mut reader).unwrap();
    let body = M::decode(version, &mut reader).unwrap();
    assert_eq!(
        reader.remaining(),
        0,
        "the answer has no more than its version"
    );
    (correlation, body)
}

/// A batch of one record.
pub(crate) fn batch(value: &[u8]) -> Batch {
    let mut builder = Builder::new(NOW.wall.0);
    builder.push(NOW.wall.0, Some(b"key"), Some(value), &[]);
    builder.build()
}

fn topic(name: &str, groups: &[u64], replicas: &[NodeId], configs: &[(&str, &str)]) -> Topic {
    let configs: BTreeMap<String, String> = configs
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let info = |group| PartitionInfo {
        group: GroupId(group),
        replicas: replicas.to_vec(),
        moves: None,
    };
    Topic {
        id: id_of(name),
        name: name.to_owned(),
        partitions: groups.iter().map(|group| info(*group)).collect(),
        settings: Arc::new(TopicSettings::parse(&configs, &BTreeMap::new())),
        configs,
    }
}

/// The image with one more topic, as after its creation.
pub(crate) fn image_with(name: &str, group: u64) -> Image {
    let mut image = image();
    add(&mut image, topic(name, &[group], &[HERE], &[]));
    image.version += 1;
    image
}

fn add(image: &mut Image, topic: Topic) {
    image.add(Arc::new(topic));
}

/// "orders" has two partitions here and one of no leader; "far" is led and kept elsewhere.
fn image() -> Image {
    let mut image = Image {
        version: 40,
        ..Image::default()
    };
    let at = |host: &str, rack: Option<&str>| NodeInfo::new(host, 9092, rack);
    let mut here = at("here", Some("r1"));
    here.endpoints.push(meta::Endpoint {
        listener: "INSIDE".to_owned(),
        host: "here.inside".to_owned(),
        port: 9093,
    });
    image.nodes.insert(HERE, here);
    image.nodes.insert(THERE, at("there", None));
    add(&mut image, topic("orders", &[1, 2, 3], &[HERE, THERE], &[]));
    add(&mut image, topic("far", &[9], &[THERE], &[]));
    add(&mut image, topic("moved", &[8], &[HERE, THERE], &[]));
    add(
        &mut image,
        topic("keyed", &[4], &[HERE], &[("cleanup.policy", "compact")]),
    );
    add(
        &mut image,
        topic("small", &[5], &[HERE], &[("max.message.bytes", "100")]),
    );
    image
}

fn leaders() -> Vec<(GroupId, Term, Option<NodeId>)> {
    let here = |group| (GroupId(group), TERM, Some(HERE));
    let there = |group| (GroupId(group), Term(7), Some(THERE));
    vec![
        here(0),
        here(1),
        here(2),
        (GroupId(3), Term(6), None),
        here(4),
        here(5),
        there(8),
        there(9),
    ]
}
