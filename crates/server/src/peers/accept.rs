//! The connections that peers dial to this node: frames arrive on them.

use super::frames::Splitter;
use super::hello::{self, Card, Message, Purpose};
use super::{
    COMING_TOLD_EVERY, HALF_BREAK, HANDSHAKES_MAX, HELLO_TIMEOUT, Link, RECEIVED_BYTES, Shared,
};
use crate::cluster::Cluster;
use base::NodeId;
use meta::Home;
use shard::Reply;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Pause after the kernel could not hand out a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the controller may take to take a node in.
const INTRODUCE_WAIT: Duration = Duration::from_millis(1_500);

/// Accepts for ever.
pub async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let permit = Arc::clone(&handshakes)
            .acquire_owned()
            .await
            .expect("the semaphore stays open");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("can't accept a peer's connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut stream = stream;
            let greeted = timeout(HELLO_TIMEOUT, greet(&shared, &mut stream)).await;
            drop(permit);
            match greeted {
                Ok(Ok(Some((link, card)))) => receive(&shared, &link, &card, stream).await,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::debug!("a peer's connection was left: {error}"),
                Err(_) => tracing::debug!("a peer's connection was left: no hello"),
            }
        });
    }
}

/// Says hello; if frames are to come, a link and who sends them.
async fn greet(
    shared: &Arc<Shared>,
    stream: &mut TcpStream,
) -> io::Result<Option<(Arc<Link>, Card)>> {
    os::socket::tune_peer(&*stream)?;
    let card = match hello::read(stream).await? {
        Message::Join {
            card,
            address,
            release,
            levels,
        } => {
            let level = shared.standing.image().level;
            let answer = match hello::may_join(&card, levels, level) {
                Ok(()) => take_in(shared, &card, address, release).await,
                Err(reason) => Message::Refused { reason },
            };
            hello::write(stream, &answer).await?;
            return Ok(None);
        }
        Message::Hello { card, to } if NodeId(to) == shared.standing.me() => card,
        Message::Hello { to, .. } => {
            let me = shared.standing.me();
            return refuse(stream, format!("this is node {me}, not node {to}")).await;
        }
        other => return Err(io::Error::other(format!("expected a hello, got {other:?}"))),
    };
    // One look at our own standing: what we say and what we decide must be the same.
    let mine = shared.standing.formed().borrow().clone();
    let mut own = shared.standing.card();
    own.cluster = mine.as_ref().map(|cluster| cluster.id.to_string());
    let image = shared.standing.image();
    let judged = hello::judge(mine.as_deref(), &card, &image)
        .and_then(|purpose| Ok((purpose, link_to(shared, &card, purpose)?)));
    let (purpose, link) = match judged {
        Ok(judged) => judged,
        Err(reason) => return refuse(stream, reason).await,
    };
    hello::write(stream, &Message::Welcome { card: own }).await?;
    if purpose == Purpose::Frames {
        return Ok(Some((link, card)));
    }
    if let Message::Form { cluster } = hello::read(stream).await? {
        match shared.standing.told(card.node(), cluster) {
            Ok(()) => hello::write(stream, &Message::Formed).await?,
            Err(reason) => return refuse(stream, reason).await,
        }
    }
    Ok(None)
}

/// Takes a node into the cluster, if the controller does.
async fn take_in(shared: &Shared, card: &Card, address: String, release: String) -> Message {
    let later = |reason: &str| Message::Later {
        reason: reason.to_owned(),
    };
    let Some(mine) = shared.standing.formed().borrow().clone() else {
        return later("no cluster is formed here yet");
    };
    let node = card.node();
    match card.cluster() {
        Some(theirs) if theirs != mine.id => {
            let reason = format!(
                "the data directory of node {node} belongs to cluster {theirs}, this is cluster {}; \
                 join with an empty one",
                mine.id
            );
            return Message::Refused { reason };
        }
        Some(_) => return welcome(shared, &mine, 0),
        None if lists(&mine, node) && !shared.standing.image().has_left(node) => {
            let reason = format!(
                "node {node} is one of those that formed cluster {}, with another data directory; \
                 join under a number of your own, or, if that directory is lost, give it up first: \
                 flotilla cluster remove {node} --lost",
                mine.id
            );
            return Message::Refused { reason };
        }
        None => {}
    }
    let home = Home {
        address,
        directory: card.incarnation,
        release,
        generation: 0,
    };
    let reply = shared.sink.introduce(node, home, INTRODUCE_WAIT).await;
    match reply {
        Ok(Reply::Meta(Ok(meta::Reply::Introduced(Ok(generation))))) => {
            welcome(shared, &mine, generation)
        }
        Ok(Reply::Meta(Ok(meta::Reply::Introduced(Err(why))))) => Message::Refused {
            reason: why.to_string(),
        },
        _ => later("the controller doesn't answer"),
    }
}

/// The cluster, with the addresses at which those who formed it live now.
fn welcome(shared: &Shared, mine: &Cluster, generation: u32) -> Message {
    shared.standing.grow(mine);
    let (image, mut cluster) = (shared.standing.image(), mine.clone());
    for voter in &mut cluster.voters {
        if let Some(home) = image.homes.get(&voter.node) {
            voter.address.clone_from(&home.address);
        }
    }
    Message::Joined {
        cluster,
        generation,
    }
}

fn lists(cluster: &Cluster, node: NodeId) -> bool {
    cluster.voters.iter().any(|voter| voter.node == node)
}

/// The way to a node that dialled. One that isn't known here and belongs to the cluster is dialled
/// from now on, where it says that it lives; so is one that moved.
fn link_to(shared: &Arc<Shared>, card: &Card, purpose: Purpose) -> Result<Arc<Link>, String> {
    let (me, node) = (shared.standing.me(), card.node());
    let stranger = || format!("node {node} is not among the peers of node {me}");
    match (shared.known(node), &card.address) {
        (Some(link), Some(address)) if purpose == Purpose::Frames => {
            link.move_to(address);
            Ok(link)
        }
        (Some(link), _) => Ok(link),
        (None, Some(address)) if purpose == Purpose::Frames && node != me => {
            tracing::info!("node {node} at {address} is new here");
            shared.link(node, address);
            shared.known(node).ok_or_else(stranger)
        }
        (None, _) => Err(stranger()),
    }
}

async fn refuse<T>(stream: &mut TcpStream, reason: String) -> io::Result<Option<T>> {
    tracing::debug!("a peer's connection is refused: {reason}");
    hello::write(stream, &Message::Refused { reason }).await?;
    Ok(None)
}

/// Hands frames on until the connection breaks, a newer one of the same peer takes over, or who sends is a
/// peer no more.
async fn receive(shared: &Shared, link: &Link, card: &Card, mut stream: TcpStream) {
    let mut number = 0;
    link.accepted.send_modify(|newest| {
        *newest += 1;
        number = *newest;
    });
    let mut newest = link.accepted.subscribe();
    let error = tokio::select! {
        error = read_frames(shared, link, &mut stream) => error,
        _ = newest.wait_for(|newest| *newest != number) => return,
        () = link.ends() => return,
        reason = shared.standing.parts_from(card) => io::Error::other(reason),
    };
    tracing::debug!("the connection from node {} broke: {error}", link.node);
    drop(stream);
    shared.sink.down(link.node);
    if link.up.load(Ordering::Acquire) {
        // Half of it broke. If the peer is gone our half breaks at once too; else it is up.
        sleep(HALF_BREAK).await;
        if link.up.load(Ordering::Acquire) {
            shared.sink.up(link.node);
        }
    }
}

async fn read_frames(shared: &Shared, link: &Link, stream: &mut TcpStream) -> io::Error {
    let mut splitter = Splitter::default();
    let (mut told, mut coming) = (os::clock::mono(), 0);
    loop {
        match stream.read_buf(splitter.room()).await {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(bytes) => coming += bytes as u64,
            Err(error) => return error,
        }
        loop {
            let frame = match splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return io::Error::other(error),
            };
            let cost = frame.len().clamp(1, RECEIVED_BYTES) as u32;
            let permit = Arc::clone(&shared.received).acquire_many_owned(cost).await;
            let permit = permit.expect("the semaphore stays open");
            shared.sink.frame(link.node, frame, permit);
            (told, coming) = (os::clock::mono(), 0);
        }
        if coming > 0 && os::clock::mono().since(told) >= COMING_TOLD_EVERY {
            shared.sink.coming(link.node, coming);
            (told, coming) = (os::clock::mono(), 0);
        }
    }
}
