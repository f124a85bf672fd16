//! One client's task: carries bytes, answers and time to its connection, and carries out what
//! comes of them.

use super::idle::IdleTimer;
use super::inbox::{Inbox, Letter};
use super::input;
use super::intake::Intake;
use super::output::Output;
use super::{Door, Stop};
use crate::engine::readers::Readers;
use base::Mono;
use serve_kafka::{ColdRead, Connection};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

/// Bytes that may wait for a slow reader before nothing more is taken out of its connection, which
/// then stops serving and being read.
pub const UNWRITTEN_MAX: usize = 1024 * 1024;
/// How long a client may take to read its last answers after its connection was ended.
const LINGER: Duration = Duration::from_secs(5);
/// How long a client may take to hang up when the node stops.
const HANG_UP: Duration = Duration::from_secs(1);

/// The task's state.
pub struct Client<'a> {
    door: &'a Door,
    stream: TcpStream,
    peer: SocketAddr,
    connection: Connection,
    inbox: Arc<Inbox>,
    intake: Intake,
    output: Output,
    stop: watch::Receiver<Stop>,
    /// When something came or went last.
    active: Mono,
    idle: IdleTimer,
    ending: bool,
}

/// What the task woke up for.
enum Wake {
    Socket,
    Inbox,
    Resume,
    Idle,
    Stop,
}

impl<'a> Client<'a> {
    /// A client that was just let in.
    pub fn new(
        door: &'a Door,
        stream: TcpStream,
        peer: SocketAddr,
        listener: Arc<str>,
        number: u64,
    ) -> Client<'a> {
        let inbox = Arc::new(Inbox::default());
        Client {
            connection: door.connection(peer, listener, number, Arc::clone(&inbox)),
            door,
            stream,
            peer,
            inbox,
            intake: Intake::default(),
            output: Output::default(),
            stop: door.stop.subscribe(),
            active: os::clock::mono(),
            idle: IdleTimer::new(door.broker.settings().connections_idle_max),
            ending: false,
        }
    }

    /// Serves until either side ends it.
    pub async fn run(mut self) {
        let outcome = match os::socket::tune_client(&self.stream) {
            Ok(()) => self.serve().await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!("the connection of {} ended: {error}", self.peer);
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.carry_out()?;
            if self.ending {
                return self.say_goodbye().await;
            }
            if self.is_drained() {
                return self.hang_up().await;
            }
            match self.wait().await? {
                Wake::Socket => self.on_socket()?,
                Wake::Inbox => self.on_inbox(),
                Wake::Resume => self.on_room()?,
                Wake::Idle => self.on_idle()?,
                Wake::Stop => {}
            }
        }
    }

    /// Takes what the connection has, and writes as much as goes.
    fn carry_out(&mut self) -> io::Result<()> {
        loop {
            if self.output.len() < UNWRITTEN_MAX && !self.ending {
                let out = self.connection.take();
                self.output.push(out.bytes);
                for (ticket, read) in out.cold {
                    self.read_cold(ticket, read);
                }
                for note in out.notes {
                    // A device that fails has a text for each place that is read; which replicas are
                    // damaged, and what is lost, the shard tells.
                    tracing::warn!("{note}");
                }
                if let Some(close) = out.close {
                    tracing::debug!("{close}");
                    self.ending = true;
                }
            }
            if !self.output.write(&self.stream)? {
                return Ok(());
            }
            let now = os::clock::now();
            self.active = now.mono;
            if self.connection.yields() || self.output.len() >= UNWRITTEN_MAX {
                return Ok(());
            }
            // What waited for its answers to leave may go on, and may have made more.
            self.connection.resume(now);
            if self.output.len() > 0 {
                return Ok(());
            }
        }
    }

    /// True if more of what has arrived can be served once others had their turn.
    fn may_go_on(&self) -> bool {
        self.connection.yields() && self.output.len() < UNWRITTEN_MAX
    }

    fn read_cold(&self, ticket: u64, read: ColdRead) {
        carry_on(
            self.door.readers.clone(),
            Arc::clone(&self.inbox),
            ticket,
            read,
        );
    }

    async fn wait(&mut self) -> io::Result<Wake> {
        let interest = match (self.may_read(), self.output.len() > 0) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        let ready = async {
            match interest {
                Some(interest) => self.stream.ready(interest).await.map(|_| Wake::Socket),
                None => std::future::pending().await,
            }
        };
        let may_go_on = self.may_go_on();
        let resume = async {
            if may_go_on {
                return yield_now().await;
            }
            let now = os::clock::mono();
            let intake = self.intake.resume_at(now);
            match self.connection.resume_at().into_iter().chain(intake).min() {
                Some(at) => sleep(at.since(now)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            woken = ready => woken,
            () = self.inbox.filled() => Ok(Wake::Inbox),
            () = resume => Ok(Wake::Resume),
            () = self.idle.over() => Ok(Wake::Idle),
            _ = self.stop.changed() => Ok(Wake::Stop),
        }
    }

    fn may_read(&self) -> bool {
        self.connection.wants_bytes()
            && !self.intake.is_starving()
            && self.output.len() < UNWRITTEN_MAX
            && *self.stop.borrow() < Stop::Reading
    }

    fn on_socket(&mut self) -> io::Result<()> {
        if !self.may_read() {
            return Ok(());
        }
        match input::read(&self.stream, &mut self.connection) {
            Ok(bytes) => {
                let now = os::clock::now();
                self.active = now.mono;
                // What ends the connection comes out of it with the last answers.
                let _ = self.connection.on_bytes(now, bytes);
                self.count_time(now.mono);
                self.cover(now.mono)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// There may be room in the budget again.
    fn on_room(&mut self) -> io::Result<()> {
        let now = os::clock::now();
        if self.connection.starved_bytes() > 0 {
            // It has arrived, and takes over what it held so far.
            self.intake = Intake::default();
        }
        self.connection.resume(now);
        self.count_time(now.mono);
        self.cover(now.mono)
    }

    fn cover(&mut self, now: Mono) -> io::Result<()> {
        let unserved = self.connection.unfinished_bytes() + self.connection.starved_bytes();
        let budget = self.door.broker.budget();
        let covered = self.intake.cover(budget, unserved, now);
        covered.map(|_| ()).map_err(|why| {
            tracing::warn!("the connection of {} is ended: {why}", self.peer);
            io::Error::other(why)
        })
    }

    /// Counts the time spent on the client, where quotas might bound it.
    fn count_time(&mut self, since: Mono) {
        if self.door.broker.has_quotas() {
            let now = os::clock::now();
            self.connection.spent(now, now.mono.since(since));
        }
    }

    /// True if the client waits for an answer.
    fn is_asked(&self) -> bool {
        let served = self.connection.pending_bytes() > self.connection.unfinished_bytes();
        served || self.connection.yields()
    }

    fn on_inbox(&mut self) {
        let now = os::clock::now();
        for letter in self.inbox.take() {
            match letter {
                Letter::Reply(ticket, reply) => self.connection.on_reply(now, ticket, reply),
                Letter::Read(ticket, outcome) => self.connection.on_read(now, ticket, outcome),
            }
        }
        self.count_time(now.mono);
    }

    /// The time without traffic may be over: or there was some since the timer was set.
    fn on_idle(&mut self) -> io::Result<()> {
        // What came while this node had no time is traffic.
        self.on_socket()?;
        let now = os::clock::mono();
        // Who waits for an answer isn't idle; who doesn't take the answers is.
        if self.is_asked() && self.output.len() == 0 {
            self.active = now;
        }
        if self.idle.set(self.active, now) {
            return Ok(());
        }
        Err(io::Error::other("no traffic for connections.max.idle.ms"))
    }

    /// True if nothing more is to be read and all is answered.
    fn is_drained(&self) -> bool {
        *self.stop.borrow() >= Stop::Reading && !self.is_asked() && self.output.len() == 0
    }

    /// Ends a connection whose client may have asked more than was read. With unread bytes in it
    /// the kernel would drop the answers that haven't left yet.
    async fn hang_up(&mut self) -> io::Result<()> {
        let unread = async {
            self.stream.shutdown().await?;
            while self.stream.read(&mut [0; 4096]).await? > 0 {}
            Ok(())
        };
        timeout(HANG_UP, unread).await.unwrap_or(Ok(()))
    }

    async fn say_goodbye(&mut self) -> io::Result<()> {
        let write = async {
            while self.output.len() > 0 {
                self.stream.writable().await?;
                self.output.write(&self.stream)?;
            }
            Ok(())
        };
        timeout(LINGER, write)
            .await
            .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

/// Reads step by step, behind others' steps. Once nobody else has the inbox the connection is gone, and with
/// it whoever wanted to know.
fn carry_on(readers: Readers, inbox: Arc<Inbox>, ticket: u64, read: ColdRead) {
    let again = readers.clone();
    readers.run(move || match read.step() {
        Ok(outcome) => inbox.leave(Letter::Read(ticket, outcome)),
        Err(_) if Arc::strong_count(&inbox) == 1 => {}
        Err(rest) => carry_on(again, inbox, ticket, rest),
    });
}
