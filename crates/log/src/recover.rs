//! Opening a data directory: the checkpoint is loaded, the write-ahead log after it replayed.
//!
//! The log is read twice: first to check every frame and to learn what was cut off later, then to
//! replay. Replay goes through the same [`crate::GroupLog`] calls as the shard's, so it arrives at
//! the same places; inline batches are written to their segments again. What was cut off later is
//! not written: a direct batch may lie in its place. Nothing is removed before the end, so a crash
//! in the middle of it all leaves everything as it was.

mod load;
mod replay;
mod survey;
mod verify;

use crate::checkpoint;
use crate::fault::Fault;
use crate::files::Files;
use crate::format;
use crate::pending::{Dirty, GROUPS, Pending};
use crate::recovered::Recovered;
use crate::storage::{Storage, StorageSettings};
use crate::wal::scan::{self, Found, GENERATIONS_PER_START};
use crate::wal::{self, Active, Free, Position, QUICK_FILE_BYTES, SECTOR, Sealed, Wal};
use base::Disk;
use replay::Replay;
use std::sync::Arc;
use survey::Survey;

/// Opens a data directory.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    settings: StorageSettings,
) -> Result<(Storage, Recovered), Fault> {
    format::check(&*disk)?;
    for dir in [wal::DIR, GROUPS] {
        disk.create_dir(dir)
            .map_err(|e| Fault::from_io(dir, "create", e))?;
    }
    disk.sync_dir("")
        .map_err(|e| Fault::from_io(".", "sync", e))?;

    let files = Arc::new(Files::new(Arc::clone(&disk), settings.open_files));
    let checkpoint = checkpoint::load(&*disk)?;
    let mut found = scan::find(&*disk, checkpoint.as_ref().map(|c| c.start))?;
    let fresh = checkpoint.is_none() && found.chain.is_empty();
    if fresh {
        refuse_orphans(&*disk)?;
    }
    let covered = checkpoint.as_ref().map_or(0, |c| c.turn);
    let mut survey = Survey::run(&mut found, covered)?;
    // What was read may be in the page cache only. It must be durable before replay overwrites
    // what it cuts off.
    if let Some(last) = found.chain.last() {
        survey.prove(last)?;
    }
    disk.sync_dir(wal::DIR)
        .map_err(|e| Fault::from_io(wal::DIR, "sync", e))?;

    let mut replay = Replay::new(Arc::clone(&disk), Arc::clone(&files), survey, covered);
    if let Some(checkpoint) = &checkpoint {
        load::checkpoint(&mut replay, checkpoint)?;
    }
    for link in &found.chain {
        replay.link(link)?;
    }
    replay.commit();
    replay.verify()?;
    let (mut recovered, dirty) = replay.finish()?;
    recovered.fresh = fresh;
    recovered.lost = checkpoint::known_loss(&*disk)?;
    recovered.report.extend(recovered.lost.clone());
    let wal = start(&disk, &settings, found)?;
    Ok((Storage::new(disk, settings, files, wal, dirty), recovered))
}

/// Segments without a log and without a checkpoint: those were taken away.
fn refuse_orphans(disk: &dyn Disk) -> Result<(), Fault> {
    let names = disk
        .list(GROUPS)
        .map_err(|e| Fault::from_io(GROUPS, "list", e))?;
    if names.is_empty() {
        return Ok(());
    }
    Err(Fault::corrupt(
        wal::DIR,
        0,
        "there are segments, but no write-ahead log and no checkpoint",
    ))
}

/// Begins a generation of its own: its header says where the one before ended, so that nothing
/// beyond is ever read.
fn start(disk: &Arc<dyn Disk>, settings: &StorageSettings, found: Found) -> Result<Wal, Fault> {
    let Found {
        mut chain,
        mut free,
        mut next_number,
        max_generation,
    } = found;
    let generation = if max_generation == 0 {
        1
    } else {
        max_generation + GENERATIONS_PER_START
    };
    let mut previous = Position::default();
    let mut next = None;
    if let Some(last) = chain.last() {
        let end = last.end.expect("the survey found the end");
        previous = Position {
            generation: last.header.generation,
            pos: end,
        };
        // A generation without frames hands its file on, so that starts in a row take no room.
        if end == SECTOR {
            previous = last.header.previous;
            next = Some(Free {
                number: last.number,
                len: last.header.len,
            });
            chain.pop();
        }
    }
    let next = match next.or_else(|| free.pop()) {
        Some(next) => next,
        None => {
            let len = QUICK_FILE_BYTES
                .min(settings.wal_file_bytes)
                .max(2 * SECTOR);
            let made = Free {
                number: next_number,
                len,
            };
            wal::create(&**disk, made)?;
            next_number += 1;
            made
        }
    };
    let active = wal::start_file(&**disk, next, generation, previous)?;
    wal::sync(&*active.file, &wal::path(active.number))?;
    let sealed = chain.iter().map(|link| Sealed {
        number: link.number,
        len: link.header.len,
        generation: link.header.generation,
    });
    Ok(opened(
        disk,
        settings,
        active,
        sealed.collect(),
        free,
        next_number,
    ))
}

fn opened(
    disk: &Arc<dyn Disk>,
    settings: &StorageSettings,
    active: Active,
    sealed: Vec<Sealed>,
    free: Vec<Free>,
    next_number: u64,
) -> Wal {
    Wal {
        disk: Arc::clone(disk),
        file_bytes: settings.wal_file_bytes,
        free_max: settings.wal_files_max,
        sealed,
        free,
        begun: None,
        synced: active.at,
        told: active.at,
        next_generation: active.at.generation + 1,
        next_number,
        used: 0,
        active,
    }
}

/// A fresh place to put what replay wants written.
fn empty() -> (Pending, Dirty) {
    (Pending::default(), Dirty::default())
}

#[cfg(test)]
mod tests;
