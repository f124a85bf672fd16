//! Three nodes that form one cluster.

use crate::node::{Node, Setup};
use crate::{http, wait};
use cli::client::{Cluster, Deadline};
use std::net::{TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Ports below those that systems hand out by themselves, so that a node that is down for a
/// moment doesn't lose its port to somebody's outgoing connection.
const PORTS: std::ops::Range<u32> = 21_000..32_000;

static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

/// What keeps other processes from taking the same ports before nodes listen there, and while they are down.
static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port that nobody uses, another one each time.
pub fn free_port() -> u16 {
    let width = PORTS.end - PORTS.start;
    // Processes that run side by side begin at different places.
    let begin = std::process::id().wrapping_mul(131);
    for _ in 0..width {
        let at = begin.wrapping_add(NEXT_PORT.fetch_add(1, Ordering::Relaxed)) % width;
        let port = u16::try_from(PORTS.start + at).expect("the range ends below 65536");
        // Whoever has the same number for datagrams, which no node uses, has said that it takes it.
        let Ok(claim) = UdpSocket::bind(("127.0.0.1", port)) else {
            continue;
        };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            CLAIMS.lock().expect("no panic in between").push(claim);
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// The cluster's processes. A node that was killed is `None` until it is started again.
#[derive(Debug)]
pub struct Fleet {
    setups: Vec<Setup>,
    nodes: Vec<Option<Node>>,
    /// The number of the first node.
    first: i32,
    /// Where they listen for nodes.
    peers: Vec<String>,
}

impl Fleet {
    /// Starts three nodes over directories in `place` and waits until all are ready.
    pub fn start(place: &Path, args: &[&str]) -> Fleet {
        Fleet::start_of(None, 1..=3, place, args)
    }

    /// Starts one node, which forms a cluster alone and lets others in.
    pub fn start_alone(place: &Path) -> Fleet {
        Fleet::start_of(None, 1..=1, place, &[])
    }

    /// The same with nodes 0, 1 and 2.
    pub fn start_from_zero(place: &Path) -> Fleet {
        Fleet::start_of(None, 0..=2, place, &[])
    }

    /// The same with another binary than the one under test.
    pub fn start_as(binary: &Path, place: &Path, args: &[&str]) -> Fleet {
        Fleet::start_of(Some(binary), 1..=3, place, args)
    }

    fn start_of(
        binary: Option<&Path>,
        ids: RangeInclusive<i32>,
        place: &Path,
        args: &[&str],
    ) -> Fleet {
        let host = |_| "127.0.0.1".to_owned();
        Fleet::start_arranged(ids, host, |id, setup| Setup {
            data: place.join(format!("node{id}")),
            binary: binary.map(Path::to_owned),
            ..setup.with(args)
        })
    }

    /// Starts nodes, each on a host of its own and as `arrange` wants it, and waits until all are
    /// ready.
    pub fn start_arranged(
        ids: RangeInclusive<i32>,
        host: impl Fn(i32) -> String,
        arrange: impl Fn(i32, Setup) -> Setup,
    ) -> Fleet {
        let first = *ids.start();
        let address = |id| format!("{}:{}", host(id), free_port());
        let peers: Vec<String> = ids.clone().map(address).collect();
        let members: Vec<String> = ids
            .clone()
            .zip(&peers)
            .map(|(id, peer)| format!("{id}@{peer}"))
            .collect();
        let members = members.join(",");
        let alone = peers.len() == 1;
        let setup = |(id, peer): (i32, &String)| {
            let setup = Setup {
                kafka: address(id),
                http: address(id),
                ..Setup::single(Path::new(""))
            };
            let setup = setup.with(&["--node-id", &id.to_string(), "--peer", peer]);
            let setup = match alone {
                true => setup,
                false => setup.with(&["--peers", &members]),
            };
            arrange(id, setup)
        };
        let setups: Vec<Setup> = ids.zip(&peers).map(setup).collect();
        let mut fleet = Fleet {
            nodes: setups.iter().map(|setup| Some(setup.spawn())).collect(),
            setups,
            first,
            peers,
        };
        fleet.nodes.iter_mut().flatten().for_each(ready);
        fleet
    }

    /// How one more node would be started, with the next number.
    pub fn newcomer(&self, place: &Path) -> Setup {
        let address = || format!("127.0.0.1:{}", free_port());
        let id = (self.setups.len() + 1).to_string();
        let setup = Setup {
            kafka: address(),
            http: address(),
            ..Setup::single(&place.join(format!("node{id}")))
        };
        let members = self.peers.join(",");
        setup.with(&["--node-id", &id, "--peer", &address(), "--join", &members])
    }

    /// Starts one more node and waits until it is ready.
    pub fn join(&mut self, setup: Setup) {
        let mut node = setup.spawn();
        ready(&mut node);
        let peer = setup.args.iter().skip_while(|arg| *arg != "--peer").nth(1);
        self.peers.extend(peer.cloned());
        self.setups.push(setup);
        self.nodes.push(Some(node));
    }

    /// Starts a node whose directory is gone: under its number it joins the others, and is another one.
    pub fn join_anew(&mut self, id: i32) {
        let at = self.place(id);
        let others = self.peers.iter().enumerate();
        let others: Vec<&str> = others
            .filter(|(place, _)| *place != at)
            .map(|(_, peer)| peer.as_str())
            .collect();
        let others = others.join(",");
        let args = &mut self.setups[at].args;
        // Another time it has joined before.
        if let Some(named) = args.iter().position(|arg| arg == "--peers") {
            args.splice(named..named + 2, ["--join".to_owned(), others]);
        }
        self.restart(id);
    }

    /// Where clients connect.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<&str> = self
            .setups
            .iter()
            .map(|setup| setup.kafka.as_str())
            .collect();
        addresses.join(",")
    }

    /// The node of this id; it runs.
    pub fn node(&mut self, id: i32) -> &mut Node {
        self.slot(id).as_mut().expect("the node runs")
    }

    fn place(&self, id: i32) -> usize {
        usize::try_from(id - self.first).expect("a node of this fleet")
    }

    fn slot(&mut self, id: i32) -> &mut Option<Node> {
        let at = self.place(id);
        &mut self.nodes[at]
    }

    /// The data directory of a node, whether it runs or not.
    pub fn data(&self, id: i32) -> PathBuf {
        self.setups[self.place(id)].data.clone()
    }

    /// Kills a node.
    pub fn kill(&mut self, id: i32) {
        let mut node = self.slot(id).take().expect("the node runs");
        node.kill();
    }

    /// Tells a node to stop and waits until it has, in good order.
    pub fn leave(&mut self, id: i32) -> Result<(), String> {
        let mut node = self.slot(id).take().expect("the node runs");
        match node.stop() {
            status if status.success() => Ok(()),
            status => Err(format!("node {id}, told to stop, ended with {status}")),
        }
    }

    /// Starts a node again as another binary and waits until it is ready.
    pub fn restart_as(&mut self, binary: &Path, id: i32) {
        let at = self.place(id);
        let setup = &mut self.setups[at];
        setup.binary = Some(binary.to_owned());
        self.restart(id);
    }

    /// Starts a node again and waits until it is ready.
    pub fn restart(&mut self, id: i32) {
        let setup = self.setups[self.place(id)].clone();
        let mut node = setup.spawn();
        ready(&mut node);
        *self.slot(id) = Some(node);
    }

    /// Starts some nodes again at once and waits until all of them are ready.
    pub fn restart_together(&mut self, ids: &[i32]) {
        for id in ids {
            let setup = self.setups[self.place(*id)].clone();
            *self.slot(*id) = Some(setup.spawn());
        }
        for id in ids {
            ready(self.node(*id));
        }
    }

    /// Starts all nodes again at once and waits until all are ready.
    pub fn restart_all(&mut self) {
        self.nodes = self
            .setups
            .iter()
            .map(|setup| Some(setup.spawn()))
            .collect();
        self.nodes.iter_mut().flatten().for_each(ready);
    }

    /// Nodes that ended although nobody ended them, and their last words.
    pub fn deaths(&mut self) -> Vec<String> {
        let mut deaths = Vec::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if let Some(node) = node
                && !node.is_alive()
            {
                let log = std::fs::read_to_string(node.setup().log()).unwrap_or_default();
                let words: Vec<&str> = match log.lines().position(|l| l.contains("panicked at")) {
                    Some(place) => log.lines().skip(place).take(2).collect(),
                    None => log.lines().rev().take(1).collect(),
                };
                deaths.push(format!("node {} died: {}", at + 1, words.join(" ")));
            }
        }
        deaths
    }

    /// Waits until all nodes show the same high watermark of every partition, each of which is on all
    /// of them. A replica may be in sync and lack what was written in the last moment.
    fn even(&self) -> Result<(), String> {
        let ends = |node: &Node| {
            let (_, metrics) = http::get(&node.http, "/metrics")?;
            let ends = |line: &&str| line.starts_with("flotilla_partition_high_watermark{");
            let ends: Vec<String> = metrics.lines().filter(ends).map(str::to_owned).collect();
            (!ends.is_empty()).then_some(ends)
        };
        wait::patiently("the same high watermarks everywhere", || {
            let all: Option<Vec<_>> = self.nodes.iter().flatten().map(ends).collect();
            let all = all?;
            all.iter().all(|ends| *ends == all[0]).then_some(())
        })
    }

    /// Stops all nodes in good order, once all have everything; gives their data directories, or what
    /// went wrong.
    pub fn stop(mut self) -> Result<Vec<PathBuf>, String> {
        let deaths = self.deaths();
        if !deaths.is_empty() {
            return Err(deaths.join("; "));
        }
        self.even()?;
        for node in self.nodes.iter_mut().flatten() {
            node.signal(rustix::process::Signal::TERM);
        }
        for node in self.nodes.iter_mut().flatten() {
            wait::patiently("the end of a node", || (!node.is_alive()).then_some(()))?;
        }
        Ok(self.setups.iter().map(|setup| setup.data.clone()).collect())
    }

    /// A client of the cluster that doesn't wait long for any one node.
    pub fn client(&self) -> Cluster {
        Cluster::new(&self.bootstrap())
            .expect("addresses")
            .patient_for(PATIENCE)
    }

    /// Waits until every replica of a topic is in sync and every partition has a leader.
    pub fn settle(&self, topic: &str) -> Result<(), String> {
        let mut client = self.client();
        wait::patiently("all replicas in sync", || {
            let known = client
                .topic_as_known(topic, Deadline::after(Duration::from_secs(5)))
                .ok()?;
            let whole = known
                .partitions
                .iter()
                .all(|p| p.leader_id >= 0 && p.isr_nodes.len() == 3);
            (whole && !known.partitions.is_empty()).then_some(())
        })
    }
}

/// How long a client waits for one answer before it asks another node.
pub const PATIENCE: Duration = Duration::from_millis(400);

fn ready(node: &mut Node) {
    if let Err(refused) = node.wait_ready() {
        panic!(
            "a node ended with {:?} before it was ready:\n{}",
            refused.code, refused.stderr
        );
    }
}
