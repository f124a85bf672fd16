//! Records as bytes in a frame. See `docs/formats/wal.md`; a kind, once released, keeps its
//! number and its fields.

use crate::field::{Fields, put_i64, put_sized, put_u32, put_u64};
use crate::group::{SegmentImage, read_many};
use crate::import::{ImportImage, Prefix};
use crate::origin::Origin;
use crate::turn::{HardState, Place, Record, Settings};
use base::batch::HEADER_BYTES;
use base::{Batch, BatchHeader, GroupId, NodeId, Offset, RaftIndex, Term};
use bytes::Bytes;

const TURN: u8 = 1;
const CREATE: u8 = 2;
const REMOVE: u8 = 3;
const STATE: u8 = 4;
const BATCH: u8 = 5;
const DIRECT: u8 = 6;
const INTERNAL: u8 = 7;
const TRUNCATE: u8 = 8;
const INSTALL: u8 = 9;
/// As [`CREATE`], of a replica that isn't the first that the node has of the group.
const CREATE_AGAIN: u8 = 11;
/// As [`INSTALL`], with records in front of the first entry.
const INSTALL_WITH: u8 = 12;
/// Of the checkpoint's layouts the one in which an installation names its segments.
const SEGMENTS_VERSION: u32 = 4;
/// Bytes of such a segment at least.
const SEGMENT_BYTES: usize = 44;

/// A record as recovery reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    /// What follows belongs to this turn.
    Turn(u64),
    /// A record with everything in it.
    Whole(Record),
    /// A batch whose bytes are in its segment only.
    Direct {
        group: GroupId,
        index: RaftIndex,
        term: Term,
        place: Place,
        head: [u8; HEADER_BYTES],
    },
}

pub(crate) fn put_turn(out: &mut Vec<u8>, number: u64) {
    out.push(TURN);
    put_u64(out, number);
}

/// Appends a record, of a batch all but its bytes (or but its header, if it is direct).
pub(crate) fn put(out: &mut Vec<u8>, record: &Record, direct: bool) {
    match record {
        Record::Create { group, settings } => {
            let again = settings.incarnation > 0;
            begin(out, if again { CREATE_AGAIN } else { CREATE }, *group);
            put_u32(out, settings.segment_bytes);
            if again {
                put_u32(out, settings.incarnation);
            }
        }
        Record::Remove { group } => begin(out, REMOVE, *group),
        Record::State { group, state } => {
            begin(out, STATE, *group);
            put_u32(out, state.term.0);
            put_u32(out, state.vote.map_or(0, NodeId::nonzero));
            put_u64(out, state.commit.0);
        }
        Record::Batch {
            group,
            index,
            term,
            batch,
            place,
        } => {
            begin(out, if direct { DIRECT } else { BATCH }, *group);
            put_u64(out, index.0);
            put_u32(out, term.0);
            put_i64(out, place.segment.0);
            put_u32(out, place.pos);
            if !direct {
                put_u32(out, batch.len() as u32);
            }
        }
        Record::Internal {
            group,
            index,
            term,
            data,
        } => {
            begin(out, INTERNAL, *group);
            put_u64(out, index.0);
            put_u32(out, term.0);
            put_sized(out, data);
        }
        Record::Truncate {
            group,
            from,
            cuts: _,
        } => {
            begin(out, TRUNCATE, *group);
            put_u64(out, from.0);
        }
        Record::Install {
            group,
            origin,
            imported,
            app,
            app_index,
            cuts: _,
        } => {
            let with = imported.is_some();
            begin(out, if with { INSTALL_WITH } else { INSTALL }, *group);
            origin.put(out);
            put_u64(out, app_index.0);
            put_sized(out, app);
            imported.iter().for_each(|imported| imported.put(out));
        }
        Record::Block { .. } | Record::Drop { .. } => {}
    }
}

fn begin(out: &mut Vec<u8>, kind: u8, group: GroupId) {
    out.push(kind);
    put_u64(out, group.0);
}

/// Reads all records of a frame; `None` if a part of it can't be read.
pub(crate) fn read_all(body: &Bytes) -> Option<Vec<Logged>> {
    let mut fields = Fields::new(body);
    let mut records = Vec::new();
    while fields.left() > 0 {
        records.push(read(&mut fields, body)?);
    }
    Some(records)
}

fn read(fields: &mut Fields<'_>, body: &Bytes) -> Option<Logged> {
    let kind = fields.u8()?;
    if kind == TURN {
        return Some(Logged::Turn(fields.u64()?));
    }
    let group = GroupId(fields.u64()?);
    Some(Logged::Whole(match kind {
        CREATE | CREATE_AGAIN => Record::Create {
            group,
            settings: Settings {
                segment_bytes: fields.u32()?,
                incarnation: match kind {
                    CREATE => 0,
                    _ => fields.u32()?,
                },
            },
        },
        REMOVE => Record::Remove { group },
        STATE => Record::State {
            group,
            state: read_state(fields)?,
        },
        BATCH | DIRECT => {
            let (index, term) = (RaftIndex(fields.u64()?), Term(fields.u32()?));
            let place = Place {
                segment: Offset(fields.i64()?),
                pos: fields.u32()?,
            };
            if kind == DIRECT {
                let head: [u8; HEADER_BYTES] = fields.take(HEADER_BYTES)?.try_into().ok()?;
                BatchHeader::parse(&head).ok()?;
                return Some(Logged::Direct {
                    group,
                    index,
                    term,
                    place,
                    head,
                });
            }
            let mut bytes = body.slice_ref(fields.sized()?);
            let batch = Batch::split_from(&mut bytes)
                .ok()
                .filter(|_| bytes.is_empty())?;
            Record::Batch {
                group,
                index,
                term,
                batch,
                place,
            }
        }
        INTERNAL => {
            let (index, term) = (RaftIndex(fields.u64()?), Term(fields.u32()?));
            Record::Internal {
                group,
                index,
                term,
                data: body.slice_ref(fields.sized()?),
            }
        }
        TRUNCATE => Record::Truncate {
            group,
            from: RaftIndex(fields.u64()?),
            cuts: 0,
        },
        INSTALL | INSTALL_WITH => read_install(fields, body, group, kind)?,
        _ => return None,
    }))
}

fn read_install(fields: &mut Fields<'_>, body: &Bytes, group: GroupId, kind: u8) -> Option<Record> {
    Some(Record::Install {
        group,
        origin: Origin::read(fields)?,
        app_index: RaftIndex(fields.u64()?),
        app: body.slice_ref(fields.sized()?),
        imported: match kind {
            INSTALL => None,
            _ => Some(read_import(fields)?),
        },
        cuts: 0,
    })
}

fn read_import(fields: &mut Fields<'_>) -> Option<ImportImage> {
    let image = ImportImage {
        number: fields.u32()?,
        prefix: Prefix::read(fields)?,
        segments: read_many(fields, SEGMENT_BYTES, |fields| {
            SegmentImage::read(fields, SEGMENTS_VERSION)
        })?,
    };
    let made = |s: &SegmentImage| s.name().rewrite == image.number && s.has_all_in_sidecar();
    (image.number > 0 && image.segments.iter().all(made)).then_some(image)
}

pub(crate) fn read_state(fields: &mut Fields<'_>) -> Option<HardState> {
    let term = Term(fields.u32()?);
    let vote = Some(fields.u32()?).filter(|vote| *vote != 0);
    Some(HardState {
        term,
        vote: vote.map(NodeId::of_nonzero),
        commit: RaftIndex(fields.u64()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::TermRun;

    /// Byte for byte as in the version that first wrote it.
    #[test]
    fn an_installation_reads_back_from_the_bytes_of_its_first_version() {
        let run = TermRun {
            term: Term(3),
            index: RaftIndex(4),
            offset: Offset(2),
        };
        let record = Record::Install {
            group: GroupId(7),
            origin: Origin {
                index: RaftIndex(9),
                start_offset: Offset(5),
                next_offset: Offset(6),
                terms: vec![run],
            },
            imported: None,
            app: Bytes::from_static(b"app"),
            app_index: RaftIndex(11),
            cuts: 0,
        };
        let mut fields = vec![9u8];
        for long in [7u64, 9, 5, 6] {
            fields.extend_from_slice(&long.to_le_bytes());
        }
        fields.extend_from_slice(&[1, 0, 0, 0, 3, 0, 0, 0]);
        for long in [4u64, 2, 11] {
            fields.extend_from_slice(&long.to_le_bytes());
        }
        fields.extend_from_slice(b"\x03\0\0\0app");
        let mut written = Vec::new();
        put(&mut written, &record, false);
        assert_eq!(written, fields);
        let read = read_all(&fields.into());
        assert_eq!(read, Some(vec![Logged::Whole(record)]));
    }

    /// As above, with a segment in front of the first entry.
    #[test]
    fn an_installation_with_records_reads_back_from_the_bytes_of_its_first_version() {
        let run = TermRun {
            term: Term(3),
            index: RaftIndex(4),
            offset: Offset(0),
        };
        let segment = SegmentImage::of_import(Offset(1), 2, 0x0102_0304);
        let record = Record::Install {
            group: GroupId(7),
            origin: Origin {
                index: RaftIndex(9),
                start_offset: Offset(0),
                next_offset: Offset(6),
                terms: vec![run],
            },
            imported: Some(ImportImage {
                number: 2,
                prefix: Prefix {
                    clean: Offset(5),
                    compact: None,
                },
                segments: vec![segment],
            }),
            app: Bytes::new(),
            app_index: RaftIndex(11),
            cuts: 0,
        };
        let mut fields = vec![12u8];
        for long in [7u64, 9, 0, 6] {
            fields.extend_from_slice(&long.to_le_bytes());
        }
        fields.extend_from_slice(&[1, 0, 0, 0, 3, 0, 0, 0]);
        for long in [4u64, 0, 11] {
            fields.extend_from_slice(&long.to_le_bytes());
        }
        fields.extend_from_slice(&[0, 0, 0, 0, 2, 0, 0, 0]);
        fields.extend_from_slice(&5u64.to_le_bytes());
        fields.extend_from_slice(&[0, 1, 0, 0, 0]);
        for long in [1u64, 1, 6] {
            fields.extend_from_slice(&long.to_le_bytes());
        }
        for short in [100u32, 3, 0, 2, 0x0102_0304] {
            fields.extend_from_slice(&short.to_le_bytes());
        }
        let mut written = Vec::new();
        put(&mut written, &record, false);
        assert_eq!(written, fields);
        let read = read_all(&fields.clone().into());
        assert_eq!(read, Some(vec![Logged::Whole(record)]));
        for cut in 1..fields.len() {
            assert_eq!(read_all(&fields[..cut].to_vec().into()), None);
        }
    }
}
