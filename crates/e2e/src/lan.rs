//! A network for some nodes in which a direction can be cut: each node in a network namespace of its
//! own, all on one bridge. Packets that a cut takes vanish, as those on a broken cable do.
//!
//! It is made with `ip` in namespaces of the process that makes it, which `unshare --net --mount`
//! gave it: the machine's own network sees nothing of it, and all of it goes with the process.

use std::process::Command;

/// The network of this process's clients and of the nodes, numbered from 1.
#[derive(Debug)]
pub struct Lan {
    nodes: u32,
    /// What is cut: packets from the first to the second.
    cuts: Vec<(u32, u32)>,
}

/// In the place of a node: the clients.
pub const CLIENTS: u32 = 254;

impl Lan {
    /// Makes it. Says what is missing if it can't be made.
    pub fn make(nodes: u32) -> Result<Lan, String> {
        if namespace_of("self") == namespace_of("1") {
            return Err("this needs a network namespace of its own (unshare --net --mount)".into());
        }
        // `ip` keeps names of namespaces there; the machine's own are hidden, not changed.
        run("mount", "--make-rprivate /")?;
        std::fs::create_dir_all("/run/netns").map_err(|e| format!("/run/netns: {e}"))?;
        run("mount", "-t tmpfs tmpfs /run/netns")?;
        ip("link set lo up")?;
        ip("link add lan type bridge")?;
        ip(&format!("addr add {}/24 dev lan", address(CLIENTS)))?;
        ip("link set lan up")?;
        for node in 1..=nodes {
            let name = namespace(node);
            ip(&format!("netns add {name}"))?;
            ip(&format!(
                "link add port{node} type veth peer name lan0 netns {name}"
            ))?;
            ip(&format!("link set port{node} master lan up"))?;
            ip(&format!("-n {name} addr add {}/24 dev lan0", address(node)))?;
            ip(&format!("-n {name} link set lan0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
        }
        let cuts = Vec::new();
        Ok(Lan { nodes, cuts })
    }

    /// Packets from one to the other vanish.
    pub fn cut(&mut self, from: u32, to: u32) -> Result<(), String> {
        if self.cuts.contains(&(from, to)) {
            return Ok(());
        }
        route(from, to, "add")?;
        self.cuts.push((from, to));
        Ok(())
    }

    /// Both directions between two.
    pub fn part(&mut self, one: u32, other: u32) -> Result<(), String> {
        self.cut(one, other)?;
        self.cut(other, one)
    }

    /// From now on so much comes through to a node, and from it, and no more.
    pub fn narrow(&self, node: u32, mbit: u32) -> Result<(), String> {
        let shape = format!("root tbf rate {mbit}mbit burst 128kb limit 1mb");
        run("tc", &format!("qdisc add dev port{node} {shape}"))?;
        let name = namespace(node);
        run("tc", &format!("-n {name} qdisc add dev lan0 {shape}"))
    }

    /// Both directions between one node and all others. Clients still reach it.
    pub fn isolate(&mut self, node: u32) -> Result<(), String> {
        let mut others = (1..=self.nodes).filter(|other| *other != node);
        others.try_for_each(|other| self.part(node, other))
    }

    /// Everything is whole again.
    pub fn heal(&mut self) -> Result<(), String> {
        let mut cuts = std::mem::take(&mut self.cuts).into_iter();
        cuts.try_for_each(|(from, to)| route(from, to, "del"))
    }
}

/// The address of a node, or of the clients.
pub fn address(node: u32) -> String {
    format!("10.77.0.{node}")
}

/// The name of a node's namespace.
pub fn namespace(node: u32) -> String {
    format!("node{node}")
}

fn route(from: u32, to: u32, change: &str) -> Result<(), String> {
    ip(&format!(
        "-n {} route {change} blackhole {}/32",
        namespace(from),
        address(to)
    ))
}

fn ip(words: &str) -> Result<(), String> {
    run("ip", words)
}

fn run(program: &str, words: &str) -> Result<(), String> {
    let done = Command::new(program).args(words.split(' ')).output();
    let done = done.map_err(|e| format!("{program} {words}: {e}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {words}: {}", said.trim())),
    }
}

/// The network namespace of a process, by its place in /proc.
fn namespace_of(process: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}
