//! A listener that holds a bounded number of connections and ends those that fall silent, and those
//! that only ever ask for more time. It knows nothing of HTTP.
//!
//! Whoever comes beyond the bound takes the place of the one that has been there for longest, so a
//! health check gets its turn whatever the others do.

use axum::serve::Listener;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// The listener.
pub struct Bounded {
    listener: TcpListener,
    held: Arc<Mutex<Held>>,
    connections_max: usize,
    silence_max: Duration,
}

/// The connections that there are, in the order in which they came. Dropping what is kept here of
/// one ends it.
#[derive(Default)]
struct Held {
    next: u64,
    connections: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Bounded {
    /// Holds at most `connections_max`, each silent for at most `silence_max`.
    pub fn new(listener: TcpListener, connections_max: usize, silence_max: Duration) -> Bounded {
        Bounded {
            listener,
            held: Arc::default(),
            connections_max,
            silence_max,
        }
    }
}

/// What is held stays as it is if somebody panicked.
fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn take_in(&mut self, connections_max: usize) -> (u64, oneshot::Receiver<()>) {
        while self.connections.len() >= connections_max {
            self.connections.pop_first();
        }
        let (place, gone) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.connections.insert(number, place);
        (number, gone)
    }
}

impl Listener for Bounded {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Watched, SocketAddr) {
        // The listener's own accept logs and retries.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let (number, gone) = lock(&self.held).take_in(self.connections_max);
        let watched = Watched {
            stream,
            silence_max: self.silence_max,
            silence: Box::pin(sleep(self.silence_max)),
            asks: true,
            held: Arc::clone(&self.held),
            number,
            gone: Some(gone),
        };
        (watched, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads and writes fail once nothing has moved for too long, once what it asks
/// has been coming for too long, or once its place was given to another one.
pub struct Watched {
    stream: TcpStream,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
    /// Something has come since the last answer, or is to come for the first time: more of it gains
    /// no time.
    asks: bool,
    held: Arc<Mutex<Held>>,
    number: u64,
    /// None once it happened.
    gone: Option<oneshot::Receiver<()>>,
}

/// Which way bytes moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Watched {
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
        way: Way,
    ) -> Poll<io::Result<T>> {
        let gone = |gone: &mut oneshot::Receiver<()>| Pin::new(gone).poll(cx).is_ready();
        if self.gone.as_mut().is_none_or(gone) {
            self.gone = None;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if moved.is_ready() {
            if way == Way::Out || !self.asks {
                let silence = sleep(self.silence_max);
                self.silence.set(silence);
            }
            self.asks = way == Way::In;
            return moved;
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.held).connections.remove(&self.number);
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, into);
        self.watch(cx, moved, Way::In)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, moved, Way::Out)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
