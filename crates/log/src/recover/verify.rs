//! The end of recovery: is what the groups rely on there, and nothing else.
//!
//! Damage to a group's own segments makes that group suspect; the others go on.

use super::replay::{Direct, Group, Replay};
use crate::block::{Block, Located};
use crate::fault::{Fault, ReadFault};
use crate::files::{Files, Key, Kind, group_dir};
use crate::name::SegmentName;
use crate::pending::{GROUPS, remove_dir};
use crate::read::load;
use base::{Disk, GroupId, Offset};
use std::collections::BTreeSet;
use std::io;

impl Replay {
    /// Checks every group against its files, then removes what belongs to none.
    pub(super) fn verify(&mut self) -> Result<(), Fault> {
        self.pending
            .settle_all(&*self.disk, &self.files, &mut self.dirty)?;
        for (id, group) in &mut self.groups {
            self.files.set_cuts(*id, group.log.cuts());
            if let Some(what) = damage(&self.files, *id, group)? {
                self.report.push(what.clone());
                group.suspect.get_or_insert(what);
            }
        }
        self.sweep()
    }

    /// Removes the directories of groups that are gone, and files of segments that were cut off.
    fn sweep(&mut self) -> Result<(), Fault> {
        let listed = |dir: &str| {
            self.disk
                .list(dir)
                .map_err(|e| Fault::from_io(dir, "list", e))
        };
        for name in listed(GROUPS)? {
            let Some(id) = name.parse().ok().map(GroupId) else {
                continue;
            };
            let Some(group) = self.groups.get(&id) else {
                self.files.forget(id);
                self.dirty.forget(id);
                self.dirty.dirs.insert(GROUPS.to_string());
                remove_dir(&*self.disk, &group_dir(id))?;
                continue;
            };
            let names = listed(&group_dir(id))?;
            // The checkpoint may name segments that were dropped after it: until there is another,
            // a start that reads it again looks for them.
            let least = SegmentName::appended(Offset(0));
            let dropped = self.dirty.dropped.range((id, least)..);
            let dropped = dropped.map_while(|((of, name), _)| (*of == id).then_some(*name));
            let segments: BTreeSet<SegmentName> = group
                .log
                .segment_files()
                .map(|(name, _)| name)
                .chain(dropped)
                .collect();
            for name in names {
                if let Some(key) = key_of(id, &name).filter(|key| !segments.contains(&key.segment))
                {
                    self.files.close(key);
                    self.dirty.files.remove(&key);
                    remove(&*self.disk, key)?;
                }
            }
        }
        Ok(())
    }
}

fn remove(disk: &dyn Disk, key: Key) -> Result<(), Fault> {
    disk.remove(&key.path())
        .map_err(|e| Fault::from_io(&key.path(), "remove", e))
}

/// The file of this name in a group's directory; `None` for names that aren't ours.
fn key_of(group: GroupId, name: &str) -> Option<Key> {
    let (stem, ending) = name.split_once('.')?;
    let kind = match ending {
        "log" => Kind::Data,
        "idx" => Kind::Index,
        _ => return None,
    };
    Some(Key {
        group,
        segment: SegmentName::from_stem(stem)?,
        kind,
    })
}

/// What is wrong with a group's segments, as far as recovery relies on them.
fn damage(files: &Files, id: GroupId, group: &Group) -> Result<Option<String>, Fault> {
    for (segment, len) in group.log.segment_files() {
        let key = Key {
            group: id,
            segment,
            kind: Kind::Data,
        };
        if let Some(what) = short(files, key, u64::from(len))? {
            return Ok(Some(what));
        }
    }
    let cuts = group.log.cuts();
    if let Some((segment, block)) = group.log.open_block()
        && block.first_index <= group.checkpointed
        && let Some(what) = unreadable(files, id, cuts, Located { segment, block })?
    {
        return Ok(Some(what));
    }
    let first = group.log.segment_files().next().map(|(name, _)| name.base);
    let kept = |direct: &&Direct| first.is_some_and(|first| direct.place.segment >= first);
    for direct in group.direct.iter().filter(kept) {
        let Direct {
            index,
            term,
            place,
            head,
        } = direct;
        let block = Block::of_batch(place.pos, *index, *term, head);
        if let Some(what) = unreadable(
            files,
            id,
            cuts,
            Located {
                segment: SegmentName::appended(place.segment),
                block,
            },
        )? {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

fn short(files: &Files, key: Key, len: u64) -> Result<Option<String>, Fault> {
    let path = key.path();
    let found = match files.opened(key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let what = "the file is missing";
            return Ok(Some(Fault::corrupt(&path, 0, what).to_string()));
        }
        opened => opened
            .and_then(|file| file.len())
            .map_err(|e| Fault::from_io(&path, "open", e))?,
    };
    let what = || {
        Fault::corrupt(
            &path,
            found,
            format!("the file was cut short of {len} bytes"),
        )
    };
    Ok((found < len).then(|| what().to_string()))
}

fn unreadable(
    files: &Files,
    group: GroupId,
    cuts: u64,
    located: Located,
) -> Result<Option<String>, Fault> {
    match load(files, group, cuts, &located, true) {
        Ok(_) => Ok(None),
        Err(ReadFault::Io { path, source }) => Err(Fault::Io {
            path,
            op: "read",
            source,
        }),
        Err(fault) => Ok(Some(fault.to_string())),
    }
}
