//! The checkpoint: what the write-ahead log may forget, in one file that is replaced whole.
//!
//! The shard makes the body ([`checkpoint`]) at the end of a turn; the flusher writes it once the
//! segments it speaks of are synced.

use crate::fault::Fault;
use crate::field::{Fields, put_count, put_sized, put_u32, put_u64};
use crate::group::{GroupImage, GroupLog};
use crate::turn::HardState;
use crate::wal::{self, Position, record::read_state};
use base::{Bug, Disk, NodeId, Open, RaftIndex, checksum, planted};
use bytes::Bytes;
use std::io;

const PATH: &str = "checkpoint";
const NEW_PATH: &str = "checkpoint.new";
/// Is there if data that was acknowledged is gone from the log; says how that is known.
const LOST_PATH: &str = "lost";
const LOST_NEW_PATH: &str = "lost.new";
const MAGIC: &[u8; 8] = b"FLOTICKP";
/// Version 2 says where each log begins, version 3 what of it was compacted, version 4 which
/// incarnation of a replica it is of.
const VERSION: u32 = 4;
/// Bytes before the body: magic, version, turn, start, length, checksum.
const HEADER_BYTES: usize = 8 + 4 + 8 + 16 + 8 + 4;

/// The shard's own bytes for a group that are larger than this aren't copied into a body.
const SHARED_BYTES_MIN: usize = 16 * 1024;

/// The body of a checkpoint, in pieces: what the shard keeps from one to the next is shared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Vec<Bytes>);

#[cfg(test)]
impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body(vec![bytes.into()])
    }
}

impl Body {
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.0.concat()
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    fn checksum(&self) -> u32 {
        let sums = self.0.iter();
        let sums = sums.map(|piece| (checksum::crc32c(piece), piece.len() as u64));
        let all =
            sums.reduce(|(all, len), (sum, more)| (checksum::combine(all, sum, more), len + more));
        all.map_or_else(|| checksum::crc32c(&[]), |(all, _)| all)
    }
}

/// Makes the body of a checkpoint: every group with its state and the shard's own bytes in two parts
/// (which stand for everything up to the index beside them), and the shard's own bytes for itself.
pub fn checkpoint<'a>(
    groups: impl Iterator<Item = (&'a GroupLog, HardState, [Bytes; 2], RaftIndex)>,
    blob: &[u8],
) -> Body {
    let groups: Vec<_> = groups.collect();
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    put_sized(&mut out, blob);
    put_count(&mut out, groups.len());
    for (log, state, app, app_index) in groups {
        log.checkpoint(&mut out);
        put_state(&mut out, state);
        put_count(&mut out, app.iter().map(Bytes::len).sum());
        for part in app {
            if part.len() < SHARED_BYTES_MIN {
                out.extend_from_slice(&part);
                continue;
            }
            pieces.push(std::mem::take(&mut out).into());
            pieces.push(part);
        }
        put_u64(&mut out, app_index.0);
    }
    pieces.push(out.into());
    Body(pieces)
}

fn put_state(out: &mut Vec<u8>, state: HardState) {
    let vote = state.vote.filter(|_| !planted(Bug::CheckpointWithoutVotes));
    put_u32(out, state.term.0);
    put_u32(out, vote.map_or(0, NodeId::nonzero));
    put_u64(out, state.commit.0);
}

/// A checkpoint, as of the end of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Of its body; what is written has the latest.
    pub(crate) version: u32,
    pub(crate) turn: u64,
    /// Records of later turns lie at or after this place.
    pub(crate) start: Position,
    pub(crate) body: Body,
}

/// A group in a checkpoint.
pub(crate) struct GroupPart {
    pub(crate) image: GroupImage,
    pub(crate) state: HardState,
    pub(crate) app: Bytes,
    pub(crate) app_index: RaftIndex,
}

impl Checkpoint {
    /// One to be written.
    pub(crate) fn new(turn: u64, start: Position, body: Body) -> Checkpoint {
        Checkpoint {
            version: VERSION,
            turn,
            start,
            body,
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, self.version);
        put_u64(&mut out, self.turn);
        put_u64(&mut out, self.start.generation);
        put_u64(&mut out, self.start.pos);
        let len = self.body.len();
        put_u64(&mut out, len);
        let sum = checksum::combine(checksum::crc32c(&out), self.body.checksum(), len);
        put_u32(&mut out, sum);
        out
    }

    fn parse(whole: Bytes) -> Result<Checkpoint, Fault> {
        let bad = |what: &str| Fault::corrupt(PATH, 0, what);
        let mut fields = Fields::new(&whole);
        if fields.take(8) != Some(MAGIC) {
            return Err(bad("it doesn't begin like a checkpoint"));
        }
        let short = || bad("it is cut short");
        let version = fields.u32().ok_or_else(short)?;
        let turn = fields.u64().ok_or_else(short)?;
        let start = Position {
            generation: fields.u64().ok_or_else(short)?,
            pos: fields.u64().ok_or_else(short)?,
        };
        let len = fields.u64().ok_or_else(short)?;
        let sum = fields.u32().ok_or_else(short)?;
        let body = whole.slice(HEADER_BYTES..);
        if body.len() as u64 != len {
            return Err(bad("its length is not what its header says"));
        }
        let head = checksum::crc32c(&whole[..HEADER_BYTES - 4]);
        if checksum::combine(head, checksum::crc32c(&body), len) != sum {
            return Err(bad("its checksum doesn't match its bytes"));
        }
        if version > VERSION {
            return Err(Fault::NewerFormat {
                found: version,
                known: VERSION,
            });
        }
        Ok(Checkpoint {
            version,
            turn,
            start,
            body: Body(vec![body]),
        })
    }

    /// The shard's own bytes and the groups.
    pub(crate) fn read(&self) -> Result<(Bytes, Vec<GroupPart>), Fault> {
        self.read_body()
            .ok_or_else(|| Fault::corrupt(PATH, 0, "its fields can't be read"))
    }

    fn read_body(&self) -> Option<(Bytes, Vec<GroupPart>)> {
        let [body] = &self.body.0[..] else {
            unreachable!("one that was read is in one piece")
        };
        let mut fields = Fields::new(body);
        let blob = body.slice_ref(fields.sized()?);
        let count = fields.count(1)?;
        let mut groups = Vec::new();
        for _ in 0..count {
            groups.push(GroupPart {
                image: GroupLog::from_checkpoint(&mut fields, body, self.version)?,
                state: read_state(&mut fields)?,
                app: body.slice_ref(fields.sized()?),
                app_index: RaftIndex(fields.u64()?),
            });
        }
        (fields.left() == 0).then_some((blob, groups))
    }
}

/// Replaces the checkpoint: after `Ok` the new one is there after any crash, until then the old.
pub(crate) fn replace(disk: &dyn Disk, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let header = checkpoint.header();
    let body = checkpoint.body.0.iter().map(|piece| &piece[..]);
    let pieces: Vec<&[u8]> = std::iter::once(&header[..]).chain(body).collect();
    write_file(disk, PATH, NEW_PATH, &pieces)
}

/// Writes a small file under another name, then gives it its own.
pub(crate) fn write_file(
    disk: &dyn Disk,
    path: &str,
    new_path: &str,
    pieces: &[&[u8]],
) -> Result<(), Fault> {
    let len = pieces.iter().map(|piece| piece.len() as u64).sum();
    let fault = |op| move |e| Fault::from_io(new_path, op, e);
    let file = disk.open(new_path, Open::OrCreate).map_err(fault("open"))?;
    file.set_len(len).map_err(fault("write"))?;
    file.write_at(pieces, 0).map_err(fault("write"))?;
    wal::sync(&*file, new_path)?;
    disk.rename(new_path, path).map_err(fault("rename"))?;
    disk.sync_dir("")
        .map_err(|e| Fault::from_io(".", "sync", e))
}

/// Reads a small file whole; `None` if it isn't there.
pub(crate) fn read_file(disk: &dyn Disk, path: &str) -> Result<Option<Bytes>, Fault> {
    let file = match disk.open(path, Open::Existing) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Fault::from_io(path, "open", e))?,
    };
    let len = file.len().map_err(|e| Fault::from_io(path, "stat", e))?;
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0)
        .map_err(|e| Fault::from_io(path, "read", e))?;
    Ok(Some(bytes.into()))
}

/// Says for good that this directory has lost what was acknowledged.
pub(crate) fn keep_loss(disk: &dyn Disk, why: &str) -> Result<(), Fault> {
    write_file(disk, LOST_PATH, LOST_NEW_PATH, &[why.as_bytes()])
}

/// What was said of a loss, if this directory has one.
pub(crate) fn known_loss(disk: &dyn Disk) -> Result<Option<String>, Fault> {
    let why = read_file(disk, LOST_PATH)?;
    Ok(why.map(|why| String::from_utf8_lossy(&why).into_owned()))
}

/// Reads the checkpoint; `None` if there is none yet.
pub(crate) fn load(disk: &dyn Disk) -> Result<Option<Checkpoint>, Fault> {
    read_file(disk, PATH)?.map(Checkpoint::parse).transpose()
}
