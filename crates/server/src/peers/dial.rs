//! The connection that this node dials to a peer: frames leave on it.

use super::hello::{self, Card, Message, Purpose};
use super::{
    BACKOFF_MAX, BACKOFF_MIN, DIAL_TIMEOUT, HELLO_TIMEOUT, LOOKUP_AGAIN, LOOKUP_TIMEOUT, Link,
    Shared, frames,
};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

/// What came of one attempt.
enum Outcome {
    /// Frames could be sent until it broke.
    Broke(io::Error),
    /// Both ends know each other, but one is without a cluster.
    Forming,
    /// The other end now belongs to our cluster: dial again at once.
    Formed,
}

/// How a hello went.
#[derive(Debug)]
pub(super) enum Greeted {
    /// Both belong to the cluster; this is who the other one is.
    Together(Card),
    /// The other end was told that it belongs to our cluster and is to answer.
    Told,
    /// One is without a cluster, and there is nothing to tell.
    Strange,
}

/// Dials as long as it is a peer.
pub async fn keep(shared: Arc<Shared>, link: Arc<Link>) {
    tokio::select! {
        () = dial(&shared, &link) => {}
        () = link.ends() => {}
    }
    shared.standing.reached(link.node);
    if link.up.swap(false, Ordering::AcqRel) {
        shared.sink.down(link.node);
    }
}

async fn dial(shared: &Shared, link: &Link) {
    let mut formed = shared.standing.formed();
    let mut accepted = link.accepted.subscribe();
    let mut backoff = BACKOFF_MIN;
    let mut reported = false;
    loop {
        match attempt(shared, link).await {
            Ok(Outcome::Broke(error)) => {
                tracing::info!("the connection to node {} broke: {error}", link.node);
                (backoff, reported) = (BACKOFF_MIN, true);
            }
            Ok(Outcome::Forming) => reported = false,
            Ok(Outcome::Formed) => {
                (backoff, reported) = (BACKOFF_MIN, false);
                continue;
            }
            Err(error) => {
                let why = format!("at {}: {error}", link.address());
                shared.standing.silent(link.node, why.clone());
                match error.kind() {
                    _ if reported => {}
                    ErrorKind::PermissionDenied => tracing::warn!("node {} {why}", link.node),
                    _ => tracing::info!("node {} {why}", link.node),
                }
                reported = true;
            }
        }
        tokio::select! {
            () = sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
            _ = formed.changed() => backoff = BACKOFF_MIN,
            // The peer reached us, so it is there.
            _ = accepted.changed() => backoff = BACKOFF_MIN,
        }
    }
}

/// A peer is there, and says that this node is none: that doesn't pass by itself.
fn refused(reason: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, reason)
}

async fn attempt(shared: &Shared, link: &Link) -> io::Result<Outcome> {
    let (mut stream, greeted) = reach(shared, link, look_up(&link.address()).await?).await?;
    shared.standing.reached(link.node);
    match greeted {
        Greeted::Strange => Ok(Outcome::Forming),
        Greeted::Told => within(HELLO_TIMEOUT, await_answer(shared, link, &mut stream)).await,
        Greeted::Together(card) => Ok(Outcome::Broke(session(shared, link, stream, &card).await)),
    }
}

/// Connects to the first of a name's addresses at which the peer itself answers: at others there may be
/// somebody else.
pub(super) async fn reach(
    shared: &Shared,
    link: &Link,
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> io::Result<(TcpStream, Greeted)> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        outcome = reach_at(shared, link, address).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn reach_at(
    shared: &Shared,
    link: &Link,
    address: SocketAddr,
) -> io::Result<(TcpStream, Greeted)> {
    let mut stream = within(DIAL_TIMEOUT, TcpStream::connect(address)).await?;
    os::socket::tune_peer(&stream)?;
    let greeted = within(HELLO_TIMEOUT, greet(shared, link, &mut stream)).await?;
    Ok((stream, greeted))
}

/// Connects to the first of a name's addresses that answers. Each has its own time, and so has the look-up:
/// a name server may be away, or one family of addresses lead nowhere.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in look_up(address).await? {
        outcome = within(DIAL_TIMEOUT, TcpStream::connect(address)).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// A name's addresses. A question or an answer that is lost costs seconds before it is asked again: it is
/// asked a second time meanwhile.
async fn look_up(address: &str) -> io::Result<Vec<SocketAddr>> {
    let ask = || async { Ok(lookup_host(address).await?.collect()) };
    within(LOOKUP_TIMEOUT, twice(LOOKUP_AGAIN, ask)).await
}

/// What comes first of asking now, and once more after `wait`.
async fn twice<T, F: Future<Output = T>>(wait: Duration, ask: impl Fn() -> F) -> T {
    let again = async {
        sleep(wait).await;
        ask().await
    };
    tokio::select! {
        answer = ask() => answer,
        answer = again => answer,
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn greet(shared: &Shared, link: &Link, stream: &mut TcpStream) -> io::Result<Greeted> {
    let card = shared.standing.card();
    let mine = shared.standing.formed().borrow().clone();
    hello::write(
        stream,
        &Message::Hello {
            card,
            to: link.node.0,
        },
    )
    .await?;
    let card = match hello::read(stream).await? {
        Message::Welcome { card } if card.node() == link.node => card,
        Message::Welcome { card } => {
            return Err(io::Error::other(format!("that is node {}", card.node)));
        }
        Message::Refused { reason } => return Err(refused(reason)),
        other => return Err(io::Error::other(format!("unexpected answer {other:?}"))),
    };
    let image = shared.standing.image();
    match hello::judge(mine.as_deref(), &card, &image).map_err(io::Error::other)? {
        Purpose::Frames => Ok(Greeted::Together(card)),
        Purpose::Forming => match shared.standing.heard(&card) {
            Some(cluster) => {
                hello::write(stream, &Message::Form { cluster }).await?;
                Ok(Greeted::Told)
            }
            None => Ok(Greeted::Strange),
        },
    }
}

async fn await_answer(shared: &Shared, link: &Link, stream: &mut TcpStream) -> io::Result<Outcome> {
    match hello::read(stream).await? {
        Message::Formed => {
            shared.standing.acknowledged(link.node);
            Ok(Outcome::Formed)
        }
        Message::Refused { reason } => Err(refused(reason)),
        other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
    }
}

/// Sends frames until the connection breaks, or its other end is a peer no more, and tells why.
async fn session(shared: &Shared, link: &Link, stream: TcpStream, card: &Card) -> io::Error {
    let (mut reader, mut writer) = stream.into_split();
    link.outbox.clear();
    link.up.store(true, Ordering::Release);
    shared.sink.up(link.node);
    tracing::info!("connected to node {} at {}", link.node, link.address());
    let send = async {
        loop {
            let frames = link.outbox.take().await;
            if let Err(error) = frames::write(&mut writer, frames).await {
                return error;
            }
        }
    };
    // Nothing is ever said in this direction: a read ends when the connection does.
    let closed = async {
        match reader.read_u8().await {
            Ok(_) => io::ErrorKind::InvalidData.into(),
            Err(error) => error,
        }
    };
    let error = tokio::select! {
        error = send => error,
        error = closed => error,
        reason = shared.standing.parts_from(card) => io::Error::other(reason),
    };
    link.up.store(false, Ordering::Release);
    link.outbox.clear();
    shared.sink.down(link.node);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_up_whose_answer_is_lost_is_answered_by_the_second_one() {
        let asked = std::cell::Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            let lost = asked.get() == 1;
            async move {
                match lost {
                    true => std::future::pending().await,
                    false => "answer",
                }
            }
        };
        assert_eq!(twice(Duration::ZERO, ask).await, "answer");
        let once = twice(Duration::MAX, || std::future::ready("at once"));
        assert_eq!(once.await, "at once");
    }
}
