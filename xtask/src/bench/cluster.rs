//! One or three nodes of either side, and the programs that put a load on them.

use crate::bench::process::{self, Usage};
use crate::bench::stub;
use crate::run::{self, flag, output, root};
use crate::server::{Server, lines};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Longest wait for what a load says next.
const WORD_MAX: Duration = Duration::from_secs(400);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Flotilla,
    Kafka,
}

/// Programs, and where data goes.
pub struct Tools {
    pub peer: PathBuf,
    pub binary: PathBuf,
    /// A small client of our own.
    pub load: PathBuf,
    pub data: PathBuf,
}

impl Tools {
    /// Those that the arguments name, the rest built; `name` is what is measured.
    pub fn gather(args: &[String], name: &str, load: &str) -> Result<Tools, String> {
        let peer: PathBuf =
            flag(args, "--peer")?.unwrap_or_else(|| "../shared/peers/kafka/kafka.sh".into());
        let peer = std::path::absolute(root().join(&peer)).map_err(|e| e.to_string())?;
        if !peer.exists() {
            return Err(format!(
                "usage: --peer names no kafka.sh: {}",
                peer.display()
            ));
        }
        let data = run::target_directory()?.join("bench").join(name);
        std::fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
        Ok(Tools {
            peer,
            binary: flag(args, "--binary")?.map_or_else(run::build_flotilla, Ok)?,
            load: stub::build(load)?,
            data: data.join("data"),
        })
    }
}

/// A running cluster; taken down when this goes.
pub struct Cluster<'a> {
    tools: &'a Tools,
    pub bootstrap: String,
    pub pids: Vec<u32>,
    servers: Vec<Server>,
    side: Side,
}

impl<'a> Cluster<'a> {
    /// Starts one on empty directories. Settings are keys that both sides know.
    pub fn start(
        tools: &'a Tools,
        side: Side,
        nodes: u32,
        settings: &[&str],
    ) -> Result<Cluster<'a>, String> {
        let mut cluster = Cluster {
            tools,
            bootstrap: String::new(),
            pids: Vec::new(),
            servers: Vec::new(),
            side,
        };
        if side == Side::Kafka {
            let mut up = Command::new(&tools.peer);
            up.args(["up", &nodes.to_string()]);
            up.env("KAFKA_EXTRA", settings.join(" "));
            cluster.bootstrap = output(&mut up)?.trim().to_owned();
            let pids = output(Command::new(&tools.peer).arg("pids"))?;
            cluster.pids = pids
                .lines()
                .filter_map(|pid| pid.trim().parse().ok())
                .collect();
            return Ok(cluster);
        }
        let args: Vec<&str> = settings.iter().flat_map(|key| ["--set", key]).collect();
        cluster.servers = match nodes {
            1 => vec![Server::start(&tools.binary, &tools.data, &args)?],
            _ => Server::start_three(&tools.binary, &tools.data, &args)?,
        };
        let addresses: Vec<&str> = cluster.servers.iter().map(|s| s.kafka.as_str()).collect();
        cluster.bootstrap = addresses.join(",");
        cluster.pids = cluster.servers.iter().map(Server::pid).collect();
        Ok(cluster)
    }

    pub fn topic(&self, name: &str, partitions: u32) -> Result<(), String> {
        let partitions = partitions.to_string();
        self.tool(&["topic", "create", name, "--partitions", &partitions])
            .map(drop)
    }

    /// Syncs that its nodes counted; Kafka counts none.
    pub fn syncs(&self) -> Option<f64> {
        let counted = |server: &Server| process::counted_syncs(&server.metrics()?);
        let all: Option<Vec<f64>> = self.servers.iter().map(counted).collect();
        all.filter(|all| !all.is_empty())
            .map(|all| all.iter().sum())
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<(), String> {
        let servers = std::mem::take(&mut self.servers);
        servers.into_iter().try_for_each(Server::stop)
    }

    /// Runs the command line tool against it.
    pub fn tool(&self, args: &[&str]) -> Result<String, String> {
        output(&mut self.tool_command(args))
    }

    pub fn tool_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.tools.binary);
        command.args(args);
        command.args(["--bootstrap", &self.bootstrap, "--timeout", "240"]);
        command
    }

    /// Starts the load.
    pub fn load(&self, mode: &str, args: &[&str]) -> Result<Load, String> {
        let mut child = Command::new(&self.tools.load)
            .args([mode, &self.bootstrap])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", self.tools.load.display()))?;
        let lines = lines(child.stdout.take().expect("it is piped"));
        Ok(Load { child, lines })
    }

    /// What all nodes used so far.
    pub fn usage(&self) -> Result<Usage, String> {
        let mut sum = Usage::default();
        for pid in &self.pids {
            let one = Usage::of(*pid)?;
            sum.cpu_s += one.cpu_s;
            sum.resident += one.resident;
            sum.written += one.written;
        }
        Ok(sum)
    }

    /// Ends one node at once.
    pub fn kill_first(&mut self) -> Result<(), String> {
        let pid = self.pids.remove(0).to_string();
        match self.side {
            Side::Flotilla => run::checked(Command::new("kill").args(["-KILL", &pid])),
            Side::Kafka => run::checked(Command::new(&self.tools.peer).args(["kill-node", "0"])),
        }
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if self.side == Side::Kafka {
            let _ = Command::new(&self.tools.peer).arg("down").status();
        }
        self.servers.clear();
        for name in ["data", "data-1", "data-2", "data-3"] {
            let _ = std::fs::remove_dir_all(self.tools.data.with_file_name(name));
        }
    }
}

/// A load that runs; ended when this goes.
pub struct Load {
    child: Child,
    lines: Receiver<String>,
}

impl Load {
    /// Waits until it has begun in earnest.
    pub fn steady(&self) -> Result<(), String> {
        match self.lines.recv_timeout(WORD_MAX).as_deref() {
            Ok("steady") => Ok(()),
            other => Err(format!("the load isn't steady: {other:?}")),
        }
    }

    /// Waits for its summary.
    pub fn summary(&self) -> Result<Summary, String> {
        let line = self.lines.recv_timeout(WORD_MAX);
        line.map(Summary)
            .map_err(|_| "the load told no figures".into())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `name=value` words.
pub struct Summary(pub String);

impl Summary {
    pub fn value(&self, name: &str) -> Result<f64, String> {
        let words = self.0.split(' ').filter_map(|word| word.split_once('='));
        let mut found = words.filter(|(known, _)| *known == name);
        let value = found.next().and_then(|(_, value)| value.parse().ok());
        value.ok_or_else(|| format!("no {name} in {:?}", self.0))
    }
}

/// Bytes that a process had read from devices.
pub fn bytes_read(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/io");
    let text = std::fs::read_to_string(Path::new(&path)).map_err(|e| format!("{path}: {e}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes:"));
    line.and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| format!("{path} tells no read_bytes"))
}
