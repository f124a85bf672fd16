//! Where a node's configuration comes from: defaults, then a file, then the environment, then the
//! command line; the later wins. What the keys mean is `broker::settings`' business.

mod environment;
mod file;
mod source;

pub use environment::{CONFIG, LOG};

use crate::args::Serve;
use broker::settings::{self, Settings};
use source::{Given, Source};
use std::ffi::OsString;

/// A configuration that can't be used; the text says where and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Puts everything together. `read` gives the text of a file.
pub fn gather(
    args: &Serve,
    variables: impl Iterator<Item = (OsString, OsString)>,
    read: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Settings, ConfigError> {
    let variables = environment::ours(variables).map_err(ConfigError)?;
    let from_environment = variables
        .iter()
        .find(|(name, _)| name == CONFIG)
        .map(|(_, v)| v);
    let mut given = Vec::new();
    if let Some(name) = args.config.as_ref().or(from_environment) {
        let wrong = |why: String| ConfigError(format!("file {name}: {why}"));
        let text = read(name).map_err(|error| wrong(error.to_string()))?;
        given.extend(file::parse(name, &text).map_err(wrong)?);
    }
    let known = settings::keys().iter().map(|key| key.name);
    given.extend(environment::read(variables.into_iter(), known));
    given.extend(flags(args)?);
    let pairs: Vec<(&str, &str)> = given
        .iter()
        .map(|g| (g.key.as_str(), g.value.as_str()))
        .collect();
    Settings::parse(&pairs).map_err(|error| {
        let at = given.iter().rev().find(|g| g.key == error.key);
        match at {
            Some(given) => ConfigError(format!("{}: {error}", given.source)),
            None => ConfigError(error.to_string()),
        }
    })
}

fn flags(args: &Serve) -> Result<Vec<Given>, ConfigError> {
    let mut given = Vec::new();
    for pair in &args.set {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(ConfigError(format!("--set {pair}: not KEY=VALUE")));
        };
        given.push(Given::new(
            key.trim(),
            value.trim(),
            Source::Flag("--set".to_owned()),
        ));
    }
    let short = [
        ("--node-id", "node.id", "", &args.node_id),
        ("--data-dir", "data.dir", "", &args.data_dir),
        ("--rack", "broker.rack", "", &args.rack),
        ("--kafka", "listeners", "PLAINTEXT://", &args.kafka),
        (
            "--advertise",
            "advertised.listeners",
            "PLAINTEXT://",
            &args.advertise,
        ),
        ("--http", "http.listener", "", &args.http),
        ("--peer", "peer.listener", "", &args.peer),
        ("--peers", "peers", "", &args.peers),
        ("--join", "join", "", &args.join),
    ];
    for (flag, key, prefix, value) in short {
        if let Some(value) = value {
            let source = Source::Flag(flag.to_owned());
            given.push(Given::new(key, format!("{prefix}{value}"), source));
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests;
