use super::*;
use crate::engine::mailbox;
use crate::scratch::Scratch;
use base::{NodeId, ProducerId, Refusal, Uuid};
use broker::{Mailbox, Settings};
use log::{Storage, StorageSettings};
use shard::{Command, Event, Reply, ReplyTo};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// The shard is the test: calls wait here until it answers them.
struct Calls(UnboundedSender<ReplyTo>);

impl Mailbox for Calls {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        if let Event::Command(Command::Meta { .. }, Some(to)) = event {
            let _ = self.0.send(to);
        }
        Ok(())
    }
}

struct World {
    door: Arc<Door>,
    address: SocketAddr,
    calls: UnboundedReceiver<ReplyTo>,
    accepting: JoinHandle<()>,
    _scratch: Scratch,
}

impl World {
    fn new(settings: &[(&str, &str)]) -> World {
        let scratch = Scratch::new();
        let settings = Settings::parse(settings).expect("keys that exist");
        let (storage, _) = Storage::open(Arc::new(scratch.disk()), StorageSettings::default())
            .expect("an empty directory");
        let (sender, calls) = unbounded_channel();
        let mailbox = Arc::new(mailbox::Mailbox::new(1));
        let readers = Readers::start("reader", 1, &storage.files(), &mailbox).expect("a thread");
        let to_shard = Arc::new(Calls(sender));
        let broker = Broker::new(
            NodeId(1),
            Uuid::ZERO,
            settings,
            storage.files(),
            to_shard,
            1,
        );
        let door = Door::new(broker, readers, Edges::here());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = os::socket::listen(any).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let listener = TcpListener::from_std(listener).expect("inside of a runtime");
        let accepting = tokio::spawn(Arc::clone(&door).accept(listener, "PLAINTEXT".into()));
        World {
            door,
            address,
            calls,
            accepting,
            _scratch: scratch,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("listening")
    }

    /// Answers the call that a request for a producer id leads to.
    async fn answer(&mut self) {
        let to = self.calls.recv().await.expect("the broker lives");
        to.sink.reply(
            to.ticket,
            Reply::Meta(Ok(meta::Reply::ProducerIds(ProducerId(1000)))),
        );
    }
}

/// A request of ApiVersions 0, which the door answers by itself.
fn versions(correlation: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 10, 0, 18, 0, 0];
    bytes.extend(correlation.to_be_bytes());
    bytes.extend([0xff, 0xff]);
    bytes
}

/// A request of InitProducerId 0, which waits for the controller.
fn producer_id(correlation: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 16, 0, 22, 0, 0];
    bytes.extend(correlation.to_be_bytes());
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0x27, 0x10]);
    bytes
}

/// The correlation id of the next answer.
async fn answered(stream: &mut TcpStream) -> io::Result<u32> {
    let length = stream.read_u32().await?;
    let correlation = stream.read_u32().await?;
    let mut rest = vec![0; length as usize - 4];
    stream.read_exact(&mut rest).await?;
    Ok(correlation)
}

async fn ended(stream: &mut TcpStream) -> bool {
    stream.read_u8().await.is_err()
}

#[tokio::test]
async fn requests_are_answered_in_order_however_the_stream_is_cut() {
    let world = World::new(&[]);
    let mut stream = world.connect().await;
    let together = [versions(1), versions(2)].concat();
    stream.write_all(&together).await.expect("sent");
    for byte in versions(3) {
        stream.write_all(&[byte]).await.expect("sent");
    }
    for expected in 1..=3 {
        assert_eq!(answered(&mut stream).await.expect("an answer"), expected);
    }
}

#[tokio::test]
async fn a_flood_of_requests_is_answered_to_the_last_one() {
    const REQUESTS: u32 = 50_000;
    let world = World::new(&[]);
    let (mut reader, mut writer) = world.connect().await.into_split();
    let flood = tokio::spawn(async move {
        for correlation in 0..REQUESTS {
            writer
                .write_all(&versions(correlation))
                .await
                .expect("taken in the end");
        }
        writer
    });
    let mut answers = io::Cursor::new(Vec::new());
    for expected in 0..REQUESTS {
        // Through a buffer: a read of the socket for each answer takes long.
        while !whole(&answers) {
            let rest = answers.get_ref()[answers.position() as usize..].to_vec();
            answers = io::Cursor::new(rest);
            let count = reader.read_buf(answers.get_mut()).await.expect("open");
            assert!(count > 0, "closed before answer {expected}");
        }
        let length = answers.read_u32().await.expect("there");
        assert_eq!(answers.read_u32().await.expect("there"), expected);
        answers.set_position(answers.position() + u64::from(length) - 4);
    }
    flood.await.expect("all was taken");
}

fn whole(answers: &io::Cursor<Vec<u8>>) -> bool {
    let rest = &answers.get_ref()[answers.position() as usize..];
    let length = rest
        .first_chunk::<4>()
        .map(|head| u32::from_be_bytes(*head) as usize);
    length.is_some_and(|length| rest.len() >= length + 4)
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let world = World::new(&[]);
    let mut good = world.connect().await;
    let mut bad = world.connect().await;
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    assert!(ended(&mut bad).await);
    good.write_all(&versions(5)).await.expect("sent");
    assert_eq!(answered(&mut good).await.expect("an answer"), 5);
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away_until_there_is_room() {
    let world = World::new(&[("max.connections", "1")]);
    let mut first = world.connect().await;
    first.write_all(&versions(1)).await.expect("sent");
    assert_eq!(answered(&mut first).await.expect("an answer"), 1);
    assert!(ended(&mut world.connect().await).await);
    assert_eq!(world.door.turned_away(), 1);
    drop(first);
    loop {
        let mut next = world.connect().await;
        let sent = next.write_all(&versions(2)).await;
        if sent.is_ok() && answered(&mut next).await.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn a_listener_s_own_limit_holds_for_its_connections() {
    let key = "listener.name.plaintext.max.connections";
    let world = World::new(&[(key, "1")]);
    let mut first = world.connect().await;
    first.write_all(&versions(1)).await.expect("sent");
    assert_eq!(answered(&mut first).await.expect("an answer"), 1);
    assert!(ended(&mut world.connect().await).await);
    assert_eq!(world.door.turned_away(), 1);
    let node = meta::Resource::new(meta::ResourceKind::Node, "1");
    let set = [(key.to_owned(), "2".to_owned())];
    let image = meta::Image {
        version: world.door.broker.image().version + 1,
        configs: Arc::new([(node, set.into())].into()),
        ..meta::Image::default()
    };
    world.door.broker.publish(Arc::new(image));
    let mut second = world.connect().await;
    second.write_all(&versions(2)).await.expect("sent");
    assert_eq!(answered(&mut second).await.expect("an answer"), 2);
    assert!(ended(&mut world.connect().await).await);
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_turned_away_until_it_has_fewer() {
    let others = ("max.connections.per.ip", "0");
    let named = ("max.connections.per.ip.overrides", "[::1]:5, 127.0.0.1:2");
    let world = World::new(&[others, named]);
    let mut both = [world.connect().await, world.connect().await];
    for (client, number) in both.iter_mut().zip(1..) {
        client.write_all(&versions(number)).await.expect("sent");
        assert_eq!(answered(client).await.expect("an answer"), number);
    }
    assert!(ended(&mut world.connect().await).await);
    assert_eq!(world.door.turned_away(), 1);
    drop(both);
    loop {
        let mut next = world.connect().await;
        let sent = next.write_all(&versions(3)).await;
        if sent.is_ok() && answered(&mut next).await.is_ok() {
            break;
        }
    }
    let world = World::new(&[others]);
    assert!(ended(&mut world.connect().await).await, "others may not");
}

/// More connections than come to a node that takes one a second before one of them is too many.
const MANY: u32 = 10_000;

#[tokio::test]
async fn connections_that_come_too_fast_wait_and_are_served() {
    let world = World::new(&[("max.connection.creation.rate", "1")]);
    let mut number = 0;
    while world.door.delayed() == 0 {
        number += 1;
        assert!(number < MANY, "nobody waited");
        let mut next = world.connect().await;
        next.write_all(&versions(number)).await.expect("sent");
        assert_eq!(answered(&mut next).await.expect("an answer"), number);
    }
    assert!(number > 11, "a burst doesn't wait");
    assert_eq!(world.door.turned_away(), 0);
}

#[tokio::test]
async fn an_address_that_comes_too_fast_is_turned_away_unread_and_others_are_not() {
    let world = World::new(&[]);
    let limit = |ip: &str| {
        let entity = meta::Entity {
            ip: Some(meta::Whom::Named(ip.to_owned())),
            ..meta::Entity::default()
        };
        let rate = (
            "connection_creation_rate".to_owned(),
            meta::Amount::new(1.0),
        );
        let image = meta::Image {
            version: world.door.broker.image().version + 1,
            quotas: Arc::new([(entity, [rate].into())].into()),
            ..meta::Image::default()
        };
        world.door.broker.publish(Arc::new(image));
    };
    limit("127.0.0.2");
    let mut number = 0;
    while number < 50 {
        number += 1;
        let mut next = world.connect().await;
        next.write_all(&versions(number)).await.expect("sent");
        assert_eq!(answered(&mut next).await.expect("an answer"), number);
    }
    limit("127.0.0.1");
    while world.door.turned_away() == 0 {
        number += 1;
        assert!(number < MANY, "nobody was turned away");
        let mut next = world.connect().await;
        let sent = next.write_all(&versions(1)).await;
        let served = sent.is_ok() && answered(&mut next).await.is_ok();
        assert_eq!(served, world.door.turned_away() == 0);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_not_one_that_waits_for_an_answer() {
    let mut world = World::new(&[("connections.max.idle.ms", "50")]);
    let mut waits = world.connect().await;
    waits.write_all(&producer_id(8)).await.expect("sent");
    let mut half = world.connect().await;
    half.write_all(&versions(1)[..9]).await.expect("sent");
    for _ in 0..3 {
        assert!(ended(&mut world.connect().await).await, "it sent nothing");
    }
    assert!(ended(&mut half).await, "half a request is no traffic");
    world.answer().await;
    assert_eq!(answered(&mut waits).await.expect("still open"), 8);
}

#[tokio::test]
async fn a_closing_door_answers_what_was_asked_and_then_ends() {
    let mut world = World::new(&[]);
    let mut waits = world.connect().await;
    waits.write_all(&producer_id(3)).await.expect("sent");
    let to = world.calls.recv().await.expect("the broker lives");
    let mut quiet = world.connect().await;
    quiet.write_all(&versions(1)).await.expect("sent");
    answered(&mut quiet).await.expect("an answer");
    world.door.stop_accepting();
    (&mut world.accepting).await.expect("it stops");
    world.door.stop_reading();
    assert!(ended(&mut quiet).await);
    to.sink.reply(
        to.ticket,
        Reply::Meta(Ok(meta::Reply::ProducerIds(ProducerId(1000)))),
    );
    assert_eq!(answered(&mut waits).await.expect("an answer"), 3);
    assert!(ended(&mut waits).await);
}

#[tokio::test]
async fn a_slow_reader_gets_its_answers_although_more_was_asked_than_is_read() {
    const ASKED: u32 = 100;
    let world = World::new(&[]);
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("small");
    let mut client = socket.connect(world.address).await.expect("listening");
    for n in 0..ASKED {
        client.write_all(&versions(n)).await.expect("open");
    }
    // All of them are read and answered, into buffers of the kernel.
    let answers = || -> u64 {
        let counts = world.door.counters().counts();
        counts.iter().map(|count| count.waits.total()).sum()
    };
    while answers() < u64::from(ASKED) {
        sleep(Duration::from_millis(5)).await;
    }
    world.door.stop_reading();
    client.write_all(&versions(ASKED)).await.expect("open");
    for n in 0..ASKED {
        assert_eq!(answered(&mut client).await.expect("an answer"), n);
    }
    assert!(ended(&mut client).await);
}
