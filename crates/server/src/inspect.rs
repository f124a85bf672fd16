//! `flotilla log inspect` and `flotilla log verify`: what is in the data directory of a node that
//! is stopped, and whether it is whole. Does what a start would do, on a copy in memory of
//! whatever that would write: nothing in the directory changes.

use crate::args::{Log, Look};
use crate::cluster::{Identity, IdentityError};
use base::{Disk, GroupId, Machine, RaftIndex, record};
use cli::output::{self, Table};
use cli::{Output, client::Trouble};
use log::{Examined, Files, RecoveredGroup, Storage, StorageSettings};
use meta::Meta;
use os::{DirLock, LockError, Overlay};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Bytes of metadata read at once.
const READ_BYTES: u64 = 1024 * 1024;

/// Why nothing can be said about a directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("can't read the data directory '{path}': {source}")]
    Directory { path: String, source: io::Error },
    #[error("'{0}' is no data directory: it has no identity file")]
    Nobody(String),
    #[error(transparent)]
    Running(#[from] LockError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What a start would stop at.
    #[error("{0}")]
    Damaged(#[from] log::Fault),
    #[error("{0}")]
    Output(#[from] Trouble),
    /// What was said of lost nodes makes no sense here.
    #[error("{0}")]
    NotLost(String),
    /// The recovery came to nothing; it may be tried again.
    #[error("{0}")]
    NotRecovered(String),
}

/// A directory as a start would find it.
pub(crate) struct Found {
    pub(crate) identity: Identity,
    pub(crate) recovered: log::Recovered,
    pub(crate) image: Arc<meta::Image>,
    files: Arc<Files>,
}

/// Runs the command. The exit code is 1 if something is damaged, 2 if there is nothing to look at.
pub fn run(command: &Log) -> ExitCode {
    let outcome = match command {
        Log::Inspect(look) => inspect(look),
        Log::Verify(look) => verify(look),
    };
    ended(outcome)
}

/// The exit code of an outcome, whose error is told.
pub(crate) fn ended(outcome: Result<bool, LookError>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(crate::stop::EXIT_FAULT as u8),
        Err(LookError::Output(Trouble::Output(e))) if e.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error {
                LookError::Directory { .. }
                | LookError::Nobody(_)
                | LookError::Running(_)
                | LookError::NotLost(_) => crate::stop::EXIT_USAGE as u8,
                _ => crate::stop::EXIT_FAULT as u8,
            })
        }
    }
}

pub(crate) fn find(look: &Look) -> Result<(Found, Option<DirLock>), LookError> {
    let path = Path::new(&look.data_dir);
    let overlay = Overlay::over(path).map_err(|source| LookError::Directory {
        path: look.data_dir.clone(),
        source,
    })?;
    let lock = DirLock::look(path)?;
    let disk: Arc<dyn Disk> = Arc::new(overlay);
    let identity = Identity::read_any(&*disk)?;
    let identity = identity.ok_or_else(|| LookError::Nobody(look.data_dir.clone()))?;
    let (storage, recovered) = Storage::open(disk, StorageSettings::default())?;
    let files = storage.files();
    let mut groups = recovered.groups.iter();
    let group = groups.find(|g| g.log.group() == GroupId::META);
    let meta = group.map(|group| metadata(group, &files));
    let meta = meta.unwrap_or_else(|| Meta::new(meta::Defaults::default()));
    let found = Found {
        identity,
        recovered,
        files,
        image: meta.image(0),
    };
    Ok((found, lock))
}

/// The metadata for the names of topics: what the checkpoint keeps of it, then the log to its end, for
/// how much of that is committed a stopped node need not know. Where it can't be read, the names are
/// left out; that it can't be is told elsewhere.
fn metadata(group: &RecoveredGroup, files: &Files) -> Meta {
    let defaults = meta::Defaults::default;
    let kept = shard::kept_metadata(group);
    let kept = kept.and_then(|(bytes, at)| Some((Meta::restore(defaults(), &bytes).ok()?, at)));
    let (mut meta, mut applied) = kept.unwrap_or((Meta::new(defaults()), RaftIndex(0)));
    let last = group.log.last_index();
    while let Ok(batches) = group
        .log
        .plan_entries(applied.next(), last, READ_BYTES)
        .run(files)
    {
        let Some((end, _)) = batches.last() else {
            break;
        };
        applied = *end;
        for (_, batch) in &batches {
            let mut at = 0;
            for _ in 0..batch.header().records {
                let Ok(record) = record::read(batch.body(), &mut at) else {
                    break;
                };
                meta.replay(record.value.unwrap_or_default());
            }
        }
    }
    meta
}

impl Found {
    /// What a group is called by people.
    pub(crate) fn name(&self, group: GroupId) -> String {
        match self.image.groups.get(&group) {
            Some((topic, partition)) => format!("{}-{partition}", topic.name),
            None if group == GroupId::META => "(metadata)".to_owned(),
            None => "-".to_owned(),
        }
    }

    /// Whose directory it is.
    pub(crate) fn head(&self) -> String {
        let cluster = self.identity.cluster.as_ref();
        let cluster = cluster.map_or("no cluster yet".to_owned(), |c| format!("cluster {}", c.id));
        format!(
            "node {} of {cluster}, incarnation {}",
            self.identity.node, self.identity.incarnation
        )
    }

    fn damage(&self) -> Vec<String> {
        self.recovered.report.clone()
    }
}

/// Lists what is there; false if a start would find damage.
fn inspect(look: &Look) -> Result<bool, LookError> {
    let (found, _lock) = find(look)?;
    let damage = found.damage();
    if look.output == Output::Json {
        let groups: Vec<Value> = found
            .recovered
            .groups
            .iter()
            .map(|g| row(&found, g))
            .collect();
        output::json(&json!({
            "node": found.identity.node.0,
            "incarnation": found.identity.incarnation.to_string(),
            "cluster": found.identity.cluster.as_ref().map(|c| c.id.to_string()),
            "groups": groups,
            "damage": damage,
        }))?;
        return Ok(damage.is_empty());
    }
    let headings = [
        "group",
        "partition",
        "term",
        "committed",
        "last",
        "start",
        "end",
        "segments",
        "bytes",
        "state",
    ];
    let mut table = Table::new(&headings);
    for group in &found.recovered.groups {
        let log = &group.log;
        table.row(vec![
            log.group().to_string(),
            found.name(log.group()),
            group.state.term.0.to_string(),
            group.state.commit.0.to_string(),
            log.last_index().0.to_string(),
            log.start_offset().0.to_string(),
            log.end_offset().0.to_string(),
            log.segments().count().to_string(),
            log.segments().map(|s| s.bytes).sum::<u64>().to_string(),
            if group.suspect.is_some() {
                "damaged"
            } else {
                "whole"
            }
            .to_owned(),
        ]);
    }
    output::text(&format!(
        "{}\n{}{}",
        found.head(),
        table.text(),
        lines(&damage)
    ))?;
    Ok(damage.is_empty())
}

fn row(found: &Found, group: &RecoveredGroup) -> Value {
    let log = &group.log;
    json!({
        "group": log.group().0,
        "partition": found.name(log.group()),
        "term": group.state.term.0,
        "vote": group.state.vote.map(|node| node.0),
        "committed": group.state.commit.0,
        "first_index": log.first_index().0,
        "last_index": log.last_index().0,
        "start_offset": log.start_offset().0,
        "end_offset": log.end_offset().0,
        "segments": log.segments().count(),
        "bytes": log.segments().map(|s| s.bytes).sum::<u64>(),
        "damage": group.suspect,
    })
}

/// Reads every block; false if something is damaged.
fn verify(look: &Look) -> Result<bool, LookError> {
    let (found, _lock) = find(look)?;
    let mut damage = found.damage();
    let (mut blocks, mut bytes) = (0, 0);
    for group in &found.recovered.groups {
        let examined: Examined = group.log.examine(&found.files);
        blocks += examined.blocks;
        bytes += examined.bytes;
        for fault in examined.faults.iter().map(ToString::to_string) {
            // A start looks at some blocks too.
            if !damage.contains(&fault) {
                damage.push(fault);
            }
        }
    }
    let groups = found.recovered.groups.len();
    match look.output {
        Output::Json => output::json(&json!({
            "node": found.identity.node.0,
            "groups": groups,
            "blocks": blocks,
            "bytes": bytes,
            "damage": damage,
        }))?,
        Output::Text => output::text(&format!(
            "{}\n{}, {}, {bytes} bytes: {}\n{}",
            found.head(),
            output::counted(groups as u64, "group"),
            output::counted(blocks, "block"),
            if damage.is_empty() {
                "whole"
            } else {
                "damaged"
            },
            lines(&damage),
        ))?,
    }
    Ok(damage.is_empty())
}

fn lines(damage: &[String]) -> String {
    damage.iter().map(|line| format!("- {line}\n")).collect()
}
