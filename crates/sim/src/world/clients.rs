//! Clients act and are answered.

use super::{Event, World};
use crate::checkers::Checked;
use crate::client::admin::Admin;
use crate::client::consumer::Consumer;
use crate::client::member::Member;
use crate::client::producer::Producer;
use crate::client::{Act, Client, Reach, Role};
use crate::node::WALL_START;
use crate::scheduler::Micros;
use bytes::Bytes;

impl World {
    /// Makes the clients of the plan.
    pub(super) fn make_clients(&mut self) {
        let mut roles = vec![Role::Admin(Admin::new(self.plan.admin.clone()))];
        let producers = self.plan.producers.iter().cloned().map(Producer::new);
        roles.extend(producers.map(Role::Producer));
        let consumers = self.plan.consumers.iter().cloned().map(Consumer::new);
        roles.extend(consumers.map(Role::Consumer));
        let members = self.plan.groups.members.iter().cloned().map(Member::new);
        roles.extend(members.map(Role::Member));
        for role in roles {
            self.add_client(role);
        }
    }

    /// Adds a client, which acts from now on.
    pub(super) fn add_client(&mut self, role: Role) -> usize {
        let client = self.clients.len();
        let random = self.random.fork();
        self.clients.push(Client::new(client as u64, random, role));
        self.client_wakes.push(Micros::MAX);
        let at = self.scheduler.now() + self.random.between(50_000, 300_000);
        self.wake_client_at(client, at);
        client
    }

    /// Lets a client act at `at`, unless it acts before that.
    pub(super) fn wake_client_at(&mut self, client: usize, at: Micros) {
        if at < self.client_wakes[client] {
            self.client_wakes[client] = at;
            self.scheduler.at(at, Event::Client { client });
        }
    }

    /// Lets a client do something and carries out what it wants.
    pub(super) fn with_client<T>(
        &mut self,
        client: usize,
        work: impl FnOnce(&mut Client, &mut Reach<'_>) -> T,
    ) -> T {
        let now = self.scheduler.now();
        let mut reach = Reach {
            now,
            wall_ms: WALL_START + (now / 1_000) as i64,
            nodes: self.plan.nodes,
            checkers: &mut self.checkers,
            book: &mut self.book,
            cluster: &self.nodes,
            acts: Vec::new(),
            story: self.trace.is_readable().then(Vec::new),
        };
        let result = work(&mut self.clients[client], &mut reach);
        let (acts, story) = (reach.acts, reach.story);
        for line in story.into_iter().flatten() {
            self.trace.tell(now, || line);
        }
        for act in acts {
            match act {
                Act::Open { connection, node } => self.open(client, connection, node),
                Act::Send { connection, bytes } => self.send_to_node(connection, bytes),
                Act::Close { connection } => {
                    self.pipes.remove(&connection);
                }
            }
        }
        result
    }

    /// A client acts.
    pub(super) fn wake_client(&mut self, client: usize) -> Checked {
        if self.client_wakes[client] > self.scheduler.now() {
            return Ok(());
        }
        self.client_wakes[client] = Micros::MAX;
        let next = self.with_client(client, |client, reach| client.wake(reach));
        if next < Micros::MAX {
            self.wake_client_at(client, next);
        }
        Ok(())
    }

    /// Bytes came for a client.
    pub(super) fn client_gets(&mut self, client: usize, connection: u64, bytes: Bytes) -> Checked {
        self.with_client(client, |client, reach| {
            client.on_bytes(connection, bytes, reach)
        })?;
        let at = self.scheduler.now() + self.random.between(1_000, 10_000);
        self.wake_client_at(client, at);
        Ok(())
    }

    /// A client's connection broke.
    pub(super) fn broken(&mut self, connection: u64, client: usize) -> Checked {
        self.with_client(client, |client, reach| client.on_closed(connection, reach));
        let at = self.scheduler.now() + self.random.between(1_000, 50_000);
        self.wake_client_at(client, at);
        Ok(())
    }
}
