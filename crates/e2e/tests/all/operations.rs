//! The commands of `docs/operations.md`, as an operator types them, one after the other.

use e2e::{Scratch, binary, fleet, wait};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// The lines of the page's `sh` blocks.
fn commands() -> Vec<String> {
    let page = binary::checkout().join("docs/operations.md");
    let page = fs::read_to_string(page).expect("the page");
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            found.push(line.to_owned());
        }
    }
    found
}

/// The same with free ports for those of the page.
fn elsewhere(commands: &[String]) -> Vec<String> {
    let host = "127.0.0.1:";
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    let mut moved = |line: &String| {
        let mut parts = line.split(host);
        let mut out = parts.next().expect("a first part").to_owned();
        for part in parts {
            let digits = part.chars().take_while(char::is_ascii_digit).count();
            let (port, rest) = part.split_at(digits);
            let port = ports.entry(port.to_owned());
            let port = port.or_insert_with(fleet::free_port);
            out.push_str(&format!("{host}{port}{rest}"));
        }
        out
    };
    commands.iter().map(&mut moved).collect()
}

struct Operator<'a> {
    place: &'a Path,
    /// Those that run.
    nodes: Vec<Child>,
    /// What those that aren't ready yet will say.
    starting: Vec<Receiver<String>>,
    started: u32,
}

impl Operator<'_> {
    fn shell(&self, line: &str) -> Command {
        let tools = binary::flotilla().parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]);
        shell.current_dir(self.place).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", tools.display()));
        shell
    }

    fn types(&mut self, line: &str) {
        if line.starts_with("flotilla serve") {
            self.started += 1;
            let log = self.place.join(format!("log{}", self.started));
            let log = fs::File::create(log).expect("a log");
            let node = self.shell(line).stdout(Stdio::piped()).stderr(log).spawn();
            let mut node = node.expect("it starts");
            let says = node.stdout.take().expect("it is piped");
            let (sender, lines) = channel();
            // It ends with the process, whose pipe it reads to the end.
            std::thread::spawn(move || {
                for line in BufReader::new(says).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
            self.starting.push(lines);
            return self.nodes.push(node);
        }
        // Somebody who looks at the terminals of the nodes types on when all are ready.
        for says in self.starting.drain(..) {
            let said = wait::until("the ready line", || match says.try_recv() {
                Err(TryRecvError::Empty) => None,
                said => Some(said),
            });
            let ready = said.is_ok_and(|said| said.starts_with("flotilla ready"));
            assert!(ready, "a node ended before {line}");
        }
        let line = line.strip_prefix("exec ").unwrap_or(line);
        let done = self.shell(line).output().expect("it can be run");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{line}: {said}");
        if line.starts_with("kill") {
            let nodes = &mut self.nodes;
            let (place, status) = wait::until("the end of the node", || {
                let mut ended = nodes.iter_mut().enumerate();
                ended.find_map(|(place, node)| Some((place, node.try_wait().expect("ours")?)))
            });
            let _ = nodes.remove(place).wait();
            // What is killed has no say in how it ends.
            let in_good_order = status.success() || line.starts_with("kill -9");
            assert!(in_good_order, "{line}: {status}");
        }
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

#[test]
fn the_page_does_what_it_says() {
    let scratch = Scratch::new("operations");
    let mut operator = Operator {
        place: scratch.path(),
        nodes: Vec::new(),
        starting: Vec::new(),
        started: 0,
    };
    let commands = commands();
    assert!(commands.len() > 10, "the page has lost its commands");
    for line in elsewhere(&commands) {
        operator.types(&line);
    }
}
