//! Connections between clients and nodes: bytes over links that delay, split and break.

use super::{Event, World};
use crate::checkers::Checked;
use crate::net::{Lane, Place};
use crate::scheduler::Micros;
use base::checksum::crc32c;
use bytes::{Bytes, BytesMut};
use serve_kafka::{ColdRead, Connection};

/// A connection.
pub(super) struct Pipe {
    pub(super) client: usize,
    pub(super) node: Place,
    /// The process it reached.
    life: u64,
    to_node: Lane<Bytes>,
    to_client: Lane<Bytes>,
    /// The node's end, once it is connected.
    pub(super) machine: Option<Connection>,
    /// Bytes that the node's end doesn't want yet.
    unread: Vec<Bytes>,
    /// It will be looked at again.
    resume_asked: bool,
}

impl World {
    /// A client opens a connection.
    pub(super) fn open(&mut self, client: usize, connection: u64, node: Place) {
        let pipe = Pipe {
            client,
            node,
            life: 0,
            to_node: Lane::default(),
            to_client: Lane::default(),
            machine: None,
            unread: Vec::new(),
            resume_asked: false,
        };
        self.pipes.insert(connection, pipe);
        let wait = self.client_delay();
        self.scheduler.after(wait, Event::Connect { connection });
    }

    fn client_delay(&mut self) -> Micros {
        self.random
            .between(self.plan.weather.delay_min, self.plan.weather.delay_max)
    }

    /// The connection reaches its node, or nobody.
    pub(super) fn connect(&mut self, connection: u64) -> Checked {
        let now = self.scheduler.now();
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return Ok(());
        };
        let node = &self.nodes[pipe.node];
        let Some(process) = &node.process else {
            self.hang_up(connection);
            return Ok(());
        };
        if now < node.unreachable_until {
            let wait = self.random.between(1_000, 300_000);
            self.scheduler.after(wait, Event::Connect { connection });
            return Ok(());
        }
        let inbox = process.inbox(connection);
        let peer = format!("client-{}", pipe.client);
        pipe.life = node.life;
        pipe.machine = Some(Connection::new(
            connection,
            peer,
            process.broker.clone(),
            inbox,
        ));
        for _ in 0..pipe.to_node.release() {
            self.scheduler.after(1, Event::ToNode { connection });
        }
        Ok(())
    }

    /// A client sends.
    pub(super) fn send_to_node(&mut self, connection: u64, bytes: Bytes) {
        let wait = self.client_delay();
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.to_node.push(bytes);
            self.scheduler.after(wait, Event::ToNode { connection });
        }
    }

    /// True while nothing passes between clients and the node of a connection; `event` comes again.
    fn held(&mut self, connection: u64, event: Event) -> bool {
        let Some(pipe) = self.pipes.get(&connection) else {
            return true;
        };
        let node = &self.nodes[pipe.node];
        let until = node.unreachable_until.max(node.paused_until.unwrap_or(0));
        let held = self.scheduler.now() < until;
        if held {
            self.scheduler.at(until, event);
        }
        held
    }

    /// Bytes reach a node.
    pub(super) fn reach_node(&mut self, connection: u64) -> Checked {
        if self.held(connection, Event::ToNode { connection }) {
            return Ok(());
        }
        let pipe = self.pipes.get_mut(&connection).expect("it isn't held");
        let waits = pipe.machine.is_none();
        let Some(bytes) = pipe.to_node.arrive(waits) else {
            return Ok(());
        };
        pipe.unread.push(bytes);
        self.read_on(connection);
        Ok(())
    }

    /// The node's end reads what it wants to.
    fn read_on(&mut self, connection: u64) {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return;
        };
        let place = pipe.node;
        let clock = self.nodes[place].now(self.scheduler.now());
        let Some(machine) = &mut pipe.machine else {
            return;
        };
        let mut unread = std::mem::take(&mut pipe.unread).into_iter();
        let mut closed = false;
        while machine.wants_bytes()
            && let Some(bytes) = unread.next()
        {
            closed |= machine.on_bytes(clock, bytes).is_err();
        }
        pipe.unread = unread.collect();
        self.pump(connection);
        self.resume_later(connection);
        if closed {
            self.hang_up(connection);
        }
        self.kick(place);
    }

    /// Carries out what the node's end wants.
    pub(super) fn pump(&mut self, connection: u64) {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return;
        };
        let place = pipe.node;
        let clock = self.nodes[place].now(self.scheduler.now());
        let Some(machine) = &mut pipe.machine else {
            return;
        };
        let out = machine.take();
        machine.resume(clock);
        let again = machine.wants_bytes() && !pipe.unread.is_empty();
        let yields = machine.yields();
        let mut bytes = BytesMut::new();
        for piece in &out.bytes {
            bytes.extend_from_slice(piece);
        }
        self.trace.note(10, connection, u64::from(crc32c(&bytes)));
        self.answer(connection, bytes.freeze());
        for (ticket, read) in out.cold {
            let wait = self.random.between(50, 3_000);
            self.scheduler.after(
                wait,
                Event::Cold {
                    connection,
                    ticket,
                    read,
                },
            );
        }
        if let Some(reason) = out.close {
            let now = self.scheduler.now();
            self.trace
                .tell(now, || format!("node {} hangs up: {reason}", place + 1));
            self.hang_up(connection);
        }
        if again {
            self.read_on(connection);
        } else if yields || !out.bytes.is_empty() {
            // What was held back by answers that weren't taken may have been served by now.
            self.pump(connection);
        }
    }

    /// The node's end looks again whether it may go on.
    pub(super) fn resume(&mut self, connection: u64) -> Checked {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return Ok(());
        };
        let place = pipe.node;
        pipe.resume_asked = false;
        let clock = self.nodes[place].now(self.scheduler.now());
        if let Some(machine) = &mut pipe.machine {
            machine.resume(clock);
            self.read_on(connection);
        }
        Ok(())
    }

    fn resume_later(&mut self, connection: u64) {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return;
        };
        let clock = self.nodes[pipe.node].now(self.scheduler.now());
        let at = pipe.machine.as_ref().and_then(Connection::resume_at);
        if let Some(at) = at.filter(|_| !pipe.resume_asked) {
            pipe.resume_asked = true;
            let wait = at.since(clock.mono).as_micros() as u64;
            self.scheduler
                .after(wait.max(1), Event::Resume { connection });
        }
    }

    fn answer(&mut self, connection: u64, mut bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let mut pieces = Vec::new();
        if bytes.len() > 2 && self.random.percent(10) {
            let cut = self.random.between(1, bytes.len() as u64 - 1) as usize;
            pieces.push(bytes.split_to(cut));
        }
        pieces.push(bytes);
        for piece in pieces {
            let wait = self.client_delay();
            let pipe = self.pipes.get_mut(&connection).expect("it answers");
            pipe.to_client.push(piece);
            self.scheduler.after(wait, Event::ToClient { connection });
        }
    }

    /// A read of a client is done.
    pub(super) fn run_cold(&mut self, connection: u64, ticket: u64, read: ColdRead) -> Checked {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return Ok(());
        };
        let place = pipe.node;
        let clock = self.nodes[place].now(self.scheduler.now());
        let outcome = read.run();
        if let Some(machine) = &mut pipe.machine {
            machine.on_read(clock, ticket, outcome);
            self.pump(connection);
            self.kick(place);
        }
        Ok(())
    }

    /// Bytes reach a client.
    pub(super) fn reach_client(&mut self, connection: u64) -> Checked {
        let Some(pipe) = self.pipes.get_mut(&connection) else {
            return Ok(());
        };
        let until = self.nodes[pipe.node].unreachable_until;
        if self.scheduler.now() < until {
            self.scheduler.at(until, Event::ToClient { connection });
            return Ok(());
        }
        let client = pipe.client;
        let Some(bytes) = pipe.to_client.arrive(false) else {
            return Ok(());
        };
        self.client_gets(client, connection, bytes)
    }

    /// The node's end is closed; the client notices after a while.
    pub(super) fn hang_up(&mut self, connection: u64) {
        if let Some(pipe) = self.pipes.remove(&connection) {
            let wait = self.random.between(100, 50_000);
            self.scheduler.after(
                wait,
                Event::Broken {
                    connection,
                    client: pipe.client,
                },
            );
        }
    }

    /// All connections of a node break.
    pub(super) fn hang_up_all(&mut self, place: Place) {
        let of_node = self.pipes.iter().filter(|(_, pipe)| pipe.node == place);
        for connection in of_node
            .map(|(connection, _)| *connection)
            .collect::<Vec<_>>()
        {
            self.hang_up(connection);
        }
    }
}
