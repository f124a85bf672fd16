//! `flotilla serve`: a node from its first breath to its last.

use crate::bind::Sockets;
use crate::cluster::Identity;
use crate::descriptors;
use crate::edges;
use crate::engine::mailbox::Mailbox;
use crate::health::{Health, Running};
use crate::join::join;
use crate::logging;
use crate::peers::{PeerSink, Peers, Standing};
use crate::start::{self, Home, Parts, StartError, Threads};
use crate::unready;
use broker::Settings;
use log::Storage;
use os::DataDir;
use shard::Event;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

/// How often the free bytes of the disk are measured: the fewer there are, the more often, so that
/// the reserve isn't used up between two looks.
const DISK_LOOKS: [(u64, Duration); 3] = [
    (512 << 20, Duration::from_millis(10)),
    (4 << 30, Duration::from_millis(100)),
    (u64::MAX, Duration::from_secs(1)),
];
/// How often it is looked whether the node is ready, until it is.
const READY_LOOK: Duration = Duration::from_millis(1);
/// How long clients wait for a node that doesn't find the controller, or what was committed last.
pub const KNOWN_MAX: Duration = Duration::from_secs(3);
/// How long leaderships may take to be handed over.
const HAND_OVER: Duration = Duration::from_secs(2);
/// How long requests in flight may take to be answered.
const FINISH: Duration = Duration::from_secs(3);
/// How often it is looked whether a step of the stop is done.
const STOP_LOOK: Duration = Duration::from_millis(10);
/// The stop as a whole; what is not done then is recovered at the next start.
const STOP_MAX: Duration = Duration::from_secs(9);

/// Runs a node until it is told to stop.
pub fn run(mut settings: Settings) -> Result<(), StartError> {
    // Told to clients (DescribeLogDirs), who do not know where this process was started.
    if let Ok(path) = std::path::absolute(&settings.data_dir) {
        settings.data_dir = path.to_string_lossy().into_owned();
    }
    match os::process::raise_open_files() {
        Ok(limit) if limit < descriptors::LEAST => {
            let needed = descriptors::LEAST;
            return Err(StartError::TooFewFiles { limit, needed });
        }
        Ok(limit) => descriptors::share(&mut settings, limit),
        Err(error) => tracing::warn!("the limit of open files stays as it is: {error}"),
    }
    for warning in &settings.warnings {
        tracing::warn!(target: logging::LINE, "{warning}");
    }
    // For everything but clients' connections, which have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| StartError::System {
            what: "the runtime",
            source,
        })?;
    mind_file_sizes(&runtime)?;
    let home = Home::take(&settings)?;
    let sockets = Sockets::bind(&settings)?;
    runtime.spawn(logging::tell_repeats());
    let outcome = runtime.block_on(node(settings, &home, sockets));
    // Whatever still runs there has nothing left to lose.
    runtime.shutdown_background();
    // The flusher may still write: the directory is another's only when the process is gone.
    std::mem::forget(home);
    outcome
}

/// From now on a write beyond the limit of a file's size fails, as on a broken device, and doesn't end the process
/// without a word.
fn mind_file_sizes(runtime: &tokio::runtime::Runtime) -> Result<(), StartError> {
    let _entered = runtime.enter();
    // Once taken, a signal stays so for good.
    let taken = signal(SignalKind::from_raw(os::process::FILE_TOO_LARGE));
    taken.map(drop).map_err(|source| StartError::System {
        what: "the signal handlers",
        source,
    })
}

async fn node(settings: Settings, home: &Home, sockets: Sockets) -> Result<(), StartError> {
    let system = |source| StartError::System {
        what: "the signal handlers",
        source,
    };
    let mut signals = Signals::listen().map_err(system)?;
    let (kafka_address, http_address) = (sockets.kafka_address(), sockets.http_address());
    let address = sockets.peer_address(&settings);
    let health = asked_by(sockets.http)?;
    // Before peers are spoken with: nobody counts on a node that can't answer yet, and a cluster is
    // formed by nodes that have a log.
    let (storage, recovered) = recovered(&mut signals, home, &settings).await?;
    start::refuse_erased(&home.identity, &recovered)?;
    let joined = joined(&settings, home, address.as_deref(), &health);
    let Some(identity) = signals.or_stop(joined).await.transpose()? else {
        return Ok(());
    };
    let members = start::members(&settings, &identity);
    let lives_at = (address.as_deref()).map(|at| crate::join::home(&identity, at));
    let standing = start::standing(home, identity, &members, address);
    let _ = health.standing.set(Arc::clone(&standing));
    let mailbox = Arc::new(Mailbox::new(settings.mailbox_events));
    let peer = sockets.peer.map(into_tokio).transpose()?;
    let mut others = members;
    others.remove(&settings.node);
    let sink: Arc<dyn PeerSink> = mailbox.clone();
    let peers = Peers::start(Arc::clone(&standing), &others, peer, sink);
    let Some(cluster) = signals.or_stop(formed(&standing)).await else {
        return Ok(());
    };
    let node = settings.node;
    let names: Vec<Arc<str>> = settings
        .listeners
        .iter()
        .map(|listener| listener.name.as_str().into())
        .collect();
    let parts = Parts {
        settings,
        cluster,
        home: lives_at,
        storage,
        recovered,
        mailbox,
        peers,
    };
    let (running, threads) = parts.start(&sockets.kafka)?;
    tokio::spawn(watch_disk(
        home.disk.clone(),
        Arc::clone(&health),
        running.mailbox.clone(),
        running.broker.clone(),
    ));
    assert!(health.running.set(running).is_ok(), "a node starts once");
    for (listener, name) in sockets.kafka.into_iter().zip(names) {
        tokio::spawn(let_in(Arc::clone(&health), into_tokio(listener)?, name));
    }
    let running = health.running.get().expect("just set");
    if signals.or_stop(ready(running)).await.is_some() {
        say(&format!(
            "flotilla ready node={node} kafka={kafka_address} http={http_address}"
        ));
        signals.next().await;
    }
    stop(&health, running, threads, signals).await;
    Ok(())
}

/// The node's health, which whoever asks is told from now on, and its log.
fn asked_by(http: Option<std::net::TcpListener>) -> Result<Arc<Health>, StartError> {
    let health = Arc::new(Health::default());
    tokio::spawn(unready::tell(Arc::clone(&health)));
    if let Some(http) = http {
        // With many groups a scrape is a long text, and what nodes say to each other isn't to wait for it.
        let apart = edges::start("http").map_err(|source| StartError::System {
            what: "the thread for health and metrics",
            source,
        })?;
        let health = Arc::clone(&health);
        apart.spawn(async move { serve_http::serve(TcpListener::from_std(http)?, health).await });
    }
    Ok(health)
}

/// A line on standard output. Nobody there to read it is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Who this node is, once it is taken in if it is to join.
async fn joined(
    settings: &Settings,
    home: &Home,
    address: Option<&str>,
    health: &Health,
) -> Result<Identity, StartError> {
    let mut identity = home.identity.clone();
    if !settings.join.is_empty() {
        let tell = |asked| {
            let joining = health.joining.lock();
            *joining.expect("nobody panics while joining") = asked;
        };
        tell(Some(Vec::new()));
        let address = address.expect("a node that joins listens to others: the settings see to it");
        let asked = |asked| tell(Some(asked));
        join(settings, &mut identity, address, &*home.disk, asked).await?;
        tell(None);
    }
    Ok(identity)
}

/// Recovers the data directory. Told to stop meanwhile, the process ends at once: recovery may be
/// cut off anywhere.
async fn recovered(
    signals: &mut Signals,
    home: &Home,
    settings: &Settings,
) -> Result<(Storage, log::Recovered), StartError> {
    let (disk, settings) = (home.disk.clone(), settings.clone());
    let work = tokio::task::spawn_blocking(move || start::recover(disk, &settings));
    match signals.or_stop(work).await {
        Some(done) => done.expect("a panic ends the process"),
        None => {
            tracing::info!("stopped while the data directory was being recovered");
            std::process::exit(0)
        }
    }
}

fn into_tokio(listener: std::net::TcpListener) -> Result<TcpListener, StartError> {
    TcpListener::from_std(listener).map_err(|source| StartError::System {
        what: "a listener",
        source,
    })
}

async fn formed(standing: &Standing) -> Arc<crate::cluster::Cluster> {
    let mut formed = standing.formed();
    let waiting = "the standing lives as long as the node";
    let cluster = formed.wait_for(Option::is_some).await.expect(waiting);
    Arc::clone(cluster.as_ref().expect("waited for"))
}

/// Clients wait in front of the listeners until the node can tell them of the cluster's nodes: some take
/// an answer without any for one that is broken. Where the controller isn't found, what was known before
/// has to do after a while.
async fn let_in(health: Arc<Health>, listener: TcpListener, name: Arc<str>) {
    let running = health.running.get().expect("set before anybody is let in");
    let _ = timeout(KNOWN_MAX, ready(running)).await;
    while !running.names_a_node() {
        sleep(READY_LOOK).await;
    }
    Arc::clone(&running.door).accept(listener, name).await;
}

async fn ready(running: &Running) {
    while running.not_ready().is_some() {
        sleep(READY_LOOK).await;
    }
}

async fn watch_disk(
    disk: Arc<DataDir>,
    health: Arc<Health>,
    mailbox: Arc<Mailbox>,
    broker: broker::Broker,
) {
    use base::Disk;
    let mut told = None;
    loop {
        let measured = disk.free_bytes();
        health.tell_disk_free(measured.as_ref().ok().copied());
        let free = measured.unwrap_or_else(|error| {
            tracing::warn!("can't tell the free bytes of the disk: {error}");
            u64::MAX
        });
        // Also what is as before: the shard counts down what was written since.
        mailbox.report(Event::DiskFree(free));
        if told.replace(free) != Some(free) {
            // What can't be told is told as unknown.
            broker.publish_room(disk.total_bytes().unwrap_or(0), free);
        }
        let look = DISK_LOOKS.iter().find(|(below, _)| free <= *below);
        sleep(look.expect("the last one holds for all").1).await;
    }
}

/// Stops in order: nobody in, leaderships over, what is in flight answered, all written.
async fn stop(health: &Health, running: &Running, threads: Threads, mut signals: Signals) {
    tracing::info!("stopping");
    health.stopping.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        tokio::select! {
            () = signals.next() => {
                tracing::warn!("told twice to stop: stopping at once");
                std::process::exit(crate::stop::EXIT_FAULT);
            }
            () = sleep(STOP_MAX) => {
                tracing::warn!("not done in time; the next start recovers the rest");
                std::process::exit(0);
            }
        }
    });
    running.door.stop_accepting();
    running.mailbox.report(Event::Drain);
    // Alone there is nobody to take over.
    until(HAND_OVER, || {
        running.peers.connected() == 0 || has_handed_over(running)
    })
    .await;
    running.door.stop_reading();
    until(FINISH, || running.door.open() == 0).await;
    running.mailbox.close();
    let join = tokio::task::spawn_blocking(|| threads.join());
    let full = || running.storage.full.is_so();
    tokio::select! {
        _ = join => tracing::info!("stopped"),
        // Nothing that waits for room has been acknowledged.
        () = when(full) => tracing::warn!("stopped while writing waited for room"),
    }
}

fn has_handed_over(running: &Running) -> bool {
    running
        .shard
        .lock()
        .expect("nobody panics while copying figures")
        .to_hand_over
        == 0
}

async fn until(limit: Duration, done: impl Fn() -> bool) {
    let _ = timeout(limit, when(done)).await;
}

async fn when(done: impl Fn() -> bool) {
    while !done() {
        sleep(STOP_LOOK).await;
    }
}

/// The signals that stop a node.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// What the work gives, or nothing if the node is told to stop before.
    async fn or_stop<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.next() => None,
        }
    }
}
