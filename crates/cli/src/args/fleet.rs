//! What can be typed about where replicas are.

use super::Target;
use clap::Args;
use std::path::PathBuf;

/// How what moves is carried out.
#[derive(Debug, Args)]
pub struct Pace {
    /// Only show what would move
    #[arg(long)]
    pub dry_run: bool,
    /// How many partitions move at the same time
    #[arg(long, value_name = "PARTITIONS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub at_once: u16,
    /// The cluster; with --timeout, give up after so long without any progress
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// A node that is to be emptied; may be repeated
    #[arg(long, value_name = "NODE")]
    pub without: Vec<i32>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster rebalance`.
#[derive(Debug, Args)]
pub struct Rebalance {
    /// How
    #[command(flatten)]
    pub pace: Pace,
}

/// `flotilla cluster drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// Which node
    pub node: i32,
    /// Let new replicas go there again; what moved away stays away
    #[arg(long, conflicts_with = "dry_run")]
    pub undo: bool,
    /// How
    #[command(flatten)]
    pub pace: Pace,
}

/// `flotilla cluster remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// Which node
    pub node: i32,
    /// Its disk is lost: give up its replicas, which an empty directory gets anew that joins under its number
    #[arg(long)]
    pub lost: bool,
    /// Only say whether it could be removed
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster finalize`.
#[derive(Debug, Args)]
pub struct Finalize {
    /// Only say whether all nodes are ready for it
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla cluster reassign`. Without changes it watches those that are under way.
#[derive(Debug, Args)]
pub struct Reassign {
    /// The replicas that partitions are to have, the preferred leader first:
    /// TOPIC-PARTITION=NODE,NODE,...; with --cancel, the partitions alone
    pub changes: Vec<String>,
    /// Take changes from a file as `cluster plan --output json` and Kafka's tool write it
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Give partitions back the replicas that they had; all that are moving if none is named
    #[arg(long, conflicts_with = "file")]
    pub cancel: bool,
    /// How
    #[command(flatten)]
    pub pace: Pace,
}
