//! Floor 5: the one binary. Here the parts are put together: configuration, sockets, threads,
//! peers. Nothing here knows what a record is.

mod args;
mod bind;
mod cluster;
mod config;
mod descriptors;
mod edges;
mod engine;
mod figures;
mod formation;
mod health;
mod inspect;
mod join;
mod kafka;
mod logging;
mod peers;
mod recover;
#[cfg(test)]
mod scratch;
mod serve;
mod start;
mod stop;
mod survey;
mod unready;

use args::{Cluster, Command, CommandLine, Config, Serve};
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Client(command) => cli::run(command),
        Command::Config(Config::Reference) => reference(),
        Command::Config(Config::Client(command)) => cli::run_config(command),
        Command::Cluster(Cluster::Recover(args)) => recover::run(&args),
        Command::Cluster(Cluster::Client(command)) => cli::run_cluster(command),
        Command::Log(command) => inspect::run(&command),
        Command::Completions { shell } => completions(shell),
        Command::Serve(args) => serve(&args),
    }
}

fn reference() -> ExitCode {
    let text = broker::settings::reference();
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut command = CommandLine::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(&text);
    ExitCode::SUCCESS
}

fn serve(args: &Serve) -> ExitCode {
    let read = |name: &str| std::fs::read_to_string(name);
    let settings = match config::gather(args, std::env::vars_os(), read) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(stop::EXIT_USAGE as u8);
        }
    };
    if let Err(error) = logging::start(&settings.logging) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    stop::on_panic();
    match serve::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(error.exit_code() as u8)
        }
    }
}
