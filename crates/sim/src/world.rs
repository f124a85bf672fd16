//! The world of a run: nodes, networks, clients and what is to happen, under one clock. What is
//! done with each kind of event is in the files beside this one.

mod clients;
mod ending;
mod eras;
mod faults;
mod fleet;
mod nodes;
mod pipes;
mod ruin;
mod storages;

use crate::book::Book;
use crate::checkers::{Checked, Checkers, Violation};
use crate::client::Client;
use crate::disk::Damage;
use crate::net::{Arrival, Net, Place, Wire};
use crate::node::Node;
use crate::plan::Plan;
use crate::scheduler::{Micros, Scheduler};
use crate::trace::Trace;
use base::Random;
use bytes::Bytes;
use ending::Ending;
use pipes::Pipe;
use serve_kafka::ColdRead;
use shard::Job;
use std::collections::BTreeMap;

/// What happens.
pub(crate) enum Event {
    /// Something on the network between nodes.
    Net(Wire),
    /// A shard runs.
    Shard { node: Place, life: u64 },
    /// A storage thread has done what it was at.
    Storage { node: Place, life: u64 },
    /// A flusher has done its flush.
    Flush { node: Place, life: u64 },
    /// A reader runs a job of the shard.
    Job { node: Place, life: u64, job: Job },
    /// A reader runs a read of a client.
    Cold {
        connection: u64,
        ticket: u64,
        read: ColdRead,
    },
    /// Answers of the shard reach the connections.
    Answers { node: Place, life: u64 },
    /// Room on the disk is measured.
    Measure { node: Place, life: u64 },
    /// A connection reaches its node.
    Connect { connection: u64 },
    /// Bytes reach a node.
    ToNode { connection: u64 },
    /// A node's end of a connection looks again whether it may go on.
    Resume { connection: u64 },
    /// Bytes reach a client.
    ToClient { connection: u64 },
    /// A client notices that its connection broke.
    Broken { connection: u64, client: usize },
    /// A client acts.
    Client { client: usize },
    /// A fault of the plan begins.
    Fault { nth: usize },
    /// A fault that lasts is over.
    Over(Over),
    /// A node begins to come or go.
    Begin { nth: usize },
    /// The operator looks after a node that comes or goes.
    Change { nth: usize },
    /// It is drawn who of those who vote on metadata is to lose its disk.
    Doom,
    /// They lose them.
    Ruin,
    /// The operator lets the cluster go on without them.
    Recover,
    /// A node's process starts.
    Start { node: Place },
    /// Replicas are compared with what they said before.
    Inspect,
    /// Is everything well again?
    Converged,
}

/// What ends.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// Directions are open again.
    Blocked(Vec<(Place, Place)>),
    Slow {
        from: Place,
        to: Place,
    },
    Narrow {
        a: Place,
        b: Place,
    },
    Pause {
        node: Place,
    },
    Full {
        node: Place,
    },
    /// A process that was asked to stop stops.
    Drained {
        node: Place,
        life: u64,
        down: Micros,
    },
    /// A hunted leader is hit.
    Struck {
        node: Place,
        life: u64,
    },
    /// The session of two nodes breaks once more.
    Flap {
        a: Place,
        b: Place,
        times: u32,
    },
}

/// The world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    scheduler: Scheduler<Event>,
    random: Random,
    net: Net,
    nodes: Vec<Node>,
    pipes: BTreeMap<u64, Pipe>,
    clients: Vec<Client>,
    /// When each client acts next.
    client_wakes: Vec<Micros>,
    checkers: Checkers,
    book: Book,
    trace: Trace,
    ending: Ending,
    fleet: Vec<fleet::Job>,
    ruined: Option<ruin::Ruined>,
    faults_done: u64,
    /// Until then whoever comes to lead is hit.
    hunt_until: Micros,
    /// Until then whoever cuts off a part of a log is stopped.
    ambush_until: Micros,
    /// Groups of partitions, as any node's image named them.
    parts: BTreeMap<u64, crate::checkers::Part>,
    /// By how much clocks were moved, in all: two of them differ by no more.
    clocks_moved: Micros,
    /// When something was out of order last.
    troubled_at: Micros,
    events: u64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The broken promise, if one was.
    pub violation: Option<Violation>,
    /// The trace's number.
    pub hash: u64,
    /// What happened, in numbers.
    pub tally: Tally,
}

/// Numbers of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events of the scheduler.
    pub events: u64,
    /// Requests that clients sent.
    pub operations: u64,
    /// Batches acknowledged.
    pub produced: u64,
    /// Records fetched.
    pub consumed: u64,
    /// Offsets committed by members of groups.
    pub commits: u64,
    /// Faults.
    pub faults: u64,
    /// Leaders elected.
    pub elections: u64,
    /// Nodes that refused to start because their data was destroyed.
    pub given_up: u64,
    /// Virtual microseconds.
    pub virtual_us: u64,
}

impl World {
    /// The world of a plan, before its first event.
    pub(crate) fn new(plan: Plan, readable: bool) -> World {
        let mut random = Random::new(plan.seed ^ 0x5eed);
        let nodes: Vec<Node> = (0..plan.nodes)
            .map(|place| Node::new(&plan, place, &mut random))
            .collect();
        let net = Net::new(random.fork(), plan.weather.clone(), plan.nodes);
        let mut world = World {
            scheduler: Scheduler::new(),
            net,
            nodes,
            pipes: BTreeMap::new(),
            clients: Vec::new(),
            client_wakes: Vec::new(),
            checkers: Checkers::default(),
            book: Book::default(),
            trace: Trace::new(readable),
            ending: Ending::default(),
            fleet: Vec::new(),
            ruined: None,
            faults_done: 0,
            hunt_until: 0,
            ambush_until: 0,
            parts: BTreeMap::new(),
            clocks_moved: 0,
            troubled_at: 0,
            events: 0,
            random,
            plan,
        };
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        for node in 0..self.plan.nodes {
            let at = self.random.below(100_000);
            self.scheduler.at(at, Event::Start { node });
        }
        self.make_clients();
        for nth in 0..self.plan.faults.len() {
            self.scheduler
                .at(self.plan.faults[nth].0, Event::Fault { nth });
        }
        for nth in 0..self.plan.fleet.len() {
            self.scheduler
                .at(self.plan.fleet[nth].0, Event::Begin { nth });
        }
        if let Some(ruin) = self.plan.ruin {
            self.scheduler.at(ruin.at - ruin.apart, Event::Doom);
        }
        self.scheduler.after(500_000, Event::Inspect);
        self.scheduler.at(crate::plan::CHAOS, Event::Converged);
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Outcome {
        let mut result = Ok(());
        while result.is_ok() && !self.ending.done {
            let Some(event) = self.scheduler.pop() else {
                break;
            };
            self.events += 1;
            result = self.happen(event);
        }
        let now = self.scheduler.now();
        if let Err(violation) = &result {
            self.trace.tell(now, || {
                format!("BROKEN: {}: {}", violation.checker, violation.what)
            });
        }
        let tally = Tally {
            events: self.events,
            operations: self.book.operations,
            produced: self.book.produced,
            consumed: self.book.consumed,
            commits: self.book.commits,
            faults: self.faults_done,
            elections: self.checkers.elections.count() as u64,
            given_up: self
                .nodes
                .iter()
                .filter(|node| node.given_up.is_some())
                .count() as u64,
            virtual_us: now,
        };
        let hash = self.trace.hash();
        Outcome {
            violation: result.err(),
            hash,
            tally,
        }
    }

    fn happen(&mut self, event: Event) -> Checked {
        let now = self.scheduler.now();
        match event {
            Event::Net(wire) => {
                if let Some(arrival) = self.net.step(wire) {
                    self.arrived(arrival);
                }
                self.flush_net();
                Ok(())
            }
            Event::Shard { node, life } => self.run_shard(node, life),
            Event::Storage { node, life } => self.run_storage(node, life),
            Event::Flush { node, life } => self.run_flush(node, life),
            Event::Job { node, life, job } => self.run_job(node, life, job),
            Event::Cold {
                connection,
                ticket,
                read,
            } => self.run_cold(connection, ticket, read),
            Event::Answers { node, life } => self.deliver_answers(node, life),
            Event::Measure { node, life } => self.measure(node, life),
            Event::Connect { connection } => self.connect(connection),
            Event::ToNode { connection } => self.reach_node(connection),
            Event::Resume { connection } => self.resume(connection),
            Event::ToClient { connection } => self.reach_client(connection),
            Event::Broken { connection, client } => self.broken(connection, client),
            Event::Client { client } => self.wake_client(client),
            Event::Fault { nth } => {
                let (_, fault) = self.plan.faults[nth];
                self.trace.note(1, nth as u64, now);
                self.trace.tell(now, || format!("FAULT {fault:?}"));
                self.faults_done += 1;
                self.trouble();
                self.begin(fault)
            }
            Event::Over(over) => {
                self.trouble();
                self.end(over)
            }
            Event::Begin { nth } => self.begin_change(nth),
            Event::Change { nth } => self.work_on(nth),
            Event::Doom => self.doom(),
            Event::Ruin => self.ruin(),
            Event::Recover => self.recover(),
            Event::Start { node } => self.start(node),
            Event::Inspect => self.inspect(),
            Event::Converged => self.converge(),
        }
    }

    fn flush_net(&mut self) {
        for (wait, wire) in self.net.take_out() {
            self.scheduler.after(wait, Event::Net(wire));
        }
    }

    /// Something reached a node from another.
    fn arrived(&mut self, arrival: Arrival) {
        let now = self.scheduler.now();
        let (node, events): (Place, Vec<shard::Event>) = match arrival {
            Arrival::Up { node, peer } => {
                self.trace.note(2, node as u64, peer as u64);
                self.trace.tell(now, || {
                    format!("node {}: peer {} is up", node + 1, peer + 1)
                });
                (
                    node,
                    vec![shard::Event::PeerUp(crate::node::process::node_id(peer))],
                )
            }
            Arrival::Down { node, peer } => {
                self.trace.note(3, node as u64, peer as u64);
                self.trace.tell(now, || {
                    format!("node {}: peer {} is down", node + 1, peer + 1)
                });
                (
                    node,
                    vec![shard::Event::PeerDown(crate::node::process::node_id(peer))],
                )
            }
            Arrival::Coming { from, to, bytes } => {
                let from = crate::node::process::node_id(from);
                (to, vec![shard::Event::Coming { from, bytes }])
            }
            Arrival::Frames { from, to, frames } => {
                let from = crate::node::process::node_id(from);
                let frame = |bytes: Bytes| shard::Event::Frame { from, bytes };
                (to, frames.into_iter().map(frame).collect())
            }
        };
        self.leave(node, events);
    }

    /// Leaves events in a node's mailbox and lets its shard run soon.
    fn leave(&mut self, node: Place, events: Vec<shard::Event>) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        for event in events {
            process.mail.leave(event);
        }
        self.kick(node);
    }

    /// If something waits for a node's shard, it runs soon.
    fn kick(&mut self, node: Place) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        if process.mail.is_empty() {
            return;
        }
        let soon = self.scheduler.now() + 2 + self.random.below(30);
        self.wake_shard(node, soon);
    }

    fn wake_shard(&mut self, node: Place, at: Micros) {
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.wake_at.is_none_or(|known| at < known) {
            process.wake_at = Some(at);
            self.scheduler.at(at, Event::Shard { node, life });
        }
    }

    /// A process gets time again.
    fn wake_again(&mut self, node: Place) {
        if let Some(process) = &mut self.nodes[node].process {
            process.wake_at = None;
            self.wake_shard(node, self.scheduler.now());
        }
    }

    /// True if a node's process of this life runs and gets time; if it is paused, `again` comes
    /// when it goes on.
    fn gets_time(&mut self, node: Place, life: u64, again: impl FnOnce() -> Event) -> bool {
        if self.nodes[node].life != life || self.nodes[node].process.is_none() {
            return false;
        }
        if let Some(until) = self.nodes[node].paused_until {
            self.scheduler.at(until, again());
            return false;
        }
        true
    }

    /// What happened to a node's disk.
    fn damage(&self, node: Place) -> Damage {
        self.nodes[node].disk.damage()
    }
}
