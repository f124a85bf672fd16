//! Starting a node: every part in its order, and why it may not come up.

use crate::bind::node_info;
use crate::cluster::{Cluster, Identity, IdentityError};
use crate::edges::Edges;
use crate::engine::mailbox::Mailbox;
use crate::engine::queue::Queue;
use crate::engine::readers::Readers;
use crate::engine::storage::{self, Counters, Orders, Writer};
use crate::engine::turns::{Turns, Ways};
use crate::health::Running;
use crate::kafka::Door;
use crate::peers::{Peers, Standing};
use base::{Disk, NodeId, Uuid};
use broker::{Broker, Settings};
use log::{Storage, StorageSettings};
use os::{DataDir, DirLock, LockError};
use shard::Shard;
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Why a node doesn't come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory can't be made.
    #[error("can't use the data directory '{path}': {source}")]
    Directory {
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The directory's identity doesn't fit.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A member of a cluster of several listens to none of them.
    #[error(
        "the data directory belongs to a cluster formed by nodes {stored}, but this node is told no \
         address at which they reach it; give --peer or --peers"
    )]
    Deaf {
        /// Who formed it.
        stored: String,
    },
    /// The log of a cluster's member is gone: with it what this node has voted and acknowledged.
    #[error(
        "the data directory belongs to cluster {0}, but its log is gone; restore the directory \
         from a copy, or empty it: without what it has promised it must not take its old place"
    )]
    Erased(Uuid),
    /// A member of the cluster doesn't take this node in.
    #[error("{member} doesn't take this node in: {why}")]
    NotTakenIn {
        /// Who was asked.
        member: String,
        /// Why not.
        why: String,
    },
    /// Kafka keeps its logs there, and whoever names it expects to find them.
    #[error(
        "'{0}' is a data directory of Kafka (it has a file meta.properties), whose records can't be \
         read from there; choose another --data-dir, and copy topics with MirrorMaker"
    )]
    Kafkas(String),
    /// What is in the directory can't be used.
    #[error("{0}")]
    Storage(#[from] log::Fault),
    /// This process may open too few files to keep anything.
    #[error(
        "this process may open {limit} files, a node needs {needed} at least: raise the hard limit (ulimit -Hn, \
         LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
    )]
    TooFewFiles {
        /// How many.
        limit: u64,
        /// How many it takes.
        needed: u64,
    },
    /// A thread or the runtime can't be started.
    #[error("can't start {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// The exit code: what the configuration can mend, or anything else.
    pub fn exit_code(&self) -> i32 {
        match self {
            StartError::Identity(IdentityError::OtherNode { .. })
            | StartError::Deaf { .. }
            | StartError::Kafkas(_)
            | StartError::TooFewFiles { .. }
            | StartError::NotTakenIn { .. } => crate::stop::EXIT_USAGE,
            _ => crate::stop::EXIT_FAULT,
        }
    }
}

/// Every data directory of Kafka has it.
const KAFKAS_FILE: &str = "meta.properties";

/// A data directory that is ours.
pub struct Home {
    /// The directory.
    pub disk: Arc<DataDir>,
    /// Who it is.
    pub identity: Identity,
    _lock: DirLock,
}

impl Home {
    /// Takes the directory and finds out who it is.
    pub fn take(settings: &Settings) -> Result<Home, StartError> {
        let path = settings.data_dir.clone();
        if Path::new(&path).join(KAFKAS_FILE).exists() {
            return Err(StartError::Kafkas(path));
        }
        let disk = DataDir::open(Path::new(&path))
            .map_err(|source| StartError::Directory { path, source })?;
        let lock = DirLock::take(disk.root())?;
        let identity = match Identity::read(&disk, settings.node)? {
            Some(identity) => identity,
            None => Home::settle(&disk, settings)?,
        };
        // One that joined knows the others from those who were there.
        if identity.generation == 0 {
            check_peers(settings, identity.cluster.as_ref())?;
        }
        if let Err(why) = disk.sweep() {
            tracing::warn!("what was removed before still takes room: {why}");
        }
        Ok(Home {
            disk: Arc::new(disk),
            identity,
            _lock: lock,
        })
    }

    /// Gives an empty directory an identity.
    fn settle(disk: &DataDir, settings: &Settings) -> Result<Identity, IdentityError> {
        let identity = Identity::new(settings.node, os::entropy::uuid());
        // A node alone writes it with the cluster that it forms at once; each write costs syncs.
        if !settings.peers.is_empty() || !settings.join.is_empty() {
            identity.write(disk)?;
        }
        Ok(identity)
    }
}

/// Whom `peers` names counts when a cluster is formed; later they are first contacts, for nodes come
/// and go. But a member of several has to listen to the others.
fn check_peers(settings: &Settings, cluster: Option<&Cluster>) -> Result<(), StartError> {
    match cluster {
        Some(cluster) if cluster.voters.len() > 1 && settings.peer_listener.is_none() => {
            let formed = cluster.voters.iter().map(|voter| voter.node.to_string());
            let stored = formed.collect::<Vec<_>>().join(", ");
            Err(StartError::Deaf { stored })
        }
        _ => Ok(()),
    }
}

/// The nodes that are dialled first, and where they are reached: as configured, else as the cluster
/// was formed. The others are known from the metadata.
pub fn members(settings: &Settings, identity: &Identity) -> BTreeMap<NodeId, String> {
    let formed = identity.cluster.iter().flat_map(|cluster| &cluster.voters);
    let mut members: BTreeMap<NodeId, String> =
        formed.map(|v| (v.node, v.address.clone())).collect();
    let named = settings.peers.iter();
    members.extend(named.map(|p| (p.node, p.address.to_string())));
    members.entry(settings.node).or_default();
    members
}

/// The threads of a running node, to be joined at its end.
pub struct Threads {
    turns: JoinHandle<()>,
    storage: JoinHandle<()>,
}

impl Threads {
    /// Waits until all work is done; the mailbox must have been closed.
    pub fn join(self) {
        // A panic in a thread ends the process, so there is no outcome to look at.
        let _ = self.turns.join();
        let _ = self.storage.join();
    }
}

/// Recovers the data directory.
pub fn recover(
    disk: Arc<dyn Disk>,
    settings: &Settings,
) -> Result<(Storage, log::Recovered), StartError> {
    let storage_settings = StorageSettings {
        wal_file_bytes: settings.wal_file_bytes,
        wal_files_max: settings.wal_files_max,
        open_files: settings.open_files,
        direct_batch_bytes: settings.direct_batch_bytes,
        created_at_once: base::limits::CREATED_AT_ONCE,
    };
    let (storage, recovered) = Storage::open(disk, storage_settings)?;
    for line in &recovered.report {
        tracing::info!(target: crate::logging::LINE, "recovery: {line}");
    }
    Ok((storage, recovered))
}

/// Refuses a directory that belonged to a cluster of several when the process started, and has no
/// log: a log is begun before a cluster is formed. (A node that is alone has promised nothing to others;
/// one that others have joined has.)
pub fn refuse_erased(identity: &Identity, recovered: &log::Recovered) -> Result<(), StartError> {
    match &identity.cluster {
        Some(cluster)
            if recovered.fresh
                && (cluster.voters.len() > 1 || identity.generation > 0 || identity.grown) =>
        {
            Err(StartError::Erased(cluster.id))
        }
        _ => Ok(()),
    }
}

/// What a running node is made of.
pub struct Parts {
    /// The configuration.
    pub settings: Settings,
    /// The cluster that it belongs to.
    pub cluster: Arc<Cluster>,
    /// Where it is reached by nodes.
    pub home: Option<meta::Home>,
    /// The data, recovered.
    pub storage: Storage,
    /// What recovery found.
    pub recovered: log::Recovered,
    /// Its mailbox.
    pub mailbox: Arc<Mailbox>,
    /// The way to other nodes.
    pub peers: Peers,
}

impl Parts {
    /// Starts the threads. Inside of a runtime.
    pub fn start(self, kafka: &[TcpListener]) -> Result<(Running, Threads), StartError> {
        let Parts {
            settings,
            cluster,
            home,
            storage,
            recovered,
            mailbox,
            peers,
        } = self;
        let info = node_info(&settings, kafka)?;
        let files = storage.files();
        let pool = |name| Readers::start(name, settings.reader_threads, &files, &mailbox);
        let jobs = pool("job").map_err(system("the readers"))?;
        let readers = pool("reader").map_err(system("the readers"))?;
        let edges = Edges::start().map_err(system("the edges"))?;
        let to_shard: Arc<dyn broker::Mailbox> = mailbox.clone();
        let seed = os::entropy::bits();
        let shard = Shard::new(
            shard_settings(&settings, &cluster, &info, home),
            recovered,
            os::clock::now(),
        );
        let broker = Broker::new(settings.node, cluster.id, settings, files, to_shard, seed);
        let orders = Orders::default();
        let counters = Arc::new(Counters::default());
        let running = Running {
            known_by: os::clock::mono().after(crate::serve::KNOWN_MAX),
            info,
            door: Door::new(broker.clone(), readers.clone(), edges),
            broker: broker.clone(),
            peers: peers.clone(),
            mailbox: Arc::clone(&mailbox),
            orders: Arc::clone(&orders),
            storage: Arc::clone(&counters),
            readers,
            jobs: jobs.clone(),
            shard: Arc::default(),
        };
        let stats = Arc::clone(&running.shard);
        let flushes = Arc::new(Queue::default());
        let writer = Writer::new(
            storage,
            Arc::clone(&orders),
            Arc::clone(&flushes),
            Arc::clone(&mailbox),
            Arc::clone(&counters),
        );
        let (flushed, done) = (Arc::clone(&orders), Arc::clone(&orders));
        let ways = Ways {
            orders,
            peers,
            jobs,
            broker,
            stats,
        };
        let turns = Box::new(Turns::new(shard, ways));
        let storage = thread("storage", move || writer.run())?;
        thread("flusher", move || {
            storage::flush(&flushes, &flushed, &counters)
        })?;
        let turns = thread("shard", move || {
            mailbox.serve(turns);
            // No turn is made any more.
            done.close();
        })?;
        Ok((running, Threads { turns, storage }))
    }
}

pub(crate) fn shard_settings(
    settings: &Settings,
    cluster: &Cluster,
    info: &meta::NodeInfo,
    home: Option<meta::Home>,
) -> shard::Settings {
    shard::Settings {
        node: settings.node,
        voters: cluster.voters.iter().map(|voter| voter.node).collect(),
        boot: os::entropy::bits(),
        seed: os::entropy::bits(),
        info: info.clone(),
        home,
        alone: false,
        metadata_segment_bytes: base::limits::METADATA_SEGMENT_BYTES,
        hot_tail_bytes: settings.hot_tail_bytes,
        unsettled_bytes_max: base::limits::UNSETTLED_NODE_BYTES,
        disk_reserve_bytes: settings.disk_reserve_bytes,
        defaults: settings.topic_defaults().clone(),
        replica_lag_max: settings.replica_lag_max,
        retention_check: settings.retention_check,
        catch_up_bytes_per_second: settings.catch_up_bytes_per_second,
        removal_held_bytes: base::limits::REMOVAL_HELD_BYTES,
        producers: settings.producers,
        compaction: shard::Compaction {
            check: settings.compaction_check,
            bytes_per_second: settings.compaction_bytes_per_second,
            keys_bytes: settings.compaction_keys_bytes,
            codec: serve_kafka::CODEC,
        },
        balancing: settings.balancing,
        checking: settings.checking,
        groups: settings.groups.config.clone(),
    }
}

fn thread(
    what: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(what.to_owned())
        .spawn(work)
        .map_err(system(what))
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}

/// A standing on a directory, which forms its cluster at once if it is alone.
pub fn standing(
    home: &Home,
    identity: Identity,
    members: &BTreeMap<NodeId, String>,
    address: Option<String>,
) -> Arc<Standing> {
    let (disk, named): (Arc<dyn Disk>, _) = (home.disk.clone(), members.clone());
    let chosen = os::entropy::uuid();
    Arc::new(Standing::new(disk, identity, named, chosen, address))
}

#[cfg(test)]
mod tests;
