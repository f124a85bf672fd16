//! What can be typed about configurations and the cluster.

use super::{Drain, Finalize, Plan, Reassign, Rebalance, Remove, Target, pair};
use clap::{Args, Subcommand};

/// What can be done with the configuration of a running cluster.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show what is set
    Get(Get),
    /// Set keys; KEY+=ITEMS adds to a list, KEY-=ITEMS takes from it
    Set(Set),
    /// Give keys their defaults again
    Reset(Reset),
    /// Show where two configurations differ, or one from the defaults
    Diff(Diff),
}

/// What can be known about a cluster, and done with it.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show its id, nodes and controllers
    Info(Info),
    /// Show its nodes, how much each carries, and what isn't as it should be
    Status(Info),
    /// Show its nodes and how much each carries
    Nodes(Info),
    /// Say whether everything is as it should be; the exit code is 1 if not
    Health(Health),
    /// Show what would move if replicas were spread evenly
    Plan(Plan),
    /// Spread replicas and leaders evenly over all nodes
    Rebalance(Rebalance),
    /// Move everything away from a node and place nothing new there
    Drain(Drain),
    /// Forget a node that was drained and stopped
    Remove(Remove),
    /// End an upgrade: use what the older release didn't know. There is no way back from here
    Finalize(Finalize),
    /// Give partitions other replicas, or watch or cancel what is moving
    Reassign(Reassign),
}

/// `flotilla config get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Whose: topic/NAME, node/ID, nodes (all of them) or group/NAME
    #[arg(value_parser = resource)]
    pub resource: Resource,
    /// Only these keys
    pub keys: Vec<String>,
    /// Keys that have their defaults too
    #[arg(short, long)]
    pub all: bool,
    /// What the keys mean too
    #[arg(short, long)]
    pub docs: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla config set`.
#[derive(Debug, Args)]
pub struct Set {
    /// Whose: topic/NAME, node/ID, nodes (all of them) or group/NAME
    #[arg(value_parser = resource)]
    pub resource: Resource,
    /// What: KEY=VALUE, KEY+=ITEMS or KEY-=ITEMS
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
    pub pairs: Vec<(String, String)>,
    /// Only say whether it could be done
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla config reset`.
#[derive(Debug, Args)]
pub struct Reset {
    /// Whose: topic/NAME, node/ID, nodes (all of them) or group/NAME
    #[arg(value_parser = resource)]
    pub resource: Resource,
    /// Which keys
    #[arg(required = true)]
    pub keys: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla config diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Whose: topic/NAME, node/ID or group/NAME
    #[arg(value_parser = resource)]
    pub resource: Resource,
    /// What it is compared with; the defaults if left out
    #[arg(value_parser = resource)]
    pub other: Option<Resource>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla topic alter`.
#[derive(Debug, Args)]
pub struct Alter {
    /// Its name
    pub name: String,
    /// How many partitions it is to have
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A setting; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub config: Vec<(String, String)>,
    /// A setting that gets its default again; may be repeated
    #[arg(short, long, value_name = "KEY")]
    pub reset: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster info`, `status` and `nodes`.
#[derive(Debug, Args)]
pub struct Info {
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Wait until everything is as it should be
    #[arg(short, long)]
    pub wait: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla api-versions`.
#[derive(Debug, Args)]
pub struct ApiVersions {
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// Something that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its type in the protocol.
    pub kind: i8,
    /// Its name there.
    pub name: String,
}

impl Resource {
    /// A topic.
    pub fn topic(name: &str) -> Resource {
        Resource {
            kind: 2,
            name: name.to_owned(),
        }
    }

    /// A node.
    pub fn of_node(id: i32) -> Resource {
        Resource {
            kind: 4,
            name: id.to_string(),
        }
    }

    /// What holds for all nodes that don't say otherwise.
    pub fn is_all_nodes(&self) -> bool {
        self.kind == 4 && self.name.is_empty()
    }

    /// The node that answers for it, if only one does.
    pub fn node(&self) -> Option<i32> {
        (self.kind == 4).then(|| self.name.parse().ok()).flatten()
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind, self.name.as_str()) {
            (2, name) => write!(f, "topic {name}"),
            (4, "") => f.write_str("all nodes"),
            (4, name) => write!(f, "node {name}"),
            (_, name) => write!(f, "group {name}"),
        }
    }
}

fn resource(text: &str) -> Result<Resource, String> {
    let of = |kind, name: &str| Resource {
        kind,
        name: name.to_owned(),
    };
    match text.split_once('/') {
        None if text == "nodes" => Ok(of(4, "")),
        Some(("topic", name)) if !name.is_empty() => Ok(of(2, name)),
        Some(("node", name)) if name.parse::<i32>().is_ok_and(|id| id >= 0) => Ok(of(4, name)),
        Some(("group", name)) if !name.is_empty() => Ok(of(32, name)),
        _ => Err("say topic/NAME, node/ID, nodes or group/NAME".into()),
    }
}
