//! One node as a process: started, watched until its ready line, stopped, killed. It never
//! outlives its test.

use crate::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// How a node is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its data directory.
    pub data: PathBuf,
    /// Where it listens for Kafka clients.
    pub kafka: String,
    /// Where it listens for HTTP.
    pub http: String,
    /// Another binary than the one under test.
    pub binary: Option<PathBuf>,
    /// More of the command line.
    pub args: Vec<String>,
    /// Added to its environment.
    pub env: Vec<(String, PathBuf)>,
    /// The network namespace that it runs in; none: that of whoever starts it.
    pub namespace: Option<String>,
}

/// A process that was started.
#[derive(Debug)]
pub struct Node {
    child: Child,
    lines: Receiver<String>,
    setup: Setup,
    /// Where Kafka clients connect; empty before it is ready.
    pub kafka: String,
    /// Where health and metrics are; empty before it is ready.
    pub http: String,
}

/// A node that ended before it was ready.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub code: Option<i32>,
    /// What it said.
    pub stderr: String,
}

impl Setup {
    /// A single node on free ports.
    pub fn single(data: &Path) -> Setup {
        Setup {
            data: data.to_owned(),
            kafka: "127.0.0.1:0".into(),
            http: "127.0.0.1:0".into(),
            binary: None,
            args: Vec::new(),
            env: Vec::new(),
            namespace: None,
        }
    }

    /// The same with more arguments.
    pub fn with(mut self, args: &[&str]) -> Setup {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// The same with a path in its environment.
    pub fn env(mut self, name: &str, value: &Path) -> Setup {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Where the node's log goes.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Starts the process and doesn't wait.
    pub fn spawn(&self) -> Node {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a log file");
        let binary = self.binary.as_deref();
        let binary = binary.unwrap_or_else(|| crate::binary::flotilla());
        let mut command = match &self.namespace {
            // It becomes the node, under the same process id.
            Some(name) => {
                let mut enter = Command::new("ip");
                enter.args(["netns", "exec", name]).arg(binary);
                enter
            }
            None => Command::new(binary),
        };
        let mut child = command
            .args([
                "serve",
                "--kafka",
                &self.kafka,
                "--http",
                &self.http,
                "--data-dir",
            ])
            .arg(&self.data)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        // It ends with the process, whose pipe it reads to the end.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Node {
            child,
            lines,
            setup: self.clone(),
            kafka: String::new(),
            http: String::new(),
        }
    }

    /// Starts the process and waits until it is ready.
    pub fn start(&self) -> Node {
        self.try_start().unwrap_or_else(|refused| {
            panic!(
                "the node ended with {:?} before it was ready:\n{}",
                refused.code, refused.stderr
            )
        })
    }

    /// Starts the process; gives what it said if it ends instead of getting ready.
    pub fn try_start(&self) -> Result<Node, Refused> {
        let mut node = self.spawn();
        node.wait_ready()?;
        Ok(node)
    }
}

impl Node {
    /// Waits for the ready line.
    pub fn wait_ready(&mut self) -> Result<(), Refused> {
        let line = wait::until("the ready line", || match self.lines.try_recv() {
            Ok(line) => Some(Ok(line)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(self.ended())),
        })?;
        let word = |name: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(name));
            value
                .unwrap_or_else(|| panic!("no {name} in the ready line {line:?}"))
                .to_owned()
        };
        assert!(
            line.starts_with("flotilla ready node="),
            "not a ready line: {line:?}"
        );
        (self.kafka, self.http) = (word("kafka="), word("http="));
        Ok(())
    }

    fn ended(&mut self) -> Refused {
        let status = self.child.wait().expect("it was started by us");
        let stderr = std::fs::read_to_string(self.setup.log()).unwrap_or_default();
        Refused {
            code: status.code(),
            stderr,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it was started.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Ends it at once, as a power cut would end it, but for the page cache.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is ours and was not waited for");
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    /// Waits until it ends by itself.
    pub fn wait_end(&mut self) -> ExitStatus {
        wait::until("the end of the node", || {
            self.child.try_wait().expect("it is ours")
        })
    }

    /// True while the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Bytes of its resident memory.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process runs, on Linux");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        let kib: u64 = line
            .split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        kib * 1024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.setup.log()).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("--- end of {}", self.setup.log().display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
