//! Floor 3: one core API over shards and metadata: routing, authorisation, quotas, settings.
//!
//! A [`Broker`] is a handle that doors clone. It holds no protocol and no log: it finds the group
//! of a topic and partition in the published image, refuses at once what can be refused, and
//! posts the rest to the shard. Answers go to the caller's own inbox; where some parts were
//! refused here, they are put in their places on the way.
//!
//! Nothing here blocks, reads a clock or draws a random number that isn't seeded.

mod append;
mod arrivals;
mod ask;
mod authorise;
mod budget;
mod configure;
mod connections;
mod delete_records;
mod describe;
mod groups;
mod heard;
mod leaders;
mod merge;
mod operate;
mod producers;
mod quotas;
mod read;
mod routing;
pub mod settings;
mod stats;
mod subscriptions;
mod topics;

pub use append::Append;
pub use ask::{EpochEnds, Offsets};
pub use authorise::{Action, Principal, Resource, authorise};
pub use budget::{Budget, Share};
pub use connections::ConnectionBounds;
pub use delete_records::DeleteRecords;
pub use describe::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use meta::TopicRef;
pub use operate::{GrowthSpec, ReassignmentSpec};
pub use quotas::Bounded;
pub use read::{Read, ReadFrom};
pub use routing::{Target, TopicKey};
pub use settings::{Settings, SettingsError};
pub use stats::{Stats, Verb};
pub use subscriptions::{Reporter, Wanted};
pub use topics::TopicSpec;

use arc_swap::{ArcSwap, ArcSwapOption};
use base::{GroupId, Mono, NodeId, Random, Refusal, Term, Uuid, limits};
use meta::Image;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The way into the shard.
pub trait Mailbox: Send + Sync {
    /// Leaves an event. Never blocks: a full mailbox refuses.
    fn post(&self, event: shard::Event) -> Result<(), Refusal>;
}

/// The handle. Clones share everything.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    node: NodeId,
    cluster_id: Uuid,
    settings: Settings,
    files: Arc<log::Files>,
    mailbox: Arc<dyn Mailbox>,
    image: ArcSwap<Image>,
    leaders: leaders::Leaders,
    /// Nodes that are heard; none as long as nobody said.
    heard: ArcSwapOption<heard::Heard>,
    /// The image has all that was committed before this start.
    is_current: AtomicBool,
    producers: Arc<producers::Pool>,
    chance: Mutex<Random>,
    /// Somebody makes the topic that keeps groups.
    making_offsets: groups::Making,
    budget: Arc<Budget>,
    answers: Arc<Budget>,
    buckets: quotas::Buckets,
    arrivals: arrivals::Arrivals,
    room: operate::Room,
    connections: ArcSwap<ConnectionBounds>,
    stats: Stats,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broker(node {})", self.0.node)
    }
}

/// Nobody panics while holding one of this room's locks; if it happens the state is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Broker {
    /// The broker of a node, before it knows any metadata.
    pub fn new(
        node: NodeId,
        cluster_id: Uuid,
        settings: Settings,
        files: Arc<log::Files>,
        mailbox: Arc<dyn Mailbox>,
        seed: u64,
    ) -> Broker {
        let budget = Arc::new(Budget::new(settings.requests_in_flight_bytes));
        let connections = ArcSwap::from_pointee(ConnectionBounds::of(&settings, |_| None, []));
        Broker(Arc::new(Inner {
            node,
            cluster_id,
            settings,
            files,
            producers: Arc::new(producers::Pool::new(mailbox.clone())),
            mailbox,
            image: ArcSwap::default(),
            leaders: leaders::Leaders::default(),
            heard: ArcSwapOption::empty(),
            is_current: AtomicBool::new(false),
            chance: Mutex::new(Random::new(seed)),
            making_offsets: Arc::default(),
            budget,
            answers: Arc::new(Budget::new(limits::ANSWERS_IN_FLIGHT_BYTES)),
            buckets: quotas::Buckets::default(),
            arrivals: arrivals::Arrivals::default(),
            room: operate::Room::default(),
            connections,
            stats: Stats::default(),
        }))
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// The cluster.
    pub fn cluster_id(&self) -> Uuid {
        self.0.cluster_id
    }

    /// This node's configuration.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The open segment files, for reads that the shard planned.
    pub fn files(&self) -> &Arc<log::Files> {
        &self.0.files
    }

    /// The committed metadata as this node knows it.
    pub fn image(&self) -> Arc<Image> {
        self.0.image.load_full()
    }

    /// Who leads a group, if anybody is known to.
    pub fn leader(&self, group: GroupId) -> Option<(NodeId, Term)> {
        self.0.leaders.leader(group)
    }

    /// The newest term heard of for a group, whether or not it has a leader. Never goes back.
    pub fn leader_epoch(&self, group: GroupId) -> Option<Term> {
        self.0.leaders.term(group)
    }

    /// The node that leads the controller's group.
    pub fn controller(&self) -> Option<NodeId> {
        self.leader(GroupId::META).map(|(node, _)| node)
    }

    /// Whether a principal may do something; for lists that leave out what it may not see.
    pub fn allows(&self, principal: &Principal, action: Action, on: Resource<'_>) -> bool {
        authorise(principal, action, on).is_ok()
    }

    /// The memory that requests in flight may take.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    /// The memory that records in answers may take.
    pub fn answers(&self) -> &Arc<Budget> {
        &self.0.answers
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Takes a newer image; an older one is ignored.
    pub fn publish(&self, image: Arc<Image>) {
        let old = self.image();
        if image.version < old.version {
            return;
        }
        let gone: BTreeSet<GroupId> = match image.has_topics_of(&old) {
            true => BTreeSet::new(),
            false => old
                .names
                .iter()
                .filter(|(id, _)| !image.names.contains_key(id))
                .filter_map(|(_, name)| old.topics.get(name))
                .flat_map(|topic| topic.partitions.iter().map(|partition| partition.group))
                .collect(),
        };
        if !Arc::ptr_eq(&old.configs, &image.configs) {
            self.take_configs(&image);
        }
        if !Arc::ptr_eq(&old.quotas, &image.quotas) {
            self.0.arrivals.take_quotas(&image.quotas);
        }
        self.0.image.store(image);
        self.0.leaders.forget(&gone);
    }

    /// Takes news of who leads; older terms are ignored.
    pub fn publish_leaders(&self, news: &[(GroupId, Term, Option<NodeId>)]) {
        self.0.leaders.publish(news);
    }

    /// Takes whose replicas are behind, as leaders say.
    pub fn publish_behind(&self, news: Vec<(GroupId, Term, Vec<NodeId>)>) {
        self.0.leaders.publish_behind(news);
    }

    /// Nodes of a group that are heard and whose replica is in sync, among `nodes`.
    pub fn in_sync(&self, group: GroupId, nodes: &[NodeId]) -> Vec<NodeId> {
        let behind = self.0.leaders.behind(group);
        let fresh = |node: &&NodeId| self.hears(**node) && !behind.contains(node);
        nodes.iter().filter(fresh).copied().collect()
    }

    /// Takes which nodes are heard now.
    pub fn publish_heard(&self, nodes: Vec<NodeId>, now: Mono) {
        let before = self.0.heard.load();
        let heard = heard::Heard::after(before.as_deref(), nodes, now);
        self.0.heard.store(Some(Arc::new(heard)));
    }

    /// From now on the image has all that was committed before this start.
    pub fn publish_current(&self) {
        self.0.is_current.store(true, Ordering::Release);
    }

    /// True once the image has all that was committed before this start.
    pub fn is_current(&self) -> bool {
        self.0.is_current.load(Ordering::Acquire)
    }

    /// True unless the node is known to be silent.
    pub fn hears(&self, node: NodeId) -> bool {
        let heard = self.0.heard.load();
        heard.as_ref().is_none_or(|heard| heard.hears(node))
    }

    /// True if clients are told of the node: it is heard, or was a moment ago.
    pub fn shows(&self, node: NodeId, now: Mono) -> bool {
        let heard = self.0.heard.load();
        heard.as_ref().is_none_or(|heard| heard.shows(node, now))
    }

    /// Connections that clients may have at a time.
    pub fn connection_bounds(&self) -> Arc<ConnectionBounds> {
        self.0.connections.load_full()
    }

    /// Takes what was changed of this node's own keys.
    fn take_configs(&self, image: &Image) {
        let set = |key: &str| Some(self.dynamic(image, key.to_owned())?.0);
        let own = self.node().to_string();
        let of_listeners = describe::listeners_keys(image, &[&own, ""]).into_keys();
        let bounds = ConnectionBounds::of(self.settings(), set, of_listeners);
        self.0.connections.store(Arc::new(bounds));
    }

    /// A random id.
    pub fn draw_id(&self) -> Uuid {
        let mut chance = lock(&self.0.chance);
        Uuid::from_random(chance.next(), chance.next())
    }
}

#[cfg(test)]
mod tests;
