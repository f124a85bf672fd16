//! A listener that holds a bounded number of connections and ends those that fall silent. It
//! knows nothing of HTTP.
//!
//! Beyond the bound, connections wait in the kernel's queue until an earlier one ends; a silent one
//! ends by itself, so a health check gets its turn.

use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// The listener.
pub struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    silence_max: Duration,
}

impl Bounded {
    /// Holds at most `connections_max`, each silent for at most `silence_max`.
    pub fn new(listener: TcpListener, connections_max: usize, silence_max: Duration) -> Bounded {
        let room = Arc::new(Semaphore::new(connections_max));
        Bounded {
            listener,
            room,
            silence_max,
        }
    }
}

impl Listener for Bounded {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Watched, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.expect("the semaphore is never closed");
        // The listener's own accept logs and retries.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let watched = Watched {
            stream,
            silence_max: self.silence_max,
            silence: Box::pin(sleep(self.silence_max)),
            _room: room,
        };
        (watched, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads and writes fail once nothing has moved for too long.
pub struct Watched {
    stream: TcpStream,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl Watched {
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let silence = sleep(self.silence_max);
            self.silence.set(silence);
            return moved;
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(cx, into);
        self.watch(cx, moved)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
