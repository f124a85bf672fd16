mod left;

use super::hello::{Card, Message, Purpose};
use super::*;
use crate::cluster::{Cluster, Identity, Voter};
use crate::scratch::Scratch;
use base::Uuid;
use base::limits::NODE_FRAME_BYTES_MAX;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

#[derive(Debug, PartialEq, Eq)]
enum News {
    Up(NodeId),
    Down(NodeId),
    Frame(NodeId, Bytes),
    Coming(NodeId),
}

struct Ear(UnboundedSender<News>);

impl PeerSink for Ear {
    fn introduce(&self, _: NodeId, _: Home, _: Duration) -> oneshot::Receiver<Reply> {
        oneshot::channel().1
    }
    fn up(&self, node: NodeId) {
        let _ = self.0.send(News::Up(node));
    }
    fn down(&self, node: NodeId) {
        let _ = self.0.send(News::Down(node));
    }
    fn coming(&self, from: NodeId, _: u64) {
        let _ = self.0.send(News::Coming(from));
    }
    fn frame(&self, from: NodeId, bytes: Bytes, _: OwnedSemaphorePermit) {
        let _ = self.0.send(News::Frame(from, bytes));
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = os::socket::listen(any).expect("a free port");
    let address = listener.local_addr().expect("bound");
    (
        TcpListener::from_std(listener).expect("inside of a runtime"),
        address,
    )
}

struct Node {
    peers: Peers,
    standing: Arc<Standing>,
    news: UnboundedReceiver<News>,
    scratch: Scratch,
}

impl Node {
    fn start(
        id: u32,
        incarnation: Uuid,
        cluster: Option<Cluster>,
        addresses: &BTreeMap<NodeId, SocketAddr>,
        listener: TcpListener,
    ) -> Node {
        let scratch = Scratch::new();
        let mut identity = Identity::new(NodeId(id), incarnation);
        identity.cluster = cluster;
        let named: BTreeMap<NodeId, String> =
            addresses.iter().map(|(n, a)| (*n, a.to_string())).collect();
        let mut others = named.clone();
        others.remove(&NodeId(id));
        let disk = Arc::new(scratch.disk());
        let standing = Arc::new(Standing::new(
            disk,
            identity,
            named,
            os::entropy::uuid(),
            None,
        ));
        let (sender, news) = unbounded_channel();
        let ear = Arc::new(Ear(sender));
        let peers = Peers::start(Arc::clone(&standing), &others, Some(listener), ear);
        Node {
            peers,
            standing,
            news,
            scratch,
        }
    }

    async fn hears(&mut self, expected: News) {
        loop {
            let news = self.news.recv().await.expect("the transport lives");
            if news == expected {
                return;
            }
            assert!(
                !matches!(news, News::Frame(..)),
                "{news:?} before {expected:?}"
            );
        }
    }
}

fn formed(ids: &[u32]) -> Cluster {
    let voter = |n: &u32| Voter {
        node: NodeId(*n),
        incarnation: Uuid([*n as u8; 16]),
        address: String::new(),
    };
    Cluster {
        id: Uuid([9; 16]),
        voters: ids.iter().map(voter).collect(),
    }
}

#[tokio::test]
async fn empty_nodes_form_a_cluster_and_then_exchange_frames_in_order() {
    let mut listeners = Vec::new();
    let mut addresses = BTreeMap::new();
    for n in 1..=3 {
        let (listener, address) = listener();
        addresses.insert(NodeId(n), address);
        listeners.push(listener);
    }
    let mut nodes = Vec::new();
    for (listener, n) in listeners.into_iter().zip(1..) {
        nodes.push(Node::start(
            n,
            os::entropy::uuid(),
            None,
            &addresses,
            listener,
        ));
    }
    let mut ids = Vec::new();
    for node in &nodes {
        let mut formed = node.standing.formed();
        let cluster = formed
            .wait_for(Option::is_some)
            .await
            .expect("alive")
            .clone();
        ids.push(cluster.expect("waited for").id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    nodes[2].hears(News::Up(NodeId(1))).await;
    for n in 0..100u8 {
        let pieces = vec![
            Bytes::from(vec![n; 3]),
            Bytes::new(),
            Bytes::from(vec![n; 70_000]),
        ];
        nodes[2].peers.send(NodeId(1), pieces);
    }
    for n in 0..100u8 {
        nodes[0]
            .hears(News::Frame(NodeId(3), Bytes::from(vec![n; 70_003])))
            .await;
    }
}

/// Looks until what is told names all of these.
async fn is_told(told: impl Fn() -> Option<String>, words: &[&str]) {
    loop {
        let text = told().unwrap_or_default();
        if words.iter().all(|word| text.contains(word)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whom_a_start_waits_for_is_told_with_the_reason() {
    let (listener_1, address_1) = listener();
    let (listener_2, address_2) = listener();
    let (gone, address_3) = listener();
    drop(gone);
    let addresses = BTreeMap::from([
        (NodeId(1), address_1),
        (NodeId(2), address_2),
        (NodeId(3), address_3),
    ]);
    let first = Node::start(1, Uuid([1; 16]), None, &addresses, listener_1);
    let third = format!("node 3 at {address_3}: Connection refused");
    let told = || first.standing.waits_for();
    is_told(told, &["the first word of node 2, 3", &third]).await;
    // One whose cluster isn't this one says so.
    let other = Some(formed(&[1, 2, 3]));
    let second = Node::start(2, Uuid([2; 16]), other, &addresses, listener_2);
    is_told(told, &["node 2 belongs to cluster", &third]).await;
    is_told(|| Some(second.standing.unreached()), &[&third]).await;
}

#[tokio::test]
async fn a_restarted_peer_is_down_and_up_again() {
    let (listener_1, address_1) = listener();
    let (listener_2, address_2) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address_1), (NodeId(2), address_2)]);
    let cluster = Some(formed(&[1, 2]));
    let one = Uuid([1; 16]);
    let mut first = Node::start(1, one, cluster.clone(), &addresses, listener_1);
    // Node 2 by hand, so that it can be broken at will.
    let (mut from_1, _) = listener_2.accept().await.expect("node 1 dials");
    answer(&mut from_1, 2).await;
    first.hears(News::Up(NodeId(2))).await;
    drop(from_1);
    first.hears(News::Down(NodeId(2))).await;
    let (mut from_1, _) = listener_2.accept().await.expect("node 1 dials again");
    answer(&mut from_1, 2).await;
    first.hears(News::Up(NodeId(2))).await;
    first
        .peers
        .send(NodeId(2), vec![Bytes::from_static(b"after")]);
    let mut frame = [0; 9];
    tokio::io::AsyncReadExt::read_exact(&mut from_1, &mut frame)
        .await
        .expect("a frame");
    assert_eq!(&frame, b"\0\0\0\x05after");
}

#[tokio::test]
async fn bytes_of_a_frame_that_is_long_on_its_way_are_told() {
    let (listener_1, address) = listener();
    let (_silent, address_2) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address), (NodeId(2), address_2)]);
    let cluster = Some(formed(&[1, 2]));
    let mut first = Node::start(1, Uuid([1; 16]), cluster, &addresses, listener_1);
    let card = Card::new(NodeId(2), Uuid([2; 16]), Some(Uuid([9; 16])));
    let mut to_1 = TcpStream::connect(address).await.expect("listening");
    let hello = Message::Hello { card, to: 1 };
    hello::write(&mut to_1, &hello).await.expect("sent");
    hello::read(&mut to_1).await.expect("welcome");
    let head = NODE_FRAME_BYTES_MAX.to_be_bytes();
    to_1.write_all(&head).await.expect("sent");
    // However slowly they come.
    while first.news.try_recv() != Ok(News::Coming(NodeId(2))) {
        to_1.write_all(b"x").await.expect("sent");
        tokio::task::yield_now().await;
    }
}

/// A name may have an address at which there is another node, in front of the right one.
#[tokio::test]
async fn who_answers_at_one_address_of_a_name_does_not_hide_the_peer_behind_it() {
    let (listener_1, address) = listener();
    let (wrong, wrong_address) = listener();
    let (right, right_address) = listener();
    let (_silent, address_2) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address), (NodeId(2), address_2)]);
    let first = Node::start(
        1,
        Uuid([1; 16]),
        Some(formed(&[1, 2])),
        &addresses,
        listener_1,
    );
    let shared = &first.peers.shared;
    let link = shared.known(NodeId(2)).expect("a peer");
    let at = |listener: TcpListener, id: u32| async move {
        let (mut stream, _) = listener.accept().await.expect("node 1 dials");
        hello::read(&mut stream).await.expect("a hello");
        let card = Card::new(NodeId(id), Uuid([id as u8; 16]), Some(Uuid([9; 16])));
        let welcome = Message::Welcome { card };
        hello::write(&mut stream, &welcome).await.expect("sent");
    };
    let addresses = [wrong_address, right_address];
    let reached = dial::reach(shared, &link, addresses);
    let (reached, ..) = tokio::join!(reached, at(wrong, 3), at(right, 2));
    let (stream, _) = reached.expect("the second one is it");
    assert_eq!(stream.peer_addr().expect("connected"), right_address);
}

async fn answer(stream: &mut TcpStream, id: u32) {
    let hello = hello::read(stream).await.expect("a hello");
    assert!(
        matches!(hello, Message::Hello { to, .. } if to == id),
        "{hello:?}"
    );
    let card = Card::new(NodeId(id), Uuid([id as u8; 16]), Some(Uuid([9; 16])));
    hello::write(stream, &Message::Welcome { card })
        .await
        .expect("sent");
}

async fn say(address: SocketAddr, card: Card, to: u32) -> Message {
    let mut stream = TcpStream::connect(address).await.expect("listening");
    hello::write(&mut stream, &Message::Hello { card, to })
        .await
        .expect("sent");
    hello::read(&mut stream).await.expect("an answer")
}

#[tokio::test]
async fn who_does_not_belong_is_told_why() {
    let (listener_1, address) = listener();
    let (_silent, address_2) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address), (NodeId(2), address_2)]);
    let _node = Node::start(
        1,
        Uuid([1; 16]),
        Some(formed(&[1, 2])),
        &addresses,
        listener_1,
    );
    let card = |node: u32, incarnation: u8, cluster: u8| {
        Card::new(
            NodeId(node),
            Uuid([incarnation; 16]),
            Some(Uuid([cluster; 16])),
        )
    };
    let cases = [
        (card(2, 2, 9), 5, "this is node 1, not node 5"),
        (card(7, 7, 9), 1, "node 7 is not among the peers"),
        (card(2, 2, 8), 1, "node 2 belongs to cluster"),
        (card(2, 3, 9), 1, "knows node 2 with another data directory"),
    ];
    for (card, to, why) in cases {
        match say(address, card, to).await {
            Message::Refused { reason } => assert!(reason.contains(why), "{reason}"),
            other => panic!("{why}: {other:?}"),
        }
    }
    let welcome = say(address, card(2, 2, 9), 1).await;
    assert!(matches!(welcome, Message::Welcome { card } if card.node == 1));
}

#[tokio::test]
async fn strange_bytes_close_the_connection_and_nothing_else() {
    let (listener_1, address) = listener();
    let (_silent, address_2) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address), (NodeId(2), address_2)]);
    let mut node = Node::start(
        1,
        Uuid([1; 16]),
        Some(formed(&[1, 2])),
        &addresses,
        listener_1,
    );
    let strange: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"FLTP\xff\xff\0\0\0\0",
        b"FLTP\0\x01\xff\xff\xff\xff",
        b"FLTP\0\x01\0\0\0\x02{}",
    ];
    for bytes in strange {
        let mut stream = TcpStream::connect(address).await.expect("listening");
        stream.write_all(bytes).await.expect("sent");
        let answer = hello::read(&mut stream).await;
        assert!(answer.is_err(), "{bytes:?} was answered: {answer:?}");
    }
    // And a frame that no node sends, after a proper hello.
    let card = Card::new(NodeId(2), Uuid([2; 16]), Some(Uuid([9; 16])));
    let mut stream = TcpStream::connect(address).await.expect("listening");
    hello::write(&mut stream, &Message::Hello { card, to: 1 })
        .await
        .expect("sent");
    hello::read(&mut stream).await.expect("welcome");
    stream.write_all(b"\0\0\0\x02ok").await.expect("sent");
    node.hears(News::Frame(NodeId(2), Bytes::from_static(b"ok")))
        .await;
    stream
        .write_all(&u32::MAX.to_be_bytes())
        .await
        .expect("sent");
    node.hears(News::Down(NodeId(2))).await;
}

#[test]
fn a_stream_is_cut_into_frames_wherever_it_was_split() {
    let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x05defgh";
    for at in 0..stream.len() {
        let mut splitter = frames::Splitter::default();
        let mut got = Vec::new();
        for part in [&stream[..at], &stream[at..]] {
            splitter.room().extend_from_slice(part);
            while let Some(frame) = splitter.next().expect("short frames") {
                got.push(frame);
            }
        }
        assert_eq!(got, [&b"abc"[..], b"", b"defgh"], "split at {at}");
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_at_its_length_and_a_claim_reserves_little() {
    let mut splitter = frames::Splitter::default();
    splitter
        .room()
        .extend_from_slice(&NODE_FRAME_BYTES_MAX.to_be_bytes());
    assert_eq!(splitter.next(), Ok(None));
    assert!(splitter.room().capacity() < 8 * 1024 * 1024);
    let mut splitter = frames::Splitter::default();
    splitter
        .room()
        .extend_from_slice(&(NODE_FRAME_BYTES_MAX + 1).to_be_bytes());
    assert_eq!(
        splitter.next(),
        Err(frames::TooLong(NODE_FRAME_BYTES_MAX + 1))
    );
}

#[tokio::test]
async fn a_full_outbox_drops_the_newest_and_counts_it() {
    let outbox = outbox::Outbox::new(10);
    outbox.push(vec![
        Bytes::from_static(b"12345"),
        Bytes::from_static(b"678"),
    ]);
    outbox.push(vec![Bytes::from_static(b"abc")]);
    outbox.push(vec![Bytes::from_static(b"ab")]);
    assert_eq!(outbox.dropped(), 1);
    let frames = outbox.take().await;
    assert_eq!(frames[1], [Bytes::from_static(b"ab")]);
    assert_eq!(frames.len(), 2);
    outbox.push(vec![Bytes::from_static(b"0123456789")]);
    assert_eq!(outbox.take().await.len(), 1, "taking makes room");
}

#[test]
fn two_nodes_belong_together_only_in_one_cluster_that_took_both_in() {
    let mine = formed(&[1, 2]);
    let card = |node: u32, directory: u8, generation, cluster| Card {
        generation,
        ..Card::new(NodeId(node), Uuid([directory; 16]), cluster)
    };
    let mut image = meta::Image::default();
    let judge = |card: &Card, image: &meta::Image| {
        let mine = Some(&mine).filter(|_| card.node != 9);
        hello::judge(mine, card, image)
    };
    let ours = Some(mine.id);
    assert_eq!(judge(&card(2, 2, 0, ours), &image), Ok(Purpose::Frames));
    assert_eq!(judge(&card(2, 2, 0, None), &image), Ok(Purpose::Forming));
    assert_eq!(judge(&card(9, 2, 0, ours), &image), Ok(Purpose::Forming));
    assert!(judge(&card(2, 2, 0, Some(Uuid([8; 16]))), &image).is_err());
    assert!(
        judge(&card(2, 7, 0, ours), &image).is_err(),
        "an erased one"
    );

    // A founder's number that was given anew before this node heard of it.
    assert_eq!(judge(&card(2, 6, 1, ours), &image), Ok(Purpose::Frames));
    // One that joined after what is known here; then one that was unregistered; then its successor.
    assert_eq!(judge(&card(4, 4, 1, ours), &image), Ok(Purpose::Frames));
    image.generations.insert(NodeId(4), 1);
    image.generations.insert(NodeId(2), 0);
    assert!(judge(&card(4, 4, 1, ours), &image).is_err());
    assert!(judge(&card(2, 2, 0, ours), &image).is_err());
    assert_eq!(judge(&card(4, 5, 2, ours), &image), Ok(Purpose::Frames));
    assert_eq!(judge(&card(2, 6, 1, ours), &image), Ok(Purpose::Frames));
}

#[tokio::test]
async fn one_that_is_newer_than_what_is_known_is_let_in_and_dialled() {
    let (listener_1, address) = listener();
    let (listener_4, address_4) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address)]);
    let cluster = Some(formed(&[1]));
    let mut first = Node::start(1, Uuid([1; 16]), cluster, &addresses, listener_1);
    let silent = Card::new(NodeId(4), Uuid([4; 16]), Some(Uuid([9; 16])));
    let Message::Refused { reason } = say(address, silent.clone(), 1).await else {
        panic!("nobody knows where it lives");
    };
    assert!(reason.contains("not among the peers"), "{reason}");
    let card = Card {
        address: Some(address_4.to_string()),
        ..silent
    };
    let answer_1 = say(address, card, 1).await;
    assert!(matches!(answer_1, Message::Welcome { .. }), "{answer_1:?}");
    let (mut from_1, _) = listener_4.accept().await.expect("node 1 dials");
    answer(&mut from_1, 4).await;
    first.hears(News::Up(NodeId(4))).await;
}

#[test]
fn who_can_not_read_what_a_cluster_writes_is_not_let_in() {
    let card = |cluster| Card::new(NodeId(4), Uuid([4; 16]), cluster);
    let new = card(None);
    let judge = |levels, level| hello::may_join(&new, levels, meta::Level(level));
    assert_eq!(judge(Some((1, 3)), 3), Ok(()));
    assert_eq!(judge(None, 1), Ok(()), "of that level it is");
    let why = judge(Some((1, 2)), 3).expect_err("it would skip what is written");
    for named in ["node 4", "levels 1 to 2", "at level 3"] {
        assert!(why.contains(named), "{why}");
    }
    let why = judge(None, 2).expect_err("older than levels");
    assert!(why.contains("older") && why.contains("at level 2"), "{why}");
    // A member of an older release asks again at each start, and has told its levels otherwise.
    let member = card(Some(Uuid([9; 16])));
    assert_eq!(hello::may_join(&member, None, meta::Level(2)), Ok(()));
    assert!(hello::may_join(&member, Some((1, 1)), meta::Level(2)).is_err());

    // Earlier releases say nothing of levels, and don't look at what they don't know.
    let text = r#"{"kind":"join","card":{"node":4,"incarnation":"04040404-0404-0404-0404-040404040404","cluster":null},"address":"a:1","release":"1","later":5}"#;
    let text = text.replace(
        "04040404-0404-0404-0404-040404040404",
        &Uuid([4; 16]).to_string(),
    );
    let join: Message = serde_json::from_str(&text).expect("a message of before");
    assert!(
        matches!(join, Message::Join { levels: None, .. }),
        "{join:?}"
    );
}

/// Once another node counts on it, an erased directory of a node that formed its cluster alone isn't
/// taken for a new one.
#[tokio::test]
async fn one_that_formed_a_cluster_alone_remembers_that_others_came() {
    let (listener_1, address) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address)]);
    let cluster = formed(&[1]);
    let first = Node::start(
        1,
        Uuid([1; 16]),
        Some(cluster.clone()),
        &addresses,
        listener_1,
    );
    let disk = first.scratch.disk();
    assert!(Identity::read_any(&disk).expect("readable").is_none());
    let mut stream = TcpStream::connect(address).await.expect("listening");
    let join = Message::Join {
        card: Card::new(NodeId(4), Uuid([4; 16]), Some(cluster.id)),
        address: "a:1".to_owned(),
        release: "1".to_owned(),
        levels: Some((1, 3)),
    };
    hello::write(&mut stream, &join).await.expect("sent");
    let answer = hello::read(&mut stream).await.expect("an answer");
    assert!(matches!(answer, Message::Joined { .. }), "{answer:?}");
    let identity = Identity::read_any(&disk)
        .expect("readable")
        .expect("written");
    assert!(identity.grown);
    assert_eq!(identity.cluster, Some(cluster));
}
