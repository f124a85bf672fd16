//! `flotilla cluster recover`: a stopped node goes on without nodes that are lost for good, where those
//! were a majority. First it is said what may be missing then, from what a start would find, and nothing
//! changes. With `--accept-data-loss` the node's shard is run here, without anybody else, until it
//! has written that it goes on ([`shard::Recovery`]).

use crate::args::Recover;
use crate::cluster::Cluster;
use crate::inspect::{self, Found, LookError};
use crate::start::shard_settings;
use base::{GroupId, NodeId, Offset};
use cli::Output;
use cli::output::{self, Table};
use log::{RecoveredGroup, Storage, StorageSettings};
use meta::PartitionInfo;
use os::{DataDir, DirLock};
use serde_json::{Value, json};
use shard::Recovery;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long it may take; what it waits for is this node alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two turns in which nothing happened.
const PAUSE: Duration = Duration::from_millis(5);

/// What becomes of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Most of its replicas are left.
    Keeps,
    /// The replica of this node goes on.
    GoesOnHere,
    /// That of another node that is left goes on.
    GoesOnAt(NodeId),
    /// Nothing is left of it.
    Gone,
}

/// A partition with replicas on lost nodes.
struct Part {
    name: String,
    replicas: Vec<NodeId>,
    left: Vec<NodeId>,
    fate: Fate,
    /// What is here of it: its start, how far it was known to be committed, its end.
    here: Option<(Offset, Offset, Offset)>,
}

/// Runs the command. The exit code is 2 if it can't be done here.
pub fn run(args: &Recover) -> ExitCode {
    inspect::ended(recover(args))
}

fn recover(args: &Recover) -> Result<bool, LookError> {
    let (found, looked) = inspect::find(&args.look)?;
    let lost = lost(args, &found)?;
    let parts = parts(&found, &lost);
    if args.accept_data_loss {
        // Looking took the lock, if there was one to take.
        drop(looked);
        carry_out(args, &found, &lost)?;
    }
    tell(args, &found, &lost, &parts)?;
    Ok(true)
}

/// Which nodes are lost, as far as that makes sense.
fn lost(args: &Recover, found: &Found) -> Result<Vec<NodeId>, LookError> {
    let refuse = |why: String| Err(LookError::NotLost(why));
    let me = found.identity.node;
    let Some(cluster) = &found.identity.cluster else {
        return refuse(
            "the directory belongs to no cluster yet: there is nothing to recover".into(),
        );
    };
    let founders = cluster.voters.iter().map(|voter| voter.node);
    let founders = founders.filter(|node| !found.image.has_left(*node));
    let mut known: Vec<NodeId> = founders.chain(found.image.nodes.keys().copied()).collect();
    known.sort_unstable();
    known.dedup();
    let lost: Vec<NodeId> = match args.lost.is_empty() {
        true => known.iter().copied().filter(|node| *node != me).collect(),
        false => args.lost.iter().copied().map(NodeId).collect(),
    };
    if lost.contains(&me) {
        return refuse(format!(
            "this is the directory of node {me}, which isn't lost then"
        ));
    }
    if let Some(node) = lost.iter().find(|node| !known.contains(node)) {
        return refuse(format!("node {node} isn't in this cluster"));
    }
    if lost.is_empty() {
        return refuse("the cluster has no other node that could be lost".into());
    }
    let voters = voters(cluster, found);
    let left = voters.iter().filter(|node| !lost.contains(node));
    let left: Vec<String> = left.map(ToString::to_string).collect();
    // A node that votes alone has gone on already, and may be made to finish that.
    if voters.len() > 1 && left.len() * 2 > voters.len() {
        return refuse(format!(
            "nodes {} are left of the {} that vote on metadata: a majority, which goes on by itself and would \
             lose what it has if one of them went on alone. Start them, then give the others up: flotilla \
             cluster remove <node> --lost. Partitions that lost their majority: flotilla cluster \
             reassign, or kafka-leader-election --election-type unclean",
            left.join(", "),
            voters.len()
        ));
    }
    Ok(lost)
}

/// The nodes that vote on metadata.
fn voters(cluster: &Cluster, found: &Found) -> Vec<NodeId> {
    match shard::metadata_configuration(&found.recovered) {
        Some(known) => known.electors().map(|member| member.node).collect(),
        None => cluster.voters.iter().map(|voter| voter.node).collect(),
    }
}

fn parts(found: &Found, lost: &[NodeId]) -> Vec<Part> {
    let gone = |node: NodeId| lost.contains(&node);
    let me = found.identity.node;
    let mut parts = Vec::new();
    for topic in found.image.topics.values() {
        for info in &topic.partitions {
            if !info.replicas.iter().any(|node| gone(*node)) {
                continue;
            }
            let left = info.survivors(gone);
            let fate = match left.first() {
                _ if !info.has_lost(gone) => Fate::Keeps,
                None => Fate::Gone,
                Some(node) if *node == me => Fate::GoesOnHere,
                Some(node) => Fate::GoesOnAt(*node),
            };
            parts.push(Part {
                name: found.name(info.group),
                replicas: info.replicas.clone(),
                left,
                fate,
                here: here(found, info),
            });
        }
    }
    parts
}

fn here(found: &Found, info: &PartitionInfo) -> Option<(Offset, Offset, Offset)> {
    let group = group(found, info.group)?;
    let log = &group.log;
    let committed = log.next_offset_of(group.state.commit)?;
    Some((log.start_offset(), committed, log.end_offset()))
}

fn group(found: &Found, id: GroupId) -> Option<&RecoveredGroup> {
    let mut groups = found.recovered.groups.iter();
    groups.find(|group| group.log.group() == id)
}

/// What may be missing, in words.
fn missing(part: &Part) -> String {
    match (part.fate, part.here) {
        (Fate::Keeps, _) => "nothing".to_owned(),
        (Fate::GoesOnHere, Some((_, _, end))) => format!("from offset {end} on"),
        (Fate::GoesOnAt(node), _) => format!("what comes after the end on node {node}"),
        (Fate::GoesOnHere, None) | (Fate::Gone, _) => "all of it".to_owned(),
    }
}

fn goes_on(part: &Part, me: NodeId) -> String {
    match part.fate {
        Fate::Keeps => "with its majority".to_owned(),
        Fate::GoesOnHere => format!("with node {me} alone"),
        Fate::GoesOnAt(node) => format!("with node {node} alone"),
        Fate::Gone => "not at all: delete the topic".to_owned(),
    }
}

/// What is known of the whole.
struct Told<'a> {
    found: &'a Found,
    lost: &'a [NodeId],
    parts: &'a [Part],
    /// The last entry of metadata, its term first.
    last: (u32, u64),
    done: bool,
}

fn tell(args: &Recover, found: &Found, lost: &[NodeId], parts: &[Part]) -> Result<(), LookError> {
    let (term, last) = shard::metadata_end(&found.recovered);
    let told = Told {
        found,
        lost,
        parts,
        last: (term.0, last.0),
        done: args.accept_data_loss,
    };
    match args.look.output {
        Output::Json => output::json(&told.json())?,
        Output::Text => output::text(&told.text())?,
    }
    Ok(())
}

impl Told<'_> {
    fn json(&self) -> Value {
        let me = self.found.identity.node;
        let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
        let part = |part: &Part| {
            json!({
                "partition": part.name,
                "replicas": ids(&part.replicas),
                "left": ids(&part.left),
                "goes_on": goes_on(part, me),
                "start_offset": part.here.map(|(start, _, _)| start.0),
                "known_committed": part.here.map(|(_, committed, _)| committed.0),
                "end_offset": part.here.map(|(_, _, end)| end.0),
                "may_be_missing": missing(part),
            })
        };
        json!({
            "node": me.0,
            "lost": ids(self.lost),
            "metadata": { "last_term": self.last.0, "last_entry": self.last.1 },
            "partitions": self.parts.iter().map(part).collect::<Vec<_>>(),
            "done": self.done,
        })
    }

    fn text(&self) -> String {
        let me = self.found.identity.node;
        let nodes = |nodes: &[NodeId]| {
            let numbers: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            numbers.join(",")
        };
        let headings = [
            "partition",
            "replicas",
            "left",
            "goes on",
            "start",
            "committed",
            "end",
            "may be missing",
        ];
        let mut table = Table::new(&headings);
        let number = |offset: Option<Offset>| offset.map_or("-".to_owned(), |o| o.to_string());
        for part in self.parts {
            table.row(vec![
                part.name.clone(),
                nodes(&part.replicas),
                nodes(&part.left),
                goes_on(part, me),
                number(part.here.map(|(start, _, _)| start)),
                number(part.here.map(|(_, committed, _)| committed)),
                number(part.here.map(|(_, _, end)| end)),
                missing(part),
            ]);
        }
        let lost = nodes(self.lost);
        let end = match self.done {
            true => format!(
                "Node {me} goes on without nodes {lost}, whose directories are not let in again. Start \
                 node {me}; nodes with empty directories may join under the lost numbers, and get \
                 their replicas.\n"
            ),
            false => format!(
                "Nothing was changed. Of all nodes that are left, the one whose metadata ends latest (term \
                 first, then entry) is to go on; here that is term {}, entry {}. Metadata that came after \
                 it is missing then too. To do it: --accept-data-loss\n",
                self.last.0, self.last.1
            ),
        };
        let head = self.found.head();
        format!("{head}\nlost: nodes {lost}\n{}{end}", table.text())
    }
}

fn carry_out(args: &Recover, found: &Found, lost: &[NodeId]) -> Result<(), LookError> {
    let failed = |source| LookError::Directory {
        path: args.look.data_dir.clone(),
        source,
    };
    let disk = DataDir::open(Path::new(&args.look.data_dir)).map_err(failed)?;
    let _lock = DirLock::take(disk.root())?;
    let opened = Storage::open(Arc::new(disk), StorageSettings::default())?;
    let me = found.identity.node;
    let cluster = found.identity.cluster.as_ref().expect("looked at before");
    let settings = broker::Settings::parse(&[("node.id", &me.to_string())]);
    let settings = settings.expect("a number is a valid node.id");
    // As it is known: it is said anew by the next start.
    let info = found.image.nodes.get(&me).cloned().unwrap_or_default();
    let settings = shard_settings(&settings, cluster, &info, None);
    let now = os::clock::now();
    let until = now.mono.after(PATIENCE);
    let mut recovery = Recovery::new(settings, opened, lost.to_vec(), (now, until));
    while !recovery.is_done() {
        let now = os::clock::now();
        if now.mono > until {
            return Err(LookError::NotRecovered(format!(
                "within {} s it didn't come to it that {}; what was written so far does no harm, and \
                 the command can be run again",
                PATIENCE.as_secs(),
                recovery.waits_for()
            )));
        }
        let effects = recovery
            .decide(now)
            .map_err(|why| LookError::NotRecovered(why.to_string()))?;
        for note in &effects.notes {
            eprintln!("{note}");
        }
        if !recovery.carry_out(now, effects)? {
            std::thread::park_timeout(PAUSE);
        }
    }
    // What was told to be durable is; a checkpoint makes the next start short.
    Ok(recovery.close()?)
}
