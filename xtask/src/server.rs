//! Flotilla processes for the subcommands that need some: one node or three, started on free ports
//! over directories of their own, stopped by their process ids, never left behind.

use crate::run::{self, flag};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for the ready line.
pub const START_MAX: Duration = Duration::from_secs(30);
/// Longest wait for an orderly end; the contract says 10 s.
const STOP_MAX: Duration = Duration::from_secs(15);

/// Longest wait for a node's metrics.
const METRICS_MAX: Duration = Duration::from_secs(5);

/// A running node.
pub struct Server {
    child: Child,
    /// Where Kafka clients connect.
    pub kafka: String,
    /// Where health and metrics are.
    pub http: String,
    data: PathBuf,
    /// How it was started.
    args: Vec<String>,
}

impl Server {
    /// Starts one node over an empty directory `data`, its log beside it.
    pub fn start(binary: &Path, data: &Path, args: &[&str]) -> Result<Server, String> {
        Starting::new(binary, data, args)?.ready()
    }

    /// Starts a cluster of three over empty directories beside `data`. Each gets the arguments, and is told where clients
    /// reach it, as one suite wants to see.
    pub fn start_three(binary: &Path, data: &Path, args: &[&str]) -> Result<Vec<Server>, String> {
        let mut peers = free_addresses(6)?;
        let doors = peers.split_off(3);
        let ids = 1..=peers.len();
        let members: Vec<String> = ids
            .clone()
            .zip(&peers)
            .map(|(i, p)| format!("{i}@{p}"))
            .collect();
        let members = members.join(",");
        let mut starting = Vec::new();
        for ((id, peer), door) in ids.zip(&peers).zip(&doors) {
            let (id, rack) = (id.to_string(), format!("RACK{id}"));
            let advertised = format!("advertised.listeners=PLAINTEXT://{door}");
            let own = [
                "--node-id",
                &id,
                "--rack",
                &rack,
                "--peer",
                peer,
                "--peers",
                &members,
                "--kafka",
                door,
                "--set",
                &advertised,
            ];
            let args = [&own, args].concat();
            let data = data.with_file_name(format!("data-{id}"));
            starting.push(Starting::new(binary, &data, &args)?);
        }
        starting.into_iter().map(Starting::ready).collect()
    }

    /// Starts one more node over an empty directory beside those of a cluster, which it joins.
    pub fn join(
        binary: &Path,
        data: &Path,
        id: u32,
        others: &[Server],
        args: &[&str],
    ) -> Result<Server, String> {
        let peers: Vec<&str> = others
            .iter()
            .filter_map(|other| {
                let mut args = other.args.iter().skip_while(|arg| *arg != "--peer");
                args.nth(1).map(String::as_str)
            })
            .collect();
        let (id, peers) = (id.to_string(), peers.join(","));
        let peer = free_addresses(1)?.remove(0);
        let own = ["--node-id", &id, "--peer", &peer, "--join", &peers];
        let data = data.with_file_name(format!("data-{id}"));
        Starting::new(binary, &data, &[&own, args].concat())?.ready()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it counted, as Prometheus' text; none if it can't be asked.
    pub fn metrics(&self) -> Option<String> {
        let mut stream = TcpStream::connect(&self.http).ok()?;
        stream.set_read_timeout(Some(METRICS_MAX)).ok()?;
        let host = &self.http;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Kills it and starts it again over what it left, which takes as long as this says.
    #[expect(clippy::disallowed_methods, reason = "the real clock measures a start")]
    pub fn killed_and_back(mut self, binary: &Path) -> Result<(Server, Duration), String> {
        self.kill()?;
        let began = Instant::now();
        let server = self.back(binary)?;
        Ok((server, began.elapsed()))
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|e| format!("kill: {e}"))?;
        self.child.wait().map_err(|e| format!("wait: {e}"))?;
        Ok(())
    }

    /// Starts it again over what it left.
    pub fn back(self, binary: &Path) -> Result<Server, String> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        Starting::over(binary, &self.data, &args)?.ready()
    }

    /// Asks it to stop and waits for an orderly end; deletes its data.
    pub fn stop(mut self) -> Result<(), String> {
        let pid = self.pid().to_string();
        run::checked(Command::new("kill").args(["-TERM", &pid]))?;
        let ended = run::wait_until(STOP_MAX, || self.child.try_wait().ok().flatten());
        let _ = std::fs::remove_dir_all(&self.data);
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!(
                "the node ended with {status}; log: {}",
                self.log().display()
            )),
            None => Err("the node didn't end in time".into()),
        }
    }
}

/// Whom a subcommand speaks to: the servers of `--bootstrap`, or nodes of its own.
pub struct Target {
    /// Where clients connect, commas between the addresses.
    pub bootstrap: String,
    own: Vec<Server>,
}

impl Target {
    /// Those of `--bootstrap`; without it one node, or three, of `--binary` or what is built here, over empty
    /// directories at `data`.
    pub fn of(args: &[String], data: &Path, nodes: u32, how: &[&str]) -> Result<Target, String> {
        if let Some(bootstrap) = flag(args, "--bootstrap")? {
            let own = Vec::new();
            return Ok(Target { bootstrap, own });
        }
        let binary = flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?;
        let own = match nodes {
            1 => vec![Server::start(&binary, data, how)?],
            3 => Server::start_three(&binary, data, how)?,
            _ => return Err("usage: one node or three".into()),
        };
        let addresses: Vec<&str> = own.iter().map(|s| s.kafka.as_str()).collect();
        let bootstrap = addresses.join(",");
        Ok(Target { bootstrap, own })
    }

    /// Stops its own nodes.
    pub fn release(self) -> Result<(), String> {
        self.own.into_iter().try_for_each(Server::stop)
    }
}

/// A process that was started and isn't ready yet.
struct Starting {
    server: Server,
    line: Receiver<String>,
}

impl Starting {
    fn new(binary: &Path, data: &Path, args: &[&str]) -> Result<Starting, String> {
        let _ = std::fs::remove_dir_all(data);
        std::fs::create_dir_all(data).map_err(|e| format!("{}: {e}", data.display()))?;
        Starting::over(binary, data, args)
    }

    /// Over what is in the directory.
    fn over(binary: &Path, data: &Path, args: &[&str]) -> Result<Starting, String> {
        let log = std::fs::File::create(data.with_extension("log"))
            .map_err(|e| format!("the node's log: {e}"))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--http", "127.0.0.1:0", "--data-dir"]);
        command.arg(data).args(args);
        if !args.contains(&"--kafka") {
            command.args(["--kafka", "127.0.0.1:0"]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let stdout = child.stdout.take().expect("it is piped");
        let server = Server {
            child,
            kafka: String::new(),
            http: String::new(),
            data: data.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        let line = lines(stdout);
        Ok(Starting { server, line })
    }

    fn ready(mut self) -> Result<Server, String> {
        let log = self.server.log();
        let line = self.line.recv_timeout(START_MAX);
        let line =
            line.map_err(|_| format!("the node didn't get ready; its log: {}", log.display()))?;
        self.server.kafka = word(&line, "kafka=")?;
        self.server.http = word(&line, "http=")?;
        Ok(self.server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream. It is read to its end, so that the process never blocks on a full pipe.
pub fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Addresses on loopback that nobody listens on at the moment.
pub fn free_addresses(count: usize) -> Result<Vec<String>, String> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr().map(|a| (l, a)));
    let held: Result<Vec<_>, _> = (0..count).map(bind).collect();
    let held = held.map_err(|e| format!("a free port: {e}"))?;
    Ok(held
        .iter()
        .map(|(_, address)| address.to_string())
        .collect())
}

/// The value after `name` in a ready line.
pub fn word(line: &str, name: &str) -> Result<String, String> {
    let value = line.split(' ').find_map(|word| word.strip_prefix(name));
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("the ready line has no {name}: {line:?}"))
}
