//! The command line tool as a user runs it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// The tool, pointed at a cluster.
#[derive(Clone, Debug)]
pub struct Tool {
    bootstrap: String,
}

/// What a run of it left.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Tool {
    /// For the cluster behind an address.
    pub fn new(bootstrap: &str) -> Tool {
        Tool {
            bootstrap: bootstrap.into(),
        }
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Done {
        self.run_with("", args)
    }

    /// Runs it to its end with `input` on standard input.
    pub fn run_with(&self, input: &str, args: &[&str]) -> Done {
        finish(input, &[args, &["--bootstrap", &self.bootstrap]].concat())
    }

    /// Runs it while `meanwhile` looks at what came of the input, which doesn't end; then it is interrupted.
    pub fn interrupted(&self, input: &str, args: &[&str], meanwhile: impl FnOnce()) -> Done {
        let mut child = start(&[args, &["--bootstrap", &self.bootstrap]].concat());
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(input.as_bytes())
            .expect("the tool reads what little there is");
        meanwhile();
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::INT).expect("the process is ours and was not waited for");
        let done = end(child);
        drop(stdin);
        done
    }

    /// Makes a topic.
    pub fn create(&self, topic: &str, args: &[&str]) {
        self.run(&[&["topic", "create", topic], args].concat()).ok();
    }

    /// Sends lines.
    pub fn produce(&self, topic: &str, lines: &[String]) {
        let mut input = lines.join("\n");
        input.push('\n');
        let report = self
            .run_with(&input, &["produce", topic, "--output", "json"])
            .ok();
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["records"], lines.len(), "{report}");
    }

    /// Everything in a topic, as lines.
    pub fn consume(&self, topic: &str) -> Vec<String> {
        self.run(&["consume", topic])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Done {
    /// What it printed, if it did what it was asked.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "the tool failed: {}", self.stderr);
        self.stdout
    }

    /// What it complained about, if it ended with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{} {}", self.stdout, self.stderr);
        self.stderr
    }
}

/// Runs the binary without a cluster, to its end.
pub fn offline(args: &[&str]) -> Done {
    finish("", args)
}

fn start(args: &[&str]) -> Child {
    Command::new(crate::binary::flotilla())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started")
}

fn finish(input: &str, args: &[&str]) -> Done {
    let mut child = start(args);
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    let feed = std::thread::spawn(move || {
        // A tool that ends early doesn't read to the end.
        let _ = stdin.write_all(input.as_bytes());
    });
    let done = end(child);
    feed.join().expect("feeding doesn't panic");
    done
}

/// Waits until it has ended.
fn end(child: Child) -> Done {
    let output = child.wait_with_output().expect("it was started by us");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the tool writes text");
    Done {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
