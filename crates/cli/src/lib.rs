//! Floor 4: the command line tool: a Kafka client for people.
//!
//! A synchronous client on `std::net` over `wire-kafka`, so it works against any broker that
//! speaks Kafka's protocol. It knows nothing of the engine: what it can do, any client can.

mod args;
pub mod client;
mod cluster_info;
mod config;
mod consume;
mod debug;
mod fleet;
mod group;
pub mod output;
mod produce;
mod stop;
mod time;
mod topic;

pub use args::{ClusterCommand, Command, ConfigCommand, Output};

use client::Trouble;
use std::io::ErrorKind;
use std::process::ExitCode;

/// Runs a command to its end. What went wrong goes to stderr with what can be done about it.
pub fn run(command: Command) -> ExitCode {
    ended(match command {
        Command::Topic(command) => topic::run(command),
        Command::Produce(command) => produce::run(command),
        Command::Consume(command) => consume::run(command),
        Command::Group(command) => group::run(command),
        Command::Debug(command) => debug::run(command),
        Command::ApiVersions(args) => cluster_info::api_versions(&args),
    })
}

/// Runs a command about the cluster to its end.
pub fn run_cluster(command: ClusterCommand) -> ExitCode {
    ended(cluster_info::run(command))
}

/// Runs a command about configurations to its end.
pub fn run_config(command: ConfigCommand) -> ExitCode {
    ended(config::run(command))
}

fn ended(outcome: Result<(), Trouble>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe went away: nobody is left to read an error.
        Err(Trouble::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(trouble) => {
            output::complain(&format!("error: {trouble}"));
            if let Some(remedy) = trouble.remedy() {
                output::complain(&format!("  try: {remedy}"));
            }
            ExitCode::from(if matches!(trouble, Trouble::Usage { .. }) {
                2
            } else {
                1
            })
        }
    }
}
