//! Connections between nodes: ordered frames, one direction per connection.
//!
//! Each node dials every other one and sends on the connection that it dialled; what it accepts it
//! only reads. A connection may break at any time and frames may be lost with it: the protocol
//! above sends again. The other end is told by its hello, never by a frame. What the frames mean
//! is the shard's business; how a cluster is formed is [`crate::formation`]'s.

mod accept;
mod dial;
mod frames;
pub mod hello;
mod outbox;
mod standing;

pub use dial::connect;
pub use standing::Standing;

use base::NodeId;
use base::limits::NODE_HEARTBEAT;
use bytes::Bytes;
use meta::{Home, Image};
use outbox::Outbox;
use shard::Reply;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Bytes of frames that may wait for one peer; what comes on top is dropped.
pub const OUTBOX_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of received frames that may wait for the shard; beyond it no more is read.
pub const RECEIVED_BYTES: usize = 64 * 1024 * 1024;
/// Connections whose hello is awaited at the same time.
pub const HANDSHAKES_MAX: usize = 64;
/// How long a name may take to be looked up: several times what a name server that is away costs.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);
/// After how long without an answer it is looked up a second time beside the first.
pub const LOOKUP_AGAIN: Duration = Duration::from_secs(1);
/// How long connecting to one address may take.
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

/// How often it is told that bytes of a frame come that isn't whole yet: a long one on a slow line takes
/// longer than a node may be silent.
pub const COMING_TOLD_EVERY: Duration = NODE_HEARTBEAT;

/// Where news of peers goes. Must not block.
pub trait PeerSink: Send + Sync {
    /// Frames can be sent to the peer.
    fn up(&self, node: NodeId);
    /// A connection to or from the peer broke.
    fn down(&self, node: NodeId);
    /// A frame came. The permit is given back when the frame was taken up.
    fn frame(&self, from: NodeId, bytes: Bytes, permit: OwnedSemaphorePermit);
    /// Bytes of a frame came that isn't whole yet.
    fn coming(&self, from: NodeId, bytes: u64);
    /// Asks the controller to take a node in. No answer comes if it can't be asked.
    fn introduce(&self, node: NodeId, home: Home, wait: Duration) -> oneshot::Receiver<Reply>;
}

/// One peer.
struct Link {
    node: NodeId,
    /// Where it is dialled next.
    address: Mutex<String>,
    outbox: Outbox,
    /// The dialled connection stands.
    up: AtomicBool,
    /// Number of the newest accepted connection; older ones are left.
    accepted: watch::Sender<u64>,
    /// The peer was unregistered: nobody dials it any more, and what it dialled is closed.
    over: watch::Sender<bool>,
}

impl Link {
    fn address(&self) -> String {
        self.address.lock().expect(UNPOISONED).clone()
    }

    fn move_to(&self, address: &str) {
        address.clone_into(&mut self.address.lock().expect(UNPOISONED));
    }

    /// Ends when the peer was unregistered.
    async fn ends(&self) {
        let mut over = self.over.subscribe();
        // The sender lives as long as this link.
        let _ = over.wait_for(|over| *over).await;
    }
}

struct Shared {
    standing: Arc<Standing>,
    sink: Arc<dyn PeerSink>,
    links: RwLock<BTreeMap<NodeId, Arc<Link>>>,
    runtime: Handle,
    received: Arc<Semaphore>,
}

const UNPOISONED: &str = "nobody panics while holding the links";

impl Shared {
    /// Begins to dial a node, unless it is dialled already.
    fn link(self: &Arc<Shared>, node: NodeId, address: &str) {
        let link = Arc::new(Link {
            node,
            address: Mutex::new(address.to_owned()),
            outbox: Outbox::new(OUTBOX_BYTES),
            up: AtomicBool::new(false),
            accepted: watch::Sender::new(0),
            over: watch::Sender::new(false),
        });
        let mut links = self.links.write().expect(UNPOISONED);
        if links.contains_key(&node) {
            return;
        }
        links.insert(node, Arc::clone(&link));
        self.runtime.spawn(dial::keep(Arc::clone(self), link));
    }

    fn known(&self, node: NodeId) -> Option<Arc<Link>> {
        self.links.read().expect(UNPOISONED).get(&node).cloned()
    }
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
        let shared = Arc::new(Shared {
            standing,
            sink,
            links: RwLock::default(),
            runtime: Handle::current(),
            received: Arc::new(Semaphore::new(RECEIVED_BYTES)),
        });
        for (node, address) in others {
            shared.link(*node, address);
        }
        if let Some(listener) = listener {
            tokio::spawn(accept::run(Arc::clone(&shared), listener));
        }
        Peers { shared }
    }

    /// How this node stands with the others.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.shared.standing)
    }

    /// Takes up what is known of the cluster: new nodes are dialled, those that moved are dialled
    /// where they live now, those that were unregistered since no longer.
    pub fn meet(&self, image: &Arc<Image>) {
        let old = self.shared.standing.image();
        self.shared.standing.publish(image);
        let me = self.shared.standing.me();
        for (node, home) in image.homes.iter().filter(|(node, _)| **node != me) {
            match self.shared.known(*node) {
                Some(link) => link.move_to(&home.address),
                None => self.shared.link(*node, &home.address),
            }
        }
        let mut links = self.shared.links.write().expect(UNPOISONED);
        links.retain(|node, link| {
            let stays = !image.has_left_since(&old, *node);
            if !stays {
                tracing::info!("node {node} was unregistered and is no peer any more");
                link.over.send_replace(true);
            }
            stays
        });
    }

    /// Sends a frame given in pieces, if a connection stands; else it is lost.
    pub fn send(&self, to: NodeId, pieces: Vec<Bytes>) {
        if let Some(link) = self.shared.known(to)
            && link.up.load(Ordering::Acquire)
        {
            link.outbox.push(pieces);
        }
    }

    /// Peers whose dialled connection stands.
    pub fn connected(&self) -> usize {
        let links = self.shared.links.read().expect(UNPOISONED);
        links
            .values()
            .filter(|link| link.up.load(Ordering::Relaxed))
            .count()
    }

    /// Frames dropped because a peer was too slow, since the start.
    pub fn dropped_frames(&self) -> u64 {
        let links = self.shared.links.read().expect(UNPOISONED);
        links.values().map(|link| link.outbox.dropped()).sum()
    }
}

#[cfg(test)]
mod tests;
