//! This node's standing while connections come and go: the formation machine with its hands.
//! What the machine wants durable is written here; what it wants said is told to the connection
//! that asked.

use super::hello::{self, Card};
use crate::cluster::{Cluster, Identity};
use crate::formation::{Action, Event, Formation};
use base::{Disk, NodeId, Uuid};
use meta::Image;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Peers that can't be reached which are named at once.
const UNREACHED_NAMED_MAX: usize = 5;

/// The standing.
pub struct Standing {
    me: NodeId,
    incarnation: Uuid,
    generation: u32,
    /// Others were taken in, as the identity file knows.
    grown: Mutex<bool>,
    /// Where other nodes reach it.
    address: Option<String>,
    disk: Arc<dyn Disk>,
    machine: Mutex<Formation>,
    formed: watch::Sender<Option<Arc<Cluster>>>,
    /// The metadata as it is known here.
    image: watch::Sender<Arc<Image>>,
    /// Peers that can't be dialled, and why not.
    unreached: Mutex<BTreeMap<NodeId, String>>,
}

impl Standing {
    /// The standing of a directory. `named` holds every node with this one; `chosen` is the
    /// cluster's id should this node be the one to choose.
    pub fn new(
        disk: Arc<dyn Disk>,
        identity: Identity,
        named: BTreeMap<NodeId, String>,
        chosen: Uuid,
        address: Option<String>,
    ) -> Standing {
        let Identity {
            node: me,
            incarnation,
            cluster,
            generation,
            grown,
            ..
        } = identity;
        let formed = watch::Sender::new(cluster.clone().map(Arc::new));
        let machine = Formation::new(me, incarnation, named, cluster, chosen);
        let standing = Standing {
            me,
            incarnation,
            generation,
            grown: Mutex::new(grown),
            address,
            disk,
            machine: Mutex::new(machine),
            formed,
            image: watch::Sender::default(),
            unreached: Mutex::default(),
        };
        let actions = standing.lock().start();
        standing.carry_out(me, actions);
        standing
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Takes up what is known of the cluster.
    pub fn publish(&self, image: &Arc<Image>) {
        self.image.send_replace(Arc::clone(image));
    }

    /// What is known of the cluster.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.borrow())
    }

    /// Ends, with the reason, once what is known of the cluster has no place for who was spoken with: its
    /// number was given to another directory, or taken away.
    pub async fn parts_from(&self, card: &Card) -> String {
        let mut images = self.image.subscribe();
        loop {
            let mine = self.formed.borrow().clone();
            let judged = hello::judge(mine.as_deref(), card, &images.borrow_and_update());
            if let Err(reason) = judged {
                return reason;
            }
            // The sender lives as long as this standing.
            let _ = images.changed().await;
        }
    }

    /// Who this node says it is.
    pub fn card(&self) -> Card {
        let cluster = self.formed.borrow().as_ref().map(|cluster| cluster.id);
        Card {
            generation: self.generation,
            address: self.address.clone(),
            ..Card::new(self.me, self.incarnation, cluster)
        }
    }

    /// The cluster, once formed; also tells of the change.
    pub fn formed(&self) -> watch::Receiver<Option<Arc<Cluster>>> {
        self.formed.subscribe()
    }

    /// Why the cluster isn't formed here, and whom that waits for; none once it is.
    pub fn waits_for(&self) -> Option<String> {
        let what = self.lock().waits_for()?;
        Some(format!("{what}{}", self.unreached()))
    }

    /// Which peers can't be dialled, and why not, in brackets; nothing if all can.
    pub fn unreached(&self) -> String {
        let unreached = self.lock_unreached();
        let told: Vec<String> = unreached
            .iter()
            .take(UNREACHED_NAMED_MAX)
            .map(|(node, why)| format!("node {node} {why}"))
            .collect();
        let more = match unreached.len() - told.len() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        match told.as_slice() {
            [] => String::new(),
            told => format!(" ({}{more})", told.join("; ")),
        }
    }

    fn lock_unreached(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, String>> {
        let unreached = self.unreached.lock();
        unreached.expect("nobody panics while telling who can't be reached")
    }

    /// A peer said who it is. Returns what it should be told.
    pub fn heard(&self, card: &Card) -> Option<Cluster> {
        let (from, incarnation) = (card.node(), card.incarnation);
        let event = Event::Heard {
            from,
            incarnation,
            cluster: card.cluster(),
        };
        self.feed(from, event).tell
    }

    /// A peer can't be reached: where and why not.
    pub fn silent(&self, node: NodeId, why: String) {
        self.lock_unreached().insert(node, why);
        self.feed(node, Event::Silent(node));
    }

    /// A peer was reached, or isn't one any more.
    pub fn reached(&self, node: NodeId) {
        self.lock_unreached().remove(&node);
    }

    /// A peer said that this directory belongs to its cluster. `Ok` once that is durable.
    pub fn told(&self, from: NodeId, cluster: Cluster) -> Result<(), String> {
        let outcome = self.feed(from, Event::Form { from, cluster });
        match (outcome.acknowledged, outcome.refused) {
            (true, None) => Ok(()),
            (_, refused) => Err(refused.unwrap_or_else(|| "not now".to_owned())),
        }
    }

    /// A peer has made durable that it belongs to our cluster.
    pub fn acknowledged(&self, node: NodeId) {
        self.feed(node, Event::Acknowledged(node));
    }

    fn feed(&self, with: NodeId, event: Event) -> Outcome {
        let actions = self.lock().on(event);
        self.carry_out(with, actions)
    }

    /// Does what the machine wants, in order. News for others than `with` reaches them when they
    /// are dialled next, which a change of the standing brings about at once.
    fn carry_out(&self, with: NodeId, actions: Vec<Action>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut left = std::collections::VecDeque::from(actions);
        while let Some(action) = left.pop_front() {
            match action {
                Action::Persist(cluster) => {
                    self.persist(cluster);
                    left.extend(self.lock().on(Event::Persisted));
                }
                Action::Form(to, cluster) if to == with => outcome.tell = Some(cluster),
                Action::Acknowledge(to) if to == with => outcome.acknowledged = true,
                Action::Refuse(to, why) if to == with => outcome.refused = Some(why),
                Action::Form(..) | Action::Acknowledge(..) | Action::Refuse(..) => {}
                Action::Report(text) => tracing::info!("{text}"),
            }
        }
        let cluster = self.lock().cluster().cloned();
        self.formed.send_if_modified(|formed| {
            let news = formed.is_none() && cluster.is_some();
            if news {
                *formed = cluster.map(Arc::new);
            }
            news
        });
        outcome
    }

    /// Others count on this node from now on, although it formed its cluster alone. Durable before any
    /// of them hears of it.
    pub fn grow(&self, cluster: &Cluster) {
        let mut grown = self.grown.lock().expect("nobody panics while growing");
        if !*grown && self.generation == 0 && cluster.voters.len() == 1 {
            *grown = true;
            self.write(cluster.clone(), true);
        }
    }

    fn persist(&self, cluster: Cluster) {
        self.write(cluster, false);
    }

    fn write(&self, cluster: Cluster, grown: bool) {
        let mut identity = Identity::new(self.me, self.incarnation);
        identity.cluster = Some(cluster);
        identity.grown = grown;
        if let Err(error) = identity.write(&*self.disk) {
            // Whether it is durable is unknown, so nothing can be said to anybody.
            crate::stop::on_fault(&error);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Formation> {
        self.machine.lock().expect("the machine doesn't panic")
    }
}

/// What the one spoken with is to be told.
#[derive(Default)]
struct Outcome {
    tell: Option<Cluster>,
    acknowledged: bool,
    refused: Option<String>,
}
