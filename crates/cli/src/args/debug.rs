//! What can be typed when something is wrong.

use super::Target;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What can be gathered.
#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Write one file with the cluster's state, settings, groups and metrics; secrets are left out
    Bundle(Bundle),
}

/// `flotilla debug bundle`.
#[derive(Debug, Args)]
pub struct Bundle {
    /// The file
    #[arg(long, value_name = "PATH", default_value = "flotilla-bundle.json")]
    pub to: PathBuf,
    /// Where a node answers for health and metrics; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Vec<String>,
    /// A file of messages whose end is to be in it; may be repeated
    #[arg(long, value_name = "PATH")]
    pub log: Vec<PathBuf>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}
