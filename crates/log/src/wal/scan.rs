//! Reading the write-ahead log back: which files count, in which order, and where each ends.
//!
//! A bad frame is a torn tail only if nothing shows that it was ever durable. What shows it: a
//! later frame of the same generation with a synced position beyond it, or the next generation's
//! header, which says where this one ended. A whole frame for its place that lies at another one
//! shows it too: the write went astray, and the sync after it made nothing durable here. All of
//! that is corruption, and is reported as such.

use super::frame::{FRAME_HEADER, FrameHeader};
use super::header::{FirstSector, Header};
use super::{DIR, Free, Position, SECTOR, path};
use crate::fault::Fault;
use base::{Bug, Disk, File, Mark, Open, mark, planted};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// Bytes read at once while looking for frames beyond a bad one.
const LOOK_BYTES: u64 = 256 * 1024;

/// A start takes the generation after the next: the next one may have been begun before a power
/// loss and left frames, which must not read as new.
pub(crate) const GENERATIONS_PER_START: u64 = 2;

/// A file of the chain.
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    pub(crate) header: Header,
    /// Where its first frame of interest is.
    pub(crate) from: u64,
    /// Where it ends, as the next header says; the last one's is found by reading.
    pub(crate) end: Option<u64>,
}

/// What lies behind a bad frame.
#[derive(Default)]
struct Beyond {
    /// What the frames there know to be synced, at most; `None` without a trace of one.
    synced: Option<Position>,
    /// Where a frame for the bad one's place lies.
    astray: Option<u64>,
}

/// What is in the directory.
#[derive(Default)]
pub(crate) struct Found {
    /// In order of their generations.
    pub(crate) chain: Vec<Link>,
    pub(crate) free: Vec<Free>,
    pub(crate) next_number: u64,
    pub(crate) max_generation: u64,
}

/// A frame, checked.
pub(crate) struct Read {
    /// All of it, with its padding.
    pub(crate) whole: Bytes,
    /// Its records.
    pub(crate) body: Bytes,
    /// What was durable when it was written.
    pub(crate) synced: Position,
    pub(crate) next: u64,
}

/// Finds the files that a checkpoint's start position needs, and those that are free.
pub(crate) fn find(disk: &dyn Disk, start: Option<Position>) -> Result<Found, Fault> {
    let mut found = Found {
        next_number: 1,
        ..Found::default()
    };
    let mut used = Vec::new();
    let mut unused = Vec::new();
    for name in disk.list(DIR).map_err(|e| Fault::from_io(DIR, "list", e))? {
        let Some(number) = name
            .strip_suffix(".wal")
            .and_then(|n| n.parse::<u64>().ok())
        else {
            continue;
        };
        found.next_number = found.next_number.max(number.saturating_add(1));
        let path = path(number);
        let file = disk
            .open(&path, Open::Existing)
            .map_err(|e| Fault::from_io(&path, "open", e))?;
        let len = file.len().map_err(|e| Fault::from_io(&path, "stat", e))?;
        match first_sector(&*file, &path, len, number)? {
            Some(header) => used.push((header, file, len)),
            None => unused.push((number, file, len)),
        }
    }
    used.sort_by_key(|(header, _, _)| header.generation);
    found.max_generation = used.last().map_or(0, |(header, _, _)| header.generation);
    for (number, file, len) in unused {
        lost_header(&*file, number, len, found.max_generation)?;
        if len >= 2 * SECTOR {
            found.free.push(Free { number, len });
            continue;
        }
        // A crash in the middle of making it.
        let path = path(number);
        if !zeros(&*file, &path, len)? {
            return Err(Fault::corrupt(&path, len, "the file was cut short"));
        }
        disk.remove(&path)
            .map_err(|e| Fault::from_io(&path, "remove", e))?;
    }
    found.link(used, start)?;
    Ok(found)
}

impl Found {
    /// Follows the headers from the latest generation back to the start.
    fn link(
        &mut self,
        mut used: Vec<(Header, Arc<dyn File>, u64)>,
        start: Option<Position>,
    ) -> Result<(), Fault> {
        let first = start.unwrap_or(Position {
            generation: 1,
            pos: SECTOR,
        });
        let mut end = None;
        let mut wanted = self.max_generation;
        while let Some((header, file, len)) = used.pop() {
            let path = path(header.number);
            if header.generation < first.generation || header.generation < wanted {
                lost_header(&*file, header.number, len, self.max_generation)?;
                if header.generation >= first.generation {
                    let what = "its generation was given up, yet its header is still there";
                    return Err(Fault::corrupt(&path, 0, what));
                }
                self.free.push(Free {
                    number: header.number,
                    len,
                });
                continue;
            }
            if header.generation > wanted {
                return Err(Fault::corrupt(
                    &path,
                    0,
                    "two files have the same generation",
                ));
            }
            if len < header.len {
                return Err(Fault::corrupt(&path, len, "the file was cut short"));
            }
            let from = if header.generation == first.generation {
                first.pos
            } else {
                SECTOR
            };
            if end.is_some_and(|end| end < from || end > len) {
                return Err(Fault::corrupt(
                    &path,
                    from,
                    "the file ends before it begins",
                ));
            }
            self.chain.push(Link {
                number: header.number,
                file,
                header,
                from,
                end,
            });
            end = Some(header.previous.pos);
            wanted = header.previous.generation;
        }
        self.chain.reverse();
        self.complete(first, start.is_some())
    }

    /// Checks that no file at the beginning of the chain is missing.
    fn complete(&self, first: Position, checkpointed: bool) -> Result<(), Fault> {
        let lost = |generation: u64| {
            let what = if checkpointed {
                format!("the file with generation {generation} is missing")
            } else {
                format!("the file with generation {generation} is missing, or the checkpoint is")
            };
            Err(Fault::corrupt(DIR, 0, what))
        };
        let Some(link) = self.chain.first() else {
            // Without a checkpoint an empty directory is a new one.
            return if checkpointed {
                lost(first.generation)
            } else {
                Ok(())
            };
        };
        let (generation, previous) = (link.header.generation, link.header.previous.generation);
        // A generation that never had a frame gives its file to the next one.
        let took_over = generation > first.generation && first.pos == SECTOR;
        if generation != first.generation && !(took_over && previous < first.generation) {
            return lost(previous.max(first.generation));
        }
        Ok(())
    }
}

/// True if a file shorter than two sectors has nothing in it.
fn zeros(file: &dyn File, path: &str, len: u64) -> Result<bool, Fault> {
    let mut bytes = vec![0; len.min(2 * SECTOR) as usize];
    file.read_at(&mut bytes, 0)
        .map_err(|e| Fault::from_io(path, "read", e))?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

/// The header of a file; `None` if it never had one.
fn first_sector(
    file: &dyn File,
    path: &str,
    len: u64,
    number: u64,
) -> Result<Option<Header>, Fault> {
    if len < SECTOR {
        return Ok(None);
    }
    let mut sector = [0; SECTOR as usize];
    file.read_at(&mut sector, 0)
        .map_err(|e| Fault::from_io(path, "read", e))?;
    match FirstSector::read(&sector, number) {
        FirstSector::Zeros => Ok(None),
        FirstSector::Header(header) => Ok(Some(header)),
        FirstSector::Newer(found) => Err(Fault::NewerFormat { found, known: 1 }),
        FirstSector::Damaged => {
            mark(Mark::WalCorruption);
            Err(Fault::corrupt(
                path,
                0,
                "its first sector is neither empty nor a header",
            ))
        }
    }
}

/// A file that seems unused may have lost its header: frames of a generation after the latest one
/// show it, if they were written after a sync of that generation, or if the header lies at another
/// place. A start skips a generation, so there are two candidates.
fn lost_header(file: &dyn File, number: u64, len: u64, latest: u64) -> Result<(), Fault> {
    for generation in [latest + 1, latest + GENERATIONS_PER_START] {
        let mut at = Position {
            generation,
            pos: SECTOR,
        };
        let mut lost = false;
        while let Some(header) = read_header(file, &path(number), len, at)? {
            lost |= header.synced.generation == generation;
            at.pos += header.frame_len();
        }
        if at.pos > SECTOR && !lost {
            lost = header_went_astray(file, number, len, generation)?;
        }
        if lost && !planted(Bug::CorruptionAsTail) {
            mark(Mark::WalCorruption);
            let what = format!("the header of generation {generation} is lost");
            return Err(Fault::corrupt(&path(number), 0, what));
        }
    }
    Ok(())
}

/// True if a file's header for a generation lies elsewhere in the file.
fn header_went_astray(
    file: &dyn File,
    number: u64,
    len: u64,
    generation: u64,
) -> Result<bool, Fault> {
    let mut sector = [0; SECTOR as usize];
    for pos in (SECTOR..=len.saturating_sub(SECTOR)).step_by(SECTOR as usize) {
        file.read_at(&mut sector, pos)
            .map_err(|e| Fault::from_io(&path(number), "read", e))?;
        let found = FirstSector::read(&sector, number);
        if matches!(found, FirstSector::Header(header) if header.generation == generation) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_header(
    file: &dyn File,
    path: &str,
    len: u64,
    at: Position,
) -> Result<Option<FrameHeader>, Fault> {
    if at.pos + SECTOR > len {
        return Ok(None);
    }
    let mut bytes = [0; FRAME_HEADER];
    file.read_at(&mut bytes, at.pos)
        .map_err(|e| Fault::from_io(path, "read", e))?;
    Ok(FrameHeader::read(&bytes, at).filter(|header| header.frame_len() <= len - at.pos))
}

impl Link {
    pub(crate) fn path(&self) -> String {
        path(self.number)
    }

    /// Reads the frame at `pos`; `None` at the end. A bad frame that was durable is a fault.
    pub(crate) fn read(&self, pos: u64) -> Result<Option<Read>, Fault> {
        if self.end == Some(pos) {
            return Ok(None);
        }
        match self.whole(pos)? {
            Some(read) if self.end.is_none_or(|end| read.next <= end) => Ok(Some(read)),
            _ => self.bad_frame(pos),
        }
    }

    fn at(&self, pos: u64) -> Position {
        Position {
            generation: self.header.generation,
            pos,
        }
    }

    /// The frame of this generation at `pos`, if all of it is there.
    fn whole(&self, pos: u64) -> Result<Option<Read>, Fault> {
        let path = self.path();
        let Some(header) = read_header(&*self.file, &path, self.header.len, self.at(pos))? else {
            return Ok(None);
        };
        let mut whole = vec![0; header.frame_len() as usize];
        match self.file.read_at(&mut whole, pos) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done.map_err(|e| Fault::from_io(&path, "read", e))?,
        }
        // Read twice, the header may be two: a page can leave the cache in between, and show what the
        // device has.
        let same = FrameHeader::read(&whole, self.at(pos)) == Some(header);
        let whole = Bytes::from(whole);
        let body = whole.slice(FRAME_HEADER..FRAME_HEADER + header.body_len as usize);
        Ok((same && header.covers(&body)).then_some(Read {
            whole,
            body,
            synced: header.synced,
            next: pos + header.frame_len(),
        }))
    }

    /// Decides what a bad frame is.
    fn bad_frame(&self, pos: u64) -> Result<Option<Read>, Fault> {
        let at = self.at(pos);
        let beyond = self.look_beyond(at)?;
        let durable = match self.end {
            Some(pos) => Some(Position { pos, ..at }),
            None => beyond.synced.filter(|synced| *synced > at),
        };
        let astray = match beyond.astray {
            None if durable.is_none() => self.look_before(at)?,
            found => found,
        };
        let what = match (durable, astray) {
            _ if planted(Bug::CorruptionAsTail) => None,
            (Some(synced), _) => Some(format!(
                "a frame that was durable (synced up to byte {}) doesn't match its checksum",
                synced.pos
            )),
            (None, Some(place)) => Some(format!(
                "the frame that belongs here lies at byte {place}: its write went astray"
            )),
            (None, None) => None,
        };
        if let Some(what) = what {
            mark(Mark::WalCorruption);
            return Err(Fault::corrupt(&self.path(), pos, what));
        }
        if beyond.synced.is_some() {
            mark(Mark::TornTail);
        }
        Ok(None)
    }

    /// Looks for frames at and after a bad one.
    fn look_beyond(&self, bad: Position) -> Result<Beyond, Fault> {
        let path = self.path();
        let mut beyond = Beyond::default();
        let mut from = bad.pos;
        while from + SECTOR <= self.header.len {
            let mut chunk = vec![0; LOOK_BYTES.min(self.header.len - from) as usize];
            self.file
                .read_at(&mut chunk, from)
                .map_err(|e| Fault::from_io(&path, "read", e))?;
            for (nth, sector) in chunk.chunks_exact(SECTOR as usize).enumerate() {
                let pos = from + nth as u64 * SECTOR;
                if let Some(header) = FrameHeader::read(sector, self.at(pos)) {
                    beyond.synced = beyond.synced.max(Some(header.synced));
                } else if FrameHeader::read(sector, bad).is_some() {
                    beyond.astray = Some(pos);
                }
            }
            from += LOOK_BYTES;
        }
        Ok(beyond)
    }

    /// Looks for the bad frame among those that the checkpoint covers, which nobody else reads.
    /// What lies inside a whole frame is its records, whatever they look like.
    fn look_before(&self, bad: Position) -> Result<Option<u64>, Fault> {
        let mut pos = SECTOR;
        while pos < self.from {
            if let Some(read) = self.whole(pos)? {
                pos = read.next;
                continue;
            }
            let mut sector = [0; SECTOR as usize];
            self.file
                .read_at(&mut sector, pos)
                .map_err(|e| Fault::from_io(&self.path(), "read", e))?;
            if FrameHeader::read(&sector, bad).is_some() {
                return Ok(Some(pos));
            }
            pos += SECTOR;
        }
        Ok(None)
    }
}
