//! One client's task: carries bytes, answers and time to its connection, and carries out what
//! comes of them.

use super::inbox::{Inbox, Letter};
use super::input::Input;
use super::output::Output;
use super::{Door, Stop};
use base::Mono;
use serve_kafka::{ColdRead, Connection};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Bytes that may wait for a slow reader before nothing more is taken out of its connection, which
/// then stops serving and being read.
pub const UNWRITTEN_MAX: usize = 1024 * 1024;
/// How long a client may take to read its last answers after its connection was ended.
const LINGER: Duration = Duration::from_secs(5);

/// The task's state.
pub struct Client<'a> {
    door: &'a Door,
    stream: TcpStream,
    peer: SocketAddr,
    connection: Connection,
    inbox: Arc<Inbox>,
    input: Input,
    output: Output,
    stop: watch::Receiver<Stop>,
    /// When something came or went last.
    active: Mono,
    idle: IdleTimer,
    ending: bool,
}

/// Rings when a connection may have been idle for too long. It is set again only when it rings,
/// so that traffic costs nothing.
struct IdleTimer {
    limit: Option<Duration>,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    fn new(limit: Option<Duration>) -> IdleTimer {
        let never = Duration::from_secs(u64::from(u32::MAX));
        IdleTimer {
            limit,
            timer: Box::pin(sleep(limit.unwrap_or(never))),
        }
    }

    async fn over(&mut self) {
        self.timer.as_mut().await;
    }

    /// Sets the timer for a connection with traffic at `active`; false if that is too long ago.
    fn set(&mut self, active: Mono, now: Mono) -> bool {
        let limit = self.limit.unwrap_or(Duration::MAX);
        let left = limit.saturating_sub(now.since(active));
        let at = Instant::now().checked_add(left);
        if let Some(at) = at.filter(|_| !left.is_zero()) {
            self.timer.as_mut().reset(at);
        }
        !left.is_zero()
    }
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
    pub fn new(door: &'a Door, stream: TcpStream, peer: SocketAddr, number: u64) -> Client<'a> {
        let inbox = Arc::new(Inbox::default());
        Client {
            connection: door.connection(peer, number, Arc::clone(&inbox)),
            door,
            stream,
            peer,
            inbox,
            input: Input::default(),
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
                return Ok(());
            }
            match self.wait().await? {
                Wake::Socket => self.on_socket()?,
                Wake::Inbox => self.on_inbox(),
                Wake::Resume => self.connection.resume(os::clock::now()),
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
            // What waited for its answers to leave may go on, and may have made more.
            self.connection.resume(now);
            if self.output.len() > 0 {
                return Ok(());
            }
        }
    }

    fn read_cold(&self, ticket: u64, read: ColdRead) {
        let inbox = Arc::clone(&self.inbox);
        self.door
            .readers
            .run(move || inbox.leave(Letter::Read(ticket, read.run())));
    }

    async fn wait(&mut self) -> io::Result<Wake> {
        let reads = self.connection.wants_bytes()
            && self.output.len() < UNWRITTEN_MAX
            && *self.stop.borrow() < Stop::Reading;
        let interest = match (reads, self.output.len() > 0) {
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
        let resume = async {
            match self.connection.resume_at() {
                Some(at) => sleep(at.since(os::clock::mono())).await,
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

    fn on_socket(&mut self) -> io::Result<()> {
        if !self.connection.wants_bytes() {
            return Ok(());
        }
        match self.input.read(&self.stream) {
            Ok(bytes) if bytes.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => {
                let now = os::clock::now();
                self.active = now.mono;
                // What ends the connection comes out of it with the last answers.
                let _ = self.connection.on_bytes(now, bytes);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn on_inbox(&mut self) {
        let now = os::clock::now();
        for letter in self.inbox.take() {
            match letter {
                Letter::Reply(ticket, reply) => self.connection.on_reply(now, ticket, reply),
                Letter::Read(ticket, outcome) => self.connection.on_read(now, ticket, outcome),
            }
        }
    }

    /// The time without traffic may be over: or there was some since the timer was set.
    fn on_idle(&mut self) -> io::Result<()> {
        let now = os::clock::mono();
        // Who waits for an answer isn't idle; who doesn't take the answers is.
        if self.connection.pending_bytes() > 0 && self.output.len() == 0 {
            self.active = now;
        }
        if self.idle.set(self.active, now) {
            return Ok(());
        }
        Err(io::Error::other("no traffic for connections.max.idle.ms"))
    }

    /// True if nothing more is to be read and all is answered.
    fn is_drained(&self) -> bool {
        *self.stop.borrow() >= Stop::Reading
            && self.connection.pending_bytes() == 0
            && self.output.len() == 0
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
