//! Sockets of Kafka clients: accepting them, and one task each that carries bytes between the
//! socket and the connection's step machine. What the bytes mean is `serve_kafka`'s business.

mod client;
mod crowd;
mod idle;
pub mod inbox;
mod input;
mod intake;
mod output;

use crate::edges::Edges;
use crate::engine::readers::Readers;
use base::limits;
use broker::Broker;
use crowd::Crowd;
use serve_kafka::{Connection, Counters};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Pause after the kernel could not hand out a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub struct Door {
    broker: Broker,
    readers: Readers,
    edges: Edges,
    counters: Arc<Counters>,
    crowd: Crowd,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    /// Connections that waited because too many came in a second.
    delayed: AtomicU64,
    /// Connections that will be turned away.
    held: Arc<Semaphore>,
    stop: watch::Sender<Stop>,
}

/// How far the door is closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stop {
    /// Open.
    No,
    /// Nobody is let in.
    Accepting,
    /// And no request is read any more.
    Reading,
}

impl Door {
    /// A door to the broker.
    pub fn new(broker: Broker, readers: Readers, edges: Edges) -> Arc<Door> {
        Arc::new(Door {
            broker,
            readers,
            edges,
            counters: Arc::default(),
            crowd: Crowd::default(),
            accepted: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            held: Arc::new(Semaphore::new(limits::CONNECTIONS_HELD_MAX)),
            stop: watch::Sender::new(Stop::No),
        })
    }

    /// Lets clients of the listener of this name in until the door is closed.
    pub async fn accept(self: Arc<Door>, listener: TcpListener, name: Arc<str>) {
        let mut stop = self.stop.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop >= Stop::Accepting) => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let wait = self.broker.pace_connection(os::clock::mono(), &name);
                    if !wait.is_zero() {
                        self.delayed.fetch_add(1, Ordering::Relaxed);
                        self.wait_unless_stopped(wait).await;
                    }
                    self.let_in(stream, peer, &name);
                }
                Err(error) => {
                    tracing::warn!("can't accept a client's connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn let_in(self: &Arc<Door>, stream: TcpStream, peer: SocketAddr, listener: &Arc<str>) {
        // One that comes by IPv6 and is of IPv4 counts as what it is.
        let address = peer.ip().to_canonical();
        let now = os::clock::mono();
        if let Err(wait) = self.broker.admit_connection(now, listener, address) {
            self.turn_away(peer, "too many connections come from it in a second");
            return self.hold(stream, wait);
        }
        let bounds = self.broker.connection_bounds();
        if let Err(why) = self.crowd.enter(address, listener, &bounds) {
            return self.turn_away(peer, &why);
        }
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let (door, listener) = (Arc::clone(self), Arc::clone(listener));
        let carry = async move {
            let _place = door.crowd.place(address, Arc::clone(&listener));
            // From the runtime that accepts to the one that carries.
            let moved = stream.into_std().and_then(TcpStream::from_std);
            match moved {
                Ok(stream) => {
                    let client = client::Client::new(&door, stream, peer, listener, number);
                    client.run().await;
                }
                Err(error) => tracing::warn!("the connection of {peer} is left: {error}"),
            }
        };
        self.edges.any().spawn(carry);
    }

    fn turn_away(&self, peer: SocketAddr, why: &str) {
        let before = self.turned_away.fetch_add(1, Ordering::Relaxed);
        if (before + 1).is_power_of_two() {
            tracing::warn!("{peer} is turned away: {why}");
        }
    }

    /// Ends the connection after a while, or now if there are too many that wait for that.
    fn hold(self: &Arc<Door>, stream: TcpStream, wait: Duration) {
        let Ok(place) = Arc::clone(&self.held).try_acquire_owned() else {
            return;
        };
        let door = Arc::clone(self);
        tokio::spawn(async move {
            door.wait_unless_stopped(wait).await;
            drop((stream, place));
        });
    }

    async fn wait_unless_stopped(&self, wait: Duration) {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop >= Stop::Accepting) => {}
        }
    }

    fn connection(
        &self,
        peer: SocketAddr,
        listener: Arc<str>,
        number: u64,
        inbox: Arc<inbox::Inbox>,
    ) -> Connection {
        Connection::new(number, peer.to_string(), self.broker.clone(), inbox)
            .by(listener)
            .counted(Arc::clone(&self.counters))
    }

    /// Lets nobody in any more.
    pub fn stop_accepting(&self) {
        self.stop.send_replace(Stop::Accepting);
    }

    /// Reads nothing more; connections end when what was asked is answered.
    pub fn stop_reading(&self) {
        self.stop.send_replace(Stop::Reading);
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.crowd.open()
    }

    /// Connections let in since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that waited because too many came in a second.
    pub fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }

    /// Connections turned away because there were too many, or too many came in a second.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// What the connections counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
