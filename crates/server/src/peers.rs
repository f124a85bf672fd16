//! Connections between nodes: ordered frames, one direction per connection.
//!
//! Each node dials every other one and sends on the connection that it dialled; what it accepts it
//! only reads. A connection may break at any time and frames may be lost with it: the protocol
//! above sends again. The other end is told by its hello, never by a frame. What the frames mean
//! is the shard's business; how a cluster is formed is [`crate::formation`]'s.

mod accept;
mod dial;
mod frames;
mod hello;
mod outbox;
mod standing;

pub use standing::Standing;

use base::NodeId;
use bytes::Bytes;
use outbox::Outbox;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes of frames that may wait for one peer; what comes on top is dropped.
pub const OUTBOX_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of received frames that may wait for the shard; beyond it no more is read.
pub const RECEIVED_BYTES: usize = 64 * 1024 * 1024;
/// Connections whose hello is awaited at the same time.
pub const HANDSHAKES_MAX: usize = 64;
/// How long connecting may take.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the other end may take for its part of the hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause before dialling again; doubles up to [`BACKOFF_MAX`].
pub const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest pause before dialling again.
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// After an accepted connection broke, how long the dialled one has to break too, or the peer
/// counts as up again.
pub const HALF_BREAK: Duration = Duration::from_millis(100);

/// Where news of peers goes. Must not block.
pub trait PeerSink: Send + Sync {
    /// Frames can be sent to the peer.
    fn up(&self, node: NodeId);
    /// A connection to or from the peer broke.
    fn down(&self, node: NodeId);
    /// A frame came. The permit is given back when the frame was taken up.
    fn frame(&self, from: NodeId, bytes: Bytes, permit: OwnedSemaphorePermit);
}

/// One peer.
struct Link {
    node: NodeId,
    address: String,
    outbox: Outbox,
    /// The dialled connection stands.
    up: AtomicBool,
    /// Number of the newest accepted connection; older ones are left.
    accepted: watch::Sender<u64>,
}

struct Shared {
    standing: Arc<Standing>,
    sink: Arc<dyn PeerSink>,
    links: BTreeMap<NodeId, Arc<Link>>,
    received: Arc<Semaphore>,
}

/// The transport; cheap to clone.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

impl Peers {
    /// Starts dialling and accepting; inside of a runtime. `others` are the peers without this
    /// node.
    pub fn start(
        standing: Arc<Standing>,
        others: &BTreeMap<NodeId, String>,
        listener: Option<TcpListener>,
        sink: Arc<dyn PeerSink>,
    ) -> Peers {
        let link = |(node, address): (&NodeId, &String)| {
            let link = Link {
                node: *node,
                address: address.clone(),
                outbox: Outbox::new(OUTBOX_BYTES),
                up: AtomicBool::new(false),
                accepted: watch::Sender::new(0),
            };
            (*node, Arc::new(link))
        };
        let shared = Arc::new(Shared {
            standing,
            sink,
            links: others.iter().map(link).collect(),
            received: Arc::new(Semaphore::new(RECEIVED_BYTES)),
        });
        for link in shared.links.values() {
            tokio::spawn(dial::keep(Arc::clone(&shared), Arc::clone(link)));
        }
        if let Some(listener) = listener {
            tokio::spawn(accept::run(Arc::clone(&shared), listener));
        }
        Peers { shared }
    }

    /// Sends a frame given in pieces, if a connection stands; else it is lost.
    pub fn send(&self, to: NodeId, pieces: Vec<Bytes>) {
        if let Some(link) = self.shared.links.get(&to)
            && link.up.load(Ordering::Acquire)
        {
            link.outbox.push(pieces);
        }
    }

    /// Peers whose dialled connection stands.
    pub fn connected(&self) -> usize {
        self.shared
            .links
            .values()
            .filter(|link| link.up.load(Ordering::Relaxed))
            .count()
    }

    /// Frames dropped because a peer was too slow, since the start.
    pub fn dropped_frames(&self) -> u64 {
        self.shared
            .links
            .values()
            .map(|link| link.outbox.dropped())
            .sum()
    }
}

#[cfg(test)]
mod tests;
