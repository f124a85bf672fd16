//! A flotilla process for the subcommands that need one: started on free ports over a directory
//! of its own, stopped by its process id, never left behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longest wait for the ready line.
const START_MAX: Duration = Duration::from_secs(30);
/// Longest wait for an orderly end; the contract says 10 s.
const STOP_MAX: Duration = Duration::from_secs(15);

/// A running node.
pub struct Server {
    child: Child,
    /// Where Kafka clients connect.
    pub kafka: String,
    /// Where health and metrics are.
    pub http: String,
    data: PathBuf,
}

impl Server {
    /// Starts one node over an empty directory `data`, its log beside it.
    pub fn start(binary: &Path, data: &Path, args: &[&str]) -> Result<Server, String> {
        let _ = std::fs::remove_dir_all(data);
        std::fs::create_dir_all(data).map_err(|e| format!("{}: {e}", data.display()))?;
        let log = std::fs::File::create(data.with_extension("log"))
            .map_err(|e| format!("the node's log: {e}"))?;
        let mut child = Command::new(binary)
            .args([
                "serve",
                "--kafka",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let stdout = child.stdout.take().expect("it is piped");
        let data = data.to_owned();
        let mut server = Server {
            child,
            kafka: String::new(),
            http: String::new(),
            data,
        };
        let line = first_line(stdout).ok_or_else(|| {
            format!(
                "the node didn't get ready; its log: {}",
                server.log().display()
            )
        })?;
        server.kafka = word(&line, "kafka=")?;
        server.http = word(&line, "http=")?;
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Asks it to stop and waits for an orderly end; deletes its data.
    pub fn stop(mut self) -> Result<(), String> {
        let pid = self.pid().to_string();
        crate::run::checked(Command::new("kill").args(["-TERM", &pid]))?;
        let ended = crate::run::wait_until(STOP_MAX, || self.child.try_wait().ok().flatten());
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

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line of a stream, if it comes in time. The rest is read and dropped, so that the
/// process never blocks on a full pipe.
fn first_line(stream: impl std::io::Read + Send + 'static) -> Option<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver.recv_timeout(START_MAX).ok()
}

fn word(line: &str, name: &str) -> Result<String, String> {
    let value = line.split(' ').find_map(|word| word.strip_prefix(name));
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("the ready line has no {name}: {line:?}"))
}
