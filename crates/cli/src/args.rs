//! The command line: what people type, and nothing of what it does.

mod admin;
mod consume;
mod debug;
mod fleet;
mod group;

pub use admin::{
    Alter, ApiVersions, ClusterCommand, ConfigCommand, Diff, Get, Health, Info, Reset, Resource,
    Set,
};

pub use consume::{Consume, Format, Protocol, Start};
pub use debug::{Bundle, DebugCommand};
pub use fleet::{Drain, Finalize, Pace, Plan, Reassign, Rebalance, Remove};

pub use group::{
    GroupCommand, GroupDelete, GroupLag, GroupList, GroupNames, GroupWatch, Part, ResetOffsets,
};

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// A subcommand of `flotilla` that is a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list, describe and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Send lines to a topic, or JSON objects, each as a record
    Produce(Produce),
    /// Print the records of a topic
    Consume(Consume),
    /// List, describe, watch, move and delete consumer groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Gather what somebody who looks for a fault needs to see
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Show which calls a node answers, in which versions
    ApiVersions(ApiVersions),
}

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create a topic
    Create(Create),
    /// List topics
    List(List),
    /// Show partitions, leaders, replicas, offsets and settings
    Describe(Describe),
    /// Add partitions to a topic, change its settings
    Alter(Alter),
    /// Delete topics and their records
    Delete(Delete),
}

/// Where the cluster is and how to answer.
#[derive(Debug, Args)]
pub struct Target {
    /// Nodes to ask first, separated by commas
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap: String,
    /// What to print
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Give up after this many seconds; where partitions move, after so long without any progress
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// `flotilla topic create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    pub name: String,
    /// How many partitions; the cluster's default if left out
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// How many replicas of each; the cluster's default if left out
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    pub replicas: Option<i16>,
    /// A setting of the topic, by Kafka's name; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub config: Vec<(String, String)>,
    /// A topic of this name is fine too
    #[arg(long)]
    pub if_not_exists: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla topic list`.
#[derive(Debug, Args)]
pub struct List {
    /// The cluster's own topics too
    #[arg(long)]
    pub internal: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla topic describe`.
#[derive(Debug, Args)]
pub struct Describe {
    /// Which
    #[arg(required = true)]
    pub names: Vec<String>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla topic delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Which
    #[arg(required = true)]
    pub names: Vec<String>,
    /// A missing topic is fine too
    #[arg(long)]
    pub if_exists: bool,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// `flotilla produce`.
#[derive(Debug, Args)]
pub struct Produce {
    /// The topic
    pub topic: String,
    /// Read lines from this file instead of standard input
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// What stands between key and value of a line; without it a line is a value
    #[arg(short, long, value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// Lines are JSON objects with key, value, headers, partition and timestamp, as `consume` prints
    /// them; what is left out is as it would be without
    #[arg(short, long, conflicts_with = "key_separator")]
    pub json: bool,
    /// Send at most this many records a second
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Send everything to this partition; else keys choose, and batches without keys take turns
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Send a batch once it has this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_bytes: u32,
    /// Compress batches
    #[arg(short = 'z', long, value_enum, default_value_t = Compression::None)]
    pub compression: Compression,
    /// A header of every record; may be repeated
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = pair)]
    pub header: Vec<(String, String)>,
    /// The cluster
    #[command(flatten)]
    pub target: Target,
}

/// A compression of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// None
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
    /// LZ4
    Lz4,
    /// Zstandard
    Zstd,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("say a number of seconds above 0 and up to 86400".into()),
    }
}
