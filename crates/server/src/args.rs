//! The command line: what can be typed, and nothing of what it does.

use clap::{Args, Parser, Subcommand};

/// A distributed message queue that speaks Kafka's protocol.
#[derive(Debug, Parser)]
#[command(name = "flotilla", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node
    Serve(Serve),
    /// Show and change configurations of topics, nodes and groups
    #[command(subcommand)]
    Config(Config),
    /// Show who is there and how they are, and move what they carry
    #[command(subcommand)]
    Cluster(Cluster),
    /// Look into the data directory of a node that is stopped
    #[command(subcommand)]
    Log(Log),
    /// Print completions for a shell, to be kept where it looks for them
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Everything that is done as a client.
    #[command(flatten)]
    Client(cli::Command),
}

/// What can be known about a data directory.
#[derive(Debug, Subcommand)]
pub enum Log {
    /// List what is in it
    Inspect(Look),
    /// Read everything and compare checksums; the exit code is 1 if something is damaged
    Verify(Look),
}

/// Which data directory, and how to answer.
#[derive(Debug, Args)]
pub struct Look {
    /// Where the data is
    #[arg(long, value_name = "DIR", default_value = "./flotilla-data")]
    pub data_dir: String,
    /// What to print
    #[arg(short, long, value_enum, default_value_t = cli::Output::Text)]
    pub output: cli::Output,
}

/// What can be known about a cluster, and done with it.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Let a stopped node go on without nodes that are lost for good, where they were a majority. Says what
    /// may be missing then, and does nothing without --accept-data-loss
    Recover(Recover),
    /// What a client can do.
    #[command(flatten)]
    Client(cli::ClusterCommand),
}

/// `flotilla cluster recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// The node that goes on: the one of those left whose last entry of metadata is the latest
    #[command(flatten)]
    pub look: Look,
    /// Nodes that are lost with their data, for good; by default all others
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub lost: Vec<u32>,
    /// Do it: what only the lost nodes had is lost, also what was acknowledged
    #[arg(long)]
    pub accept_data_loss: bool,
}

/// What can be known about configurations, and done to them.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every key with its type, default, bounds and meaning
    Reference,
    /// What a running cluster has.
    #[command(flatten)]
    Client(cli::ConfigCommand),
}

/// The flags of a node: short forms of the keys that everybody needs.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Configuration: YAML, or a Kafka server.properties by its ending
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// This node's number [default: 1]
    #[arg(long, value_name = "N")]
    pub node_id: Option<String>,
    /// Where the data is [default: ./flotilla-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The rack that this node stands in
    #[arg(long)]
    pub rack: Option<String>,
    /// Where to listen for Kafka clients [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// What clients are told to connect to [default: where it listens]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where to answer for health and metrics [default: 127.0.0.1:9640]
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// Where to listen for other nodes [default: this node's place in --peers]
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: Option<String>,
    /// All nodes that form the cluster, this one among them
    #[arg(long, value_name = "ID@HOST:PORT,...")]
    pub peers: Option<String>,
    /// Nodes of a running cluster to join: where they listen for other nodes
    #[arg(long, value_name = "HOST:PORT,...")]
    pub join: Option<String>,
    /// Any key of the configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
